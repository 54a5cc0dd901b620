"""The one currency from transport to client: pieces of a Messages stream, as bytes that are ready to go out.

The obvious currency is a class per event, parsed on the way in and serialised on the way out. Nearly all of a stream is
deltas that nobody looks at, so here an event carries its Server-Sent-Events bytes, and a payload only where structure
depends on it. A run of deltas that arrived in one read is one event.

What a transport hands over obeys the strict grammar: `message_start`, then blocks with consecutive indexes from 0, each
started, filled and stopped before the next starts, then `message_delta` and `message_stop`. Transports repair what their
providers send; the engine does not have to.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import Any

import attrs
import orjson

JSON = dict[str, Any]

#: What an event is charged at the least where memory is bounded, in bytes: the objects around a few bytes of JSON.
LEAST_SIZE = 512


class MalformedEvent(ValueError):
    """The bytes of a run of deltas hold something else. The data is not quoted."""


class Kind(enum.Enum):
    """What an event is. PING, PROGRESS and OTHER may stand anywhere; ERROR ends the stream."""

    MESSAGE_START = "message_start"
    BLOCK_START = "content_block_start"
    DELTAS = "content_block_delta"  #: one delta, or a run of deltas of one block
    BLOCK_STOP = "content_block_stop"
    MESSAGE_DELTA = "message_delta"
    MESSAGE_STOP = "message_stop"
    PING = "ping"
    PROGRESS = "progress"  #: the provider is at work on what its dialect still holds back: it goes to nobody
    ERROR = "error"
    OTHER = "other"  #: an event type this version does not know: relayed as it came


@attrs.define(eq=False)
class StreamEvent:
    """One event, or one run of deltas.

    `raw` is what goes to a streaming client. `payload` is the parsed data of everything but DELTAS. `content` says that
    DELTAS hold non-empty text or thinking, or that a BLOCK_START brings its content with it. `estimated` says that the
    token counts in it are ours, for want of the provider's.
    """

    kind: Kind
    raw: bytes
    payload: JSON = attrs.field(factory=dict)
    content: bool = False
    estimated: bool = False

    @property
    def size(self) -> int:
        """What holding this event costs, in bytes, for those who bound what they hold."""
        return max(len(self.raw), LEAST_SIZE)

    def payloads(self) -> Iterator[JSON]:
        """Every data object in `raw`, parsed: for those few who look into deltas (a JSON reply, a tool's arguments).

        Raises MalformedEvent for what is no delta: a run is relayed without being looked into.
        """
        if self.kind is not Kind.DELTAS:
            yield self.payload
            return
        for data in data_of(self.raw):
            try:
                payload = orjson.loads(data)
            except orjson.JSONDecodeError:
                raise MalformedEvent("a delta that is not JSON") from None
            if not isinstance(payload, dict) or not is_delta(payload.get("delta")):
                raise MalformedEvent("a malformed delta")
            yield payload


_DATA = re.compile(rb"^data: ?(.*)$", re.M)


def data_of(raw: bytes) -> list[bytes]:
    """What the frames in `raw` carry, unparsed."""
    return _DATA.findall(raw)


_TEXT_OR_NONE = (str, type(None))
_TEXTS = ("text", "thinking", "signature", "partial_json")


def is_delta(value: object) -> bool:
    """Whether `value` is an object whose texts, where it has any, are texts."""
    return isinstance(value, dict) and all(isinstance(value.get(name), _TEXT_OR_NONE) for name in _TEXTS)


def encoded(payload: JSON) -> bytes:
    """A payload as one Server-Sent-Events frame. Its `type` names the event."""
    return b"event: %s\ndata: %s\n\n" % (payload["type"].encode(), orjson.dumps(payload))


def event(payload: JSON, *, content: bool = False, estimated: bool = False) -> StreamEvent:
    """A payload as an event, with its bytes."""
    return StreamEvent(_KINDS.get(payload["type"], Kind.OTHER), encoded(payload), payload, content, estimated)


_KINDS = {kind.value: kind for kind in Kind if kind is not Kind.PROGRESS}

PING = event({"type": "ping"})
PROGRESS = StreamEvent(Kind.PROGRESS, b"")
#: What is held back is a tool call.
CALLING = StreamEvent(Kind.PROGRESS, b"", {"calling": True})
#: The provider has the request, and nothing of an answer yet.
WORKING = StreamEvent(Kind.PROGRESS, b"", {"producing": False})
MESSAGE_STOP = event({"type": "message_stop"})


def block_stop(index: int) -> StreamEvent:
    """The end of block `index`."""
    return event({"type": "content_block_stop", "index": index})


def error_event(type: str, message: str) -> StreamEvent:
    """An `error` event as Anthropic words it. Types: https://docs.claude.com/en/api/errors."""
    return event({"type": "error", "error": {"type": type, "message": message}})


@attrs.frozen(kw_only=True)
class Usage:
    """Tokens of one attempt. `reported` is False where we had to estimate."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reported: bool = False

    @classmethod
    def of(cls, *reports: JSON | None, estimated: bool = False) -> Usage:
        """From the `usage` objects of a stream; later reports are cumulative and overrule earlier ones.

        `estimated` says that the last word on them was not the provider's.
        """
        merged: JSON = {}
        for report in reports:
            merged |= {k: v for k, v in (report or {}).items() if is_count(v)}
        count = {name: merged.get(key, 0) for name, key in _USAGE_KEYS.items()}
        return cls(**count, reported=bool(merged) and not estimated)


NO_USAGE = Usage()


def is_count(value: object) -> bool:
    """Whether this is a number of tokens. A negative one would take back what others have cost; no sum of larger ones fits
    into a number of JSON's."""
    return type(value) is int and 0 <= value < 2**53


_USAGE_KEYS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_creation_input_tokens",
}
