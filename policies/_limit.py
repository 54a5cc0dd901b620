"""Limits: how far a request may go.

Timeouts scattered over a code base multiply: three layers of sixty seconds are three minutes. All of a request's limits
are on the plan, each set by one small policy; where two of a kind meet, the smaller holds.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from policies._checks import at_least_one, seconds, seconds_or_none
from policies._facts import View
from policies._plan import Plan
from policies._policy import Phase, Policy


@attrs.frozen
class _Limit(Policy):
    phase: ClassVar[Phase] = Phase.LIMITS

    def values(self) -> dict[str, float]:
        raise NotImplementedError

    def apply(self, plan: Plan, view: View) -> Plan:
        return attrs.evolve(plan, limits=plan.limits.tightened(**self.values()))


@attrs.frozen
class MaxAttempts(_Limit):
    """At most `n` attempts for one request, hedges included."""

    n: int = attrs.field(default=6, validator=at_least_one)

    def values(self) -> dict[str, float]:
        return {"max_attempts": self.n}


@attrs.frozen
class MaxInFlight(_Limit):
    """At most `n` attempts running side by side for one request."""

    n: int = attrs.field(default=2, validator=at_least_one)

    def values(self) -> dict[str, float]:
        return {"max_in_flight": self.n}


@attrs.frozen
class MaxWait(_Limit):
    """Wait at most `s` seconds for a candidate that is merely busy; 0 answers at once."""

    s: float = attrs.field(default=120.0, validator=seconds_or_none)

    def values(self) -> dict[str, float]:
        return {"max_wait_s": self.s}


@attrs.frozen
class Deadline(_Limit):
    """The whole turn, from acceptance to the last byte, takes at most `s` seconds."""

    s: float = attrs.field(default=600.0, validator=seconds)

    def values(self) -> dict[str, float]:
        return {"deadline_s": self.s}


@attrs.frozen
class FirstContentTimeout(_Limit):
    """An attempt that shows no content within `s` seconds has failed; `fallback_s` holds for every later attempt.

    Without `fallback_s` a later attempt has 20 s, or `s` where that is less.
    """

    s: float = attrs.field(default=60.0, validator=seconds)
    fallback_s: float | None = attrs.field(default=None, validator=seconds)

    def values(self) -> dict[str, float]:
        later = min(20.0, self.s) if self.fallback_s is None else self.fallback_s
        return {"first_content_s": self.s, "fallback_first_content_s": later}


@attrs.frozen
class IdleTimeout(_Limit):
    """After first content, silence of `s` seconds breaks the attempt. Content resets it; pings and comments do not."""

    s: float = attrs.field(default=60.0, validator=seconds)

    def values(self) -> dict[str, float]:
        return {"idle_s": self.s}
