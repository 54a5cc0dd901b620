"""A candidate for which an open connection waits: nobody is started beside it, and nobody goes on probation over it."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from engine import PlanMade, Request, TryEnded
from engine._pacer import Launch, Pacer, Pause
from engine.config import Provider
from engine.testing import HANG, answer, failing, script
from policies import Candidate, Charge, FailureKind, Plan, Policy, Race, Sequence, Step
from tests.engine.stage import MakeScenario, hedge

SLOW = script(10.0, answer("slow"))


@pytest.mark.parametrize("policy", [hedge(), Race()])
async def test_nobody_is_started_beside_it(scenario: MakeScenario, autojump_clock: MockClock, policy: Policy) -> None:
    """However slow, as long as it has not failed; without the connection the second answers."""
    scripts = {"a": SLOW, "b": script(1.0, answer("b"))}
    it = scenario(scripts, policy)
    assert (await it.serve()).said == "b"
    it = scenario(scripts, policy)
    it.router.holds = lambda request, provider, model: provider.id == "a"
    assert (await it.serve()).said == "slow"
    assert [provider for _, provider in it.asked] == ["a"]


async def test_the_chain_goes_on_when_it_fails(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """At once, as always."""
    it = scenario({"a": script(3.0, failing(FailureKind.RESET)), "b": script(answer("b"))}, hedge())
    it.router.holds = lambda request, provider, model: provider.id == "a"
    assert (await it.serve()).said == "b"
    assert it.asked == [(0.0, "a"), (3.0, "b")]


async def test_the_plan_says_so(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Asked once for each candidate of the chain, and kept with the view."""
    asked: list[Any] = []

    def holds(request: Request, provider: Provider, model: str) -> bool:
        asked.append((request.id, provider.id, model))
        return provider.id == "b"

    it = scenario({"a": script(answer("a")), "b": SLOW}, hedge())
    it.router.holds = holds
    await it.serve()
    (made,) = it.events(PlanMade)
    assert {name: facts.sticky for name, facts in made.view.facts.items()} == {"a/m": False, "b/m": True}
    assert [step.alone for step in made.plan.steps] == [False, True]
    assert asked == [("req_1", "a", "m"), ("req_1", "b", "m")]


@pytest.mark.parametrize("policy", [hedge(), Race()])
async def test_a_transport_is_told_who_was_started_beside_another(
    scenario: MakeScenario, autojump_clock: MockClock, policy: Policy
) -> None:
    """That attempt may well be cancelled."""
    it = scenario({"a": script(HANG), "b": script(answer("b"))}, policy)
    await it.serve()
    asks = [exchange.ask for exchange in it.transport.exchanges]
    assert {ask.provider.id: ask.beside for ask in asks} == {"a": False, "b": True}


async def test_who_follows_a_failure_is_not_beside_anybody(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Each attempt of a sequence is alone."""
    it = scenario({"a": script(failing(FailureKind.RESET)), "b": script(answer("b"))}, Sequence())
    await it.serve()
    assert [exchange.ask.beside for exchange in it.transport.exchanges] == [False, False]


async def test_what_an_answer_came_over_is_stated(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Where one began; of a refusal nothing is known."""
    it = scenario({"a": script(asking=[failing(FailureKind.RESET)]), "b": script(answer("b"))}, Sequence())
    await it.serve()
    assert [event.via for event in it.events(TryEnded)] == ["", "script"]


def test_it_stays_alone_where_it_moves_up_into_the_place_of_who_is_busy() -> None:
    """A race's places are not the candidates' own, but this is."""
    a, b, c = (Candidate.parse(f"{id}/m") for id in "abc")
    steps = (
        Step(candidate=a, patience_s=0.0, charge=Charge.FREE),
        Step(candidate=b, alone=True, charge=Charge.FREE),
        Step(candidate=c),
    )
    it = Pacer(Plan(chain=(a, b, c), steps=steps), 100.0)
    it.busy(steps[0], 5.0, 100.0)
    launch = it.decide(100.0)
    assert isinstance(launch, Launch)
    assert launch.step.candidate == b
    it.started(1, launch.step, 100.0)
    assert isinstance(it.decide(100.0), Pause)
