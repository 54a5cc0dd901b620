"""OpenAI's Responses: requests out, strict Messages streams back. Pure.

Over HTTP this is a dialect like any other. The same events come over a WebSocket, one object a frame: whoever speaks that
takes `body_of` for the request and gives each object to `ResponsesDecoder.take`.
"""

from __future__ import annotations

from engine import Ask
from transports._dialect import Turn, head, message_id
from transports.responses._decoder import ResponsesDecoder as ResponsesDecoder
from transports.responses._encoder import asked_cap, optional_in
from transports.responses._encoder import body_of as body_of
from transports.translate._ids import ids_in
from transports.translate._texts import written
from transports.translate._tools import Toolbox as Toolbox


def openai_responses(ask: Ask) -> Turn:
    """The dialect of wire `openai-responses` over HTTP."""
    toolbox = toolbox_of(ask)
    body = body_of(ask, toolbox)
    return Turn(
        url=ask.provider.url("messages"),
        headers=head(ask, []),
        body=written(body),
        decoder=decoder_of(ask, toolbox),
        optional=optional_in(body),
        max_tokens=asked_cap(ask),
    )


def toolbox_of(ask: Ask) -> Toolbox:
    """The tools that may be called, in the form that this host takes schemas in."""
    return Toolbox.of(ask.request.body, ask.provider.accent(ask.candidate.model))


def decoder_of(ask: Ask, toolbox: Toolbox) -> ResponsesDecoder:
    """The reader of the answer to this request."""
    return ResponsesDecoder(
        toolbox=toolbox,
        author=ask.candidate.name,
        model=ask.request.model,
        message_id=message_id(ask),
        estimate=ask.request.need.input_tokens,
        taken=lambda: ids_in(ask),
    )
