"""The same message as a Responses provider writes it: events in the order of OpenAI's description, or one object.

To the letter, like its neighbours: numbered events with names, an item that is added, filled and done, its parts likewise,
everything said once in pieces and twice as a whole, and the finished response at the end. Thinking is a reasoning item
whose text is a summary, and whose encrypted content is there when it is done and only where it was asked for.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .wire import Block, Message, Rendering, Text, Thinking, ToolUse, sse, words

Event = dict[str, Any]


def responses_frames(message: Message) -> Iterator[bytes]:
    """The whole stream, event by event."""
    yield from _numbered(itertools.chain(_begun(message), *_all(message), [_completed(message)]))


def responses_whole(message: Message) -> dict[str, Any]:
    """The same answer as one object, for a request without `stream`."""
    output = [_item(message, block, place) for place, block in enumerate(message.blocks)]
    return _response(message, "completed", output=output, usage=_usage(message))


def responses_error(status: int, text: str) -> dict[str, Any]:
    """OpenAI's error object."""
    kind, code = _ERRORS[status]
    return {"error": {"message": text, "type": kind, "param": None, "code": code}}


def _error_frame(status: int, text: str) -> bytes:
    return sse({"type": "error", "sequence_number": 99, "code": _ERRORS[status][1], "message": text, "param": None})


def _numbered(events: Iterable[Event]) -> Iterator[bytes]:
    return (sse({"type": event["type"], "sequence_number": number, **event}) for number, event in enumerate(events))


def _begun(message: Message) -> list[Event]:
    response = _response(message, "in_progress", output=[], usage=None)
    return [{"type": f"response.{word}", "response": response} for word in ("created", "in_progress")]


def _completed(message: Message) -> Event:
    return {"type": "response.completed", "response": responses_whole(message)}


def _all(message: Message) -> list[list[Event]]:
    """The events of each item."""
    return [list(_events(message, block, place)) for place, block in enumerate(message.blocks)]


def _events(message: Message, block: Block, place: int) -> Iterator[Event]:
    item = _item(message, block, place)
    where = {"item_id": item["id"], "output_index": place}
    yield {"type": "response.output_item.added", "output_index": place, "item": _empty(item)}
    match block:
        case Text():
            part = {"type": "output_text", "text": "", "annotations": []}
            yield {"type": "response.content_part.added", **where, "content_index": 0, "part": part}
            for word in words(block.text):
                yield {"type": "response.output_text.delta", **where, "content_index": 0, "delta": word, "logprobs": []}
            yield {"type": "response.output_text.done", **where, "content_index": 0, "text": block.text, "logprobs": []}
            whole = {**part, "text": block.text}
            yield {"type": "response.content_part.done", **where, "content_index": 0, "part": whole}
        case Thinking():
            summary = {"type": "summary_text", "text": ""}
            yield {"type": "response.reasoning_summary_part.added", **where, "summary_index": 0, "part": summary}
            for word in words(block.text):
                yield {"type": "response.reasoning_summary_text.delta", **where, "summary_index": 0, "delta": word}
            said = {**where, "summary_index": 0}
            yield {"type": "response.reasoning_summary_text.done", **said, "text": block.text}
            yield {"type": "response.reasoning_summary_part.done", **said, "part": {**summary, "text": block.text}}
        case ToolUse():
            text = item["arguments"]
            for at in range(0, len(text), 12):
                yield {"type": "response.function_call_arguments.delta", **where, "delta": text[at : at + 12]}
            yield {"type": "response.function_call_arguments.done", **where, "name": block.name, "arguments": text}
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _item(message: Message, block: Block, place: int) -> dict[str, Any]:
    number = f"{message.id.removeprefix('msg_')}_{place}"
    match block:
        case Text():
            part = {"type": "output_text", "text": block.text, "annotations": []}
            about: dict[str, Any] = {
                "type": "message",
                "id": f"msg_{number}",
                "status": "completed",
                "role": "assistant",
            }
            return {**about, "content": [part]}
        case Thinking():
            summary = [{"type": "summary_text", "text": block.text}]
            about = {"type": "reasoning", "id": f"rs_{number}", "status": "completed", "summary": summary}
            return {**about, "encrypted_content": block.signature} if message.encrypted else about
        case ToolUse():
            arguments = json.dumps(dict(block.input), ensure_ascii=False)
            call = {"call_id": f"call_{block.id.removeprefix('toolu_')}", "name": block.name, "arguments": arguments}
            return {"type": "function_call", "id": f"fc_{number}", "status": "completed", **call}


def _empty(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as it begins: what it says is not there, and its encrypted content is not yet what it will be."""
    blank: dict[str, Any] = {"status": "in_progress", "content": [], "summary": [], "arguments": ""}
    early = {"encrypted_content": "the beginning"} if "encrypted_content" in item else {}
    return {**item, **{name: value for name, value in blank.items() if name in item}, **early}


def _tick(message: Message, number: int) -> list[bytes]:
    where = {"item_id": "msg_ticking", "output_index": 0, "content_index": 0}
    begun = {"type": "message", "id": "msg_ticking", "status": "in_progress", "role": "assistant", "content": []}
    events = [{"type": "response.output_item.added", "output_index": 0, "item": begun}] if number == 0 else []
    delta = {"type": "response.output_text.delta", **where, "delta": f"tick {number} "}
    return [sse({"sequence_number": 2 * number + at, **event}) for at, event in enumerate([*events, delta])]


def _overlap(message: Message) -> Iterator[bytes]:
    """The events of all items take turns, which their indexes allow."""
    queues = _all(message)
    mixed: list[Event] = []
    while any(queues):
        for queue in queues:
            mixed += [queue.pop(0)] if queue else []
    yield from _numbered([*_begun(message), *mixed, _completed(message)])


def _response(message: Message, status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"resp_{message.id.removeprefix('msg_')}",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": message.model,
        "previous_response_id": None,
        "store": False,
        **more,
    }


def _usage(message: Message) -> dict[str, Any]:
    return {
        "input_tokens": message.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": message.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": message.input_tokens + message.output_tokens,
    }


#: Status to the type and code that OpenAI gives with it.
_ERRORS: Mapping[int, tuple[str, str | None]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    422: ("invalid_request_error", "unknown_parameter"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", "server_error"),
    529: ("server_error", "server_is_overloaded"),
}

RESPONSES = Rendering(
    frames=responses_frames,
    whole=responses_whole,
    opening=lambda message: list(_numbered(_begun(message))),
    tick=_tick,
    overlap=_overlap,
    error=responses_error,
    error_frame=_error_frame,
    text_mark=b'"type":"response.output_text.delta"',
    tool_mark=b'"type":"response.function_call_arguments.delta"',
    id_header="x-request-id",
)
