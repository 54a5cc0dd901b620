"""Time to first content, per candidate and prompt size: a fold over events.

One distribution per candidate would be a mixture of short prompts and long ones, of which the long ones are all "late".
So prompts are compared with prompts of their size; and since most sizes of most candidates have few samples, a young class
says what its nearest neighbours know: a prompt takes no less than a smaller one, and no more than a larger one.

What ends without content has its place here, too. A loser, a client that left and an attempt that ran out of time would all
have taken longer than they had. A failure of any other kind says nothing about how long an answer takes.
"""

from __future__ import annotations

import attrs

from engine._events import AttemptEnded, EngineEvent, FirstContent
from engine._histogram import HALF_LIFE_S, HALF_LIFE_SAMPLES, Histogram
from engine._kept import keep
from policies import COLD_SAMPLES, FailureKind, Latency

#: Upper ends, in estimated tokens, of the prompt-size classes; the last is open.
SIZE_CLASSES = (2_000, 16_000, 64_000)


def size_class(tokens: int) -> int:
    """Which class a prompt of `tokens` estimated tokens belongs to."""
    return sum(tokens > limit for limit in SIZE_CLASSES)


@attrs.define(eq=False)
class LatencyBook:
    """One histogram per candidate name and size class. The half-lives are those of `Histogram`."""

    half_life_s: float = HALF_LIFE_S
    half_life_samples: float = HALF_LIFE_SAMPLES
    _rows: dict[tuple[str, int], Histogram] = attrs.field(factory=dict)

    def latency(self, candidate: str, tokens: int, at: float) -> Latency | None:
        """What is known at `at` of prompts of this size; None where nothing is, of any size."""
        own = size_class(tokens)
        row = self._rows.get((candidate, own))
        samples = round(row.samples(at)) if row else 0
        if row and samples >= COLD_SAMPLES:
            return Latency(samples=samples, at=row.quantiles())
        smaller = self._nearest(candidate, range(own - 1, -1, -1), at)
        larger = self._nearest(candidate, range(own + 1, len(SIZE_CLASSES) + 1), at)
        told = (row.quantiles() if row else None) or smaller or larger
        return None if told is None else Latency(samples=samples, at=told, smaller=smaller, larger=larger)

    def _nearest(self, candidate: str, classes: range, at: float) -> tuple[float, ...] | None:
        rows = (self._rows.get((candidate, number)) for number in classes)
        return next((row.quantiles() for row in rows if row is not None and row.samples(at) >= COLD_SAMPLES), None)

    def fold(self, event: EngineEvent) -> None:
        match event:
            case FirstContent():
                self._row(event.candidate.name, event.need.input_tokens).add(event.elapsed_s, event.at)
            case AttemptEnded(first_content_s=None) if _cut_short(event):
                self._row(event.candidate.name, event.need.input_tokens).add(event.elapsed_s, event.at, censored=True)

    def _row(self, candidate: str, tokens: int) -> Histogram:
        key = (candidate, size_class(tokens))
        fresh = Histogram(half_life_s=self.half_life_s, half_life_samples=self.half_life_samples)
        return keep(self._rows, key, self._rows.get(key) or fresh)


def _cut_short(ended: AttemptEnded) -> bool:
    """Whether an attempt without content was given up for taking long."""
    late = ended.failure is not None and ended.failure.kind is FailureKind.FIRST_CONTENT_TIMEOUT
    return ended.ending in ("lost", "abandoned") or late
