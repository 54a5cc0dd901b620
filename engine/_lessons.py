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


#: Candidates whose lessons are kept; a client may ask for models of any name.
KEPT = 1000


@attrs.define(eq=False)
class LessonBook:
    """Lessons by candidate, of the last thousand that taught one."""

    _by_name: dict[str, Learned] = attrs.field(factory=dict)

    def of(self, candidate: Candidate) -> Learned:
        return self._by_name.get(candidate.name, _NOTHING)

    def models(self, provider: str) -> list[str]:
        """The models of a provider that something is known of."""
        prefix = f"{provider}/"
        return [name.removeprefix(prefix) for name in self._by_name if name.startswith(prefix)]

    def fold(self, event: EngineEvent) -> None:
        match event:
            case LessonLearned():
                learned = Learned(cap=event.cap, window=event.window, without=event.without)
                known = self.of(event.candidate)
                self._by_name.pop(event.candidate.name, None)
                self._by_name[event.candidate.name] = known.also(learned)
                if len(self._by_name) > KEPT:
                    del self._by_name[next(iter(self._by_name))]
