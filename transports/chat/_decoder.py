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

from engine import JSON, MESSAGE_STOP, PROGRESS, Kind, StreamEvent, block_stop, error_event, event
from engine.config import Accent
from transports._anthropic import MAX_WAITING_BYTES, StreamError
from transports._envelope import seal
from transports._sse import Frame, SSEDecoder, split
from transports.chat import _arguments
from transports.chat._calls import Call, Calls, TooManyCalls, unique_ids
from transports.chat._chunk import (
    FAILED,
    STOPS,
    Said,
    calls_in,
    choice_of,
    error_in,
    reasoning_of,
    said_in,
    tokens_of,
    usage_in,
)
from transports.chat._details import Details
from transports.chat._think import ThinkSplitter
from transports.chat._tools import Toolbox

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
#: Stop reasons under which the last call may have been cut off.
_CUT = frozenset(["max_tokens", "model_context_window_exceeded"])
#: Bytes of text a token, where the host counts nothing.
_BYTES_PER_TOKEN = 4


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
        self._open: Said | None = None  # the block being filled
        self._index = -1  # of the last block
        self._pieces: list[str] = []  # of the open block, not yet given out
        self._blank = ""  # white space that becomes a text only if more follows
        self._size = 0
        self._started = False
        self._finish: str | None = None  # the host's finish reason
        self._refused = False
        self._stop_sequence: str | None = None
        self._usage: JSON | None = None
        self._out: list[StreamEvent] = []
        self._done = False
        self.complete = False  #: the answer came to its proper end, with something in it

    @property
    def began(self) -> bool:
        """Whether anything has been given out that may have been shown."""
        return self._started

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes. Raises StreamError, SSEError."""
        piece = self._sse.take(chunk)
        return self._frames(split(piece)) if piece else []

    def finish(self) -> list[StreamEvent]:
        """The stream is over. Without `[DONE]` a finish reason makes it whole; without either it was cut."""
        out = self._frames(self._sse.finish())
        if not self._done and self._finish is not None:
            self._end()
        return out + self._given()

    def whole(self, answer: JSON) -> list[StreamEvent]:
        """A JSON answer, given where a stream was asked for. Raises StreamError."""
        choice = choice_of(answer)
        if error_in(answer, choice) is None and (choice is None or not isinstance(choice.get("message"), dict)):
            raise StreamError("a JSON answer that is not a chat completion")
        self._chunk(answer)
        if not self._done:
            self._end()
        return self._given()

    def _frames(self, frames: list[Frame]) -> list[StreamEvent]:
        for frame in frames:
            if self._done:
                break
            if frame.data.strip() == b"[DONE]":
                self._end()
                break
            try:
                chunk = orjson.loads(frame.data)
            except orjson.JSONDecodeError:
                raise StreamError("a chunk that is not JSON") from None
            if not isinstance(chunk, dict):
                raise StreamError("a chunk that is not an object")
            if frame.event == b"error" and "error" not in chunk:
                chunk = {"error": chunk}
            self._chunk(chunk)
        return self._given()

    def _given(self) -> list[StreamEvent]:
        self._flush()
        out, self._out = self._out, []
        return out

    # What a chunk holds.

    def _chunk(self, chunk: JSON) -> None:
        choice = choice_of(chunk)
        error = error_in(chunk, choice)
        if error is not None:
            self._fail(error)
            return
        self._usage = usage_in(chunk, choice) or self._usage
        if choice is None:
            return
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            self._delta(delta)
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish:
            if finish.lower() in FAILED:
                self._fail({"type": finish, "message": f"the answer broke off: {finish}"})
                return
            # OpenRouter says `tool_calls` of a call that was cut, and the truth beside it.
            native = str(choice.get("native_finish_reason")).lower()
            self._finish = native if STOPS.get(native) == "max_tokens" else finish.lower()
            stopped_by = choice.get("stop_reason")  # vLLM names the sequence
            self._stop_sequence = stopped_by if isinstance(stopped_by, str) else None

    def _delta(self, delta: JSON) -> None:
        if reasoning := reasoning_of(delta):
            self._say("thinking", reasoning)
        if details := delta.get("reasoning_details"):
            self._details.take(details)
        content = delta.get("content")
        if content:
            if isinstance(content, str):
                self._text(content)
            else:
                for kind, text in said_in(content):
                    self._say(kind, text)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._refused = True
            self._say("text", refusal)
        if delta.get("tool_calls") or delta.get("function_call"):
            self._gather(calls_in(delta))

    def _text(self, text: str) -> None:
        if not self._splits or self._think.done:
            self._say("text", text)
            return
        for kind, piece in self._think.feed(text):
            self._say(kind, piece)

    def _gather(self, entries: list[JSON]) -> None:
        try:
            self._calls.take(entries)
        except TooManyCalls as error:
            raise StreamError(str(error)) from None
        if self._calls.size > MAX_WAITING_BYTES:
            raise StreamError(f"tool calls of more than {MAX_WAITING_BYTES >> 20} MiB")
        if not self._out or self._out[-1] is not PROGRESS:
            self._out.append(PROGRESS)

    # Blocks.

    def _say(self, kind: Said, text: str) -> None:
        if kind != self._open:
            if not text.strip():  # no block is made of white space alone: history could not bear it
                self._blank = self._blank + text if kind == "text" else self._blank
                return
            self._close()
            self._begin(kind)
            if kind == "text":
                text, self._blank = self._blank + text, ""
        self._pieces.append(text)

    def _begin(self, kind: Said) -> None:
        self._start()
        self._index += 1
        self._open = kind
        start = {"type": "content_block_start", "index": self._index, "content_block": _EMPTY[kind]}
        self._out.append(event(start))

    def _flush(self) -> None:
        """What was said in the open block since the last time, as one delta."""
        if self._pieces and self._open is not None:
            text = "".join(self._pieces)
            self._pieces.clear()
            raw = _DELTA[self._open] % (self._index, orjson.dumps(text))
            self._size += len(text)
            self._out.append(StreamEvent(Kind.DELTAS, raw, content=True))

    def _close(self) -> None:
        if self._open is None:
            return
        self._flush()
        if self._open == "thinking":
            delta = {"type": "signature_delta", "signature": seal(self._author, self._details.state())}
            self._out.append(event({"type": "content_block_delta", "index": self._index, "delta": delta}))
        self._out.append(block_stop(self._index))
        self._open = None

    def _start(self) -> None:
        """`message_start`, with the best count of input that there is yet: a zero would break the client's meter."""
        if self._started:
            return
        self._started = True
        usage = self._tokens()
        if not any(usage[name] for name in usage if name != "output_tokens"):
            usage["input_tokens"] = self._estimate
        message: JSON = {
            "id": self._message_id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage, "output_tokens": min(usage["output_tokens"], 1)},
        }
        self._out.append(event({"type": "message_start", "message": message}, estimated=self._usage is None))

    # Endings.

    def _fail(self, error: JSON) -> None:
        self._done = True
        self._flush()
        # The provider's whole object is kept for those who judge it; the client is told the text.
        told = error_event("api_error", str(error["message"]))
        self._out.append(StreamEvent(Kind.ERROR, told.raw, {**told.payload, "upstream": error}))

    def _end(self) -> None:
        for kind, text in self._think.finish():
            self._say(kind, text)
        calls = self._calls.finished()
        reason = self._reason(calls)
        arguments = self._checked(calls, cut=reason in _CUT)
        self._done = True
        self._start()
        self._close()
        if state := self._details.unsealed(calls if self._accent.thought_signatures else ()):
            self._block({"type": "redacted_thinking", "data": seal(self._author, state)}, content=True)
        ids = unique_ids(calls, self._taken() if calls else (), self._message_id.removeprefix("msg_")[:24])
        for call, id, given in zip(calls, ids, arguments, strict=False):
            self._call(call, id, given)
        if not arguments and reason == "tool_use":
            reason = "end_turn"
        delta = {"stop_reason": reason, "stop_sequence": self._stop_sequence if reason == "stop_sequence" else None}
        last = {"type": "message_delta", "delta": delta, "usage": self._tokens()}
        self._out += [event(last, estimated=self._usage is None), MESSAGE_STOP]
        self.complete = self._index >= 0

    def _reason(self, calls: list[Call]) -> str:
        """Anthropic's stop reason. A call that was made is run, whatever the host says of its end."""
        reason = STOPS.get(self._finish or "", "end_turn")
        if reason in ("end_turn", "stop_sequence") and calls:
            return "tool_use"
        if self._refused and reason == "end_turn":
            return "refusal"
        if reason == "end_turn" and self._stop_sequence is not None:
            return "stop_sequence"
        return reason

    def _checked(self, calls: list[Call], *, cut: bool) -> list[JSON]:
        """The arguments of the calls as objects. Where the answer was cut, a last call that was cut with it is dropped.

        Raises StreamError for arguments that cannot be put right.
        """
        found: list[JSON] = []
        for call in calls:
            text = call.arguments
            given = _arguments.plain(text)
            if given is None and cut and call is calls[-1]:
                break
            if not call.name:
                raise StreamError("a tool call without a name")
            if given is not None:
                given = self._toolbox.arguments_back(call.name, given)
            else:
                given = _arguments.repaired(text, None)
                if given is not None:
                    given = self._toolbox.arguments_back(call.name, given)
                if given is None or not _arguments.fits(given, self._toolbox.schema_of(call.name)):
                    raise StreamError(f"the arguments of a call of {call.name[:64]} are not JSON")
            found.append(given)
        return found

    def _call(self, call: Call, id: str, arguments: JSON) -> None:
        block = {"type": "tool_use", "id": id, "name": self._toolbox.name_of(call.name), "input": {}}
        delta = {"type": "input_json_delta", "partial_json": orjson.dumps(arguments).decode()}
        self._block(block, delta)
        self._size += len(delta["partial_json"])

    def _block(self, block: JSON, delta: JSON | None = None, *, content: bool = False) -> None:
        """A block that is whole at once."""
        self._index += 1
        start = {"type": "content_block_start", "index": self._index, "content_block": block}
        self._out.append(event(start, content=content))
        if delta is not None:
            self._out.append(event({"type": "content_block_delta", "index": self._index, "delta": delta}))
        self._out.append(block_stop(self._index))

    def _tokens(self) -> JSON:
        if self._usage is not None:
            return tokens_of(self._usage, reasoning_beside=self._accent.reasoning_beside)
        output = -(-self._size // _BYTES_PER_TOKEN)
        return {
            "input_tokens": self._estimate,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output,
        }
