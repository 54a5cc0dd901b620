"""The same message as Ollama's own wire writes it: a line of JSON for each piece and a last one with the counts.

It follows the published description: every line has a message with a `content`, if an empty one; thinking stands beside
it; calls come whole, their arguments an object and without an id; the last line is `done`, gives its reason and counts the
prompt for the first time. A failure under way is a line like any other, with an `error` in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .wire import Message, Rendering, Text, Thinking, ToolUse, words


def line(payload: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def ollama_frames(message: Message) -> Iterator[bytes]:
    """The whole stream, line by line."""
    for piece in _pieces(message):
        yield _line(message, piece)
    yield line({**_envelope(message), "message": _said(), **_end(message)})


def ollama_whole(message: Message) -> dict[str, Any]:
    """The same answer as one object, for a request with `stream: false`."""
    said: dict[str, Any] = _said(content="".join(block.text for block in message.blocks if isinstance(block, Text)))
    if thought := "".join(block.text for block in message.blocks if isinstance(block, Thinking)):
        said["thinking"] = thought
    if calls := [_call(block) for block in message.blocks if isinstance(block, ToolUse)]:
        said["tool_calls"] = calls
    return {**_envelope(message), "message": said, **_end(message)}


def ollama_error(status: int, text: str) -> dict[str, Any]:
    """Ollama's error object: a text and nothing else."""
    return {"error": text}


def _pieces(message: Message) -> Iterator[dict[str, Any]]:
    for block in message.blocks:
        match block:
            case Text():
                # In this order a line of text can be told from all others by how its message begins.
                yield from ({"content": word, "role": "assistant"} for word in words(block.text))
            case Thinking():
                yield from (_said(thinking=word) for word in words(block.text))
            case ToolUse():
                yield _said(tool_calls=[_call(block)])


def _line(message: Message, said: Mapping[str, Any]) -> bytes:
    return line({**_envelope(message), "message": said, "done": False})


def _said(**more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "", **more}


def _call(call: ToolUse) -> dict[str, Any]:
    return {"function": {"name": call.name, "arguments": dict(call.input)}}


def _envelope(message: Message) -> dict[str, Any]:
    return {"model": message.model, "created_at": "2026-01-01T00:00:00.000000Z"}


def _end(message: Message) -> dict[str, Any]:
    return {
        "done_reason": "stop",
        "done": True,
        "total_duration": 1_000_000,
        "load_duration": 1_000,
        "prompt_eval_count": message.input_tokens,
        "prompt_eval_duration": 1_000,
        "eval_count": message.output_tokens,
        "eval_duration": 1_000,
    }


def _together(message: Message) -> Iterator[bytes]:
    """All parts of the answer in one line."""
    whole = ollama_whole(message)
    yield _line(message, whole["message"])
    yield line({**_envelope(message), "message": _said(), **_end(message)})


OLLAMA = Rendering(
    frames=ollama_frames,
    whole=ollama_whole,
    opening=lambda message: [_line(message, _said())],
    tick=lambda message, number: [_line(message, {"content": f"tick {number} ", "role": "assistant"})],
    overlap=_together,
    error=ollama_error,
    error_frame=lambda status, text: line(ollama_error(status, text)),
    text_mark=b'"message":{"content":"',
    tool_mark=b'"tool_calls":[',
    id_header="x-request-id",
    stream_type="application/x-ndjson",
)
