"""One turn from its name to its ending: waiting, giving up, breaking, and what the client is told. All times are exact."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine._events import AttemptEnded, PlanMade, RequestAccepted, RequestFinished, TryStarted
from engine._ports import Busy, Permit, Refusal
from engine._stream import Kind, StreamEvent, error_event
from engine.config import Model
from engine.testing import (
    HANG,
    Act,
    RecordingReply,
    Scenario,
    Script,
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
    Capabilities,
    Concurrency,
    Deadline,
    FailureKind,
    FirstContentTimeout,
    Hedge,
    IdleTimeout,
    MaxWait,
    Policy,
    Race,
    RequireCapability,
    Sequence,
    SilentSkip,
    Step,
    Window,
)
from tests.engine.stage import MakeScenario, virtual

HEDGE = Hedge(after_s=2.0, extra_load=1.0)


def refusal_of(reply: RecordingReply) -> Refusal:
    assert reply.ending == "refuse"
    assert reply.refusal is not None
    return reply.refusal


def finished(it: Scenario) -> RequestFinished:
    (found,) = it.events(RequestFinished)
    return found


async def take(it: Scenario, index: int) -> Permit:
    """A permit for one of the chain's candidates, as another request would hold it."""
    permit = await it.router.gate.acquire(Step(candidate=it.config.chains["coding"].candidates[index]))
    assert not isinstance(permit, Busy)
    return permit


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
    reply = await it.serve(attrs.evolve(it.request(), forced="nobody/m"))
    refusal = refusal_of(reply)
    assert (refusal.status, refusal.type) == (404, "not_found_error")
    assert it.log == []


# Waiting.


def window(id: str, per_s: float) -> Any:
    return provider(id, scope=Window(requests=1, per_s=per_s))


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
            assert await it.router.gate.room(["a"], 5.0)

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
        {"a": script(100.0, answer("x"))},
        MaxWait(s=5),
        providers={"a": provider("a", scope=Concurrency(limit=1))},
    )
    replies = [RecordingReply(), RecordingReply()]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.serve, None, replies[0])
        await wait_all_tasks_blocked()
        nursery.start_soon(it.serve, None, replies[1])
    refusal = refusal_of(replies[1])
    assert replies[1].ended_at == 5.0
    assert (refusal.status, refusal.type, refusal.retry_after_s) == (503, "overloaded_error", 1)
    assert "a/m: no free concurrency slot" in refusal.message


async def test_a_wait_that_would_be_too_long_is_not_begun(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The answer comes at once, and says after how many seconds to come again, thirty at most."""
    it = scenario({"a": script(answer("x"))}, SilentSkip(), MaxWait(s=5), providers={"a": window("a", 70.0)})
    await it.serve()
    reply = await it.serve()
    refusal = refusal_of(reply)
    assert reply.ended_at == 0.0
    assert (refusal.status, refusal.retry_after_s) == (429, 30)


# Giving up.


async def test_the_turns_deadline_without_content_is_a_504_and_nobodys_failure(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """It counts from the acceptance of the request."""
    it = scenario(
        {"a": script(HANG), "b": script(HANG)}, HEDGE, Deadline(s=30), FirstContentTimeout(s=100, fallback_s=99)
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
    it = scenario({"a": script(HANG), "b": script(2.0, [head(), *text("x", whole=False)], HANG)}, HEDGE)
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


# Breaking after the commit.

BREAKS: dict[str, list[Act]] = {
    "reset": [failing(FailureKind.RESET)],
    "cut": [],
    "error event": [[error_event("api_error", "no")]],
    "silence": [HANG],
    "bug": [KeyError("x")],
}
SEEN: dict[str, tuple[list[StreamEvent], str, int]] = {
    "thinking, open": (thinking("hm", whole=False), "reset", 3),
    "thinking, finished": (thinking("hm"), "reset", 4),
    "text, open": (text("x", whole=False), "reset", 3),
    "text, finished": (text("x"), "refuse", 4),
    "text, and half a tool call": ([*text("x"), *tool('{"a":', index=1, whole=False)], "refuse", 4),
    "thinking, and half a tool call": ([*thinking("x"), *tool('{"a":', index=1, whole=False)], "reset", 4),
    "text, and one open": ([*text("x"), *text("y", index=1, whole=False)], "refuse", 6),
    "a whole tool call": (tool('{"a": 1}'), "finish", 6),
    "a whole tool call, and half a one": (
        [*tool('{"a": 1}'), *tool('{"b":', index=1, whole=False)],
        "finish",
        6,
    ),
    "a whole tool call, and text": ([*tool('{"a": 1}'), *text("x", index=1, whole=False)], "finish", 9),
    "all but the stop": ([*tool('{"a": 1}'), tail("tool_use")[0]], "finish", 6),
}


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("seen", SEEN)
async def test_what_the_client_has_seen_decides_how_a_broken_answer_ends(
    scenario: MakeScenario, autojump_clock: MockClock, seen: str, how: str
) -> None:
    """Nobody else is asked, the failure is stated, and half a tool call is never shown."""
    shown, ending, count = SEEN[seen]
    it = scenario(
        {"a": script([head(), *shown], 1.0, *BREAKS[how]), "b": script(answer("b"))},
        IdleTimeout(s=7),
        bugs=how == "bug",
    )
    reply = await it.serve()
    assert reply.ending == ending
    assert reply.ended_at == (7.0 if how == "silence" else 1.0)
    assert it.asked == [(0.0, "a")]
    assert len(reply.events) == count
    last = finished(it)
    assert (last.outcome, last.status) == ("broken", 200)
    assert last.detail
    (ended,) = it.events(AttemptEnded)
    assert (ended.ending, ended.committed, ended.counts) == ("failed", True, how != "bug")
    if ending == "refuse":
        assert refusal_of(reply).type == "overloaded_error"
    if ending == "finish":
        stops = [e.payload["delta"]["stop_reason"] for e in reply.events if e.kind is Kind.MESSAGE_DELTA]
        assert stops == ["tool_use"]


@pytest.mark.parametrize("call", ['{"a":', '{"a": 1}x', "[1]"])
async def test_a_tool_call_whose_arguments_do_not_parse_is_never_shown(
    scenario: MakeScenario, autojump_clock: MockClock, call: str
) -> None:
    """Before the commit another candidate answers; after it the answer breaks."""
    before = script([head(), *tool(call), *tail("tool_use")])
    it = scenario({"a": before, "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    after = scenario({"a": script([head(), *text("x")], 1.0, [*tool(call, index=1), *tail("tool_use")])})
    reply = await after.serve()
    assert reply.ending == "refuse"
    assert [e.kind for e in reply.events][-1] is Kind.BLOCK_STOP
    assert len(reply.events) == 4


# JSON.


@pytest.mark.parametrize("how", ["reset", "cut", "error event", "silence", "bug"])
@pytest.mark.parametrize("shown", [text("half"), tool('{"a": 1}'), thinking("hm")], ids=["text", "tool", "thinking"])
async def test_a_json_request_starts_again_on_the_next_step_when_the_winner_breaks(
    scenario: MakeScenario, autojump_clock: MockClock, shown: list[StreamEvent], how: str
) -> None:
    """The client has seen nothing of it, so nothing of it remains."""
    it = scenario(
        {"a": script([head(), *shown], 1.0, *BREAKS[how]), "b": script(2.0, answer("whole"))},
        IdleTimeout(s=7),
        bugs=how == "bug",
    )
    reply = await it.serve(it.request(stream=False))
    at = 7.0 if how == "silence" else 1.0
    assert it.asked == [(0.0, "a"), (at, "b")]
    assert reply.said == "whole"
    assert (reply.ending, reply.ended_at, reply.discards) == ("finish", at + 2.0, 1)
    assert [w.candidate.provider for w in reply.winners] == ["a", "b"]
    assert (finished(it).outcome, finished(it).attempts) == ("answered", 2)


async def test_a_json_request_whose_every_winner_breaks_is_refused(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """With what each of them said."""
    half = script([head(), *text("half")], 1.0, failing(FailureKind.RESET, "gone"))
    it = scenario({"a": half, "b": half})
    reply = await it.serve(it.request(stream=False))
    refusal = refusal_of(reply)
    assert (refusal.status, reply.writes, reply.ended_at) == (503, [], 2.0)
    assert "a/m: reset: gone; b/m: reset: gone" in refusal.message


async def test_a_json_request_has_280_seconds(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """There are no pings in one to keep the client patient."""
    drip = [act for _ in range(100) for act in (10.0, text("x", whole=False)[1:])]
    it = scenario({"a": script([head(), *text("x", whole=False)], *drip)})
    reply = await it.serve(it.request(stream=False))
    assert (refusal_of(reply).status, reply.ended_at) == (504, 280.0)


# Empty answers.

EMPTY = script([head(), *tail()])


async def test_an_empty_whole_message_falls_to_the_next(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """It is a failure as long as there is somebody else."""
    it = scenario({"a": EMPTY, "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    assert "0 a failed: empty answer" in it.story


@pytest.mark.parametrize("stream", [True, False])
async def test_an_empty_whole_message_is_better_than_none(
    scenario: MakeScenario, autojump_clock: MockClock, stream: bool
) -> None:
    """At the last resort it is the answer, whole."""
    no = script(asking=[failing(FailureKind.SERVER, status=500)])
    it = scenario({"a": EMPTY, "b": no})
    reply = await it.serve(it.request(stream=stream))
    assert reply.ending == "finish"
    assert [e.kind for e in reply.events] == [Kind.MESSAGE_START, Kind.MESSAGE_DELTA, Kind.MESSAGE_STOP]
    assert [w.candidate.provider for w in reply.winners] == ["a"]
    assert finished(it).outcome == "answered"


@pytest.mark.parametrize("empty", [script(), script([head()]), script([head(), *text(whole=False)])])
async def test_an_answer_that_ends_without_content_is_a_failure_and_no_last_resort(
    scenario: MakeScenario, autojump_clock: MockClock, empty: Script
) -> None:
    """It was not even whole."""
    it = scenario({"a": empty})
    assert refusal_of(await it.serve()).status == 503
    assert "0 a failed: empty answer" in it.story


@pytest.mark.parametrize("reason", ["refusal", "pause_turn", "stop_sequence"])
async def test_an_empty_message_that_is_meant_wins(
    scenario: MakeScenario, autojump_clock: MockClock, reason: str
) -> None:
    """A model that refuses has answered."""
    it = scenario({"a": script([head(), *tail(reason)]), "b": script(answer("b"))})
    reply = await it.serve()
    assert reply.ending == "finish"
    assert it.asked == [(0.0, "a")]


# Several tries.


@pytest.mark.parametrize("kind", [FailureKind.AUTH, FailureKind.QUOTA])
async def test_a_refused_key_is_followed_by_the_next(
    scenario: MakeScenario, autojump_clock: MockClock, kind: FailureKind
) -> None:
    """Within one attempt, and the refused ones rest: the following turn begins with the one that worked."""
    no = script(asking=[0.5, failing(kind)])
    it = scenario(
        {"a": [no, no, script(answer("third"))], "b": script(answer("b"))},
        providers={"a": provider("a", "k1", "k2", "k3")},
    )
    assert (await it.serve()).said == "third"
    await it.serve()
    keys = [exchange.ask.key for exchange in it.transport.exchanges]
    assert [key and key.source for key in keys] == ["A_KEY#1", "A_KEY#2", "A_KEY#3", "A_KEY#3"]
    assert [t.number for t in it.events(TryStarted)] == [1, 2, 3, 1]
    assert [ended.counts for ended in it.events(AttemptEnded)] == [False, False]


async def test_an_attempt_makes_three_tries_at_most(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Then the next candidate is asked, although there are keys left; the turn after begins with those."""
    no = script(asking=[failing(FailureKind.AUTH)])
    it = scenario({"a": no, "b": script(answer("b"))}, providers={"a": provider("a", "k1", "k2", "k3", "k4")})
    assert (await it.serve()).said == "b"
    await it.serve()
    keys = [exchange.ask.key for exchange in it.transport.exchanges if exchange.provider == "a"]
    assert [key and key.source for key in keys] == ["A_KEY#1", "A_KEY#2", "A_KEY#3", "A_KEY#4"]


async def test_when_every_key_rests_the_candidate_is_busy(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """It is skipped without being asked, and without blame."""
    no = script(asking=[failing(FailureKind.AUTH)])
    it = scenario({"a": no, "b": script(answer("b"))}, providers={"a": provider("a", "k1")})
    await it.serve()
    await it.serve()
    assert it.asked == [(0.0, "a"), (0.0, "b"), (0.0, "b")]
    assert "0 a busy" in it.story


async def test_a_keyless_provider_that_refuses_is_out_for_this_request_only(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """There is no key to rest."""
    it = scenario({"a": [script(asking=[failing(FailureKind.AUTH)]), script(answer("a"))], "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    assert (await it.serve()).said == "a"


STALE = script(asking=[0.25, failing(FailureKind.RESET, stale=True)])


async def test_a_stale_connection_is_tried_again_on_the_same_candidate(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """In the same attempt and at once; nobody's health suffers."""
    it = scenario({"a": [STALE, script(answer("a"))], "b": script(answer("b"))})
    assert (await it.serve()).said == "a"
    assert it.asked == [(0.0, "a"), (0.25, "a")]
    assert it.story[:2] == ["0 a starts", "0.25 a tries again"]
    assert finished(it).attempts == 1


async def test_a_connection_that_breaks_otherwise_is_not_tried_again(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Only one that had been used before and gave no byte is known not to have done anything."""
    it = scenario({"a": script(asking=[failing(FailureKind.RESET)]), "b": script(answer("b"))})
    await it.serve()
    assert it.asked == [(0.0, "a"), (0.0, "b")]


async def test_all_tries_share_one_first_content_deadline(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Two slow refusals leave the third try what is left of it."""
    slow = script(asking=[4.0, failing(FailureKind.AUTH)])
    it = scenario(
        {"a": [slow, slow, script(HANG)], "b": script(answer("b"))},
        FirstContentTimeout(s=10),
        providers={"a": provider("a", "k1", "k2", "k3")},
    )
    assert (await it.serve()).said == "b"
    assert it.asked == [(0.0, "a"), (4.0, "a"), (8.0, "a"), (10.0, "b")]


# What the client is told.


def no(kind: FailureKind, **rest: Any) -> Script:
    return script(asking=[failing(kind, **rest)])


@pytest.mark.parametrize(
    ("failures", "status", "type", "retry_after_s", "should_retry"),
    [
        ([no(FailureKind.CONNECT)] * 2, 503, "overloaded_error", 1, None),
        ([no(FailureKind.SERVER), no(FailureKind.RATE_LIMITED)], 503, "overloaded_error", 1, None),
        ([no(FailureKind.RATE_LIMITED, retry_after_s=120.0)], 429, "rate_limit_error", 30, None),
        ([no(FailureKind.RATE_LIMITED, retry_after_s=0.2)], 429, "rate_limit_error", 1, None),
        ([no(FailureKind.RATE_LIMITED, retry_after_s=t) for t in (90.0, 75.0)], 429, "rate_limit_error", 30, None),
        ([no(FailureKind.OVERLOADED, retry_after_s=17.0)], 503, "overloaded_error", 17, None),
        ([no(FailureKind.AUTH)] * 2, 401, "authentication_error", None, False),
        ([no(FailureKind.QUOTA)], 402, "billing_error", None, False),
        ([no(FailureKind.GONE)] * 2, 404, "not_found_error", None, False),
        ([no(FailureKind.AUTH), no(FailureKind.GONE)], 503, "overloaded_error", None, False),
        ([no(FailureKind.AUTH), no(FailureKind.RESET)], 503, "overloaded_error", 1, None),
        ([script(ValueError())], 503, "overloaded_error", 1, None),
    ],
)
async def test_an_exhausted_chain_answers_with_a_status_that_says_whether_to_come_again(
    scenario: MakeScenario,
    autojump_clock: MockClock,
    failures: list[Script],
    status: int,
    type: str,
    retry_after_s: int | None,
    should_retry: bool | None,
) -> None:
    """At once; the worst of it is never passed on as the whole truth."""
    bugs = sum(isinstance(act, ValueError) for played in failures for act in played.reading)
    it = scenario(dict(zip("ab", failures, strict=False)), bugs=bugs)
    reply = await it.serve()
    told = refusal_of(reply)
    assert (told.status, told.type, told.retry_after_s, told.should_retry) == (
        status,
        type,
        retry_after_s,
        should_retry,
    )
    assert reply.ended_at == 0.0
    assert told.body is None
    assert finished(it).status == status


async def test_the_refusal_names_everybody_and_what_each_said(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Those who failed, those who were full, those who cannot do it, and those who are not set up."""
    it = scenario(
        {
            "a": no(FailureKind.SERVER, status=500, message="boom"),
            "b": script(answer("b")),
            "c": script(answer("c")),
            "d": script(answer("d")),
        },
        SilentSkip(),
        RequireCapability(),
        MaxWait(s=0),
        providers={
            "b": window("b", 40.0),
            "c": provider("c", models={"m": Model(id="m", capabilities=Capabilities(tools=False))}),
            "d": provider("d", unusable_because="D_KEY is not set"),
        },
    )
    (await take(it, 1)).release(sent=True)
    message = refusal_of(await it.serve(it.request(tools=[{"name": "t"}]))).message
    assert "a/m: server error (500): boom" in message
    assert "b/m: rate window full, back in 40 s" in message
    assert "c/m: no tools" in message
    assert "d/m: D_KEY is not set" in message


async def test_a_chain_that_nobody_can_serve_is_a_503_without_a_retry(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """No waiting mends a missing key; the variable is named."""
    it = scenario({"a": script(answer("a"))}, providers={"a": provider("a", unusable_because="A_KEY is not set")})
    told = refusal_of(await it.serve())
    assert (told.status, told.should_retry, told.retry_after_s) == (503, False, None)
    assert "A_KEY is not set" in told.message


# The client's own fault.

BODY = b'{"type":"error","error":{"type":"invalid_request_error","message":"messages.1: tool_use ids"}}'


@pytest.mark.parametrize("native", [True, False])
async def test_a_clients_400_stops_and_is_passed_on_unmodified_where_it_is_native(
    scenario: MakeScenario, autojump_clock: MockClock, native: bool
) -> None:
    """Nobody else is asked, and nobody is blamed."""
    poison = no(FailureKind.CLIENT, status=400, body=BODY, native=native, message="tool_use ids")
    it = scenario({"a": poison, "b": script(answer("b"))}, HEDGE)
    told = refusal_of(await it.serve())
    assert it.asked == [(0.0, "a")]
    assert (told.status, told.type, told.body) == (400, "invalid_request_error", BODY if native else None)
    assert "a/m: tool_use ids" in told.message
    assert (told.retry_after_s, told.should_retry) == (None, None)
    assert not it.events(AttemptEnded)[0].counts


async def test_a_clients_400_from_a_hedge_leaves_the_leader_its_chance(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """One provider's objection is not the other's."""
    it = scenario({"a": script(9.0, answer("a")), "b": no(FailureKind.CLIENT, status=400), "c": script(HANG)}, HEDGE)
    assert (await it.serve()).said == "a"
    assert it.asked == [(0.0, "a"), (2.0, "b")]


def sized(id: str, context: int | None) -> Any:
    return provider(id, models={"m": Model(id="m", capabilities=Capabilities(context=context))})


async def test_a_prompt_too_long_goes_to_bigger_windows_only(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Smaller ones are passed over; one of unknown size has its chance."""
    too_long = no(FailureKind.TOO_LONG, status=400, tokens=(5000, 4000))
    it = scenario(
        {"a": too_long, "b": script(answer("b")), "c": too_long, "d": script(answer("d"))},
        providers={"a": sized("a", 4000), "b": sized("b", 4500), "c": sized("c", None), "d": sized("d", 200_000)},
    )
    assert (await it.serve()).said == "d"
    assert [id for _, id in it.asked] == ["a", "c", "d"]


async def test_a_prompt_too_long_for_all_is_worded_so_that_the_client_compacts(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """With the numbers of the largest window."""
    it = scenario(
        {
            "a": no(FailureKind.TOO_LONG, tokens=(5000, 4000)),
            "b": no(FailureKind.TOO_LONG, tokens=(5000, 4500)),
        },
        Sequence(),
    )
    told = refusal_of(await it.serve())
    assert (told.status, told.type) == (400, "invalid_request_error")
    assert told.message == "prompt is too long: 5000 tokens > 4500 maximum"
