"""How busy each candidate is, and how fast it answered lately: a fold over events.

An average forgives a candidate that has just turned slow, until hundreds of requests have suffered. The peak EWMA does
not: a slower sample replaces the estimate at once, faster ones pull it down slowly, and silence lets it fade, so that one
bad minute does not banish a candidate for ever (the estimator of tower and finagle).
"""

from __future__ import annotations

import math
from collections import Counter

import attrs

from engine._events import AttemptEnded, AttemptStarted, EngineEvent, FirstContent
from engine._kept import keep

#: Seconds after which an estimate that nothing confirmed has faded to a third. A desktop user sends a few requests a
#: minute; with the ten seconds usual for web services every estimate would be gone before the next request.
FADE_S = 120.0


@attrs.define
class _Estimate:
    value: float
    at: float

    def now(self, at: float) -> float:
        return self.value * math.exp(-(at - self.at) / FADE_S)


@attrs.define(eq=False)
class LoadBook:
    """In-flight counts and peak-EWMA of time to first content (seconds), per candidate name."""

    _in_flight: Counter[str] = attrs.field(factory=Counter)
    _ttfc: dict[str, _Estimate] = attrs.field(factory=dict)

    def in_flight(self, candidate: str) -> int:
        return self._in_flight[candidate]

    def ttfc_s(self, candidate: str, at: float) -> float | None:
        """The estimate as of `at`, or None where nothing was ever measured."""
        known = self._ttfc.get(candidate)
        return None if known is None else known.now(at)

    def total_in_flight(self) -> int:
        return sum(self._in_flight.values())

    def fold(self, event: EngineEvent) -> None:
        match event:
            case AttemptStarted():
                self._in_flight[event.candidate.name] += 1
            case AttemptEnded():
                self._in_flight[event.candidate.name] -= 1
                if not self._in_flight[event.candidate.name]:
                    del self._in_flight[event.candidate.name]
                if event.ending == "lost" and event.first_content_s is None:
                    self._at_least(event.candidate.name, event.elapsed_s, event.at)
            case FirstContent():
                self._sample(event.candidate.name, event.elapsed_s, event.at)

    def _sample(self, name: str, elapsed_s: float, at: float) -> None:
        known = self._ttfc.get(name)
        if known is None or elapsed_s >= known.now(at):
            keep(self._ttfc, name, _Estimate(elapsed_s, at))
            return
        old = math.exp(-(at - known.at) / FADE_S) * 0.8
        keep(self._ttfc, name, _Estimate(known.value * old + elapsed_s * (1 - old), at))

    def _at_least(self, name: str, elapsed_s: float, at: float) -> None:
        """A cancelled loser would have taken longer than it had: a bound, and a reason to think worse of it only."""
        known = self._ttfc.get(name)
        if known is not None and elapsed_s > known.now(at):
            keep(self._ttfc, name, _Estimate(elapsed_s, at))
