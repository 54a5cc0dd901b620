"""A Responses body as the Messages body that says the same, so that one set of scripts serves every wire.

The items are a flat list; each becomes a message of one block, which the scripts read as well as whole turns. A picture
behind outputs belongs to the last of them, where an output did not hold it itself.

Only bodies in which `responses_rules` has found nothing wrong come here.
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
    if body.get("instructions"):
        messages.append({"role": "system", "content": body["instructions"]})
    result: dict[str, Any] | None = None  # the newest output, until somebody else speaks
    for item in body["input"]:
        match item.get("type", "message"):
            case "function_call_output":
                result = {"type": "tool_result", "tool_use_id": item["call_id"], "content": _blocks(item["output"])}
                messages.append({"role": "user", "content": [result]})
                continue
            case "function_call":
                call = {"id": item["call_id"], "name": item["name"], "input": json.loads(item["arguments"])}
                messages.append({"role": "assistant", "content": [{"type": "tool_use", **call}]})
            case "reasoning":
                text = "\n\n".join(part["text"] for part in item["summary"])
                thought = {"type": "thinking", "thinking": text, "signature": item["encrypted_content"]}
                messages.append({"role": "assistant", "content": [thought]})
            case _:
                blocks = _blocks(item["content"])
                if item["role"] == "user" and result is not None:
                    result["content"] += [block for block in blocks if block["type"] == "image"]
                role = "system" if item["role"] == "developer" else item["role"]
                messages.append({"role": role, "content": blocks})
        result = None
    out: dict[str, Any] = {"model": body["model"], "messages": messages}
    out["tools"] = [{"name": tool["name"]} for tool in body.get("tools") or ()]
    described = (body.get("text") or {}).get("format") or {}
    if described.get("type") == "json_schema":
        out["output_config"] = {"format": {"type": "json_schema", "schema": described["schema"]}}
    return out


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else [_block(part) for part in content]


def _block(part: Mapping[str, Any]) -> dict[str, Any]:
    match part["type"]:
        case "input_image":
            url = part["image_url"]
            found = _DATA_URL.fullmatch(url)
            source = (
                {"type": "base64", "media_type": found[1], "data": found[2]} if found else {"type": "url", "url": url}
            )
            return {"type": "image", "source": source}
        case "input_file":
            return {"type": "document", "title": part.get("filename")}
    return {"type": "text", "text": part.get("text", part.get("refusal"))}
