"""What a client may come to see of a fault: the few endings that are honest."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from tests.e2e.wire import Wire


class Outcome(enum.Enum):
    """How a turn ends for the client. A JSON request knows only the first two and `REFUSED`."""

    WHOLE = "answered whole"  #: by the faulty candidate itself: nobody else is asked
    FALLBACK = "invisible fallback"  #: the next candidate's answer, whole, and nothing of the first one's
    CONTINUED = "continued"  #: the text goes on from the next candidate under the same message, once and whole
    CLOSED = "tool runs once"  #: a finished call was shown: the message is closed with `tool_use`, nobody else is asked
    RESET = "reset"  #: the connection breaks off with no block finished, and the client replays in silence
    OVERLOADED = "overloaded_error"  #: an `error` event, after which every client asks again
    REFUSED = "refused"  #: a status of 400 and more


@attrs.frozen
class NotHere:
    """The fault has no meaning on this wire, and why."""

    reason: str


#: The outcome, and the wires on which it is another, or on which there is no such fault.
Outcomes = tuple[Outcome, Mapping[Wire, Outcome | NotHere]]


def everywhere(outcome: Outcome, **elsewhere: Outcome | NotHere) -> Outcomes:
    """The same on each wire, except on those named: `chat`, `responses`, `gemini`, `ollama`, `anthropic`."""
    return outcome, {WIRE_NAMES[name]: other for name, other in elsewhere.items()}


WIRE_NAMES: Mapping[str, Wire] = {
    "anthropic": "anthropic",
    "chat": "openai-chat",
    "responses": "openai-responses",
    "gemini": "gemini",
    "ollama": "ollama",
}
