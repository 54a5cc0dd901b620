"""What one chunk of a Gemini answer says.

A chunk is a whole `GenerateContentResponse`, and so is an answer that was not streamed: the same questions are asked of
both. Gateways rewrite it now and then: reasons as the numbers of Google's protocol buffers, an error as a text. Each
question is one function here, so that the decoder that asks them reads like the description.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from engine import JSON

#: `finishReason` -> Anthropic's stop reason. What is not here is a natural end.
STOPS: Mapping[str, str] = MappingProxyType(
    {
        "MAX_TOKENS": "max_tokens",
        **dict.fromkeys(
            [
                "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "JAILBREAK",
                "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER",
            ],
            "refusal",
        ),
    }
)  # fmt: skip
#: Reasons that are no end but a failure: what the model wrote was no call, or nothing.
FAILED = frozenset(
    [
        "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE", "OTHER", "NO_IMAGE",
    ]
)  # fmt: skip
#: The same as Google's protocol buffers number them.
_BY_NUMBER = (
    "", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
    "MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
)  # fmt: skip
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_WORDLESS = "an error without a text"


def is_answer(chunk: JSON) -> bool:
    """Whether this is an answer at all, or part of one."""
    return isinstance(chunk.get("candidates"), list) or bool(blocked_by(chunk))


def candidate_of(chunk: JSON) -> JSON:
    """The first candidate: one is asked for. Empty where there is none."""
    given = chunk.get("candidates")
    for one in given if isinstance(given, list) else ():
        if isinstance(one, dict) and one.get("index") in (None, 0):
            return one
    return {}


def parts_of(candidate: JSON) -> Iterator[JSON]:
    """Its parts."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    yield from (part for part in (parts if isinstance(parts, list) else ()) if isinstance(part, dict))


def finish_of(candidate: JSON) -> str:
    """Its finish reason in capitals, "" where there is none yet."""
    given = candidate.get("finishReason")
    if type(given) is int:
        return _BY_NUMBER[given] if 0 <= given < len(_BY_NUMBER) else "STOP"
    reason = given.upper() if isinstance(given, str) else ""
    return "" if reason == _UNSPECIFIED else reason


def finish_message_of(candidate: JSON) -> str:
    """What the host says about the end."""
    return _text(candidate.get("finishMessage"))


def blocked_by(chunk: JSON) -> str:
    """Why the prompt was refused, "" where it was not."""
    feedback = chunk.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return reason if isinstance(reason, str) else str(reason) if type(reason) is int and reason else ""


def error_in(chunk: JSON) -> JSON | None:
    """The error that a chunk really is, in the host's own fields, with a text in `message`; None where it is none."""
    error = chunk.get("error")
    if not error:
        return None
    given = error if isinstance(error, dict) else {"message": error if isinstance(error, str) else ""}
    return {**given, "message": _text(given.get("message")) or _WORDLESS}


def usage_in(chunk: JSON) -> JSON:
    """The counts in a chunk; those of the last one that has any are the whole answer's."""
    usage = chunk.get("usageMetadata")
    return {k: v for k, v in usage.items() if type(v) in (int, float)} if isinstance(usage, dict) else {}


def tokens_of(usage: JSON) -> JSON:
    """Usage as Anthropic counts: what was read from a cache is part of the prompt here, and stands apart there.

    Thoughts are output. What the host's own tools fed to the model (`toolUsePromptTokenCount`) is left out: those tools are
    never asked for, and the count is no part of the prompt that was sent.
    """
    read = _count(usage.get("cachedContentTokenCount"))
    prompt = _count(usage.get("promptTokenCount"))
    return {
        "input_tokens": max(0, prompt - read),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": read,
        "output_tokens": _count(usage.get("candidatesTokenCount")) + _count(usage.get("thoughtsTokenCount")),
    }


def _count(value: Any) -> int:
    return int(value) if type(value) in (int, float) and 0 <= value < 2**53 else 0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
