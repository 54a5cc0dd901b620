"""Checks of our own: a tiny request that is no client's, made where it is due, and what it decides."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from engine._breaker import EVERY
from engine._breaker_row import PROBE_WAIT_S
from engine._checkup import MAX_TOKENS, Checkups
from engine._events import BreakerChanged, HealthChecked, HealthCheckStarted
from engine._ports import Busy
from engine.config import Model
from engine.testing import HANG, Scenario, Script, answer, failing, head, provider, script, tail
from policies import Breaker, Candidate, Concurrency, FailureKind, Price, SilentSkip
from tests.engine.stage import MakeScenario

NO = script(asking=[failing(FailureKind.SERVER, status=500)])
GONE = script(asking=[failing(FailureKind.CONNECT)])
YES = script(answer("ok"))
A = Candidate("a", "m")
PROBED = provider("a", breaker=Breaker(probe_s=10.0))


def checkups(it: Scenario) -> Checkups:
    transport = it.transport
    return Checkups(
        config=lambda: it.config, books=it.books, bus=it.bus, gate=it.router.gate, transports=lambda _: transport
    )


@asynccontextmanager
async def running(it: Scenario) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(checkups(it).run)
        yield
        nursery.cancel_scope.cancel()


async def ejected(scenario: MakeScenario, *then: Script, no: Script = NO) -> Scenario:
    """A chain whose first was ejected just now; `then` are its next answers."""
    it = scenario({"a": [no] * 4 + list(then), "b": [YES] * 9}, SilentSkip(), providers={"a": PROBED})
    for _ in range(4):
        await it.serve()
    return it


def state(it: Scenario, who: Candidate = A) -> tuple[str, float]:
    return it.books.breakers.state(who, trio.current_time())


async def test_whoever_is_due_is_asked_and_comes_back(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """When its time is over, not before, and without any client; then it has a growing share."""
    it = await ejected(scenario, YES)
    async with running(it):
        await trio.sleep(29.5)
        assert len(it.asked) == 8
        await trio.sleep(1)
    assert it.asked[8:] == [(30.0, "a")]
    assert [(c.after, c.reason) for c in it.events(BreakerChanged)][1:] == [("closed", "a check was answered")]
    assert it.books.breakers.standing(A, trio.current_time()).ramp < 1


async def test_it_is_a_sane_request_and_no_clients(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Few tokens, no tools; it stands in no count of load, latency or attempts."""
    it = await ejected(scenario, YES)
    before = (it.books.load.ttfc_s("a/m", 0.0), len(it.log))
    async with running(it):
        await trio.sleep(31)
    body = it.transport.exchanges[-1].ask.request.body
    assert (body["max_tokens"], body["stream"], len(body["messages"])) == (MAX_TOKENS, True, 1)
    assert "tools" not in body
    assert it.books.load.ttfc_s("a/m", 0.0) == before[0]
    stated = [type(e).__name__ for e in it.log[before[1] :] if type(e).__name__ != "Exchange"]
    assert stated == ["HealthCheckStarted", "HealthChecked", "BreakerChanged"]


async def test_one_that_fails_keeps_it_out_for_longer(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """As a client's request that led would have."""
    it = await ejected(scenario, NO, YES)
    async with running(it):
        await trio.sleep(95)
    assert [at for at, who in it.asked[8:] if who == "a"] == [30.0, 90.0]
    assert [(c.at, c.after) for c in it.events(BreakerChanged)][1:] == [(30.0, "open"), (90.0, "closed")]


async def test_while_it_runs_nobody_else_leads_and_given_up_it_leaves_the_place(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """A server that is stopped in the middle of one has decided nothing."""
    it = await ejected(scenario, script(HANG), YES)
    async with running(it):
        await trio.sleep(32)
        assert state(it) == ("open", PROBE_WAIT_S)
    assert state(it) == ("half-open", 0.0)
    (checked,) = it.events(HealthChecked)
    assert (checked.ok, checked.failure, checked.counts) == (False, None, False)
    it.assert_nothing_left()


async def test_a_silent_one_is_given_up(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """After twenty seconds, and that counts."""
    it = await ejected(scenario, script(HANG))
    async with running(it):
        await trio.sleep(55)
    (checked,) = it.events(HealthChecked)
    assert (checked.elapsed_s, checked.counts) == (20.0, True)
    assert state(it)[0] == "open"


async def test_without_probe_s_nobody_is_asked(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """It is off by default."""
    it = scenario({"a": [NO] * 4, "b": [YES] * 9}, SilentSkip())
    for _ in range(4):
        await it.serve()
    async with running(it):
        await trio.sleep(300)
    assert it.events(HealthCheckStarted) == []


async def test_a_provider_is_asked_as_a_whole_by_one_of_its_models(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The one that a chain names; and no more often than it says."""
    it = await ejected(scenario, GONE, YES, no=GONE)
    async with running(it):
        await trio.sleep(100)
    assert [(e.at, e.candidate) for e in it.events(HealthCheckStarted)] == [(30.0, A), (90.0, A)]
    assert state(it, Candidate("a", EVERY))[0] == "closed"


@pytest.mark.parametrize(
    ("answered", "ok"),
    [
        (YES, True),
        (script([head(), *tail()]), True),
        (script([head()]), False),
        (script(RuntimeError("a bug")), False),
        (script(asking=[failing(FailureKind.AUTH, status=401)]), False),
    ],
    ids=["content", "a whole message without content", "broken off", "a bug of ours", "the key is refused"],
)
async def test_whoever_answers_at_all_is_alive(
    scenario: MakeScenario, autojump_clock: MockClock, answered: Script, ok: bool
) -> None:
    """And on a closed breaker a check that fails is held against nobody."""
    it = scenario({"a": answered})
    checked = await checkups(it).check(A, by="operator")
    assert isinstance(checked, HealthChecked)
    assert (checked.ok, checked.by) == (ok, "operator")
    assert it.books.breakers.failures(A) == 0
    it.assert_nothing_left()


async def test_it_takes_its_place_in_the_scope(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """No provider is sent more at once than it allows, for our curiosity."""
    it = scenario({"a": script(5.0, answer("hello"))}, providers={"a": provider("a", scope=Concurrency(limit=1))})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.serve)
        await trio.sleep(1)
        busy = await checkups(it).check(A, by="operator")
    assert isinstance(busy, Busy)
    assert busy.by == "scope"


async def test_what_it_cost_is_stated(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """By the price of the model, where one is known."""
    priced = Model(id="m", price=Price(input=1e6, output=2e6))
    for models, cost in (({"m": priced}, True), ({"m": Model(id="m", free=True)}, False), ({}, None)):
        it = scenario({"a": YES}, providers={"a": provider("a", "key", models=models)})
        checked = await checkups(it).check(A, by="operator")
        assert isinstance(checked, HealthChecked)
        used = checked.bill
        assert used.output > 0
        assert used.usd == (used.prompt + 2 * used.output if cost else 0.0 if cost is not None else None)


async def test_somebody_who_asks_need_not_wait_for_the_time(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Yet not beside another, nor within seconds of a failure."""
    it = await ejected(scenario, YES)
    ask = functools.partial(checkups(it).check, A, by="operator", at_once=True)
    assert isinstance(await ask(), Busy)
    await trio.sleep(6)
    assert attrs.asdict(await ask())["ok"]
    assert state(it) == ("closed", 0.0)


async def test_a_check_of_who_has_just_gone_and_a_fault_of_ours_end_nothing(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """A reload may come in the very tick in which a check is due; and whatever else happens, the server goes on."""
    it = scenario({"a": YES}, SilentSkip(), providers={"a": PROBED}, bugs=1)
    made = checkups(it)
    made.config = lambda: attrs.evolve(it.config, providers={})
    await made._make(A)
    assert it.events(HealthCheckStarted) == []
    made.config = lambda: it.config
    made.gate = None  # type: ignore[assignment]
    await made._make(A)
    assert it.events(HealthCheckStarted) == []
