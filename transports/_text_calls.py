"""Turns calls that a model has written into its text into calls, whatever wire they come on.

Each dialect could look for them in what it decodes, each a little differently. But behind the decoders all wires are one
stream of events, so it is looked into there, once: a line that begins like a call is held back, and when the message ends
with it, what comes out is the call and `stop_reason: tool_use`. Anything else comes out as it was, at the latest when the
block ends. Most deltas hold nothing that a call could begin with, and go through unread.

Not held: what stands in a fenced block or is indented as code, which is an example; text of a message whose host made a real
call, since that host knows how to. Not a call: what the model was told and only repeats (`_quoted`). Held text counts as
work (`PROGRESS`), so that the clocks stay right. Sans-I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from typing import cast

import attrs
import orjson

from engine import CALLING, JSON, PROGRESS, Ask, Kind, MalformedEvent, StreamEvent, block_stop, event
from transports._deferred import offered
from transports._dialect import Decoder, FrameDecoder, message_id
from transports._passing import Passing
from transports._quoted import is_quoted
from transports.translate._ids import ids_in, unique_ids
from transports.translate._spoken import CONTROL, MARKS, MAX_CHARS, Call, Schemas, bare, calls_in, may_become_calls

#: Bytes with which a call, a leftover of a template or a fence begins, as they stand in JSON.
_SIGNS = re.compile(rb"[<\[`~W]|\xe2\x97\x8f|\\u003[cC]|\\u25[cC][fF]")
#: A text that ends in a new line, as most hosts write the end of a delta.
_NEW_LINE = re.compile(rb'\\n((?: |\\t)*)"\}\}\s*$')
_LINE_MARKS = "|".join(map(re.escape, MARKS))
#: A line that begins with more white space than this is code in Markdown, as much as one in a fence.
_MOST_INDENTED = 3
_MARK = re.compile(
    rf"^(?:[ \t]*(?P<fence>```|~~~)|[ ]{{0,{_MOST_INDENTED}}}(?:{_LINE_MARKS}))|(?:{'|'.join(map(re.escape, CONTROL))})",
    re.MULTILINE,
)
_FENCES = ("```", "~~~")
_LINE_BEGINNINGS = (*MARKS, *_FENCES)
_LONGEST = max(map(len, CONTROL))
#: Stands before a text that does not begin a line.
_MID_LINE = "."
#: A held text is looked at when it has grown to this many characters, and again whenever it has doubled.
_FIRST_LOOK = 64
#: Ends of an answer at which it may be waiting for the result of a call.
_NATURAL = frozenset(["end_turn", "stop_sequence"])


@attrs.define(eq=False)
class TextCalls(Passing):
    """A decoder whose answers have their spoken calls made real.

    `schemas` are those of the tools on offer, by the client's names; `taken` gives the tool ids of the conversation;
    `quoted` says whether a text only repeats what stands in the conversation.
    """

    schemas: Schemas
    message_id: str
    taken: Callable[[], Container[str]]
    quoted: Callable[[str], bool] = lambda _: False
    _out: list[StreamEvent] = attrs.field(factory=list)
    _blocks: int = 0  # begun in what was given out
    _index: int = -1  # of the text block that is open, or that was when its end began to be held
    _in_text: bool = False
    _start: StreamEvent | None = None  # its beginning, while nothing of it was given out
    _stop: StreamEvent | None = None  # its end, while some of it is held
    _blank: str = ""  # white space before what is held, with nothing before it
    _held: str = ""  # the beginning of a mark
    _marked: list[str] = attrs.field(factory=list)  # a mark and what follows it
    _size: int = 0  # characters of that
    _look_at: int = _FIRST_LOOK
    _line_start: bool = True  # what was given out ends in a blank line
    _indent: str = ""  # the white space of that line
    _fenced: bool = False
    _over: bool = False  # this message is not looked into any more
    _shown: bool = False

    # What a decoder is asked.

    @property
    def began(self) -> bool:
        """Whether anything has been given out that may have been shown; what is held back has not."""
        return self._shown

    def take(self, payload: JSON) -> list[StreamEvent]:
        """The same for one event as an object, on wires that have such. Raises StreamError."""
        return self._through(cast(FrameDecoder, self.inner).take(payload))

    # Events.

    def _through(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        for each in events:
            if self._over:
                self._out.append(each)
            else:
                self._take(each)
        out, self._out = self._out, []
        self._shown = self._shown or any(each.content or each.kind is Kind.BLOCK_STOP for each in out)
        return out

    def _take(self, each: StreamEvent) -> None:
        match each.kind:
            case Kind.DELTAS if self._in_text:
                self._delta(each)
            case Kind.BLOCK_START:
                self._release()
                self._block(each)
            case Kind.BLOCK_STOP if self._in_text:
                self._in_text = False
                if self._marked or self._held or self._blank:
                    self._stop = each
                else:
                    self._begin()
                    self._out.append(each)
            case Kind.MESSAGE_DELTA:
                self._end(each)
            case _:  # an error ends the stream: what is held was never said
                self._out.append(each)

    def _block(self, start: StreamEvent) -> None:
        block = start.payload.get("content_block")
        kind = block.get("type") if isinstance(block, dict) else None
        self._in_text = kind == "text" and not start.content
        if not self._in_text:
            # A host that makes real calls knows how to, and what its text holds is text.
            self._over = kind == "tool_use"
            self._blocks += 1
            self._out.append(start)
            return
        self._start, self._index = start, start.payload["index"]
        self._line_start, self._indent, self._fenced = True, "", False

    def _begin(self) -> None:
        if self._start is not None:
            self._out.append(self._start)
            self._start = None
            self._blocks += 1

    def _delta(self, each: StreamEvent) -> None:
        if not (self._marked or self._held or self._start) and not _SIGNS.search(each.raw):
            self._out.append(each)
            new_line = _NEW_LINE.search(each.raw)
            self._line_start = new_line is not None
            self._indent = new_line[1].replace(rb"\t", b"\t").decode() if new_line else ""
            return
        try:
            deltas = [payload["delta"] for payload in each.payloads()]
        except MalformedEvent:
            deltas = []  # relayed as it came, for whoever looks into it
        if deltas and all(delta.get("type") == "text_delta" for delta in deltas):
            self._text("".join(delta.get("text") or "" for delta in deltas))
        else:
            self._release()
            self._begin()
            self._out.append(each)

    # Text.

    def _text(self, text: str) -> None:
        if not self._marked:
            text, self._held = self._held + text, ""
            at = self._walk(text)
            if at is None:
                keep = self._waiting(text)
                self._say(text[: len(text) - keep])
                self._held = text[len(text) - keep :]
                if self._held:
                    self._progress()
                return
            self._say(text[:at])
            text = text[at:]
            self._look_at = _FIRST_LOOK
        self._marked.append(text)
        self._size += len(text)
        if self._size >= self._look_at:
            self._look()
        if self._marked:
            self._progress(CALLING)

    def _look(self) -> None:
        """Whether what is held may still be a call; if not, whether it may from its last mark on."""
        self._look_at = 2 * self._size
        text = self._taken_back()
        if self._size <= MAX_CHARS and may_become_calls(text, self.schemas):
            self._marked = [text]
            return
        marks = [found.start() for found in _MARK.finditer(text) if not found["fence"] and found.start()]
        at = marks[-1] if marks and may_become_calls(text[marks[-1] :], self.schemas) else len(text)
        self._walk(text[:at], past_marks=True)
        self._say(text[:at])
        self._marked = [text[at:]] if text[at:] and not self._fenced else []
        if self._fenced:
            self._say(text[at:])
        self._size = sum(map(len, self._marked))

    def _taken_back(self) -> str:
        text = "".join(self._marked)
        self._marked = []
        return text

    def _walk(self, text: str, *, past_marks: bool = False) -> int | None:
        """Where the first mark outside a fence is; what comes before it counts as seen."""
        before = self._indent if self._line_start else _MID_LINE
        for found in _MARK.finditer(before + text):
            if found["fence"]:
                self._fenced = not self._fenced
            elif not self._fenced and not past_marks:
                return max(0, found.start() - len(before))
        return None

    def _waiting(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of a mark."""
        line = text.rpartition("\n")[2]
        if "\n" in text or self._line_start:
            word = line.lstrip(" \t")
            indented = line if "\n" in text else self._indent + line
            as_code = len(indented[: len(indented) - len(word)].expandtabs(4)) > _MOST_INDENTED
            marks = _FENCES if self._fenced or as_code else _LINE_BEGINNINGS
            if word and any(mark.startswith(word) and mark != word for mark in marks):
                return len(line)
        if self._fenced:
            return 0
        longest = min(len(text), _LONGEST - 1)
        return next((n for n in range(longest, 0, -1) if any(c.startswith(text[-n:]) for c in CONTROL)), 0)

    def _say(self, text: str) -> None:
        """Text that is no call. White space alone waits until something follows it."""
        if not text:
            return
        _, new_line, line = text.rpartition("\n")
        self._line_start = (bool(new_line) or self._line_start) and not line.strip(" \t")
        self._indent = (line if new_line else self._indent + line)[:_LONGEST] if self._line_start else ""
        if self._start is not None and not text.strip() and len(self._blank) < MAX_CHARS:
            self._blank += text
            return
        text, self._blank = self._blank + text, ""
        self._begin()
        delta = {"type": "text_delta", "text": text}
        payload = {"type": "content_block_delta", "index": self._index, "delta": delta}
        raw = b"event: content_block_delta\ndata: %s\n\n" % orjson.dumps(payload)
        self._out.append(StreamEvent(Kind.DELTAS, raw, content=True))

    def _progress(self, told: StreamEvent = PROGRESS) -> None:
        if not self._out or self._out[-1] is not told:
            self._out.append(told)

    def _release(self) -> None:
        """Everything that is held, as the text that it is."""
        text = self._held + self._taken_back()
        self._held, self._size = "", 0
        if self._start is not None and (text or self._blank or self._stop):
            text, self._blank = self._blank + text, ""
            self._begin()
        self._walk(text, past_marks=True)
        self._say(text)
        if self._stop is not None:
            self._begin()
            self._out.append(self._stop)
            self._stop = None

    # The end.

    def _end(self, told: StreamEvent) -> None:
        """The message is over: what is held is a call, or it is text."""
        delta = told.payload["delta"]
        text = bare("".join(self._marked))
        calls = calls_in(text, self.schemas) if text and delta.get("stop_reason") in _NATURAL else None
        if calls and self.quoted(text):
            calls = None
        # A leftover of the template, behind something that was said.
        leftover = bool(self._marked) and not text.strip() and self._start is None
        if not (calls or leftover):
            self._release()
            self._out.append(told)
            return
        self._marked, self._blank = [], ""
        if self._start is None:
            self._out.append(self._stop or block_stop(self._index))
        self._start = self._stop = None
        if calls:
            self._call(calls)
            told = event(
                {**told.payload, "delta": {**delta, "stop_reason": "tool_use", "stop_sequence": None}},
                estimated=told.estimated,
            )
        self._out.append(told)

    def _call(self, calls: list[Call]) -> None:
        ids = unique_ids([""] * len(calls), self.taken(), self.message_id)
        for id, (name, given) in zip(ids, calls, strict=True):
            index, self._blocks = self._blocks, self._blocks + 1
            block = {"type": "tool_use", "id": id, "name": name, "input": {}}
            arguments = {"type": "input_json_delta", "partial_json": orjson.dumps(given).decode()}
            self._out.append(event({"type": "content_block_start", "index": index, "content_block": block}))
            self._out.append(event({"type": "content_block_delta", "index": index, "delta": arguments}))
            self._out.append(block_stop(index))


def _ends_in_code(text: str) -> bool:
    """Whether a text breaks off within a fence."""
    return sum(found["fence"] is not None for found in _MARK.finditer(text)) % 2 == 1


def with_text_calls(ask: Ask, decoder: Decoder) -> Decoder:
    """The decoder of an answer, behind which spoken calls are real ones where that may be."""
    if not ask.provider.text_calls:
        return decoder
    choice = ask.request.body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "none":
        return decoder
    if _ends_in_code(ask.request.continues):
        return decoder  # the rest of an example looks like a call at the beginning of a line
    schemas: dict[str, JSON | None] = {
        tool["name"]: tool["input_schema"]
        for tool in offered(ask.request.body)
        if isinstance(tool.get("name"), str) and isinstance(tool.get("input_schema"), dict)
    }
    if not schemas:
        return decoder
    return TextCalls(
        decoder, schemas, message_id(ask), lambda: ids_in(ask), lambda text: is_quoted(text, ask.request.body)
    )
