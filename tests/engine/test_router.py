"""One turn from its name to its ending: answered, waiting, given up. All times are exact."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine._events import AttemptEnded, PlanMade, RequestAccepted
from engine._names import Named
from engine._ports import Asker
from engine._stream import StreamEvent
from engine.testing import (
    HANG,
    Act,
    RecordingReply,
    Scenario,
    answer,
    failing,
    head,
    provider,
    script,
    tail,
    text,
    thinking,
    tool,
)
from policies import (
    Breaker,
    Concurrency,
    Deadline,
    FailureKind,
    FirstContentTimeout,
    IdleTimeout,
    MaxWait,
    Policy,
    Race,
    SilentSkip,
    Step,
    Window,
)
from tests.engine.stage import MakeScenario, finished, hedge, refusal_of, take, virtual, window

# An answer.


async def test_an_answer_goes_out_read_by_read(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """What arrived in one read is one write; the events say what happened."""
    reads: list[Act] = [[head()], 1.0, text("a ", "b ", whole=False), 2.0, [*text("c")[1:], *tail()]]
    it = scenario({"a": script(*reads)})
    reply = await it.serve()
    assert [(at, len(events)) for at, events in reply.writes] == [(1.0, 4), (3.0, 4)]
    assert reply.said == "a b c"
    assert (reply.ending, reply.ended_at) == ("finish", 3.0)
    assert [type(entry).__name__ for entry in it.log] == [
        "RequestAccepted",
        "PlanMade",
        "AttemptStarted",
        "TryStarted",
        "Exchange",
        "FirstContent",
        "Committed",
        "TryEnded",
        "AttemptEnded",
        "RequestFinished",
    ]
    (ended,) = it.events(AttemptEnded)
    assert (ended.ending, ended.first_content_s, ended.elapsed_s, ended.committed) == ("won", 1.0, 3.0, True)
    assert (ended.usage.input, ended.usage.output, ended.usage.reported) == (10, 5, True)
    last = finished(it)
    assert (last.outcome, last.attempts, last.elapsed_s, last.status) == ("answered", 1, 3.0, 200)
    assert it.events(PlanMade)[0].plan.steps[0].candidate.name == "a/m"


async def test_a_name_that_leads_nowhere_is_a_404_and_no_request(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Nothing was accepted, so nothing is counted."""
    it = scenario({"a": script(answer("a"))})
    reply = await it.serve(attrs.evolve(it.request(), above=Named("nobody/m", "address")))
    refusal = refusal_of(reply)
    assert (refusal.status, refusal.type) == (404, "not_found_error")
    assert it.log == []


# Waiting.


@pytest.mark.parametrize("policies", [(), (SilentSkip(),)], ids=["found busy at the gate", "skipped by the plan"])
async def test_where_nobody_can_start_the_request_waits_for_the_soonest_holding_nothing(
    scenario: MakeScenario, autojump_clock: MockClock, policies: tuple[Policy, ...]
) -> None:
    """Both windows are full; the one that opens first is asked at that very moment."""
    said = script(answer("x"))
    it = scenario({"a": said, "b": said}, *policies, providers={"a": window("a", 20.0), "b": window("b", 12.0)})
    await it.serve()
    await it.serve()
    assert it.asked == [(0.0, "a"), (0.0, "b")]
    async with trio.open_nursery() as nursery:
        reply = RecordingReply()
        nursery.start_soon(it.serve, None, reply)
        await trio.sleep(11.9)
        assert it.router.live == 1
        assert it.books.scopes.total_in_flight() == 0
        assert it.books.load.total_in_flight() == 0
    assert it.asked[2:] == [(12.0, "b")]
    assert reply.ended_at == 12.0


async def test_a_waiting_request_starts_the_moment_a_slot_is_given_back(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Not at the next time it would have looked by itself."""
    it = scenario({"a": script(2.625, answer("x"))}, providers={"a": provider("a", scope=Concurrency(limit=1))})
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(it.serve)
    assert it.asked == [(0.0, "a"), (2.625, "a")]


@pytest.mark.parametrize("seed", range(20))
def test_a_slot_given_back_in_the_tick_in_which_waiting_begins_is_seen(scenario: MakeScenario, seed: int) -> None:
    """Between the call and the waiting there is no gap to fall into."""
    it = scenario({"a": script(answer("x"))}, providers={"a": provider("a", scope=Concurrency(limit=1))})

    async def run() -> float:
        permit = await take(it, 0)
        waiting = False

        async def wait() -> None:
            nonlocal waiting
            waiting = True
            asker, step = Asker(), Step(candidate=it.config.chains["coding"].candidates[0])
            assert it.router.gate.enlist(asker, [(step, 0)]) == []
            assert await it.router.gate.turn(asker, 5.0) is step
            it.router.gate.leave(asker)

        async def release_as_soon_as_it_waits() -> None:
            while not waiting:
                await trio.lowlevel.checkpoint()
            permit.release(sent=True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(release_as_soon_as_it_waits)
        return trio.current_time()

    assert virtual(run, seed=seed) == 0.0


async def test_giving_up_after_max_wait(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """At the moment itself, with a wish to be asked again and the reason."""
    it = scenario(
        {"a": script(100.0, answer("x"))}, MaxWait(s=5), providers={"a": provider("a", scope=Concurrency(limit=1))}
    )
    replies = [RecordingReply(), RecordingReply()]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.serve, None, replies[0])
        await wait_all_tasks_blocked()
        nursery.start_soon(it.serve, None, replies[1])
    refusal = refusal_of(replies[1])
    assert replies[1].ended_at == 5.0
    assert (refusal.status, refusal.type, refusal.retry_after_s) == (503, "api_error", 1)
    assert "a/m: no free concurrency slot" in refusal.message


async def test_a_wait_that_would_be_too_long_is_not_begun(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The answer comes at once, and says after how many seconds to come again, thirty at most."""
    it = scenario({"a": script(answer("x"))}, SilentSkip(), MaxWait(s=5), providers={"a": window("a", 70.0)})
    await it.serve()
    reply = await it.serve()
    refusal = refusal_of(reply)
    assert reply.ended_at == 0.0
    assert (refusal.status, refusal.retry_after_s) == (429, 30)


async def test_a_probe_that_finds_no_room_is_not_out(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The breaker lets one through, the window does not: the next to come may probe."""
    ejected = provider("a", breaker=Breaker(failures=1, open_s=5.0), scope=Window(requests=1, per_s=20.0))
    it = scenario(
        {"a": [script(asking=[failing(FailureKind.RESET)]), script(answer("x"))]},
        MaxWait(s=1),
        providers={"a": ejected},
    )
    await it.serve()
    await trio.sleep(6)
    assert refusal_of(await it.serve()).status == 429
    await trio.sleep(14)
    assert (await it.serve()).said == "x"
    assert it.asked == [(0.0, "a"), (20.0, "a")]


# Giving up.


async def test_the_turns_deadline_without_content_is_a_504_and_nobodys_failure(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """It counts from the acceptance of the request."""
    it = scenario(
        {"a": script(HANG), "b": script(HANG)}, hedge(), Deadline(s=30), FirstContentTimeout(s=100, fallback_s=99)
    )
    turn = it.request()
    await trio.sleep(10)
    reply = await it.serve(turn)
    refusal = refusal_of(reply)
    assert reply.ended_at == 30.0
    assert (refusal.status, refusal.type) == (504, "timeout_error")
    assert sorted(it.story[-3:-1]) == ["30 a abandoned by deadline", "30 b abandoned by deadline"]
    assert not any(ended.counts for ended in it.events(AttemptEnded))
    assert finished(it).outcome == "refused"


async def test_the_turns_deadline_in_the_middle_of_an_answer_breaks_it(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """What the client has seen decides how; here a finished text."""
    it = scenario({"a": script([head(), *text("x")], HANG)}, Deadline(s=30), IdleTimeout(s=100))
    reply = await it.serve()
    assert reply.ended_at == 30.0
    assert refusal_of(reply).type == "overloaded_error"
    assert finished(it).outcome == "broken"


async def test_a_deadline_while_losers_are_slow_to_leave_spoils_nothing(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The winner has ended long before."""
    it = scenario({"a": script(HANG, leaving=[50.0]), "b": script(answer("b"))}, Race(), Deadline(s=30))
    reply = await it.serve()
    assert (reply.ending, reply.ended_at) == ("finish", 0.0)
    assert finished(it).outcome == "answered"
    assert finished(it).at == 50.0


async def shut_down_at(it: Scenario, at: float, reply: RecordingReply | None = None) -> RecordingReply:
    """Serve one turn and shut the router down at this time."""
    reply = reply or RecordingReply()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.serve, None, reply)
        await trio.sleep(at)
        it.router.shut_down()
    return reply


async def test_shutdown_before_content_is_a_503_and_nobodys_failure(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """All that run are let go; who comes later is refused without being counted."""
    it = scenario({"a": script(HANG), "b": script(HANG)}, Race())
    reply = await shut_down_at(it, 3.0)
    refusal = refusal_of(reply)
    assert reply.ended_at == 3.0
    assert (refusal.status, refusal.retry_after_s, refusal.should_retry) == (503, 2, None)
    assert sorted(it.story[-3:-1]) == ["3 a abandoned by shutdown", "3 b abandoned by shutdown"]
    assert refusal_of(await it.serve()).status == 503
    assert len(it.events(RequestAccepted)) == 1


@pytest.mark.parametrize(
    ("shown", "ending"),
    [
        (text("x", whole=False), "refuse"),
        (text("x"), "refuse"),
        (thinking("x"), "refuse"),
        (tool('{"a": 1}'), "finish"),
    ],
    ids=["text open", "text finished", "thinking", "a whole tool call"],
)
async def test_shutdown_in_the_middle_ends_honestly(
    scenario: MakeScenario, autojump_clock: MockClock, shown: list[StreamEvent], ending: str
) -> None:
    """An error event, unless a tool call is out, which will run."""
    it = scenario({"a": script([head(), *shown], HANG)})
    reply = await shut_down_at(it, 3.0)
    assert (reply.ending, reply.ended_at) == (ending, 3.0)
    if ending == "refuse":
        assert "shutting down" in refusal_of(reply).message
    assert it.events(AttemptEnded)[0].by == "shutdown"


async def test_what_arrives_in_the_tick_of_a_shutdown_is_not_taken_for_shown(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """A tool call that was read but never sent must not be answered for: the end would look whole without it."""
    gate = trio.Event()
    it = scenario({"a": script([head(), *text("x")], gate, tool('{"a": 1}', index=1))})
    reply = RecordingReply()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.serve, None, reply)
        await wait_all_tasks_blocked()
        gate.set()
        it.router.shut_down()
    assert reply.said == "x"
    assert reply.ending == "refuse"


async def test_a_shutdown_while_the_client_is_slow_to_take_the_end_adds_nothing_after_it(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The message was complete; an error after `message_stop` would be nonsense."""
    it = scenario({"a": script(answer("x"))})
    reply = await shut_down_at(it, 15.0, RecordingReply(write_s=10.0))
    assert reply.ending == "finish"
    assert reply.said == "x"


async def test_idle_is_known_and_refusing_new_turns_lets_the_running_finish(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """What a drain stands on."""
    it = scenario({"a": script(7.0, answer("x"))})
    replies = [RecordingReply(), RecordingReply()]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.serve, None, replies[0])
        await wait_all_tasks_blocked()
        it.router.refuse_new()
        await it.serve(None, replies[1])
        await it.router.idle()
        assert trio.current_time() == 7.0
    assert [reply.ending for reply in replies] == ["finish", "refuse"]


@pytest.mark.parametrize("at", [1.0, 3.5, 6.0])
async def test_a_client_that_leaves_is_nobodys_failure(
    scenario: MakeScenario, autojump_clock: MockClock, at: float
) -> None:
    """Before the hedge, beside it, and in the middle of the answer: all is let go at once and no ending is attempted."""
    it = scenario({"a": script(HANG), "b": script(2.0, [head(), *text("x", whole=False)], HANG)}, hedge())
    reply = RecordingReply()
    with trio.move_on_after(at):
        await it.serve(None, reply)
    assert trio.current_time() == at
    assert reply.ending == ""
    last = finished(it)
    assert (last.outcome, last.status, last.at) == ("abandoned", None, at)
    for ended in it.events(AttemptEnded):
        assert (ended.ending, ended.by) in {("abandoned", "client"), ("lost", "")}
        assert not ended.counts
