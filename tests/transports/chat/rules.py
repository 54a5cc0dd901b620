"""What a chat-completions host may refuse a request for, as a pure function: a body in, its faults out.

An encoder tested against examples sends what its author thought of. Here OpenAI's description of the wire, and the rules
that strict hosts add to it, are written down once, without a look at the encoder; every body that any test makes is held
against them. `accent` says what the host has beyond the description, and what it takes less of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import orjson

from engine.config import Accent

Body = dict[str, Any]

#: OpenAI's description, as far as anything is sent of it.
FIELDS = frozenset(
    [
        "model", "messages", "max_tokens", "max_completion_tokens", "stream", "stream_options", "tools", "tool_choice",
        "parallel_tool_calls", "response_format", "temperature", "top_p", "stop", "reasoning_effort",
    ]
)  # fmt: skip
MESSAGE_FIELDS = {
    "system": {"role", "content"},
    "developer": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}
#: Keys and block types of Messages that mean nothing on this wire, wherever they stand. Strings, arguments and schemas may
#: say what they like.
FOREIGN_KEYS = frozenset(
    [
        "cache_control", "input_schema", "tool_use_id", "is_error", "signature", "source", "media_type", "citations",
        "stop_sequences", "output_config", "metadata", "context_management", "defer_loading", "budget_tokens", "system",
        "container", "mcp_servers", "safeguards", "betas", "service_tier", "budget", "disable_parallel_tool_use",
    ]
)  # fmt: skip
PARTS = {"text": {"text"}, "image_url": {"image_url"}, "file": {"file"}}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
_IDS = {
    "any": re.compile(r"[a-zA-Z0-9_-]{1,40}", re.ASCII),
    "alnum9": re.compile(r"[a-zA-Z0-9]{9}", re.ASCII),
    "kimi": re.compile(r"functions\.[a-zA-Z0-9_-]{1,64}:\d+", re.ASCII),
}


def faults(body: Body, accent: Accent) -> list[str]:
    """Everything that is wrong with a body; nothing where a strict host would take it."""
    return [*_top(body, accent), *_tools(body, accent), *_messages(body, accent), *_foreign(body, "body", accent)]


def _extras(accent: Accent) -> set[str]:
    """Top-level fields that this host has beyond the description."""
    switch = accent.switch
    names = {*accent.extra, accent.session} - {""}
    if switch is not None:
        paths = (switch.effort, switch.budget)
        names |= {*switch.on, *switch.off, *(path.partition(".")[0] for path in paths if path)}
    return names | ({"top_k"} if accent.top_k else set())


def _top(body: Body, accent: Accent) -> Iterator[str]:
    try:
        text = orjson.dumps(body)
    except TypeError as error:
        yield f"not JSON: {error}"
        return
    if re.search(rb"(?<!\\)(\\\\)*\\u0000", text):
        yield "a NUL"
    yield from (f"unknown field {name}" for name in sorted(body.keys() - FIELDS - _extras(accent)))
    yield from (f"the host refuses {name}" for name in sorted(body.keys() & accent.drop))
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "no model"
    if body.get("stream") is not True:
        yield "no stream is asked for"
    if ("stream_options" in body) > accent.usage_option:
        yield "stream_options are refused here"
    caps = [body[name] for name in ("max_tokens", "max_completion_tokens") if name in body]
    if len(caps) > 1 or any(type(cap) is not int or cap < 1 for cap in caps):
        yield f"caps: {caps}"
    for name, low, high in (("temperature", accent.temperature_min, accent.temperature_max), ("top_p", 0, 1)):
        value = body.get(name, low)
        if type(value) not in (int, float) or (name == "temperature" and not low <= value <= high):
            yield f"{name}: {value}"
    stop = body.get("stop", ["."])
    if not isinstance(stop, list) or not stop or not all(isinstance(s, str) and s.strip() for s in stop):
        yield f"stop: {stop}"
    elif accent.stops is not None and len(stop) > accent.stops:
        yield f"{len(stop)} stop sequences"
    yield from _format(body.get("response_format"), accent)


def _format(form: Any, accent: Accent) -> Iterator[str]:
    if form is None:
        return
    match form:
        case {"type": "json_object", **rest} if not rest and accent.format != "prompt":
            return
        case {
            "type": "json_schema",
            "json_schema": {"name": str(name), "schema": dict(), "strict": bool(), **more},
            **rest,
        }:
            if not (more or rest) and _NAME.fullmatch(name) and accent.format == "json_schema":
                return
    yield f"response_format: {form}"


def _tools(body: Body, accent: Accent) -> Iterator[str]:
    tools = body.get("tools", [None])
    if not isinstance(tools, list) or not tools:
        yield "tools: empty"
        return
    names = []
    for tool in tools if tools != [None] else ():
        function = tool.get("function")
        if tool.keys() != {"type", "function"} or tool["type"] != "function" or not isinstance(function, dict):
            yield f"a tool: {tool}"
            continue
        names.append(function.get("name"))
        if function.keys() - {"name", "description", "parameters"}:
            yield f"a tool's fields: {sorted(function)}"
        if not isinstance(names[-1], str) or not _NAME.fullmatch(names[-1]):
            yield f"a tool's name: {names[-1]}"
        if not isinstance(function.get("description", ""), str):
            yield "a tool's description"
        parameters = function.get("parameters", {"type": "object"})
        if not isinstance(parameters, dict) or parameters.get("type") != "object":
            yield f"parameters that are no object: {parameters}"
        elif parameters.keys() & {"anyOf", "oneOf", "allOf", "enum", "not", "$ref"}:
            yield f"a union for parameters: {sorted(parameters)}"
    if len(set(names)) < len(names):
        yield f"two tools of one name: {names}"
    choice = body.get("tool_choice")
    if not names and {"tool_choice", "parallel_tool_calls"} & body.keys():
        yield "a choice among no tools"
    if "parallel_tool_calls" in body and not (accent.parallel and isinstance(body["parallel_tool_calls"], bool)):
        yield "parallel_tool_calls"
    match choice:
        case None:
            return
        case {"type": "function", "function": {"name": name, **rest}, **more}:
            if "named" not in accent.choices or name not in names or rest or more:
                yield f"tool_choice: {choice}"
        case str() if choice in ("auto", "none") or choice == accent.required:
            if ("required" if choice == accent.required else choice) not in accent.choices:
                yield f"tool_choice: {choice}"
        case _:
            yield f"tool_choice: {choice}"


def _messages(body: Body, accent: Accent) -> Iterator[str]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        yield "no messages"
        return
    if not any(message.get("role") == "user" for message in messages):
        yield "nobody asks"
    roles = [message.get("role") for message in messages]
    if any(role in ("system", "developer") for role in roles[1:]):
        yield "a system message in the middle"
    if roles and roles[0] in ("system", "developer") and roles[0] not in ("system", accent.system_role):
        yield f"role {roles[0]}"
    if roles and roles[roles[0] in ("system", "developer") :][:1] != ["user"]:
        yield "the conversation does not begin with the user"
    for before, after in pairwise(roles):
        if before == after and before != "tool":
            yield f"{before} after {after}"
        if accent.bridge and (before, after) == ("tool", "user"):
            yield "a user right behind a tool"
    if roles and roles[-1] == "assistant" and not {accent.prefill} & {"keep", "prefix", "partial"}:
        yield "an answer at the end"
    for number, message in enumerate(messages):
        yield from (f"messages[{number}]: {fault}" for fault in _message(message, accent, number == len(messages) - 1))
    yield from _pairs(messages)


def _message(message: Body, accent: Accent, last: bool) -> Iterator[str]:
    role = message.get("role")
    if role not in MESSAGE_FIELDS:
        yield f"role {role}"
        return
    known = set(MESSAGE_FIELDS[role])
    if role == "assistant":
        known |= {accent.replay} - {"", "parts", "tags"}
        if last and accent.prefill in ("prefix", "partial"):
            known |= {accent.prefill}
    yield from (f"unknown field {name}" for name in sorted(message.keys() - known))
    if "content" not in message:
        yield "no content"
    else:
        yield from _content(message, accent)
    for name in ("reasoning_content", "reasoning"):
        if not isinstance(message.get(name, ""), str):
            yield name
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        yield "no tool_call_id"
    if "tool_calls" in message:
        yield from _calls(message["tool_calls"], accent)


def _content(message: Body, accent: Accent) -> Iterator[str]:
    role, content = message["role"], message["content"]
    calls = bool(message.get("tool_calls"))
    if isinstance(content, str):
        if not content.strip() and not (role == "assistant" and calls and not accent.null_content):
            yield "empty content"
    elif content is None:
        if role != "assistant" or not calls or not accent.null_content:
            yield "null content"
    elif not isinstance(content, list) or not content:
        yield f"content: {content}"
    elif role == "user":
        yield from (f"a part: {part}" for part in content if not _is_part(part, accent))
    elif role != "assistant" or accent.replay != "parts" or not all(map(_is_thought, content)):
        yield f"parts in a message of {role}"


def _is_part(part: Any, accent: Accent) -> bool:
    match part:
        case {"type": "text", "text": str(text), **rest}:
            return bool(text.strip()) and not rest
        case {"type": "image_url", "image_url": {"url": str(url), **inner}, **rest}:
            return (url.startswith("data:") or accent.images == "any") and not (inner or rest)
        case {"type": "file", "file": {"filename": str(name), "file_data": str(data), **inner}, **rest}:
            return accent.files and bool(name) and data.startswith("data:") and not (inner or rest)
    return False


def _is_thought(part: Any) -> bool:
    match part:
        case {"type": "thinking", "thinking": [{"type": "text", "text": str(text)}], **rest} | {
            "type": "text",
            "text": str(text),
            **rest,
        }:
            return bool(text.strip()) and not rest
    return False


def _calls(calls: Any, accent: Accent) -> Iterator[str]:
    if not isinstance(calls, list) or not calls:
        yield "tool_calls: empty"
        return
    extra = {"extra_content"} if accent.thought_signatures else set()
    for call in calls:
        function = call.get("function")
        if call.keys() - extra != {"id", "type", "function"} or call["type"] != "function":
            yield f"a call: {sorted(call)}"
            continue
        if not isinstance(call["id"], str) or not _IDS[accent.tool_ids].fullmatch(call["id"]):
            yield f"a call's id: {call['id']}"
        if not isinstance(function, dict) or function.keys() != {"name", "arguments"}:
            yield f"a call's function: {function}"
        elif not isinstance(function["name"], str) or not _NAME.fullmatch(function["name"]):
            yield f"a call's name: {function['name']}"
        elif not _is_object(function["arguments"]):
            yield f"a call's arguments: {function['arguments']}"
    ids = [call.get("id") for call in calls]
    if len(set(ids)) < len(ids):
        yield f"two calls of one id: {ids}"
    if extra and "extra_content" not in calls[0] and not any("extra_content" in call for call in calls):
        yield "a call without a signature"


def _is_object(text: Any) -> bool:
    try:
        return isinstance(text, str) and isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _pairs(messages: list[Body]) -> Iterator[str]:
    """Each call has exactly one answer, right behind it, in order; no answer is without a call."""
    open_calls: list[str] = []
    for number, message in enumerate(messages):
        if message.get("role") == "tool":
            if not open_calls:
                yield f"messages[{number}]: an orphan, {message.get('tool_call_id')}"
            elif open_calls.pop(0) != message.get("tool_call_id"):
                yield f"messages[{number}]: out of order, {message.get('tool_call_id')}"
            continue
        if open_calls:
            yield f"messages[{number}]: before {open_calls} are answered"
        calls = message.get("tool_calls")
        open_calls = [call.get("id") for call in calls] if isinstance(calls, list) else []
    if open_calls:
        yield f"never answered: {open_calls}"


def _foreign(value: Any, place: str, accent: Accent) -> Iterator[str]:
    """What belongs to Messages alone. The host's own extras are its own business, and schemas are the tool's."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _foreign(item, f"{place}[{number}]", accent)
    if not isinstance(value, dict):
        return
    kind = value.get("type")
    if place.startswith("body.messages") and isinstance(kind, str):
        allowed = {*PARTS, "function"} | ({"thinking"} if accent.replay == "parts" else set())
        if kind not in allowed:
            yield f"{place}: a block of type {kind}"
    for name, item in value.items():
        if name in FOREIGN_KEYS:
            yield f"{place}.{name}: not of this wire"
        elif name not in ("parameters", "schema", "reasoning_details", "extra_content") and not _is_own(
            place, name, accent
        ):
            yield from _foreign(item, f"{place}.{name}", accent)


def _is_own(place: str, name: str, accent: Accent) -> bool:
    return place == "body" and name in _extras(accent)
