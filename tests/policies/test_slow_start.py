"""Who has just come back gets a growing share, in every chain; and a chain whose members are all out still asks one."""

from __future__ import annotations

import pytest

from policies import Facts, Hedge, InOrder, LeastLoaded, MaxWait, Policy, Race, SilentSkip
from tests.policies.builders import A, B, C, asked, planned, said


def first_share(ramp: float, *policies: Policy) -> float:
    """How often a chain's first candidate is asked first, among four hundred requests."""
    plans = [planned(*policies, facts={A: Facts(ramp=ramp)}, seed=seed) for seed in range(400)]
    return sum(asked(plan)[0] == "a" for plan in plans) / len(plans)


@pytest.mark.parametrize("policies", [(), (SilentSkip(), InOrder(), Hedge())])
@pytest.mark.parametrize("ramp", [0.1, 0.6])
def test_its_share_is_its_ramp(policies: tuple[Policy, ...], ramp: float) -> None:
    """In file order, and in a chain without any order; the draw is of the request's own seed."""
    assert first_share(ramp, *policies) == pytest.approx(ramp, abs=0.07)


def test_with_all_of_its_traffic_it_stands_where_it_stood() -> None:
    """As always."""
    assert first_share(1.0) == 1.0


def test_there_is_no_draw_on_top_of_a_policy_that_sees_to_it() -> None:
    """One that is four times as fast as the others has all of its traffic at a fourth, by load."""
    facts = {A: Facts(ramp=0.26, ttfc_s=1.0), B: Facts(ttfc_s=4.0), C: Facts(ttfc_s=4.0)}
    for policies in ((LeastLoaded(),), (LeastLoaded(), InOrder())):
        assert {asked(planned(*policies, facts=facts, seed=seed)) for seed in range(100)} == {"abc"}


def test_the_plan_says_who_stands_behind_and_why() -> None:
    """The others keep their order; it is asked when they have failed."""
    plan = next(p for s in range(99) if asked(p := planned(facts={A: Facts(ramp=0.25)}, seed=s)) != "abc")
    assert asked(plan) == "bca"
    assert [step.behind for step in plan.steps] == ["", "", "slow start: 25% of its traffic so far"]


def test_where_all_are_coming_back_their_order_stays() -> None:
    """Behind whom should they stand? Each that is drawn goes before those that are not."""
    facts = dict.fromkeys((A, B, C), Facts(ramp=0.1))
    plans = [planned(facts=facts, seed=seed) for seed in range(200)]
    assert max({asked(p) for p in plans}, key=[asked(p) for p in plans].count) == "abc"
    assert any(not any(step.behind for step in p.steps) for p in plans)


def test_a_conversation_with_an_open_connection_stays() -> None:
    """What its host knows would be lost."""
    facts = {A: Facts(ramp=0.1, sticky=True)}
    assert {asked(planned(facts=facts, seed=seed))[0] for seed in range(100)} == {"a"}


def test_who_stands_behind_has_the_pace_of_that_place() -> None:
    """Order comes before pace: a race starts those in front."""
    plan = next(p for s in range(99) if asked(p := planned(Race(), facts={A: Facts(ramp=0.1)}, seed=s)) == "bca")
    assert [step.patience_s for step in plan.steps] == [0.0, None, None]


def out(wait_s: float, why: str = "4 failures in a row", **rest: float) -> Facts:
    return Facts(breaker="open", breaker_wait_s=wait_s, breaker_reason=why, **rest)  # type: ignore[arg-type]


def test_silent_skip_says_why_a_breaker_is_open() -> None:
    """In its own words."""
    assert said(planned(SilentSkip(), facts={A: out(9.0)})) == {
        "a": ("silent-skip", "breaker open (4 failures in a row)", 9.0)
    }


def test_where_all_are_out_the_first_to_be_back_is_waited_for() -> None:
    """Within max-wait nobody's breaker is overruled."""
    plan = planned(SilentSkip(), facts={A: out(50.0), B: out(20.0), C: out(30.0)})
    assert [(asked(plan), s.not_before_s, s.last_resort) for s in plan.steps] == [("b", 20.0, False)]


@pytest.mark.parametrize("policies", [(SilentSkip(),), ()])
def test_where_all_are_out_for_longer_the_soonest_to_recover_is_asked_now(policies: tuple[Policy, ...]) -> None:
    """A chain does not eject itself empty, whether it passes the ejected over or asks everybody."""
    plan = planned(*policies, MaxWait(s=10), facts={A: out(50.0), B: out(20.0), C: out(30.0)})
    assert [(s.candidate, s.not_before_s) for s in plan.steps if s.last_resort] == [(B, 0.0)]


def test_who_is_blocked_as_well_is_no_last_resort() -> None:
    """A provider's wish stands; another that is merely out is asked in its place, though it recovers later."""
    blocked = Facts(block_wait_s=70.0, block_reason="429")
    policies = (SilentSkip(), MaxWait(s=60))
    plan = planned(*policies, facts={A: blocked, B: out(80.0, block_wait_s=75.0), C: out(90.0)})
    assert asked(plan) == "c"
    assert plan.steps[0].last_resort
    assert list(said(plan)) == ["a", "b"]
    assert asked(planned(*policies, facts={A: blocked, B: blocked, C: out(90.0, block_wait_s=75.0)})) == ""
