"""How many hedges a chain may send: a share of its traffic, and a few for somebody who sends little."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._budget import DEPTH, REFILL_S, HedgeBudget
from tests.engine.said import accepted, started, told


def spent(at: float = 0.0, hedges: int = int(DEPTH)) -> HedgeBudget:
    """A budget with its depth spent at that time."""
    book = HedgeBudget()
    assert [book.withdraw("c", at) for _ in range(hedges)] == [True] * hedges
    return book


def test_a_rested_chain_may_send_its_depth() -> None:
    """Ten at once, and then none."""
    book = spent()
    assert (book.balance("c", 0.0), book.withdraw("c", 0.0)) == (0.0, False)


def test_requests_deposit_their_share() -> None:
    """At eight percent the thirteenth makes a hedge."""
    book = spent()
    told(book.fold, *[accepted(0.0)] * 12)
    assert not book.withdraw("c", 0.0)
    told(book.fold, accepted(0.0))
    assert book.withdraw("c", 0.0)
    assert book.balance("c", 0.0) == pytest.approx(13 * 0.08 - 1)


def test_only_requests_deposit() -> None:
    """Each to the account of its own chain."""
    book = spent()
    told(book.fold, *[started(0.0)] * 99, *[accepted(0.0, chain="other")] * 99, accepted(0.0, extra_load=0.0))
    assert book.balance("c", 0.0) == 0.0


def test_time_refills_slowly() -> None:
    """One a minute, so that a few requests a minute may have a hedge; never above the depth."""
    book = spent()
    assert not book.withdraw("c", REFILL_S - 0.1)
    assert book.withdraw("c", REFILL_S)
    assert book.balance("c", 1e6) == DEPTH
    told(book.fold, *[accepted(1e6)] * 999)
    assert book.balance("c", 1e6) == DEPTH


def test_a_hedge_that_was_not_sent_is_refunded() -> None:
    """And no more than it."""
    book = spent()
    book.refund("c")
    assert book.balance("c", 0.0) == 1.0
    full = HedgeBudget()
    full.withdraw("c", 0.0)
    for _ in range(5):
        full.refund("c")
    assert full.balance("c", 0.0) == DEPTH


def test_a_clock_that_stands_still_refills_nothing() -> None:
    """Asking is free."""
    book = spent(at=5.0)
    assert [book.balance("c", 5.0) for _ in range(9)] == [0.0] * 9


@given(
    st.lists(st.tuples(st.floats(0, 90), st.sampled_from(["request", "hedge", "refund"]), st.floats(0, 1)), max_size=80)
)
def test_withdrawals_never_exceed_what_came_in(log: list[tuple[float, str, float]]) -> None:
    """Deposits, the depth and the refill bound the hedges, in every prefix of any history; twice folded it is the same."""
    one, two, at, deposits, hedges = HedgeBudget(), HedgeBudget(), 0.0, 0.0, 0
    one.balance("c", 0.0)
    two.balance("c", 0.0)
    for after_s, what, share in log:
        at += after_s
        if what == "request":
            deposits += share
            for book in (one, two):
                told(book.fold, accepted(at, extra_load=share))
        elif what == "hedge":
            granted = one.withdraw("c", at)
            assert two.withdraw("c", at) is granted
            hedges += granted
        elif hedges:
            one.refund("c")
            two.refund("c")
            hedges -= 1
        assert hedges <= deposits + DEPTH + at / REFILL_S + 1e-6
        assert 0 <= one.balance("c", at) == two.balance("c", at) <= DEPTH
