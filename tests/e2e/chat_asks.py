"""A chat-completions body as the Messages body that says the same, so that one set of scripts serves both wires.

Scripts of its own for each wire would drift apart, and a loop that moves from one wire to the other in the middle would
then stop making sense. A tool message is a result in a user's message again, and a picture behind tool messages belongs to
the last of them: what a tool message cannot hold stands in the user message behind it. That a result is an error is said in
its text, which is all there is of it here.

Only bodies in which `openai_rules` has found nothing wrong come here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_DATA_URL = re.compile(r"data:([^;,]+);base64,(.*)", re.S)


def as_messages(body: Mapping[str, Any]) -> dict[str, Any]:
    """Model, messages, the tools' names and the wanted format, as the scripts look for them."""
    messages: list[dict[str, Any]] = []
    result: dict[str, Any] | None = None  # the newest tool message's, until somebody else speaks
    for message in body["messages"]:
        role, content = message["role"], message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        blocks = [_block(part) for part in parts]
        if role == "tool":
            result = {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": blocks}
            messages.append({"role": "user", "content": [result]})
            continue
        if role == "user" and result is not None:
            result["content"] += [block for block in blocks if block["type"] == "image"]
        result = None
        blocks += [_call(call) for call in message.get("tool_calls") or ()]
        messages.append({"role": "system" if role == "developer" else role, "content": blocks})
    out: dict[str, Any] = {"model": body["model"], "messages": messages}
    out["tools"] = [{"name": tool["function"]["name"]} for tool in body.get("tools") or ()]
    described = (body.get("response_format") or {}).get("json_schema")
    if described:
        out["output_config"] = {"format": {"type": "json_schema", "schema": described.get("schema")}}
    return out


def _block(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]}
    if part["type"] == "image_url":
        url = part["image_url"]["url"]
        found = _DATA_URL.fullmatch(url)
        source = {"type": "base64", "media_type": found[1], "data": found[2]} if found else {"type": "url", "url": url}
        return {"type": "image", "source": source}
    return {"type": "document", "title": part["file"].get("filename")}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = json.loads(function["arguments"])
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": arguments}
