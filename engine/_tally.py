"""What each request has come to so far: a fold over the ends of its attempts.

A total that is kept beside the rows it sums is wrong after the first row that somebody forgets to add. Here the total is a
fold of the same events that carry the rows, and nothing else adds to it; so the two cannot differ, whatever was cancelled,
rescued or raced again.
"""

from __future__ import annotations

import attrs

from engine._bill import NO_TOTALS, Totals
from engine._events import AttemptEnded, EngineEvent, RequestFinished


@attrs.define(eq=False)
class TallyBook:
    """Totals per request, from the end of its first attempt until it has finished. As many rows as live requests."""

    _rows: dict[str, Totals] = attrs.field(factory=dict)

    def totals(self, request_id: str) -> Totals:
        """What the request's attempts that have ended come to."""
        return self._rows.get(request_id, NO_TOTALS)

    def fold(self, event: EngineEvent) -> None:
        match event:
            case AttemptEnded():
                more = Totals.of(event.bill, chosen=event.committed)
                self._rows[event.request_id] = self.totals(event.request_id) + more
            case RequestFinished():
                self._rows.pop(event.request_id, None)

    def __len__(self) -> int:
        return len(self._rows)
