"""Quantiles of time to first content, per candidate and prompt size: a fold over events.

Hedging needs "how long does this one usually take", and the two easy ways to get it are both wrong. Leaving cancelled
losers out makes a slow candidate look fast, since its slow answers are the ones that get cancelled; counting them as
failures makes it look dead. A loser is a censored sample: it would have taken longer than it had. The estimator that
treats it so is Kaplan and Meier's (1958), here over logarithmic buckets whose counts fade, so that old days are forgotten.
"""

from __future__ import annotations

import math

import attrs

from engine._events import AttemptEnded, EngineEvent, FirstContent
from engine._kept import keep
from policies import QUANTILES, Latency

#: Bucket edges grow by an eighth from 10 ms, and 96 buckets reach 724 s. A quantile is told as its bucket's upper edge:
#: never too short, and at most an eighth too long.
_FIRST_S, _GROWTH, _BUCKETS = 0.01, 1.125, 96
#: Counts fall to half in ten minutes.
HALF_LIFE_S = 600.0
#: Upper ends, in estimated tokens, of the prompt-size classes; the last is open.
SIZE_CLASSES = (2_000, 16_000, 64_000)


def size_class(tokens: int) -> int:
    """Which class a prompt of `tokens` estimated tokens belongs to."""
    return sum(tokens > limit for limit in SIZE_CLASSES)


def _bucket(elapsed_s: float) -> int:
    if elapsed_s <= _FIRST_S:
        return 0
    return min(_BUCKETS - 1, math.ceil(math.log(elapsed_s / _FIRST_S, _GROWTH)))


def _edge_s(bucket: int) -> float:
    return _FIRST_S * _GROWTH**bucket


@attrs.define
class Histogram:
    """Fading counts of answers and of censored samples per bucket."""

    answered: list[float] = attrs.field(factory=lambda: [0.0] * _BUCKETS)
    censored: list[float] = attrs.field(factory=lambda: [0.0] * _BUCKETS)
    samples: int = 0
    _at: float | None = None

    def add(self, elapsed_s: float, at: float, *, censored: bool = False) -> None:
        self._fade(at)
        (self.censored if censored else self.answered)[_bucket(elapsed_s)] += 1
        self.samples += not censored

    def _fade(self, at: float) -> None:
        if self._at is not None and at > self._at:
            keep = 0.5 ** ((at - self._at) / HALF_LIFE_S)
            self.answered = [n * keep for n in self.answered]
            self.censored = [n * keep for n in self.censored]
        self._at = at

    def quantiles(self) -> tuple[float, ...]:
        """Seconds at each of `QUANTILES`; where censoring hides a quantile, the longest time anybody was seen to take."""
        at_risk = sum(self.answered) + sum(self.censored)
        surviving, found, longest = 1.0, [], _edge_s(0)
        wanted = list(QUANTILES)
        for bucket, (events, losses) in enumerate(zip(self.answered, self.censored, strict=True)):
            if events > 0 and at_risk > 0:
                surviving *= 1 - min(1.0, events / at_risk)
            if events + losses > 0:
                longest = _edge_s(bucket)
            at_risk -= events + losses
            while wanted and 1 - surviving >= wanted[0] / 100 - 1e-9:
                found.append(_edge_s(bucket))
                wanted.pop(0)
        return (*found, *(longest for _ in wanted))


@attrs.define(eq=False)
class LatencyBook:
    """One histogram per candidate name and size class."""

    _rows: dict[tuple[str, int], Histogram] = attrs.field(factory=dict)

    def latency(self, candidate: str, tokens: int) -> Latency | None:
        row = self._rows.get((candidate, size_class(tokens)))
        return None if row is None else Latency(samples=row.samples, at=row.quantiles())

    def fold(self, event: EngineEvent) -> None:
        match event:
            case FirstContent():
                self._row(event.candidate.name, event.need.input_tokens).add(event.elapsed_s, event.at)
            case AttemptEnded(ending="lost", first_content_s=None):
                self._row(event.candidate.name, event.need.input_tokens).add(event.elapsed_s, event.at, censored=True)

    def _row(self, candidate: str, tokens: int) -> Histogram:
        key = (candidate, size_class(tokens))
        return keep(self._rows, key, self._rows.get(key) or Histogram())
