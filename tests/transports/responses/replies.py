"""Answers drawn at random, and the ways in which a Responses host may give one.

An answer is drawn first, as a list of items, and then said by events: in any pieces, with or without the repetitions at the
end of parts, items and the whole, with indexes, ids or both, items in turn where indexes tell them apart. What it means is
known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import attrs
import orjson
from hypothesis import strategies as st

from tests.transports.chat.answers import INPUTS, NAMES, SAYINGS
from tests.transports.chat.streams import DONE
from tests.transports.responses.events import added, completed, delta, done, frame, incomplete, reasoning, response

Body = dict[str, Any]

#: How an answer ends, and the stop reason without and with calls.
ENDS = {
    "completed": ("end_turn", "tool_use"),
    "max_output_tokens": ("max_tokens", "max_tokens"),
    "content_filter": ("refusal", "refusal"),
}


@attrs.frozen
class Item:
    """One item: reasoning and messages in parts, calls with their arguments."""

    kind: str
    parts: tuple[str, ...] = ()
    name: str = ""
    given: Body = attrs.field(factory=dict)
    hidden: bool = False  #: reasoning that is encrypted
    encrypted: str = "e"  #: as what


@attrs.frozen
class Reply:
    """What is meant, how it ends, and its stream."""

    items: tuple[Item, ...]
    end: str
    prompt: int
    cached: int
    output: int
    frames: list[bytes]

    @property
    def body(self) -> bytes:
        return b"".join(self.frames)

    @property
    def blocks(self) -> list[tuple[str, Any]]:
        """The blocks that a right reader makes of it."""
        return list(self._blocks())

    def _blocks(self) -> Iterator[tuple[str, Any]]:
        for item in self.items:
            match item.kind:
                case "message":
                    yield from (("text", part) for part in item.parts)
                case "reasoning" if item.parts:
                    yield "thinking", "".join(item.parts)
                case "reasoning" if item.hidden:
                    yield "redacted_thinking", None
                case "call":
                    yield "tool_use", (item.name, item.given)

    @property
    def stop(self) -> str:
        return ENDS[self.end][any(item.kind == "call" for item in self.items)]


@st.composite
def items(draw: st.DrawFn) -> Item:
    match draw(st.sampled_from(["message", "message", "reasoning", "call"])):
        case "message":
            return Item("message", tuple(draw(st.lists(SAYINGS, min_size=1, max_size=2))))
        case "reasoning":
            parts = tuple(draw(st.lists(SAYINGS, max_size=2)))
            return Item("reasoning", parts, hidden=draw(st.booleans()))
        case _:
            return Item("call", name=draw(st.sampled_from(NAMES)), given=draw(INPUTS))


def _cut(draw: st.DrawFn, text: str) -> list[str]:
    places = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=3))})
    return [text[a:b] for a, b in pairwise(places)]


def _whole(item: Item, id: str, place: int) -> Body:
    match item.kind:
        case "message":
            content = [{"type": "output_text", "text": part, "annotations": []} for part in item.parts]
            return {"type": "message", "id": id, "role": "assistant", "content": content}
        case "reasoning":
            return reasoning(*item.parts, id=id, **({"encrypted_content": item.encrypted} if item.hidden else {}))
    arguments = orjson.dumps(item.given).decode()
    return {
        "type": "function_call",
        "id": id,
        "call_id": f"call_{place}_abc",
        "name": item.name,
        "arguments": arguments,
    }


def _events(draw: st.DrawFn, item: Item, place: int) -> list[Body]:
    """The events of one item. What its deltas leave out its end says."""
    id = f"item_{place}"
    whole = _whole(item, id, place)
    where = {"output_index": place, "item_id": id}
    empty = {**whole, **{name: blank for name, blank in _BLANK.items() if name in whole}}
    events = [added(empty, place)] if draw(st.booleans()) or item.kind == "call" else []
    deltas = draw(st.booleans())
    repeats = draw(st.booleans())
    match item.kind:
        case "message" if deltas:
            for n, part in enumerate(item.parts):
                at = {"content_index": n}
                events += [delta("output_text", piece, place, id, **at) for piece in _cut(draw, part)]
                if repeats:
                    events.append({"type": "response.output_text.done", **where, **at, "text": part})
                    ended = {"type": "output_text", "text": part}
                    events.append({"type": "response.content_part.done", **where, **at, "part": ended})
        case "reasoning" if deltas:
            for n, part in enumerate(item.parts):
                at = {"summary_index": n}
                events += [delta("reasoning_summary_text", piece, place, id, **at) for piece in _cut(draw, part)]
                if repeats:
                    events.append({"type": "response.reasoning_summary_text.done", **where, **at, "text": part})
        case "call" if deltas:
            text = whole["arguments"]
            events += [delta("function_call_arguments", piece, place, id) for piece in _cut(draw, text)]
            if repeats:
                events.append({"type": "response.function_call_arguments.done", **where, "arguments": text})
    return [*events, done(whole, place)]


_BLANK: Body = {"content": [], "summary": [], "arguments": ""}
NOISE: list[Body] = [
    {"type": "response.in_progress", "response": response()},
    {"type": "response.web_search_call.searching", "output_index": 9},
    {"type": "response.later.event", "delta": "x"},
    {"type": "response.output_item.added", "output_index": 40, "item": {"type": "later_call", "id": "x"}},
]


def _in_turn(draw: st.DrawFn, queues: list[list[Body]]) -> list[Body]:
    """All events, those of items that are open at once in any order; an item begins when those before it have."""
    mixed = draw(st.booleans())
    order: list[Body] = []
    begun = 0
    while any(queues):
        ready = [n for n, queue in enumerate(queues) if queue and (n <= begun if mixed else not any(queues[:n]))]
        n = draw(st.sampled_from(ready))
        begun = max(begun, n + 1)
        order.append(queues[n].pop(0))
    return order


@st.composite
def replies(
    draw: st.DrawFn, said: st.SearchStrategy[list[Item]] | None = None, ends: tuple[str, ...] = tuple(sorted(ENDS))
) -> Reply:
    """An answer, said in some way."""
    meant = tuple(draw(st.lists(items(), max_size=4) if said is None else said))
    end = draw(st.sampled_from(ends))
    prompt = draw(st.integers(1, 99))
    cached, output = draw(st.integers(0, prompt)), draw(st.integers(1, 99))
    events = _in_turn(draw, [_events(draw, item, place) for place, item in enumerate(meant)])
    usage = {"input_tokens": prompt, "input_tokens_details": {"cached_tokens": cached}, "output_tokens": output}
    output_items = [_whole(item, f"item_{place}", place) for place, item in enumerate(meant)]
    more = {"usage": usage, **({"output": output_items} if draw(st.booleans()) else {})}
    last = (
        completed(**more)
        if end == "completed"
        else {**incomplete(end), "response": {**incomplete(end)["response"], **more}}
    )
    events = [{"type": "response.created", "response": response()}, *events, last]
    for _ in range(draw(st.integers(0, 2))):
        events.insert(draw(st.integers(0, len(events) - 1)), draw(st.sampled_from(NOISE)))
    if draw(st.booleans()):
        events = [{**event, "sequence_number": n} for n, event in enumerate(events)]
        if draw(st.booleans()):
            twice = draw(st.integers(1, len(events) - 1))
            events.insert(twice, events[twice])
    frames = [frame(event) for event in events]
    if draw(st.booleans()):
        frames.append(DONE)
    return Reply(meant, end, prompt, cached, output, frames)
