"""The head of an answer, and counts where a host gives none.

A client's context meter is fed by the counts of `message_start`, and a zero there breaks it. So what a host does not say,
or says as zero, is estimated and marked as such.
"""

from __future__ import annotations

from engine import JSON, StreamEvent, event

#: Characters of an answer a token, where the host counts nothing.
_CHARS_PER_TOKEN = 4


def head_of(message_id: str, model: str, usage: JSON, *, estimated: bool) -> StreamEvent:
    """`message_start`, with the best counts that there are yet."""
    message: JSON = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": min(usage["output_tokens"], 1)},
    }
    return event({"type": "message_start", "message": message}, estimated=estimated)


def with_estimates(usage: JSON, *, prompt: int, written: int) -> tuple[JSON, bool]:
    """A usage in Anthropic's fields without zeros that cannot be, and whether any of it is an estimate.

    `prompt` is the estimate of the prompt in tokens, `written` the characters of the answer so far.
    """
    usage, estimated = dict(usage), False
    if not any(usage[name] for name in usage if name != "output_tokens"):
        usage["input_tokens"], estimated = max(1, prompt), True
    if not usage["output_tokens"] and written:
        usage["output_tokens"], estimated = -(-written // _CHARS_PER_TOKEN), True
    return usage, estimated
