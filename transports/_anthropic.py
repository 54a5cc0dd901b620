"""Anthropic Messages: what goes out, and a strict stream out of whatever comes back.

"It is the same format, so pass it through" holds for Anthropic and for nobody else. Hosts that speak this wire open a block
before they have closed the last, append OpenAI's `[DONE]`, leave out `message_stop`, skip indexes, or send one whole JSON
message where a stream was asked for. What is well-formed is relayed byte for byte; what is not is put right here, so that
everything to the left of this module sees the strict grammar. Sans-I/O.

Blocks are kept in lanes. The first lane is live. A block that begins while the live one is text or thinking ends it; while
the live one is a tool call, whose halves cannot be told apart later, the newcomer waits in a lane of its own. The
`message_delta` is held until the message is over, since some hosts send several, or more content after one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import orjson

from engine import (
    JSON,
    LEAST_SIZE,
    MESSAGE_STOP,
    PING,
    Kind,
    StreamEvent,
    block_stop,
    encoded,
    error_event,
    event,
    is_count,
    is_delta,
)
from transports._blocks import Lane, brings_content, taken_apart
from transports._sse import Frame, SSEDecoder, split

#: A block of this type begins where a delta of that type comes for a block that never began, or is over.
_BLOCK_FOR_DELTA: dict[str, JSON] = {
    "text_delta": {"type": "text", "text": ""},
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
}
_TEXT_OF_DELTA = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
_DELTA = b"event: content_block_delta\ndata: {"
_NO_USAGE = {"input_tokens": 0, "output_tokens": 0}
_COUNTS = frozenset(["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"])
#: An event's type becomes a line of the stream that goes out, so it must not be able to end that line.
_TYPE = re.compile(r"[\w.-]+", re.ASCII)

#: What may wait for its turn in one message, in bytes; each event counts for at least `LEAST_SIZE`. As much as the engine
#: holds of a tool call.
MAX_WAITING_BYTES = 32 * 1024 * 1024
#: Blocks that may wait behind an open tool call. Parallel calls of one turn are a handful.
MAX_WAITING_BLOCKS = 128
#: Unknown events that are relayed before there is content, in bytes counted likewise; the rest of them is dropped.
MAX_UNKNOWN_BYTES = 1024 * 1024
#: Fields of all the `message_delta` events of a message together.
MAX_ENDING_FIELDS = 256


class StreamError(ValueError):
    """The provider broke its own wire format beyond repair."""

    bad_call = False


class BadArguments(StreamError):
    """What broke it is a tool call, its arguments or the want of a name: the model's fault rather than the host's."""

    bad_call = True


class _Unreadable(StreamError):
    """A frame that holds no event."""


class AnthropicDecoder:
    """Event-stream bytes to strict stream events. `estimate` stands in for an input count that is missing or zero."""

    def __init__(self, *, model: str = "", message_id: str = "msg_unnamed", estimate: int = 0) -> None:
        self._sse = SSEDecoder()
        self._model = model
        self._message_id = message_id
        self._estimate = estimate
        self._lanes: list[Lane] = []
        self._next = 0
        self._started = False
        self._called = False  # a call that the provider itself has finished
        self._content = False
        self._frame_size = 0
        self._waiting = 0
        self._unknown = 0
        self._ending: tuple[JSON, bytes | None] | None = None  # the message_delta so far, raw where one came alone
        self._done = False
        self.complete = False  #: the message came to its proper end, with something in it
        self._run: bytes | None = None  # what a delta of the live block holds, where indexes agree

    @property
    def ended(self) -> bool:
        """Whether the host has said that the message is over; `message_stop` may still come."""
        over = self._ending is not None and self._ending[0]["delta"].get("stop_reason") is not None
        return self._done or (over and all(lane.stopped for lane in self._lanes))

    @property
    def settled(self) -> bool:
        return self.ended

    @property
    def began(self) -> bool:
        """Whether anything has been given out that may have been shown."""
        return self._content

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes. Raises StreamError, SSEError."""
        piece = self._sse.take(chunk)
        if not piece:
            return []
        run = self._as_run(piece)
        if run is not None:
            return [run]
        return self._frames(split(piece))

    def finish(self) -> list[StreamEvent]:
        """The stream is over. A message that had its stop reason is complete without `message_stop`."""
        out = self._frames(self._sse.finish())
        if not self._done and self._ending is not None and self._ending[0]["delta"].get("stop_reason") is not None:
            with _reading("message_delta event"):
                out += self._stop({"type": "message_stop"})
        return out

    def whole(self, message: JSON) -> list[StreamEvent]:
        """A JSON message, given where a stream was asked for, as the events it stands for. Raises StreamError."""
        content = message.get("content")
        if message.get("type") != "message" or not isinstance(content, list):
            raise StreamError("a JSON answer that is not a message")
        with _reading("message"):
            return self._whole(message, content)

    def _whole(self, message: JSON, content: list[JSON]) -> list[StreamEvent]:
        out = self._message_start({"message": message})
        for index, block in enumerate(content):
            empty, deltas = taken_apart(block)
            out += self._block_start({"index": index, "content_block": empty})
            for delta in deltas:
                out += self._delta({"type": "content_block_delta", "index": index, "delta": delta})
            out += self._block_stop({"index": index})
        stop = {"stop_reason": message.get("stop_reason"), "stop_sequence": message.get("stop_sequence")}
        out += self._message_delta({"type": "message_delta", "delta": stop, "usage": message.get("usage")})
        return out + self._stop({"type": "message_stop"})

    def _as_run(self, piece: bytes) -> StreamEvent | None:
        """Deltas of the live block and nothing else, as one event, without looking into them.

        Counts that must agree: frames of three lines, delta events, indexes, mentions of the live index, ends of an object
        in an object. A quote or a line feed inside a JSON string is escaped, so no text can pretend to be any of them.
        """
        if self._run is None or not piece.startswith(_DELTA):
            return None
        frames = piece.count(b"\n\n")
        if piece.count(b"\n\n" + _DELTA) != frames - 1 or piece.count(b"\n") != 3 * frames or b"\r" in piece:
            return None
        of_live = piece.count(self._run + b",") + piece.count(self._run + b"}")
        if of_live != frames or piece.count(b'"index":') != frames or piece.count(b"}}\n\n") != frames:
            return None
        if not (piece.isascii() or _is_text(piece)):
            return None
        self._lanes[0].filled = True
        return StreamEvent(Kind.DELTAS, piece, content=self._lanes[0].divisible)

    def _frames(self, frames: Iterable[Frame]) -> list[StreamEvent]:
        out: list[StreamEvent] = []
        for frame in frames:
            if self._done:
                break
            try:
                out += self._frame(frame)
            except _Unreadable:
                if not self.ended:
                    raise
                # What cannot be read behind the end of a message does not undo it.
        return out

    def _frame(self, frame: Frame) -> list[StreamEvent]:
        if frame.data == b"[DONE]":
            return []
        try:
            payload = orjson.loads(frame.data)
        except orjson.JSONDecodeError:
            raise _Unreadable("an event whose data is not JSON") from None
        if not isinstance(payload, dict):
            raise _Unreadable("an event whose data is not an object")
        name = frame.event.decode("utf-8", "replace")
        kind = payload.get("type") or name
        if not isinstance(kind, str):
            raise StreamError("an event whose type is not a string")
        if kind and not _TYPE.fullmatch(kind):
            raise StreamError("an event whose type is not a name")
        raw = frame.raw if name == payload.get("type") else None  # clients go by the one or by the other
        payload["type"] = kind
        self._frame_size = len(frame.data)
        with _reading(f"{kind} event"):
            return _HANDLERS.get(kind, AnthropicDecoder._other)(self, payload, raw)

    # One method per event of the wire. `raw` is the frame as received where it may be relayed as it is.

    def _message_start(self, payload: JSON, raw: bytes | None = None) -> list[StreamEvent]:
        if self._started:
            return []
        self._started = True
        theirs = payload["message"]
        usage = {**_NO_USAGE, **{k: v for k, v in _believed(theirs.get("usage") or {}).items() if v is not None}}
        read = usage.get("cache_read_input_tokens", 0), usage.get("cache_creation_input_tokens", 0)
        estimated = not any((usage["input_tokens"], *read))
        if estimated:
            usage["input_tokens"] = self._estimate
        message = {
            **theirs,
            "id": theirs.get("id") or self._message_id,
            "type": "message",
            "role": "assistant",
            "model": self._model or theirs.get("model") or "unknown",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        if raw is not None and message == theirs:
            return [StreamEvent(Kind.MESSAGE_START, raw, payload)]
        return [event({"type": "message_start", "message": message}, estimated=estimated)]

    def _block_start(self, payload: JSON, raw: bytes | None = None) -> list[StreamEvent]:
        out = self._ensure_started()
        theirs, block = payload["index"], payload["content_block"]
        if not isinstance(block, dict) or type(theirs) is not int:
            raise StreamError("a malformed content_block_start event")
        if block.get("type") == "tool_use" and not (isinstance(block.get("name"), str) and block["name"]):
            raise StreamError("a tool call without a name")
        while self._lanes and self._lanes[0].divisible:
            out += self._end_live()
        lane = Lane(theirs, self._next, block)
        self._next += 1
        self._lanes.append(lane)
        if lane is self._lanes[0]:
            out.append(self._started_lane(lane, raw))
        else:
            self._wait(lane)
        self._run = None  # the newcomer may bear the live one's index
        return out

    def _delta(self, payload: JSON, raw: bytes | None = None) -> list[StreamEvent]:
        index, delta = payload["index"], payload["delta"]
        if not is_delta(delta):
            raise StreamError("a malformed content_block_delta event")
        lane = next((lane for lane in reversed(self._lanes) if lane.theirs == index and not lane.stopped), None)
        if lane is not None and lane is self._lanes[0]:
            return [self._shown_delta(lane, payload, raw)]
        if lane is not None:
            lane.deltas.append(delta)
            self._wait(lane)
            return []
        kind = delta.get("type")
        empty = kind in _TEXT_OF_DELTA and not delta.get(_TEXT_OF_DELTA[kind])
        if empty or kind == "signature_delta":
            return []  # nothing in it, or a signature whose block is over
        if kind not in _BLOCK_FOR_DELTA:
            raise StreamError("a delta for a block that never began")
        return self._block_start({"index": index, "content_block": dict(_BLOCK_FOR_DELTA[kind])}) + self._delta(payload)

    def _block_stop(self, payload: JSON, raw: bytes | None = None) -> list[StreamEvent]:
        index = payload["index"]
        lane = next((lane for lane in self._lanes if lane.theirs == index and not lane.stopped), None)
        if lane is None:
            return []
        lane.stopped = True
        self._called = self._called or lane.block.get("type") == "tool_use"
        return self._end_live(raw) if lane is self._lanes[0] else []

    def _message_delta(self, payload: JSON, raw: bytes | None = None) -> list[StreamEvent]:
        """Held until the end. Of several the later values stand, except that none is taken back by a null."""
        out = self._ensure_started()
        delta, given = payload.get("delta") or {}, payload.get("usage") or {}
        usage = _believed(given)
        if usage != given or not delta.keys() >= {"stop_reason", "stop_sequence"} or usage.get("output_tokens") is None:
            raw = None
        if self._ending is not None:
            before, raw = self._ending[0], None
            delta = {**before["delta"], **{k: v for k, v in delta.items() if v is not None}}
            usage = {**before["usage"], **{k: v for k, v in usage.items() if v is not None}}
            payload = {**before, **payload}
            self._waiting += self._frame_size
            fields = len(payload) + len(delta) + len(usage)
            if self._waiting > MAX_WAITING_BYTES or fields > MAX_ENDING_FIELDS:
                raise StreamError("message_delta events without end")
        if raw is None:
            delta = {"stop_reason": None, "stop_sequence": None, **delta}
            usage = {**usage, "output_tokens": usage.get("output_tokens") or 0}
        self._ending = {**payload, "delta": delta, "usage": usage}, raw
        return out

    def _stop(self, payload: JSON, raw: bytes | None = None) -> list[StreamEvent]:
        if not self._started:
            return []
        last, last_raw = self._ending or ({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 0}}, None)
        reason = last["delta"].get("stop_reason")
        self._done = True
        if reason is None and (not self._called or not all(lane.stopped for lane in self._lanes)):
            # A host that breaks off and is closed cleanly by a gateway looks like this: no reason is made up for it, and
            # no end of a block either, since half a text must not look whole, and half of a call's arguments may be JSON.
            return [error_event("api_error", "the message ended without a stop reason")]
        out: list[StreamEvent] = []
        while self._lanes:
            out += self._end_live()
        if reason is None:
            delta = {"stop_sequence": None, **last["delta"], "stop_reason": "tool_use"}
            last, last_raw = {**last, "delta": delta}, None
        self.complete = self._next > 0
        out.append(StreamEvent(Kind.MESSAGE_DELTA, last_raw or encoded(last), last))
        return [*out, StreamEvent(Kind.MESSAGE_STOP, raw, payload) if raw else MESSAGE_STOP]

    def _ping(self, payload: JSON, raw: bytes | None = None) -> list[StreamEvent]:
        return [PING]

    def _error(self, payload: JSON, raw: bytes | None = None) -> list[StreamEvent]:
        self._done = True
        given = payload.get("error")
        error = (
            given
            if isinstance(given, dict)
            else {"type": "api_error", "message": given if isinstance(given, str) else ""}
        )
        return [event({"type": "error", "error": error})]

    def _other(self, payload: JSON, raw: bytes | None = None) -> list[StreamEvent]:
        """An event this version does not know. Until there is content somebody has to hold it."""
        if not payload["type"] or not self._started or self._lanes[1:]:
            return []
        if not self._content:
            self._unknown += max(self._frame_size, LEAST_SIZE)
            if self._unknown > MAX_UNKNOWN_BYTES:
                return []
        return [StreamEvent(Kind.OTHER, raw or encoded(payload), payload)]

    # Lanes.

    def _wait(self, lane: Lane) -> None:
        """Charge what the event at hand adds to a lane that is not live."""
        size = max(self._frame_size, LEAST_SIZE)
        lane.waiting += size
        self._waiting += size
        if self._waiting > MAX_WAITING_BYTES or len(self._lanes) > 1 + MAX_WAITING_BLOCKS:
            raise StreamError("too much that waits behind an open block")

    def _ensure_started(self) -> list[StreamEvent]:
        return [] if self._started else self._message_start({"message": {}})

    def _started_lane(self, lane: Lane, raw: bytes | None = None) -> StreamEvent:
        content = brings_content(lane.block)
        self._content = self._content or content
        payload = {"type": "content_block_start", "index": lane.ours, "content_block": lane.block}
        self._run = None
        if raw is not None and lane.ours == lane.theirs:
            return StreamEvent(Kind.BLOCK_START, raw, payload, content)
        return event(payload, content=content)

    def _shown_delta(self, lane: Lane, payload: JSON, raw: bytes | None) -> StreamEvent:
        delta = payload["delta"]
        content = bool(delta.get("text") or delta.get("thinking"))
        lane.filled = lane.filled or bool(delta.get("partial_json"))
        self._content = self._content or content or lane.filled
        if lane.ours != payload["index"]:
            payload, raw = {**payload, "index": lane.ours}, None
        elif raw is not None and (content or delta.get("type") == "input_json_delta"):
            # From here on a read that holds nothing but such deltas need not be taken apart.
            self._run = b'"index":%d' % lane.ours if b'"index":%d' % lane.ours in raw else b'"index": %d' % lane.ours
        return StreamEvent(Kind.DELTAS, raw or encoded(payload), content=content)

    def _end_live(self, raw: bytes | None = None) -> list[StreamEvent]:
        """End the live block, and let those that waited behind it be seen."""
        self._run = None
        ended = self._lanes.pop(0)
        kept = raw if ended.ours == ended.theirs else None
        out = []
        if ended.block.get("type") == "tool_use" and ended.block.get("input") and not ended.filled:
            # Arguments given with the start alone. Claude Code reads them from deltas only.
            delta = taken_apart(ended.block)[1][0]
            out.append(event({"type": "content_block_delta", "index": ended.ours, "delta": delta}))
        stop = block_stop(ended.ours)
        out.append(StreamEvent(Kind.BLOCK_STOP, kept, stop.payload) if kept else stop)
        if self._lanes:
            lane = self._lanes[0]
            out.append(self._started_lane(lane))
            for delta in lane.deltas:
                shown = {"type": "content_block_delta", "index": lane.ours, "delta": delta}
                out.append(self._shown_delta(lane, shown, None))
            lane.deltas.clear()
            self._waiting -= lane.waiting
            if lane.stopped:
                out += self._end_live()
        return out


_HANDLERS: dict[str, Callable[[AnthropicDecoder, JSON, bytes | None], list[StreamEvent]]] = {
    "message_start": AnthropicDecoder._message_start,
    "content_block_start": AnthropicDecoder._block_start,
    "content_block_delta": AnthropicDecoder._delta,
    "content_block_stop": AnthropicDecoder._block_stop,
    "message_delta": AnthropicDecoder._message_delta,
    "message_stop": AnthropicDecoder._stop,
    "ping": AnthropicDecoder._ping,
    "error": AnthropicDecoder._error,
}


def _believed(usage: JSON) -> JSON:
    """Without counts that are none: clients add them up as they are, and so does the ledger."""
    return {name: value for name, value in usage.items() if name not in _COUNTS or value is None or is_count(value)}


def _is_text(piece: bytes) -> bool:
    """Whether it is UTF-8: some clients die of a stream that is not."""
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Fields that are missing or of another type, found where they are used; and what JSON cannot hold that deep."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise StreamError(f"a malformed {what}") from error
