"""What a chat-completions request may hold, by OpenAI's published description: everything else is named and refused.

A lenient fake hides the worst translation faults: hosts do refuse a field they have not heard of, a tool message without
its call, an empty list of tools; and a field that no host refuses may still carry a client's identity to a stranger. So
there is no list of what must not be there, but one of what may, down to the last part of a message, and on top of it the
rules of the conversation. Whatever an Anthropic request has and this wire has not is thereby found, whatever it is called.
What hides inside texts and heads is looked for by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

#: A breach is `where: what is wrong`.
Check = Callable[[Any, str], Iterator[str]]

_NAME = r"[a-zA-Z0-9_-]{1,64}"
#: OpenAI takes call ids of at most 40 characters.
_ID = r"\S{1,40}"


def breaches(body: Any) -> list[str]:
    """Every breach in one body; the rules of the conversation are looked at only where its form is right."""
    return list(_BODY(body, "")) or [*_conversation(body["messages"]), *_together(body), *_secrets(body, "")]


def head_breaches(headers: Mapping[str, str]) -> list[str]:
    """Headers that are the client's or Anthropic's own."""
    foreign = [name for name in headers if name.startswith(_FOREIGN_HEADERS)]
    if headers.get("authorization", "").endswith(" scripted"):  # what the clients of the tests come with
        foreign.append("authorization")
    return [f"header {name}: not this host's" for name in foreign]


_FOREIGN_HEADERS = ("anthropic-", "x-claude-", "x-stainless-", "x-app", "x-api-key", "x-anthropic-")


# Forms.


def _object(fields: Mapping[str, Check], required: Sequence[str] = ()) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where or 'body'}: not an object"
            return
        dot = f"{where}." if where else ""
        yield from (f"{dot}{name}: missing" for name in required if name not in value)
        for name, inner in value.items():
            if name not in fields:
                yield f"{dot}{name}: no such field"
            else:
                yield from fields[name](inner, f"{dot}{name}")

    return check


def _list(item: Check, least: int = 1, most: int | None = None) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{where}: not a list"
            return
        if len(value) < least or (most is not None and len(value) > most):
            yield f"{where}: {len(value)} of them"
        for number, inner in enumerate(value):
            yield from item(inner, f"{where}[{number}]")

    return check


def _text(pattern: str = r"(?s).+") -> Check:
    """A text with something in it."""

    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield f"{where}: not a text"
        elif not value.strip():
            yield f"{where}: empty"
        elif not re.fullmatch(pattern, value):
            yield f"{where}: {value[:80]!r} is not of the form {pattern}"

    return check


def _number(least: float, most: float, *, whole: bool = False) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            yield f"{where}: not a {'whole ' if whole else ''}number"
        elif not least <= value <= most:
            yield f"{where}: {value} is not from {least} to {most}"

    return check


def _one_of(*values: Any) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if not any(value is known or (isinstance(value, str) and value == known) for known in values):
            yield f"{where}: {str(value)[:80]!r} is none of {values}"

    return check


def _text_or(text: Check, kind: type, other: Check) -> Check:
    """What may be a text or something else of this type."""

    def check(value: Any, where: str) -> Iterator[str]:
        yield from (other if isinstance(value, kind) else text)(value, where)

    return check


def _by(field: str, kinds: Mapping[str, Check]) -> Check:
    """An object whose form depends on one of its fields."""

    def check(value: Any, where: str) -> Iterator[str]:
        kind = str(value.get(field)) if isinstance(value, dict) else "no object"
        if kind not in kinds:
            yield f"{where}.{field}: {kind[:80]!r} is none of {tuple(kinds)}"
        else:
            yield from kinds[kind](value, where)

    return check


def _arguments(value: Any, where: str) -> Iterator[str]:
    try:
        parsed = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        yield f"{where}: not the JSON of an object"


def _schema(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: not an object"
    elif value and value.get("type") != "object":
        yield f"{where}.type: {value.get('type')!r} is not 'object'"


def _pairs(value: Any, where: str) -> Iterator[str]:
    fits = isinstance(value, dict) and len(value) <= 16 and all(isinstance(text, str) for text in value.values())
    if not fits:
        yield f"{where}: not at most 16 texts by name"
    elif "user_id" in value:
        yield f"{where}.user_id: Anthropic's, and says who the user is"


def _any_object(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: not an object"


_flag = _one_of(True, False)
_string = _text()
_text_part = _object({"type": _one_of("text"), "text": _string}, ["type", "text"])
_image = _object({"url": _text(r"(?s)(data:image/|https?://).+"), "detail": _one_of("auto", "low", "high")}, ["url"])
_part = _by(
    "type",
    {
        "text": _text_part,
        "image_url": _object({"type": _string, "image_url": _image}, ["image_url"]),
        "file": _object(
            {"type": _string, "file": _object({"filename": _string, "file_data": _string, "file_id": _string})},
            ["file"],
        ),
    },
)
_texts = _text_or(_string, list, _list(_text_part))
_function_call = _object({"name": _text(_NAME), "arguments": _arguments}, ["name", "arguments"])
_call = _object({"id": _text(_ID), "type": _one_of("function"), "function": _function_call}, ["id", "type", "function"])
_instruction = _object({"role": _string, "content": _texts, "name": _string}, ["content"])


def _assistant(value: Any, where: str) -> Iterator[str]:
    fields = {"role": _string, "content": _texts, "refusal": _string, "name": _string, "tool_calls": _list(_call)}
    calls = value.get("tool_calls") is not None
    spoken = {**value}
    if calls and value.get("content") in (None, ""):  # beside calls there may be nothing to say
        spoken.pop("content", None)
    yield from _object(fields, [] if calls else ["content"])(spoken, where)


_message = _by(
    "role",
    {
        "system": _instruction,
        "developer": _instruction,
        "user": _object(
            {"role": _string, "content": _text_or(_string, list, _list(_part)), "name": _string}, ["content"]
        ),
        "assistant": _assistant,
        "tool": _object({"role": _string, "content": _texts, "tool_call_id": _text(_ID)}, ["content", "tool_call_id"]),
    },
)
_function = _object({"name": _text(_NAME), "description": _string, "parameters": _schema, "strict": _flag}, ["name"])
_named = _object({"type": _one_of("function"), "function": _object({"name": _text(_NAME)}, ["name"])}, ["function"])
_format_schema = _object(
    {"name": _text(_NAME), "description": _string, "schema": _any_object, "strict": _flag}, ["name", "schema"]
)

_BODY = _object(
    {
        "model": _string,
        "messages": _list(_message),
        "max_tokens": _number(1, 10_000_000, whole=True),
        "max_completion_tokens": _number(1, 10_000_000, whole=True),
        "stream": _flag,
        "stream_options": _object({"include_usage": _flag}),
        "tools": _list(_object({"type": _one_of("function"), "function": _function}, ["type", "function"]), most=128),
        "tool_choice": _text_or(_one_of("none", "auto", "required"), dict, _named),
        "parallel_tool_calls": _flag,
        "temperature": _number(0, 2),
        "top_p": _number(0, 1),
        "stop": _text_or(_string, list, _list(_string, most=4)),
        "response_format": _by(
            "type",
            {
                "text": _object({"type": _string}),
                "json_object": _object({"type": _string}),
                "json_schema": _object({"type": _string, "json_schema": _format_schema}, ["json_schema"]),
            },
        ),
        "reasoning_effort": _one_of("none", "minimal", "low", "medium", "high", "xhigh"),
        "user": _string,
        "prompt_cache_key": _string,
        "store": _flag,
        "metadata": _pairs,
        "n": _number(1, 128, whole=True),
        "seed": _number(-(2**63), 2**63 - 1, whole=True),
        "presence_penalty": _number(-2, 2),
        "frequency_penalty": _number(-2, 2),
        "logit_bias": _any_object,
        "logprobs": _flag,
        "top_logprobs": _number(0, 20, whole=True),
        "service_tier": _one_of("auto", "default", "flex", "scale", "priority"),
    },
    ["model", "messages"],
)


# Rules.


def _conversation(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each call is answered by one tool message, behind its own turn and before anything else."""
    due: list[str] = []
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if message["role"] == "tool":
            id = message["tool_call_id"]
            if id not in due:
                yield f"{where}.tool_call_id: {id!r} is none of the calls that wait, {due}"
            else:
                due.remove(id)
            continue
        yield from (f"{where}: comes before the result of call {id!r}" for id in due)
        due = [call["id"] for call in message.get("tool_calls") or ()]
        if len(set(due)) < len(due):
            yield f"{where}.tool_calls: two of one id in {due}"
    yield from (f"messages: end before the result of call {id!r}" for id in due)


def _together(body: Mapping[str, Any]) -> Iterator[str]:
    """What may stand beside what."""
    names = [tool["function"]["name"] for tool in body.get("tools", ())]
    if len(set(names)) < len(names):
        yield "tools: two of one name"
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["function"]["name"] not in names:
        yield f"tool_choice: {choice['function']['name']!r} is none of the tools"
    if not names:
        yield from (f"{name}: without tools" for name in ("tool_choice", "parallel_tool_calls") if name in body)
    if "max_tokens" in body and "max_completion_tokens" in body:
        yield "max_tokens: beside max_completion_tokens"
    if "stream_options" in body and not body.get("stream"):
        yield "stream_options: without stream"


def _secrets(value: Any, where: str) -> Iterator[str]:
    """Texts that were meant for others: Claude Code's attribution, and signatures."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _secrets(inner, f"{where}.{name}" if where else name)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _secrets(inner, f"{where}[{number}]")
    elif isinstance(value, str):
        if "x-anthropic-billing-header" in value:
            yield f"{where}: Claude Code's attribution"
        if value.startswith("hedgerow."):
            yield f"{where}: the proxy's own signature"
