"""Pace: when the next step starts although the last one has not failed.

Sequence, hedge and race look like three machines. They are one, with a different patience: never, a while, none. A hedge
has a module of its own (`policies/_hedge.py`), since how long that while is has to be learned.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from policies._facts import View
from policies._plan import Charge, Plan
from policies._policy import Phase, Policy, PolicyError


@attrs.frozen
class Sequence(Policy):
    """The next starts only when the last has failed, and then at once."""

    phase: ClassVar[Phase] = Phase.PACE
    exclusive: ClassVar[str | None] = "pace"

    def apply(self, plan: Plan, view: View) -> Plan:
        steps = (attrs.evolve(s, patience_s=None, charge=Charge.NEVER) for s in plan.steps)
        return attrs.evolve(plan, steps=tuple(steps))


@attrs.frozen
class Race(Policy):
    """Start the first `width` candidates at once; the others only after a failure. Never charged to a budget."""

    phase: ClassVar[Phase] = Phase.PACE
    exclusive: ClassVar[str | None] = "pace"

    width: int = attrs.field(default=2)

    @width.validator
    def _at_least_two(self, _: object, value: int) -> None:
        if value < 2:
            raise PolicyError(f"expected at least 2, got {value} (one at a time is 'sequence')")

    def apply(self, plan: Plan, view: View) -> Plan:
        steps = tuple(
            attrs.evolve(
                step,
                patience_s=0.0 if i < self.width - 1 and not view.of(step.candidate).sticky else None,
                charge=Charge.FREE if i < self.width else Charge.NEVER,
                alone=view.of(step.candidate).sticky,
            )
            for i, step in enumerate(plan.steps)
        )
        limits = plan.limits
        if "max_in_flight" not in limits.given:
            limits = attrs.evolve(limits, max_in_flight=max(limits.max_in_flight, self.width))
        return attrs.evolve(plan, steps=steps, limits=limits)
