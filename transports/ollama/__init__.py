"""Ollama's own wire, `/api/chat`: requests out, lines of JSON in, strict Messages streams back. Pure.

Ollama speaks Anthropic Messages too, but there nobody can say how large a window it is to load, and a prompt that is
larger is cut at the top without a word. Here both can be said.
"""

from __future__ import annotations

import attrs

from engine import Ask
from transports._dialect import Turn, head, message_id
from transports.ollama._decoder import OllamaDecoder as OllamaDecoder
from transports.ollama._encoder import OPTIONAL, body_of
from transports.translate._cap import cap_of
from transports.translate._ids import ids_in
from transports.translate._texts import written
from transports.translate._tools import Toolbox

#: What its streams are.
NDJSON = "application/x-ndjson"


def ollama(ask: Ask) -> Turn:
    """The dialect of wire `ollama`."""
    accent = attrs.evolve(ask.provider.accent(ask.candidate.model), schema="ollama")
    toolbox = Toolbox.of(ask.request.body, accent)
    body = body_of(ask, toolbox)
    decoder = OllamaDecoder(
        toolbox=toolbox,
        author=ask.candidate.name,
        model=ask.request.model,
        message_id=message_id(ask),
        estimate=ask.request.need.input_tokens,
        taken=lambda: ids_in(ask),
    )
    return Turn(
        url=ask.provider.url("messages", ask.candidate.model),
        headers=head(ask, [], stream_type=NDJSON),
        body=written(body),
        decoder=decoder,
        optional=frozenset(body.keys() & OPTIONAL),
        max_tokens=cap_of(ask),
        stream_type=NDJSON,
    )
