"""What was spent at each provider in this hour, day and month: a fold over events.

A sliding window is what rate limits use, but nobody's bill slides: providers and budgets go by the calendar, and a limit that
frees a cent every minute all day is one that is always reached. So there are three buckets a provider, by UTC. Events carry the
engine's clock and not the time of day; what the time of day was is told by the view in each `PlanMade`, so a recorded log
replays to the same sums, on another day too.

It is what this process has sent since it was started, no more: see `spend-cap`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import attrs

from engine._events import AttemptEnded, EngineEvent, PlanMade
from engine._kept import keep
from engine._stream import Usage
from policies import Price

#: An hour, a day and a month of UTC, each as a number that grows with time.
Buckets = tuple[int, int, int]


def _buckets(wall_s: float) -> Buckets:
    hour = int(wall_s // 3600)
    day = datetime.fromtimestamp(wall_s, UTC)
    return hour, hour // 24, day.year * 12 + day.month


@attrs.define
class _Row:
    buckets: Buckets = (0, 0, 0)
    usd: list[float] = attrs.field(factory=lambda: [0.0, 0.0, 0.0])

    def add(self, usd: float, buckets: Buckets) -> None:
        # A clock that was put back does not open a bucket anew: what is spent stays spent.
        for i, (kept, now) in enumerate(zip(self.buckets, buckets, strict=True)):
            self.usd[i] = self.usd[i] + usd if now <= kept else usd
        self.buckets = max(self.buckets, buckets)


def usd_of(usage: Usage, price: Price | None) -> float | None:
    """What tokens cost, in US dollars; None where no price is known. What has no price for caching costs the full one."""
    if price is None:
        return None
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    tokens = (
        usage.input * price.input + usage.cache_read * read + usage.cache_write * write + usage.output * price.output
    )
    return tokens / 1e6


@attrs.define(eq=False)
class SpendBook:
    """One row per provider id. `cost` is what an attempt has cost in US dollars, None where nobody knows."""

    cost: Callable[[AttemptEnded], float | None] = lambda _: None
    _rows: dict[str, _Row] = attrs.field(factory=dict)
    #: The time of day less the engine's clock, in seconds.
    _ahead_s: float | None = None

    def usd(self, provider: str, wall_s: float) -> tuple[float, float, float]:
        """US dollars in the hour, day and month of `wall_s`."""
        row = self._rows.get(provider)
        if row is None:
            return 0.0, 0.0, 0.0
        hour, day, month = (
            usd if now <= kept else 0.0 for usd, kept, now in zip(row.usd, row.buckets, _buckets(wall_s), strict=True)
        )
        return hour, day, month

    def fold(self, event: EngineEvent) -> None:
        match event:
            case PlanMade():
                self._ahead_s = event.view.wall_s - event.at
            case AttemptEnded() if self._ahead_s is not None and (usd := self.cost(event)):
                provider = event.candidate.provider
                row = self._rows.get(provider) or _Row()
                row.add(usd, _buckets(event.at + self._ahead_s))
                keep(self._rows, provider, row)
