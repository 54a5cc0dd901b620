"""What must hold of a turn, whatever the fault; and what this fault's outcome says of it besides.

The laws: the strict grammar; never two starts of a message; no end without `message_stop`; no reason for the end that no
provider gave; all of the text and every call once, or an ending that nobody takes for a whole answer; one ending of each
attempt, counted against those who failed and against nobody else; and no connection left open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import trio

from engine import AttemptEnded, AttemptStarted, RequestFinished
from policies import Candidate
from tests.e2e.catalogue.outcomes import Outcome
from tests.e2e.catalogue.seen import Seen
from tests.e2e.catalogue.stage import Case, Stage
from tests.e2e.wire import Block, Text, ToolUse, words

#: How long a connection may take to be closed after the turn, in seconds.
CLOSED_WITHIN_S = 5.0
_FIRST = frozenset({Outcome.WHOLE, Outcome.CONTINUED, Outcome.CLOSED, Outcome.RESET, Outcome.OVERLOADED})
_OUTCOME = {Outcome.RESET: "broken", Outcome.OVERLOADED: "broken", Outcome.CLOSED: "broken", Outcome.REFUSED: "refused"}


async def breaches(stage: Stage, case: Case, seen: Seen) -> list[str]:
    """Everything that is wrong with this turn."""
    found = [*case.notes]
    try:
        found += _shown(case, seen) if case.stream else _answered(case, seen)
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        found.append(f"{type(error).__name__}: {error}; status {seen.status}, {seen.body[:200]!r}")
    with trio.move_on_after(CLOSED_WITHIN_S):
        await case.finished.wait()
    found += _asked(case)
    found += _stated(stage, case)
    for name, exchanges in (("first", case.first_asked), ("second", case.second_asked)):
        for exchange in exchanges:
            with trio.move_on_after(CLOSED_WITHIN_S) as waiting:
                await exchange.over.wait()
            if waiting.cancelled_caught:
                found.append(f"a connection to the {name} is still open")
            found += [f"the {name} refused: {breach}" for breach in exchange.refused]
    return found


def looks_whole(case: Case, seen: Seen) -> Iterator[str]:
    """What makes a broken answer, with nobody to go on, look as if it were one: the laws, without any outcome."""
    yield from case.notes
    if not case.stream or seen.status != 200:
        if seen.status == 200:
            yield f"a JSON answer: {seen.body[:200]!r}"
        return
    reading = seen.reading()
    if seen.body.count(b"event: message_start") > 1:
        yield "a second message_start"
    yield from (fault for fault in reading.faults if "the stream ends" not in fault)
    empty = case.fault.told is not None  # a whole message of nothing is given where there is nothing better
    if seen.ended and not reading.error and reading.stop_reason != "tool_use" and not empty:
        yield f"an orderly end, with stop_reason {reading.stop_reason}"
    # Where nothing was seen the other kind makes Claude Code ask at once for JSON; see `SSEReply.refuse`.
    due = "overloaded_error" if b"message_start" in seen.body else "api_error"
    if reading.error and reading.error.get("type") != due:
        yield f"an error that clients do not ask again after: {reading.error}"
    intended = [(block.name, dict(block.input)) for block in case.fault.blocks if isinstance(block, ToolUse)]
    stopped = [(b["name"], b["input"]) for b in reading.blocks if b["type"] == "tool_use" and "_json" not in b]
    if reading.stop_reason == "tool_use" and not stopped:
        yield "stop_reason tool_use without a call"
    if any(call not in intended or stopped.count(call) > 1 for call in stopped):
        yield f"the calls {stopped}"


def _shown(case: Case, seen: Seen) -> Iterator[str]:
    if case.outcome is Outcome.REFUSED:
        yield from _refused(seen)
        return
    if seen.status != 200:
        yield f"status {seen.status}: {seen.body[:300]!r}"
        return
    reading = seen.reading()
    if seen.body.count(b"event: message_start") > 1:
        yield "a second message_start"
    if case.outcome is Outcome.RESET:
        if seen.ended:
            yield "the body ended in an orderly way, which clients take for a whole answer"
        yield from (fault for fault in reading.faults if "the stream ends" not in fault)
        if any(block["type"] != "thinking" for block in reading.blocks if "_json" not in block):
            yield "a finished block before a reset"
        if reading.stop_reason:
            yield f"a reason for an end that was none: {reading.stop_reason}"
        return
    yield from (fault for fault in reading.faults if fault != "unknown event weather")  # relayed, as unknown ones are
    if not seen.ended:
        yield "the connection broke off"
    if case.outcome is Outcome.OVERLOADED:
        if not reading.error or reading.error.get("type") != "overloaded_error":
            yield f"no overloaded_error but {reading.error}"
        return
    if reading.error:
        yield f"an error: {reading.error}"
        return
    yield from _content(case, reading.text, reading.tools, reading.stop_reason)
    yield from _usage(case, reading.usage)
    yield from _head(case, seen)


def _answered(case: Case, seen: Seen) -> Iterator[str]:
    if case.outcome is Outcome.REFUSED:
        yield from _refused(seen)
        return
    if seen.status != 200 or not seen.ended:
        yield f"status {seen.status}: {seen.body[:300]!r}"
        return
    answer = seen.whole()
    text = "".join(block["text"] for block in answer["content"] if block["type"] == "text")
    tools = [(block["name"], block["input"]) for block in answer["content"] if block["type"] == "tool_use"]
    yield from _content(case, text, tools, answer["stop_reason"])
    yield from _usage(case, answer["usage"])
    yield from _head(case, seen)


def _refused(seen: Seen) -> Iterator[str]:
    if not 400 <= seen.status < 500:
        yield f"status {seen.status} instead of a refusal: {seen.body[:300]!r}"


def _content(case: Case, text: str, tools: list[tuple[str, Any]], reason: str | None) -> Iterator[str]:
    intended: tuple[Block, ...] = case.intended
    wanted = "".join(block.text for block in intended if isinstance(block, Text))
    calls = [(block.name, dict(block.input)) for block in intended if isinstance(block, ToolUse)]
    if case.outcome is Outcome.CLOSED:
        # What was shown of it: a beginning of the text, and some of the calls, each once.
        if not wanted.startswith(text):
            yield f"the text {text!r}"
        if not tools or any(tools.count(call) > 1 or call not in calls for call in tools):
            yield f"the calls {tools}"
        if reason != "tool_use":
            yield f"stop_reason {reason}"
        return
    if text != wanted:
        yield f"the text {text!r}, not {wanted!r}"
    if tools != calls:
        yield f"the calls {tools}, not {calls}"
    if reason != ("tool_use" if calls else "end_turn"):
        yield f"stop_reason {reason}"


def _usage(case: Case, usage: dict[str, Any]) -> Iterator[str]:
    first = case.outcome in (Outcome.WHOLE, Outcome.CONTINUED, Outcome.CLOSED)
    wanted = 1000 if first else 2000
    # Two wires count the prompt at the end only, and so not at all where it broke off; then it is an estimate.
    late = case.outcome is not Outcome.WHOLE and first and case.wire in ("openai-chat", "ollama", "openai-responses")
    if not late and case.wire not in case.fault.uncounted and usage.get("input_tokens") != wanted:
        yield f"{usage.get('input_tokens')} input tokens, not {wanted}"
    said = "".join(block.text for block in case.intended if isinstance(block, Text))
    if case.outcome is not Outcome.CLOSED and usage.get("output_tokens", 0) < 0.8 * len(words(said)):
        yield f"{usage.get('output_tokens')} output tokens for {len(words(said))} words"


def _head(case: Case, seen: Seen) -> Iterator[str]:
    named = seen.headers.get("x-hedgerow-candidate", "")
    wanted = "first/" if case.outcome in _FIRST else "second/"
    early = not named and seen.body.startswith(b"event: ping")  # the head went out before there was a winner
    if not named.startswith(wanted) and not early:
        yield f"the head names {named!r}"


def _asked(case: Case) -> Iterator[str]:
    """Who was asked how often."""
    second = len(case.second_asked)
    wanted = {Outcome.FALLBACK: 1, Outcome.CONTINUED: 1}.get(case.outcome, 0)
    if case.mode == "refuses" and case.outcome is Outcome.CONTINUED:
        if not 1 <= second <= 2:
            yield f"the second was asked {second} times"
    elif second != wanted:
        yield f"the second was asked {second} times, not {wanted}"
    if not 1 <= len(case.first_asked) <= 2:
        yield f"the first was asked {len(case.first_asked)} times"


def _stated(stage: Stage, case: Case) -> Iterator[str]:
    """What the engine stated, and what health made of it."""
    started = [event for event in case.events if isinstance(event, AttemptStarted)]
    ended = [event for event in case.events if isinstance(event, AttemptEnded)]
    finished = [event for event in case.events if isinstance(event, RequestFinished)]
    if len(started) != len(ended) or {e.attempt for e in started} != {e.attempt for e in ended}:
        yield f"{len(started)} attempts began and {len(ended)} ended"
    wanted = _OUTCOME.get(case.outcome, "answered")
    if [event.outcome for event in finished] != [wanted]:
        yield f"the request finished as {[event.outcome for event in finished]}, not {wanted}"
    whole = case.outcome is Outcome.WHOLE
    for event in ended:
        if event.candidate.provider == "first":
            good = whole
            counts = case.fault.blames(case.wire) and not whole
        else:
            good, counts = case.mode != "refuses" or event.ending != "failed", False
        if (event.ending == "won") is not good and event.candidate.provider == "first":
            yield f"the first's attempt {event.ending}: {event.failure}"
        if event.counts is not counts:
            yield f"an attempt of {event.candidate} counts: {event.counts}, {event.failure}"
    for provider in ("first", "second"):
        failures = stage.proxy.built.books.breakers.failures(Candidate(provider, case.model))
        due = int(provider == "first" and case.fault.blames(case.wire) and not whole)
        if failures != due:
            yield f"{failures} failures in {provider}'s book, not {due}"


@attrs.frozen
class Found:
    """What was found of a run of cases."""

    cases: int
    wrong: dict[str, list[str]]

    def __str__(self) -> str:
        lines = [f"{len(self.wrong)} of {self.cases} cases:"]
        lines += [f"{name}: {'; '.join(texts)}" for name, texts in self.wrong.items()]
        return "\n".join(lines)
