"""Turns and lots: who is first how often, over many seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import attrs
import pytest

from policies import (
    Candidate,
    Facts,
    LeastLoaded,
    Plan,
    Policy,
    PolicyError,
    PowerOfTwo,
    Random,
    RoundRobin,
    SilentSkip,
    Weighted,
    Weights,
    compose,
)
from tests.policies.builders import A, B, C, asked, planned, view

D, E = Candidate("d", "m"), Candidate("e", "m")
#: Requests, each with a seed of its own: what is drawn is the same at every run.
MANY = 1000


def orders(policy: Policy, chain: tuple[Candidate, ...], facts: Mapping[Candidate, Facts] | None = None) -> list[str]:
    """The order of each of many requests, by one policy alone."""
    plan, known = Plan.of(chain), view(facts)
    return [asked(policy.apply(plan, attrs.evolve(known, seed=n, turn=n))) for n in range(MANY)]


def shares(
    policy: Policy, chain: tuple[Candidate, ...], facts: Mapping[Candidate, Facts] | None = None
) -> dict[str, float]:
    """How often each provider is first, as a share of many requests."""
    return {provider: n / MANY for provider, n in Counter(order[0] for order in orders(policy, chain, facts)).items()}


def test_weighted_gives_each_candidate_its_share() -> None:
    """Three to one to one, within three standard deviations of as many draws."""
    found = shares(Weighted(weights={"a": 3, "c/m": 1}), (A, B, C))
    assert found == pytest.approx({"a": 0.6, "b": 0.2, "c": 0.2}, abs=0.047)


def test_the_second_place_goes_by_weight_as_well() -> None:
    """As if one were drawn after another: behind a, b (2) is before c (1) in two of three."""
    behind = [order[1] for order in orders(Weighted(weights={"a": 9, "b": 2}), (A, B, C)) if order[0] == "a"]
    assert behind.count("b") / len(behind) == pytest.approx(2 / 3, abs=0.052)


def test_a_weight_of_nothing_is_asked_after_all_others() -> None:
    """Never first, and still there when the others have failed."""
    assert {order[-1] for order in orders(Weighted(weights={"a": 0}), (A, B, C))} == {"a"}


def test_a_candidates_own_weight_is_before_its_providers() -> None:
    """`zen` stands for all of zen's models but those that have a weight of their own."""
    one, two = Candidate("zen", "one"), Candidate("zen", "two")
    weights = Weights.of({"zen": 4, "zen/two": 1})
    assert (weights.weight(one), weights.weight(two), weights.weight(A)) == (4, 1, 1)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "expected at least one name with its weight, such as { zen = 3 }"),
        ({"zen": -1}, "expected a weight from 0 to 1000000 for 'zen', got -1"),
        ({"zen": float("inf")}, "expected a weight from 0"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights: dict[str, float], message: str) -> None:
    """A negative share has no meaning."""
    with pytest.raises(PolicyError, match=message):
        Weighted(weights=weights)


def test_random_draws_among_the_first_few_only() -> None:
    """Each of the three about as often, the fourth and fifth never, and those stay as they were."""
    chain = (A, B, C, D, E)
    assert shares(Random(), chain) == pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, abs=0.047)
    drawn = orders(Random(), chain)
    assert {order[3:] for order in drawn} == {"de"}
    assert {order[:3] for order in drawn} == {"abc", "acb", "bac", "bca", "cab", "cba"}


def test_random_before_another_order_draws_among_that_ones_best() -> None:
    """The two least loaded of five, whoever they are."""
    facts = {
        A: Facts(ttfc_s=9.0),
        B: Facts(ttfc_s=8.0),
        C: Facts(ttfc_s=1.0),
        D: Facts(ttfc_s=7.0),
        E: Facts(ttfc_s=2.0),
    }
    plans = {
        asked(compose([Random(top=2), LeastLoaded()], (A, B, C, D, E), view(facts, seed=seed))) for seed in range(40)
    }
    assert plans == {"cedba", "ecdba"}


def test_one_is_nothing_to_draw_from() -> None:
    """`top = 1` would be the order as it is, said in a confusing way."""
    with pytest.raises(PolicyError, match="expected at least 2, got 1"):
        Random(top=1)


def test_power_of_two_puts_the_less_loaded_of_two_first() -> None:
    """Each pair is drawn about equally often, its less loaded one leads and the other is second; the rest stay."""
    facts = {A: Facts(in_flight=3), B: Facts(in_flight=2), C: Facts(in_flight=1), D: Facts(in_flight=0)}
    drawn = Counter(orders(PowerOfTwo(), (A, B, C, D), facts))
    assert drawn.keys() == {"bacd", "cabd", "cbad", "dabc", "dbac", "dcab"}
    assert all(count / MANY == pytest.approx(1 / 6, abs=0.036) for count in drawn.values())


def test_power_of_two_spreads_over_equals_and_shuns_the_most_loaded() -> None:
    """Equally loaded, all are first equally often; the one with most to do is never first."""
    assert shares(PowerOfTwo(), (A, B, C)) == pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, abs=0.047)
    assert shares(PowerOfTwo(), (A, B, C), {A: Facts(in_flight=9)}).keys() == {"b", "c"}


def test_round_robin_takes_turns() -> None:
    """Each request begins one further, and goes on in the order of the file."""
    assert [asked(planned(RoundRobin(), turn=turn)) for turn in range(4)] == ["abc", "bca", "cab", "abc"]


def test_turns_are_shared_among_those_who_are_there() -> None:
    """Without b, a and c alternate: b's turns do not all fall to c."""
    facts = {B: Facts(block_wait_s=5.0)}
    plans = [asked(planned(SilentSkip(), RoundRobin(), facts=facts, turn=turn)) for turn in range(4)]
    assert plans == ["ac", "ca", "ac", "ca"]


@pytest.mark.parametrize("policy", [Weighted(weights={"a": 100}), Random(), PowerOfTwo(), RoundRobin()])
def test_a_nearly_spent_window_goes_last_whatever_is_drawn(policy: Policy) -> None:
    """What is left of it is kept for when it is needed; where all are nearly spent, the draw is among all."""
    assert {order[-1] for order in orders(policy, (A, B, C), {A: Facts(headroom=0.1)})} == {"a"}
    all_low = dict.fromkeys((A, B, C), Facts(headroom=0.1))
    assert shares(policy, (A, B, C), all_low) == shares(policy, (A, B, C))


@pytest.mark.parametrize(
    ("policy", "usual", "slow"),
    [
        (Weighted(weights={"a": 1}), 1 / 3, 1 / 9),  # 0.25 of 2.25
        (Random(), 1 / 3, 1 / 9),
    ],
)
def test_who_comes_back_is_drawn_less_often(policy: Policy, usual: float, slow: float) -> None:
    """With a ramp of a quarter its lot counts for a quarter."""
    assert shares(policy, (A, B, C))["a"] == pytest.approx(usual, abs=0.047)
    assert shares(policy, (A, B, C), {A: Facts(ramp=0.25)})["a"] == pytest.approx(slow, abs=0.03)


def test_who_comes_back_has_a_share_of_its_turns() -> None:
    """A quarter of them; those it does not have yet go to the others, and it stands behind them."""
    drawn = orders(RoundRobin(), (A, B, C), {A: Facts(ramp=0.25)})
    assert sum(order[0] == "a" for order in drawn) / MANY == pytest.approx(0.25 / 3, abs=0.027)
    assert {order for order in drawn if order[0] != "a"} == {"bca", "cba", "cab"}


def test_a_draw_is_the_requests_own_and_not_the_policys_alone() -> None:
    """The same seed draws the same again, and each policy draws by itself."""
    chain = (A, B, C, D, E)
    first, second = orders(Random(top=5), chain), orders(Weighted(weights={"a": 1}), chain)
    assert first == orders(Random(top=5), chain)
    assert first != second
