"""What one request forbids for itself, as policies behind a chain's own."""

from __future__ import annotations

import pytest
from hypothesis import given

from policies import Candidate, Charge, Facts, Hedge, MaxInFlight, NoFallback, NoHedge, Race, SilentSkip, View, compose
from tests.strategies import Situation, situations

A, B, C = (Candidate(name, "m") for name in "abc")


def test_without_fallback_only_the_first_of_the_plan_is_left() -> None:
    """Who is passed over as busy is no fallback; but nobody of them comes back either."""
    view = View(facts={A.name: Facts(block_wait_s=5.0)})
    plan = compose((SilentSkip(), Hedge(), NoFallback()), (A, B, C), view)
    assert [step.candidate for step in plan.steps] == [B]
    assert [(skip.candidate, skip.by, skip.wait_s) for skip in plan.skipped] == [
        (A, "silent-skip", None),
        (C, "no-fallback", None),
    ]


def test_without_fallback_the_first_to_be_back_is_still_waited_for() -> None:
    """Where nobody is free just now, one is held; it is the only one, too."""
    view = View(facts={A.name: Facts(block_wait_s=9.0), B.name: Facts(block_wait_s=5.0)})
    plan = compose((SilentSkip(), NoFallback()), (A, B), view)
    assert [(step.candidate, step.not_before_s) for step in plan.steps] == [(B, 5.0)]
    assert [(skip.candidate, skip.soft) for skip in plan.skipped] == [(A, False)]


@pytest.mark.parametrize("pace", [Hedge(after_s=1.0), Race(width=3)])
def test_without_hedging_nobody_starts_beside_another(pace: Hedge | Race) -> None:
    """Whatever the pace, and whatever the chain lets run side by side."""
    plan = compose((pace, MaxInFlight(n=3), NoHedge()), (A, B, C), View())
    assert {(step.patience_s, step.charge) for step in plan.steps} == {(None, Charge.NEVER)}
    assert plan.limits.max_in_flight == 1
    assert [step.candidate for step in plan.steps] == [A, B, C]


@given(situations())
def test_neither_asks_anybody_whom_the_chain_would_not(turn: Situation) -> None:
    """The steps are the plan's own, or the first of them; nobody is lost; and doing it twice changes nothing."""
    usual = compose(turn.policies, turn.chain, turn.view)
    for wish in (NoFallback(), NoHedge()):
        plan = compose((*turn.policies, wish), turn.chain, turn.view)
        asked = [step.candidate for step in plan.steps]
        expected = [step.candidate for step in usual.steps]
        assert asked == (expected[:1] if isinstance(wish, NoFallback) else expected)
        assert {*asked, *(skip.candidate for skip in plan.skipped)} == set(turn.chain)
        assert wish.apply(wish.apply(plan, turn.view), turn.view) == wish.apply(plan, turn.view)
        assert compose((*turn.policies, wish, wish), turn.chain, turn.view) == plan
