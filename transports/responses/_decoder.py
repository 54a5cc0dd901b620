"""Responses events in, a strict Messages stream out.

The events look like Anthropic's and are not: an answer is a list of items of which two may be open, a call is whole before
it is known whether the answer is, and a refusal of the request comes inside a stream that began with 200. So nothing is
given out for the events that only say that the host is at work; items are shown one after the other, in the host's order;
and from the first call on everything waits until the answer is over, since a client runs a call when it sees it. Meanwhile
`PROGRESS` says that the host is not silent. Only a terminal event makes an end an end. Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import orjson

from engine import CALLING, JSON, PROGRESS, WORKING, StreamEvent, error_event, event
from transports._anthropic import BadArguments, StreamError
from transports._envelope import seal
from transports._sse import Frame, SSEDecoder, split
from transports.responses import _events as told
from transports.responses._gather import HANDLERS, absorb
from transports.responses._items import Call, Item, Items, Speech, Thought
from transports.responses._reasoning import is_hidden
from transports.translate._arguments import plain
from transports.translate._checked import arguments_json
from transports.translate._ids import unique_ids
from transports.translate._message import head_of, with_estimates
from transports.translate._tools import Toolbox
from transports.translate._writer import Writer


class ResponsesDecoder:
    """Event-stream bytes, or the events themselves, to strict stream events.

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
        self._author = author
        self._model = model
        self._message_id = message_id
        self._estimate = max(1, estimate)
        self._taken = taken
        self._sse = SSEDecoder()
        self._items = Items()
        self._writer = Writer(self._head, self._signature)
        self._state: JSON | None = None  # of the reasoning whose block is being ended
        self._usage: Any = None
        self._number: int | None = None  # of the last event
        self._counts = False  # whether the host numbers its events
        self._last: JSON = {}
        self._done = False
        self.complete = False  #: the answer came to its proper end, with something in it
        self.response_id = ""  #: the host's name for the answer, as soon as it has said it

    @property
    def ended(self) -> bool:
        """Whether the host has said that the answer is over."""
        return self._done

    @property
    def settled(self) -> bool:
        """The same: on this wire the end is an event of its own."""
        return self._done

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

    def take(self, payload: JSON) -> list[StreamEvent]:
        """One event of the wire, as an object. Raises StreamError."""
        if not isinstance(payload, dict):
            raise StreamError("an event that is not an object")
        if not self._done:
            self._event(payload, told.string(payload.get("type")))
        return self._writer.given()

    def finish(self) -> list[StreamEvent]:
        """The stream is over. Without a terminal event it was cut. Raises StreamError, SSEError."""
        return [] if self._done else self._frames(self._sse.finish())

    def whole(self, answer: JSON) -> list[StreamEvent]:
        """A JSON answer, given where a stream was asked for. Raises StreamError."""
        unsaid = isinstance(answer.get("output"), list) and not isinstance(answer.get("status"), str)
        end = told.end_of(answer, "completed" if unsaid else None)
        if end is None:
            raise StreamError("a JSON answer that is not a response, or one that has not ended")
        self._over(answer, end)
        return self._writer.given()

    def _frames(self, frames: list[Frame]) -> list[StreamEvent]:
        for frame in frames:
            if self._done:
                break
            data = frame.data.strip()
            if data and data != b"[DONE]":
                payload = _parsed(data)
                kind = told.string(payload.get("type")) or frame.event.decode("utf-8", "replace")
                self._event(payload, kind)
        return self._writer.given()

    # What an event says.

    def _event(self, payload: JSON, kind: str) -> None:
        if self._is_repeated(payload):
            return
        handler = HANDLERS.get(kind)
        if handler is not None:
            handler(self._items, payload, kind)
            self._drain()
        elif kind in told.ENDS:
            response = payload.get("response")
            response = response if isinstance(response, dict) else {}
            self._name(response)
            said = told.ENDS[kind]
            self._over(response or payload, told.end_of(response, said) or said)
        elif kind == "error" or payload.get("error"):
            self._fail(told.error_of(payload))
        else:
            response = payload.get("response")
            if isinstance(response, dict):
                self._name(response)
            self._writer.progress(WORKING)

    def _is_repeated(self, payload: JSON) -> bool:
        """Whether this is the last event once more. Only numbers that count tell it from a word that is said twice."""
        number = payload.get("sequence_number")
        if type(number) is not int:
            return False
        if number == self._number and self._counts and _alike(payload, self._last):
            return True
        self._counts = self._number is not None and number != self._number
        self._number, self._last = number, payload
        return False

    def _name(self, response: JSON) -> None:
        self.response_id = self.response_id or told.string(response.get("id"))
        if isinstance(usage := response.get("usage"), dict):
            self._usage = usage

    # What is shown of it, and when.

    def _drain(self) -> None:
        """Show what may be shown: of the items in turn, up to the first that is not over, and to the first call."""
        shown = False
        while (item := self._items.current) is not None and not isinstance(item, Call):
            shown = self._show(item) or shown
            if not item.done:
                break
            self._close(item)
        if not shown:
            self._writer.progress(CALLING if any(self._items.of(Call)) else PROGRESS)

    def _show(self, item: Item) -> bool:
        """Give out what waits in an item; whether there was anything."""
        waiting, item.waiting = item.waiting, []
        kind: Any = "thinking" if isinstance(item, Thought) else "text"
        for piece in waiting:
            if piece is None:
                self._writer.close()
                continue
            self._items.held -= len(piece)
            item.shown = item.shown or not piece.isspace()
            self._writer.say(kind, piece)
        return bool(waiting)

    def _close(self, item: Item) -> None:
        self._state = item.state if isinstance(item, Thought) else None
        if self._state is not None and not item.shown:
            if is_hidden(self._state):
                block = {"type": "redacted_thinking", "data": seal(self._author, self._state)}
                self._writer.whole(block, content=True)
        else:
            self._writer.close()
        self._state = None
        self._items.at += 1

    # The head and the ends.

    def _head(self) -> StreamEvent:
        """`message_start`, with the best count of input that there is yet: a zero would break the client's meter."""
        usage, estimated = self._tokens()
        return head_of(self._message_id, self._model, usage, estimated=estimated)

    def _signature(self, thought: str) -> str:
        return seal(self._author, self._state)

    def _fail(self, error: JSON) -> None:
        self._done = True
        # The provider's whole object is kept for those who judge it; the client is told the text.
        event = error_event("api_error", error["message"])
        self._writer.fail(StreamEvent(event.kind, event.raw, {**event.payload, "upstream": error}))

    def _over(self, response: JSON, end: told.End) -> None:
        """The host says that the answer is over, and how."""
        self._name(response)
        if end == "failed":
            self._fail(told.error_of(response, "the host says that the answer failed"))
            return
        absorb(self._items, response.get("output"))
        cut = told.cut_by(response) if end == "incomplete" else ""
        calls = self._checked(cut=bool(cut))
        refused = any(speech.refused for speech in self._items.of(Speech))
        self._done = True
        given = [call.call_id for call in calls]
        ids = dict(zip(calls, unique_ids(given, self._taken() if calls else (), self._message_id), strict=True))
        while (item := self._items.current) is not None:
            if not isinstance(item, Call):
                self._show(item)
                self._close(item)
                continue
            self._items.at += 1
            if item in ids:
                self._writer.call(ids[item], self._toolbox.name_of(item.name), calls[item])
        reason = cut or ("refusal" if refused else "tool_use" if calls else "end_turn")
        delta = {"stop_reason": reason, "stop_sequence": None}
        usage, estimated = self._tokens()
        self._writer.end(event({"type": "message_delta", "delta": delta, "usage": usage}, estimated=estimated))
        self.complete = self._writer.blocks > 0

    def _checked(self, *, cut: bool) -> dict[Call, str]:
        """The calls, with the JSON of their arguments. Where the answer was cut, a call that was cut with it is left out.

        Raises StreamError for arguments that cannot be put right.
        """
        found: dict[Call, str] = {}
        for call in self._items.of(Call):
            text = call.arguments.strip()
            if cut and (call.cut or not call.done or not call.name or plain(text) is None):
                continue
            if not call.name:
                raise BadArguments("a tool call without a name")
            if call.cut:
                raise StreamError(f"a call of {call.name[:64]} that the host says is not whole, in an answer that is")
            found[call] = arguments_json(self._toolbox, call.name, text, mend=True)
        return found

    def _tokens(self) -> tuple[JSON, bool]:
        """The usage so far, and whether any of it is an estimate: of hosts that count nothing, or say zero."""
        return with_estimates(told.tokens_of(self._usage), prompt=self._estimate, written=self._writer.size)


def _alike(one: JSON, other: JSON) -> bool:
    """Whether two events say the same; not of any that are nested deeper than Python compares."""
    try:
        return one == other
    except RecursionError:
        return False


def _parsed(data: bytes) -> JSON:
    """The event in a frame. Raises StreamError."""
    try:
        payload = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise StreamError("an event that is not JSON") from None
    if isinstance(payload, list) and len(payload) == 1:
        payload = payload[0]
    if not isinstance(payload, dict):
        raise StreamError("an event that is not an object")
    return payload
