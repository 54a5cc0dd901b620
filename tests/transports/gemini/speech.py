"""Short ways to say a Gemini stream and a request for one, and to decode it at every cutting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import orjson

from engine import Ask, Learned, StreamEvent
from engine.config import Model
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, pieces
from tests.transports.asks import ask, body
from tests.transports.chat.streams import read_events, signatures, toolbox
from transports._anthropic import StreamError
from transports._sse import SSEError
from transports.gemini import GeminiDecoder, gemini

TOOLS = toolbox("read", "write", "ls")
AUTHOR = "host/gemini-3-pro"
PATHS = {
    "messages": "/models/{model}:streamGenerateContent?alt=sse",
    "count_tokens": "/models/{model}:countTokens",
}

Body = dict[str, Any]


def chunk(*parts: Any, finish: Any = None, usage: Any = None, **more: Any) -> Body:
    """A response with these parts; a string is a text."""
    written = [{"text": part} if isinstance(part, str) else part for part in parts]
    candidate: Body = {"content": {"parts": written, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    out: Body = {"candidates": [candidate | more], "modelVersion": "m"}
    return out | ({"usageMetadata": usage} if usage else {})


def call(name: Any = "read", args: Any = None, signature: str = "", **more: Any) -> Body:
    """A part that calls a function."""
    given = {"name": name, "args": {"a": 1} if args is None else args, **more}
    return {"functionCall": given} | ({"thoughtSignature": signature} if signature else {})


def thought(text: str, signature: str = "") -> Body:
    return {"text": text, "thought": True} | ({"thoughtSignature": signature} if signature else {})


def signed(text: str, signature: str) -> Body:
    return {"text": text, "thoughtSignature": signature}


def frame(one: Any) -> bytes:
    return b"data: %s\r\n\r\n" % orjson.dumps(one)


def stream(*chunks: Any) -> bytes:
    """A stream of these chunks; bytes stand for themselves."""
    return b"".join(one if isinstance(one, bytes) else frame(one) for one in chunks)


def decoder(**settings: Any) -> GeminiDecoder:
    return GeminiDecoder(**{"toolbox": TOOLS, "author": AUTHOR, **settings})


def decoded(parts: Iterable[bytes], **settings: Any) -> list[StreamEvent]:
    one = decoder(**settings)
    return [event for piece in parts for event in one.feed(piece)] + one.finish()


def read_all(*chunks: Any, **settings: Any) -> Reading:
    """What a stream of these chunks reads as, free of faults and the same at every cutting."""
    sent = stream(*chunks)
    found = [read_events(decoded(pieces(sent, cut), **settings)) for cut in CUTS]
    assert [one.faults for one in found] == [[]] * len(CUTS)
    assert len({repr((one.blocks, one.stop_reason, one.error, one.usage["output_tokens"])) for one in found}) == 1
    return found[0]


def refusal_of(*chunks: Any) -> str:
    """What a stream is refused with, the same at every cutting; "" where it is not."""
    said = set()
    for cut in CUTS:
        try:
            decoded(pieces(stream(*chunks), cut))
        except (StreamError, SSEError) as error:
            said.add(str(error))
        else:
            said.add("")
    (only,) = said
    return only


def asked(fields: Body | None = None, *, model: str = "gemini-3-pro", known: Model | None = None, **more: Any) -> Ask:
    """An ask of `host/<model>`; `without` names what it was found to refuse."""
    learned = Learned(without=frozenset(more.pop("without", ())))
    settings = {"wire": "gemini", "paths": PATHS, "models": {model: known} if known else {}, "learned": learned, **more}
    return ask(fields or body(), model=model, **settings)


def sent(fields: Body | None = None, **more: Any) -> Body:
    """The body that goes out."""
    parsed: Body = orjson.loads(gemini(asked(fields, **more)).body)
    return parsed


def said_back(events: list[StreamEvent]) -> Body:
    """An answer as the client sends it back: an assistant message."""
    given = iter(signatures(events))
    blocks = [
        {**block, "signature": next(given)}
        if block["type"] == "thinking"
        else {**block, "data": next(given)}
        if block["type"] == "redacted_thinking"
        else block
        for block in read_events(events).blocks
    ]
    return {"role": "assistant", "content": blocks}


def named(one: Ask, author: str) -> Ask:
    """The same, asked of a candidate of another provider."""
    return attrs.evolve(one, candidate=attrs.evolve(one.candidate, provider=author))
