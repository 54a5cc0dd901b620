"""What a Responses request may hold, by OpenAI's published description: everything else is named and refused.

The same as for chat completions: one list of what may be there, down to the last part of an item, and the rules of the
conversation on top: an output for every call and a call for every output, nothing said in between, and reasoning only as
this host has encrypted it, right before what came of it.
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
from .wire import SIGNATURE

_CALL_ID = r"\S{1,64}"


def breaches(body: Any) -> list[str]:
    """Every breach in one body; the rules of the conversation are looked at only where its form is right."""
    return list(_BODY(body, "")) or [*_conversation(body["input"]), *_together(body), *secrets(body, "")]


_input_part = by(
    "type",
    {
        "input_text": an_object({"type": string, "text": string}, ["text"]),
        "input_image": an_object(
            {
                "type": string,
                "image_url": a_text(r"(?s)(data:image/|https?://).+"),
                "detail": one_of("auto", "low", "high"),
            },
            ["image_url", "detail"],
        ),
        "input_file": an_object({"type": string, "filename": string, "file_data": string, "file_url": string}),
    },
)
_output_part = by(
    "type",
    {
        "output_text": an_object({"type": string, "text": string, "annotations": a_list(any_object, 0)}, ["text"]),
        "refusal": an_object({"type": string, "refusal": string}, ["refusal"]),
    },
)
_ours = an_object({"type": string, "role": string, "content": text_or(string, list, a_list(_input_part))}, ["content"])
_message = by(
    "role",
    {
        "user": _ours,
        "system": _ours,
        "developer": _ours,
        "assistant": an_object({"type": string, "role": string, "content": a_list(_output_part)}, ["content"]),
    },
)
# An item that is not stored is not known by its id.
_item = by(
    "type",
    {
        "message": _message,
        "function_call": an_object(
            {"type": string, "call_id": a_text(_CALL_ID), "name": a_text(NAME), "arguments": arguments},
            ["call_id", "name", "arguments"],
        ),
        "function_call_output": an_object(
            {"type": string, "call_id": a_text(_CALL_ID), "output": text_or(string, list, a_list(_input_part))},
            ["call_id", "output"],
        ),
        "reasoning": an_object(
            {
                "type": string,
                "summary": a_list(an_object({"type": one_of("summary_text"), "text": string}, ["type", "text"]), 0),
                "encrypted_content": string,
            },
            ["summary", "encrypted_content"],
        ),
    },
)
_tool = an_object(
    {"type": one_of("function"), "name": a_text(NAME), "description": string, "parameters": schema, "strict": flag},
    ["type", "name", "parameters", "strict"],
)
_named = an_object({"type": one_of("function"), "name": a_text(NAME)}, ["type", "name"])
_format = by(
    "type",
    {
        "text": an_object({"type": string}),
        "json_object": an_object({"type": string}),
        "json_schema": an_object(
            {"type": string, "name": a_text(NAME), "description": string, "schema": any_object, "strict": flag},
            ["name", "schema"],
        ),
    },
)

_BODY = an_object(
    {
        "model": string,
        "input": a_list(_item),
        "instructions": string,
        "max_output_tokens": a_number(16, 10**9, whole=True),
        "stream": flag,
        "store": flag,
        "include": a_list(one_of("reasoning.encrypted_content", "message.output_text.logprobs")),
        "tools": a_list(_tool, most=128),
        "tool_choice": text_or(one_of("none", "auto", "required"), dict, _named),
        "parallel_tool_calls": flag,
        "reasoning": an_object(
            {
                "effort": one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"),
                "summary": one_of("auto", "concise", "detailed"),
            }
        ),
        "text": an_object({"format": _format, "verbosity": one_of("low", "medium", "high")}),
        "temperature": a_number(0, 2),
        "top_p": a_number(0, 1),
        "prompt_cache_key": a_text(r"\S{1,64}"),
        "safety_identifier": string,
        "metadata": pairs,
        "previous_response_id": string,
        "service_tier": one_of("auto", "default", "flex", "priority"),
        "truncation": one_of("auto", "disabled"),
        "max_tool_calls": a_number(1, 1000, whole=True),
        "top_logprobs": a_number(0, 20, whole=True),
    },
    ["model", "input"],
)


def _conversation(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each call is answered by one output, before anybody says anything else; reasoning leads to something."""
    due: list[str] = []
    had: set[str] = set()
    for number, item in enumerate(items):
        where = f"input[{number}]"
        match item["type"]:
            case "function_call":
                if item["call_id"] in had:
                    yield f"{where}.call_id: {item['call_id']!r} is another call's"
                due.append(item["call_id"])
                had.add(item["call_id"])
            case "function_call_output":
                if item["call_id"] not in due:
                    yield f"{where}.call_id: no call {item['call_id']!r} waits for an output, only {due}"
                else:
                    due.remove(item["call_id"])
            case "message":
                yield from (f"{where}: comes before the output of call {id!r}" for id in due)
            case "reasoning":
                following = items[number + 1] if number + 1 < len(items) else {"type": "the end"}
                leads = following["type"] in ("reasoning", "function_call") or following.get("role") == "assistant"
                if not leads:
                    yield f"{where}: of type 'reasoning' was provided without its required following item"
                if item["encrypted_content"] != SIGNATURE:
                    yield f"{where}: the encrypted content could not be verified"
    yield from (f"input: no output for call {id!r}" for id in due)


def _together(body: Mapping[str, Any]) -> Iterator[str]:
    """What may stand beside what."""
    names = [tool["name"] for tool in body.get("tools", ())]
    if len(set(names)) < len(names):
        yield "tools: two of one name"
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["name"] not in names:
        yield f"tool_choice: {choice['name']!r} is none of the tools"
    if not names:
        yield from (f"{name}: without tools" for name in ("tool_choice", "parallel_tool_calls") if name in body)
