"""The table of faults and its page: enough of them, each named once, and the page says what the table says."""

from __future__ import annotations

import pytest

from tests.e2e.catalogue.layout import Place, cut, laid_out, shown
from tests.e2e.catalogue.outcomes import NotHere, Outcome
from tests.e2e.catalogue.page import PAGE, figures, page
from tests.e2e.catalogue.places import ALL
from tests.e2e.catalogue.table import FAULTS, WIRES, Fault, as_json
from tests.e2e.upstream import RENDERINGS
from tests.e2e.wire import Text, Thinking, ToolUse, Wire, make_message


def test_the_page_is_up_to_date() -> None:
    """`python -m tests.e2e.catalogue.page` writes it anew."""
    assert PAGE.read_text("utf-8") == page()


def test_the_table_is_wide_enough() -> None:
    """Forty were asked for; each has a name of its own, and no wire is spared most of them."""
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40
    for wire in WIRES:
        tried = [fault for fault in FAULTS if isinstance(fault.on(wire), Outcome)]
        assert len(tried) >= 40
    assert {outcome for fault in FAULTS for outcome in map(fault.on, WIRES)} >= set(Outcome)


@pytest.mark.parametrize("wire", WIRES)
def test_a_text_that_was_seen_is_gone_on_with(wire: Wire) -> None:
    """Of the breaks in a text, at least 95 %; a call that was shown closes the message instead."""
    breaks = [fault for fault in FAULTS if breaks_a_text(fault, wire)]
    gone_on = [fault for fault in breaks if fault.on(wire) is Outcome.CONTINUED]
    assert len(gone_on) >= 0.95 * len(breaks) > 0


def breaks_a_text(fault: Fault, wire: Wire) -> bool:
    """Whether it strikes where the client has seen text and no call, and before the end was stated."""
    row = fault.row
    if row is None or row.place.spot in ("reason", "done") or isinstance(fault.on(wire), NotHere):
        return False
    if isinstance(row.blocks[0], ToolUse):
        return False  # behind a call that was shown, or not shown itself before the call is
    pieces = laid_out(make_message("1", "m", row.blocks, 1), wire)
    told = pieces[: cut(pieces, row.place)]
    called = any(piece.part == "stop" and isinstance(row.blocks[piece.block], ToolUse) for piece in told)
    seen = any(piece.says and isinstance(row.blocks[piece.block], Text) for piece in told)
    return seen and not (called and wire == "anthropic")


@pytest.mark.parametrize("wire", WIRES)
def test_pieces_are_the_stream_and_say_its_text(wire: Wire) -> None:
    """Labelling loses no frame, and what the deltas say is the text and the thinking."""
    message = make_message("1", "m", ALL, 1)
    pieces = laid_out(message, wire)
    assert [piece.data for piece in pieces] == list(RENDERINGS[wire].frames(message))
    assert shown(pieces) == "".join(block.text for block in ALL if isinstance(block, Text | Thinking))
    assert cut(pieces, Place("head")) == 0 < cut(pieces, Place("middle", 1)) < cut(pieces, Place("done")) == len(pieces)


def test_a_json_request_is_never_half_answered() -> None:
    """Whole, refused, or begun anew."""
    assert {as_json(outcome) for outcome in Outcome} == {Outcome.WHOLE, Outcome.FALLBACK, Outcome.REFUSED}


def test_every_absence_has_a_reason() -> None:
    """Nothing is left out in silence."""
    absent = [outcome for fault in FAULTS for outcome in map(fault.on, WIRES) if isinstance(outcome, NotHere)]
    assert figures()["absent"] == len(absent)
    assert all(outcome.reason for outcome in absent)
