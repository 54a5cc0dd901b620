"""The page of the catalogue, docs/faults.md, drawn from the table.

A page written by hand beside a table of three hundred rows is wrong within a week. This one is printed from what the tests
run, and a test holds the two together.

    python -m tests.e2e.catalogue.page
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.catalogue.odd import ODD
from tests.e2e.catalogue.outcomes import NotHere, Outcome
from tests.e2e.catalogue.places import ROWS, Row
from tests.e2e.catalogue.table import FAULTS, WIRES, Fault
from tests.e2e.catalogue.telling import MEANS
from tests.e2e.wire import Wire

PAGE = Path(__file__).parents[3] / "docs" / "faults.md"
_LETTERS = {
    Outcome.WHOLE: "whole",
    Outcome.FALLBACK: "fallback",
    Outcome.CONTINUED: "continued",
    Outcome.CLOSED: "tool once",
    Outcome.RESET: "reset",
    Outcome.OVERLOADED: "error",
    Outcome.REFUSED: "refused",
}
_MEANS = {
    Outcome.WHOLE: "the answer is given whole by the candidate that it is from: what is odd about it is put right",
    Outcome.FALLBACK: "the client has seen nothing: the next candidate's answer, whole, and not a word of the first's",
    Outcome.CONTINUED: "the text goes on from the next candidate inside the same message, each word once",
    Outcome.CLOSED: "a finished call was shown and will run: the message is closed with `tool_use`, nobody else is asked",
    Outcome.RESET: "only thinking was seen: the connection breaks off, and the client replays in silence",
    Outcome.OVERLOADED: "an `overloaded_error` event, after which the client asks again at once",
    Outcome.REFUSED: "the client's own mistake: its status, from the provider",
}


def page() -> str:
    """The whole page."""
    return "\n".join([*_head(), *_outcomes(), *_places(), *_odd(), *_absent()]) + "\n"


def figures() -> Counter[str]:
    """How many faults there are, on how many wires, how many of those break a text, and what becomes of these."""
    found: Counter[str] = Counter(faults=len(FAULTS))
    for fault in FAULTS:
        for wire in WIRES:
            outcome = fault.on(wire)
            if isinstance(outcome, NotHere):
                found["absent"] += 1
                continue
            found["tried"] += 1
            found[outcome.value] += 1
    return found


def _head() -> Iterator[str]:
    told = figures()
    yield "# When a provider fails in the middle"
    yield ""
    yield f"{told['faults']} ways to fail, each on every wire on which it can happen, and what Claude Code is shown of it."
    yield "This page is printed from the table that the tests run (`python -m tests.e2e.catalogue.page`). How a text is gone"
    yield "on with, and why an outcome is what it is, stands in [how it works](how-it-works.md) and [chains](chains.md)."
    yield ""
    yield f"- {told['tried']} pairs of a fault and a wire are played over real sockets, as a stream and as JSON;"
    yield f"  {told['absent']} pairs have no meaning, each with its reason at the end of this page."
    yield "- A JSON request has seen nothing until all is there: it ends `whole`, `refused`, or in an unseen `fallback`."
    yield f"- {told[Outcome.CONTINUED.value]} pairs break when text was seen and no call was: all of them are continued."
    yield "- After each turn: the strict grammar, one `message_start`, every word and call once, a stop reason that a"
    yield "  provider gave, the first prompt's tokens, one ending of each attempt, held against those who failed and nobody"
    yield "  else, every socket closed."
    yield "- With nobody behind it the same faults end honestly: reset, an error or a refusal, never as if whole."
    yield ""


def _outcomes() -> Iterator[str]:
    yield "| outcome | the client is shown |"
    yield "|---|---|"
    yield from (f"| {_LETTERS[outcome]} | {text} |" for outcome, text in _MEANS.items())
    yield ""


def _places() -> Iterator[str]:
    yield "## A break, by its place"
    yield ""
    yield "What has been seen decides, so the way in which it breaks hardly matters. Each place is tried in each of these ways:"
    yield ""
    yield "| way | is |"
    yield "|---|---|"
    yield from (f"| {way} | {text} |" for way, text in MEANS.items())
    yield ""
    yield "A fault's name is its way and its place: `reset-in-text`, `stall-behind-thinking`."
    yield ""
    yield f"| place | message | {' | '.join(WIRES)} |"
    yield f"|---|---|{'---|' * len(WIRES)}"
    for row in ROWS:
        kinds = ", ".join(type(block).__name__.lower().replace("tooluse", "call") for block in row.blocks)
        yield f"| {row.name} | {kinds} | {' | '.join(_cell(row, wire) for wire in WIRES)} |"
    yield ""


def _cell(row: Row, wire: Wire) -> str:
    """The usual outcome, and the ways that end otherwise."""
    by_way = {fault.name.removesuffix(f"-{row.name}"): fault.on(wire) for fault in FAULTS if fault.row is row}
    usual = Counter(by_way.values()).most_common(1)[0][0]
    if isinstance(usual, NotHere):
        return "–"  # noqa: RUF001
    others: dict[Outcome | NotHere, list[str]] = {}
    for way, outcome in by_way.items():
        if outcome != usual:
            others.setdefault(outcome, []).append(way)
    told = [f"{_word(outcome)} after {', '.join(ways)}" for outcome, ways in others.items()]
    return "; ".join([_word(usual), *told])


def _word(outcome: Outcome | NotHere) -> str:
    return "–" if isinstance(outcome, NotHere) else _LETTERS[outcome]  # noqa: RUF001


def _odd() -> Iterator[str]:
    yield "## Other faults"
    yield ""
    yield f"| fault | is | {' | '.join(WIRES)} |"
    yield f"|---|---|{'---|' * len(WIRES)}"
    named = {fault.name: fault for fault in FAULTS}
    for odd in ODD:
        fault = named[odd.name]
        yield f"| {fault.name} | {fault.what} | {' | '.join(_word(fault.on(wire)) for wire in WIRES)} |"
    yield ""


def _absent() -> Iterator[str]:
    yield "## What has no meaning on a wire"
    yield ""
    yield "| wire | why | faults |"
    yield "|---|---|---|"
    for wire in WIRES:
        reasons: dict[str, list[Fault]] = {}
        for fault in FAULTS:
            if isinstance(outcome := fault.on(wire), NotHere):
                reasons.setdefault(outcome.reason, []).append(fault)
        for reason, faults in reasons.items():
            yield f"| {wire} | {reason} | {_listed(faults)} |"


def _listed(faults: list[Fault]) -> str:
    """The places, and what else there is, each once."""
    names = [f"... {fault.row.name}" if fault.row else fault.name for fault in faults]
    return f"{len(faults)}: {', '.join(dict.fromkeys(names))}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
