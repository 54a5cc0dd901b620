"""The places at which every way to break is tried, and what comes of it there.

What a client has seen decides what may still be done, so the outcome belongs to the place; the few ways that end otherwise
stand beside it. On some wires a place is another (a call that comes in one piece cannot break in its middle).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from tests.e2e.catalogue.layout import Place
from tests.e2e.catalogue.outcomes import NotHere, Outcome, Outcomes, everywhere
from tests.e2e.catalogue.telling import MEANS, Way
from tests.e2e.wire import Block, Text, Thinking, ToolUse, Wire

#: Words that stand once each, some of them of more than one byte a letter.
STORY = (
    "Once a quiet hedgehog walked through tall wet grass until morning, found «größere» café tables, paid seven coins, "
    "drank hot chocolate, thanked everybody warmly and finally slept beneath old roots."
)
THOUGHTS = "The user wants a story. I shall tell one about animals and keep it short."
ASK = "One moment, I look the weather up for you before we go."

TEXT: tuple[Block, ...] = (Text(STORY),)
THOUGHT: tuple[Block, ...] = (Thinking(THOUGHTS), Text(STORY))
CALL: tuple[Block, ...] = (ToolUse("get_weather", {"city": "Düsseldorf", "days": 3, "units": "metric"}),)
SECOND = ToolUse("get_time", {"zone": "Europe/Berlin", "format": "24 hours"})
TEXT_CALL: tuple[Block, ...] = (Text(ASK), *CALL)
CALLS: tuple[Block, ...] = (*CALL, SECOND)
CALL_TEXT: tuple[Block, ...] = (*CALL, Text(STORY))
ALL: tuple[Block, ...] = (Thinking(THOUGHTS), Text(ASK), *CALL)


@attrs.frozen
class Row:
    """One place: its name, the message, where in it, and the outcome. `ways` end otherwise; `skips` are not tried, and why."""

    name: str
    blocks: tuple[Block, ...]
    place: Place
    outcome: Outcomes
    ways: Mapping[Way, Outcomes] = {}
    skips: Mapping[Way, NotHere] = {}
    uncounted: frozenset[Wire] = frozenset()  #: wires whose count of the prompt is lost there

    def outcome_of(self, way: Way) -> Outcomes:
        return self.ways.get(way, self.outcome)

    @property
    def tried(self) -> tuple[Way, ...]:
        return tuple(way for way in MEANS if way not in self.skips)


_FALLBACK = everywhere(Outcome.FALLBACK)
_CONTINUED = everywhere(Outcome.CONTINUED)
_WHOLE = everywhere(Outcome.WHOLE)
_OVERLOADED = everywhere(Outcome.OVERLOADED)
_RESET = everywhere(Outcome.RESET)
_F, _C, _CLOSES = Outcome.FALLBACK, Outcome.CONTINUED, Outcome.CLOSED
#: On Anthropic's wire a call is shown when it is finished, on the others when the answer is: until then nobody has seen it.
_CALLED = everywhere(_CLOSES, chat=_F, responses=_F, gemini=_F, ollama=_F)
_CALLED_AFTER_TEXT = everywhere(_CLOSES, chat=_C, responses=_C, gemini=_C, ollama=_C)

#: An error that a provider states is told to the client, which then asks again at once; see docs/chains.md.
_STATED: Mapping[Way, Outcomes] = {"overloaded": _OVERLOADED, "failed": _OVERLOADED}

#: Gemini's wire gives a reason for the end with pieces that are not the last, so there only the body's end is an end.
_UNSETTLED: Mapping[Way, Outcomes] = {
    way: everywhere(Outcome.WHOLE, gemini=_C) for way in ("stall", "overloaded", "failed", "junk")
}
#: A provider that states an error after a reason for the end is believed; whatever else comes there changes nothing.
_BELIEVED: Mapping[Way, Outcomes] = {"overloaded": _CONTINUED, "failed": _CONTINUED}
_BELIEVED_OF_A_CALL: Mapping[Way, Outcomes] = {"overloaded": _CALLED_AFTER_TEXT, "failed": _CALLED_AFTER_TEXT}
_COUNTED_LAST: frozenset[Wire] = frozenset({"openai-chat"})

ROWS: tuple[Row, ...] = (
    Row("at-the-head", TEXT, Place("head"), _FALLBACK),
    Row("behind-the-opening", TEXT, Place("opening"), _FALLBACK),
    Row("at-a-text", TEXT, Place("start", 0), _FALLBACK),
    Row("at-thinking", THOUGHT, Place("start", 0), _FALLBACK),
    Row("behind-the-first-thought", THOUGHT, Place("first", 0), _RESET, _STATED),
    Row("in-thinking", THOUGHT, Place("middle", 0), _RESET, _STATED),
    Row("behind-the-last-thought", THOUGHT, Place("last", 0), _RESET, _STATED),
    Row("behind-thinking", THOUGHT, Place("stop", 0), _RESET, _STATED),
    Row("at-a-text-after-thinking", THOUGHT, Place("start", 1), _RESET, _STATED),
    Row("in-text-after-thinking", THOUGHT, Place("middle", 1), _CONTINUED),
    Row("behind-the-first-word", TEXT, Place("first", 0), _CONTINUED),
    Row("in-text", TEXT, Place("middle", 0), _CONTINUED),
    Row("behind-the-last-word", TEXT, Place("last", 0), _CONTINUED),
    Row("behind-text", TEXT, Place("stop", 0), _CONTINUED),
    Row("at-a-call", CALL, Place("start", 0), _FALLBACK),
    Row("in-a-call", CALL, Place("middle", 0), _FALLBACK),
    Row("behind-the-arguments", CALL, Place("last", 0), _FALLBACK),
    Row("behind-a-call", CALL, Place("stop", 0), _CALLED),
    Row("before-a-call", TEXT_CALL, Place("stop", 0), _CONTINUED),
    Row("behind-the-last-word-before-a-call", TEXT_CALL, Place("last", 0), _CONTINUED),
    Row("at-a-call-after-text", TEXT_CALL, Place("start", 1), _CONTINUED),
    Row("in-a-call-after-text", TEXT_CALL, Place("middle", 1), _CONTINUED),
    Row("behind-the-arguments-after-text", TEXT_CALL, Place("last", 1), _CONTINUED),
    Row("behind-a-call-after-text", TEXT_CALL, Place("stop", 1), _CALLED_AFTER_TEXT),
    Row("in-a-call-after-thinking-and-text", ALL, Place("middle", 2), _CONTINUED),
    Row("behind-the-arguments-of-the-first-call", CALLS, Place("last", 0), _FALLBACK),
    Row("between-calls", CALLS, Place("stop", 0), _CALLED),
    Row("in-the-second-call", CALLS, Place("middle", 1), _CALLED),
    Row("behind-the-arguments-of-both-calls", CALLS, Place("last", 1), _CALLED),
    Row("behind-both-calls", CALLS, Place("stop", 1), _CALLED),
    Row(
        "in-text-after-a-call",
        CALL_TEXT,
        Place("middle", 1),
        everywhere(_CLOSES, chat=_C, responses=_F, gemini=_C, ollama=_C),
    ),
    Row("behind-the-reason", TEXT, Place("reason"), _WHOLE, _BELIEVED, uncounted=_COUNTED_LAST),
    Row(
        "behind-the-reason-of-a-call", TEXT_CALL, Place("reason"), _WHOLE, _BELIEVED_OF_A_CALL, uncounted=_COUNTED_LAST
    ),
    Row(
        "behind-the-end", TEXT, Place("done"), _WHOLE, _UNSETTLED, skips={"half-frame": NotHere("nothing more is due")}
    ),
)
