"""A limit that is found out: grown by answers while it is used, cut by refusals, never beyond its bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine._adaptive import Adapting
from engine._events import TryEnded
from engine._failure import Failure
from engine._scopes import ScopeBook, Slot
from policies import Adaptive, FailureKind
from tests.engine.said import A, told, won

SPEC = Adaptive(start=4, least=1, most=8)


def test_it_grows_by_one_for_a_round_of_answers_while_it_is_used() -> None:
    """Four answers at a limit of four; none that came while nobody needed more."""
    it = Adapting()
    for _ in range(5):
        it.answered(SPEC, 4)
    assert it.limit(SPEC) == 5
    for _ in range(100):
        it.answered(SPEC, 1)
    assert it.limit(SPEC) == 5


def test_a_burst_that_is_refused_is_one_piece_of_news() -> None:
    """Those that were under way at the cut say nothing new; one that began after it does."""
    it = Adapting()
    for began_at in (1.0, 1.5, 2.0):
        it.refused(SPEC, began_at, 3.0)
    assert it.limit(SPEC) == 2
    it.refused(SPEC, 3.5, 4.0)
    assert it.limit(SPEC) == 1


@given(
    st.integers(1, 5),
    st.integers(0, 10),
    st.integers(0, 20),
    st.lists(st.tuples(st.booleans(), st.integers(0, 70), st.floats(0, 9)), max_size=200),
)
def test_it_stays_within_its_bounds(least: int, more: int, most: int, news: list[tuple[bool, int, float]]) -> None:
    """Whatever is heard, in whatever order; and a reload to other bounds holds at once."""
    spec, it = Adaptive(least=least, start=least + more, most=least + more + most), Adapting()
    for good, in_flight, at in news:
        it.answered(spec, in_flight) if good else it.refused(spec, at, at)
        assert least <= it.limit(spec) <= spec.most
    narrow = Adaptive(least=2, start=2, most=3)
    assert 2 <= it.limit(narrow) <= 3


def test_the_scope_counts_with_it() -> None:
    """Slots are what it is now; the refusal comes as the end of a try, the answer as the end of an attempt."""
    made = ScopeBook(lambda provider: SPEC)
    slots = [made.take("a", 0, 0.0) for _ in range(5)]
    assert [isinstance(slot, Slot) for slot in slots] == [True] * 4 + [False]
    refused = Failure(kind=FailureKind.RATE_LIMITED, message="", retry_after_s=0.0)
    told(made.fold, TryEnded(at=2.0, attempt=1, candidate=A, number=1, key=0, failure=refused, elapsed_s=2.0))
    assert (made.limit("a", 0), made.free_slots("a", 0)) == (2, 0)
    for slot in slots:
        if isinstance(slot, Slot):
            made.give_back(slot, sent=True)
            told(made.fold, won(3.0))
    assert made.limit("a", 0) == 3
