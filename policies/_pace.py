"""Pace: when the next step starts although the last one has not failed.

Sequence, hedge and race look like three machines. They are one, with a different patience: never, a while, none. A hedge
with a fixed delay and no bound is how an overload becomes an outage, since the slower everybody gets, the more everybody
hedges; so a hedge is charged to a budget, its delay follows what the candidate usually needs, and it does not spend money
on its own account.

A candidate for which an open connection waits (`Facts.sticky`) is waited for as in a sequence. Were it to lose, that
connection would be closed, and what its host knows of the conversation would be lost with it; and for that knowledge it is
the cheaper, and usually the faster. When it fails the chain goes on as always. It may itself be started beside another:
such an attempt does not use the connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

import attrs

from policies._facts import QUANTILES, Facts, View
from policies._plan import Charge, Plan, Step
from policies._policy import Phase, Policy, PolicyError

#: Learned delays stay within these, in seconds: below the floor a hedge is a race, above the ceiling nobody waits.
FLOOR_S, CEILING_S = 0.3, 15.0
#: Until this many samples a quantile means nothing, and the delay is the cold-start one (seconds).
COLD_SAMPLES, COLD_START_S = 30, 4.0


@attrs.frozen
class Sequence(Policy):
    """The next starts only when the last has failed, and then at once."""

    phase: ClassVar[Phase] = Phase.PACE
    exclusive: ClassVar[str | None] = "pace"

    def apply(self, plan: Plan, view: View) -> Plan:
        steps = (attrs.evolve(s, patience_s=None, charge=Charge.NEVER) for s in plan.steps)
        return attrs.evolve(plan, steps=tuple(steps))


def _quantile(value: str) -> int:
    match = re.fullmatch(r"p(\d+)", value)
    if not match or int(match[1]) not in QUANTILES:
        raise PolicyError(f"expected one of {', '.join(f'p{q}' for q in QUANTILES)}, got '{value}'")
    return int(match[1])


def _times_median(value: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x-median", value)
    if not match:
        raise PolicyError(f"expected a factor like '2x-median', got '{value}'")
    return float(match[1])


@attrs.frozen
class Hedge(Policy):
    """Start the next candidate beside the running one once that has been silent for longer than usual.

    `after_s` is a fixed delay in seconds, taken as written; else `after` is a quantile of the running candidate's own
    time to first content, and `at_least` a multiple of its median. `extra_load` is the share of requests that may be
    hedged. A candidate that costs money is hedged to only with `paid = true`.
    """

    phase: ClassVar[Phase] = Phase.PACE
    exclusive: ClassVar[str | None] = "pace"

    after_s: float | None = attrs.field(default=None)
    after: str = attrs.field(default="p92")
    at_least: str = attrs.field(default="2x-median")
    extra_load: float = attrs.field(default=0.08)
    paid: bool = False

    @after_s.validator
    def _positive(self, _: object, value: float | None) -> None:
        if value is not None and not value > 0:
            raise PolicyError(f"expected more than 0 seconds, got {value:g} (to start all at once use 'race')")

    @after.validator
    def _known_quantile(self, _: object, value: str) -> None:
        _quantile(value)

    @at_least.validator
    def _known_factor(self, _: object, value: str) -> None:
        _times_median(value)

    @extra_load.validator
    def _share(self, _: object, value: float) -> None:
        if not 0 < value <= 1:
            raise PolicyError(f"expected a share above 0 and at most 1, got {value:g}")

    def warnings(self) -> Iterable[str]:
        natural = 1 - _quantile(self.after) / 100
        if self.after_s is None and self.extra_load < natural - 1e-9:
            yield (
                f"extra_load = {self.extra_load:g} is less than the {natural:g} of requests that exceed "
                f"'{self.after}': the budget will refuse some hedges"
            )

    def apply(self, plan: Plan, view: View) -> Plan:
        steps: list[Step] = []
        for step in plan.steps:
            price = view.of(step.candidate).price
            costs = price is not None and (price.input > 0 or price.output > 0)
            charge = Charge.NEVER if costs and not self.paid else Charge.BUDGET
            known = view.of(step.candidate)
            steps.append(attrs.evolve(step, patience_s=self.delay_s(known), charge=charge, alone=known.sticky))
        return attrs.evolve(plan, steps=tuple(steps))

    def delay_s(self, leader: Facts) -> float | None:
        """How long to wait for this leader, in seconds; None as long as it has not failed.

        One that is probing or saturated is not waited for at all.
        """
        if leader.sticky:
            return None
        if leader.breaker == "half-open" or leader.free_slots == 0:
            return 0.0
        if self.after_s is not None:
            return self.after_s
        if leader.latency is None or leader.latency.samples < COLD_SAMPLES:
            return COLD_START_S
        usual = max(
            leader.latency.quantile(_quantile(self.after)),
            _times_median(self.at_least) * leader.latency.quantile(50),
        )
        return min(max(usual, FLOOR_S), CEILING_S)


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
