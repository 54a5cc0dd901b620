"""Which candidates are resting, and until when: a fold over events.

A model that a host does not have is asked for again with every request, or struck off until somebody restarts the process.
Hosts withdraw models and bring them back. So a model that is gone rests, alone, and is tried again.
"""

from __future__ import annotations

import attrs

from engine._events import AttemptEnded, EngineEvent
from engine._failure import Failure
from engine._kept import keep
from policies import Candidate, FailureKind

#: Seconds of rest, by kind of failure.
RESTS_S = {FailureKind.GONE: 900.0}


@attrs.define(eq=False)
class RestBook:
    """Resting candidates by name."""

    _candidates: dict[str, float] = attrs.field(factory=dict)

    def gone_wait_s(self, candidate: Candidate, at: float) -> float:
        """Seconds until a candidate whose model was not found is tried again."""
        return max(0.0, self._candidates.get(candidate.name, 0.0) - at)

    def fold(self, event: EngineEvent) -> None:
        match event:
            case AttemptEnded(failure=Failure() as failure, verdict=verdict) if (
                verdict and verdict.rests == "candidate"
            ):
                keep(self._candidates, event.candidate.name, event.at + RESTS_S[failure.kind])
