"""The answer when nobody answered: a status that makes the client do the right thing, and a line a person can act on.

Passing on the last error is the usual way, and the last error is an accident. Claude Code gives up at once on some
statuses, retries ten times on others, and stops for good when told to wait more than sixty seconds; so the status says
whether waiting can help, `retry-after` stays within thirty seconds, and a permanent cause is marked as one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import orjson

from engine._ports import Fault, Refusal
from policies import VERDICTS, FailureKind, Next, Plan, Skip

#: The longest `retry-after` sent to a client, in seconds. 59 was honoured and 61 fatal, for every status tried.
MAX_RETRY_AFTER_S = 30

#: Error types as Anthropic names them (https://docs.claude.com/en/api/errors). It has none for 503, and `overloaded_error`
#: belongs to 529 alone: Claude Code goes by the type, and with an Opus model gives up after the third of those, whatever
#: the status (measured: 2.1.328 asks 3 times for a 503 with that type, 11 times for one with `api_error`).
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_type(status: int) -> str:
    """Anthropic's error type for a status."""
    return ERROR_TYPES.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")


def error_body(type: str, message: str, request_id: str) -> bytes:
    """An error as Anthropic words it."""
    return orjson.dumps({"type": "error", "error": {"type": type, "message": message}, "request_id": request_id})


#: What Claude Code mends by itself when it is told, or its user does.
_HEALED = frozenset([FailureKind.CAP, FailureKind.FIELD, FailureKind.FILTERED])
#: What no waiting mends, with the status that says so.
_PERMANENT = {FailureKind.AUTH: 401, FailureKind.QUOTA: 402, FailureKind.GONE: 404}


def exhausted(
    plan: Plan, faults: Sequence[Fault], skips: Sequence[Skip], waits_s: Sequence[float], length: tuple[int, int]
) -> Refusal:
    """The answer for a chain that is used up.

    `faults` are the attempts that failed, `skips` the candidates found busy at their launch, `waits_s` the seconds after
    which each candidate that may be asked again is back, `length` the prompt as estimated and the largest window, in tokens.
    """
    ours = _clients_fault(faults) or _too_long(faults)
    if ours is not None:
        return ours
    message = _explanation(plan, faults, skips)
    passed = (*plan.skipped, *skips)
    if not faults and passed and all(s.status == 413 for s in passed):
        return _prompt_too_long(*length)
    if not any(s.soft for s in passed) and all(f.failure.kind in _PERMANENT for f in faults):
        return _lasting(message, {_PERMANENT[f.failure.kind] for f in faults} | {s.status for s in passed if s.status})
    limited = all(f.failure.kind is FailureKind.RATE_LIMITED for f in faults)
    status = 429 if limited and (faults or _rate_limited(passed)) else 503
    return Refusal(
        status=status,
        type=error_type(status),
        message=message,
        retry_after_s=math.ceil(min(max(min(waits_s, default=1.0), 1), MAX_RETRY_AFTER_S)),
    )


def _lasting(message: str, statuses: set[int]) -> Refusal:
    """What no waiting mends: the true status where there is one, and no retry.

    A 503 never has the type `overloaded_error`: Claude Code retries that even where `x-should-retry` forbids it.
    """
    status = statuses.pop() if len(statuses) == 1 else 503
    return Refusal(status=status, type=error_type(status), message=message, should_retry=False)


def _rate_limited(skips: Sequence[Skip]) -> bool:
    soft = [s for s in skips if s.soft]
    return bool(soft) and all("rate" in s.reason for s in soft)


def _clients_fault(faults: Sequence[Fault]) -> Refusal | None:
    """A provider's own 4xx, unmodified: clients match its wording and heal themselves.

    A cap, a field or a text that one host refuses is the client's affair only where every host has refused one.
    """
    fault = next((f for f in faults if VERDICTS[f.failure.kind].next is Next.STOP), None)
    if fault is None and faults and all(f.failure.kind in _HEALED for f in faults):
        fault = faults[0]
    if fault is None:
        return None
    failure = fault.failure
    status = failure.status if failure.status and 400 <= failure.status < 500 else 400
    message = f"{fault.candidate}: {failure.message}"
    return Refusal(
        status=status, type=error_type(status), message=message, body=failure.body if failure.native else None
    )


def _too_long(faults: Sequence[Fault]) -> Refusal | None:
    """Every attempt failed on the length of the prompt: the wording that makes Claude Code compact the conversation."""
    if not faults or any(VERDICTS[f.failure.kind].next is not Next.BIGGER for f in faults):
        return None
    largest = max(faults, key=lambda f: f.failure.tokens[1] if f.failure.tokens else 0)
    if largest.failure.tokens is None:
        return Refusal(status=400, type=error_type(400), message="prompt is too long")
    return _prompt_too_long(*largest.failure.tokens)


def _prompt_too_long(needed: int, maximum: int) -> Refusal:
    """In Anthropic's own words: Claude Code compacts the conversation when it reads exactly these.

    An estimate, or a prompt that leaves no room for its answer, may be below the maximum; what is said is not.
    """
    message = f"prompt is too long: {max(needed, maximum + 1)} tokens > {maximum} maximum"
    return Refusal(status=400, type=error_type(400), message=message)


def _explanation(plan: Plan, faults: Sequence[Fault], skips: Sequence[Skip]) -> str:
    said = [f"{f.candidate}: {f.failure}" for f in faults]
    tried = {f.candidate for f in faults}
    passed: dict[str, str] = {}
    for skip in (*plan.skipped, *skips):
        if skip.candidate not in tried:
            back = f", back in {skip.wait_s:.0f} s" if skip.wait_s is not None else ""
            passed[str(skip.candidate)] = f"{skip.candidate}: {skip.reason}{back}"
    parts = [*said, *passed.values()]
    return "no candidate could answer: " + "; ".join(parts) if parts else "the chain has no candidate"


def with_headers(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """The headers that tell a client how to retry."""
    headers = []
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
    if refusal.should_retry is not None:
        headers.append((b"x-should-retry", b"true" if refusal.should_retry else b"false"))
    return headers


def timed_out(limit_s: float) -> Refusal:
    """The turn's own deadline passed before anybody had answered."""
    return Refusal(
        status=504,
        type=error_type(504),
        message=f"no answer within {limit_s:g} s (policy 'deadline', or {limit_s:g} s by default)",
        retry_after_s=1,
    )


def shutting_down() -> Refusal:
    """The server is stopping; another one, or this one again, will take the retry."""
    return Refusal(status=503, type=error_type(503), message="the server is shutting down", retry_after_s=2)
