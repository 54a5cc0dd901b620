"""Quantiles of time to first content, with losers as what they are: answers that would have taken longer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._latency import HALF_LIFE_S, Histogram, LatencyBook, size_class
from policies import QUANTILES, Need
from tests.engine.said import A, B, content, failed, lost, told, won

EIGHTH = 1.125

times = st.floats(0.001, 900)


def histogram(answered: list[float], censored: list[float] = [], at: float = 0.0) -> Histogram:  # noqa: B006
    made = Histogram()
    for elapsed_s in answered:
        made.add(elapsed_s, at)
    for elapsed_s in censored:
        made.add(elapsed_s, at, censored=True)
    return made


@pytest.mark.parametrize(
    ("tokens", "number"), [(0, 0), (2_000, 0), (2_001, 1), (16_000, 1), (16_001, 2), (64_000, 2), (64_001, 3)]
)
def test_prompts_are_compared_with_prompts_of_their_size(tokens: int, number: int) -> None:
    """A long prompt takes longer wherever it goes."""
    assert size_class(tokens) == number


@given(st.lists(st.floats(0.01, 700), min_size=1, max_size=60))
def test_quantiles_of_known_answers_are_right_within_a_bucket(answers: list[float]) -> None:
    """Never too short, and at most an eighth too long."""
    ordered = sorted(answers)
    for percent, found in zip(QUANTILES, histogram(answers).quantiles(), strict=True):
        exact = ordered[max(0, math.ceil(percent / 100 * len(ordered) - 1e-6) - 1)]
        assert exact * (1 - 1e-9) <= found <= exact * EIGHTH * (1 + 1e-9)


def test_what_is_out_of_range_goes_to_the_ends() -> None:
    """Ten milliseconds and twelve minutes are as far as it matters."""
    assert histogram([0.0, 0.001]).quantiles() == (0.01,) * 6
    assert histogram([5_000.0]).quantiles() == pytest.approx((0.01 * EIGHTH**95,) * 6)


@given(st.lists(times, max_size=20), st.lists(times, max_size=10), times)
def test_a_loser_never_makes_a_candidate_look_faster(answers: list[float], losers: list[float], one: float) -> None:
    """Whatever is known already, one more loser lowers no quantile."""
    before, after = histogram(answers, losers), histogram(answers, [*losers, one])
    assert all(a >= b for a, b in zip(after.quantiles(), before.quantiles(), strict=True))


def test_a_loser_makes_it_look_slower_where_it_should() -> None:
    """Dropping it would keep the median at one second; Kaplan and Meier put it at nine."""
    answers = [1.0] * 5 + [9.0] * 5
    assert histogram(answers).quantiles()[0] == pytest.approx(1.0, rel=0.13)
    told_apart = histogram(answers, [2.0] * 4).quantiles()
    assert told_apart[0] == pytest.approx(9.0, rel=0.13)


def test_a_loser_is_not_taken_for_never() -> None:
    """Counted as infinite it would push the high quantiles beyond anything that was seen."""
    assert histogram([1.0] * 10, [0.5] * 10).quantiles() == histogram([1.0] * 10).quantiles()
    assert max(histogram([1.0], [30.0] * 50).quantiles()) == pytest.approx(30.0, rel=0.13)


def test_quantiles_by_hand() -> None:
    """Thirteen at risk: four answer at 1 s, five are lost at 2 s, of the four left two answer at 4 s and two at 8 s."""
    # Survival is 9/13 = 0.69 after 1 s, times 2/4 = 0.35 after 4 s, times 0 after 8 s.
    found = histogram([1.0] * 4 + [4.0] * 2 + [8.0] * 2, [2.0] * 5).quantiles()
    assert found[:2] == pytest.approx((4.0, 8.0), rel=0.13)
    assert histogram([1.0] * 6 + [4.0] * 4).quantiles()[:2] == pytest.approx((1.0, 4.0), rel=0.13)


def test_old_days_fade() -> None:
    """After a half-life an answer weighs half, so the new ones have the majority."""
    made = histogram([10.0] * 10)
    for _ in range(6):
        made.add(1.0, HALF_LIFE_S)
    assert made.quantiles()[0] == pytest.approx(1.0, rel=0.13)
    assert sum(made.answered) == pytest.approx(11.0)
    assert made.samples == 16


def test_fading_alone_changes_no_quantile() -> None:
    """All counts fade alike."""
    fresh, old = histogram([1.0, 2.0, 3.0], [2.5]), histogram([1.0, 2.0, 3.0], [2.5])
    old._fade(5 * HALF_LIFE_S)
    assert old.quantiles() == fresh.quantiles()


class TestBook:
    """Which events are samples."""

    def test_a_candidate_nobody_asked_is_unknown(self) -> None:
        """So that a hedge falls back on its cold start."""
        assert LatencyBook().latency(A.name, 100) is None

    def test_first_content_is_a_sample_and_losers_are_censored_ones(self) -> None:
        """A loser that had shown content has been counted by it."""
        book = LatencyBook()
        told(book.fold, content(0, 1.0), lost(0, 1.0, first_content_s=0.5), failed(0), won(0))
        known = book.latency(A.name, 100)
        assert known is not None
        assert (known.samples, known.quantile(50)) == pytest.approx((1, 1.0), rel=0.13)
        told(book.fold, lost(0, 20.0))
        known = book.latency(A.name, 100)
        assert known is not None
        assert (known.samples, known.quantile(99)) == pytest.approx((1, 20.0), rel=0.13)

    def test_candidates_and_sizes_are_apart(self) -> None:
        """One row each."""
        book = LatencyBook()
        told(book.fold, content(0, 1.0, A), content(0, 50.0, A, need=Need(input_tokens=20_000)))
        assert [book.latency(A.name, tokens) is None for tokens in (100, 5_000, 20_000, 99_000)] == [
            False, True, False, True,
        ]  # fmt: skip
        assert book.latency(B.name, 100) is None

    @given(st.lists(st.tuples(st.floats(0, 1000), times, st.booleans()), max_size=30))
    def test_a_recorded_log_folds_to_the_same_quantiles(self, log: list[tuple[float, float, bool]]) -> None:
        """Twice the same facts, twice the same book."""
        at, events = 0.0, []
        for after_s, elapsed_s, answered in log:
            at += after_s
            events.append(content(at, elapsed_s) if answered else lost(at, elapsed_s))
        books = LatencyBook(), LatencyBook()
        for book in books:
            told(book.fold, *events)
        assert books[0].latency(A.name, 100) == books[1].latency(A.name, 100)
