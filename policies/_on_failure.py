"""Another row for the verdict table, in one chain.

What a failure means is right for most providers and wrong for some: a gateway that answers 400 when it is overloaded, an
account whose 500 is never worth asking anybody else about. Retry flags on every provider are the usual answer, and each
adds a branch. Here the table stays one, and a chain may replace a row of it.
"""

from __future__ import annotations

import difflib
from typing import ClassVar, Literal, get_args

import attrs

from policies._facts import View
from policies._plan import Plan
from policies._policy import Phase, Policy, PolicyError
from policies._verdict import VERDICTS, FailureKind, Next, Verdict

#: How each kind of failure is written in TOML: as it is told everywhere, with hyphens. A turn at its deadline has no next.
FAILURES: dict[str, FailureKind] = {
    kind.value.replace(" ", "-").replace("_", "-"): kind for kind in FailureKind if kind is not FailureKind.DEADLINE
}
NextName = Literal["next", "bigger-window", "stop"]
_NEXT: dict[NextName, Next] = {"next": Next.NEXT, "bigger-window": Next.BIGGER, "stop": Next.STOP}


@attrs.frozen
class OnFailure(Policy):
    """What a kind of failure means in this chain: `{ kind = "on-failure", of = "server-error", next = "stop" }`.

    For a provider that says one thing and means another. `next` is who is asked then: the `next` candidate, the next with a
    `bigger-window`, or nobody (`stop`). `counts` is whether it is held against the candidate's health. `again = false` gives up
    the one more try that some failures are worth on the same candidate. One row for each kind of failure; what a row does not
    say stays as it is, and keys and rate limits rest as always, since they are not this chain's alone.
    """

    phase: ClassVar[Phase] = Phase.OUTCOME

    of: str = attrs.field()
    next: NextName | None = attrs.field(default=None)
    counts: bool | None = None
    again: bool = True

    @of.validator
    def _known(self, _: object, value: str) -> None:
        if value not in FAILURES:
            near = difflib.get_close_matches(value.lower(), list(FAILURES), n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            raise PolicyError(f"unknown kind of failure '{value}'{hint}; available: {', '.join(FAILURES)}")

    @next.validator
    def _known_next(self, _: object, value: str | None) -> None:
        if value is not None and value not in _NEXT:
            raise PolicyError(f"expected {', '.join(get_args(NextName))}, got '{value}'")

    def __attrs_post_init__(self) -> None:
        if self.next is None and self.counts is None and self.again:
            raise PolicyError("says nothing: give next, counts or again")

    @property
    def rivalry(self) -> str | None:
        return f"row for '{self.of}'"

    def apply(self, plan: Plan, view: View) -> Plan:
        kind = FAILURES[self.of]
        others = tuple(row for row in plan.outcome.verdicts if row[0] is not kind)
        rows = sorted((*others, (kind, self.row())), key=lambda row: row[0].value)
        return attrs.evolve(plan, outcome=attrs.evolve(plan.outcome, verdicts=tuple(rows)))

    def row(self) -> Verdict:
        """The row of the table with what this says in place."""
        row = VERDICTS[FAILURES[self.of]]
        if self.next is not None:
            row = attrs.evolve(row, next=_NEXT[self.next])
        if self.counts is not None:
            row = attrs.evolve(row, counts=self.counts, counts_unlimited=self.counts)
        return row if self.again else attrs.evolve(row, again="nothing")
