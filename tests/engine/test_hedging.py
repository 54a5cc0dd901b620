"""Hedges that are not sent: each is said once with its reason, the request goes on, and the next may be one instead."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from engine import HedgeDenied, PlanMade
from engine._books import Books
from engine.config import Model, Provider
from engine.observers.recent import Recent
from engine.testing import HANG, Scenario, answer, failing, provider, script
from policies import Candidate, Concurrency, FailureKind, Hedge, Price
from tests.engine.stage import MakeScenario, hedge

SLOW = script(10.0, answer("slow"))


def priced(id: str) -> Provider:
    return provider(id, models={"m": Model(id="m", price=Price(input=3.0, output=15.0))})


def denials(it: Scenario) -> list[tuple[float, str, str]]:
    """When, to whom, and why."""
    return [(event.at, event.candidate.provider, event.reason) for event in it.events(HedgeDenied)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Facts that hold from now on, by provider id: whatever a test writes here every later view says."""
    known: dict[str, dict[str, Any]] = {}
    seen = Books._facts

    def facts(self: Books, config: Any, candidate: Candidate, *rest: Any, **more: Any) -> Any:
        return attrs.evolve(seen(self, config, candidate, *rest, **more), **known.get(candidate.provider, {}))

    monkeypatch.setattr(Books, "_facts", facts)
    return known


async def test_somebody_who_costs_money_is_passed_over(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """And the next, who does not, is the hedge; after a failure it is asked as ever."""
    scripts = {"a": SLOW, "b": script(answer("b")), "c": script(1.0, answer("c"))}
    it = scenario(scripts, hedge(), providers={"b": priced("b")})
    assert (await it.serve()).said == "c"
    assert denials(it) == [(2.0, "b", "it costs money, and paid = false")]
    assert it.asked == [(0.0, "a"), (2.0, "c")]
    it = scenario(scripts | {"a": script(1.0, failing(FailureKind.SERVER))}, hedge(), providers={"b": priced("b")})
    assert (await it.serve()).said == "b"
    assert denials(it) == []


async def test_with_leave_to_pay_it_is_a_hedge(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The sooner, the cheaper its prompt: the few tokens here cost next to nothing."""
    it = scenario(
        {"a": SLOW, "b": script(answer("b"))},
        Hedge(after_s=2.0, extra_load=1.0, paid=True, second_usd=0.0001),
        providers={"b": priced("b")},
    )
    assert (await it.serve()).said == "b"
    ((_, _), (at, who)) = it.asked
    assert (who, 2.0 < at < 4.0) == ("b", True)


async def test_who_has_asked_for_quiet_meanwhile_is_not_hedged_to(
    scenario: MakeScenario, autojump_clock: MockClock, world: dict[str, dict[str, Any]]
) -> None:
    """The plan was made of a photograph; what counts is the moment when the hedge is due."""
    it = scenario({"a": SLOW, "b": script(answer("b")), "c": script(1.0, answer("c"))}, hedge())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.serve)
        await trio.sleep(1.0)
        world["b"] = {"pushback_s": 29.0}
    assert denials(it) == [(2.0, "b", "it asked to be left alone for 29 s more")]
    assert it.asked == [(0.0, "a"), (2.0, "c")]


async def test_a_wish_for_quiet_that_is_over_denies_nothing(
    scenario: MakeScenario, autojump_clock: MockClock, world: dict[str, dict[str, Any]]
) -> None:
    """It held when the plan was made."""
    world["b"] = {"pushback_s": 1.5}
    it = scenario({"a": SLOW, "b": script(answer("b"))}, hedge())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.serve)
        await trio.sleep(1.5)
        world.clear()
    assert (denials(it), it.asked[1]) == ([], (2.0, "b"))


async def test_a_warm_prefix_is_waited_for_when_told_to(
    scenario: MakeScenario, autojump_clock: MockClock, world: dict[str, dict[str, Any]]
) -> None:
    """Until it fails."""
    world["a"] = {"warm_tokens": 60_000}
    for warm, said in (("hedge", "b"), ("wait", "slow")):
        it = scenario({"a": SLOW, "b": script(answer("b"))}, Hedge(after_s=2.0, extra_load=1.0, warm=warm))
        assert (await it.serve()).said == said
    assert [why for _, *why in denials(it)] == [["b", "60,000 tokens of this conversation are in a/m's prompt cache"]]
    it = scenario(
        {"a": script(3.0, failing(FailureKind.SERVER)), "b": script(answer("b"))},
        Hedge(after_s=2.0, extra_load=1.0, warm="wait"),
    )
    assert (await it.serve()).said == "b"
    assert it.asked[1][0] - it.asked[0][0] == 3.0


@pytest.mark.parametrize(
    ("requests", "reason"),
    [(3, "it is busy: 1 of its 2 slots are taken"), (4, "the chain is busy: 4 of 4 slots are taken")],
)
async def test_a_busy_target_or_a_busy_chain_is_left_to_first_attempts(
    scenario: MakeScenario, autojump_clock: MockClock, requests: int, reason: str
) -> None:
    """Two slots each: the last one of a target is for who has no other, and so is what is left of a busy pool."""
    two = {id: provider(id, scope=Concurrency(limit=2)) for id in "ab"}
    it = scenario({"a": script(5.0, answer("a")), "b": script(5.0, answer("b"))}, hedge(), providers=two)
    async with trio.open_nursery() as nursery:
        for _ in range(requests):
            nursery.start_soon(it.serve)
    assert (2.0, "b", reason) in denials(it)
    assert len(it.asked) == requests
    assert len(denials(it)) == len({event.request_id for event in it.events(HedgeDenied)})


async def test_a_budget_that_is_spent_is_said_once(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """However many are left, nobody else of this request is asked for leave again."""
    it = scenario({"a": script(50.0, answer("a")), "b": script(HANG), "c": script(HANG)}, Hedge(after_s=2.0))
    while it.books.budget.withdraw("coding", 0.0):
        pass
    assert (await it.serve()).said == "a"
    assert denials(it) == [(2.0, "b", "the chain's hedge budget is spent")]


async def test_a_denial_is_in_the_explanation(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """With the reason, and in the plan where it was known beforehand."""
    it = scenario({"a": SLOW, "b": script(answer("b"))}, hedge(), providers={"b": priced("b")})
    recent = Recent()
    it.bus.add(recent.fold)
    await it.serve()
    told = recent.explain("req_1")
    assert told is not None
    assert told["hedges_denied"] == [{"candidate": "b/m", "reason": "it costs money, and paid = false"}]
    assert [step["hedge_denied"] for step in told["plan"]["steps"]] == ["", "it costs money, and paid = false"]


async def test_a_denied_hedge_costs_nothing(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Only what is sent is withdrawn."""
    it = scenario({"a": SLOW, "b": script(answer("b"))}, Hedge(after_s=2.0), providers={"b": priced("b")})
    await it.serve()
    (made,) = it.events(PlanMade)
    assert made.plan.steps[1].denied
    assert it.books.budget.balance("coding", 10.0) == it.books.budget.depth
