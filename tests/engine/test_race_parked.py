"""Who was busy at first, and who lost to a winner that broke: when they get their turn after all. All times are exact."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from engine._events import AttemptStarted
from engine._failure import Failure
from engine._ports import Permit
from engine.config import Model, Provider
from engine.testing import HANG, RecordingReply, Scenario, answer, failing, head, provider, request, script, text
from policies import (
    Concurrency,
    FailureKind,
    FirstContentTimeout,
    Hedge,
    MaxAttempts,
    MaxWait,
    Policy,
    Price,
    Race,
    Sequence,
    SilentSkip,
    Window,
)
from tests.engine.stage import MakeScenario, hedge, left, refusal_of, take

SLOT = {"b": provider("b", scope=Concurrency(limit=1))}


async def serve_while_taken(it: Scenario, *taken: tuple[int, float]) -> RecordingReply:
    """Serve a turn while others hold slots: of the chain's candidate `index` until so many seconds from now."""

    async def give_back(permit: Permit, after_s: float) -> None:
        await trio.sleep(after_s)
        permit.release(sent=True)

    async with trio.open_nursery() as nursery:
        for index, after_s in taken:
            nursery.start_soon(give_back, await take(it, index), after_s)
        return await it.serve()


# Beside a running attempt.


@pytest.mark.parametrize(
    ("pace", "free_at", "start"),
    [
        (hedge(2.0), 0.5, "2 b starts as hedge"),
        (hedge(2.0), 7.5, "8 b starts as hedge"),
        (Race(), 0.5, "1 b starts beside"),
    ],
)
async def test_who_was_busy_when_the_plan_was_made_starts_beside_a_silent_leader(
    scenario: MakeScenario, autojump_clock: MockClock, pace: Policy, free_at: float, start: str
) -> None:
    """A slot is looked at once a second; the patience is the leader's."""
    it = scenario({"a": script(HANG), "b": script(1.0, answer("b"))}, SilentSkip(), pace, providers=SLOT)
    assert (await serve_while_taken(it, (1, free_at))).said == "b"
    assert start in it.story
    assert len(it.asked) == 2


async def test_who_was_busy_at_its_hedge_is_hedged_to_when_it_is_free(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """One withdrawal in all: what the gate refused was refunded. It is looked at every second, and said to be busy once."""
    it = scenario({"a": script(HANG), "b": script(1.0, answer("b"))}, hedge(2.0), providers=SLOT)
    assert (await serve_while_taken(it, (1, 3.5))).said == "b"
    assert it.story[:3] == ["0 a starts", "2 b busy", "4 b starts as hedge"]


@pytest.mark.parametrize("paid", [False, True])
async def test_a_hedge_to_a_parked_candidate_that_costs_money_needs_leave(
    scenario: MakeScenario, autojump_clock: MockClock, paid: bool
) -> None:
    """The plan's other priced step shows whether there is leave; without it the failure is waited for."""
    models = {"m": Model(id="m", price=Price(input=1.0, output=5.0))}
    priced = {id: provider(id, scope=Concurrency(limit=1), models=models) for id in ("ab" if paid else "b")}
    it = scenario(
        {"a": script(HANG), "b": script(answer("b"))},
        SilentSkip(),
        Hedge(after_s=2.0, extra_load=1.0, paid=paid),
        FirstContentTimeout(s=10),
        providers=priced,
    )
    assert (await serve_while_taken(it, (1, 0.5))).said == "b"
    assert it.asked == [(0.0, "a"), (2.0 if paid else 10.0, "b")]


async def test_a_failure_beside_a_running_attempt_brings_in_who_was_busy(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Two run, one fails, and the third has become free."""
    it = scenario(
        {"a": script(HANG), "c": script(asking=[3.0, failing(FailureKind.RESET)]), "b": script(answer("b"))},
        SilentSkip(),
        Race(),
        providers=SLOT,
    )
    assert (await serve_while_taken(it, (2, 0.5))).said == "b"
    assert it.story[-4:] == ["3 b commits", "3 a lost", "3 b won", "3 answered"]


@pytest.mark.parametrize("busy", [0, 1])
async def test_a_race_has_its_width_although_one_of_the_first_is_busy(
    scenario: MakeScenario, autojump_clock: MockClock, busy: int
) -> None:
    """Found busy only at the gate; the next takes its place at once."""
    scopes = {id: provider(id, scope=Concurrency(limit=1)) for id in "ab"}
    it = scenario({id: script(1.0, answer(id)) for id in "abcd"}, Race(), providers=scopes)
    await serve_while_taken(it, (busy, 0.5))
    assert sorted(it.asked) == [(0.0, "b" if busy == 0 else "a"), (0.0, "c")]


# Alone.


async def test_the_time_of_a_failed_attempt_is_no_waiting(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The slot is free two seconds after the failure, long after the time that may be waited would have passed."""
    it = scenario(
        {"a": script(HANG), "b": script(answer("b"))},
        SilentSkip(),
        Sequence(),
        FirstContentTimeout(s=30),
        MaxWait(s=5),
        providers=SLOT,
    )
    assert (await serve_while_taken(it, (1, 32.0))).said == "b"
    assert it.asked == [(0.0, "a"), (32.0, "b")]


async def test_waits_add_up_to_max_wait(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """A slot that does not come free is given up at the limit, whatever came between."""
    it = scenario({"b": script(answer("b"))}, SilentSkip(), Sequence(), MaxWait(s=4.5), providers=SLOT)
    reply = await serve_while_taken(it, (0, 60.0))
    assert reply.ended_at == 4.0, "the next look would come at 5"
    assert refusal_of(reply).status in {429, 503, 529}


async def test_nobody_waits_for_keys_that_were_refused(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The gate tells the status, and the refusal has it."""
    no = script(asking=[failing(FailureKind.AUTH, status=401)])
    it = scenario({"a": no}, Sequence(), MaxWait(s=600), providers={"a": provider("a", "k1")})
    await it.serve()
    assert refusal_of(await it.serve()).status == 401
    assert it.story[-2:] == ["0 a busy", "0 refused"]
    assert trio.current_time() == 0.0


# After a winner that broke.


async def test_who_lost_to_a_winner_that_the_client_never_saw_is_asked_again(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """A JSON reply shows nothing before it is whole, so the commit was only ours; the losers come first, in order."""
    half = script(0.5, [head(), *text("half", whole=False)], failing(FailureKind.RESET))
    no = script(asking=[failing(FailureKind.OVERLOADED)])
    it = scenario({"a": half, "b": [script(HANG), no], "c": script(1.0, answer("c")), "d": no}, Race(width=3))
    reply = await it.serve(it.request(stream=False))
    assert (reply.said, reply.discards) == ("c", 1)
    starts = [(e.at, e.candidate.provider) for e in it.events(AttemptStarted)]
    assert starts[3:] == [(0.5, "b"), (0.5, "c"), (0.5, "d")]


async def test_asking_the_losers_again_stays_within_max_attempts(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The second turn of a candidate counts like the first."""
    half = script([head(), *text("half", whole=False)], failing(FailureKind.RESET))
    it = scenario({"a": half, "b": script(HANG)}, Race(), MaxAttempts(n=2))
    reply = await it.serve(it.request(stream=False))
    assert reply.ending == "refuse"
    assert sorted(it.asked) == [(0.0, "a"), (0.0, "b")]


# What a window is charged for.


def windowed(id: str, *keys: str) -> Provider:
    return provider(id, *keys, scope=Window(requests=1, per_s=60.0))


@pytest.mark.parametrize(
    ("failure", "full_s"),
    [
        (failing(FailureKind.CONNECT), 0.0),
        (failing(FailureKind.CONNECT_TIMEOUT), 0.0),
        (failing(FailureKind.RESET), 60.0),
        (failing(FailureKind.SERVER, status=500), 60.0),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Failure) else "",
)
async def test_a_connection_that_never_was_takes_nothing_from_the_window(
    scenario: MakeScenario, autojump_clock: MockClock, failure: Failure, full_s: float
) -> None:
    """Not a byte was sent."""
    it = scenario({"a": script(asking=[failure])}, providers={"a": windowed("a")})
    await it.serve()
    assert left(it.books.scopes, "a", 0.0)[0] == full_s


async def test_what_an_earlier_try_has_sent_is_not_taken_back(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The renewed connection is refused, but the first had carried the request."""
    stale = script(asking=[failing(FailureKind.RESET, stale=True)])
    refused = script(asking=[failing(FailureKind.CONNECT)])
    it = scenario({"a": [stale, refused]}, providers={"a": windowed("a")})
    await it.serve(request())
    assert len(it.asked) == 2
    assert left(it.books.scopes, "a", 0.0)[0] == 60.0
