"""Another provider's message made the rest of one that has begun: same message, same open block, indexes that go on.

Simply relaying it would begin a second message, at which Claude Code runs a finished call twice, and say again what was
said. So its head is left out, its first text goes through the seam into the block that is open, or into a new one, and
what follows takes the next indexes. Its thinking is left out: it would stand behind the text that it led to, and the
signature of a thinking block that was shown belongs to another. The end of the message is its own, stop reason included,
with the tokens that the client was told of at the beginning and those it has received. Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from engine._prompt import tokens_of
from engine._seam import Seam
from engine._shown import THINKING_BYTES, THOUGHTS, Seen
from engine._stream import JSON, Kind, StreamEvent, block_stop, event

#: With what a text ends that is over: marks of a sentence, what closes a quotation or bracket behind one, and code.
_STOPS = (*".!?…。！？", '."', '!"', '?"', ".”", "!”", "?”", ".»", ".)", "!)", "?)", "```", "|")  # noqa: RUF001
#: What `message_start` says of the prompt, and `message_delta` may say again.
_OF_THE_PROMPT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


@attrs.define(eq=False)
class Splice:
    """Feed it what an attempt's relay releases. `fresh`: something new was given out; `over`: so was the end."""

    seen: Seen
    fresh: bool = False
    over: bool = False
    seam: Seam = attrs.field(init=False)
    _open: int | None = attrs.field(init=False)  # index of the block that the client sees open
    _next: int = attrs.field(init=False)
    _into: str = "nothing"  # what the block being read goes into: `text`, `other`, `nothing`
    _natural: bool = False  # the end was stated, and is one
    _hidden_bytes: int = 0
    _said: list[str] = attrs.field(factory=list)  # text that was given out, until the end

    def __attrs_post_init__(self) -> None:
        self.seam = Seam(self.seen.text)
        self._open, self._next = self.seen.open, self.seen.next

    @property
    def committable(self) -> bool:
        """Whether this is a continuation: it brings something new, or has shown that nothing was missing.

        Nothing is missing either where it says that the answer is over and adds not a word, and the text that was shown
        stops where texts do. In the middle of a sentence the same silence is a failure like any other, and so it is where
        a call had been begun: it would be lost without a word.
        """
        whole = self.seam.repeated or self._nothing_missing
        return self.fresh or (self.over and whole and not self.seen.calling)

    @property
    def _nothing_missing(self) -> bool:
        return self._natural and not self.seam.trimmed and self.seen.text.rstrip().endswith(_STOPS)

    def feed(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """What of these goes to the client. Raises MalformedEvent for deltas that are none."""
        out: list[StreamEvent] = []
        for item in events:
            _HANDLERS.get(item.kind, Splice._other)(self, item, out)
        return out

    # One handler per kind of event.

    def _message_start(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        """The client has one."""

    def _block_start(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        block = item.payload["content_block"]
        kind = block.get("type")
        if isinstance(kind, str) and kind in THOUGHTS:
            self._into = "nothing"
            return
        if kind != "text":
            self._end_text(out)
            self._into = "other"
            self._begin(block, out)
            self.fresh = True
            return
        self._into = "text"
        if self.seam.decided:
            self._close(out)
        if isinstance(given := block.get("text"), str) and given:
            self._text(self.seam.feed(given), out)

    def _deltas(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        if self._into == "nothing":
            self._hidden_bytes += len(item.raw)
            return
        for payload in item.payloads():
            delta = payload["delta"]
            if self._into == "text" and delta.get("type") == "text_delta":
                self._text(self.seam.feed(delta.get("text") or ""), out)
            elif self._open is not None and (self._into == "other" or self.seam.decided):
                out.append(_delta(self._open, delta, content=item.content))

    def _block_stop(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        if self._into == "text":
            self._text(self.seam.finish(), out)
        if self._into != "nothing":
            self._close(out)
        self._into = "nothing"

    def _message_delta(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        self._end_text(out)
        self.over = True
        self._natural = item.payload.get("delta", {}).get("stop_reason") == "end_turn"
        theirs = item.payload.get("usage")
        usage: JSON = dict(theirs) if isinstance(theirs, dict) else {}
        tokens = usage.get("output_tokens")
        told = {name: self.seen.usage[name] for name in _OF_THE_PROMPT if name in self.seen.usage}
        said = self._output(tokens if type(tokens) is int else 0)
        kept = {name: value for name, value in usage.items() if name not in _OF_THE_PROMPT}
        usage = {**kept, **told, "output_tokens": self.seen.output_tokens + said}
        out.append(event({**item.payload, "usage": usage}, estimated=True))

    def _other(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        out.append(item)

    # Blocks of the client's.

    def _text(self, text: str, out: list[StreamEvent]) -> None:
        if not text:
            return
        if self._open is None:
            self._begin({"type": "text", "text": ""}, out)
        assert self._open is not None
        self.fresh = True
        self._said.append(text)
        out.append(_delta(self._open, {"type": "text_delta", "text": text}, content=True))

    def _end_text(self, out: list[StreamEvent]) -> None:
        """The text is over: it ended, or there never was one, and what was open is closed."""
        self._text(self.seam.finish(), out)
        self.seam.decided = True
        self._close(out)

    def _begin(self, block: JSON, out: list[StreamEvent]) -> None:
        self._open, self._next = self._next, self._next + 1
        out.append(event({"type": "content_block_start", "index": self._open, "content_block": block}))

    def _close(self, out: list[StreamEvent]) -> None:
        if self._open is not None:
            out.append(block_stop(self._open))
            self._open = None

    def _output(self, reported: int) -> int:
        """The tokens of what the client received of this part: as reported, less what it was not shown; an estimate of
        the text where that says nothing, or less."""
        least = round(tokens_of("".join(self._said)))
        unseen = tokens_of(self.seam.trimmed)
        return max(least, reported - round(unseen + self._hidden_bytes / THINKING_BYTES))


def _delta(index: int, delta: JSON, *, content: bool) -> StreamEvent:
    return event({"type": "content_block_delta", "index": index, "delta": delta}, content=content)


_HANDLERS: dict[Kind, Callable[[Splice, StreamEvent, list[StreamEvent]], None]] = {
    Kind.MESSAGE_START: Splice._message_start,
    Kind.BLOCK_START: Splice._block_start,
    Kind.DELTAS: Splice._deltas,
    Kind.BLOCK_STOP: Splice._block_stop,
    Kind.MESSAGE_DELTA: Splice._message_delta,
}
