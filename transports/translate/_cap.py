"""How long an answer may be asked for.

A client asks for what its own model gives; another model gives less, or its window has no room for that much behind the
prompt, and many hosts refuse a request whose answer would not fit.
"""

from __future__ import annotations

from engine import Ask
from transports._dialect import answer_cap

#: Room that is left between a prompt, its answer and the end of the window, in tokens: estimates are rough.
WINDOW_MARGIN = 256
#: An answer is never asked to be shorter than this by an estimate alone, in tokens.
LEAST_ANSWER = 1024


def cap_of(ask: Ask) -> int:
    """The longest answer to ask for, in tokens: also within what the model gives, and what its window has left.

    The estimate of a prompt is rough, so it alone never cuts an answer below `LEAST_ANSWER`.
    """
    cap = answer_cap(ask)
    model = ask.candidate.model
    if (most := ask.provider.max_output(model)) is not None:
        cap = min(cap, most)
    window = ask.learned.window or ask.provider.model(model).capabilities.context
    if window is not None:
        left = window - ask.request.need.input_tokens - WINDOW_MARGIN
        cap = min(cap, max(left, LEAST_ANSWER))
    return max(1, cap)
