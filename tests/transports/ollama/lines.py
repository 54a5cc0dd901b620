"""Short ways to say a stream of Ollama's, to decode one at every cutting, and to say what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from engine import StreamEvent
from engine.config import Accent
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, pieces
from tests.transports.chat.streams import SCHEMA, read_events
from transports._anthropic import StreamError
from transports.ollama import OllamaDecoder
from transports.translate._tools import Toolbox

NAMES = ("read", "read_file", "write", "ls")


def toolbox(*names: str, accent: Accent | None = None, schema: dict[str, Any] | None = None) -> Toolbox:
    """Tools of these names, all with the same schema."""
    tools = [{"name": name, "input_schema": schema or SCHEMA} for name in names or NAMES]
    return Toolbox.of({"tools": tools}, accent or Accent(schema="ollama"))


def line(**message: Any) -> dict[str, Any]:
    """A line that adds this to the message."""
    return {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": said(**message), "done": False}


def said(**message: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "", **message}


def call(name: Any, arguments: Any = None, **more: Any) -> dict[str, Any]:
    """An entry of `tool_calls`."""
    return {"function": {"name": name, "arguments": {} if arguments is None else arguments}, **more}


def done(reason: Any = "stop", prompt: Any = 10, output: Any = 5, **message: Any) -> dict[str, Any]:
    """The last line; None leaves a count or the reason out."""
    counts = {"done_reason": reason, "prompt_eval_count": prompt, "eval_count": output}
    counted = {name: value for name, value in counts.items() if value is not None}
    return {**line(**message), "done": True, "total_duration": 1, "load_duration": 1, **counted}


def body(*lines: Any) -> bytes:
    """A stream of these lines; bytes stand for themselves."""
    return b"".join(one if isinstance(one, bytes) else orjson.dumps(one) + b"\n" for one in lines)


def decoder(**settings: Any) -> OllamaDecoder:
    return OllamaDecoder(**{"toolbox": toolbox(), "author": "host/m", **settings})


def decoded(chunks: Iterable[bytes], **settings: Any) -> list[StreamEvent]:
    one = decoder(**settings)
    return [event for piece in chunks for event in one.feed(piece)] + one.finish()


def cut_up(sent: bytes, cut: int | None) -> Iterable[bytes]:
    """A body cut as one of `CUTS` says; 0 is line by line."""
    return sent.splitlines(keepends=True) if cut == 0 else pieces(sent, cut)


def read_all(*lines: Any, **settings: Any) -> Reading:
    """What a stream of these lines reads as, found free of faults and the same at every cutting."""
    sent = body(*lines)
    found = [read_events(decoded(cut_up(sent, cut), **settings)) for cut in CUTS]
    assert [one.faults for one in found] == [[]] * len(CUTS)
    for one in found:
        one.blocks = [{k: v for k, v in block.items() if k != "signature"} for block in one.blocks]
    first = found[0]
    assert all(
        (one.blocks, one.stop_reason, one.error) == (first.blocks, first.stop_reason, first.error) for one in found
    )
    return first


def refusal_of(*lines: Any, **settings: Any) -> str:
    """What a stream is refused with, the same at every cutting."""
    sent, told = body(*lines), set()
    for cut in CUTS:
        try:
            decoded(cut_up(sent, cut), **settings)
        except StreamError as error:
            told.add(str(error))
        else:
            told.add("")
    (only,) = told
    return only
