"""A prompt that is too long, where the host does not say so.

Most hosts refuse such a prompt in words. Some refuse it without any; some cut it at the top, where the tools and the system
prompt stand, and answer what is left; some answer and say in their counts that it was more than they hold. An answer of
that sort looks like any other, and nobody learns why the model has forgotten what it was doing. What can be known is little,
and most of it only before anything is sent: so a host that is known to be silent is not asked with a prompt that its window
cannot hold.

That a host counts fewer tokens than were estimated proves nothing: a prompt that it has in its cache may not be counted.
"""

from __future__ import annotations

from engine import Ask, Failure, Kind, StreamEvent
from policies import FailureKind

#: The quirk of hosts that answer a prompt beyond their window as if nothing were wrong.
SILENT = "truncates-silently"
#: Statuses with which a host may mean a prompt that is too long without saying so, and how near the window that is.
_WORDLESS = frozenset([400, 413])
_NEAR = 0.8
_PROMPT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def window_of(ask: Ask) -> int | None:
    """The window of the model that is asked, in tokens, as far as it is known."""
    return ask.learned.window or ask.provider.model(ask.candidate.model).capabilities.context


def meant(ask: Ask, status: int, body: bytes) -> bool:
    """Whether a refusal without a word means the length of the prompt: Cerebras, Mistral."""
    window = window_of(ask)
    return not body and status in _WORDLESS and window is not None and ask.request.need.input_tokens > _NEAR * window


def foreseen(ask: Ask) -> Failure | None:
    """Why a host that says nothing of it should not be asked: by the estimate, the prompt is beyond its window.

    The measure is that of `require-capability`.
    """
    window, estimate = window_of(ask), ask.request.need.input_tokens
    if SILENT not in ask.provider.quirks or window is None or estimate <= window:
        return None
    text = f"about {estimate} tokens for a window of {window}, and this host cuts what it cannot hold without a word"
    return Failure(kind=FailureKind.TOO_LONG, message=text, tokens=(estimate, window))


def counted(ask: Ask, events: list[StreamEvent]) -> Failure | None:
    """What the first count of such a host says, before anything is shown: more was prompted than its window holds."""
    window = window_of(ask)
    if SILENT not in ask.provider.quirks or window is None:
        return None
    for event in events:
        if event.kind is Kind.MESSAGE_START and not event.estimated:
            usage = event.payload["message"].get("usage") or {}
            prompt = sum(usage[name] for name in _PROMPT if type(usage.get(name)) is int)
            if prompt > window:
                text = f"{prompt} tokens counted, for a window of {window}"
                return Failure(kind=FailureKind.TOO_LONG, message=text, status=200, tokens=(prompt, window))
    return None
