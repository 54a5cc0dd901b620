"""What was spent at each provider in this hour, day and month: a fold over events.

A sliding window is what rate limits use, but nobody's bill slides: providers and budgets go by the calendar, and a limit that
frees a cent every minute all day is one that is always reached. So there are three buckets a provider, by UTC. Events carry the
engine's clock and not the time of day; what the time of day was is told by the view in each `PlanMade`, so a recorded log
replays to the same sums, on another day too.

It is what this process has sent since it was started, no more: see `spend-cap`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import attrs

from engine._bill import NANO
from engine._events import AttemptEnded, EngineEvent, HealthChecked, PlanMade
from engine._kept import keep

#: An hour, a day and a month of UTC, each as a number that grows with time.
Buckets = tuple[int, int, int]


def _buckets(wall_s: float) -> Buckets:
    hour = int(wall_s // 3600)
    day = datetime.fromtimestamp(wall_s, UTC)
    return hour, hour // 24, day.year * 12 + day.month


@attrs.define
class _Row:
    buckets: Buckets = (0, 0, 0)
    nano_usd: list[int] = attrs.field(factory=lambda: [0, 0, 0])

    def add(self, nano_usd: int, buckets: Buckets) -> None:
        # A clock that was put back does not open a bucket anew: what is spent stays spent.
        for i, (kept, now) in enumerate(zip(self.buckets, buckets, strict=True)):
            self.nano_usd[i] = self.nano_usd[i] + nano_usd if now <= kept else nano_usd
        self.buckets = max(self.buckets, buckets)


@attrs.define(eq=False)
class SpendBook:
    """One row per provider id, of whole billionths of a dollar, as bills are. What nobody knows the cost of adds nothing."""

    _rows: dict[str, _Row] = attrs.field(factory=dict)
    #: The time of day less the engine's clock, in seconds.
    _ahead_s: float | None = None

    def usd(self, provider: str, wall_s: float) -> tuple[float, float, float]:
        """US dollars in the hour, day and month of `wall_s`."""
        row = self._rows.get(provider)
        if row is None:
            return 0.0, 0.0, 0.0
        now = _buckets(wall_s)
        hour, day, month = (nano / NANO if now[i] <= row.buckets[i] else 0.0 for i, nano in enumerate(row.nano_usd))
        return hour, day, month

    def fold(self, event: EngineEvent) -> None:
        match event:
            case PlanMade():
                self._ahead_s = event.view.wall_s - event.at
            case AttemptEnded() | HealthChecked() if self._ahead_s is not None and event.bill.nano_usd:
                provider = event.candidate.provider
                row = self._rows.get(provider) or _Row()
                row.add(event.bill.nano_usd, _buckets(event.at + self._ahead_s))
                keep(self._rows, provider, row)
