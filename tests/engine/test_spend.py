"""What was spent at each provider in this hour, day and month."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
from hypothesis import given
from hypothesis import strategies as st

from engine._bill import NANO, Bill
from engine._events import AttemptEnded, HealthChecked, PlanMade
from engine._spend import SpendBook
from policies import Candidate, Plan, View
from tests.engine import said
from tests.engine.said import A, B, told

NOON = datetime(2026, 11, 24, 12, 30, tzinfo=UTC).timestamp()
HOUR_S, DAY_S = 3600.0, 86_400.0


def planned(at: float, wall_s: float) -> PlanMade:
    """The engine's clock stood at `at` when it was `wall_s` by the day."""
    return PlanMade(at=at, chain="c", plan=Plan(), view=View(wall_s=wall_s))


def book() -> SpendBook:
    """A book whose engine's clock began at noon."""
    made = SpendBook()
    told(made.fold, planned(0.0, NOON))
    return made


def dollar(end: AttemptEnded) -> AttemptEnded:
    """The end of an attempt that has cost a dollar."""
    return attrs.evolve(end, bill=Bill(nano_usd=NANO))


def won(at: float, who: Candidate = A) -> AttemptEnded:
    """An answer for a dollar."""
    return dollar(said.won(at, who))


def test_sums_are_by_hour_day_and_month_of_utc() -> None:
    """Each ends with its own bucket, and not an hour after it was begun."""
    it = book()
    told(it.fold, won(0, A), won(60, A), won(60, B))
    assert it.usd("a", NOON) == (2.0, 2.0, 2.0)
    assert it.usd("b", NOON) == (1.0, 1.0, 1.0)
    assert it.usd("c", NOON) == (0.0, 0.0, 0.0)
    assert it.usd("a", NOON + 1799) == (2.0, 2.0, 2.0)
    assert it.usd("a", NOON + 1800) == (0.0, 2.0, 2.0)
    assert it.usd("a", NOON + DAY_S) == (0.0, 0.0, 2.0)
    assert it.usd("a", NOON + 7 * DAY_S) == (0.0, 0.0, 0.0)
    told(it.fold, won(HOUR_S, A))
    assert it.usd("a", NOON + HOUR_S) == (1.0, 3.0, 3.0)


def test_a_clock_that_is_put_back_opens_no_bucket_anew() -> None:
    """What is spent stays spent."""
    it = book()
    told(it.fold, won(0, A), planned(10, NOON - DAY_S), won(10, A))
    assert it.usd("a", NOON) == (2.0, 2.0, 2.0)
    assert it.usd("a", NOON - DAY_S) == (2.0, 2.0, 2.0)


def test_every_attempt_that_cost_something_counts() -> None:
    """A loser and one that was given up are billed, too. What nobody knows the price of adds nothing."""
    it = book()
    told(it.fold, dollar(said.lost(0, 1.0)), dollar(said.abandoned(0)), won(0))
    assert it.usd("a", NOON)[0] == 3.0
    unknown = book()
    told(unknown.fold, attrs.evolve(won(0), bill=Bill(nano_usd=None)), said.won(0))
    assert unknown.usd("a", NOON) == (0.0, 0.0, 0.0)


def test_a_check_of_health_is_paid_for_too() -> None:
    """It is no client's request, and it is on the provider's bill."""
    it = book()
    told(it.fold, HealthChecked(at=0, candidate=A, ok=True, elapsed_s=1.0, bill=Bill(nano_usd=NANO)))
    assert it.usd("a", NOON)[0] == 1.0


def test_before_the_first_plan_the_time_of_day_is_not_known() -> None:
    """There is no attempt without a plan either."""
    it = SpendBook()
    told(it.fold, won(0))
    assert it.usd("a", NOON) == (0.0, 0.0, 0.0)


@given(st.lists(st.tuples(st.floats(0, 40 * DAY_S), st.sampled_from("ab")), max_size=30))
def test_a_part_is_never_more_than_the_whole(attempts: list[tuple[float, str]]) -> None:
    """Hour <= day <= month <= all there was, and a replay comes to the same."""
    books, at = (book(), book()), 0.0
    for after_s, who in attempts:
        at += after_s
        for each in books:
            told(each.fold, won(at, Candidate(who, "m")))
    for who in "ab":
        hour, day, month = books[0].usd(who, NOON + at)
        assert 0 <= hour <= day <= month <= sum(name == who for _, name in attempts)
        assert books[1].usd(who, NOON + at) == (hour, day, month)
