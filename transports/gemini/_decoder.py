"""Gemini's answers in, a strict Messages stream out.

The usual translator maps chunk to event, and takes `STOP` for the end of a turn (it is said of calls as well), a stream
without a reason for a finished one, and a refused prompt for an empty answer. Here text and thinking flow as they come; calls
are shown when the answer is over, since Gemini may yet say that they were none; and only a finish reason makes an end an end.
Signatures go into envelopes beside what they belong to. Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Container

import orjson

from engine import CALLING, JSON, StreamEvent, error_event, event
from transports._anthropic import StreamError
from transports._envelope import seal
from transports._sse import Frame, SSEDecoder, split
from transports.gemini._calls import Calls
from transports.gemini._chunk import (
    FAILED,
    blocked_by,
    candidate_of,
    error_in,
    finish_message_of,
    finish_of,
    is_answer,
    parts_of,
    stop_of,
    tokens_of,
    usage_in,
)
from transports.gemini._names import Names
from transports.gemini._signatures import Signatures
from transports.translate._checked import given_json
from transports.translate._ids import unique_ids
from transports.translate._message import head_of, with_estimates
from transports.translate._texts import well_written
from transports.translate._tools import Toolbox
from transports.translate._writer import Said, Writer


class _Unreadable(StreamError):
    """A frame that holds no chunk."""


class GeminiDecoder:
    """Event-stream bytes to strict stream events.

    `author` is the candidate's name, `estimate` stands for an input count that never comes, `taken` gives the tool ids
    that the conversation holds already.
    """

    def __init__(
        self,
        *,
        toolbox: Toolbox,
        author: str = "",
        model: str = "unknown",
        message_id: str = "msg_unnamed",
        estimate: int = 1,
        taken: Callable[[], Container[str]] = frozenset,
    ) -> None:
        self._toolbox = toolbox
        self._names = Names.of(toolbox.names)
        self._author = author
        self._model = model
        self._message_id = message_id
        self._estimate = max(1, estimate)
        self._taken = taken
        self._sse = SSEDecoder()
        self._calls = Calls()
        self._signatures = Signatures()
        self._writer = Writer(self._head, self._signature)
        self._last: Said | None = None  # what was said last
        self._finish = ""  # the host's finish reason
        self._bare = False  # it came with nothing beside it, and nothing after it
        self._usage: JSON = {}
        self._done = False
        self.complete = False  #: the answer came to its proper end, with something in it

    @property
    def ended(self) -> bool:
        """Whether the host has said that the answer is over; a count or a signature may still come."""
        return self._done or bool(self._finish)

    @property
    def settled(self) -> bool:
        """Whether it has said so in a chunk of its own: older models give a finish reason with each piece of text."""
        return self._done or self._bare

    @property
    def began(self) -> bool:
        """Whether anything has been given out that may have been shown."""
        return self._writer.started

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes. Raises StreamError, SSEError."""
        if self._done:
            return []
        piece = self._sse.take(chunk)
        return self._frames(split(piece)) if piece else []

    def finish(self) -> list[StreamEvent]:
        """The stream is over. A finish reason makes it whole; without one it was cut."""
        try:
            out = self._frames(self._sse.finish())
        except _Unreadable:
            if not self._finish:
                raise
            out = []  # cut in what comes after the end
        if not self._done and self._finish:
            self._end()
        return out + self._writer.given()

    def whole(self, answer: JSON) -> list[StreamEvent]:
        """A JSON answer, given where a stream was asked for. Raises StreamError."""
        if error_in(answer) is None and not is_answer(answer):
            raise StreamError("a JSON answer that is not of generateContent")
        self._chunk(answer)
        if not self._done:
            if not self._finish and not candidate_of(answer):
                raise StreamError("an answer without a candidate")
            self._finish = self._finish or "STOP"
            self._end()
        return self._writer.given()

    def _frames(self, frames: list[Frame]) -> list[StreamEvent]:
        for frame in frames:
            if self._done:
                break
            data = frame.data.strip()
            if data == b"[DONE]":  # of gateways; it makes no end that was not there
                if self._finish:
                    self._end()
            elif data:
                for chunk in _chunks(frame):
                    if not self._done:
                        self._chunk(chunk)
        return self._writer.given()

    # What a chunk holds.

    def _chunk(self, chunk: JSON) -> None:
        error = error_in(chunk)
        if error is not None:
            self._fail(error)
            return
        self._usage |= usage_in(chunk)
        candidate = candidate_of(chunk)
        if not candidate and (reason := blocked_by(chunk)):
            self._writer.say("text", f"[the provider refused the prompt: {reason[:64]}]")
            self._finish = "SAFETY"
            self._end()
            return
        said = False
        for part in parts_of(candidate):
            said = True
            self._part(part)
        finish = finish_of(candidate)
        if finish or said:
            self._bare = bool(finish) and not said
        if finish in FAILED:
            told = finish_message_of(candidate) or f"the answer broke off: {finish}"
            self._fail({"type": finish.lower(), "message": told})
        elif finish and not stop_of(self._finish):  # a natural end does not take back a cut
            self._finish = finish

    def _part(self, part: JSON) -> None:
        signature = part.get("thoughtSignature")
        signature = signature if isinstance(signature, str) else ""
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._calls.take(call, self._signatures.call(signature))
            self._writer.end_text()  # a finished text is worth more to the client than an open one
            self._writer.progress(CALLING)
        elif isinstance(text := part.get("text"), str):
            self._text(text, signature, thought=part.get("thought") is True)
        elif isinstance(data := part.get("inlineData"), dict):
            kind = data.get("mimeType")
            self._text(
                f"[{kind[:64] if isinstance(kind, str) else 'data'} stood here; it is not shown]", "", thought=False
            )
        else:
            self._writer.progress()  # what the host's own tools did: they are never asked for

    def _text(self, text: str, signature: str, *, thought: bool) -> None:
        if thought:
            self._signatures.thought(signature)
            self._say("thinking", text)
            return
        begins = self._last == "thinking" and bool(text.strip())
        if signature:
            self._signatures.text(signature, empty=not text.strip(), begins=begins)
        self._say("text", text)

    def _say(self, kind: Said, text: str) -> None:
        if text:
            self._writer.say(kind, text)
        if text.strip():
            self._last = kind

    # The head and the ends.

    def _head(self) -> StreamEvent:
        """`message_start`, with the best count of input that there is yet: a zero would break the client's meter."""
        usage, estimated = self._tokens()
        return head_of(self._message_id, self._model, usage, estimated=estimated)

    def _signature(self, thought: str) -> str:
        return seal(self._author, self._signatures.of_thought())

    def _fail(self, error: JSON) -> None:
        self._done = True
        # The provider's whole object is kept for those who judge it; the client is told the text.
        told = error_event("api_error", error["message"])
        if well_written(error) is None:
            error = {"message": error["message"]}
        self._writer.fail(StreamEvent(told.kind, told.raw, {**told.payload, "upstream": error}))

    def _end(self) -> None:
        cut = stop_of(self._finish)
        calls = [call for call in self._calls.made if not (cut and call.open)]
        if any(call.open for call in calls):
            raise StreamError("an answer that ends within a tool call")
        names = [self._names.back(call.name) for call in calls]
        arguments = [given_json(self._toolbox, name, call.args) for name, call in zip(names, calls, strict=True)]
        self._done = True
        self._writer.close()
        if cut == "refusal" and not self._writer.blocks and not calls:
            self._writer.say("text", f"[the provider withheld the answer: {self._finish}]")
            self._writer.close()
        # Behind a text that ends a turn nothing may stand: Claude Code takes an answer's last block for its result. Such a
        # turn is over, and the signature of its text may be left out; a call's may not.
        if calls and (state := self._signatures.of_rest(call.signature for call in calls)):
            self._writer.whole({"type": "redacted_thinking", "data": seal(self._author, state)}, content=True)
        ids = unique_ids([call.id for call in calls], self._taken() if calls else (), self._message_id)
        for id, name, given in zip(ids, names, arguments, strict=True):
            self._writer.call(id, self._toolbox.name_of(name), given)
        delta = {"stop_reason": cut or ("tool_use" if calls else "end_turn"), "stop_sequence": None}
        usage, estimated = self._tokens()
        self._writer.end(event({"type": "message_delta", "delta": delta, "usage": usage}, estimated=estimated))
        self.complete = self._writer.blocks > 0

    def _tokens(self) -> tuple[JSON, bool]:
        """The usage so far, and whether any of it is an estimate."""
        return with_estimates(tokens_of(self._usage), prompt=self._estimate, written=self._writer.size)


def _chunks(frame: Frame) -> list[JSON]:
    """The chunk in a frame; some gateways put several in one, as a list. Raises _Unreadable."""
    failed = frame.event == b"error"
    try:
        chunk = orjson.loads(frame.data)
    except orjson.JSONDecodeError:
        if not failed:
            raise _Unreadable("a chunk that is not JSON") from None
        chunk = frame.data.decode("utf-8", "replace")
    if failed and not (isinstance(chunk, dict) and "error" in chunk):
        chunk = {"error": chunk}
    chunks = chunk if isinstance(chunk, list) else [chunk]
    if not all(isinstance(one, dict) for one in chunks):
        raise _Unreadable("a chunk that is not an object")
    return chunks
