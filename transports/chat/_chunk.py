"""What one chunk of a chat-completions answer says, wherever its host has put it.

The wire has one description and forty dialects of it: usage in seven places, reasoning under four names, an error as an
object, a text, a number or a field of the host's own. Each question is one function here, so that the decoder that asks
them reads like the description.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

from engine import JSON

Said = Literal["text", "thinking"]

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
#: Reasons that are no end but a failure: DeepSeek, Z.ai, OpenRouter.
FAILED = frozenset(["insufficient_system_resource", "network_error", "error"])

#: Where reasoning is found; the first that is not empty counts, since some hosts send the same text twice.
_REASONING = ("reasoning_content", "reasoning", "reasoning_text")
#: Fields of a whole answer of whose kind an error is not.
_ANSWER = frozenset(["choices", "usage", "x_groq"])


def choice_of(chunk: JSON) -> JSON | None:
    """The one choice that was asked for; None in a chunk that has none."""
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return None
    return next((c for c in choices if isinstance(c, dict) and not c.get("index")), None)


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
    calls = _objects(delta.get("tool_calls"))
    legacy = delta.get("function_call")
    return [*calls, {"index": 0, "function": legacy}] if isinstance(legacy, dict) else calls


def error_in(chunk: JSON, choice: JSON | None) -> JSON | None:
    """The error that a chunk, or a whole answer with status 200, really is; None where it is none.

    As an object with at least `message`, in the host's own fields otherwise.
    """
    groq = chunk.get("x_groq")
    nested = [chunk.get("error"), groq.get("error") if isinstance(groq, dict) else None]
    nested.append(choice.get("error") if choice else None)
    for error in nested:
        if isinstance(error, dict):
            return {"message": "an error without a text", **error}
        if error and isinstance(error, str):
            return {"message": error}
    status = chunk.get("base_resp")  # MiniMax
    if isinstance(status, dict) and status.get("status_code"):
        return {"message": _text(status.get("status_msg")) or "an error", "code": status["status_code"]}
    if _ANSWER & chunk.keys():
        return None
    if chunk.get("object") == "error" or "detail" in chunk or ("message" in chunk and {"code", "type"} & chunk.keys()):
        text = chunk.get("message") or chunk.get("detail")
        return {**chunk, "message": text if isinstance(text, str) else "an error"}
    return None


def usage_in(chunk: JSON, choice: JSON | None) -> JSON | None:
    """The usage in a chunk: its own, Moonshot's in the choice, Groq's in `x_groq`."""
    groq = chunk.get("x_groq")
    for holder in (chunk, choice, groq):
        usage = holder.get("usage") if isinstance(holder, dict) else None
        if isinstance(usage, dict) and usage:
            timings = chunk.get("timings")
            return {**usage, "timings": timings} if isinstance(timings, dict) else usage
    return None


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
