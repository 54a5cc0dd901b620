"""What a client is told when nobody answers: every kind of failure, alone and beside every state of the other candidate."""

from __future__ import annotations

from typing import Any

import pytest

from engine._failure import Failure
from engine._ports import Fault, Refusal
from engine._refusals import MAX_RETRY_AFTER_S, error_type, exhausted, with_headers
from policies import Candidate, FailureKind, Plan, Skip

A, B = Candidate("a", "m"), Candidate("b", "m")
LENGTH = (900, 800)


def fault(kind: FailureKind, who: Candidate = A, **rest: Any) -> Fault:
    return Fault(candidate=who, failure=Failure(kind=kind, message="said", **rest))


def told(faults: list[Fault], skips: list[Skip], waits_s: list[float]) -> Refusal:
    return exhausted(Plan(chain=(A, B)), faults, skips, waits_s, LENGTH)


#: One failure by itself: status, type, retry-after in seconds where its candidate is back in 7, x-should-retry.
ALONE: dict[FailureKind, tuple[int, str, int | None, bool | None]] = {
    FailureKind.CONNECT: (503, "api_error", 7, None),
    FailureKind.RESET: (503, "api_error", 7, None),
    FailureKind.CONNECT_TIMEOUT: (503, "api_error", 7, None),
    FailureKind.FIRST_CONTENT_TIMEOUT: (503, "api_error", 7, None),
    FailureKind.IDLE_TIMEOUT: (503, "api_error", 7, None),
    FailureKind.SERVER: (503, "api_error", 7, None),
    FailureKind.OVERLOADED: (503, "api_error", 7, None),
    FailureKind.RATE_LIMITED: (429, "rate_limit_error", 7, None),
    FailureKind.QUOTA: (402, "billing_error", None, False),
    FailureKind.AUTH: (401, "authentication_error", None, False),
    FailureKind.ERROR_EVENT: (503, "api_error", 7, None),
    FailureKind.EMPTY: (503, "api_error", 7, None),
    FailureKind.MALFORMED: (503, "api_error", 7, None),
    FailureKind.TOO_LONG: (400, "invalid_request_error", None, None),
    FailureKind.RESERVE: (400, "invalid_request_error", None, None),
    FailureKind.CAP: (400, "invalid_request_error", None, None),
    FailureKind.FIELD: (400, "invalid_request_error", None, None),
    FailureKind.FILTERED: (400, "invalid_request_error", None, None),
    FailureKind.CLIENT: (400, "invalid_request_error", None, None),
    FailureKind.GONE: (404, "not_found_error", None, False),
    FailureKind.DEADLINE: (400, "invalid_request_error", None, None),
    FailureKind.BUG: (503, "api_error", 7, None),
}
#: How the other candidate may stand, and what then becomes of a failure that lasts and of one that does not: the statuses.
BESIDE: dict[str, tuple[Skip, int | None, int]] = {
    "blocked": (Skip(candidate=B, by="silent-skip", reason="rate limited", wait_s=9.0), 503, 503),
    "window full": (Skip(candidate=B, by="scope", reason="rate window full", wait_s=9.0), 503, 503),
    "no slot": (Skip(candidate=B, by="scope", reason="no free concurrency slot", wait_s=1.0), 503, 503),
    "queue full": (Skip(candidate=B, by="queue", reason="too many requests wait for it", wait_s=5.0), 503, 503),
    "breaker open": (Skip(candidate=B, by="breaker", reason="breaker open", wait_s=30.0), 503, 503),
    "keys refused": (Skip(candidate=B, by="keys", reason="every key was refused", status=401), None, 503),
    "keys mixed": (Skip(candidate=B, by="keys", reason="of 2 keys 1 was refused", status=503), 503, 503),
    "not set up": (Skip(candidate=B, by="unconfigured", reason="B_KEY is not set"), None, 503),
    "no tools": (Skip(candidate=B, by="require-capability", reason="no tools"), None, 503),
}
LASTING = (FailureKind.AUTH, FailureKind.QUOTA, FailureKind.GONE)
TRANSIENT = (FailureKind.SERVER, FailureKind.RESET, FailureKind.OVERLOADED)


def test_every_kind_of_failure_has_a_row() -> None:
    """One that is added needs an answer of its own."""
    assert set(ALONE) == set(FailureKind)


@pytest.mark.parametrize("kind", FailureKind, ids=lambda kind: kind.value)
def test_one_failure_alone(kind: FailureKind) -> None:
    """Status and type, when to come again, and whether at all."""
    got = told([fault(kind)], [], [7.0] if ALONE[kind][2] else [])
    assert (got.status, got.type, got.retry_after_s, got.should_retry) == ALONE[kind]


@pytest.mark.parametrize("state", BESIDE)
@pytest.mark.parametrize("kind", [*LASTING, *TRANSIENT], ids=lambda kind: kind.value)
def test_a_failure_beside_somebody_who_was_not_asked(kind: FailureKind, state: str) -> None:
    """What lasts is said to last only where nobody is merely busy, and with a status of its own only where it has one."""
    skip, lasting, transient = BESIDE[state]
    got = told([fault(kind)], [skip], [7.0])
    expected = transient if kind in TRANSIENT else ALONE[kind][0] if lasting is None else lasting
    if state == "keys refused" and kind in LASTING:
        expected = 401 if kind is FailureKind.AUTH else 503
    assert got.status == expected
    lasts = kind in LASTING and not skip.soft
    assert (got.should_retry, got.retry_after_s) == ((False, None) if lasts else (None, 7))
    assert str(A) in got.message
    assert skip.reason in got.message


@pytest.mark.parametrize("state", BESIDE)
def test_nobody_was_asked(state: str) -> None:
    """429 where limits are all there is, 503 elsewhere; the status of a cause that lasts."""
    skip, _, _ = BESIDE[state]
    got = told([], [skip], [skip.wait_s] if skip.wait_s else [])
    limited = state in ("blocked", "window full")
    assert got.status == (429 if limited else 401 if state == "keys refused" else 503)
    assert got.should_retry is (None if skip.soft else False)


@pytest.mark.parametrize(("waits_s", "retry_after_s"), [([], 1), ([0.0], 1), ([0.2, 9.0], 1), ([6.2], 7), ([1e9], 30)])
def test_when_to_come_again_is_when_the_first_is_back(waits_s: list[float], retry_after_s: int) -> None:
    """Rounded up, at least one second, and never so long that the client gives up for it."""
    assert told([fault(FailureKind.SERVER)], [], waits_s).retry_after_s == retry_after_s <= MAX_RETRY_AFTER_S


def test_an_overload_of_ours_never_has_the_type_that_ends_a_turn() -> None:
    """Claude Code counts three `overloaded_error`s with an Opus model, whatever their status."""
    assert error_type(503) == "api_error"
    assert error_type(529) == "overloaded_error"


def test_headers_say_what_the_refusal_says() -> None:
    """Each only where there is something to say."""
    assert with_headers(told([fault(FailureKind.SERVER)], [], [7.0])) == [(b"retry-after", b"7")]
    assert with_headers(told([fault(FailureKind.AUTH)], [], [])) == [(b"x-should-retry", b"false")]
