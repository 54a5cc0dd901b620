"""Lines of Ollama's in, a strict Messages stream out.

The wire looks harmless: a line for each piece, `done` at the end. But a stream that is cut has lines as good as any; a
model that is being loaded or unloaded says `done` and has not answered; calls end with `stop` like any text; a failure is
a line under status 200; and a prompt that was in the cache is not counted at all. So only `done` is an end, and only with
something that ends an answer; calls are shown when it is over, under ids of our own making where there are none. Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from types import MappingProxyType
from typing import Any

import orjson

from engine import CALLING, JSON, StreamEvent, error_event, event
from transports._anthropic import MAX_WAITING_BYTES, BadArguments, StreamError
from transports._envelope import seal
from transports.ollama._lines import Lines
from transports.translate._checked import arguments_json, given_json
from transports.translate._ids import unique_ids
from transports.translate._message import head_of, with_estimates
from transports.translate._texts import well_written
from transports.translate._think import ThinkSplitter
from transports.translate._tools import Toolbox
from transports.translate._writer import Writer

#: `done_reason` -> Anthropic's stop reason. What is not here is a natural end.
STOPS: Mapping[str, str] = MappingProxyType({"length": "max_tokens"})
#: Reasons that are no end of an answer but the whole of it: the model was loaded, or put away.
_NO_ANSWER = frozenset(["load", "unload"])
#: Calls in one answer. Parallel calls of one turn are a handful.
MAX_CALLS = 128
#: What stands beside an error and says which one it is.
_CODES = ("status_code", "status", "StatusCode", "code")
_WORDLESS = "an error without a text"


class OllamaDecoder:
    """Bytes of lines to strict stream events.

    `author` is the candidate's name, `estimate` stands for an input count that does not come, `taken` gives the tool ids
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
        self._author = author
        self._model = model
        self._message_id = message_id
        self._estimate = max(1, estimate)
        self._taken = taken
        self._lines = Lines()
        accent = toolbox.accent
        self._think = ThinkSplitter(implied=accent.think_tags == "implied")
        self._splits = accent.think_tags != "off"
        self._calls: list[tuple[str, str, str]] = []  # id as given, name, the JSON of the arguments
        self._gathered = 0  # bytes of those
        self._writer = Writer(self._head, lambda thought: seal(self._author))
        self._usage: JSON = {}
        self._done = False
        self.complete = False  #: the answer came to its proper end, with something in it

    @property
    def ended(self) -> bool:
        """Whether the host has said that the answer is over; nothing comes behind that."""
        return self._done

    @property
    def settled(self) -> bool:
        """The same: here an end is one line's business."""
        return self._done

    @property
    def began(self) -> bool:
        """Whether anything has been given out that may have been shown."""
        return self._writer.started

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes. Raises StreamError."""
        if self._done:
            return []
        for line in self._lines.feed(chunk):
            if not self._done:
                self._line(_parsed(line))
        return self._writer.given()

    def finish(self) -> list[StreamEvent]:
        """The stream is over. A last line that is cut in the middle is what a broken stream ends with, and says nothing."""
        rest = self._lines.finish()
        if rest and not self._done:
            try:
                last = _parsed(rest)
            except StreamError:
                return self._writer.given()
            self._line(last)
        return self._writer.given()

    def whole(self, message: JSON) -> list[StreamEvent]:
        """A JSON answer, given where a stream was asked for. Raises StreamError."""
        if not message.get("error") and not isinstance(message.get("message"), dict):
            raise StreamError("a JSON answer that is not one of Ollama's")
        if message.get("done", True) is not True:
            raise StreamError("a JSON answer that is not done")
        self._line({**message, "done": True})
        return self._writer.given()

    # What a line holds.

    def _line(self, line: JSON) -> None:
        if error := _error_in(line):
            self._fail(error)
            return
        message = line.get("message")
        if isinstance(message, dict):
            self._say(message)
        self._usage |= {name: line[name] for name in ("prompt_eval_count", "eval_count") if _count(line.get(name))}
        if line.get("done") is True:
            reason = line.get("done_reason")
            self._end(reason if isinstance(reason, str) else "")

    def _say(self, message: JSON) -> None:
        thinking, content, calls = message.get("thinking"), message.get("content"), message.get("tool_calls")
        if thinking and isinstance(thinking, str):
            self._writer.say("thinking", thinking)
        if content and isinstance(content, str):
            if self._splits:
                for kind, piece in self._think.feed(content):
                    self._writer.say(kind, piece)
                self._splits = not self._think.done
            else:
                self._writer.say("text", content)
        if calls:
            for call in calls if isinstance(calls, list) else [calls]:
                self._call(call)
            self._writer.end_text()  # the calls come next, and a finished text is worth more to the client
            self._writer.progress(CALLING)

    def _call(self, call: Any) -> None:
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str) or not name:
            raise BadArguments("a tool call without a name")
        given = function.get("arguments")
        match given:
            case dict():
                arguments = given_json(self._toolbox, name, given)
            case None:
                arguments = "{}"
            case str():  # gateways that have seen another wire
                arguments = arguments_json(self._toolbox, name, given, mend=False)
            case _:
                raise BadArguments(f"the arguments of a call of {name[:64]} are not an object")
        if len(self._calls) >= MAX_CALLS:
            raise StreamError(f"more than {MAX_CALLS} tool calls in one answer")
        id = call.get("id")
        self._calls.append((id if isinstance(id, str) else "", name, arguments))
        self._gathered += len(arguments) + len(name)
        if self._gathered > MAX_WAITING_BYTES:
            raise StreamError(f"tool calls of more than {MAX_WAITING_BYTES >> 20} MiB")

    # The head and the ends.

    def _head(self) -> StreamEvent:
        """`message_start`, with our estimate of the input: here the host counts at the end. A zero would break meters."""
        usage, estimated = self._tokens()
        return head_of(self._message_id, self._model, usage, estimated=estimated)

    def _fail(self, error: JSON) -> None:
        self._done = True
        told = error_event("api_error", error["message"])
        self._writer.fail(StreamEvent(told.kind, told.raw, {**told.payload, "upstream": error}))

    def _end(self, done_reason: str) -> None:
        for kind, text in self._think.finish():
            self._writer.say(kind, text)
        if done_reason in _NO_ANSWER and not self._calls and not self._writer.blocks:
            raise StreamError(f"no answer: the model was {done_reason}ed")
        self._done = True
        self._writer.close()
        ids = unique_ids([id for id, _, _ in self._calls], self._taken() if self._calls else (), self._message_id)
        for id, (_, name, arguments) in zip(ids, self._calls, strict=True):
            self._writer.call(id, self._toolbox.name_of(name), arguments)
        reason = STOPS.get(done_reason, "tool_use" if self._calls else "end_turn")
        usage, estimated = self._tokens()
        delta = {"stop_reason": reason, "stop_sequence": None}
        self._writer.end(event({"type": "message_delta", "delta": delta, "usage": usage}, estimated=estimated))
        self.complete = self._writer.blocks > 0

    def _tokens(self) -> tuple[JSON, bool]:
        """The usage so far, and whether any of it is an estimate: a prompt that was in the cache is not counted."""
        usage = {
            "input_tokens": _count(self._usage.get("prompt_eval_count")),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": _count(self._usage.get("eval_count")),
        }
        return with_estimates(usage, prompt=self._estimate, written=self._writer.size)


def _parsed(line: bytes) -> JSON:
    """The object in a line. Raises StreamError."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise StreamError("a line that is not JSON") from None
    if not isinstance(found, dict):
        raise StreamError("a line that is not an object")
    return found


def _error_in(line: JSON) -> JSON | None:
    """The error that a line is, with a text in `message` and the codes that stand beside it; None where it is none."""
    error = line.get("error")
    if not error:
        return None
    given = error if isinstance(error, dict) else {}
    text = given.get("message") if isinstance(error, dict) else error
    out: JSON = {"message": text if isinstance(text, str) and text else _WORDLESS}
    for name in _CODES:
        code = given.get(name, line.get(name))
        if type(code) is int or isinstance(code, str):
            out["status_code" if type(code) is int and 400 <= code < 600 else name] = code
    return out if well_written(out) is not None else {"message": out["message"]}


def _count(value: Any) -> int:
    return int(value) if type(value) in (int, float) and 0 <= value < 2**53 else 0
