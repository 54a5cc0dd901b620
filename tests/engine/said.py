"""Short ways to state the facts that books fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine._events import (
    AttemptEnded,
    AttemptStarted,
    EngineEvent,
    FirstContent,
    ProviderReset,
    RequestAccepted,
    TryEnded,
)
from engine._failure import Failure
from policies import VERDICTS, Candidate, FailureKind, Need

A, B = Candidate("a", "m"), Candidate("b", "m")
NEED = Need(input_tokens=100)


def started(at: float = 0.0, who: Candidate = A, *, attempt: int = 1, **rest: Any) -> AttemptStarted:
    return AttemptStarted(at=at, attempt=attempt, candidate=who, **rest)


def content(at: float, elapsed_s: float, who: Candidate = A, *, need: Need = NEED, key: int = 0) -> FirstContent:
    return FirstContent(at=at, attempt=1, candidate=who, elapsed_s=elapsed_s, need=need, key=key)


def won(at: float = 0.0, who: Candidate = A, **rest: Any) -> AttemptEnded:
    return _ended(at, who, "won", **{"first_content_s": 0.1, "committed": True, **rest})


def lost(
    at: float, elapsed_s: float, who: Candidate = A, *, first_content_s: float | None = None, **rest: Any
) -> AttemptEnded:
    return _ended(at, who, "lost", elapsed_s=elapsed_s, first_content_s=first_content_s, **rest)


def abandoned(at: float = 0.0, who: Candidate = A, **rest: Any) -> AttemptEnded:
    return _ended(at, who, "abandoned", by="client", **rest)


def reset(at: float, provider: str) -> ProviderReset:
    return ProviderReset(at=at, provider=provider, by="operator")


def failed(
    at: float = 0.0,
    who: Candidate = A,
    kind: FailureKind = FailureKind.SERVER,
    *,
    retry_after_s: float | None = None,
    unlimited: bool = False,
    **rest: Any,
) -> AttemptEnded:
    """A failure with its row of the verdict table, blamed as the table says."""
    verdict = VERDICTS[kind]
    failure = Failure(kind=kind, message="said", retry_after_s=retry_after_s)
    return _ended(
        at, who, "failed", failure=failure, verdict=verdict, counts=verdict.blames(unlimited=unlimited), **rest
    )


def refused_key(
    at: float, who: Candidate, kind: FailureKind, *, key: int = 0, retry_after_s: float | None = None
) -> TryEnded:
    """The end of a try that a host has refused."""
    failure = Failure(kind=kind, message="said", retry_after_s=retry_after_s)
    return TryEnded(at=at, attempt=1, candidate=who, number=1, key=key, failure=failure)


def accepted(at: float = 0.0, chain: str = "c", extra_load: float = 0.08, **rest: Any) -> RequestAccepted:
    return RequestAccepted(at=at, model="m", chain=chain, how="route", need=NEED, extra_load=extra_load, **rest)


def told(fold: Callable[[EngineEvent], Iterable[EngineEvent] | None], *events: EngineEvent) -> list[EngineEvent]:
    """Fold these events, and collect what the fold states of its own."""
    return [stated for event in events for stated in fold(event) or ()]


def _ended(at: float, who: Candidate, ending: Any, **rest: Any) -> AttemptEnded:
    return AttemptEnded(
        **{"at": at, "attempt": 1, "candidate": who, "ending": ending, "elapsed_s": 0.5, "need": NEED, "key": 0, **rest}
    )
