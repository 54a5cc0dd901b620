"""What an event, an item or a whole response says: errors, counts, texts and ends.

Hosts put an error flat into the event, into an object of its own, or into the response; they name an end by the event's
type, by the response's status, or by both and differently. Each question is one function here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

from engine import JSON
from transports.translate._texts import well_written

End = Literal["completed", "incomplete", "failed"]
#: Event types, and the statuses of a whole response, that are an end.
ENDS: Mapping[str, End] = MappingProxyType(
    {
        "response.completed": "completed",
        "response.done": "completed",
        "response.incomplete": "incomplete",
        "response.failed": "failed",
        "response.cancelled": "failed",
    }
)
_STATUSES: Mapping[str, End] = MappingProxyType(
    {"completed": "completed", "incomplete": "incomplete", "failed": "failed", "cancelled": "failed"}
)
_WORST_FIRST: tuple[End, ...] = ("failed", "incomplete", "completed")
#: Why an answer is incomplete -> Anthropic's stop reason. Cut for a reason that is not named it is cut all the same.
_CUT_BY: Mapping[str, str] = MappingProxyType({"max_output_tokens": "max_tokens", "content_filter": "refusal"})
_WORDLESS = "an error without a text"
#: What stands beside an error and says which one it is.
_CODES = ("code", "status", "status_code")


def end_of(response: JSON, said: End | None = None) -> End | None:
    """How a response ended, by its status or as the event has `said`; the worse of two. None where it has not."""
    stated = response.get("status")
    ends = (_STATUSES.get(stated) if isinstance(stated, str) else None, said)
    return next((end for end in _WORST_FIRST if end in ends), None)


def cut_by(response: JSON) -> str:
    """The stop reason of an incomplete response."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else details
    return _CUT_BY.get(reason, "max_tokens") if isinstance(reason, str) else "max_tokens"


def error_of(payload: JSON, fallback: str = _WORDLESS) -> JSON:
    """The error that an event or a response brings, in the host's own fields, with a text in `message`."""
    given = payload.get("error")
    if not given:
        details = payload.get("incomplete_details")
        given = {k: v for k, v in payload.items() if k in ("message", "param", "detail", *_CODES)}
        given |= {"detail": details.get("reason")} if isinstance(details, dict) and not given.get("detail") else {}
    if isinstance(given, list) and given:
        given = given[0]
    given = given if isinstance(given, dict) else {"message": given}
    out = {**{name: payload[name] for name in _CODES if isinstance(payload.get(name), str | int)}, **given}
    if type(status := out.get("status")) is int:
        out.setdefault("status_code", status)
    texts = (out.get(name) for name in ("message", "detail", "msg"))
    message = next((text for text in texts if text and isinstance(text, str)), fallback)
    return {"message": message} if well_written(out) is None else {**out, "message": message}


def tokens_of(usage: Any) -> JSON:
    """Usage as Anthropic counts: input, cache reads and cache writes add up to the prompt.

    `input_tokens` holds the cached ones here. Where more is cached than prompted, the host has taken them out already.
    """
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("input_tokens_details")
    details = details if isinstance(details, dict) else {}
    prompt, read, written = (
        _count(value)
        for value in (usage.get("input_tokens"), details.get("cached_tokens"), details.get("cache_write_tokens"))
    )
    fresh = prompt - read - written
    return {
        "input_tokens": prompt if fresh < 0 else fresh,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": _count(usage.get("output_tokens")),
    }


def texts_in(parts: Any) -> Iterator[tuple[str, str]]:
    """The texts of a list of parts, or of the one text in its place, each with the part's type."""
    if isinstance(parts, str) and parts:
        yield "", parts
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, str):
            yield "", part
        elif isinstance(part, dict):
            kind, text = string(part.get("type")), text_in(part)
            if text:
                yield kind, text


def text_in(part: JSON) -> str:
    """The text of one part, a refusal's among them."""
    return string(part.get("refusal") if part.get("type") == "refusal" else part.get("text"))


def index_in(payload: JSON, *names: str) -> int:
    """The first of these numbers that an event has, 0 where it has none."""
    return next((payload[name] for name in names if type(payload.get(name)) is int), 0)


def arguments_in(value: Any) -> str | None:
    """A call's arguments as text; None for none, or for an object that is nested too deeply."""
    if isinstance(value, dict):
        written = well_written(value)
        return None if written is None else written.decode()
    return value if isinstance(value, str) else None


def string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return int(value) if type(value) in (int, float) and 0 <= value < 2**53 else 0
