"""Retry: the same candidate once more, when there is nobody else to ask.

Retrying is usually done by sleeping between the candidates of a list, which keeps a request from a healthy one, and by
every request for itself, which doubles the load of a provider that is down. Here it comes last: who failed is asked again
only when no other candidate can be asked, after a wait that grows and is jittered, and never sooner than the provider said.
The wait holds nothing. The policy only writes the waits into the plan; what they cost is the engine's retry budget.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import attrs

from policies._checks import at_least_one, seconds
from policies._draw import draw
from policies._facts import View
from policies._plan import Plan
from policies._policy import Phase, Policy, PolicyError

#: More tries than this are an endless loop with another name.
MOST_TRIES = 20


def _tries(_: object, __: object, value: int) -> None:
    at_least_one(_, __, value)
    if value > MOST_TRIES:
        raise PolicyError(f"expected at most {MOST_TRIES}, got {value}")


@attrs.frozen
class Retry(Policy):
    """Up to `tries` further attempts at candidates that have failed, when nobody else is left to be asked.

    Before the first of them `base_s` seconds pass, before each later one twice as many as before, at most `cap_s`; of that
    wait between a half and all, drawn from the view's seed, so that many requests do not come back at once. A Retry-After
    that is longer holds instead. They count towards `max-attempts`, and are paid from the chain's retry budget.
    """

    phase: ClassVar[Phase] = Phase.LIMITS
    exclusive: ClassVar[str | None] = "retry"

    tries: int = attrs.field(default=4, validator=_tries)
    base_s: float = attrs.field(default=1.0, validator=seconds)
    cap_s: float = attrs.field(default=30.0, validator=seconds)

    def warnings(self) -> Iterable[str]:
        if self.base_s > self.cap_s:
            yield f"base_s = {self.base_s:g} is more than cap_s = {self.cap_s:g}: no wait is longer than cap_s"

    def apply(self, plan: Plan, view: View) -> Plan:
        waits = tuple(self._wait_s(view.seed, number) for number in range(self.tries))
        given = plan.limits.given | {"retry_waits_s"}
        return attrs.evolve(plan, limits=attrs.evolve(plan.limits, retry_waits_s=waits, given=given))

    def _wait_s(self, seed: int, number: int) -> float:
        return min(self.base_s * 2.0**number, self.cap_s) * (0.5 + draw(seed, self.kind(), number) / 2)
