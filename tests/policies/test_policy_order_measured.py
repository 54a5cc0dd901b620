"""Order by what was measured or is known: speed, room, tool calls, price."""

from __future__ import annotations

from typing import Any

import pytest

from policies import (
    Cheapest,
    Facts,
    Fastest,
    FewestToolErrors,
    HighestThroughput,
    LeastLoaded,
    MostHeadroom,
    Need,
    Policy,
    PolicyError,
    PowerOfTwo,
    Price,
    UnlimitedScope,
    compose,
)
from tests.policies.builders import A, B, C, asked, planned, view

TOOLS = Need(tools=True, input_tokens=10_000, max_tokens=32_000)


def test_fastest_goes_by_time_to_first_content_whatever_is_under_way() -> None:
    """Load is least-loaded's concern; a candidate never measured is taken for the middle one."""
    facts = {A: Facts(ttfc_s=3.0), B: Facts(ttfc_s=1.0, in_flight=9), C: Facts(ttfc_s=2.0)}
    assert asked(planned(Fastest(), facts=facts)) == "bca"
    assert asked(planned(Fastest(), facts={A: Facts(ttfc_s=3.0), B: Facts(), C: Facts(ttfc_s=1.0)})) == "bca"


def test_highest_throughput_goes_by_tokens_a_second() -> None:
    """The most first; one not measured is the lower middle one, so it is tried before the slow ones."""
    facts = {A: Facts(throughput=20.0), B: Facts(), C: Facts(throughput=90.0)}
    assert asked(planned(HighestThroughput(), facts=facts)) == "cab"
    assert asked(planned(HighestThroughput(), facts={A: Facts(throughput=20.0), B: Facts(throughput=40.0)})) == "bac"


def test_most_headroom_goes_by_what_is_left_of_the_window() -> None:
    """A window that the chain ignores is whole, whatever was sent."""
    facts = {A: Facts(headroom=0.3), B: Facts(headroom=0.1), C: Facts(headroom=0.9)}
    assert asked(planned(MostHeadroom(), facts=facts)) == "cab"
    assert asked(planned(UnlimitedScope(for_=("b",)), MostHeadroom(), facts=facts)) == "bca"


def test_fewest_tool_errors_goes_by_the_share_of_bad_calls() -> None:
    """Up to two in a hundred is nobody's fault, and one that is not known yet is taken for faultless."""
    facts = {A: Facts(tool_errors=0.2), B: Facts(tool_errors=0.05), C: Facts(tool_errors=0.02)}
    assert asked(planned(FewestToolErrors(), facts=facts, need=TOOLS)) == "cba"
    facts = {A: Facts(tool_errors=0.021), B: Facts(), C: Facts(tool_errors=0.02)}
    assert asked(planned(FewestToolErrors(), facts=facts, need=TOOLS)) == "bca"


def test_tool_errors_mean_nothing_to_a_request_without_tools() -> None:
    """Then the next policy decides."""
    facts = {A: Facts(tool_errors=0.9, ttfc_s=1.0), B: Facts(ttfc_s=2.0), C: Facts(ttfc_s=0.5)}
    assert asked(planned(FewestToolErrors(), LeastLoaded(), facts=facts)) == "cab"
    assert asked(planned(FewestToolErrors(), LeastLoaded(), facts=facts, need=TOOLS)) == "cba"


CHEAP, DEAR = Price(input=1.0, output=4.0), Price(input=3.0, output=15.0)


def test_cheapest_asks_the_free_first_and_the_unknown_last() -> None:
    """Nobody who says `cheapest` means to find out what it costs by the bill."""
    facts = {A: Facts(), B: Facts(price=CHEAP), C: Facts(free=True)}
    assert asked(planned(Cheapest(), facts=facts)) == "cba"
    assert (
        asked(planned(Cheapest(), facts={A: Facts(price=DEAR), B: Facts(price=CHEAP), C: Facts(price=DEAR)})) == "bac"
    )


def test_what_counts_is_the_price_of_this_request() -> None:
    """A long prompt goes to the cheap reader, a long answer to the cheap writer."""
    reader, writer = Price(input=0.1, output=20.0), Price(input=1.0, output=2.0)
    facts = {A: Facts(price=writer), B: Facts(price=reader)}
    long, short = Need(input_tokens=100_000), Need(input_tokens=100)
    assert asked(planned(Cheapest(), facts=facts, need=long))[0] == "b"
    assert asked(planned(Cheapest(), facts=facts, need=short))[0] == "a"
    # 0.0003 + 0.002 and 0.00003 + 0.002 US dollars for an answer of 100 tokens; no more than that is allowed.
    assert asked(planned(Cheapest(), facts=facts, need=Need(input_tokens=3_000, max_tokens=100)))[0] == "b"
    assert asked(planned(Cheapest(output_tokens=0), facts=facts, need=short))[0] == "b"


def test_a_warm_cache_may_make_the_dearer_the_cheaper() -> None:
    """At the price of reading the cache, where that is known; no more of it than there is prompt."""
    cached = Price(input=3.0, output=15.0, cache_read=0.3)
    need = Need(input_tokens=50_000)
    facts = {A: Facts(price=Price(input=1.0, output=15.0)), B: Facts(price=cached, warm_tokens=49_000)}
    assert asked(planned(Cheapest(), facts=facts, need=need))[:2] == "ba"
    facts[B] = Facts(price=cached, warm_tokens=10_000)
    assert asked(planned(Cheapest(), facts=facts, need=need))[:2] == "ab"
    facts[B] = Facts(price=DEAR, warm_tokens=49_000)
    assert asked(planned(Cheapest(), facts=facts, need=need))[:2] == "ab"
    facts[B] = Facts(price=cached, warm_tokens=10**9)
    assert asked(planned(Cheapest(), facts=facts, need=need))[:2] == "ba"


def test_an_expected_answer_is_a_number_of_tokens() -> None:
    """Within what a model can write."""
    with pytest.raises(PolicyError, match="expected from 0 to 1000000 tokens, got -1"):
        Cheapest(output_tokens=-1)


LOW = {
    A: Facts(headroom=0.1, ttfc_s=0.1, throughput=900.0, free=True),
    B: Facts(ttfc_s=5.0, throughput=9.0),
    C: Facts(ttfc_s=9.0, throughput=5.0),
}


@pytest.mark.parametrize(
    ("policy", "first"),
    [(Fastest(), "b"), (HighestThroughput(), "b"), (MostHeadroom(), "b"), (Cheapest(), "a"), (FewestToolErrors(), "a")],
)
def test_a_nearly_spent_window_goes_last_where_load_has_a_say(policy: Policy, first: str) -> None:
    """Not where money or soundness decides: what is free is used up first."""
    assert asked(planned(policy, facts=LOW, need=TOOLS))[0] == first


BACK: dict[str, Any] = {"ramp": 0.25}


@pytest.mark.parametrize(
    ("policy", "usual", "returning", "first"),
    [
        (LeastLoaded(), Facts(ttfc_s=2.0), Facts(ttfc_s=1.0, **BACK), "b"),
        (LeastLoaded(), Facts(ttfc_s=5.0), Facts(ttfc_s=1.0, **BACK), "a"),
        (PowerOfTwo(), Facts(ttfc_s=2.0), Facts(ttfc_s=1.0, **BACK), "b"),
        (Fastest(), Facts(ttfc_s=2.0), Facts(ttfc_s=1.0, **BACK), "b"),
        (HighestThroughput(), Facts(throughput=30.0), Facts(throughput=100.0, **BACK), "b"),
        (HighestThroughput(), Facts(throughput=20.0), Facts(throughput=100.0, **BACK), "a"),
        (MostHeadroom(), Facts(headroom=0.3), Facts(**BACK), "b"),
        (MostHeadroom(), Facts(headroom=0.2), Facts(**BACK), "a"),
    ],
)
def test_who_comes_back_is_taken_for_slower_than_it_is(
    policy: Policy, usual: Facts, returning: Facts, first: str
) -> None:
    """Slow start: its score counts for a quarter, so it must be four times as good."""
    assert asked(compose([policy], (A, B), view({A: returning, B: usual})))[0] == first


@pytest.mark.parametrize("policy", [Cheapest(), FewestToolErrors()])
def test_who_comes_back_gets_a_share_of_what_would_be_its_own(policy: Policy) -> None:
    """Where the score may be nothing, a share of nothing says nothing: there it is by lot."""
    facts = {
        A: Facts(free=True, ramp=0.25),
        B: Facts(price=CHEAP, tool_errors=0.5),
        C: Facts(price=DEAR, tool_errors=0.9),
    }
    firsts = [asked(planned(policy, facts=facts, need=TOOLS, seed=seed))[0] for seed in range(800)]
    assert firsts.count("a") / len(firsts) == pytest.approx(0.25, abs=0.046)
    assert set(firsts) == {"a", "b"}
