"""Health in whole turns, on a virtual clock: who is out when, who leads, and how a chain comes back."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock

from engine._breaker import EVERY
from engine._events import BreakerChanged, EngineEvent, PlanMade
from engine.testing import HANG, Act, Scenario, Script, answer, failing, provider, script
from policies import Candidate, FailureKind, MaxWait, Race, SilentSkip
from tests.engine.said import told
from tests.engine.stage import MakeScenario, refusal_of

NO = script(asking=[failing(FailureKind.SERVER, status=500)])
GONE = script(asking=[failing(FailureKind.CONNECT)])
YES = script(answer("hello"))
A = Candidate("a", "m")


def asked_of(it: Scenario, id: str) -> list[float]:
    return [at for at, who in it.asked if who == id]


async def ask(it: Scenario, session: str = "") -> str:
    """One turn of a session; what was said."""
    return (await it.serve(attrs.evolve(it.request(), session=session))).said


@pytest.mark.parametrize("no", [NO, GONE], ids=["answers 500", "refuses connections"])
async def test_whoever_fails_fast_is_asked_four_times(
    scenario: MakeScenario, autojump_clock: MockClock, no: Script
) -> None:
    """All turns are answered by the next, without delay; the reason is in the plan of those that passed it over."""
    it = scenario({"a": [no] * 9, "b": [YES] * 9}, SilentSkip())
    for _ in range(9):
        assert await ask(it) == "hello"
    assert asked_of(it, "a") == [0.0] * 4
    assert trio.current_time() == 0.0
    skip = it.events(PlanMade)[-1].plan.skipped[0]
    assert skip.reason.startswith("breaker open (")
    assert "4 failures in a row, last: " in skip.reason


async def test_a_dead_provider_is_asked_ever_more_rarely_and_comes_back(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """After half a minute, then each minute, by one request; the others never notice."""
    it = scenario({"a": [NO] * 7 + [YES], "b": [YES] * 200}, SilentSkip())
    for _ in range(55):
        assert await ask(it) == "hello"
        await trio.sleep(4)
    assert asked_of(it, "a") == [0.0, 4.0, 8.0, 12.0, 44.0, 104.0, 164.0]
    await trio.sleep(4)
    await ask(it)
    assert asked_of(it, "a")[7:] == [224.0]
    changes = [(change.after, change.for_s) for change in it.events(BreakerChanged)]
    assert changes == [("open", 30.0), ("open", 60.0), ("open", 60.0), ("open", 60.0), ("closed", 0.0)]


async def test_a_recovered_provider_gets_its_traffic_back_by_and_by(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Little in the first seconds, all of it after fifteen."""
    it = scenario({"a": [NO] * 4 + [YES] * 900, "b": [YES] * 900}, SilentSkip())
    for _ in range(4):
        await ask(it)
    await trio.sleep(30)
    await ask(it)
    back_at = trio.current_time()
    shares = []
    for _ in range(3):
        before = len(asked_of(it, "a"))
        for _ in range(40):
            await ask(it)
            await trio.sleep(0.125)
        shares.append((len(asked_of(it, "a")) - before) / 40)
    assert shares[0] < 0.4 < shares[1] < 0.8 < shares[2] < 1.0
    assert trio.current_time() == pytest.approx(back_at + 15)
    before = len(asked_of(it, "a"))
    for _ in range(20):
        await ask(it)
    assert len(asked_of(it, "a")) - before == 20


async def ejected(scenario: MakeScenario, *then: Script, policies: tuple[MaxWait | Race, ...] = ()) -> Scenario:
    """A chain whose first was just found well enough to be tried again; `then` are its next answers."""
    it = scenario({"a": [NO] * 4 + list(then), "b": [YES] * 50}, SilentSkip(), *policies)
    for _ in range(4):
        await ask(it)
    await trio.sleep(30)
    return it


async def test_one_request_leads_and_the_others_go_elsewhere(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Ten at the moment when its time is over."""
    it = await ejected(scenario, script(2.0, answer("from a")), YES)
    said = list[str]()

    async def one() -> None:
        said.append(await ask(it))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(one)
    assert asked_of(it, "a")[4:] == [30.0]
    assert said == ["hello"] * 9 + ["from a"]


@pytest.mark.parametrize("how", ["client left", "lost a race"])
async def test_a_leader_that_is_cancelled_gives_the_place_back(
    scenario: MakeScenario, autojump_clock: MockClock, how: str
) -> None:
    """And nothing is held against the candidate: the next to come leads."""
    policies = (Race(),) if how == "lost a race" else ()
    it = await ejected(scenario, script(HANG), script(HANG), policies=policies)
    for n in (1, 2):
        with trio.move_on_after(1):
            await ask(it)
        assert len(asked_of(it, "a")) == 4 + n
        assert it.books.breakers.state(A, trio.current_time()) == ("half-open", 0.0)


async def test_one_sessions_poison_leaves_the_candidate_to_the_others(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Thirty of its turns fail there between two good ones of somebody else."""
    it = scenario({"a": [YES, *[NO] * 30, YES], "b": [YES] * 30}, SilentSkip())
    await ask(it, "good")
    for _ in range(30):
        await ask(it, "poisoned")
    await ask(it, "good")
    assert len(asked_of(it, "a")) == 32
    assert it.events(BreakerChanged) == []


async def test_a_chain_that_is_out_for_longer_than_anybody_waits_is_asked_all_the_same(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """By one request at once, and no sooner than five seconds after the last failure; then it is back."""
    slow: list[Act] = [1.0, answer("hello")]
    it = scenario({"a": [*[NO] * 5, script(*slow), YES]}, SilentSkip(), MaxWait(s=1))
    for _ in range(4):
        await it.serve()
    assert refusal_of(await it.serve()).status in (502, 503)
    assert asked_of(it, "a") == [0.0] * 4
    await trio.sleep(6)
    await it.serve()
    assert asked_of(it, "a")[4:] == [6.0]
    await trio.sleep(6)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(it.serve)
    assert asked_of(it, "a")[5] == 12.0
    assert [reply.said for reply in it.replies[6:]].count("hello") >= 1
    assert it.books.breakers.state(A, trio.current_time())[0] == "closed"


async def test_models_of_one_provider_share_what_befalls_its_address(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The event names the provider as a whole."""
    it = scenario({"a": [GONE] * 4, "b": [YES] * 4}, SilentSkip())
    for _ in range(4):
        await ask(it)
    (change,) = it.events(BreakerChanged)
    assert change.candidate == Candidate("a", EVERY)
    assert it.books.breakers.state(Candidate("a", "another"), 0.0)[0] == "open"


async def test_a_provider_without_a_breaker_is_always_asked(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """As its table says."""
    it = scenario({"a": [NO] * 9, "b": [YES] * 9}, SilentSkip(), providers={"a": provider("a", breaker=None)})
    for _ in range(9):
        await ask(it)
    assert len(asked_of(it, "a")) == 9


async def test_a_recorded_log_gives_the_same_books(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Everything that health is comes from what was stated."""
    it = await ejected(scenario, YES, NO, YES, GONE)
    for _ in range(5):
        await ask(it)
        await trio.sleep(7)
    books = type(it.books).of(lambda: it.config)
    for entry in it.log:
        if isinstance(entry, EngineEvent):
            told(books.breakers.fold, entry)
    assert books.breakers._rows == it.books.breakers._rows
