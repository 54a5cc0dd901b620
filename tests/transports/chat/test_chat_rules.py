"""The checker of chat bodies refuses what a host would: each rule has a body that breaks it, and it alone."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import attrs
import pytest

from engine.config import Accent, Switch
from tests.transports.chat.rules import Body, faults

GOOD: Body = {
    "model": "m",
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 10,
    "temperature": 0.5,
    "stop": ["END"],
    "tools": [
        {"type": "function", "function": {"name": "Read", "description": "d", "parameters": {"type": "object"}}},
        {"type": "function", "function": {"name": "Now"}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "Read"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}, "strict": False}},
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "http://x"}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "Read", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "Now", "arguments": '{"cache_control": 1}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "one"},
        {"role": "tool", "tool_call_id": "b", "content": "two"},
        {"role": "assistant", "content": "fine"},
        {"role": "user", "content": "go on"},
    ],
}
PLAIN = Accent()


def test_a_good_body_has_no_faults() -> None:
    """Otherwise what follows proves nothing."""
    assert faults(GOOD, PLAIN) == []


def _put(*path: Any, value: Any) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        at: Any = body
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value

    return change


def _del(*path: Any) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        at: Any = body
        for step in path[:-1]:
            at = at[step]
        del at[path[-1]]

    return change


def _insert(place: int, message: Body) -> Callable[[Body], None]:
    return lambda body: body["messages"].insert(place, message)


USER = {"role": "user", "content": "x"}
SAID = {"role": "assistant", "content": "x"}
M = "messages"
CALL = (M, 2, "tool_calls", 0)
BAD: dict[str, tuple[Callable[[Body], None], str]] = {
    "a field of Messages": (_put("system", value="s"), "unknown field system"),
    "an unknown field": (_put("top_k", value=1), "unknown field top_k"),
    "no model": (_put("model", value=""), "no model"),
    "no stream": (_put("stream", value=False), "no stream"),
    "a cap of nothing": (_put("max_tokens", value=0), "caps"),
    "two caps": (_put("max_completion_tokens", value=5), "caps"),
    "a cap that is true": (_put("max_tokens", value=True), "caps"),
    "too warm": (_put("temperature", value=2.5), "temperature"),
    "no stop": (_put("stop", value=[]), "stop"),
    "an empty stop": (_put("stop", value=["a", " "]), "stop"),
    "five stops": (_put("stop", value=list("abcde")), "5 stop"),
    "a NUL": (_put(M, 6, "content", value="a\0b"), "a NUL"),
    "a format by half": (_put("response_format", value={"type": "json_schema"}), "response_format"),
    "no tools in tools": (_put("tools", value=[]), "tools: empty"),
    "a tool of Messages": (_put("tools", 0, value={"name": "Read", "input_schema": {}}), "a tool"),
    "a long name": (_put("tools", 1, "function", "name", value="x" * 65), "a tool's name"),
    "one name twice": (_put("tools", 1, "function", "name", value="Read"), "two tools"),
    "parameters that are a list": (_put("tools", 0, "function", "parameters", value={"type": "array"}), "no object"),
    "parameters that are a union": (
        _put("tools", 0, "function", "parameters", value={"type": "object", "anyOf": []}), "a union"),
    "a choice of Messages": (_put("tool_choice", value={"type": "auto"}), "tool_choice"),
    "a choice of what is not there": (
        _put("tool_choice", value={"type": "function", "function": {"name": "Gone"}}), "tool_choice"),
    "a choice among nothing": (_del("tools"), "a choice among no tools"),
    "nobody": (_put(M, value=[]), "nobody asks"),
    "only a system": (_put(M, value=[{"role": "system", "content": "s"}]), "nobody asks"),
    "the assistant begins": (_insert(1, SAID), "does not begin"),
    "the assistant ends": (_insert(7, SAID), "an answer at the end"),
    "two users": (_insert(7, USER), "user after user"),
    "two answers": (_insert(6, SAID), "assistant after assistant"),
    "a system in the middle": (_insert(7, {"role": "system", "content": "s"}), "in the middle"),
    "a role of nobody": (_put(M, 6, "role", value="human"), "role human"),
    "developer": (_put(M, 0, "role", value="developer"), "role developer"),
    "a name": (_put(M, 6, "name", value="n"), "unknown field name"),
    "foreign reasoning": (_put(M, 5, "reasoning_content", value="r"), "unknown field reasoning_content"),
    "an empty text": (_put(M, 6, "content", value=""), "empty content"),
    "blanks": (_put(M, 6, "content", value=" \n"), "empty content"),
    "null without calls": (_put(M, 5, "content", value=None), "null content"),
    "an empty list": (_put(M, 6, "content", value=[]), "content"),
    "parts of a tool": (_put(M, 3, "content", value=[{"type": "text", "text": "x"}]), "parts in a message of tool"),
    "parts of the assistant": (_put(M, 5, "content", value=[{"type": "text", "text": "x"}]), "parts in a message"),
    "an image of Messages": (
        _put(M, 1, "content", 1, value={"type": "image", "source": {"type": "url", "url": "http://x"}}), "a part"),
    "an empty part": (_put(M, 1, "content", 0, "text", value=" "), "a part"),
    "a mark": (_put(M, 1, "content", 0, "cache_control", value={"type": "ephemeral"}), "not of this wire"),
    "a file where none is taken": (
        _put(M, 1, "content", 1, value={"type": "file", "file": {"filename": "f", "file_data": "data:x"}}), "a part"),
    "no calls in calls": (_put(M, 5, "tool_calls", value=[]), "tool_calls: empty"),
    "a long id": (_put(*CALL, "id", value="x" * 41), "a call's id"),
    "one id twice": (_put(M, 2, "tool_calls", 1, "id", value="a"), "two calls of one id"),
    "arguments that are an object": (_put(*CALL, "function", "arguments", value={}), "a call's arguments"),
    "arguments that are a list": (_put(*CALL, "function", "arguments", value="[]"), "a call's arguments"),
    "arguments by half": (_put(*CALL, "function", "arguments", value='{"a":'), "a call's arguments"),
    "a call without a name": (_put(*CALL, "function", "name", value=""), "a call's name"),
    "a signature nobody asked for": (_put(*CALL, "extra_content", value={}), "a call"),
    "an orphan": (_insert(5, {"role": "tool", "tool_call_id": "c", "content": "x"}), "an orphan"),
    "one answer too few": (_del(M, 4), "before ['b'] are answered"),
    "two answers to one call": (_put(M, 4, "tool_call_id", value="a"), "out of order"),
    "answers out of order": (lambda body: body[M].insert(3, body[M].pop(4)), "out of order"),
    "an interruption": (_insert(4, USER), "are answered"),
    "never answered": (lambda body: body[M].__delitem__(slice(3, None)), "never answered"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_body_is_refused(name: str) -> None:
    """With a fault that says what is wrong."""
    change, fault = BAD[name]
    body = deepcopy(GOOD)
    change(body)
    assert any(fault in found for found in faults(body, PLAIN)), faults(body, PLAIN)


#: What one host takes and another does not.
ACCENTED: dict[str, tuple[Accent, Callable[[Body], None], bool]] = {
    "top_k": (Accent(top_k=True), _put("top_k", value=1), True),
    "an extra": (Accent(extra={"tool_stream": True}), _put("tool_stream", value=True), True),
    "a switch": (Accent(switch=Switch(effort="reasoning.effort")), _put("reasoning", value={"effort": "low"}), True),
    "a dropped field": (Accent(drop=frozenset(["stop"])), _del("temperature"), False),
    "no usage": (Accent(usage_option=False), _del("temperature"), False),
    "usage left out": (Accent(usage_option=False), _del("stream_options"), True),
    "developer": (Accent(system_role="developer"), _put(M, 0, "role", value="developer"), True),
    "any": (Accent(required="any"), _put("tool_choice", value="any"), True),
    "required": (Accent(required="any"), _put("tool_choice", value="required"), False),
    "no choices": (Accent(choices=frozenset()), _put("tool_choice", value="auto"), False),
    "no parallel": (Accent(parallel=False), _put("tool_choice", value="auto"), False),
    "an address": (Accent(images="base64"), _del("temperature"), False),
    "an id of nine": (Accent(tool_ids="alnum9"), _del("temperature"), False),
    "a bridge": (Accent(bridge=True), lambda body: body[M].pop(5), False),
    "kept at the end": (Accent(prefill="keep"), lambda body: body[M].pop(), True),
    "flagged at the end": (Accent(prefill="prefix"), lambda body: body[M].pop() and body[M][-1].update(prefix=True), True),
    "flagged in the middle": (Accent(prefill="prefix"), _put(M, 5, "prefix", value=True), False),
    "no null": (Accent(null_content=False), _del("temperature"), False),
    "its own reasoning": (Accent(replay="reasoning"), _put(M, 5, "reasoning", value="r"), True),
    "another's reasoning": (Accent(replay="reasoning"), _put(M, 5, "reasoning_content", value="r"), False),
    "no signature": (Accent(thought_signatures=True), _del("temperature"), False),
    "a signature": (Accent(thought_signatures=True), _put(*CALL, "extra_content", value={"google": {}}), True),
    "an object for a format": (Accent(format="json_object"), _put("response_format", value={"type": "json_object"}), True),
    "a schema for a format": (Accent(format="json_object"), _del("temperature"), False),
    "any number of stops": (Accent(stops=None), _put("stop", value=list("abcdefgh")), True),
    "half as warm": (attrs.evolve(PLAIN, temperature_max=1.0), _put("temperature", value=1.5), False),
    "thought in parts": (
        Accent(replay="parts"),
        _put(M, 5, "content", value=[{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]),
        True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCENTED)
def test_the_accent_decides(name: str) -> None:
    """The same body is right for one host and wrong for another."""
    accent, change, good = ACCENTED[name]
    body = deepcopy(GOOD)
    change(body)
    assert (faults(body, accent) == []) is good, faults(body, accent)
