"""One row of the breaker: closed, open or half-open, and what time makes of it.

A breaker that opens for a fixed time asks a dead provider as often on the second day as in the first minute; one that is shut
or wide open gives whoever has just come back everything at once. So each further trip doubles the time, up to a bound and
until the row has been well for long, and a row that has closed gets its traffic back bit by bit. Which failures open a row is
none of its business.
"""

from __future__ import annotations

import math

import attrs

from engine._evidence import Evidence, Why
from engine._growing import grown_s
from policies import Breaker, BreakerState, FailureKind

#: How soon somebody refused because another leads may ask again, in seconds.
PROBE_WAIT_S = 1.0
#: Where a whole chain is ejected for longer than anybody waits, its last resort may be asked this long after it was last
#: found wanting, in seconds.
LAST_RESORT_S = 5.0
#: The share of its traffic that a candidate begins with when it comes back.
FIRST_SHARE = 0.1

#: An attempt, by request and number.
Who = tuple[str, int]


@attrs.define
class Row:
    """`since`: attempts that began earlier tell nothing any more. `reserved`: a permit was given to whoever leads next.

    `trial`: it has closed on first content, and no answer was whole since. `trips`: how often it has opened without staying
    closed for long in between.
    """

    evidence: Evidence = attrs.field(factory=Evidence)
    is_open: bool = False
    open_until: float = 0.0
    since: float = -math.inf
    by_rate: bool = False
    trips: int = 0
    reason: str = ""
    closed_at: float = -math.inf
    recovered_at: float | None = None
    trial: bool = False
    leader: Who | None = None
    reserved: object = attrs.field(default=None, eq=False)

    @property
    def taken(self) -> bool:
        return self.leader is not None or self.reserved is not None

    def wait_s(self, at: float) -> float:
        if not self.is_open:
            return 0.0
        if at < self.open_until:
            return self.open_until - at
        return PROBE_WAIT_S if self.taken else 0.0

    def ramp(self, at: float, ramp_s: float) -> float:
        if self.is_open or self.recovered_at is None or at >= self.recovered_at + ramp_s:
            return 1.0
        return FIRST_SHARE + (1 - FIRST_SHARE) * (at - self.recovered_at) / ramp_s

    def last_resort_wait_s(self, at: float) -> float:
        """As `wait_s`, of an open row, for a request that has nobody else to ask."""
        return PROBE_WAIT_S if self.taken else self.since + LAST_RESORT_S - at

    def open(self, why: Why, kind: FailureKind | None, spec: Breaker, at: float) -> tuple[BreakerState, float]:
        """Eject: the state before, and for how many seconds."""
        longest_s = max(spec.open_s, spec.max_open_s)
        if at - self.closed_at > longest_s and not self.is_open:
            self.trips = 0  # it has been well for long: this trip is a first one
        for_s = grown_s(spec.open_s, self.trips, longest_s)
        before: BreakerState = "half-open" if self.is_open else "closed"
        self.is_open, self.open_until, self.since = True, at + for_s, at
        self.by_rate = why.by_rate
        self.trips, self.trial, self.leader, self.recovered_at = self.trips + 1, False, None, None
        self.reason = f"{why.text}, last: {kind.value if kind else 'failure'}"
        return before, for_s

    def close(self, at: float) -> BreakerState:
        """Let everybody in again: the state before."""
        before: BreakerState = "half-open" if self.leader is not None else "open"
        self.is_open, self.leader, self.closed_at, self.recovered_at = False, None, at, at
        self.evidence.clear()
        return before

    def reset(self, at: float) -> None:
        """Forget what was held against it."""
        self.evidence, self.since, self.trips, self.trial, self.recovered_at = Evidence(), at, 0, False, None
