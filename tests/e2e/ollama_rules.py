"""What a request on Ollama's own wire may hold, by its published description: everything else is named and refused.

The real server ignores what it does not know, which is how a choice of tools or a picture's address gets lost unseen; and
it refuses what is of the wrong sort. So there is a list of what may be there, in the sorts that its structures have, and on
top of it the rules that its templates take for granted.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .forms import (
    NAME,
    a_list,
    a_number,
    a_text,
    an_object,
    any_object,
    by,
    flag,
    one_of,
    secrets,
    string,
    text_or,
)

#: The keywords that its structures have for a schema; what else there is in one is lost without a word.
_KEYWORDS = frozenset(["type", "items", "enum", "properties", "required", "anyOf", "description", "$defs"])


def ollama_breaches(body: Any) -> list[str]:
    """Every breach in one body; the rules of the conversation are looked at only where its form is right."""
    return list(_BODY(body, "")) or [*_conversation(body["messages"]), *_told(body), *secrets(body, "")]


def _any_text(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{where}: not a text"


def _picture(value: Any, where: str) -> Iterator[str]:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        yield f"{where}: not base64"


def _schema(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: not an object"
        return
    yield from (f"{where}.{name}: no such keyword" for name in sorted(value.keys() - _KEYWORDS))
    kinds = value.get("type", [])
    if not isinstance(kinds, str) and not (isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds)):
        yield f"{where}.type: neither a text nor texts"
    if not isinstance(value.get("description", ""), str):
        yield f"{where}.description: not a text"
    required, properties = value.get("required", []), value.get("properties", {})
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        yield f"{where}.required: not texts"
    if not isinstance(value.get("enum", []), list):
        yield f"{where}.enum: not a list"
    for name, inner in properties.items() if isinstance(properties, dict) else [("", None)]:
        yield from _schema(inner, f"{where}.properties.{name}")
    for number, inner in enumerate(value.get("anyOf", [])):
        yield from _schema(inner, f"{where}.anyOf[{number}]")
    if "items" in value:
        yield from _schema(value["items"], f"{where}.items")


def _parameters(value: Any, where: str) -> Iterator[str]:
    yield from _schema(value, where)
    if isinstance(value, dict) and (value.get("type") != "object" or "properties" not in value):
        yield f"{where}: not an object's schema"


_call = an_object(
    {
        "id": string,
        "function": an_object(
            {"name": a_text(NAME), "arguments": any_object, "index": a_number(0, 99)}, ["name", "arguments"]
        ),
    },
    ["function"],
)
_message = by(
    "role",
    {
        "system": an_object({"role": string, "content": string}, ["content"]),
        "user": an_object({"role": string, "content": _any_text, "images": a_list(_picture)}, ["content"]),
        "assistant": an_object(
            {"role": string, "content": _any_text, "thinking": string, "tool_calls": a_list(_call)}, ["content"]
        ),
        "tool": an_object(
            {"role": string, "content": string, "tool_name": a_text(NAME), "tool_call_id": string},
            ["content", "tool_name"],
        ),
    },
)
_function = an_object({"name": a_text(NAME), "description": string, "parameters": _parameters}, ["name", "parameters"])
_options = an_object(
    {
        "num_ctx": a_number(1, 2**31, whole=True),
        "num_predict": a_number(-2, 2**31, whole=True),
        "temperature": a_number(0, 2),
        "top_p": a_number(0, 1),
        "top_k": a_number(1, 2**31, whole=True),
        "stop": a_list(string),
    }
)
_BODY = an_object(
    {
        "model": string,
        "messages": a_list(_message),
        "tools": a_list(an_object({"type": one_of("function"), "function": _function}, ["type", "function"])),
        "stream": flag,
        "think": one_of(True, False, "low", "medium", "high", "max"),
        "format": text_or(one_of("json"), dict, any_object),
        "options": _options,
        "keep_alive": text_or(a_number(-1, 2**31), str, a_text(r"-?(\d+(\.\d+)?(ns|us|ms|s|m|h))+")),
        "truncate": flag,
        "shift": flag,
    },
    ["model", "messages"],
)


def _conversation(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each call is answered by the next tool message, under the tool's name; a user asks at the end of it all."""
    due: list[tuple[str, Any]] = []
    before = ""
    for number, message in enumerate(messages):
        where, role = f"messages[{number}]", message["role"]
        if role == "system" and number:
            yield f"{where}: a system prompt in the middle"
        if role == before and role != "tool":
            yield f"{where}: {role} after {role}"
        before = role
        if role == "tool":
            answered = (message["tool_name"], message.get("tool_call_id"))
            if not due or due.pop(0) != answered:
                yield f"{where}: answers none of the calls that wait, {answered}"
            continue
        yield from (f"{where}: comes before the result of {call}" for call in due)
        due = [(call["function"]["name"], call.get("id")) for call in message.get("tool_calls", ())]
        if (
            role in ("user", "assistant")
            and not message["content"].strip()
            and not {"images", "tool_calls"} & message.keys()
        ):
            yield f"{where}: says nothing"
    yield from (f"messages: end before the result of {call}" for call in due)
    if messages[-1]["role"] == "assistant":
        yield "messages: end with an answer"


def _told(body: Mapping[str, Any]) -> Iterator[str]:
    """What must be said, lest the host loses some of the conversation without a word."""
    for name in ("truncate", "shift"):
        if body.get(name) is not False:
            yield f"{name}: not false"
    names = [tool["function"]["name"] for tool in body.get("tools", ())]
    if len(set(names)) < len(names):
        yield "tools: two of one name"
