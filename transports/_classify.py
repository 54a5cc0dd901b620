"""What a provider's error means.

A status code is the start of the answer and rarely the end: an empty account comes as 400, 402, 403 or 429, a prompt that
is too long as 400, 413 or 422, an overload as 429. So texts are looked at before the status, in a fixed order: texts that
mean rate limiting first, because "too many tokens" appears in both; then money; then length; then the status table.

A text that finds fault with the request quotes it, and a tool may have a property `billing_address`. What would rest a key
or count against a provider is therefore taken, under 400 and 422, from codes and from whole sentences of the provider's.

Sources of the texts: the providers' own documentation and SDKs, as collected in the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs
import orjson

from engine import Failure
from policies import FailureKind
from transports._quotas import quota_of
from transports._remedies import cap_in, fields_in, names_in, room_in
from transports._waits import retry_after_s

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

_RATE = re.compile(r"rate.?limit|throttl|tokens per (minute|day)|requests per|too many requests|tokens-per", re.I)
_MONEY = re.compile(
    r"credit.?balance|insufficient.?(quota|balance|credit|fund)|exceeded.?current.?quota|quota.?exceeded|"
    r"billing(?!-header)|"
    r"payment required|arrearage|out of credits",
    re.I,
)
_MONEY_CODES = frozenset(
    [
        "insufficient_quota",
        "insufficient_balance",
        "insufficient_credits",
        "credit_balance_exhausted",
        "exceeded_current_quota_error",
        "billing_error",
        "billing_not_active",
        "billing_hard_limit_reached",
        "payment_required",
        "arrearage",
        "1113",  # Z.ai: no balance; the next three: the plan's window is used up, or the plan has ended
        "1308",
        "1309",
        "1310",
    ]
)
#: Google: a key that is none comes as a 400, and so does one whose place or account may not ask.
_KEY_CODES = frozenset(["api_key_invalid", "api_key_expired", "failed_precondition"])
#: Google: the names of quotas that a wait of minutes does not fill again.
_LONG_QUOTA = re.compile(rb'"quotaId"\s*:\s*"[^"]*PerDay')
#: Codes of a host's own filter for what it is asked: Azure, OpenAI, Qwen, Z.ai.
_FILTERED = frozenset(
    ["content_filter", "content_policy_violation", "data_inspection_failed", "datainspectionfailed", "1301"]
)
#: Under these statuses a text may quote the request.
_QUOTING = frozenset([400, 422])
_MONEY_SENTENCE = re.compile(
    r"(your |the )?(account )?credit balance is too low|insufficient (account )?(quota|balance|credits?|funds?)\b|"
    r"you (have )?exceeded your current quota|payment required|you (have|are) (run )?out of credits",
    re.I,
)
_NATIVE_MONEY_SENTENCE = re.compile(r"your credit balance is too low", re.I)
_TOO_LONG = re.compile(
    r"prompt is too long|context.?length.?exceeded|exceeds? the (available )?context|context window|"
    r"maximum context length|maximum prompt length|input (token count|token length|is too long)|input length(?! (and|or))|"
    r"reduce the length of the (messages|prompt)|exceeded model token limit|prompt (exceeds max length|too long|超长)|"
    r"prompt token count|max_new_tokens.{0,3}must be|"
    r"longer than the (maximum )?model.{0,20}length|range of input length|too large for model with|exceed_context_size|"
    r"tokens to keep from the initial prompt|token limit exceeded|prompt contains \d+ tokens",
    re.I,
)
#: Ollama's older versions say it with a status of 500.
_OLLAMA_TOO_LONG = re.compile(r"(input|prompt).{0,20} exceeds (the )?(maximum )?context length", re.I)
_CAP = re.compile(
    r"max_?(completion_?|output_?)?tokens.{0,80}(maximum|too (large|high)|range|at most|exceed|less than or equal|must be)|"
    r"range of max_tokens|maximum allowed number of output",
    re.I,
)
_DEGRADED = re.compile(r"degraded function|engine_overloaded|overloaded|loading model|model busy", re.I)
#: What OpenAI says inside a stream where others answer 503.
_OVERLOADED_CODES = frozenset(["server_is_overloaded", "slow_down"])
_DEGRADED_CODES = _OVERLOADED_CODES | frozenset(
    ["overloaded_error", "engine_overloaded_error", "engine_overloaded", "overloaded", "1305", "1312"]  # the last: Z.ai
)
_DEGRADED_SENTENCE = re.compile(r"(Function id '[^']*': )?DEGRADED function")
#: Under these statuses a host may refuse a field of the request. 404: OpenRouter has nobody who takes it.
_NAMING = frozenset([400, 404, 422])
_MAY_NAME = frozenset([FailureKind.CLIENT, FailureKind.CAP, FailureKind.GONE, FailureKind.FIELD])
_REDIRECTS = frozenset([301, 302, 303, 307, 308])
_NUMBERS = re.compile(r"(?<![\d.])\d[\d,]{2,11}(?![\d.]*\d)")
#: No model's window is smaller, in tokens.
LEAST_WINDOW = 1024
#: Where a text holds more than two numbers, the maximum is the one that stands like this.
_MAXIMUM = re.compile(r"(?:maximum[\w' ]* length (?:is|of)|must be <=|>|model with) (\d[\d,]{2,11})(?!\d)", re.I)


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now_wall_s: float = 0.0,
    sent: Collection[str] = (),
    max_tokens: int | None = None,
) -> Failure:
    """The failure that an answer with an error status stands for. `headers` has lower-case names.

    `now_wall_s` (seconds since the epoch) turns a date in Retry-After into a wait. `sent` names the fields that the
    request can do without, `max_tokens` is the length of answer that was asked for.
    """
    words = _words(body, headers.get("content-type", ""))
    kind = _kind(status, words)
    retry_s = retry_after_s(headers, words.text, now_wall_s, body)
    if status == 429 and "resource_exhausted" in words.codes:
        # The same sentence speaks of plan and billing for a minute's quota and for a day's; only the quota's name tells.
        # The wait beside it is that of the minute, whichever is used up.
        day = _LONG_QUOTA.search(body) is not None
        kind, retry_s = (FailureKind.QUOTA, None) if day else (FailureKind.RATE_LIMITED, retry_s)
    room = room_in(words.text) if kind in (FailureKind.CAP, FailureKind.TOO_LONG) else None
    tokens = _tokens(words.message) if kind is FailureKind.TOO_LONG else None
    window = _window(words.message) if kind is FailureKind.TOO_LONG else None
    cap: int | None = None
    if room is not None:
        window = room.window
        kind = FailureKind.RESERVE if room.enough else FailureKind.TOO_LONG
        cap = room.left if room.enough else None
        tokens = (room.prompt + room.asked, room.window)
    elif kind is FailureKind.CAP:
        cap = cap_in(words.message, max_tokens)
    fields: frozenset[str] = frozenset()
    if status in _NAMING and kind in _MAY_NAME:
        fields = fields_in(words.text, sent, words.names)
        kind = FailureKind.FIELD if fields else kind
    text = words.text or f"status {status} without a text"
    if status in _REDIRECTS:
        text = _redirect(headers.get("location", ""))
    return Failure(
        kind=kind,
        message=text[:MAX_TEXT],
        status=status,
        retry_after_s=retry_s,
        body=body if words.native else None,
        native=words.native,
        upstream_id=headers.get("request-id") or headers.get("x-request-id"),
        tokens=tokens,
        cap=cap,
        window=window,
        fields=fields,
        quota=quota_of(headers, now_wall_s),
    )


#: What an error inside an answer with status 200 may mean; whatever else it says, it is an error in the stream.
_IN_STREAM = frozenset(
    [FailureKind.TOO_LONG, FailureKind.RATE_LIMITED, FailureKind.QUOTA, FailureKind.AUTH, FailureKind.FILTERED]
)


def classify_in_stream(payload: Mapping[str, Any]) -> Failure:
    """The failure that an error stands for which comes with status 200, before any content.

    `payload` is the whole object, in the provider's form or as an `error` event; `upstream` holds the provider's own.
    """
    error = payload.get("upstream") or payload.get("error", payload)
    code = (error.get("status_code") or error.get("code")) if isinstance(error, dict) else None
    try:
        body = orjson.dumps({"error": error})
    except orjson.JSONEncodeError:  # nested deeper than is written
        return Failure(
            kind=FailureKind.ERROR_EVENT, message="an error that is nested too deeply to be read", status=200
        )
    stated = int(str(code)) if re.fullmatch(r"[45]\d\d", str(code)) else None
    # One that states no status is judged by its words alone, those of a long prompt among them.
    status = stated or (429 if _RATE.search(body.decode()) else 400)
    failure = classify(status, {"content-type": "application/json"}, body)
    known = failure.kind in _IN_STREAM or (failure.kind is FailureKind.OVERLOADED and _is_overload(error))
    kind = failure.kind if known else FailureKind.ERROR_EVENT
    return attrs.evolve(failure, kind=kind, status=200, body=None, native=False)


def _is_overload(error: object) -> bool:
    code = error.get("code") if isinstance(error, dict) else None
    return isinstance(code, str) and code in _OVERLOADED_CODES


@attrs.frozen
class _Words:
    """What a provider said: its words with its codes, the words alone, the codes in lower case.

    `native` is for an Anthropic error object.
    """

    text: str = ""
    message: str = ""
    codes: frozenset[str] = frozenset()
    native: bool = False
    #: Fields that the error names apart from its words.
    names: frozenset[str] = frozenset()


def _kind(status: int, words: _Words) -> FailureKind:
    text = words.text
    if status in _QUOTING and words.codes & _FILTERED:
        return FailureKind.FILTERED
    rate = _RATE.search(text) is not None
    if status in (400, 402, 403, 422, 429) and _money(status, words) and not (rate and status == 429):
        return FailureKind.QUOTA
    if status in (400, 413, 422) and not rate:
        if _CAP.search(text) and not _TOO_LONG.search(text):
            return FailureKind.CAP
        if _TOO_LONG.search(text):
            return FailureKind.TOO_LONG
    if status == 400 and words.codes & _KEY_CODES:
        return FailureKind.AUTH
    if status == 500 and _OLLAMA_TOO_LONG.search(text):
        return FailureKind.TOO_LONG
    if words.codes & _BAD_GENERATION:
        return FailureKind.MALFORMED
    if status == 404 and _NO_ENDPOINT.search(text):
        return FailureKind.FIELD
    if status == 413 and rate:
        return FailureKind.TOO_LONG if _beyond_a_minute(text) else FailureKind.RATE_LIMITED
    if status in (400, 422, 429) and _degraded(status, words):
        return FailureKind.OVERLOADED
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return FailureKind.CLIENT if 400 <= status < 500 else FailureKind.SERVER


#: Groq: what the model wrote was no call, or no JSON. Another may do better.
_BAD_GENERATION = frozenset(["tool_use_failed", "json_validate_failed"])
#: OpenRouter: nobody there takes what this one request has. The model is there all the same.
_NO_ENDPOINT = re.compile(r"no endpoints found that (support|can handle)", re.I)
#: Groq's refusal of one request that is larger than what a whole minute allows: no waiting mends that.
_MINUTE = re.compile(r"Limit (\d[\d,]*), Requested (\d[\d,]*)")


def _beyond_a_minute(text: str) -> bool:
    found = _MINUTE.search(text)
    return found is not None and _whole(found[2]) > _whole(found[1])


def _money(status: int, words: _Words) -> bool:
    if words.codes & _MONEY_CODES:
        return True
    if status not in _QUOTING:
        return _MONEY.search(words.text) is not None
    sentence = _NATIVE_MONEY_SENTENCE if words.native else _MONEY_SENTENCE
    return sentence.match(words.message) is not None


def _degraded(status: int, words: _Words) -> bool:
    if words.codes & _DEGRADED_CODES:
        return True
    if status not in _QUOTING:
        return _DEGRADED.search(words.text) is not None
    return _DEGRADED_SENTENCE.match(words.message) is not None


def _redirect(location: str) -> str:
    """Only the host is named: the rest of an address may hold what is nobody's business."""
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    return f"redirects to another address{f' on {host}' if host else ''}, which is not followed"


def _words(body: bytes, content_type: str) -> _Words:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        if "html" in content_type or body.lstrip()[:1] == b"<":
            return _Words("an HTML page instead of an answer")
        text = " ".join(body.decode("utf-8", "replace").split())
        return _Words(text, text)
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    if isinstance(error, dict) and isinstance(base := error.get("base_resp"), dict):  # MiniMax
        error = {"code": base.get("status_code"), "message": base.get("status_msg"), **error}
    if isinstance(error, str):
        return _Words(error, error)
    if not isinstance(error, dict):
        return _Words()
    given = {k: str(error[k]) for k in ("type", "code", "status", "message", "detail") if error.get(k)}
    message = error.get("message")
    return _Words(
        ": ".join(dict.fromkeys(text for text in given.values() if text != "error")),
        given.get("message") or given.get("detail", ""),
        frozenset(given[k].lower() for k in ("type", "code", "status") if k in given) | _reasons(error),
        native=parsed.get("type") == "error" and isinstance(message, str) and isinstance(error.get("type"), str),
        names=names_in(error),
    )


def _reasons(error: Mapping[str, Any]) -> frozenset[str]:
    """The reasons that Google gives apart from the status, in lower case."""
    details = error.get("details")
    reasons = [one.get("reason") for one in (details if isinstance(details, list) else ()) if isinstance(one, dict)]
    return frozenset(reason.lower() for reason in reasons if isinstance(reason, str))


def _tokens(text: str) -> tuple[int, int] | None:
    """(needed, maximum) from a text that names both, in whatever order; a prompt and its answer may be told apart.

    Smaller numbers than `LEAST_WINDOW` are a status, a version or the size of a model.
    """
    numbers = sorted({n for found in _NUMBERS.findall(text) if (n := _whole(found)) >= LEAST_WINDOW})
    maximum = _window(text)
    if maximum is None:
        return (numbers[1], numbers[0]) if len(numbers) == 2 else None
    others = [n for n in numbers if n != maximum]
    if not others:
        return None
    needed = max(others) if max(others) > maximum else sum(others)
    return (needed, maximum) if needed > maximum else None


def _window(text: str) -> int | None:
    """The window that a text names as one, in tokens. From this alone a window is learned."""
    found = _MAXIMUM.search(text)
    window = _whole(found[1]) if found else 0
    return window if window >= LEAST_WINDOW else None


def _whole(text: str) -> int:
    return int(text.replace(",", ""))
