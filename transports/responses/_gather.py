"""What each event adds to the items of an answer: one function for each thing that events say.

An event is about one item, which it names by index, by id, or not at all. It brings more of a text, all of one that has
ended, or the item as a whole; what is neither a message nor reasoning nor a call, a host's own tools among it, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from engine import JSON
from transports.responses import _events as told
from transports.responses._items import Call, Item, Items, Speech, Thought

_KINDS: Mapping[str, type[Item]] = MappingProxyType(
    {"message": Speech, "reasoning": Thought, "function_call": Call, "custom_tool_call": Call}
)
#: The field of a reasoning item that an event is about, by the word in its type.
_FIELDS: Mapping[str, str] = MappingProxyType({"reasoning_summary_text": "summary", "reasoning_text": "content"})


def absorb(items: Items, output: Any) -> None:
    """The items that a finished response repeats: only of kinds of which the events have brought nothing.

    Reasoning behind what it led to is of no use, so that is taken only where nothing at all has come.
    """
    had: set[type[Item]] = {kind for kind in _KINDS.values() if items.of(kind)}
    if not any(speech.spoken for speech in items.of(Speech)):
        had.discard(Speech)
    wanted = set(_KINDS.values()) - had - ({Thought} if had else set())
    for place, item in enumerate(output if isinstance(output, list) else ()):
        kind = _kind_of(item)
        if kind in wanted:
            found = items.find(kind, place, told.string(item.get("id")), ended=True)
            items.hold(found.finish(item))


def _added(items: Items, payload: JSON, kind: str) -> None:
    item = payload.get("item")
    known = _kind_of(item)
    if known is not None and isinstance(item, dict):
        found = items.find(known, *_address(payload, item))
        if isinstance(found, Call) and not found.done:
            items.hold(found.told(item))


def _finished(items: Items, payload: JSON, kind: str) -> None:
    item = payload.get("item")
    known = _kind_of(item)
    if known is not None and isinstance(item, dict):
        found = items.find(known, *_address(payload, item), ended=True)
        if not found.done:
            items.hold(found.finish(item))


def _said(items: Items, payload: JSON, kind: str) -> None:
    """More of a text, or of a refusal."""
    item = items.find(Speech, *_address(payload))
    delta = payload.get("delta")
    if isinstance(delta, str) and not item.done:
        part = told.index_in(payload, "content_index")
        items.hold(item.say(part, delta, refusal=kind == "response.refusal.delta"))


def _said_all(items: Items, payload: JSON, kind: str) -> None:
    item = items.find(Speech, *_address(payload), ended=True)
    refusal = kind == "response.refusal.done"
    text = told.string(payload.get("refusal" if refusal else "text"))
    if not item.done:
        items.hold(item.repair(told.index_in(payload, "content_index"), text, refusal=refusal))


def _part_ended(items: Items, payload: JSON, kind: str) -> None:
    part = payload.get("part")
    part = part if isinstance(part, dict) else {}
    number = told.index_in(payload, "content_index")
    if part.get("type") == "reasoning_text":
        thought = items.find(Thought, *_address(payload), ended=True)
        if not thought.done:
            items.hold(thought.repair("content", number, told.text_in(part)))
    elif part.get("type") in ("output_text", "text", "refusal"):
        speech = items.find(Speech, *_address(payload), ended=True)
        if not speech.done:
            items.hold(speech.repair(number, told.text_in(part), refusal=part.get("type") == "refusal"))
            speech.end_part()


def _thought(items: Items, payload: JSON, kind: str) -> None:
    item = items.find(Thought, *_address(payload))
    delta = payload.get("delta")
    if isinstance(delta, str) and not item.done:
        part = told.index_in(payload, "summary_index", "content_index")
        items.hold(item.think(_FIELDS[kind.split(".")[1]], part, delta))


def _thought_all(items: Items, payload: JSON, kind: str) -> None:
    item = items.find(Thought, *_address(payload), ended=True)
    if not item.done:
        part = told.index_in(payload, "summary_index", "content_index")
        items.hold(item.repair(_FIELDS[kind.split(".")[1]], part, told.string(payload.get("text"))))


def _argued(items: Items, payload: JSON, kind: str) -> None:
    item = items.find(Call, *_address(payload))
    delta = told.arguments_in(payload.get("delta"))
    if delta and not item.done:
        item.free = item.free or kind == "response.custom_tool_call_input.delta"
        items.hold(item.add(delta))


def _argued_all(items: Items, payload: JSON, kind: str) -> None:
    item = items.find(Call, *_address(payload), ended=True)
    if not item.done:
        custom = "custom_tool_call" if kind == "response.custom_tool_call_input.done" else ""
        items.hold(item.told({**payload, "type": custom}))


#: What is done with each type of event. What is neither here nor an end says only that the host is at work.
HANDLERS: Mapping[str, Callable[[Items, JSON, str], None]] = MappingProxyType(
    {
        "response.output_item.added": _added,
        "response.output_item.done": _finished,
        "response.output_text.delta": _said,
        "response.output_text.done": _said_all,
        "response.refusal.delta": _said,
        "response.refusal.done": _said_all,
        "response.content_part.done": _part_ended,
        "response.reasoning_summary_text.delta": _thought,
        "response.reasoning_summary_text.done": _thought_all,
        "response.reasoning_text.delta": _thought,
        "response.reasoning_text.done": _thought_all,
        "response.function_call_arguments.delta": _argued,
        "response.function_call_arguments.done": _argued_all,
        "response.custom_tool_call_input.delta": _argued,
        "response.custom_tool_call_input.done": _argued_all,
    }
)


def _kind_of(item: Any) -> type[Item] | None:
    return _KINDS.get(told.string(item.get("type"))) if isinstance(item, dict) else None


def _address(payload: JSON, item: JSON | None = None) -> tuple[int | None, str]:
    """The index and the id of the item that an event speaks of."""
    place = payload.get("output_index")
    id = told.string(payload.get("item_id")) or (told.string(item.get("id")) if item is not None else "")
    return place if type(place) is int else None, id
