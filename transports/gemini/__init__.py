"""Gemini's own wire, `streamGenerateContent`: requests out, strict Messages streams back, and the count of a prompt. Pure."""

from __future__ import annotations

from engine import JSON, Ask
from engine.config import Accent
from transports._dialect import Turn, head, message_id
from transports.gemini._decoder import GeminiDecoder as GeminiDecoder
from transports.gemini._encoder import OPTIONAL as OPTIONAL
from transports.gemini._encoder import body_of, optional_in
from transports.translate._cap import cap_of
from transports.translate._ids import ids_in
from transports.translate._texts import written
from transports.translate._tools import Toolbox

#: This wire has no accents: what differs goes by the generation of the model.
_PLAIN = Accent()


def gemini(ask: Ask) -> Turn:
    """The dialect of wire `gemini`."""
    toolbox = Toolbox.of(ask.request.body, _PLAIN)
    body = body_of(ask, toolbox)
    decoder = GeminiDecoder(
        toolbox=toolbox,
        author=ask.candidate.name,
        model=ask.request.model,
        message_id=message_id(ask),
        estimate=ask.request.need.input_tokens,
        taken=lambda: ids_in(ask),
    )
    return Turn(
        url=ask.provider.url("messages", _bare(ask.candidate.model)),
        headers=head(ask, []),
        body=written(body),
        decoder=decoder,
        optional=optional_in(body),
        max_tokens=cap_of(ask),
    )


def _bare(model: str) -> str:
    """A model's name without Google's prefix, which the path has already."""
    return model.removeprefix("models/")


#: What a request for a count has of a request for an answer: all that is part of the prompt.
_COUNTED = ("contents", "systemInstruction", "tools")


def count_request(ask: Ask) -> tuple[str, bytes]:
    """Address and body that ask how many tokens the prompt has. Raises KeyError where the provider has no such door."""
    model = _bare(ask.candidate.model)
    body = body_of(ask, Toolbox.of(ask.request.body, _PLAIN))
    counted = {name: body[name] for name in _COUNTED if name in body}
    return ask.provider.url("count_tokens", model), written(
        {"generateContentRequest": {"model": f"models/{model}", **counted}}
    )


def count_in(answer: JSON) -> int | None:
    """The tokens that a host has counted; None for an answer that says none."""
    total = answer.get("totalTokens")
    return total if type(total) is int and total >= 0 else None
