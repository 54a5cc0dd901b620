"""The Anthropic message as a provider writes it, from a list of blocks to frames or to one JSON object.

A recorded stream would be shorter, but a recording cannot answer a conversation it has not seen: the tool loop has to
name files that exist only in this run. So an answer is data (`Message`) and is rendered here, strictly by the grammar.
What a fault needs to know of a wire is a `Rendering`; this wire's is `ANTHROPIC`, the others' are in `chat_wire` and
`responses_wire`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs

#: What a thinking block is signed with.
SIGNATURE = "c2NyaXB0ZWQ="


@attrs.frozen
class Text:
    """A text block; it is sent word by word."""

    text: str


@attrs.frozen
class Thinking:
    """A thinking block, closed by one signature_delta."""

    text: str
    signature: str = SIGNATURE


@attrs.frozen
class ToolUse:
    """A tool call. An empty `id` is filled in when the message is made, so that ids are unique over a conversation."""

    name: str
    input: Mapping[str, Any]
    id: str = ""


Block = Text | Thinking | ToolUse
Wire = Literal["anthropic", "openai-chat", "openai-responses", "gemini", "ollama"]


@attrs.frozen
class Message:
    """One whole answer; `input_tokens` and `output_tokens` are what its usage will say.

    `counted` says whether a stream of it ends with its usage, `encrypted` whether reasoning has its encrypted content: chat
    completions and Responses do so only where it was asked for.
    """

    id: str
    model: str
    blocks: tuple[Block, ...]
    input_tokens: int = 1
    counted: bool = True
    encrypted: bool = True

    @property
    def stop_reason(self) -> str:
        """`tool_use` when a tool is called, else `end_turn`."""
        return "tool_use" if any(isinstance(block, ToolUse) for block in self.blocks) else "end_turn"

    @property
    def output_tokens(self) -> int:
        """One token for each delta, never 0."""
        return max(1, sum(len(_deltas(block)) for block in self.blocks))


@attrs.frozen(kw_only=True)
class Rendering:
    """One wire's way to write an answer, and to break it.

    `opening` are the frames that say nothing yet, `tick` is one of a text that never ends, `overlap` a stream whose parts
    stand in each other's way. A frame that holds `text_mark` or `tool_mark` is a delta of a text or of a call's input.
    """

    frames: Callable[[Message], Iterator[bytes]]
    whole: Callable[[Message], dict[str, Any]]
    opening: Callable[[Message], list[bytes]]
    tick: Callable[[Message, int], list[bytes]]
    overlap: Callable[[Message], Iterator[bytes]]
    error: Callable[[int, str], dict[str, Any]]
    error_frame: Callable[[int, str], bytes]
    text_mark: bytes
    tool_mark: bytes
    id_header: str
    stream_type: str = "text/event-stream; charset=utf-8"


def make_message(number: str, model: str, blocks: Sequence[Block], input_tokens: int) -> Message:
    """A message whose own id and tool ids come from `number`, which must be unique in the test."""
    named = tuple(
        attrs.evolve(block, id=f"toolu_{number}_{index}") if isinstance(block, ToolUse) and not block.id else block
        for index, block in enumerate(blocks)
    )
    return Message(f"msg_{number}", model, named, max(1, input_tokens))


def sse(payload: Mapping[str, Any]) -> bytes:
    """One frame; the event name is the payload's type."""
    data = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return f"event: {payload['type']}\ndata: {data}\n\n".encode()


def message_start(message: Message) -> bytes:
    """The first frame."""
    return sse({"type": "message_start", "message": _envelope(message, [], None, output_tokens=1)})


def block_start(block: Block, index: int) -> bytes:
    """The frame that opens `block`."""
    return sse({"type": "content_block_start", "index": index, "content_block": _opening(block)})


def block_deltas(block: Block, index: int) -> list[bytes]:
    """The frames between start and stop."""
    return [sse({"type": "content_block_delta", "index": index, "delta": delta}) for delta in _deltas(block)]


def block_stop(index: int) -> bytes:
    """The frame that closes a block."""
    return sse({"type": "content_block_stop", "index": index})


def message_end(message: Message) -> list[bytes]:
    """message_delta and message_stop."""
    delta = {"stop_reason": message.stop_reason, "stop_sequence": None}
    usage = {"output_tokens": message.output_tokens}
    return [sse({"type": "message_delta", "delta": delta, "usage": usage}), sse({"type": "message_stop"})]


def frames(message: Message) -> Iterator[bytes]:
    """The whole stream, frame by frame, in the strict grammar."""
    yield message_start(message)
    yield sse({"type": "ping"})
    for index, block in enumerate(message.blocks):
        yield block_start(block, index)
        yield from block_deltas(block, index)
        yield block_stop(index)
    yield from message_end(message)


def whole(message: Message) -> dict[str, Any]:
    """The same answer as one JSON object, for a request without `stream`."""
    content = [_finished(block) for block in message.blocks]
    return _envelope(message, content, message.stop_reason, output_tokens=message.output_tokens)


def error_body(kind: str, text: str) -> dict[str, Any]:
    """The Anthropic error object."""
    return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_scripted"}


def _error(status: int, text: str) -> dict[str, Any]:
    return error_body(ERROR_TYPES[status], text)


def _tick(message: Message, number: int) -> list[bytes]:
    delta = {"type": "text_delta", "text": f"tick {number} "}
    begun = [block_start(Text(""), 0)] if number == 0 else []
    return [*begun, sse({"type": "content_block_delta", "index": 0, "delta": delta})]


def _overlap(message: Message) -> Iterator[bytes]:
    """Block n starts before block n - 1 stops, as llama.cpp's Messages endpoint does it."""
    yield message_start(message)
    last = len(message.blocks) - 1
    for index, block in enumerate(message.blocks):
        yield block_start(block, index)
        if index:
            yield block_stop(index - 1)
        yield from block_deltas(block, index)
        if index == last:
            yield block_stop(index)
    yield from message_end(message)


def _envelope(message: Message, content: list[Any], stop_reason: str | None, *, output_tokens: int) -> dict[str, Any]:
    return {
        "id": message.id,
        "type": "message",
        "role": "assistant",
        "model": message.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": message.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
        },
    }


def _opening(block: Block) -> dict[str, Any]:
    match block:
        case Text():
            return {"type": "text", "text": ""}
        case Thinking():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case ToolUse():
            return {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}


def _finished(block: Block) -> dict[str, Any]:
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case Thinking():
            return {"type": "thinking", "thinking": block.text, "signature": block.signature}
        case ToolUse():
            return {"type": "tool_use", "id": block.id, "name": block.name, "input": dict(block.input)}


def _deltas(block: Block) -> list[dict[str, Any]]:
    match block:
        case Text():
            return [{"type": "text_delta", "text": word} for word in words(block.text)]
        case Thinking():
            thoughts: list[dict[str, Any]] = [
                {"type": "thinking_delta", "thinking": word} for word in words(block.text)
            ]
            return [*thoughts, {"type": "signature_delta", "signature": block.signature}]
        case ToolUse():
            text = json.dumps(dict(block.input), ensure_ascii=False)
            pieces = [text[at : at + 12] for at in range(0, len(text), 12)]
            return [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


def words(text: str) -> list[str]:
    """A text in the pieces in which it is sent."""
    return re.findall(r"\S+\s*|\s+", text)


ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}

ANTHROPIC = Rendering(
    frames=frames,
    whole=whole,
    opening=lambda message: [message_start(message)],
    tick=_tick,
    overlap=_overlap,
    error=_error,
    error_frame=lambda status, text: sse(_error(status, text)),
    text_mark=b'"type":"text_delta"',
    tool_mark=b'"type":"input_json_delta"',
    id_header="request-id",
)
