"""What candidates were found to refuse, and to hold: a fold over events.

A host that answers 400 to one field answers it to every request that has the field. Repairing each of them costs a round
trip per turn, and a catalogue that knew all refusals would be out of date tomorrow. So a repair that worked is remembered
for its provider and model, and the next request is right from the start. Forgotten with the process: hosts learn, too.
"""

from __future__ import annotations

import attrs

from engine._events import EngineEvent, LessonLearned
from policies import Candidate, Capabilities


@attrs.frozen(kw_only=True)
class Learned:
    """Of one candidate: the longest answer it gives and the window it has, in tokens, and fields it refuses."""

    cap: int | None = None
    window: int | None = None
    without: frozenset[str] = frozenset()

    def also(self, other: Learned) -> Learned:
        """Both: the smaller of two caps, the later of two windows, all fields."""
        caps = [cap for cap in (self.cap, other.cap) if cap is not None]
        window = other.window if other.window is not None else self.window
        return Learned(cap=min(caps, default=None), window=window, without=self.without | other.without)

    def capabilities(self, known: Capabilities) -> Capabilities:
        """What is known of a model, with the window that it was found to have."""
        return known if self.window is None else attrs.evolve(known, context=self.window)


_NOTHING = Learned()


@attrs.define(eq=False)
class LessonBook:
    """Lessons by candidate."""

    _by_name: dict[str, Learned] = attrs.field(factory=dict)

    def of(self, candidate: Candidate) -> Learned:
        return self._by_name.get(candidate.name, _NOTHING)

    def fold(self, event: EngineEvent) -> None:
        match event:
            case LessonLearned():
                learned = Learned(cap=event.cap, window=event.window, without=event.without)
                self._by_name[event.candidate.name] = self.of(event.candidate).also(learned)
