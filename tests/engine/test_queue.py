"""Waiting for a provider: in turn, bounded, overtaken by nobody, and without a trace when given up. All times are exact."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from engine._events import CandidateSkipped
from engine._ports import Asker, Busy
from engine._request import Request
from engine.testing import RecordingReply, Scenario, answer, provider, script
from policies import Adaptive, Candidate, Concurrency, MaxWait, Scope, SilentSkip, Step, Window
from tests.engine.stage import MakeScenario, refusal_of, take, virtual

STEP = Step(candidate=Candidate("a", "m"))


ONE = Concurrency(limit=1)


def one_at_a_time(scenario: MakeScenario, scope: Scope = ONE, *, took_s: float = 1.0) -> Scenario:
    return scenario({"a": script(took_s, answer("a"))}, SilentSkip(), providers={"a": provider("a", scope=scope)})


async def crowd(it: Scenario, *sessions: str, apart_s: float = 0.001) -> list[tuple[str, RecordingReply]]:
    """A request of each of these sessions, one shortly after the other; their replies when all are over."""
    replies = [(session, RecordingReply()) for session in sessions]
    async with trio.open_nursery() as nursery:
        for session, reply in replies:
            nursery.start_soon(it.serve, by(it, session), reply)
            await trio.sleep(apart_s)
    return replies


def by(it: Scenario, session: str) -> Request:
    return attrs.evolve(it.request(), session=session)


def order(it: Scenario) -> str:
    """The sessions in the order in which they were asked for."""
    return "".join(exchange.ask.request.session for exchange in it.transport.exchanges)


async def test_a_person_does_not_wait_for_a_swarm(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Six requests of one session came first; the other's two go in between."""
    it = one_at_a_time(scenario)
    replies = await crowd(it, *"xxxxxx", *"yy")
    assert order(it) == "xxyxyxxx"
    assert [at for at, _ in it.asked] == [float(n) for n in range(8)], "a slot is never idle, and never held twice"
    assert all(reply.said == "a" for _, reply in replies)


async def test_within_a_session_it_is_first_come_first_served(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Also where all of them had looked at the provider in between."""
    it = one_at_a_time(scenario, took_s=5.5)
    await crowd(it, *"xxxx", apart_s=0.3)
    assert [exchange.ask.request.id for exchange in it.transport.exchanges] == ["req_1", "req_2", "req_3", "req_4"]


async def test_nobody_who_comes_later_overtakes_the_line(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The slot is handed over in the tick in which it is given back."""
    it = one_at_a_time(scenario)
    permit = await take(it, 0)
    asker = Asker(session="x")
    assert it.router.gate.enlist(asker, [(STEP, 0)]) == []
    permit.release(sent=True)
    assert isinstance(await it.router.gate.acquire(STEP, 0), Busy)
    assert await it.router.gate.turn(asker, 0.0) is STEP
    mine = await it.router.gate.acquire(STEP, 0, asker)
    assert not isinstance(mine, Busy)
    mine.release(sent=True)


async def test_a_turn_that_is_not_taken_goes_to_the_next(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Whoever leaves gives back what was kept for him."""
    it = one_at_a_time(scenario)
    permit = await take(it, 0)
    first, second = Asker(session="x"), Asker(session="y")
    for asker in (first, second):
        it.router.gate.enlist(asker, [(STEP, 0)])
    permit.release(sent=True)
    it.router.gate.leave(first)
    assert await it.router.gate.turn(second, 0.0) is STEP
    it.router.gate.leave(second)
    assert it.books.scopes.total_in_flight() == 0


async def test_beyond_its_bound_the_line_refuses_at_once(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """With the reason and when to come again; those in it are served."""
    it = one_at_a_time(scenario, Concurrency(limit=1, queue=2))
    replies = await crowd(it, *"abcd")
    told = refusal_of(replies[3][1])
    assert replies[3][1].ended_at == pytest.approx(0.003)
    assert (told.status, told.retry_after_s) == (503, 5)
    assert "a/m: too many requests wait for it" in told.message
    assert order(it) == "abc"


async def test_who_waits_for_a_window_has_his_turn_as_well(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """All become due in the same moment; sessions still take turns."""
    it = one_at_a_time(scenario, Window(requests=2, per_s=10.0), took_s=0.5)
    await crowd(it, *"xxxxx", *"yy")
    assert order(it) == "xxxyxyx"
    assert [round(at) for at, _ in it.asked] == [0, 0, 10, 10, 20, 20, 30]


async def test_a_small_request_does_not_starve_a_large_one(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """It would fit, and waits behind the one that does not yet."""
    it = one_at_a_time(scenario, Window(tokens=100, per_s=10.0))
    gate, large, small = it.router.gate, Asker(session="x", tokens=80), Asker(session="y", tokens=10)
    permit = await gate.acquire(STEP, 0, Asker(tokens=60))
    assert not isinstance(permit, Busy)
    permit.release(sent=True)
    assert isinstance(await gate.acquire(STEP, 0, large), Busy)
    gate.enlist(large, [(STEP, 0)])
    assert isinstance(await gate.acquire(STEP, 0, small), Busy)
    gate.leave(large)
    fits = await gate.acquire(STEP, 0, small)
    assert not isinstance(fits, Busy)
    fits.release(sent=True)


async def test_waiting_ends_with_max_wait_and_leaves_no_place_behind(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Nobody is handed a slot who is no longer there."""
    it = scenario(
        {"a": script(30.0, answer("a"))},
        SilentSkip(),
        MaxWait(s=5),
        providers={"a": provider("a", scope=Concurrency(limit=1))},
    )
    replies = await crowd(it, *"xyz")
    assert [reply.ending for _, reply in replies] == ["finish", "refuse", "refuse"]
    assert it.router.gate.length("a") == 0  # type: ignore[attr-defined]


async def test_with_somebody_else_free_nobody_waits(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """A full provider is passed over."""
    it = scenario(
        {"a": script(5.0, answer("a")), "b": script(5.0, answer("b"))},
        SilentSkip(),
        providers={id: provider(id, scope=Concurrency(limit=1)) for id in "ab"},
    )
    replies = await crowd(it, *"xy")
    assert [reply.said for _, reply in replies] == ["a", "b"]
    assert [round(at) for at, _ in it.asked] == [0, 0]


SCOPES = (
    Concurrency(limit=2),
    Adaptive(start=2, most=3),
    Window(requests=3, per_s=4.0, concurrency=2),
    Window(tokens=60, per_s=4.0),
)


@given(
    scope=st.sampled_from(SCOPES),
    crowd=st.lists(st.tuples(st.sampled_from("xyz"), st.floats(0, 6), st.none() | st.floats(0, 8)), max_size=10),
    seed=st.integers(0, 5),
)
def test_no_slot_is_lost_or_made_whenever_somebody_gives_up(
    scope: Scope, crowd: list[tuple[str, float, float | None]], seed: int
) -> None:
    """Cancelled while waiting, in his turn, or while answered; the permits never exceed the limit."""
    most = {"concurrency": 2, "adaptive": 3}.get(scope.kind, getattr(scope, "concurrency", None) or 99)

    async def run() -> None:
        it = Scenario.of({"a": script(1.0, answer("a"))}, SilentSkip(), providers={"a": provider("a", scope=scope)})
        it.bus.add(lambda event: peak.append(it.books.scopes.total_in_flight()))

        async def client(session: str, at: float, patience_s: float | None) -> None:
            await trio.sleep(at)
            with trio.move_on_after(float("inf") if patience_s is None else patience_s):
                reply = await it.serve(by(it, session))
                ends[reply.ending] += 1

        async with trio.open_nursery() as nursery:
            for one in crowd:
                nursery.start_soon(client, *one)
        it.assert_nothing_left()
        assert it.router.gate.length("a") == 0  # type: ignore[attr-defined]
        assert max(peak, default=0) <= most

    peak, ends = list[int](), Counter[str | None]()
    virtual(run, seed=seed)
    assert ends["finish"] >= sum(patience_s is None for *_, patience_s in crowd)


async def test_who_waits_states_once_what_he_waits_for(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """He looks again every second; a hundred candidates for two minutes would be twelve thousand events of one request."""
    it = scenario(
        {id: script(answer(id)) for id in "abc"},
        SilentSkip(),
        MaxWait(s=30.0),
        providers={id: provider(id, scope=Concurrency(limit=1)) for id in "abc"},
    )
    permits = [await take(it, number) for number in range(3)]
    reply = await it.serve()
    for permit in permits:
        permit.release(sent=True)
    assert reply.ended_at == 30.0
    assert [event.skip.candidate.provider for event in it.events(CandidateSkipped)] == ["a", "b", "c"]
    told = refusal_of(reply)
    assert told.message.count("no free concurrency slot") == 3
