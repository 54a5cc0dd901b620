"""What the benchmarks feed: a long answer on either wire, and a request as Claude Code sends it.

One short answer, repeated, measures the start of an answer; random bytes measure no path that a real answer takes. So an
answer here is as long as a long one is, in tokens of the length that tokens have, in frames with all the fields that hosts
send, and both wires say the same of it. A request has the size and the parts of one in the middle of a session: a system
prompt, tools, and a history of calls and results. All of it is drawn from fixed seeds: two runs are fed the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import attrs
import orjson

from engine import JSON

Wire = Literal["native", "chat"]
Variant = Literal["text", "reasoning", "tools"]
WIRES: tuple[Wire, ...] = ("native", "chat")
VARIANTS: tuple[Variant, ...] = ("text", "reasoning", "tools")

#: The model that clients ask for, and candidates have: under one name a native request can be passed on as it is.
MODEL = "claude-sonnet-5-5"
#: A read of a busy connection, in bytes.
READ_BYTES = 16 * 1024
#: Content deltas of a long answer: some 8 KB of prose, or a file of 200 lines.
DELTAS = 2_000
#: What a body in the middle of a session measures, in bytes.
BODY_BYTES = 98_000

_TOOLS = 12
_TURNS = 19

_PROSE = (
    "the a of to in is that for with as on it be are this by from or an which each when one not but at if can has all "
    "stream provider token buffer socket request header retry select race latency model router parse event file function "
    "return value module import class object string number array index error handler test assert branch commit review"
)
_WORDS = _PROSE.split()
_MESSAGE: JSON = {
    "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {
        "input_tokens": 24_512,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 1,
    },
}


@attrs.frozen
class Answer:
    """What a model says: thinking, text, and the arguments of one call, each as the pieces it comes in."""

    thinking: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    @property
    def deltas(self) -> int:
        """How many events bring content."""
        return len(self.thinking) + len(self.text) + len(self.arguments)

    @classmethod
    def of(cls, variant: Variant, deltas: int = DELTAS) -> Answer:
        """An answer of a kind: all text; nine tenths reasoning; or nine tenths arguments, as of a file being written."""
        draw = random.Random(11)
        text = deltas if variant == "text" else max(1, deltas // 10)
        thinking = deltas - text if variant == "reasoning" else 0
        arguments = deltas - text if variant == "tools" else 0
        return cls(_tokens(draw, thinking), _tokens(draw, text), _fragments(draw, arguments) if arguments else ())


def frames(answer: Answer, wire: Wire) -> list[bytes]:
    """The answer as the frames of its event stream."""
    return list(_native(answer) if wire == "native" else _chat(answer))


def reads(stream: Sequence[bytes], size: int = READ_BYTES) -> list[bytes]:
    """The same stream, cut where full buffers end."""
    whole = b"".join(stream)
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def body(*, model: str = MODEL, deltas: int = 1, gap_ms: int = 0) -> JSON:
    """A request of `BODY_BYTES`: 12 tools, 41 messages. `deltas` and `gap_ms` are for the upstream; see `marked`."""
    draw = random.Random(7)
    mark = {"type": "text", "text": f"Go on. {marked(deltas, gap_ms)}", "cache_control": {"type": "ephemeral"}}
    out: JSON = {
        "model": model,
        "max_tokens": 32_000,
        "system": [
            {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude."},
            {"type": "text", "text": _prose(draw, 14_000), "cache_control": {"type": "ephemeral"}},
        ],
        "tools": [_tool(draw, number) for number in range(_TOOLS)],
        "messages": [{"role": "user", "content": [{"type": "text", "text": _prose(draw, 900)}]}],
        "metadata": {"user_id": "user_" + "0" * 64},
        "temperature": 1,
        "stream": True,
    }
    messages = out["messages"]
    results = []
    for turn in range(_TURNS):
        id = f"toolu_01{draw.getrandbits(88):022x}"
        path = f"/home/user/project/{draw.choice(_WORDS)}/{draw.choice(_WORDS)}.py"
        used = {
            "type": "tool_use",
            "id": id,
            "name": f"Tool{turn % _TOOLS}",
            "input": {"file_path": path, "limit": 200},
        }
        results.append({"type": "tool_result", "tool_use_id": id, "content": ""})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": _prose(draw, 120)}, used]})
        messages.append({"role": "user", "content": [results[-1]]})
    messages.append({"role": "assistant", "content": [{"type": "text", "text": _prose(draw, 200)}]})
    messages.append({"role": "user", "content": [mark]})
    for number, result in enumerate(results):  # what is left of the size goes to the results, as it does in a session
        result["content"] = _prose(draw, (BODY_BYTES - len(orjson.dumps(out))) // (_TURNS - number))
    return out


def marked(deltas: int, gap_ms: int) -> str:
    """What the benchmarks' upstream finds in a request, on whatever wire it comes: how long an answer, and how paced."""
    return f"[[bench {deltas} {gap_ms}]]"


def _tokens(draw: random.Random, count: int) -> tuple[str, ...]:
    """Words as a tokenizer cuts them, with a space in front, now and then a line's end, a quote or a letter with an accent."""
    return tuple(_token(draw) for _ in range(count))


def _token(draw: random.Random) -> str:
    dice = draw.random()
    if dice < 0.04:
        return ".\n\n"
    if dice < 0.06:
        return draw.choice(['"', " `", "\\", " é", " →", "\t"])
    word = draw.choice(_WORDS)
    return word[len(word) // 2 :] if dice < 0.2 else f" {word}"


def _fragments(draw: random.Random, count: int) -> tuple[str, ...]:
    """The arguments of a call that writes a file, as one JSON text in `count` pieces."""
    content = "".join(_tokens(draw, count))
    whole = orjson.dumps({"file_path": "/home/user/project/router.py", "content": content}).decode()
    return tuple(whole[len(whole) * n // count : len(whole) * (n + 1) // count] for n in range(count))


def _native(answer: Answer) -> Iterator[bytes]:
    yield _named({"type": "message_start", "message": _MESSAGE})
    yield _named({"type": "ping"})
    blocks: list[tuple[JSON, Iterable[JSON]]] = []
    if answer.thinking:
        deltas: list[JSON] = [{"type": "thinking_delta", "thinking": piece} for piece in answer.thinking]
        deltas.append({"type": "signature_delta", "signature": "EqoBCkgIARAB" * 30})
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if answer.text:
        blocks.append(({"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in answer.text]))
    if answer.arguments:
        call = {"type": "tool_use", "id": "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "name": "Tool0", "input": {}}
        fragments = [{"type": "input_json_delta", "partial_json": piece} for piece in answer.arguments]
        blocks.append((call, fragments))
    for index, (block, deltas_of) in enumerate(blocks):
        yield _named({"type": "content_block_start", "index": index, "content_block": block})
        for delta in deltas_of:
            yield _named({"type": "content_block_delta", "index": index, "delta": delta})
        yield _named({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": "tool_use" if answer.arguments else "end_turn", "stop_sequence": None}
    yield _named({"type": "message_delta", "delta": ending, "usage": {"output_tokens": answer.deltas}})
    yield _named({"type": "message_stop"})


def _chat(answer: Answer) -> Iterator[bytes]:
    yield _chunk({"role": "assistant", "content": ""})
    for piece in answer.thinking:
        yield _chunk({"content": None, "reasoning_content": piece})
    for piece in answer.text:
        yield _chunk({"content": piece})
    if answer.arguments:
        function = {"name": "Tool0", "arguments": ""}
        call = {"index": 0, "id": "call_Vq1DsQ0hUe3wXn5Jt8bKzYpA", "type": "function", "function": function}
        yield _chunk({"tool_calls": [call]})
    for piece in answer.arguments:
        yield _chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    yield _chunk({}, "tool_calls" if answer.arguments else "stop")
    usage = {
        "prompt_tokens": 24_512,
        "completion_tokens": answer.deltas,
        "total_tokens": 24_512 + answer.deltas,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": len(answer.thinking), "audio_tokens": 0},
    }
    yield _frame({**_CHUNK, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


_CHUNK = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "object": "chat.completion.chunk",
    "created": 1_785_000_000,
    "model": "gpt-5.5-2026-04-16",
    "service_tier": "default",
    "system_fingerprint": "fp_44709d6fcb",
}


def _chunk(delta: JSON, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _frame({**_CHUNK, "choices": [choice], "usage": None})


def _frame(payload: JSON) -> bytes:
    return b"data: %s\n\n" % orjson.dumps(payload)


def _named(payload: JSON) -> bytes:
    return b"event: %s\n%s" % (payload["type"].encode(), _frame(payload))


def _prose(draw: random.Random, size: int) -> str:
    """Sentences of `size` characters in all."""
    out: list[str] = []
    length = 0
    while length < size:
        words = " ".join(draw.choice(_WORDS) for _ in range(draw.randint(6, 16)))
        out.append(words.capitalize() + draw.choice([". ", ".\n", ": `x = f(7)`\n", ".\n\n- "]))
        length += len(out[-1])
    return "".join(out)[:size]


def _tool(draw: random.Random, number: int) -> JSON:
    """A tool as Claude Code's are: a long description, and a schema with a few described properties."""
    properties: JSON = {
        f"{draw.choice(_WORDS)}_{n}": {
            "type": draw.choice(["string", "string", "number", "boolean"]),
            "description": _prose(draw, draw.randint(60, 200)),
        }
        for n in range(draw.randint(2, 6))
    }
    properties["file_path"] = {"type": "string", "description": _prose(draw, 80)}
    if number % 4 == 0:
        item = {"type": "object", "properties": {"status": {"enum": ["pending", "done"]}}, "required": ["status"]}
        properties["items"] = {"type": "array", "items": {**item, "additionalProperties": False}}
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": properties,
        "required": ["file_path"],
        "additionalProperties": False,
    }
    return {"name": f"Tool{number}", "description": _prose(draw, 2_400), "input_schema": schema}
