"""The same message as Gemini writes it: each frame a whole `GenerateContentResponse`, or one of them for everything.

A fake that sends what its own proxy happens to read proves that the two agree, and nothing about Gemini. So this follows
the published description and the recordings: parts that are deltas, a call in one piece with the signature on the first one
of a step, the usage in each frame and complete in the last, an empty text with a signature at the end of a text, and `STOP`
for every natural end, calls or none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .gemini_rules import signature
from .wire import Message, Rendering, Text, Thinking, ToolUse, words


def data(payload: Mapping[str, Any]) -> bytes:
    """One frame; this wire's events have no names."""
    return f"data: {json.dumps(payload, separators=(',', ':'), ensure_ascii=False)}\r\n\r\n".encode()


def gemini_frames(message: Message) -> Iterator[bytes]:
    """The whole stream, chunk by chunk."""
    for part in _parts(message, words):
        yield data(_response(message, [part]))
    yield data(_response(message, [_last(message)], "STOP"))


def gemini_whole(message: Message) -> dict[str, Any]:
    """The same answer as one object."""
    return _response(message, [*_parts(message, lambda text: [text]), _last(message)], "STOP")


def gemini_error(status: int, text: str) -> dict[str, Any]:
    """Google's error object."""
    named = _STATUS[status]
    return {"error": {"code": status, "message": text, "status": named}}


def _opening(message: Message) -> list[bytes]:
    return [data({"usageMetadata": {"promptTokenCount": message.input_tokens}, "modelVersion": message.model})]


def _parts(message: Message, cut: Any) -> Iterator[dict[str, Any]]:
    signed = False
    for number, block in enumerate(message.blocks):
        match block:
            case Text():
                yield from ({"text": word} for word in cut(block.text))
            case Thinking():
                yield from ({"thought": True, "text": word} for word in cut(block.text))
            case ToolUse():
                call = {"functionCall": {"name": block.name, "args": dict(block.input), "id": _id(block)}}
                yield call if signed else {**call, "thoughtSignature": signature(f"{message.id}/{number}")}
                signed = True


def _last(message: Message) -> dict[str, Any]:
    """Behind a text its signature; behind calls nothing, which Gemini says with an empty text."""
    if any(isinstance(block, ToolUse) for block in message.blocks):
        return {"text": ""}
    return {"text": "", "thoughtSignature": signature(f"{message.id}/end")}


def _overlap(message: Message) -> Iterator[bytes]:
    """Calls stand before texts: all else comes in its order anyway."""
    parts = sorted(_parts(message, words), key=lambda part: "functionCall" not in part)
    for part in parts:
        yield data(_response(message, [part]))
    yield data(_response(message, [_last(message)], "STOP"))


def _response(message: Message, parts: list[dict[str, Any]], finish: str = "") -> dict[str, Any]:
    candidate = {
        "content": {"parts": parts, "role": "model"},
        **({"finishReason": finish} if finish else {}),
        "index": 0,
    }
    usage = {"promptTokenCount": message.input_tokens, "totalTokenCount": message.input_tokens}
    if finish:
        usage["candidatesTokenCount"] = message.output_tokens
        usage["totalTokenCount"] += message.output_tokens
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": message.model, "responseId": message.id}


def _id(call: ToolUse) -> str:
    return call.id.removeprefix("toolu_").rjust(8, "x")


_STATUS: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    529: "UNAVAILABLE",
}

GEMINI = Rendering(
    frames=gemini_frames,
    whole=gemini_whole,
    opening=_opening,
    tick=lambda message, number: [data(_response(message, [{"text": f"tick {number} "}]))],
    overlap=_overlap,
    error=gemini_error,
    error_frame=lambda status, text: data(gemini_error(status, text)),
    text_mark=b'"parts":[{"text":"',
    tool_mark=b'"functionCall":',
    id_header="x-request-id",
)
