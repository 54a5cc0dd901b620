"""Which share of its tool calls was no good, per candidate: a fold over events.

A rate over all time never forgives a host that has mended its parser, and one over the last ten calls condemns a good model
for one slip. Here calls and faults are counted and both counts fade, so that the rate is that of the last hours. It is told
only while enough calls stand behind it; as a shunned candidate is asked no more, its counts fade until too few are left, and
it is tried again, for a call or two at a time.
"""

from __future__ import annotations

import math

import attrs

from engine._events import AttemptEnded, EngineEvent
from engine._kept import keep

#: Counts fall to half in two hours. At a call a minute a shunned candidate then has about one call in twenty: with one hour it
#: had one in ten, which is a tenth of the traffic for finding out.
HALF_LIFE_S = 7200.0
#: Calls behind a rate, as faded. Among eight calls, a host that spoils a fifth of them has spoilt one with 83 %.
LEAST_CALLS = 8.0


@attrs.define
class _Row:
    calls: float = 0.0
    bad: float = 0.0
    at: float = 0.0

    def left(self, at: float) -> float:
        """What is left of the counts by now, as a share."""
        return math.exp2(-max(0.0, at - self.at) / HALF_LIFE_S)

    def add(self, calls: int, bad: int, at: float) -> None:
        left = self.left(at)
        self.calls, self.bad, self.at = self.calls * left + calls, self.bad * left + bad, max(at, self.at)


@attrs.define(eq=False)
class ToolErrorBook:
    """One row per candidate name."""

    _rows: dict[str, _Row] = attrs.field(factory=dict)

    def rate(self, candidate: str, at: float) -> float | None:
        """The share of bad calls, from 0 to 1; None where too few were seen lately."""
        row = self._rows.get(candidate)
        return row.bad / row.calls if row is not None and row.calls * row.left(at) >= LEAST_CALLS else None

    def fold(self, event: EngineEvent) -> None:
        if not isinstance(event, AttemptEnded):
            return
        spoilt = event.failure is not None and event.failure.bad_call  # a dialect could not even put it together
        calls, bad = event.tool_calls + spoilt, event.tool_errors + spoilt
        if calls:
            row = self._rows.get(event.candidate.name) or _Row(at=event.at)
            row.add(calls, bad, event.at)
            keep(self._rows, event.candidate.name, row)
