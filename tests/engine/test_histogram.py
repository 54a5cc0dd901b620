"""Quantiles of what is sometimes cut short, held against Kaplan and Meier's estimator written out."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._histogram import BUCKETS, HALF_LIFE_S, HALF_LIFE_SAMPLES, Histogram, bucket, edge_s
from policies import QUANTILES

#: One bucket: the eighth part of an octave.
EIGHTH = 2 ** (1 / 8)

times = st.floats(0.011, 600)


def histogram(whole: list[float], cut: list[float] = [], at: float = 0.0) -> Histogram:  # noqa: B006
    """One that does not fade by samples, for comparing with what forgets nothing."""
    made = Histogram(half_life_samples=1e12)
    for elapsed_s in whole:
        made.add(elapsed_s, at)
    for elapsed_s in cut:
        made.add(elapsed_s, at, censored=True)
    return made


def kaplan_meier(whole: list[int], cut: list[int], percent: int) -> int | None:
    """The first of the times by which so many percent have ended, in exact fractions; None where nobody can know.

    Who is cut short at the moment when another ends was still there.
    """
    surviving = Fraction(1)
    for moment in sorted(set(whole)):
        at_risk = sum(t >= moment for t in (*whole, *cut))
        surviving *= 1 - Fraction(whole.count(moment), at_risk)
        if surviving <= 1 - Fraction(percent, 100):
            return moment
    return None


@given(st.lists(times, min_size=1, max_size=40), st.lists(times, max_size=20))
def test_every_quantile_is_kaplan_and_meiers_within_its_bucket(whole: list[float], cut: list[float]) -> None:
    """Where censoring hides one, it is the longest time that anybody was seen to take."""
    found = histogram(whole, cut).quantiles()
    numbers, losses = [bucket(t) for t in whole], [bucket(t) for t in cut]
    for percent, quantile in zip(QUANTILES, found, strict=True):
        exact = kaplan_meier(numbers, losses, percent)
        if exact is None:
            assert quantile == pytest.approx(edge_s(max(*numbers, *losses, 0)))
        else:
            assert edge_s(exact - 1) * (1 - 1e-9) <= quantile <= edge_s(exact) * (1 + 1e-9)


@given(st.lists(times, min_size=1, max_size=60))
def test_quantiles_of_whole_samples_are_less_than_a_bucket_off(whole: list[float]) -> None:
    """Against the sorted list."""
    ordered = sorted(whole)
    for percent, found in zip(QUANTILES, histogram(whole).quantiles(), strict=True):
        exact = ordered[max(0, math.ceil(percent / 100 * len(ordered) - 1e-6) - 1)]
        assert exact / EIGHTH * (1 - 1e-9) <= found <= exact * EIGHTH * (1 + 1e-9)


def test_a_quantile_is_interpolated() -> None:
    """Of evenly spread samples it is a fiftieth off at most, where a bucket is an eleventh wide; in the last one, less so."""
    found = histogram([1 + n / 1000 for n in range(1000)]).quantiles()
    assert found[:5] == pytest.approx([1 + percent / 100 for percent in QUANTILES[:5]], rel=0.02)


@given(st.lists(st.tuples(times, st.booleans(), st.floats(0, 5000)), min_size=1, max_size=60))
def test_quantiles_grow(log: list[tuple[float, bool, float]]) -> None:
    """Whatever was added when, a higher one is never shorter, and none leaves the range."""
    made, at = Histogram(), 0.0
    for elapsed_s, cut, after_s in log:
        at += after_s
        made.add(elapsed_s, at, censored=cut)
    found = made.quantiles()
    assert list(found) == sorted(found)
    assert edge_s(0) <= found[0] <= found[-1] <= edge_s(BUCKETS - 1)


def test_what_is_out_of_range_goes_to_the_ends() -> None:
    """Ten milliseconds and eleven minutes are as far as it matters."""
    assert histogram([0.0, 0.001]).quantiles() == (0.01,) * 6
    assert all(500 < quantile < 660 for quantile in histogram([5_000.0]).quantiles())


@given(st.lists(times, max_size=20), st.lists(times, max_size=10), times)
def test_a_loser_never_makes_a_candidate_look_faster(whole: list[float], losers: list[float], one: float) -> None:
    """Whatever is known already, one more loser lowers no quantile."""
    before, after = histogram(whole, losers).quantiles(), histogram(whole, [*losers, one]).quantiles()
    assert all(a >= b * (1 - 1e-9) for a, b in zip(after, before, strict=True))


def test_a_loser_makes_it_look_slower_where_it_should() -> None:
    """Dropping it would keep the median at one second; Kaplan and Meier put it at nine."""
    whole = [1.0] * 5 + [9.0] * 5
    assert histogram(whole).quantiles()[0] == pytest.approx(1.0, rel=0.1)
    assert histogram(whole, [2.0] * 4).quantiles()[0] == pytest.approx(9.0, rel=0.1)


def test_a_loser_is_not_taken_for_never() -> None:
    """Counted as infinite it would push the high quantiles beyond anything that was seen."""
    assert histogram([1.0] * 10, [0.5] * 10).quantiles() == pytest.approx(histogram([1.0] * 10).quantiles())
    assert max(histogram([1.0], [30.0] * 50).quantiles()) == pytest.approx(30.0, rel=0.1)


def test_quantiles_by_hand() -> None:
    """Thirteen at risk: four answer at 1 s, five are lost at 2 s, of the four left two answer at 4 s and two at 8 s."""
    # Survival is 9/13 = 0.69 after 1 s, times 2/4 = 0.35 after 4 s, times 0 after 8 s.
    found = histogram([1.0] * 4 + [4.0] * 2 + [8.0] * 2, [2.0] * 5).quantiles()
    assert found[:2] == pytest.approx((4.0, 8.0), rel=0.1)


class TestFading:
    """What is old weighs less."""

    @pytest.mark.parametrize("rescaled", [False, True])
    def test_by_time(self, rescaled: bool) -> None:
        """After a half-life a sample weighs half, so fewer new ones have the majority."""
        made = histogram([10.0] * 10)
        made._weight *= 2.0**39 if rescaled else 1.0
        made._whole[bucket(10.0)] *= 2.0**39 if rescaled else 1.0
        for n in range(6):
            made.add(1.0, HALF_LIFE_S + n * 1e-9)
        assert made.samples(HALF_LIFE_S) == pytest.approx(11.0)
        assert made.quantiles()[0] == pytest.approx(1.0, rel=0.1)
        assert made.samples(3 * HALF_LIFE_S) == pytest.approx(11.0 / 4)

    def test_by_newer_samples(self) -> None:
        """However fast they come; what is left is never more than a half-life's worth and a half."""
        made = Histogram()
        for _ in range(3_000):
            made.add(10.0, 0.0)
        assert made.samples(0.0) == pytest.approx(HALF_LIFE_SAMPLES / math.log(2), rel=0.01)
        for _ in range(HALF_LIFE_SAMPLES + 5):
            made.add(1.0, 0.0)
        assert made.quantiles()[0] == pytest.approx(1.0, rel=0.1)

    def test_it_changes_no_quantile(self) -> None:
        """All weights fade alike; so quantiles are found once per change, and not once per request."""
        made = histogram([1.0, 2.0, 3.0], [2.5])
        assert made.quantiles() is made.quantiles()

    def test_a_year_leaves_nothing(self) -> None:
        """And numbers that are too small or too large for a float leave no trace."""
        made = histogram([10.0] * 100)
        assert made.samples(3e7) < 1e-12
        made.add(1.0, 3e7)
        assert made.samples(3e7) == 1.0
        assert max(made.quantiles()) < 1.1

    @given(st.lists(st.tuples(times, st.floats(-100, 1e5)), max_size=30))
    def test_a_clock_that_goes_back_changes_nothing(self, log: list[tuple[float, float]]) -> None:
        """Weights stay finite, and no more than one a sample."""
        made = Histogram()
        for elapsed_s, at in log:
            made.add(elapsed_s, at)
        assert 0 <= made.samples(0.0) <= len(log) + 1e-9
