"""Short ways to say a chat-completions stream, to decode one at every cutting, and to say what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from engine import Kind, StreamEvent
from engine.config import Accent
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, pieces, reading
from transports._anthropic import StreamError
from transports._sse import SSEError
from transports.chat import ChatDecoder, Toolbox

SCHEMA = {"type": "object", "properties": {"a": {}}, "required": []}
DONE = b"data: [DONE]\n\n"
ONE = '{"a":1}'  # arguments that the schema takes


def toolbox(*names: str, accent: Accent | None = None, schema: dict[str, Any] | None = None) -> Toolbox:
    """Tools of these names, all with the same schema."""
    tools = [{"name": name, "input_schema": schema or SCHEMA} for name in names]
    return Toolbox.of({"tools": tools}, accent or Accent())


TOOLS = toolbox("read", "read_file", "write", "ls")


def frame(chunk: Any) -> bytes:
    """One chunk as a host sends it."""
    return b"data: %s\n\n" % orjson.dumps(chunk)


def chunk(finish: str | None = None, /, choice: Any = None, **delta: Any) -> dict[str, Any]:
    """A chunk with this delta and finish reason; `choice` are other fields of the choice."""
    one = {"index": 0, "delta": delta, "finish_reason": finish, **(choice or {})}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [one]}


def call(arguments: Any = None, *, name: Any = None, id: Any = None, index: Any = None) -> dict[str, Any]:
    """An entry of `tool_calls`, without what is None."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**{k: v for k, v in (("index", index), ("id", id)) if v is not None}, "function": function}


def calls(*entries: dict[str, Any]) -> dict[str, Any]:
    """A chunk with these entries of `tool_calls`."""
    return chunk(tool_calls=list(entries))


def usage(prompt: int = 10, output: int = 5, **more: Any) -> dict[str, Any]:
    """The chunk of the standard that holds nothing but the usage."""
    return {"id": "1", "choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": output, **more}}


def body(*parts: Any, done: bool = True) -> bytes:
    """A stream of these chunks; bytes stand for themselves."""
    written = [part if isinstance(part, bytes) else frame(part) for part in parts]
    return b"".join([*written, DONE] if done else written)


def decoder(**settings: Any) -> ChatDecoder:
    return ChatDecoder(**{"toolbox": TOOLS, "author": "host/m", **settings})


def decoded(chunks: Iterable[bytes], **settings: Any) -> list[StreamEvent]:
    one = decoder(**settings)
    return [event for piece in chunks for event in one.feed(piece)] + one.finish()


def raw_of(events: Iterable[StreamEvent]) -> bytes:
    """The bytes for a client: what only says that there is progress goes to nobody."""
    return b"".join(event.raw for event in events if event.kind is not Kind.PROGRESS)


def read_events(events: Iterable[StreamEvent]) -> Reading:
    return reading(raw_of(events))


def read_all(*parts: Any, done: bool = True, **settings: Any) -> Reading:
    """What a stream of these chunks reads as, found free of faults at every cutting."""
    sent = body(*parts, done=done)
    found = [read_events(decoded(pieces(sent, cut), **settings)) for cut in CUTS]
    assert [one.faults for one in found] == [[]] * len(CUTS)
    for one in found:
        one.blocks = [{k: v for k, v in block.items() if k != "signature"} for block in one.blocks]
    assert all(
        (one.blocks, one.stop_reason, one.error) == (found[0].blocks, found[0].stop_reason, found[0].error)
        for one in found
    )
    assert all(one.usage["output_tokens"] == found[0].usage["output_tokens"] for one in found if one.usage)
    return found[0]


def refusal_of(*parts: Any, done: bool = True, **settings: Any) -> str:
    """What a stream is refused with, the same at every cutting."""
    sent, said = body(*parts, done=done), set()
    for cut in CUTS:
        try:
            decoded(pieces(sent, cut), **settings)
        except (StreamError, SSEError) as error:
            said.add(str(error))
        else:
            said.add("")
    (only,) = said
    return only


def kinds(found: Reading) -> list[str]:
    """The types of its blocks, in order."""
    return [block["type"] for block in found.blocks]


def ids_of(found: Reading) -> list[str]:
    return [block["id"] for block in found.blocks if block["type"] == "tool_use"]


def signatures(events: Iterable[StreamEvent]) -> list[str]:
    """The signatures of thinking blocks, and the data of redacted ones."""
    found = []
    for event in events:
        for payload in event.payloads() if event.kind is Kind.DELTAS else [event.payload]:
            if payload.get("delta", {}).get("type") == "signature_delta":
                found.append(payload["delta"]["signature"])
            elif payload.get("content_block", {}).get("type") == "redacted_thinking":
                found.append(payload["content_block"]["data"])
    return found
