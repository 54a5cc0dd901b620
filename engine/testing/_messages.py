"""What scripted providers say: pieces of a message, as events that obey the strict grammar.

Tests that spell out Server-Sent Events by hand test their own typing as well. These say "a text block of two pieces".
"""

from __future__ import annotations

from typing import Any

from engine._failure import Failure
from engine._stream import MESSAGE_STOP, StreamEvent, block_stop, event
from policies import FailureKind


def head(*, input_tokens: int = 10, id: str = "msg_1") -> StreamEvent:
    """A `message_start`."""
    usage = {"input_tokens": input_tokens, "output_tokens": 1}
    message = {"id": id, "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    return event({"type": "message_start", "message": message})


def text(*pieces: str, index: int = 0, whole: bool = True) -> list[StreamEvent]:
    """A text block, one delta a piece; without its end where it is not `whole`."""
    return _block(index, {"type": "text", "text": ""}, [{"type": "text_delta", "text": p} for p in pieces], whole)


def thinking(*pieces: str, index: int = 0, whole: bool = True) -> list[StreamEvent]:
    """A thinking block, likewise."""
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    return _block(index, {"type": "thinking", "thinking": ""}, deltas, whole)


def tool(*pieces: str, index: int = 0, name: str = "Read", whole: bool = True) -> list[StreamEvent]:
    """A tool call whose arguments are these pieces of JSON."""
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    block = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
    return _block(index, block, deltas, whole)


def tail(stop_reason: str = "end_turn", *, output_tokens: int = 5) -> list[StreamEvent]:
    """The end of a message: `message_delta` and `message_stop`."""
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return [event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": output_tokens}}), MESSAGE_STOP]


def answer(*pieces: str) -> list[StreamEvent]:
    """A whole message of one text block."""
    return [head(), *text(*pieces), *tail()]


def _block(index: int, block: dict[str, Any], deltas: list[dict[str, Any]], whole: bool) -> list[StreamEvent]:
    filled = [
        event(
            {"type": "content_block_delta", "index": index, "delta": delta},
            content=bool(delta.get("text") or delta.get("thinking")),
        )
        for delta in deltas
    ]
    start = event({"type": "content_block_start", "index": index, "content_block": block})
    return [start, *filled, *([block_stop(index)] if whole else [])]


def failing(kind: FailureKind, message: str = "scripted", **rest: Any) -> Failure:
    """A failure for a script. `rest` are fields of `Failure`."""
    return Failure(kind=kind, message=message, **rest)
