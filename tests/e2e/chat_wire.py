"""The same message as a chat-completions provider writes it: chunks in the order of OpenAI's description, or one object.

A fake that sends what its own proxy happens to read proves that the two agree, and nothing about providers. So this
follows the published description to the letter: a first chunk with the role and an empty text, then deltas, a call's id
and name before its arguments, a finish reason in a chunk of its own, the usage behind it in a chunk without choices and
only where it was asked for, and `[DONE]`. Thinking goes into `reasoning_content`, which is what most hosts call it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .wire import Message, Rendering, Text, Thinking, ToolUse, words

_FINISH = {"tool_use": "tool_calls", "end_turn": "stop"}


def data(payload: Mapping[str, Any]) -> bytes:
    """One frame; this wire's events have no names."""
    return f"data: {json.dumps(payload, separators=(',', ':'), ensure_ascii=False)}\n\n".encode()


def chat_frames(message: Message) -> Iterator[bytes]:
    """The whole stream, chunk by chunk."""
    yield _role(message)
    for delta in _deltas(message):
        yield _chunk(message, delta)
    yield from _end(message)


def chat_whole(message: Message) -> dict[str, Any]:
    """The same answer as one object, for a request without `stream`."""
    said = "".join(block.text for block in message.blocks if isinstance(block, Text))
    thought = "".join(block.text for block in message.blocks if isinstance(block, Thinking))
    answer: dict[str, Any] = {"role": "assistant", "content": said or None, "refusal": None}
    if thought:
        answer["reasoning_content"] = thought
    if calls := _calls(message):
        answer["tool_calls"] = [
            {"id": _id(call), "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
            for call in calls
        ]
    finish = _FINISH[message.stop_reason]
    choice = {"index": 0, "message": answer, "logprobs": None, "finish_reason": finish}
    return {**_envelope(message, "chat.completion"), "choices": [choice], "usage": _usage(message)}


def chat_error(status: int, text: str) -> dict[str, Any]:
    """OpenAI's error object."""
    kind, code = _ERRORS[status]
    return {"error": {"message": text, "type": kind, "param": None, "code": code}}


def _role(message: Message) -> bytes:
    return _chunk(message, {"role": "assistant", "content": ""})


def _end(message: Message) -> Iterator[bytes]:
    yield _chunk(message, {}, _FINISH[message.stop_reason])
    if message.counted:
        yield data({**_envelope(message, "chat.completion.chunk"), "choices": [], "usage": _usage(message)})
    yield b"data: [DONE]\n\n"


def _chunk(message: Message, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    counted = {"usage": None} if message.counted else {}
    return data({**_envelope(message, "chat.completion.chunk"), "choices": [choice], **counted})


def _deltas(message: Message) -> Iterator[dict[str, Any]]:
    for block in message.blocks:
        match block:
            case Text():
                yield from ({"content": word} for word in words(block.text))
            case Thinking():
                yield from ({"reasoning_content": word} for word in words(block.text))
            case ToolUse():
                yield from _call_deltas(block, _calls(message).index(block))


def _call_deltas(call: ToolUse, index: int) -> Iterator[dict[str, Any]]:
    function = {"name": call.name, "arguments": ""}
    yield {"tool_calls": [{"index": index, "id": _id(call), "type": "function", "function": function}]}
    text = _arguments(call)
    for at in range(0, len(text), 12):
        yield {"tool_calls": [{"index": index, "function": {"arguments": text[at : at + 12]}}]}


def _overlap(message: Message) -> Iterator[bytes]:
    """The fragments of parallel calls take turns, which their indexes allow."""
    yield _role(message)
    calls = _calls(message)
    queues = [list(_call_deltas(call, index)) for index, call in enumerate(calls)]
    for delta in _deltas(message):
        if "tool_calls" not in delta:
            yield _chunk(message, delta)
    while any(queues):
        for queue in queues:
            if queue:
                yield _chunk(message, queue.pop(0))
    yield from _end(message)


def _calls(message: Message) -> list[ToolUse]:
    return [block for block in message.blocks if isinstance(block, ToolUse)]


def _id(call: ToolUse) -> str:
    return f"call_{call.id.removeprefix('toolu_')}"


def _arguments(call: ToolUse) -> str:
    return json.dumps(dict(call.input), ensure_ascii=False)


def _envelope(message: Message, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{message.id.removeprefix('msg_')}",
        "object": kind,
        "created": 1_700_000_000,
        "model": message.model,
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
    }


def _usage(message: Message) -> dict[str, Any]:
    return {
        "prompt_tokens": message.input_tokens,
        "completion_tokens": message.output_tokens,
        "total_tokens": message.input_tokens + message.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


#: Status to the type and code that OpenAI gives with it; 529 is a status of others, in OpenAI's form.
_ERRORS: Mapping[int, tuple[str, str | None]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    422: ("invalid_request_error", "unknown_parameter"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    529: ("server_error", "overloaded"),
}

CHAT = Rendering(
    frames=chat_frames,
    whole=chat_whole,
    opening=lambda message: [_role(message)],
    tick=lambda message, number: [_chunk(message, {"content": f"tick {number} "})],
    overlap=_overlap,
    error=chat_error,
    error_frame=lambda status, text: data(chat_error(status, text)),
    text_mark=b'"delta":{"content":"',
    tool_mark=b'"function":{"arguments":"',
    id_header="x-request-id",
)
