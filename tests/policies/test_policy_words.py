"""The words in which a policy gives its reason."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings

from policies import (
    Cheapest,
    Facts,
    Fastest,
    FewestToolErrors,
    Hedge,
    HighestThroughput,
    LeastLoaded,
    MostHeadroom,
    Need,
    Plan,
    Policy,
    PowerOfTwo,
    Price,
    Random,
    RoundRobin,
    UnlimitedScope,
    View,
    Weighted,
    explain,
)
from tests.policies.builders import ABC, A, measured, view
from tests.strategies import Situation, situations


def words(policy: Policy, facts: Facts, *others: Policy, **rest: object) -> str:
    """What a policy says of the first candidate of a, b, c."""
    stages = explain((policy, *others), ABC, view({A: facts}, **rest)).stages
    (stage,) = [stage for stage in stages if stage.by == policy.kind()]
    return next(ruling.says for ruling in stage.rulings if ruling.candidate == A)


@settings(max_examples=40)
@given(situations())
def test_no_policy_is_lost_for_words(situation: Situation) -> None:
    """In no situation do its own words fail, and none runs over a line."""
    for stage in explain(situation.policies, situation.chain, situation.view).stages:
        for ruling in stage.rulings:
            assert "say() raised" not in ruling.says
            assert "\n" not in ruling.says


@pytest.mark.parametrize(
    ("policy", "facts", "said"),
    [
        (LeastLoaded(), Facts(ttfc_s=0.5, in_flight=2), "(2 in flight + 1) x 0.5 s"),
        (LeastLoaded(), Facts(ttfc_s=0.5, headroom=0.05), "(0 in flight + 1) x 0.5 s; 5% of its window left"),
        (Fastest(), Facts(ttfc_s=1.25), "1.25 s"),
        (Fastest(), Facts(ttfc_s=1.0, ramp=0.25), "4 s; 25% of its traffic"),
        (Fastest(), Facts(), "1 s (not measured yet)"),
        (HighestThroughput(), Facts(throughput=41.5), "41.5 tokens a second"),
        (HighestThroughput(), Facts(), "not measured"),
        (MostHeadroom(), Facts(headroom=0.05), "5% of its window left"),
        (FewestToolErrors(), Facts(tool_errors=0.125), "12.5% of its calls were bad"),
        (FewestToolErrors(), Facts(), "too few calls to tell"),
        (Cheapest(output_tokens=0), Facts(price=Price(input=3.0, output=15.0)), "about 0.003 US dollars"),
        (Cheapest(), Facts(free=True), "free"),
        (Cheapest(), Facts(), "price not known"),
        (RoundRobin(), Facts(), "turn 7 of the chain"),
        (Weighted(weights={"a": 3}), Facts(), "by lot, weight 3"),
        (Hedge(), Facts(latency=measured(1.0, 2.0, samples=900)), "p92 of 900 answers"),
        (Hedge(), Facts(latency=measured(1.0, 2.0, samples=3)), "only 3 answers measured"),
        (Hedge(), Facts(breaker="half-open"), "on probation"),
        (Hedge(), Facts(free_slots=0), "all its slots are in use"),
        (Hedge(), Facts(sticky=True), "an open connection waits for this conversation"),
    ],
)
def test_a_policy_says_what_its_key_came_to(policy: Policy, facts: Facts, said: str) -> None:
    """In figures that a person can check against the view."""
    assert words(policy, facts, need=Need(tools=True, input_tokens=1000), turn=7) == said


def test_a_request_without_tools_is_no_matter_of_tool_errors() -> None:
    """However bad they were."""
    assert words(FewestToolErrors(), Facts(tool_errors=0.5)) == "indifferent: no tools in this request"


def test_a_lifted_window_is_not_said_to_be_spent() -> None:
    """It does not count in this chain."""
    lifted = UnlimitedScope(for_=("a",))
    assert words(LeastLoaded(), Facts(ttfc_s=1.0, headroom=0.05), lifted) == "(0 in flight + 1) x 1 s"
    assert words(MostHeadroom(), Facts(headroom=0.05), lifted) == "100% of its window left"


def test_lots_say_who_was_drawn() -> None:
    """Two of three, and two of three."""
    plan, seen = Plan.of(ABC), attrs.evolve(View(), seed=5)
    drawn = [PowerOfTwo().say(c, plan, seen) for c in ABC]
    assert sum(text.startswith("drawn, ") for text in drawn) == 2
    assert drawn.count("not drawn") == 1
    among = [Random(top=2).say(c, plan, seen) for c in ABC]
    assert among == ["by lot among 2", "by lot among 2", "not among those drawn from"]
