"""How many requests each chain has had: a fold over events.

A counter inside the round-robin policy would make the plan depend on how often it was computed: a look at what would be done,
or a stored view folded again, would take somebody's turn. Here requests are counted where they are accepted, and a view is
told the number.
"""

from __future__ import annotations

import attrs

from engine._events import EngineEvent, RequestAccepted
from engine._kept import keep


@attrs.define(eq=False)
class TurnBook:
    """One count per chain, by the name of its budget."""

    _requests: dict[str, int] = attrs.field(factory=dict)

    def turn(self, chain: str) -> int:
        """The number of the chain's latest request, from 0."""
        return max(0, self._requests.get(chain, 0) - 1)

    def fold(self, event: EngineEvent) -> None:
        if isinstance(event, RequestAccepted):
            keep(self._requests, event.chain, self._requests.get(event.chain, 0) + 1)
