"""What one chunk of a chat-completions answer says, wherever its host has put it.

The wire has one description and forty dialects of it: usage in seven places, reasoning under four names, an error as an
object, a text, a number or a field of the host's own. Each question is one function here, so that the decoder that asks
them reads like the description.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from engine import JSON
from transports.translate._writer import Said

#: `finish_reason` -> Anthropic's stop reason. What is not here is a natural end.
STOPS: Mapping[str, str] = MappingProxyType(
    {
        "length": "max_tokens",
        "max_tokens": "max_tokens",
        "max_output_tokens": "max_tokens",
        "model_length": "max_tokens",  # Mistral
        "tool_calls": "tool_use",
        "function_call": "tool_use",
        "tool_use": "tool_use",
        "content_filter": "refusal",
        "sensitive": "refusal",  # Z.ai
        "safety": "refusal",
        "refusal": "refusal",
        "stop_sequence": "stop_sequence",
        "model_context_window_exceeded": "model_context_window_exceeded",  # Z.ai
    }
)
#: Reasons that are no end but a failure: DeepSeek, Z.ai, OpenRouter, vLLM and SGLang.
FAILED = frozenset(["insufficient_system_resource", "network_error", "error", "abort"])
#: Words for a natural end, which some hosts give where others name the stop sequence.
_NATURAL = frozenset(["stop", "end", "eos", "end_turn", "completed"])

#: Where reasoning is found; the first that is not empty counts, since some hosts send the same text twice.
_REASONING = ("reasoning_content", "reasoning", "reasoning_text")
#: Fields of a whole answer of whose kind an error is not.
_ANSWER = frozenset(["choices", "usage", "x_groq"])
#: Fields beside the choices that may hold an error.
_BESIDE = frozenset(["x_groq", "base_resp"])
#: What stands beside an error and says which one it is: xAI, Cerebras, NVIDIA.
_CODES = ("code", "status_code", "status")
_WORDLESS = "an error without a text"


def choices_of(chunk: JSON) -> list[JSON]:
    """The choices that make up the one that was asked for: Copilot gives the text and the calls of one in two."""
    given = chunk.get("choices")
    # As nearly every chunk has it: the shortest way, here and in the questions below, is for what comes a thousand times.
    if type(given) is list and len(given) == 1 and type(given[0]) is dict and given[0].get("index") == 0:
        return given
    return [c for c in _objects(given) if c.get("index") in (None, 0, "0", "")]


def said_by(choice: JSON) -> JSON:
    """What a choice adds. A `message` beside a delta says all of it once more."""
    delta = choice.get("delta")
    said = delta if isinstance(delta, dict) else choice.get("message")
    return said if isinstance(said, dict) else {}


def says_something(delta: JSON) -> bool:
    """Whether there is anything in a delta but its role."""
    return any(value for name, value in delta.items() if name != "role")


def finish_of(choice: JSON) -> str:
    """The finish reason in lower case, "" where there is none yet."""
    if choice.get("finish_reason") is None:
        return ""
    finish, native = _text(choice.get("finish_reason")).lower(), _text(choice.get("native_finish_reason")).lower()
    # OpenRouter says `tool_calls` of a call that was cut, and the truth beside it.
    return native if finish and finish not in FAILED and STOPS.get(native) == "max_tokens" else finish


def stop_sequence_of(choice: JSON) -> str | None:
    """The stop sequence that ended the answer, where the host names it (vLLM)."""
    stopped_by = choice.get("stop_reason")
    if not isinstance(stopped_by, str) or stopped_by.lower() in STOPS or stopped_by.lower() in _NATURAL:
        return None
    return stopped_by or None


def reasoning_of(delta: JSON) -> str:
    """The reasoning in a delta, "" where there is none."""
    for name in _REASONING:
        value = delta.get(name)
        if value and isinstance(value, str):
            return value
    details = delta.get("reasoning_details")
    if not isinstance(details, list):
        return ""
    texts = (d.get("text") or d.get("summary") for d in details if isinstance(d, dict))
    return "".join(text for text in texts if isinstance(text, str))


def said_in(content: Any) -> Iterator[tuple[Said, str]]:
    """The texts of a `content` that is a list of parts: Mistral's thinking among them, references as nothing."""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            yield "text", part
        elif isinstance(part, dict):
            match part.get("type"):
                case "thinking":
                    inner = part.get("thinking")
                    texts = [inner] if isinstance(inner, str) else [p.get("text") for p in _objects(inner)]
                    yield "thinking", "".join(t for t in texts if isinstance(t, str))
                case "refusal":
                    yield "text", _text(part.get("refusal"))
                case "text" | "output_text" | None:
                    yield "text", _text(part.get("text"))


def calls_in(delta: JSON) -> list[JSON]:
    """The tool-call entries of a delta, the older `function_call` among them."""
    given = delta.get("tool_calls")
    calls = [given] if isinstance(given, dict) else _objects(given)
    legacy = delta.get("function_call")
    # Where both are given they say the same.
    return [{"index": 0, "function": legacy}] if isinstance(legacy, dict) and not calls else calls


def error_in(chunk: JSON, choices: list[JSON]) -> JSON | None:
    """The error that a chunk, or a whole answer with status 200, really is; None where it is none.

    As an object in the host's own fields, with a text in `message`.
    """
    if len(choices) == 1 and "error" not in chunk and "error" not in choices[0] and _BESIDE.isdisjoint(chunk):
        return None
    for holder in (chunk, chunk.get("x_groq"), *choices):
        error = holder.get("error") if isinstance(holder, dict) else None
        if error or (error == {} and not _ANSWER & chunk.keys()):
            return _error_of(error, chunk)
    status = chunk.get("base_resp")  # MiniMax
    if isinstance(status, dict) and status.get("status_code"):
        return {"message": _text(status.get("status_msg")) or "an error", "code": status["status_code"]}
    if _ANSWER & chunk.keys():
        return None
    if chunk.get("object") == "error" or "detail" in chunk or ("message" in chunk and {"code", "type"} & chunk.keys()):
        return _error_of(chunk, chunk)
    return None


def _error_of(error: Any, chunk: JSON) -> JSON:
    """An error in whatever shape as an object, with the codes that stand beside it."""
    if isinstance(error, list) and error:
        error = error[0]
    given = error if isinstance(error, dict) else {"message": error if isinstance(error, str) else chunk.get("message")}
    out = {**{name: chunk[name] for name in _CODES if isinstance(chunk.get(name), str | int)}, **given}
    if type(status := out.get("status")) is int:
        out.setdefault("status_code", status)
    texts = (out.get(name) for name in ("message", "detail", "msg", "title", "error"))
    return {**out, "message": next((text for text in texts if text and isinstance(text, str)), _WORDLESS)}


def usage_in(chunk: JSON, choices: list[JSON]) -> JSON | None:
    """The usage in a chunk: its own, Moonshot's in the choice, Groq's in `x_groq`."""
    if len(choices) == 1 and not chunk.get("usage") and "usage" not in choices[0] and "x_groq" not in chunk:
        return None
    for holder in (chunk, *choices, chunk.get("x_groq")):
        usage = holder.get("usage") if isinstance(holder, dict) else None
        if isinstance(usage, dict) and usage:
            timings = chunk.get("timings")
            return {**usage, "timings": timings} if isinstance(timings, dict) else usage
    return None


def counts_something(usage: JSON) -> bool:
    """Whether any of the counts is more than zero: a last chunk of zeros says nothing."""
    return bool(_count(usage.get("prompt_tokens")) or _count(usage.get("completion_tokens")))


def tokens_of(usage: JSON, *, reasoning_beside: bool = False) -> JSON:
    """Usage as Anthropic counts: input, cache reads and cache writes add up to the prompt.

    OpenAI's `prompt_tokens` holds the cached ones too. Where more is cached than prompted, the host (xAI) has taken
    them out already. `reasoning_beside`: `completion_tokens` leaves reasoning out (xAI as well).
    """
    prompt, output = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    read, written = _first_count(usage, _CACHE_READ), _first_count(usage, _CACHE_WRITTEN)
    if reasoning_beside:
        output += _first_count(usage, (("completion_tokens_details", "reasoning_tokens"),))
    fresh = prompt - read - written
    return {
        "input_tokens": prompt if fresh < 0 else fresh,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": output,
    }


_CACHE_READ = (
    ("prompt_tokens_details", "cached_tokens"),  # OpenAI, Groq, Cerebras, xAI, Qwen, vLLM
    ("prompt_cache_hit_tokens",),  # DeepSeek
    ("cached_tokens",),  # Moonshot
    ("num_cached_tokens",),  # Mistral
    ("prompt_token_details", "cached_tokens"),  # Mistral
    ("timings", "cache_n"),  # llama.cpp
)
_CACHE_WRITTEN = (
    ("prompt_tokens_details", "cache_write_tokens"),  # OpenAI, OpenRouter
    ("prompt_tokens_details", "cache_creation_input_tokens"),  # Qwen
)


def _first_count(usage: JSON, paths: tuple[tuple[str, ...], ...]) -> int:
    for path in paths:
        value: Any = usage
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if count := _count(value):
            return count
    return 0


def _count(value: Any) -> int:
    return int(value) if type(value) in (int, float) and 0 <= value < 2**53 else 0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _objects(value: Any) -> list[JSON]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
