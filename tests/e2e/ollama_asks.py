"""A body of Ollama's own wire as the Messages body that says the same, so that one set of scripts serves all wires.

Only bodies in which `ollama_rules` has found nothing wrong come here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def messages_of_ollama(body: Mapping[str, Any]) -> dict[str, Any]:
    """Model, messages, the tools' names and the wanted format, as the scripts look for them."""
    messages: list[dict[str, Any]] = []
    result: dict[str, Any] | None = None  # the newest tool message's, until somebody else speaks
    for message in body["messages"]:
        role = message["role"]
        blocks: list[dict[str, Any]] = [{"type": "text", "text": message["content"]}] if message["content"] else []
        images = [_image(data) for data in message.get("images", ())]
        if role == "tool":
            result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": blocks}
            messages.append({"role": "user", "content": [result]})
            continue
        if role == "user" and result is not None:
            result["content"] += images  # what a tool message cannot hold stands in the user message behind it
        result = None
        if thinking := message.get("thinking"):
            blocks.insert(0, {"type": "thinking", "thinking": thinking, "signature": ""})
        messages.append({"role": role, "content": [*blocks, *images, *map(_call, message.get("tool_calls", ()))]})
    out: dict[str, Any] = {"model": body["model"], "messages": messages}
    out["tools"] = [{"name": tool["function"]["name"]} for tool in body.get("tools", ())]
    if isinstance(schema := body.get("format"), dict):
        out["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    return out


def _image(data: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {"type": "tool_use", "id": call.get("id"), "name": function["name"], "input": function["arguments"]}
