"""What the client has seen of a message, whoever wrote it, and what follows from it when a provider breaks.

An attempt knows what it has released itself. But a message may have several authors by the time it breaks for good, and the
client judges by all of it: a finished tool call will be run, finished text is kept, an open first block counts for nothing.
So there is one record a turn, to which every author adds.

To go on elsewhere, the text is needed as well. Parsing each delta for a break that seldom comes would cost more than
relaying it, so only the frames are kept, thinking's apart, and read when they are needed. They are let go as soon as
nobody can go on from them. Sans-I/O.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import attrs
import orjson

from engine._prompt import tokens_of
from engine._stream import JSON, MESSAGE_STOP, Kind, StreamEvent, block_stop, data_of, event, is_delta

#: Frames that are kept for a continuation, in bytes. Some 8,000 tokens in frames of one token each.
MAX_KEPT_BYTES = 1024 * 1024
#: Bytes of frames to a token of thinking, whose frames are not kept: a rough figure.
THINKING_BYTES = 40

#: Blocks that a client drops again when the stream breaks after them.
THOUGHTS = frozenset({"thinking", "redacted_thinking"})
#: What may stand in a message that somebody else goes on with, beside results of server tools.
_CONTINUED = THOUGHTS | {"text", "server_tool_use"}


class Ending(enum.Enum):
    """How to end a message that nobody goes on with."""

    RESET = "reset"  #: no block finished: break off, the client replays silently
    ERROR = "error"  #: text finished: an `overloaded_error` event, so that nothing looks complete
    CLOSE = "close"  #: a tool call finished: it will run, so the message ends with `tool_use`


@attrs.frozen(kw_only=True)
class Seen:
    """What somebody else goes on from: the blocks that were shown, thinking apart, the last of them at index `open` if it
    is not finished.

    `next` is the index of the next block, `usage` what the client was told in `message_start`, `output_tokens` an
    estimate of what it has received.
    """

    blocks: tuple[JSON, ...] = attrs.field(repr=False)
    open: int | None
    next: int
    usage: JSON
    output_tokens: int
    calling: bool = False  #: a tool call had been begun, so something is missing whatever the text says

    @property
    def text(self) -> str:
        """All that was said. Blocks are paragraphs to whoever says it again."""
        return "\n\n".join(block["text"] for block in self.blocks if block["type"] == "text")

    @property
    def state(self) -> str:
        return "text finished" if self.open is None else "text open"


@attrs.define(eq=False)
class Shown:
    """The record. `keeping`: whether somebody else may go on from here, as far as is known, and frames are kept for it."""

    keeping: bool = True
    ended: bool = False  #: a `message_delta` was shown
    whole: bool = False  #: a `message_stop` was shown, so nothing more may follow
    _blocks: list[str] = attrs.field(factory=list)  # types of the finished blocks
    _open: tuple[int, str] | None = None
    _hidden: bool = False  # the open block is thinking
    _usage: JSON = attrs.field(factory=dict)
    _kept: list[tuple[int, bytes]] = attrs.field(factory=list)  # frames of all blocks but thinking, by block
    _bytes: int = 0
    _thinking_bytes: int = 0

    def note(self, events: Iterable[StreamEvent]) -> None:
        """These are being shown."""
        for item in events:
            if item.kind is Kind.DELTAS:
                if self._hidden:
                    self._thinking_bytes += len(item.raw)
                elif self.keeping:
                    self._keep(item.raw)
            elif (handler := _HANDLERS.get(item.kind)) is not None:
                handler(self, item)

    def forget(self) -> None:
        """Nothing of it was visible: the message starts again from nothing."""
        self.ended, self.whole, self._blocks, self._open, self._hidden = False, False, [], None, False
        self._usage, self._kept, self._bytes, self._thinking_bytes = {}, [], 0, 0

    def drop(self) -> None:
        """Nobody will go on from here."""
        self.keeping, self._kept = False, []

    def _keep(self, raw: bytes) -> None:
        self._kept.append((len(self._blocks), raw))
        self._bytes += len(raw)
        if self._bytes > MAX_KEPT_BYTES:
            self.drop()

    def _message_start(self, item: StreamEvent) -> None:
        usage = item.payload.get("message", {}).get("usage")
        self._usage = usage if isinstance(usage, dict) else {}

    def _block_start(self, item: StreamEvent) -> None:
        kind = item.payload["content_block"].get("type")
        kind = kind if isinstance(kind, str) else ""
        self._open, self._hidden = (item.payload["index"], kind), kind in THOUGHTS
        if self.keeping and not self._hidden:
            self._keep(item.raw)

    def _block_stop(self, item: StreamEvent) -> None:
        if self._open is not None:
            self._blocks.append(self._open[1])
            if self._open[1] == "tool_use":
                self.drop()
        self._open, self._hidden = None, False

    def _message_delta(self, item: StreamEvent) -> None:
        self.ended = True
        self.drop()

    def _message_stop(self, item: StreamEvent) -> None:
        self.whole = True

    # To go on elsewhere.

    def seen(self) -> Seen | None:
        """What somebody else may go on from, or None: there is no text, or something that none but its author can finish."""
        if not self.keeping or (self._open is not None and self._open[1] != "text"):
            return None
        if not all(kind in _CONTINUED or kind.endswith("_tool_result") for kind in self._blocks):
            return None
        found: dict[int, list[bytes]] = {}
        for number, raw in self._kept:
            found.setdefault(number, []).append(raw)
        blocks = tuple(_block(b"".join(frames)) for frames in found.values())
        said = "".join(block["text"] for block in blocks if block["type"] == "text")
        waiting = {block.get("id") for block in blocks if block["type"] == "server_tool_use"}
        waiting -= {block.get("tool_use_id") for block in blocks}
        if not said.strip() or waiting:
            return None
        return Seen(
            blocks=blocks,
            open=self._open[0] if self._open else None,
            next=len(self._blocks) + (self._open is not None),
            usage=self._usage,
            output_tokens=max(1, round(tokens_of(said) + self._thinking_bytes / THINKING_BYTES)),
        )

    # To end.

    def ending(self) -> Ending:
        """How a message may end that will not be finished."""
        half_a_call = self._open is not None and self._open[1] == "tool_use"
        if self.ended or ("tool_use" in self._blocks and not half_a_call):
            return Ending.CLOSE
        if any(kind not in THOUGHTS for kind in self._blocks):
            return Ending.ERROR
        return Ending.RESET

    def closing(self, output_tokens: int) -> list[StreamEvent]:
        """The events that end a message after a finished tool call: the call runs, and the next turn carries on."""
        out = [block_stop(self._open[0])] if self._open is not None else []
        if not self.ended:
            delta: dict[str, Any] = {"stop_reason": "tool_use", "stop_sequence": None}
            out.append(event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": output_tokens}}))
        return [*out, MESSAGE_STOP]


def _block(raw: bytes) -> JSON:
    """A block from its frames. What is no delta of text or arguments is left out: sources, and what is not JSON."""
    payloads = list(_payloads(raw))
    block = dict(payloads[0]["content_block"])
    deltas = [payload["delta"] for payload in payloads[1:] if is_delta(payload.get("delta"))]
    if block["type"] == "text":
        given = block.get("text") if isinstance(block.get("text"), str) else None
        return {"type": "text", "text": "".join([given or "", *(delta.get("text") or "" for delta in deltas)])}
    if arguments := "".join(delta.get("partial_json") or "" for delta in deltas):
        with suppress(orjson.JSONDecodeError):
            block["input"] = orjson.loads(arguments)
    return block


def _payloads(raw: bytes) -> Iterator[JSON]:
    for data in data_of(raw):
        with suppress(orjson.JSONDecodeError):
            if isinstance(payload := orjson.loads(data), dict):
                yield payload


_HANDLERS: dict[Kind, Callable[[Shown, StreamEvent], None]] = {
    Kind.MESSAGE_START: Shown._message_start,
    Kind.BLOCK_START: Shown._block_start,
    Kind.BLOCK_STOP: Shown._block_stop,
    Kind.MESSAGE_DELTA: Shown._message_delta,
    Kind.MESSAGE_STOP: Shown._message_stop,
}
