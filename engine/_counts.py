"""Which hosts count a prompt when they are asked, and which do not: a fold over events.

A host's documentation rarely says whether it has the door for counting. Asking costs a round trip with the whole prompt, and
Claude Code asks two dozen times at once. So a host that nothing is known of is asked once, and its answer is remembered.
"""

from __future__ import annotations

import attrs

from engine._events import EngineEvent, TokensCounted

#: How long a host is not asked again that did not answer in time, or failed, in seconds.
PAUSE_S = 60.0


@attrs.define(eq=False)
class CountBook:
    """One row per provider and wire: the time until which it is not asked; infinite for one without such a door."""

    _until: dict[tuple[str, str], float] = attrs.field(factory=dict)

    def may_be_asked(self, provider: str, wire: str, at: float) -> bool:
        return self._until.get((provider, wire), 0.0) <= at

    def fold(self, event: EngineEvent) -> None:
        if isinstance(event, TokensCounted):
            row = (event.candidate.provider, event.wire)
            if event.tokens is not None:
                self._until.pop(row, None)
            else:
                self._until[row] = float("inf") if event.lasting else event.at + PAUSE_S
