"""Short ways to say a Responses stream, to decode one at every cutting, and to say what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from engine import StreamEvent
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, pieces
from tests.transports.chat.streams import read_events, toolbox
from transports._anthropic import StreamError
from transports._sse import SSEError
from transports.responses import ResponsesDecoder

TOOLS = toolbox("read", "read_file", "write", "ls")
USAGE = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5, "total_tokens": 15}


def frame(payload: Any) -> bytes:
    """One event as a host sends it."""
    kind = payload.get("type") if isinstance(payload, dict) else None
    name = b"event: %s\n" % kind.encode() if isinstance(kind, str) and kind.replace(".", "_").isidentifier() else b""
    return name + b"data: %s\n\n" % orjson.dumps(payload)


def response(status: str = "in_progress", **more: Any) -> dict[str, Any]:
    """The response object that stands in some events."""
    return {"id": "resp_1", "object": "response", "status": status, "error": None, "output": [], "usage": None, **more}


def created() -> list[dict[str, Any]]:
    """What a host sends before it has begun."""
    return [{"type": f"response.{word}", "response": response()} for word in ("queued", "created", "in_progress")]


def completed(**more: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": response("completed", **{"usage": USAGE, **more})}


def incomplete(reason: str | None = "max_output_tokens", **more: Any) -> dict[str, Any]:
    details = None if reason is None else {"reason": reason}
    return {
        "type": "response.incomplete",
        "response": response("incomplete", incomplete_details=details, usage=USAGE, **more),
    }


def failed(code: str, message: str) -> dict[str, Any]:
    return {"type": "response.failed", "response": response("failed", error={"code": code, "message": message})}


def added(item: dict[str, Any], place: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": place, "item": item}


def done(item: dict[str, Any], place: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def delta(kind: str, text: Any, place: int = 0, id: str = "", **more: Any) -> dict[str, Any]:
    """One `.delta`; `kind` as in its type, `output_text` for one."""
    named = {"item_id": id} if id else {}
    return {"type": f"response.{kind}.delta", "output_index": place, "delta": text, **named, **more}


def message(*texts: str, id: str = "msg_1", refusal: bool = False, **more: Any) -> dict[str, Any]:
    """A message item with these parts."""
    parts: list[dict[str, Any]] = [
        {"type": "refusal", "refusal": text} if refusal else {"type": "output_text", "text": text, "annotations": []}
        for text in texts
    ]
    return {"type": "message", "id": id, "role": "assistant", "status": "completed", "content": parts, **more}


def reasoning(*summary: str, id: str = "rs_1", **more: Any) -> dict[str, Any]:
    """A reasoning item with these parts of a summary."""
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": id, "summary": parts, **more}


def call(name: str = "read", arguments: Any = "", id: str = "fc_1", **more: Any) -> dict[str, Any]:
    given = {"call_id": f"call_{id}_abc", "name": name, "arguments": arguments}
    return {"type": "function_call", "id": id, "status": "completed", **given, **more}


def spoken(text: str, place: int = 0, id: str = "msg_1") -> list[dict[str, Any]]:
    """All the events of a message of one part."""
    part = {"type": "output_text", "text": text, "annotations": []}
    where = {"output_index": place, "item_id": id, "content_index": 0}
    return [
        added(message(id=id, status="in_progress"), place),
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *(delta("output_text", word, place, id, content_index=0) for word in text.split(" ") if word),
        {"type": "response.output_text.done", **where, "text": text},
        {"type": "response.content_part.done", **where, "part": part},
        done(message(text, id=id), place),
    ]


def body(*events: Any) -> bytes:
    """A stream of these events; bytes stand for themselves."""
    return b"".join(one if isinstance(one, bytes) else frame(one) for one in events)


def decoder(**settings: Any) -> ResponsesDecoder:
    return ResponsesDecoder(**{"toolbox": TOOLS, "author": "host/m", **settings})


def decoded(chunks: Iterable[bytes], **settings: Any) -> list[StreamEvent]:
    one = decoder(**settings)
    return [event for piece in chunks for event in one.feed(piece)] + one.finish()


def read_all(*events: Any, **settings: Any) -> Reading:
    """What a stream of these events reads as, found free of faults at every cutting."""
    sent = body(*events)
    found = [read_events(decoded(pieces(sent, cut), **settings)) for cut in CUTS]
    assert [one.faults for one in found] == [[]] * len(CUTS)
    for one in found:
        one.blocks = [{k: v for k, v in block.items() if k != "signature"} for block in one.blocks]
    assert all(
        (one.blocks, one.stop_reason, one.error) == (found[0].blocks, found[0].stop_reason, found[0].error)
        for one in found
    )
    return found[0]


def refusal_of(*events: Any, **settings: Any) -> str:
    """What a stream is refused with, the same at every cutting."""
    sent, said = body(*events), set()
    for cut in CUTS:
        try:
            decoded(pieces(sent, cut), **settings)
        except (StreamError, SSEError) as error:
            said.add(str(error))
        else:
            said.add("")
    (only,) = said
    return only
