"""Who is asked first."""

from __future__ import annotations

import pytest

from policies import Candidate, Facts, InOrder, LeastLoaded, SilentSkip, UnlimitedScope, compose
from tests.policies.builders import ABC, A, B, C, asked, planned, view


def test_without_an_order_policy_the_file_decides() -> None:
    """A chain is a list, and a list has an order."""
    assert asked(planned()) == "abc"
    assert asked(compose([], (C, A, B), view())) == "cab"


def test_in_order_is_the_order_of_the_file() -> None:
    """Written first it makes every later order policy irrelevant."""
    facts = {A: Facts(in_flight=5, ttfc_s=9.0), B: Facts(ttfc_s=1.0)}
    assert asked(planned(InOrder(), LeastLoaded(), facts=facts)) == "abc"


@pytest.mark.parametrize(
    ("priority", "expected"),
    [
        ((), "abc"),
        ((("c",),), "cab"),
        ((("c/m", "b"), ("a",)), "bca"),
        ((("c",), ("b",), ("a",)), "cba"),
        ((("b/other", "nobody"), ()), "abc"),
        ((("c",), ("c", "b")), "cba"),
    ],
)
def test_priority_groups_rank_candidates_by_name_or_provider(
    priority: tuple[tuple[str, ...], ...], expected: str
) -> None:
    """Groups first to last, within one as the file lists them, the unnamed after all; the first mention counts."""
    assert asked(planned(InOrder(priority=priority))) == expected


def test_priority_names_one_model_of_a_provider() -> None:
    """`provider/model` is that model alone, `provider` all of them."""
    one, two = Candidate("zen", "one"), Candidate("zen", "org/two")
    steps = compose([InOrder(priority=(("zen/org/two",), ("zen",)))], (A, one, two), view()).steps
    assert [s.candidate for s in steps] == [two, one, A]


def test_least_loaded_ties_are_broken_by_the_second_order_policy() -> None:
    """The first written decides, later ones only where it is indifferent; then the file."""
    facts = {A: Facts(ttfc_s=2.0), B: Facts(ttfc_s=1.0), C: Facts(ttfc_s=1.0)}
    by_name = InOrder(priority=(("c",), ("b",)))
    assert asked(planned(LeastLoaded(), facts=facts)) == "bca"
    assert asked(planned(LeastLoaded(), by_name, facts=facts)) == "cba"
    assert asked(planned(InOrder(priority=(("a", "c"),)), LeastLoaded(), facts=facts)) == "cab"


def test_least_loaded_weighs_requests_in_flight_by_time_to_first_content() -> None:
    """(in flight + 1) x seconds: 1 x 3.1, 2 x 1.5 and 3 x 0.9 are 3.1, 3.0 and 2.7."""
    facts = {
        A: Facts(in_flight=0, ttfc_s=3.1),
        B: Facts(in_flight=1, ttfc_s=1.5),
        C: Facts(in_flight=2, ttfc_s=0.9),
    }
    assert asked(planned(LeastLoaded(), facts=facts)) == "cba"


def test_an_idle_slow_candidate_beats_a_fast_one_that_is_flooded() -> None:
    """Neither load nor latency alone would say so."""
    facts = {A: Facts(in_flight=9, ttfc_s=0.5), B: Facts(ttfc_s=4.9), C: Facts(ttfc_s=5.1)}
    assert asked(planned(LeastLoaded(), facts=facts)) == "bac"


def test_a_candidate_never_measured_is_taken_for_the_usual() -> None:
    """The lower median of those measured: after the fast ones, before the slow ones, neither shunned nor flooded."""
    d = Candidate("d", "m")
    chain = (A, B, C, d)
    facts = {A: Facts(), B: Facts(ttfc_s=5.0), C: Facts(ttfc_s=2.0), d: Facts(ttfc_s=1.0)}
    assert asked(compose([LeastLoaded()], chain, view(facts))) == "dacb"
    facts = {A: Facts(in_flight=1), B: Facts(ttfc_s=5.0), C: Facts(ttfc_s=2.0), d: Facts(ttfc_s=9.0)}
    assert asked(compose([LeastLoaded()], chain, view(facts))) == "cbda"


def test_with_nobody_measured_load_alone_decides() -> None:
    """And without load the file."""
    assert asked(planned(LeastLoaded())) == "abc"
    assert asked(planned(LeastLoaded(), facts={A: Facts(in_flight=2), B: Facts(in_flight=1)})) == "cba"


def test_the_usual_is_that_of_the_candidates_still_in_the_plan() -> None:
    """Who is passed over does not count: usual are the 6 s of b, so that a with one in flight is taken for 12 s."""
    facts = {A: Facts(in_flight=1), B: Facts(ttfc_s=6.0), C: Facts(ttfc_s=1.0, block_wait_s=5.0)}
    assert asked(planned(SilentSkip(), LeastLoaded(), facts=facts)) == "ba"
    assert asked(planned(LeastLoaded(), facts=facts)) == "cab"


@pytest.mark.parametrize(
    ("headroom", "expected"),
    [(0.2, "abc"), (0.199, "bca"), (0.0, "bca")],
)
def test_a_nearly_spent_window_goes_last(headroom: float, expected: str) -> None:
    """Under a fifth left, however fast the candidate is; exactly a fifth is enough."""
    facts = {A: Facts(ttfc_s=0.1, headroom=headroom), B: Facts(ttfc_s=5.0), C: Facts(ttfc_s=60.0)}
    assert asked(planned(LeastLoaded(), facts=facts)) == expected


def test_among_nearly_spent_windows_load_decides_again() -> None:
    """Last is a group, not a place."""
    facts = {A: Facts(ttfc_s=3.0, headroom=0.0), B: Facts(ttfc_s=1.0, headroom=0.1), C: Facts(ttfc_s=60.0)}
    assert asked(planned(LeastLoaded(), facts=facts)) == "cba"


def test_headroom_means_nothing_where_the_window_is_lifted() -> None:
    """A window that is ignored cannot be spent."""
    facts = dict.fromkeys(ABC, Facts(ttfc_s=5.0)) | {A: Facts(ttfc_s=0.1, headroom=0.0)}
    assert asked(planned(UnlimitedScope(for_=("a",)), LeastLoaded(), facts=facts)) == "abc"
