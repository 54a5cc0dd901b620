"""How busy each candidate is, and how fast it answered lately: a fold over events.

An average forgives a candidate that has just turned slow, until hundreds of requests have suffered. The peak EWMA does
not: a slower sample replaces the estimate at once, faster ones pull it down slowly, and silence lets it fade, so that one
bad minute does not banish a candidate for ever (the estimator of tower and finagle).
"""

from __future__ import annotations

from collections import Counter

import attrs

from engine._average import Average
from engine._events import AttemptEnded, AttemptStarted, EngineEvent, FirstContent
from engine._kept import keep


@attrs.define(eq=False)
class LoadBook:
    """In-flight counts and peak-EWMA of time to first content (seconds), per candidate name."""

    _in_flight: Counter[str] = attrs.field(factory=Counter)
    _ttfc: dict[str, Average] = attrs.field(factory=dict)

    def in_flight(self, candidate: str) -> int:
        return self._in_flight[candidate]

    def ttfc_s(self, candidate: str, at: float) -> float | None:
        """The estimate as of `at`, or None where nothing was ever measured."""
        known = self._ttfc.get(candidate)
        return None if known is None else _faded(known, at)

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
        if known is None or elapsed_s >= _faded(known, at):
            keep(self._ttfc, name, Average(elapsed_s, at))
            return
        keep(self._ttfc, name, known.leaning(elapsed_s, at))

    def _at_least(self, name: str, elapsed_s: float, at: float) -> None:
        """A cancelled loser would have taken longer than it had: a bound, and a reason to think worse of it only."""
        known = self._ttfc.get(name)
        if known is not None and elapsed_s > _faded(known, at):
            keep(self._ttfc, name, Average(elapsed_s, at))


def _faded(known: Average, at: float) -> float:
    """An estimate that nothing confirmed sinks: who was slow is tried again, sooner or later."""
    return known.value * known.left(at)
