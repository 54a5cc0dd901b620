"""Several answers of one provider as the one message that the client sees.

The provider answers, calls a search, is told what was found, and answers on: each time a whole message with a head, blocks
numbered from 0, and an end. Handing them on one after the other would show the client two heads and two block 0s; waiting
for the last would show it nothing for minutes. So text and thinking go on as they come, renumbered; calls wait until their
round is over; what a use has brought waits until the provider says something to it, so that a round which fails before
that has shown nothing new, and another candidate may begin again. The last end is the message's, its tokens those of all
rounds. Sans-I/O: events in, events out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import orjson

from engine import JSON, MESSAGE_STOP, PROGRESS, Kind, StreamEvent, block_stop, event
from transports.web_tools._blocks import Answered, Call
from transports.web_tools._offer import Offer

#: The counts of tokens that are added up.
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_COUNTED_AS = {"web_search": "web_search_requests", "web_fetch": "web_fetch_requests"}
#: Stop reasons that leave no room for another round.
_CUT = frozenset(("max_tokens", "model_context_window_exceeded", "refusal"))
_TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


@attrs.define(eq=False)
class _Block:
    """One block of a round: as it began, what filled it, and the events of a call that is held back."""

    start: JSON
    index: int  #: the client's, -1 while it is held
    pieces: dict[str, list[str]] = attrs.field(factory=dict)
    held: list[StreamEvent] = attrs.field(factory=list)

    def take(self, delta: JSON) -> None:
        kind = delta.get("type")
        name = "input" if kind == "input_json_delta" else _TEXTS.get(kind) if isinstance(kind, str) else None
        piece = delta.get("partial_json" if name == "input" else name or "")
        if name and isinstance(piece, str):
            self.pieces.setdefault(name, []).append(piece)

    @property
    def whole(self) -> JSON:
        """The block as it stands in a conversation."""
        out = dict(self.start)
        for name, pieces in self.pieces.items():
            if name != "input":
                said = out.get(name)
                out[name] = (said if isinstance(said, str) else "") + "".join(pieces)
        return out

    @property
    def input(self) -> JSON | None:
        """A call's arguments; None where they are no object."""
        text = "".join(self.pieces.get("input", ()))
        given: Any = self.start.get("input")
        if text:
            try:
                given = orjson.loads(text)
            except orjson.JSONDecodeError:
                return None
        return given if isinstance(given, dict) else {} if given is None else None


@attrs.define(eq=False)
class Rounds:
    """Feed it each round's events. When `over`, look at `calls`: none, and `finish` ends the message; some, and each
    wants an `Answered`, after which either `finish` (where `must_finish`) or another round follows, with `more` behind
    the conversation. `prefix` begins the ids by which the client sees what was used."""

    offer: Offer
    prefix: str
    over: bool = False  #: this round's message has come to its end
    calls: list[Call] = attrs.field(factory=list)
    more: list[JSON] = attrs.field(factory=list)
    spent: int = 0  #: tokens of output so far
    used: dict[str, int] = attrs.field(factory=dict)  #: successful and failed uses by tool
    _served: dict[str, int] = attrs.field(factory=dict)  # uses that are counted, by kind
    _began: bool = False
    _next: int = 0
    _ids: int = 0
    _blocks: dict[int, _Block] = attrs.field(factory=dict)  # of this round, by its own index
    _waiting: list[StreamEvent] = attrs.field(factory=list)
    _reports: list[Any] = attrs.field(factory=list)
    _estimated: bool = False
    _ever_estimated: bool = False
    _counted: dict[str, int] = attrs.field(factory=dict)
    _end: JSON = attrs.field(factory=dict)

    def feed(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """What may go on to the client now."""
        out: list[StreamEvent] = []
        for item in events:
            if not self.over:
                self._take(item, out)
        return out

    @property
    def must_finish(self) -> bool:
        """Whether the client has calls of its own to make before the provider can go on."""
        return any(block.held and not self._is_served(block) for block in self._blocks.values())

    def answer(self, answers: Sequence[Answered]) -> None:
        """What this round's calls have brought, in their order."""
        for one in answers:
            call = one.call
            self.used[call.name] = self.used.get(call.name, 0) + 1
            if not one.failed:
                counted = _COUNTED_AS[call.kind]
                self._served[counted] = self._served.get(counted, 0) + 1
            start = {"type": "server_tool_use", "id": call.shown_id, "name": call.kind, "input": {}}
            given = {"type": "input_json_delta", "partial_json": orjson.dumps(call.input).decode()}
            self._waiting += [
                event({"type": "content_block_start", "index": self._next, "content_block": start}),
                event({"type": "content_block_delta", "index": self._next, "delta": given}),
                block_stop(self._next),
                event(
                    {"type": "content_block_start", "index": self._next + 1, "content_block": one.block}, content=True
                ),
                block_stop(self._next + 1),
            ]
            self._next += 2
        said = [b.whole for b in self._blocks.values() if not b.held and _is_worth_keeping(b.whole)]
        called = [{"type": "tool_use", "id": a.call.id, "name": a.call.name, "input": a.call.input} for a in answers]
        results = [
            {"type": "tool_result", "tool_use_id": a.call.id, "content": a.words}
            | ({"is_error": True} if a.failed else {})
            for a in answers
        ]
        self.more = [
            *self.more,
            {"role": "assistant", "content": [*said, *called]},
            {"role": "user", "content": results},
        ]

    def again(self) -> None:
        """Another round begins."""
        self.over, self.calls, self._blocks = False, [], {}

    def finish(self, *, cut_off: bool = False) -> list[StreamEvent]:
        """The end of the message; `cut_off` where the provider would have gone on."""
        out, self._waiting = self._waiting, []
        for block in self._blocks.values():
            if block.held and not self._is_served(block):
                out += [_numbered(item, self._next) for item in block.held]
                self._next += 1
        delta = self._end.get("delta")
        reason = "tool_use" if self.must_finish else "pause_turn" if cut_off else None
        if reason and self._stop_reason not in _CUT:
            delta = {**(delta if isinstance(delta, dict) else {}), "stop_reason": reason}
        usage = self._end.get("usage")
        if self.used:
            usage = {
                **(usage if isinstance(usage, dict) else {}),
                **self._counted,
                "server_tool_use": dict(self._served),
            }
        end = {**self._end, "type": "message_delta", "delta": delta, "usage": usage}
        return [*out, event(end, estimated=self._ever_estimated if self.used else self._estimated), MESSAGE_STOP]

    # One event.

    def _take(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        match item.kind:
            case Kind.MESSAGE_START:
                self._reports, self._estimated = [item.payload.get("message", {}).get("usage")], item.estimated
                if not self._began:
                    self._began = True
                    out.append(item)
            case Kind.BLOCK_START:
                self._start(item, out)
            case Kind.DELTAS:
                self._deltas(item, out)
            case Kind.BLOCK_STOP:
                block = self._blocks.get(item.payload["index"])
                if block is not None and block.held:
                    block.held.append(item)
                elif block is not None:
                    self._say(_numbered(item, block.index), out)
            case Kind.MESSAGE_DELTA:
                self._end = item.payload
                self._reports.append(item.payload.get("usage"))
                self._estimated = item.estimated
            case Kind.MESSAGE_STOP:
                self._close()
            case _:
                out.append(item)  # pings, progress, errors, and what is not known yet

    def _start(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        start = item.payload["content_block"]
        block = _Block(start, -1)
        self._blocks[item.payload["index"]] = block
        if start.get("type") == "tool_use":
            block.held.append(item)
            out.append(PROGRESS)
            return
        block.index, self._next = self._next, self._next + 1
        self._say(_numbered(item, block.index), out)

    def _deltas(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        block: _Block | None = None
        for payload in item.payloads():
            block = self._blocks.get(payload.get("index", -1))
            if block is not None:
                block.take(payload["delta"])
        if block is None:
            return
        if block.held:
            block.held.append(item)
            out.append(PROGRESS)
        else:
            self._say(_numbered(item, block.index), out)

    def _say(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        """Hand on what is said; what was used before goes with the first content that follows it."""
        if self._waiting and not item.content:
            self._waiting.append(item)
        else:
            out += [*self._waiting, item]
            self._waiting = []

    def _close(self) -> None:
        self.over = True
        usage: JSON = {}
        for report in self._reports:
            usage |= {k: v for k, v in report.items() if v is not None} if isinstance(report, dict) else {}
        for name in _COUNTS:
            if type(usage.get(name)) is int:
                self._counted[name] = self._counted.get(name, 0) + usage[name]
        self.spent = self._counted.get("output_tokens", 0)
        self._ever_estimated |= self._estimated
        if self._stop_reason in _CUT:
            self._blocks = {n: b for n, b in self._blocks.items() if not (b.held and self._is_served(b))}
            return
        for block in self._blocks.values():
            if block.held and self._is_served(block):
                tool = self.offer.tools[block.start["name"]]
                self._ids += 1
                id, shown = block.start.get("id"), f"{self.prefix}{self._ids}"
                given = block.input
                self.calls.append(
                    Call(
                        kind=tool.kind,
                        name=tool.name,
                        id=id if isinstance(id, str) and id else shown,
                        shown_id=shown,
                        input=given if given is not None else {},
                    )
                )

    @property
    def _stop_reason(self) -> Any:
        delta = self._end.get("delta")
        return delta.get("stop_reason") if isinstance(delta, dict) else None

    def _is_served(self, block: _Block) -> bool:
        return block.start.get("name") in self.offer.tools


def _is_worth_keeping(block: JSON) -> bool:
    """Whether a block may stand in a conversation: no host takes an empty text."""
    return block.get("type") != "text" or bool(str(block.get("text", "")).strip())


def _numbered(item: StreamEvent, index: int) -> StreamEvent:
    """The event with the client's index. A run of deltas that has it already goes on as it came."""
    if item.kind is not Kind.DELTAS:
        return item if item.payload["index"] == index else event({**item.payload, "index": index}, content=item.content)
    payloads = list(item.payloads())
    if all(payload.get("index") == index for payload in payloads):
        return item
    raw = b"".join(event({**payload, "index": index}).raw for payload in payloads)
    return StreamEvent(Kind.DELTAS, raw, content=item.content)
