"""Who is ejected, and when they may prove themselves: a fold over events.

Counting every error ejects a healthy provider because a client sent nonsense, or because a hedge was cancelled. Only
failures that the verdict table blames on the candidate arrive here as `counts`; the row clears on a whole answer. After
`open_s` one probe is admitted; its first content closes the breaker, yet one more failure opens it again at once, until
an answer was whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import attrs

from engine._events import AttemptEnded, BreakerChanged, EngineEvent, FirstContent
from engine._kept import keep
from policies import Breaker, BreakerState, Candidate

#: How soon somebody refused because a probe is running may ask again, in seconds.
PROBE_WAIT_S = 1.0


@attrs.define
class _Row:
    state: BreakerState = "closed"
    in_a_row: int = 0
    outcomes: deque[tuple[float, bool]] = attrs.field(factory=deque)
    open_until: float = 0.0
    reason: str = ""
    probing: bool = False


@attrs.define(eq=False)
class BreakerBook:
    """One row per candidate. `spec` gives a provider's settings, None for `breaker = "off"`."""

    spec: Callable[[str], Breaker | None]
    _rows: dict[str, _Row] = attrs.field(factory=dict)

    def state(self, candidate: Candidate, at: float) -> tuple[BreakerState, float]:
        """The state as a policy should see it, and the seconds until a probe may be admitted."""
        row = self._rows.get(candidate.name)
        if row is None or row.state == "closed" or self.spec(candidate.provider) is None:
            return "closed", 0.0
        if at < row.open_until:
            return "open", row.open_until - at
        return ("open", PROBE_WAIT_S) if row.probing else ("half-open", 0.0)

    def reason(self, candidate: Candidate) -> str:
        """Why the breaker last opened."""
        row = self._rows.get(candidate.name)
        return row.reason if row else ""

    def failures(self, candidate: Candidate) -> int:
        """Failures in a row."""
        row = self._rows.get(candidate.name)
        return row.in_a_row if row else 0

    def admit(self, candidate: Candidate, at: float) -> float:
        """Seconds to wait, 0 to go. Going while half-open takes the one probe's place."""
        state, wait_s = self.state(candidate, at)
        if state == "half-open":
            row = self._rows[candidate.name]
            row.state, row.probing = "half-open", True
        return wait_s

    def release(self, candidate: Candidate) -> None:
        """The probe was not sent after all, or ended without a verdict."""
        row = self._rows.get(candidate.name)
        if row is not None:
            row.probing = False

    def fold(self, event: EngineEvent) -> Iterator[EngineEvent]:
        match event:
            case FirstContent():
                yield from self._first_content(event)
            case AttemptEnded(ending="won"):
                yield from self._whole(event)
            case AttemptEnded(ending="failed", counts=True):
                yield from self._failure(event)
            case AttemptEnded():
                self.release(event.candidate)

    def _first_content(self, event: FirstContent) -> Iterator[EngineEvent]:
        row, spec = self._rows.get(event.candidate.name), self.spec(event.candidate.provider)
        if row is None or spec is None or row.state != "half-open":
            return
        row.in_a_row = spec.failures - 1
        yield self._change(row, "closed", "the probe answered", event.candidate, event)

    def _whole(self, event: AttemptEnded) -> Iterator[EngineEvent]:
        row, spec = self._rows.get(event.candidate.name), self.spec(event.candidate.provider)
        if row is None or spec is None:
            return
        row.in_a_row = 0
        _note(row, event.at, spec.window_s, ok=True)
        if row.state != "closed":
            yield self._change(row, "closed", "an answer was whole", event.candidate, event)

    def _failure(self, event: AttemptEnded) -> Iterator[EngineEvent]:
        spec = self.spec(event.candidate.provider)
        if spec is None:
            return
        name = event.candidate.name
        row = keep(self._rows, name, self._rows.get(name) or _Row())
        row.in_a_row += 1
        _note(row, event.at, spec.window_s, ok=False)
        failed = sum(not ok for _, ok in row.outcomes)
        reason = ""
        if row.state == "half-open":
            reason = "the probe failed"
        elif row.in_a_row >= spec.failures:
            reason = f"{row.in_a_row} failures in a row"
        elif len(row.outcomes) >= spec.volume and failed >= spec.rate * len(row.outcomes):
            reason = f"{failed} of {len(row.outcomes)} requests failed within {spec.window_s:g} s"
        if reason and row.state != "open":
            last = event.failure.kind.value if event.failure else "failure"
            row.open_until = event.at + spec.open_s
            row.reason = f"{reason}, last: {last}"
            yield self._change(row, "open", row.reason, event.candidate, event)

    def _change(
        self, row: _Row, after: BreakerState, reason: str, candidate: Candidate, cause: EngineEvent
    ) -> BreakerChanged:
        before, row.state, row.probing = row.state, after, False
        if after == "closed":
            row.outcomes.clear()
        return BreakerChanged(
            at=cause.at, request_id=cause.request_id, candidate=candidate, before=before, after=after, reason=reason
        )


def _note(row: _Row, at: float, window_s: float, *, ok: bool) -> None:
    """Add an outcome, and drop those that have left the window."""
    row.outcomes.append((at, ok))
    while row.outcomes[0][0] < at - window_s:
        row.outcomes.popleft()
