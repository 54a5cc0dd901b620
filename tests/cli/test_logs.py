"""The log: facts for an operator, and nothing that a provider may have repeated of a prompt or a key."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from cli.logs import log_event
from engine import AttemptEnded, EngineEvent, Failure, RequestFinished
from policies import Candidate, FailureKind, Need

SECRET = "Invalid key sk-planted in request: my secret prompt"
A = Candidate("a", "m")


def failed(kind: FailureKind, status: int | None) -> AttemptEnded:
    failure = Failure(kind=kind, message=SECRET, status=status)
    return AttemptEnded(
        at=1.0,
        request_id="req_1",
        attempt=1,
        candidate=A,
        ending="failed",
        elapsed_s=1.0,
        need=Need(input_tokens=1),
        failure=failure,
    )


def finished(kind: FailureKind, status: int | None) -> RequestFinished:
    detail = str(Failure(kind=kind, message=SECRET, status=status))
    return RequestFinished(at=1.0, request_id="req_1", outcome="broken", candidate=A, detail=detail)


def logged(event: EngineEvent) -> dict[str, Any]:
    """The one record that is written of an event."""
    with capture_logs() as records:
        log_event(event)
    (record,) = records
    text = str(record)
    assert "planted" not in text
    assert "my secret" not in text
    return dict(record)


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("status", [None, 429])
def test_a_failure_is_told_by_kind_and_status(kind: FailureKind, status: int | None) -> None:
    """What the provider wrote stays out, for attempts and for whole turns."""
    words = f"{kind.value} (429)" if status else kind.value
    assert logged(failed(kind, status))["failure"] == words
    assert logged(finished(kind, status))["detail"] == words


def test_a_turn_that_went_well_has_no_detail() -> None:
    """Nothing happened, nothing is said."""
    told = logged(RequestFinished(at=1.0, request_id="req_1", outcome="answered", candidate=A, status=200))
    assert (told["outcome"], told["detail"]) == ("answered", "")
