"""What a provider's error means.

A status code is the start of the answer and rarely the end: an empty account comes as 400, 402, 403 or 429, a prompt that
is too long as 400, 413 or 422, an overload as 429. So texts are looked at before the status, in a fixed order: texts that
mean rate limiting first, because "too many tokens" appears in both; then money; then length; then the status table.

Sources of the texts: the providers' own documentation and SDKs, as collected in the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import orjson

from engine import Failure
from policies import FailureKind

#: The most of an error body that is read, in bytes.
MAX_ERROR_BYTES = 64 * 1024
#: The most of a provider's text that is repeated to a person, in characters.
MAX_TEXT = 300

_BY_STATUS: dict[int, FailureKind] = {
    401: FailureKind.AUTH,
    402: FailureKind.QUOTA,
    403: FailureKind.AUTH,
    404: FailureKind.GONE,
    408: FailureKind.SERVER,
    409: FailureKind.SERVER,
    425: FailureKind.SERVER,
    429: FailureKind.RATE_LIMITED,
    498: FailureKind.OVERLOADED,
    503: FailureKind.OVERLOADED,
    529: FailureKind.OVERLOADED,
}

_RATE = re.compile(r"rate.?limit|tokens per (minute|day)|requests per|too many requests|tokens-per", re.I)
_MONEY = re.compile(
    r"credit.?balance|insufficient.?(quota|balance|credit|fund)|exceeded.?current.?quota|quota.?exceeded|"
    r"billing(?!-header)|"
    r"payment required|arrearage|out of credits|\b1113\b",
    re.I,
)
_TOO_LONG = re.compile(
    r"prompt is too long|context.?length.?exceeded|exceeds? the (available )?context|context window|"
    r"maximum context length|maximum prompt length|input (token count|token length|is too long)|input length(?! (and|or))|"
    r"reduce the length of the (messages|prompt)|exceeded model token limit|prompt (exceeds max length|too long|超长)|"
    r"prompt token count|max_new_tokens.{0,3}must be|"
    r"longer than the (maximum )?model.{0,20}length|range of input length|too large for model with|exceed_context_size|"
    r"tokens to keep from the initial prompt|token limit exceeded|prompt contains \d+ tokens",
    re.I,
)
_CAP = re.compile(
    r"max_(completion_)?tokens.{0,80}(maximum|too (large|high)|range|at most|exceed)|range of max_tokens|"
    r"maximum allowed number of output",
    re.I,
)
_DEGRADED = re.compile(r"degraded function|engine_overloaded|overloaded|loading model|model busy", re.I)
_NUMBERS = re.compile(r"(?<![\d.])\d[\d,]{2,11}(?![\d.]*\d)")
#: Where a text holds more than two numbers, the maximum is the one that stands like this.
_MAXIMUM = re.compile(r"(?:maximum[\w' ]* length (?:is|of)|must be <=|>|model with) (\d[\d,]{2,11})(?!\d)", re.I)


def classify(status: int, headers: Mapping[str, str], body: bytes, *, now_wall_s: float = 0.0) -> Failure:
    """The failure that an answer with an error status stands for. `headers` has lower-case names.

    `now_wall_s` (seconds since the epoch) turns a date in Retry-After into a wait.
    """
    text, message, native = _text(body, headers.get("content-type", ""))
    kind = _kind(status, text)
    return Failure(
        kind=kind,
        message=text[:MAX_TEXT] or f"status {status} without a text",
        status=status,
        retry_after_s=retry_after_s(headers, text, now_wall_s),
        body=body if native else None,
        native=native,
        upstream_id=headers.get("request-id") or headers.get("x-request-id"),
        tokens=_tokens(message) if kind is FailureKind.TOO_LONG else None,
    )


def _kind(status: int, text: str) -> FailureKind:
    rate = _RATE.search(text) is not None
    if status in (400, 402, 403, 429) and _MONEY.search(text) and not (rate and status == 429):
        return FailureKind.QUOTA
    if status in (400, 413, 422) and not rate:
        if "max_tokens" in text and _CAP.search(text) and not _TOO_LONG.search(text):
            return FailureKind.CAP
        if _TOO_LONG.search(text):
            return FailureKind.TOO_LONG
    if status == 413 and rate:
        return FailureKind.RATE_LIMITED
    if status in (400, 429) and _DEGRADED.search(text):
        return FailureKind.OVERLOADED
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return FailureKind.CLIENT if 400 <= status < 500 else FailureKind.SERVER


def _text(body: bytes, content_type: str) -> tuple[str, str, bool]:
    """The provider's words with its codes, the words alone, and whether they came as an Anthropic error object."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        if "html" in content_type or body.lstrip()[:1] == b"<":
            return "an HTML page instead of an answer", "", False
        text = " ".join(body.decode("utf-8", "replace").split())
        return text, text, False
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    if isinstance(error, str):
        return error, error, False
    if not isinstance(error, dict):
        return "", "", False
    parts = [
        str(error[k])
        for k in ("type", "code", "status", "message", "detail")
        if error.get(k) not in (None, "error", "")
    ]
    message = error.get("message")
    native = parsed.get("type") == "error" and isinstance(message, str) and isinstance(error.get("type"), str)
    return ": ".join(dict.fromkeys(parts)), str(message or error.get("detail") or ""), native


def _tokens(text: str) -> tuple[int, int] | None:
    """(needed, maximum) from a text that names both, in whatever order; a prompt and its answer may be told apart."""
    numbers = sorted({_whole(n) for n in _NUMBERS.findall(text)})
    if len(numbers) == 2:
        return numbers[1], numbers[0]
    found = _MAXIMUM.search(text)
    if found is None or len(numbers) < 2:
        return None
    maximum = _whole(found[1])
    others = [n for n in numbers if n != maximum]
    needed = max(others) if max(others) > maximum else sum(others)
    return (needed, maximum) if needed > maximum else None


def _whole(text: str) -> int:
    return int(text.replace(",", ""))


_TRY_AGAIN = re.compile(r"try again in (?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)(ms|s))?", re.I)


def retry_after_s(headers: Mapping[str, str], text: str = "", now_wall_s: float = 0.0) -> float | None:
    """How long the provider asks us to wait, in seconds, or None.

    The order of both official SDKs: `retry-after-ms`, `retry-after` as seconds, as a date; then the wording
    "try again in 1m2.5s".
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = _number(headers.get(name, ""))
        if value is not None and value >= 0:
            return value * unit_s
    date = headers.get("retry-after", "")
    if date and now_wall_s:
        try:
            return max(0.0, parsedate_to_datetime(date).timestamp() - now_wall_s)
        except (ValueError, OverflowError):
            pass
    match = _TRY_AGAIN.search(text)
    if match and (match[1] or match[2]):
        seconds = float(match[2] or 0) * (0.001 if match[3] and match[3].lower() == "ms" else 1.0)
        return _number(str(60.0 * float(match[1] or 0) + seconds))
    return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value and value != float("inf") else None
