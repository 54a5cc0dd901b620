"""What one request forbids for itself.

Somebody who measures a provider, or hunts a fault in one, wants that provider's own answer and nobody else's. An `if` in
the race for each such wish would be a second place where is decided who is asked. So a wish is a policy, folded behind the
chain's own: the plan shows it, and the race knows nothing of it. They have no name in TOML, where a chain of one candidate
and `sequence` say the same for everybody.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from policies._facts import View
from policies._plan import Charge, Plan, Skip
from policies._policy import Phase, Policy


@attrs.frozen
class NoFallback(Policy):
    """Only the first of the plan is asked, and its failure is the answer.

    Who is first is settled before: passing over somebody busy is the plan's choice and no fallback. Nobody of the others
    comes back later, so their skips become hard ones.
    """

    phase: ClassVar[Phase] = Phase.LIMITS

    def apply(self, plan: Plan, view: View) -> Plan:
        others = (
            Skip(candidate=s.candidate, by=self.kind(), reason="fallback is off for this request")
            for s in plan.steps[1:]
        )
        out = tuple(attrs.evolve(skip, wait_s=None) for skip in plan.skipped)
        return attrs.evolve(plan, skipped=out).skipping(*others)


@attrs.frozen
class NoHedge(Policy):
    """The next is asked only when the last has failed, whatever the chain's pace: never two side by side."""

    phase: ClassVar[Phase] = Phase.LIMITS

    def apply(self, plan: Plan, view: View) -> Plan:
        steps = tuple(attrs.evolve(step, patience_s=None, charge=Charge.NEVER) for step in plan.steps)
        return attrs.evolve(plan, steps=steps, limits=plan.limits.tightened(max_in_flight=1))
