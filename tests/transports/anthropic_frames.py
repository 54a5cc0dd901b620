"""Short ways to say an anthropic stream, and to decode one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

from engine import Kind, StreamEvent
from transports._anthropic import AnthropicDecoder

START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
}
END: dict[str, Any] = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 7},
}
STOP = {"type": "message_stop"}


def frame(payload: dict[str, Any], *, spaced: bool = False) -> bytes:
    """One event as a host sends it; `spaced` is how Python's json writes."""
    data = json.dumps(payload).encode() if spaced else orjson.dumps(payload)
    return b"event: %s\ndata: %s\n\n" % (payload["type"].encode(), data)


def stream(*parts: dict[str, Any]) -> bytes:
    return b"".join(map(frame, parts))


def start(index: int, kind: str = "text", **more: Any) -> dict[str, Any]:
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"id": f"toolu_{index}", "name": "read", "input": {}},
    }
    return {
        "type": "content_block_start",
        "index": index,
        "content_block": {"type": kind, **empty.get(kind, {}), **more},
    }


def delta(index: int, text: str, kind: str = "text") -> dict[str, Any]:
    name, field = {
        "text": ("text_delta", "text"),
        "thinking": ("thinking_delta", "thinking"),
        "tool_use": ("input_json_delta", "partial_json"),
    }[kind]
    return {"type": "content_block_delta", "index": index, "delta": {"type": name, field: text}}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def decoded(chunks: Iterable[bytes], **settings: Any) -> list[StreamEvent]:
    decoder = AnthropicDecoder(**settings)
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.finish()


def raw_of(events: Iterable[StreamEvent]) -> bytes:
    """The bytes for a client, pings left out: they are the reply's own affair."""
    return b"".join(event.raw for event in events if event.kind is not Kind.PING)


#: A turn as it should be: thinking that is signed, text that looks like frames, and a call.
WHOLE_TURN = stream(
    START,
    start(0, "thinking"),
    delta(0, "hm", "thinking"),
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    stop(0),
    start(1),
    *[delta(1, text) for text in ("The ", "quick", ' "index":0, ', "event: content_block_delta\n", "\u2028fox")],
    stop(1),
    start(2, "tool_use"),
    *[delta(2, text, "tool_use") for text in ("", '{"path": "', 'a/b"', "}")],
    stop(2),
    {**END, "delta": {"stop_reason": "tool_use", "stop_sequence": None}},
    STOP,
)
