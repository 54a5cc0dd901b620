"""The log: facts for an operator, and nothing that a provider may have repeated of a prompt or a key."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from cli.logs import configure_logs, log_access, log_event
from engine import AttemptEnded, EngineEvent, Failure, RequestFinished
from policies import Candidate, FailureKind, Need
from routes import Access

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


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_obeys_nothing_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, terminal: bool
) -> None:
    """A path is told even of those who have no token, and a model's name is the client's."""
    evil = "/\x1b]0;gone\x07\x1b[2J\x9b1m\u202e\n2026 [info] all is well"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr("cli.logs._log", structlog.get_logger())  # one remembers what it was configured with
    configure_logs("info")
    try:
        log_access(Access(request_id="req_1", method="GET", path=evil, status=401, elapsed_s=0.1))
    finally:
        structlog.reset_defaults()
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "\x1b]" not in written
    assert "\x1b[2J" not in written
    assert not set("\x07\x9b\u202e") & set(written)
    assert "u001b]0;gone" in written


def test_a_turn_that_went_well_has_no_detail() -> None:
    """Nothing happened, nothing is said."""
    told = logged(RequestFinished(at=1.0, request_id="req_1", outcome="answered", candidate=A, status=200))
    assert (told["outcome"], told["detail"]) == ("answered", "")
