"""Asking somebody else to go on from a text that was broken off.

The obvious way is to end the conversation with the partial text as the assistant's turn: models that take such a beginning
go on from it exactly. But Claude since 4.6 and many hosts refuse it with a 400, and others answer as if it were complete.
So the partial text is followed by a user's turn that asks for the rest, which every model takes. What comes of it is not
exact; see `_seam`.

Only what was said goes along, and what server tools found. Thinking of the part that broke belongs to whoever signed it,
and half a tool call was never shown, so it may be made again. Pure.
"""

from __future__ import annotations

import attrs
import orjson

from engine._prompt import measure, tokens_of
from engine._request import Request
from engine._shown import Seen
from engine._stream import JSON

#: What the model is told. Measured wordings differ little; that a tool may be called has to be said.
GO_ON = (
    "Your reply above was cut off by a lost connection before it was complete. Continue it from exactly where it stops: the "
    "next characters you write are appended to it as they are. Repeat nothing, begin with no preamble, and do not mention "
    "the interruption. If a tool call was to come next, make it now."
)
#: The least length of answer that is asked for, in tokens: some hosts refuse less.
LEAST_TOKENS = 64


def can_continue(request: Request) -> bool:
    """Whether an answer to this can be written by two. One in a set form cannot: whoever is held to it begins it anew."""
    return request.stream and not request.need.structured


def continuation(request: Request, seen: Seen) -> Request:
    """The request for the rest. Its body is an Anthropic body like any other."""
    # An assistant's text may be neither blank nor, at the end, followed by blanks.
    bare = [{**block, "text": block["text"].rstrip()} if block["type"] == "text" else block for block in seen.blocks]
    said = [block for block in bare if block.get("text") != ""]
    body = {
        **request.body,
        "messages": [*_answered(request.body["messages"], said), {"role": "user", "content": GO_ON}],
        "max_tokens": _left(request.body, seen.output_tokens),
    }
    raw = orjson.dumps(body)
    more = tokens_of(seen.text + GO_ON)
    # Its length teaches nothing: the conversation's next turn does not go on from it.
    return attrs.evolve(
        request,
        body=body,
        raw=raw,
        need=attrs.evolve(
            request.need, input_tokens=request.need.input_tokens + round(more), max_tokens=body["max_tokens"]
        ),
        prompt=measure(body, raw) if request.prompt is not None else None,
        estimate=None,
        continues=seen.text,
    )


def _answered(messages: list[JSON], said: list[JSON]) -> list[JSON]:
    """The conversation with what was said. Where the client began the answer itself, that goes on."""
    last = messages[-1]
    if last.get("role") != "assistant":
        return [*messages, {"role": "assistant", "content": said}]
    begun = last["content"]
    blocks = [{"type": "text", "text": begun}] if isinstance(begun, str) else list(begun)
    if said[0]["type"] == "text" and blocks and isinstance(blocks[-1].get("text"), str):
        said = [{**blocks[-1], "text": blocks[-1]["text"] + said[0]["text"]}, *said[1:]]
        blocks.pop()
    return [*messages[:-1], {**last, "content": [*blocks, *said]}]


def _left(body: JSON, used: int) -> int:
    """What is left of the length that was asked for. It stays where a budget of thinking has to fit into it."""
    whole: int = body["max_tokens"]
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and "budget_tokens" in thinking:
        return whole
    return max(whole - used, min(whole, LEAST_TOKENS))
