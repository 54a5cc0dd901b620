"""How busy and how fast each candidate is: in-flight counts, and an estimate that believes bad news at once."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._average import FADE_S
from engine._load import LoadBook
from tests.engine.said import A, B, abandoned, content, failed, lost, started, told, won

FADED = math.exp(-1.0)


def test_attempts_in_flight_are_counted_per_candidate() -> None:
    """Every start has one end, whichever."""
    book = LoadBook()
    told(book.fold, started(0, A), started(0, A), started(0, B))
    assert (book.in_flight(A.name), book.in_flight(B.name), book.total_in_flight()) == (2, 1, 3)
    told(book.fold, won(1, A), abandoned(1, A), failed(1, B))
    assert (book.in_flight(A.name), book.in_flight(B.name), book.total_in_flight()) == (0, 0, 0)
    assert book.in_flight("unheard/of") == 0


def test_nothing_measured_is_nothing_known() -> None:
    """A failure tells no time to first content."""
    book = LoadBook()
    told(book.fold, started(0), failed(1))
    assert book.ttfc_s(A.name, 1) is None


def test_a_slower_answer_is_believed_at_once() -> None:
    """A candidate that has turned slow is not forgiven for its past."""
    book = LoadBook()
    told(book.fold, content(0, 1.0), content(0, 9.0))
    assert book.ttfc_s(A.name, 0) == 9.0


def test_a_faster_answer_counts_for_a_fifth_at_once_and_for_more_later() -> None:
    """The older the estimate, the less it weighs."""
    book = LoadBook()
    told(book.fold, content(0, 10.0), content(0, 5.0))
    assert book.ttfc_s(A.name, 0) == pytest.approx(0.8 * 10 + 0.2 * 5)
    book = LoadBook()
    told(book.fold, content(0, 10.0), content(FADE_S, 2.0))
    keep = 0.8 * FADED
    assert book.ttfc_s(A.name, FADE_S) == pytest.approx(10 * keep + 2 * (1 - keep))


def test_silence_fades_an_estimate() -> None:
    """One bad minute does not banish a candidate for ever."""
    book = LoadBook()
    told(book.fold, content(0, 10.0))
    assert book.ttfc_s(A.name, FADE_S) == pytest.approx(10 * FADED)
    told(book.fold, content(FADE_S, 5.0))
    assert book.ttfc_s(A.name, FADE_S) == 5.0


def test_a_loser_only_makes_it_worse() -> None:
    """It would have taken longer than it had: a bound from below, and none where nothing is known."""
    book = LoadBook()
    told(book.fold, started(0), lost(0, 4.0))
    assert book.ttfc_s(A.name, 0) is None
    told(book.fold, content(0, 2.0), started(0), lost(0, 1.0))
    assert book.ttfc_s(A.name, 0) == 2.0
    told(book.fold, started(0), lost(0, 3.0))
    assert book.ttfc_s(A.name, 0) == 3.0
    told(book.fold, started(0), lost(0, 50.0, first_content_s=0.2))
    assert book.ttfc_s(A.name, 0) == 3.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 60)), min_size=1, max_size=20))
def test_the_estimate_stays_within_what_was_seen(samples: list[tuple[float, float]]) -> None:
    """Never above the slowest, and never below what remains of the fastest; the same facts give the same estimate."""
    at = 0.0
    books = LoadBook(), LoadBook()
    for after_s, elapsed_s in samples:
        at += after_s
        for book in books:
            told(book.fold, content(at, elapsed_s))
    slowest, fastest = max(s for _, s in samples), min(s for _, s in samples)
    estimate = books[0].ttfc_s(A.name, at)
    assert estimate is not None
    assert fastest * math.exp(-at / FADE_S) - 1e-9 <= estimate <= slowest + 1e-9
    assert books[1].ttfc_s(A.name, at) == estimate
