"""The message as it is written: one block open at a time, and no block made of white space alone.

Writing a block for each change of kind and an event for each word is simple, and gives a client blocks that history
cannot bear and ten events where one would do. So white space waits until something follows it, and what one read brings
for a block goes out as one delta. Text and thinking are written as they come, everything else as whole blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import attrs
import orjson

from engine import JSON, MESSAGE_STOP, PROGRESS, Kind, StreamEvent, block_stop, event

Said = Literal["text", "thinking"]

_DELTA = {
    "text": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"text_delta","text":%s}}\n\n',
    "thinking": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"thinking_delta","thinking":%s}}\n\n',
}
_EMPTY: dict[Said, JSON] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}
#: White space that waits for what follows it, in characters for each kind; what is beyond that is left out.
MAX_BLANK = 64 * 1024
#: A thought that is longer is not kept for its signature, in characters.
MAX_THOUGHT = 512 * 1024


@attrs.define(eq=False)
class Writer:
    """`head` gives the `message_start`, `sign` the signature of a thinking block with the text it is given."""

    _head: Callable[[], StreamEvent]
    _sign: Callable[[str], str]
    started: bool = False
    blocks: int = 0  #: begun so far
    size: int = 0  #: characters of everything that was said
    _open: Said | None = None
    _pieces: list[str] = attrs.field(factory=list)  # of the open block, not yet given out
    _thought: list[str] = attrs.field(factory=list)  # all of the open thinking block
    _thought_size: int = 0
    _blank: dict[Said, list[str]] = attrs.field(factory=lambda: {"text": [], "thinking": []})
    _blank_size: int = 0
    _out: list[StreamEvent] = attrs.field(factory=list)

    def given(self) -> list[StreamEvent]:
        """The events since the last time."""
        self._flush()
        out, self._out = self._out, []
        return out

    def say(self, kind: Said, text: str) -> None:
        """More text or thinking."""
        if kind != self._open:
            if not text.strip():
                self._wait(kind, text)
                return
            self.close()
            self._begin(kind)
            self._pieces += self._blank[kind]
            self._blank_size -= sum(map(len, self._blank[kind]))
            self._blank[kind].clear()
        self._pieces.append(text)

    def progress(self, told: StreamEvent = PROGRESS) -> None:
        """Something came that is not shown: `PROGRESS`, or `CALLING` of a tool call, or `WORKING` before any answer."""
        if not self._out or self._out[-1] is not told:
            self._out.append(told)

    def start(self) -> None:
        if not self.started:
            self.started = True
            self._out.append(self._head())

    def close(self) -> None:
        """End the open block, if there is one."""
        if self._open is None:
            return
        self._flush()
        if self._open == "thinking":
            thought = "".join(self._thought) if self._thought_size <= MAX_THOUGHT else ""
            delta = {"type": "signature_delta", "signature": self._sign(thought)}
            self._out.append(event({"type": "content_block_delta", "index": self.blocks - 1, "delta": delta}))
        self._out.append(block_stop(self.blocks - 1))
        self._open = None

    def end_text(self) -> None:
        """End the open block, if it is a text."""
        if self._open == "text":
            self.close()

    def whole(self, block: JSON, delta: JSON | None = None, *, content: bool = False) -> None:
        """A block that is there all at once."""
        self.close()
        index = self._next()
        self._out.append(
            event({"type": "content_block_start", "index": index, "content_block": block}, content=content)
        )
        if delta is not None:
            self._out.append(event({"type": "content_block_delta", "index": index, "delta": delta}))
        self._out.append(block_stop(index))

    def call(self, id: str, name: str, arguments: str) -> None:
        """A tool call; `arguments` is the JSON of an object."""
        block = {"type": "tool_use", "id": id, "name": name, "input": {}}
        self.whole(block, {"type": "input_json_delta", "partial_json": arguments})
        self.size += len(arguments)

    def end(self, message_delta: StreamEvent) -> None:
        self.start()
        self.close()
        self._out += [message_delta, MESSAGE_STOP]

    def fail(self, error: StreamEvent) -> None:
        """End with an error: what is open stays open, so that nothing looks finished."""
        self._flush()
        self._out.append(error)

    def _next(self) -> int:
        self.start()
        self.blocks += 1
        return self.blocks - 1

    def _begin(self, kind: Said) -> None:
        self._open = kind
        self._thought.clear()
        self._thought_size = 0
        start = {"type": "content_block_start", "index": self._next(), "content_block": _EMPTY[kind]}
        self._out.append(event(start))

    def _wait(self, kind: Said, text: str) -> None:
        if text and self._blank_size + len(text) <= MAX_BLANK:
            self._blank[kind].append(text)
            self._blank_size += len(text)

    def _flush(self) -> None:
        """What was said in the open block since the last time, as one delta."""
        if not self._pieces or self._open is None:
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        self.size += len(text)
        if self._open == "thinking":
            self._thought_size += len(text)
            if self._thought_size <= MAX_THOUGHT:
                self._thought.append(text)
            else:
                self._thought.clear()
        raw = _DELTA[self._open] % (self.blocks - 1, orjson.dumps(text))
        self._out.append(StreamEvent(Kind.DELTAS, raw, content=True))
