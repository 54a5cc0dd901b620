"""Chat completions in, a strict Messages stream out.

The usual translator maps chunk to event, and so shows a call whose arguments will never parse, leaves a text block open
beside it, and takes a stream that was cut for a finished one. Here text and thinking flow as they come, all that a read
brings as one delta; calls are gathered until the answer is over, then checked, mended where that is certain, and shown
one after the other. While a call is being gathered, `PROGRESS` says that the provider is not silent. Only `[DONE]` or a
finish reason makes an end an end. Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Container

import orjson

from engine import CALLING, JSON, StreamEvent, error_event, event
from engine.config import Accent
from transports._anthropic import MAX_WAITING_BYTES, BadArguments, StreamError
from transports._envelope import seal
from transports._sse import Frame, SSEDecoder, split
from transports.chat._calls import BadCalls, Call, Calls
from transports.chat._chunk import (
    FAILED,
    STOPS,
    calls_in,
    choices_of,
    counts_something,
    error_in,
    finish_of,
    reasoning_of,
    said_by,
    said_in,
    says_something,
    stop_sequence_of,
    tokens_of,
    usage_in,
)
from transports.chat._details import Details
from transports.translate._arguments import plain
from transports.translate._checked import arguments_json
from transports.translate._ids import unique_ids
from transports.translate._message import head_of, with_estimates
from transports.translate._texts import well_written
from transports.translate._think import ThinkSplitter
from transports.translate._tools import Toolbox
from transports.translate._writer import Writer

#: Stop reasons under which calls may have been cut off.
_CUT = frozenset(["max_tokens", "model_context_window_exceeded", "refusal"])
#: What a tool's schema has that takes arguments at all.
_TAKING = ("properties", "required", "patternProperties", "$ref", "allOf", "anyOf", "oneOf")


class _Unreadable(StreamError):
    """A frame that holds no chunk."""


class ChatDecoder:
    """Event-stream bytes to strict stream events.

    `author` is the candidate's name, `estimate` stands for an input count that never comes, `taken` gives the tool ids
    that the conversation holds already.
    """

    def __init__(
        self,
        *,
        toolbox: Toolbox,
        accent: Accent | None = None,
        author: str = "",
        model: str = "unknown",
        message_id: str = "msg_unnamed",
        estimate: int = 1,
        taken: Callable[[], Container[str]] = frozenset,
    ) -> None:
        self._accent = accent or Accent()
        self._toolbox = toolbox
        self._author = author
        self._model = model
        self._message_id = message_id
        self._estimate = max(1, estimate)
        self._taken = taken
        self._sse = SSEDecoder()
        self._think = ThinkSplitter(implied=self._accent.think_tags == "implied")
        self._splits = self._accent.think_tags != "off"
        self._calls = Calls(toolbox.names)
        self._details = Details(wanted=self._accent.replay == "reasoning_details")
        self._writer = Writer(self._head, self._signature)
        self._finish = ""  # the host's finish reason
        self._bare = False  # it came alone, and nothing after it
        self._refused = False
        self._stop_sequence: str | None = None
        self._usage: JSON = {}
        self._done = False
        self.complete = False  #: the answer came to its proper end, with something in it

    @property
    def ended(self) -> bool:
        """Whether the host has said that the answer is over; a count may still come."""
        return self._done or bool(self._finish)

    @property
    def settled(self) -> bool:
        """Whether it has said so in a chunk of its own: some hosts give a finish reason with each piece of text."""
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
        """The stream is over. Without `[DONE]` a finish reason makes it whole; without either it was cut."""
        try:
            out = self._frames(self._sse.finish())
        except _Unreadable:
            if not self._finish:
                raise
            out = []  # cut in what comes after the end: a count of tokens, or the `[DONE]` itself
        if not self._done and self._finish:
            self._end()
        return out + self._writer.given()

    def whole(self, answer: JSON) -> list[StreamEvent]:
        """A JSON answer, given where a stream was asked for. Raises StreamError."""
        choices = choices_of(answer)
        if error_in(answer, choices) is None and not any(isinstance(c.get("message"), dict) for c in choices):
            raise StreamError("a JSON answer that is not a chat completion")
        self._chunk(answer)
        if not self._done:
            self._finish = self._finish or "stop"
            self._end()
        return self._writer.given()

    def _frames(self, frames: list[Frame]) -> list[StreamEvent]:
        for frame in frames:
            if self._done:
                break
            data = frame.data.strip()
            if data == b"[DONE]":
                self._end()
            elif data:
                try:
                    chunk = _parsed(frame)
                except _Unreadable:
                    if self.settled:
                        continue  # what cannot be read behind the end of an answer does not undo it
                    raise
                self._chunk(chunk)
        return self._writer.given()

    # What a chunk holds.

    def _chunk(self, chunk: JSON) -> None:
        choices = choices_of(chunk)
        error = error_in(chunk, choices)
        if error is not None:
            self._fail(error)
            return
        usage = usage_in(chunk, choices)
        if usage and (not self._usage or counts_something(usage)):
            self._usage = usage
        for choice in choices:
            delta = said_by(choice)
            self._delta(delta)
            finish = finish_of(choice)
            if finish or says_something(delta):
                self._bare = not says_something(delta)
            if finish:
                if finish in FAILED:
                    self._fail({"type": finish, "message": f"the answer broke off: {finish}"})
                    return
                if STOPS.get(self._finish) not in _CUT:  # a natural end does not take back a cut
                    self._finish, self._stop_sequence = finish, stop_sequence_of(choice)

    def _delta(self, delta: JSON) -> None:
        if len(delta) == 1 and type(only := delta.get("content")) is str:
            self._text(only)  # what most deltas are
            return
        if reasoning := reasoning_of(delta):
            self._writer.say("thinking", reasoning)
        if details := delta.get("reasoning_details"):
            self._details.take(details)
        content = delta.get("content")
        if isinstance(content, str):
            self._text(content)
        elif content:
            for kind, text in said_in(content):
                if kind == "text":
                    self._text(text)
                else:
                    self._writer.say(kind, text)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._refused = True
            self._text(refusal)
        if delta.get("tool_calls") or delta.get("function_call"):
            self._gather(calls_in(delta))

    def _text(self, text: str) -> None:
        if not text:
            return
        if not self._splits:
            self._writer.say("text", text)
            return
        for kind, piece in self._think.feed(text):
            self._writer.say(kind, piece)
        self._splits = not self._think.done

    def _gather(self, entries: list[JSON]) -> None:
        try:
            self._calls.take(entries)
        except BadCalls as error:
            raise StreamError(str(error)) from None
        if self._calls.size > MAX_WAITING_BYTES:
            raise StreamError(f"tool calls of more than {MAX_WAITING_BYTES >> 20} MiB")
        self._writer.end_text()  # the calls come next, and a finished text is worth more to the client than an open one
        self._writer.progress(CALLING)

    # The head and the ends.

    def _head(self) -> StreamEvent:
        """`message_start`, with the best count of input that there is yet: a zero would break the client's meter."""
        usage, estimated = self._tokens()
        return head_of(self._message_id, self._model, usage, estimated=estimated)

    def _signature(self, thought: str) -> str:
        return seal(self._author, self._details.state(thought))

    def _fail(self, error: JSON) -> None:
        self._done = True
        # The provider's whole object is kept for those who judge it; the client is told the text.
        told = error_event("api_error", error["message"])
        if well_written(error) is None:
            error = {"message": error["message"]}
        self._writer.fail(StreamEvent(told.kind, told.raw, {**told.payload, "upstream": error}))

    def _end(self) -> None:
        for kind, text in self._think.finish():
            self._writer.say(kind, text)
        calls = self._calls.finished()
        reason = self._reason(calls)
        if reason == "tool_use" and not calls and not self._refused:
            raise StreamError("an answer that ends in tool calls, without one")
        checked = self._checked(calls, cut=reason in _CUT)
        self._done = True
        self._writer.close()
        calls = [call for call, _ in checked]
        if state := self._details.unsealed(calls if self._accent.thought_signatures else ()):
            self._writer.whole({"type": "redacted_thinking", "data": seal(self._author, state)}, content=True)
        given = ["" if call.renamed else call.id for call in calls]
        ids = unique_ids(given, self._taken() if calls else (), self._message_id)
        for id, (call, arguments) in zip(ids, checked, strict=True):
            self._writer.call(id, self._toolbox.name_of(call.name), arguments)
        if not calls and reason == "tool_use":
            reason = "refusal" if self._refused else "end_turn"
        delta = {"stop_reason": reason, "stop_sequence": self._stop_sequence if reason == "stop_sequence" else None}
        usage, estimated = self._tokens()
        self._writer.end(event({"type": "message_delta", "delta": delta, "usage": usage}, estimated=estimated))
        self.complete = self._writer.blocks > 0

    def _reason(self, calls: list[Call]) -> str:
        """Anthropic's stop reason. A call that was made is run, whatever the host says of its end."""
        reason = STOPS.get(self._finish, "end_turn")
        if reason not in ("end_turn", "stop_sequence"):
            return reason
        if self._refused:
            return "refusal"
        return "tool_use" if calls else "stop_sequence" if self._stop_sequence is not None else reason

    def _checked(self, calls: list[Call], *, cut: bool) -> list[tuple[Call, str]]:
        """The calls, with the JSON of their arguments. Where the answer was cut, a call that was cut with it is left out.

        Raises StreamError for arguments that cannot be put right.
        """
        found: list[tuple[Call, str]] = []
        for call in calls:
            text = call.arguments.strip()
            whole = plain(text) is not None and bool(call.name)
            # Without arguments the last call may have been cut right behind its name: unless its tool needs none.
            bare = call is calls[-1] and not text and not self._needs_nothing(call.name)
            if cut and (not whole or bare):
                continue
            if not call.name:
                raise BadArguments("a tool call without a name")
            # An end that nobody gave a reason for may be a cut, so what is not JSON then stays what it is.
            found.append((call, arguments_json(self._toolbox, call.name, text, mend=bool(self._finish))))
        return found

    def _needs_nothing(self, name: str) -> bool:
        schema = self._toolbox.schema_of(name)
        return schema is not None and not any(schema.get(part) for part in _TAKING)

    def _tokens(self) -> tuple[JSON, bool]:
        """The usage so far, and whether any of it is an estimate: of hosts that count nothing, or say zero."""
        usage = tokens_of(self._usage, reasoning_beside=self._accent.reasoning_beside)
        return with_estimates(usage, prompt=self._estimate, written=self._writer.size)


def _parsed(frame: Frame) -> JSON:
    """The chunk in a frame. Raises _Unreadable."""
    failed = frame.event == b"error"
    try:
        chunk = orjson.loads(frame.data)
    except orjson.JSONDecodeError:
        if not failed:
            raise _Unreadable("a chunk that is not JSON") from None
        chunk = frame.data.decode("utf-8", "replace")
    if isinstance(chunk, list) and len(chunk) == 1:
        chunk = chunk[0]  # Gemini's errors come in a list
    if failed and not (isinstance(chunk, dict) and "error" in chunk):
        chunk = {"error": chunk}
    if not isinstance(chunk, dict):
        raise _Unreadable("a chunk that is not an object")
    return chunk
