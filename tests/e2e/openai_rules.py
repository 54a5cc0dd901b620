"""What a chat-completions request may hold, by OpenAI's published description: everything else is named and refused.

A lenient fake hides the worst translation faults: hosts do refuse a field they have not heard of, a tool message without
its call, an empty list of tools; and a field that no host refuses may still carry a client's identity to a stranger. So
there is no list of what must not be there, but one of what may, down to the last part of a message, and on top of it the
rules of the conversation. Whatever an Anthropic request has and this wire has not is thereby found, whatever it is called.
What hides inside texts and heads is looked for by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .forms import (
    NAME,
    a_list,
    a_number,
    a_text,
    an_object,
    any_object,
    arguments,
    by,
    flag,
    one_of,
    pairs,
    schema,
    secrets,
    string,
    text_or,
)
from .forms import head_breaches as head_breaches

#: OpenAI takes call ids of at most 40 characters.
_ID = r"\S{1,40}"


def breaches(body: Any) -> list[str]:
    """Every breach in one body; the rules of the conversation are looked at only where its form is right."""
    return list(_BODY(body, "")) or [*_conversation(body["messages"]), *_together(body), *secrets(body, "")]


_text_part = an_object({"type": one_of("text"), "text": string}, ["type", "text"])
_image = an_object({"url": a_text(r"(?s)(data:image/|https?://).+"), "detail": one_of("auto", "low", "high")}, ["url"])
_part = by(
    "type",
    {
        "text": _text_part,
        "image_url": an_object({"type": string, "image_url": _image}, ["image_url"]),
        "file": an_object(
            {"type": string, "file": an_object({"filename": string, "file_data": string, "file_id": string})},
            ["file"],
        ),
    },
)
_texts = text_or(string, list, a_list(_text_part))
_function_call = an_object({"name": a_text(NAME), "arguments": arguments}, ["name", "arguments"])
_call = an_object(
    {"id": a_text(_ID), "type": one_of("function"), "function": _function_call}, ["id", "type", "function"]
)
_instruction = an_object({"role": string, "content": _texts, "name": string}, ["content"])


def _assistant(value: Any, where: str) -> Iterator[str]:
    fields = {"role": string, "content": _texts, "refusal": string, "name": string, "tool_calls": a_list(_call)}
    calls = value.get("tool_calls") is not None
    spoken = {**value}
    if calls and value.get("content") in (None, ""):  # beside calls there may be nothing to say
        spoken.pop("content", None)
    yield from an_object(fields, [] if calls else ["content"])(spoken, where)


_message = by(
    "role",
    {
        "system": _instruction,
        "developer": _instruction,
        "user": an_object(
            {"role": string, "content": text_or(string, list, a_list(_part)), "name": string}, ["content"]
        ),
        "assistant": _assistant,
        "tool": an_object(
            {"role": string, "content": _texts, "tool_call_id": a_text(_ID)}, ["content", "tool_call_id"]
        ),
    },
)
_function = an_object({"name": a_text(NAME), "description": string, "parameters": schema, "strict": flag}, ["name"])
_named = an_object({"type": one_of("function"), "function": an_object({"name": a_text(NAME)}, ["name"])}, ["function"])
_format_schema = an_object(
    {"name": a_text(NAME), "description": string, "schema": any_object, "strict": flag}, ["name", "schema"]
)

_BODY = an_object(
    {
        "model": string,
        "messages": a_list(_message),
        "max_tokens": a_number(1, 10_000_000, whole=True),
        "max_completion_tokens": a_number(1, 10_000_000, whole=True),
        "stream": flag,
        "stream_options": an_object({"include_usage": flag}),
        "tools": a_list(an_object({"type": one_of("function"), "function": _function}, ["type", "function"]), most=128),
        "tool_choice": text_or(one_of("none", "auto", "required"), dict, _named),
        "parallel_tool_calls": flag,
        "temperature": a_number(0, 2),
        "top_p": a_number(0, 1),
        "stop": text_or(string, list, a_list(string, most=4)),
        "response_format": by(
            "type",
            {
                "text": an_object({"type": string}),
                "json_object": an_object({"type": string}),
                "json_schema": an_object({"type": string, "json_schema": _format_schema}, ["json_schema"]),
            },
        ),
        "reasoning_effort": one_of("none", "minimal", "low", "medium", "high", "xhigh"),
        "user": string,
        "prompt_cache_key": string,
        "store": flag,
        "metadata": pairs,
        "n": a_number(1, 128, whole=True),
        "seed": a_number(-(2**63), 2**63 - 1, whole=True),
        "presence_penalty": a_number(-2, 2),
        "frequency_penalty": a_number(-2, 2),
        "logit_bias": any_object,
        "logprobs": flag,
        "top_logprobs": a_number(0, 20, whole=True),
        "service_tier": one_of("auto", "default", "flex", "scale", "priority"),
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
