"""Select by name: who may be asked at all, whatever the moment.

Taking a candidate out of a chain's list does the same for one chain and one day. But lists are also made elsewhere, by the
environment, by a name that a client sends, by a chain that several routes share; and a line that says who may not be asked,
and keeps saying so whoever edits the list, is what an operator wants to read.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from policies._facts import View
from policies._names import CANDIDATES, any_matches
from policies._plan import Plan, Skip
from policies._policy import Phase, Policy


@attrs.frozen
class Only(Policy):
    """Nobody but these: `names` are candidates (`provider/model`), providers' ids or globs (`*:free`).

    For a chain whose requests must stay somewhere, such as on one's own machines. It also binds a model that a client names
    itself and that runs under this chain's policies.
    """

    phase: ClassVar[Phase] = Phase.SELECT

    names: tuple[str, ...] = attrs.field(validator=attrs.validators.min_len(1), metadata=CANDIDATES)

    def apply(self, plan: Plan, view: View) -> Plan:
        reason = f"not one of {', '.join(self.names)}"
        return plan.skipping(
            *(
                Skip(candidate=s.candidate, by=self.kind(), reason=reason)
                for s in plan.steps
                if not any_matches(self.names, s.candidate)
            )
        )


@attrs.frozen
class Except(Policy):
    """None of these: `names` are candidates (`provider/model`), providers' ids or globs (`*:free`).

    For a provider that is not to see this chain's requests. It also binds a model that a client names itself and that runs
    under this chain's policies.
    """

    phase: ClassVar[Phase] = Phase.SELECT

    names: tuple[str, ...] = attrs.field(validator=attrs.validators.min_len(1), metadata=CANDIDATES)

    def apply(self, plan: Plan, view: View) -> Plan:
        return plan.skipping(
            *(
                Skip(candidate=s.candidate, by=self.kind(), reason="excepted by name")
                for s in plan.steps
                if any_matches(self.names, s.candidate)
            )
        )
