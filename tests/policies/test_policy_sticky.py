"""Sticky: who is asked first by what a turn there costs, in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import (
    Candidate,
    Facts,
    InOrder,
    Latency,
    LeastLoaded,
    PolicyError,
    Price,
    SilentSkip,
    Sticky,
    UnlimitedScope,
    compose,
)
from policies._sticky import wait_for_s
from tests.policies.builders import ABC, A, B, C, asked, measured, planned, view
from tests.strategies import Situation, situations

#: 100,000 tokens read again cost 25 s at a quarter of a second a thousand, and nothing in money where nothing is paid.
WARM = 100_000
FREE = Facts(ttfc_s=1.0)
WARM_AND_FREE = attrs.evolve(FREE, warm_tokens=WARM)
SONNET = Price(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)


def totals(facts: Mapping[Candidate, Facts], home: str = "", policy: Sticky | None = None) -> dict[str, float]:
    """What a turn costs at each, in seconds."""
    policy, seen = policy or Sticky(), view(facts, affinity=home)
    return {r.candidate.provider: r.total_s for r in policy.reckoned(ABC, compose((), ABC, seen), seen)}


def order(facts: Mapping[Candidate, Facts], home: str = "", *policies: Any) -> str:
    return asked(planned(*(policies or (Sticky(),)), facts=facts, affinity=home))


def test_a_conversation_stays_where_it_is_warm() -> None:
    """Although others are somewhat faster, and although the file lists them first."""
    facts = {A: attrs.evolve(FREE, ttfc_s=0.5), B: WARM_AND_FREE, C: FREE}
    assert order(facts, B.name) == "bac"
    assert order(facts, B.name, Sticky(), LeastLoaded()) == "bac"
    assert order(facts, B.name, LeastLoaded(), Sticky()) == "abc"


def test_it_leaves_when_waiting_costs_more_than_reading_again() -> None:
    """The worked example: 40,000 tokens are 10 s of reading, and 3 s of moving; the home is 13 s slower, or a little less."""
    here = Facts(warm_tokens=40_000, latency=measured(14.9, 20.0))
    assert order({A: here, B: Facts(latency=measured(2.0, 3.0))}, A.name) == "abc"
    slower = attrs.evolve(here, latency=measured(15.1, 20.0))
    assert order({A: slower, B: Facts(latency=measured(2.0, 3.0)), C: Facts(latency=measured(99, 99))}, A.name) == "bca"


def test_money_is_waited_for_at_the_price_of_an_hour() -> None:
    """100,000 tokens of Sonnet: 3.45 dollars a million dearer than from the cache, 34.5 cents, at 60 dollars 20.7 s."""
    paid = Facts(ttfc_s=1.0, price=SONNET)
    facts = {A: attrs.evolve(paid, warm_tokens=WARM), B: paid, C: FREE}
    costs = totals(facts, A.name)
    assert costs == {"a": 1.0, "b": pytest.approx(1 + 25 + 20.7 + 3), "c": 1 + 25 + 3}
    assert totals(facts, A.name, Sticky(usd_per_hour=120))["b"] == pytest.approx(1 + 25 + 10.35 + 3)
    assert totals(facts, A.name, Sticky(reread_s=0, move_s=0))["b"] == pytest.approx(1 + 20.7)


def test_a_price_without_one_for_the_cache_is_the_price_of_reading() -> None:
    """Nothing is dearer where the host gives nothing for what it has read already; free to paid costs the whole of it."""
    plain = Facts(ttfc_s=1.0, price=Price(input=3.0, output=15.0))
    facts = {A: attrs.evolve(plain, warm_tokens=WARM), B: plain}
    assert totals(facts, A.name)["b"] == 1 + 25 + 3
    facts = {A: WARM_AND_FREE, B: plain}
    assert totals(facts, A.name)["b"] == pytest.approx(1 + 25 + 0.3 * 60 + 3)


def test_after_one_turn_elsewhere_it_comes_back() -> None:
    """The home lacks one turn, which is less to read than a move costs; a long turn is not worth coming back for."""
    away = attrs.evolve(FREE, warm_tokens=WARM + 4_000)
    assert order({A: WARM_AND_FREE, B: away, C: FREE}, A.name) == "abc"
    assert totals({A: WARM_AND_FREE, B: away, C: FREE}, A.name) == {"a": 2.0, "b": 4.0, "c": 1 + 26 + 3}
    far = attrs.evolve(FREE, warm_tokens=WARM + 40_000)
    assert order({A: WARM_AND_FREE, B: far, C: FREE}, A.name) == "bac"


def test_where_the_home_cannot_be_asked_the_warmest_of_the_others_is() -> None:
    """Nobody waits for it, and nobody who was passed over is brought back."""
    facts = {A: attrs.evolve(WARM_AND_FREE, block_wait_s=8.0), B: FREE, C: attrs.evolve(FREE, warm_tokens=80_000)}
    plan = planned(SilentSkip(), Sticky(), facts=facts, affinity=A.name)
    assert asked(plan) == "cb"
    assert [step.not_before_s for step in plan.steps] == [0.0, 0.0]


def test_without_silent_skip_its_waits_count() -> None:
    """Blocked, ejected, a full window, no slot: each is a wait before its time to first content; a lifted one is none."""
    cases = [
        (Facts(block_wait_s=8.0), 9.0),
        (Facts(breaker="open", breaker_wait_s=20.0), 21.0),
        (Facts(window_wait_s=3.0, block_wait_s=2.0), 4.0),
        (Facts(in_flight=2, free_slots=0), 3.0),
        (Facts(breaker="half-open"), 1.0),
    ]
    assert [wait_for_s(facts, 1.0) for facts, _ in cases] == [wait for _, wait in cases]
    assert wait_for_s(Facts(block_wait_s=8.0), 1.0, lifted=True) == 1.0
    warm = Facts(ttfc_s=1.0, warm_tokens=20_000, block_wait_s=30.0)
    assert order({A: warm, B: FREE, C: FREE}, A.name) == "bca"
    assert order({A: warm, B: FREE, C: FREE}, A.name, Sticky(), UnlimitedScope(for_=("a",))) == "abc"


def test_the_wait_is_the_median_and_one_slow_answer_does_not_move_it() -> None:
    """The last times count until there are five samples; of somebody never measured, what is usual."""
    few, some = measured(2.0, 3.0, samples=4), measured(2.0, 3.0, samples=5)
    assert wait_for_s(Facts(ttfc_s=30.0, latency=few), 1.0) == 30.0
    assert wait_for_s(Facts(ttfc_s=30.0, latency=some), 1.0) == 2.0
    assert wait_for_s(Facts(latency=Latency(samples=1, at=(9.0,) * 6)), 1.5) == 1.5
    costs = totals({A: Facts(ttfc_s=2.0), B: Facts(ttfc_s=4.0), C: Facts()})
    assert costs == {"a": 2.0, "b": 4.0, "c": 2.0}


def test_a_busy_candidate_is_up_to_twice_as_slow() -> None:
    """By the share of its slots in use; one that has no slots to count is as fast as it was measured."""
    waits = [wait_for_s(Facts(ttfc_s=2.0, in_flight=n, free_slots=4 - n), 1.0) for n in range(4)]
    assert waits == [2.0, 2.5, 3.0, 3.5]
    assert wait_for_s(Facts(ttfc_s=2.0, in_flight=50), 1.0) == 2.0


def test_after_an_outage_those_come_back_first_who_have_most_to_read_elsewhere() -> None:
    """A share of the traffic is that many times the wait."""
    back = Facts(ttfc_s=1.0, ramp=0.1)
    assert wait_for_s(back, 1.0) == 10.0
    assert order({A: attrs.evolve(back, warm_tokens=20_000), B: FREE, C: FREE}, A.name) == "bca"
    assert order({A: attrs.evolve(back, warm_tokens=60_000), B: FREE, C: FREE}, A.name) == "abc"


def test_it_says_what_a_turn_costs_at_each() -> None:
    """For whoever asks why."""
    paid = Facts(ttfc_s=1.0, price=SONNET)
    seen = view({A: attrs.evolve(paid, warm_tokens=WARM), B: paid}, affinity=A.name)
    plan = compose((), ABC, seen)
    assert [Sticky().say(c, plan, seen) for c in ABC] == [
        "at home: 1.0 s = 1.0 s to first content",
        "a stranger: 49.7 s = 1.0 s to first content + 45.7 s for 100000 tokens to read again and $0.345 + 3 s for the move",
        "a stranger: 29.0 s = 1.0 s to first content + 25.0 s for 100000 tokens to read again + 3 s for the move",
    ]
    assert Sticky().say(A, plan, view()) == "nobody here knows the conversation"


def test_strangers_keep_the_order_they_have() -> None:
    """They stand together, where the best of them belongs, and the policies after this one order them."""
    facts = {A: attrs.evolve(FREE, ttfc_s=3.0), B: attrs.evolve(FREE, ttfc_s=2.0), C: WARM_AND_FREE}
    assert order(facts, C.name) == "cab"
    assert order(facts, C.name, Sticky(), LeastLoaded()) == "cba"
    slow = attrs.evolve(WARM_AND_FREE, ttfc_s=60.0)
    assert order({**facts, C: slow}, C.name) == "abc"


def test_without_a_conversation_nothing_is_moved() -> None:
    """No session, a new one, or a home that is not in this chain and nobody warm."""
    facts = {A: attrs.evolve(FREE, ttfc_s=9.0), B: FREE, C: FREE}
    assert order(facts) == order(facts, "z/m") == "abc"
    assert order(facts, "", Sticky(), InOrder(priority=(("c",),))) == "cab"


def test_a_new_agent_begins_at_its_parents_home() -> None:
    """Nobody is warm, and all that speaks for the home is what a move costs."""
    facts = {A: FREE, B: attrs.evolve(FREE, ttfc_s=3.5), C: FREE}
    assert order(facts, B.name) == "bac"
    assert order({**facts, B: attrs.evolve(FREE, ttfc_s=4.5)}, B.name) == "acb"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"usd_per_hour": 0}, "expected more than 0 dollars, got 0"),
        ({"reread_s": -1}, "expected 0 seconds or more, got -1"),
        ({"move_s": float("nan")}, "expected 0 seconds or more, got nan"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any], message: str) -> None:
    """With what was found and what is allowed."""
    with pytest.raises(PolicyError, match=message):
        Sticky(**arguments)


@given(situations(), st.builds(Sticky, move_s=st.floats(0, 60)))
def test_who_was_passed_over_is_never_put_first(situation: Situation, sticky: Sticky) -> None:
    """Whatever it costs: the same are asked with it as without it, and the same are not; and the same view plans the same."""
    policies = (sticky, *situation.policies)
    plan = compose(policies, situation.chain, situation.view)
    without = compose(situation.policies, situation.chain, situation.view)
    assert {s.candidate for s in plan.steps} == {s.candidate for s in without.steps}
    assert plan.skipped == without.skipped
    assert compose(policies, situation.chain, situation.view) == plan


@given(situations(), st.builds(Sticky, move_s=st.floats(0, 60)))
def test_whoever_knows_the_conversation_stands_by_what_a_turn_costs(situation: Situation, sticky: Sticky) -> None:
    """Among those the cheapest is first; and a home with everything warm is behind nobody who is not faster."""
    plan = compose((sticky, SilentSkip()), situation.chain, situation.view)
    steps = [step.candidate for step in plan.steps]
    costs = {r.candidate: r for r in sticky.reckoned(steps, plan, situation.view)}
    home = situation.view.affinity
    known = [c for c in steps if c.name == home or situation.view.of(c).warm_tokens]
    assert [costs[c].total_s for c in known] == sorted(costs[c].total_s for c in known)
    at_home = next((c for c in steps if c.name == home), None)
    if at_home is not None and costs[at_home].cold_tokens == 0 and costs[steps[0]].wait_s >= costs[at_home].wait_s:
        assert costs[steps[0]].total_s >= costs[at_home].total_s
