"""What the client has seen of a message, whoever wrote it, and what follows from it when a provider breaks.

An attempt knows what it has released itself. But a message may have several authors by the time it breaks for good, and the
client judges by all of it: a finished tool call will be run, finished text is kept, an open first block counts for nothing.
So there is one record a turn, to which every author adds.

To go on elsewhere, the text is needed as well. Parsing each delta for a break that seldom comes would cost more than
relaying it, so only the frames are kept, the text's alone, and read when they are needed. They are let go as soon as
nobody can go on from them. Sans-I/O.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import orjson

from engine._prompt import tokens_of
from engine._stream import JSON, MESSAGE_STOP, Kind, StreamEvent, block_stop, event

#: Frames of text that are kept for a continuation, in bytes. Some 8,000 tokens in frames of one token each.
MAX_KEPT_BYTES = 1024 * 1024
#: Bytes of frames to a token of thinking, whose frames are not kept: a rough figure.
_THINKING_BYTES = 40

#: Blocks that a client drops again when the stream breaks after them.
_UNSIGNED = frozenset({"thinking", "redacted_thinking"})
_CONTINUED = _UNSIGNED | {"text"}
_DATA = re.compile(rb"^data: ?(.*)$", re.M)


class Ending(enum.Enum):
    """How to end a message that nobody goes on with."""

    RESET = "reset"  #: no block finished: break off, the client replays silently
    ERROR = "error"  #: text finished: an `overloaded_error` event, so that nothing looks complete
    CLOSE = "close"  #: a tool call finished: it will run, so the message ends with `tool_use`


@attrs.frozen(kw_only=True)
class Seen:
    """What somebody else goes on from: the texts of the text blocks, in order, the last of them at index `open` if it is.

    `next` is the index of the next block, `usage` what the client was told in `message_start`, `output_tokens` an
    estimate of what it has received.
    """

    texts: tuple[str, ...] = attrs.field(repr=False)
    open: int | None
    next: int
    usage: JSON
    output_tokens: int

    @property
    def text(self) -> str:
        return "\n\n".join(self.texts)

    @property
    def state(self) -> str:
        return "text finished" if self.open is None else "text open"


@attrs.define(eq=False)
class Shown:
    """The record. `keeping`: whether frames are kept at all; `dropped` is called once, when they are of no use any more."""

    keeping: bool = True
    dropped: Callable[[], None] = lambda: None
    ended: bool = False  #: a `message_delta` was shown
    _blocks: list[str] = attrs.field(factory=list)  # types of the finished blocks
    _open: tuple[int, str] | None = None
    _text: bool = False  # the open block is text
    _usage: JSON = attrs.field(factory=dict)
    _kept: list[tuple[int, bytes]] = attrs.field(factory=list)  # frames of text, by block
    _bytes: int = 0
    _thinking_bytes: int = 0

    def note(self, events: Iterable[StreamEvent]) -> None:
        """These are being shown."""
        for item in events:
            if item.kind is Kind.DELTAS:
                if self._text:
                    if self.keeping:
                        self._keep(item.raw)
                elif self._open is not None and self._open[1] == "thinking":
                    self._thinking_bytes += len(item.raw)
            elif (handler := _HANDLERS.get(item.kind)) is not None:
                handler(self, item)

    def forget(self) -> None:
        """Nothing of it was visible: the message starts again from nothing."""
        self.ended, self._blocks, self._open, self._text = False, [], None, False
        self._usage, self._kept, self._bytes, self._thinking_bytes = {}, [], 0, 0

    def drop(self) -> None:
        """Nobody will go on from here."""
        if self.keeping:
            self.keeping, self._kept = False, []
            self.dropped()

    def _keep(self, raw: bytes) -> None:
        self._kept.append((len(self._blocks), raw))
        self._bytes += len(raw)
        if self._bytes > MAX_KEPT_BYTES:
            self.drop()

    def _message_start(self, item: StreamEvent) -> None:
        usage = item.payload.get("message", {}).get("usage")
        self._usage = usage if isinstance(usage, dict) else {}

    def _block_start(self, item: StreamEvent) -> None:
        kind = item.payload["content_block"].get("type", "")
        self._open, self._text = (item.payload["index"], kind), kind == "text"
        if self._text and self.keeping and item.payload["content_block"].get("text"):
            self._keep(item.raw)

    def _block_stop(self, item: StreamEvent) -> None:
        if self._open is not None:
            self._blocks.append(self._open[1])
            if self._open[1] == "tool_use":
                self.drop()
        self._open, self._text = None, False

    def _message_delta(self, item: StreamEvent) -> None:
        self.ended = True
        self.drop()

    # To go on elsewhere.

    def seen(self) -> Seen | None:
        """What somebody else may go on from, or None: there is no text, or something that none but its author can finish."""
        kinds = {*self._blocks, *((self._open[1],) if self._open else ())}
        if not self.keeping or not kinds <= _CONTINUED or (self._open is not None and not self._text):
            return None
        found: dict[int, list[str]] = {}
        for block, raw in self._kept:
            found.setdefault(block, []).extend(_texts(raw))
        texts = tuple("".join(pieces) for pieces in found.values())
        if not "".join(texts).strip():
            return None
        tokens = tokens_of("".join(texts)) + self._thinking_bytes / _THINKING_BYTES
        return Seen(
            texts=texts,
            open=self._open[0] if self._open else None,
            next=len(self._blocks) + (self._open is not None),
            usage=self._usage,
            output_tokens=max(1, round(tokens)),
        )

    # To end.

    def ending(self) -> Ending:
        """How a message may end that will not be finished."""
        half_a_call = self._open is not None and self._open[1] == "tool_use"
        if self.ended or ("tool_use" in self._blocks and not half_a_call):
            return Ending.CLOSE
        if any(kind not in _UNSIGNED for kind in self._blocks):
            return Ending.ERROR
        return Ending.RESET

    def closing(self, output_tokens: int) -> list[StreamEvent]:
        """The events that end a message after a finished tool call: the call runs, and the next turn carries on."""
        out = [block_stop(self._open[0])] if self._open is not None else []
        if not self.ended:
            delta: dict[str, Any] = {"stop_reason": "tool_use", "stop_sequence": None}
            out.append(event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": output_tokens}}))
        return [*out, MESSAGE_STOP]


def _texts(raw: bytes) -> Iterable[str]:
    """The text in a run of frames. What is no text delta adds none."""
    for data in _DATA.findall(raw):
        try:
            payload = orjson.loads(data)
        except orjson.JSONDecodeError:
            continue
        holder = payload.get("delta", payload.get("content_block")) if isinstance(payload, dict) else None
        text = holder.get("text") if isinstance(holder, dict) else None
        if isinstance(text, str):
            yield text


_HANDLERS: dict[Kind, Callable[[Shown, StreamEvent], None]] = {
    Kind.MESSAGE_START: Shown._message_start,
    Kind.BLOCK_START: Shown._block_start,
    Kind.BLOCK_STOP: Shown._block_stop,
    Kind.MESSAGE_DELTA: Shown._message_delta,
}
