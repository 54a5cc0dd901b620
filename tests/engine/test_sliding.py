"""A window of requests and tokens: what fits, for how long it does not, and what is put right when an answer is over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._failure import Failure
from engine._ports import Busy
from engine._scopes import ANSWER_TOKENS, ScopeBook, Slot, expected_tokens, used_tokens
from engine._stream import NO_USAGE, Usage
from policies import FailureKind, Need, PolicyError, Window
from tests.engine.stage import left


def book(tokens: int) -> ScopeBook:
    return ScopeBook(lambda provider: Window(per_s=60.0, tokens=tokens))


def slot(made: ScopeBook, at: float, tokens: int) -> Slot:
    """One that is had."""
    taken = made.take("a", 0, at, tokens=tokens)
    assert isinstance(taken, Slot)
    return taken


def test_tokens_are_reserved_at_the_start_and_come_back_when_they_leave_the_window() -> None:
    """As many of the oldest have to leave as the request needs."""
    made = book(tokens=100)
    slot(made, 0.0, 40)
    slot(made, 10.0, 50)
    busy = made.take("a", 0, 20.0, tokens=30)
    assert isinstance(busy, Busy)
    assert (busy.wait_s, busy.by) == (40.0, "scope")
    assert made.room("a", 0, 20.0, 60).wait_s == 50.0
    assert made.room("a", 0, 20.0, 10).wait_s == 0.0
    assert left(made, "a", 20.0) == pytest.approx((0.0, 0.1))


def test_what_was_reported_takes_the_place_of_what_was_expected() -> None:
    """In both directions; the request itself stays counted at the time of its sending."""
    made = book(tokens=100)
    made.give_back(slot(made, 0.0, 90), sent=True, tokens=10)
    made.give_back(slot(made, 1.0, 10), sent=True, tokens=80)
    assert isinstance(made.take("a", 0, 2.0, tokens=20), Busy)
    assert made.room("a", 0, 2.0, 20).wait_s == 58.0


def test_a_request_that_was_not_sent_took_nothing_and_one_without_a_report_what_was_expected() -> None:
    """Nobody has said that the cancelled one cost less."""
    made = book(tokens=100)
    made.give_back(slot(made, 0.0, 100), sent=False)
    made.give_back(slot(made, 0.0, 100), sent=True)
    assert made.room("a", 0, 1.0, 1).wait_s == 59.0


def test_a_request_larger_than_the_window_goes_through_an_empty_one() -> None:
    """It would wait for ever; its provider may take it all the same."""
    made = book(tokens=100)
    slot(made, 0.0, 1)
    assert made.room("a", 0, 1.0, 5000).wait_s == 59.0
    slot(made, 60.0, 5000)
    assert made.room("a", 0, 61.0, 1).wait_s == 59.0


def test_what_left_the_window_is_settled_for_nobody() -> None:
    """An answer may take longer than the window is."""
    made = book(tokens=100)
    long = slot(made, 0.0, 100)
    assert made.room("a", 0, 60.0, 100).wait_s == 0.0
    made.give_back(long, sent=True, tokens=5000)
    assert made.room("a", 0, 61.0, 100).wait_s == 0.0


@pytest.mark.parametrize(
    ("usage", "failure", "tokens"),
    [
        (Usage(input=10, output=5, cache_read=3, cache_write=2, reported=True), None, 20),
        (NO_USAGE, Failure(kind=FailureKind.RATE_LIMITED, message="", status=429), 0),
        (NO_USAGE, Failure(kind=FailureKind.RESET, message=""), None),
        (NO_USAGE, None, None),
        (Usage(input=10, output=5), None, None),
    ],
)
def test_what_a_request_took(usage: Usage, failure: Failure | None, tokens: int | None) -> None:
    """All that was reported; nothing where it was refused; what nobody has said stays as expected."""
    assert used_tokens(usage, failure) == tokens


def test_of_the_answer_only_a_part_is_expected() -> None:
    """A client asks for thirty thousand tokens and gets five hundred."""
    assert expected_tokens(Need(input_tokens=500, max_tokens=32_000)) == 500 + ANSWER_TOKENS
    assert expected_tokens(Need(input_tokens=500, max_tokens=10)) == 510


def test_a_window_of_nothing_is_a_mistake() -> None:
    """It would be no window."""
    with pytest.raises(PolicyError, match="requests, tokens or both"):
        Window(per_s=60.0)


@given(
    requests=st.none() | st.integers(1, 5),
    tokens=st.integers(1, 200),
    arrivals=st.lists(st.tuples(st.floats(0, 40), st.integers(1, 250), st.floats(0, 1), st.booleans()), max_size=50),
)
def test_no_window_ever_holds_more_requests_or_tokens(
    requests: int | None, tokens: int, arrivals: list[tuple[float, int, float, bool]]
) -> None:
    """Whoever comes when, answers that took less than expected included; whoever waits as long as told is let in."""
    made = ScopeBook(lambda provider: Window(requests=requests, tokens=tokens, per_s=60.0))
    at, sent, open_slots = 0.0, list[tuple[float, int]](), list[tuple[Slot, int, int]]()
    for after_s, expected, share, waits in arrivals:
        at += after_s
        taken = made.take("a", 0, at, tokens=expected)
        if isinstance(taken, Busy) and waits:
            at += taken.wait_s + 1e-6
            taken = made.take("a", 0, at, tokens=expected)
            assert isinstance(taken, Slot), "the wait was long enough"
        if isinstance(taken, Slot):
            took = int(min(expected, tokens) * share)
            sent.append((at, took))
            open_slots.append((taken, len(sent) - 1, took))
        if len(open_slots) > 3:
            done, place, took = open_slots.pop(0)
            made.give_back(done, sent=True, tokens=took)
            sent[place] = sent[place][0], took
    for first, _ in sent:
        inside = [took for other, took in sent if first <= other < first + 60.0 - 1e-5]
        assert sum(inside) <= tokens
        assert requests is None or len(inside) <= requests
