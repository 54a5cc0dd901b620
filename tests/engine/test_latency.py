"""Time to first content per candidate and prompt size: which events are samples, and what a young size class borrows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._histogram import HALF_LIFE_S
from engine._latency import LatencyBook, size_class
from policies import COLD_SAMPLES, FailureKind, Latency, Need
from tests.engine.said import A, B, abandoned, content, failed, lost, told, won

#: A prompt of each size class, in tokens.
SIZES = (100, 5_000, 20_000, 99_000)

times = st.floats(0.001, 900)


def known(book: LatencyBook, tokens: int = 100, at: float = 0.0) -> Latency:
    found = book.latency(A.name, tokens, at)
    assert found is not None
    return found


def taught(*classes: tuple[int, float], samples: int = COLD_SAMPLES + 5) -> LatencyBook:
    """A book that has enough of some sizes: tokens, and how long all of them took."""
    book = LatencyBook()
    for tokens, elapsed_s in classes:
        told(book.fold, *[content(0, elapsed_s, need=Need(input_tokens=tokens))] * samples)
    return book


@pytest.mark.parametrize(
    ("tokens", "number"), [(0, 0), (2_000, 0), (2_001, 1), (16_000, 1), (16_001, 2), (64_000, 2), (64_001, 3)]
)
def test_prompts_are_compared_with_prompts_of_their_size(tokens: int, number: int) -> None:
    """A long prompt takes longer wherever it goes."""
    assert size_class(tokens) == number


def test_a_candidate_nobody_asked_is_unknown() -> None:
    """So that a hedge falls back on its cold start."""
    assert LatencyBook().latency(A.name, 100, 0.0) is None
    assert taught((100, 1.0)).latency(B.name, 100, 0.0) is None


def test_first_content_is_a_sample_and_losers_are_censored_ones() -> None:
    """A loser that had shown content has been counted by it."""
    book = LatencyBook()
    told(book.fold, content(0, 1.0), lost(0, 1.0, first_content_s=0.5), failed(0), won(0))
    assert (known(book).samples, known(book).quantile(50)) == pytest.approx((1, 1.0), rel=0.1)
    told(book.fold, lost(0, 20.0))
    assert known(book).quantile(99) == pytest.approx(20.0, rel=0.1)


@pytest.mark.parametrize(
    ("ended", "counts"),
    [
        (lost(0, 0.5), True),
        (abandoned(), True),
        (failed(kind=FailureKind.FIRST_CONTENT_TIMEOUT), True),
        (failed(kind=FailureKind.SERVER), False),
        (failed(kind=FailureKind.IDLE_TIMEOUT, first_content_s=0.1), False),
        (failed(kind=FailureKind.CONNECT_TIMEOUT), False),
    ],
)
def test_what_was_given_up_for_taking_long_would_have_taken_longer(ended: object, counts: bool) -> None:
    """A loser, a client that left, a limit that was reached; another failure says nothing of how long an answer takes."""
    book = LatencyBook()
    told(book.fold, *[content(0, 0.1)] * 5, ended)  # type: ignore[arg-type]
    assert known(book).samples == 5
    assert (known(book).quantile(99) > 0.2) is counts


class TestSizes:
    """One histogram each, and neighbours for who has none."""

    def test_an_old_class_goes_by_itself(self) -> None:
        """With enough samples nobody else is asked."""
        book = taught((100, 1.0), (5_000, 2.0), (20_000, 3.0))
        assert known(book, 5_000).quantile(50) == pytest.approx(2.0, rel=0.1)
        assert (known(book, 5_000).smaller, known(book, 5_000).larger) == (None, None)

    @pytest.mark.parametrize(
        ("tokens", "smaller", "larger"),
        [(100, None, 2.0), (5_000, None, 2.0), (20_000, None, None), (99_000, 2.0, None)],
    )
    def test_a_young_one_says_what_its_nearest_neighbours_know(
        self, tokens: int, smaller: float | None, larger: float | None
    ) -> None:
        """Below and above, as far as there is somebody with enough."""
        book = taught((20_000, 2.0))
        found = known(book, tokens)
        assert found.smaller == (None if smaller is None else pytest.approx((smaller,) * 6, rel=0.1))
        assert found.larger == (None if larger is None else pytest.approx((larger,) * 6, rel=0.1))

    def test_few_samples_are_told_with_the_neighbours(self) -> None:
        """They are shown, and the policy knows that they are few."""
        book = taught((100, 1.0), (99_000, 9.0))
        told(book.fold, *[content(0, 4.0, need=Need(input_tokens=5_000))] * 3)
        found = known(book, 5_000)
        assert (found.samples, found.quantile(50)) == pytest.approx((3, 4.0), rel=0.1)
        assert found.smaller == pytest.approx((1.0,) * 6, rel=0.1)
        assert found.larger == pytest.approx((9.0,) * 6, rel=0.1)

    def test_the_next_morning_a_class_is_young_again(self) -> None:
        """What was learned yesterday says little of today."""
        book = taught((100, 1.0), samples=300)
        assert known(book, at=HALF_LIFE_S).samples > COLD_SAMPLES
        assert known(book, at=10 * HALF_LIFE_S).samples < COLD_SAMPLES


@given(st.lists(st.tuples(st.floats(0, 1000), times, st.booleans()), max_size=30))
def test_a_recorded_log_folds_to_the_same_quantiles(log: list[tuple[float, float, bool]]) -> None:
    """Twice the same facts, twice the same book."""
    at, events = 0.0, []
    for after_s, elapsed_s, answered in log:
        at += after_s
        events.append(content(at, elapsed_s) if answered else lost(at, elapsed_s))
    books = LatencyBook(), LatencyBook()
    for book in books:
        told(book.fold, *events)
    assert books[0].latency(A.name, 100, at) == books[1].latency(A.name, 100, at)
