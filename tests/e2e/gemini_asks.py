"""A `generateContent` body as the Messages body that says the same, so that one set of scripts serves every wire.

Results come under the names of their calls, in their order; each gets the id of its call again, whether the wire carries
ids or not. Only bodies in which `gemini_rules` has found nothing wrong come here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def messages_of_gemini(body: Mapping[str, Any]) -> dict[str, Any]:
    """Messages, the tools' names and the wanted format, as the scripts look for them."""
    messages: list[dict[str, Any]] = []
    calls: list[str] = []  # ids of the last turn's
    for number, content in enumerate(body["contents"]):
        blocks = list(_blocks(content["parts"], number, calls))
        messages.append({"role": "assistant" if content["role"] == "model" else "user", "content": blocks})
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
    declared = [one for tool in body.get("tools") or () for one in tool["functionDeclarations"]]
    out: dict[str, Any] = {"messages": messages, "tools": [{"name": one["name"]} for one in declared]}
    if schema := body.get("generationConfig", {}).get("responseJsonSchema"):
        out["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    return out


def _blocks(parts: list[Any], number: int, calls: list[str]) -> Iterator[dict[str, Any]]:
    answered = 0
    for place, part in enumerate(parts):
        if "functionCall" in part:
            call = part["functionCall"]
            id = call.get("id") or f"call_{number}_{place}"
            yield {"type": "tool_use", "id": id, "name": call["name"], "input": call["args"]}
        elif "functionResponse" in part:
            yield _result(part["functionResponse"], calls[answered])
            answered += 1
        elif "inlineData" in part:
            yield _shown(part["inlineData"])
        elif part.get("thought"):
            yield {"type": "thinking", "thinking": part["text"], "signature": part.get("thoughtSignature", "")}
        elif part["text"]:
            yield {"type": "text", "text": part["text"]}


def _result(given: Mapping[str, Any], id: str) -> dict[str, Any]:
    ((kind, text),) = given["response"].items()
    shown = [_shown(part["inlineData"]) for part in given.get("parts", ())]
    content = [{"type": "text", "text": text}, *shown]
    return {"type": "tool_result", "tool_use_id": id, "content": content, "is_error": kind == "error"}


def _shown(data: Mapping[str, Any]) -> dict[str, Any]:
    source = {"type": "base64", "media_type": data["mimeType"], "data": data["data"]}
    return {"type": "document" if data["mimeType"] == "application/pdf" else "image", "source": source}
