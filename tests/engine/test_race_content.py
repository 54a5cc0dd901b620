"""First content: what it is, what it ends, what it starts, and the two clocks around it. All times are exact."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from engine._stream import PING, StreamEvent, error_event
from engine.testing import HANG, RecordingReply, Scenario, answer, failing, head, script, tail, text, thinking, tool
from policies import CommitAt, CommitPoint, FailureKind, FirstContentTimeout, IdleTimeout, Race, Sequence
from tests.engine.stage import MakeScenario, hedge, rest, virtual

# When the winner is chosen.

AT_POINTS: list[tuple[CommitPoint, float]] = [("content", 1.0), ("block", 4.0), ("tool", 6.0), ("message", 8.0)]


@pytest.mark.parametrize(("point", "at"), AT_POINTS)
async def test_patience_ends_at_first_content_and_the_commit_comes_at_its_point(
    scenario: MakeScenario, autojump_clock: MockClock, point: CommitPoint, at: float
) -> None:
    """Content at 1 keeps the hedge of 2 from starting, wherever the commit point is; nothing is written before it."""
    slow = script(
        1.0,
        [head(), *text("hm", whole=False)],
        3.0,
        text("!")[2:],
        2.0,
        tool('{"x": 1}', index=1),
        2.0,
        tail("tool_use"),
    )
    it = scenario({"a": slow, "b": script(answer("b"))}, hedge(), CommitAt(at=point))
    reply = await it.serve()
    assert it.asked == [(0.0, "a")]
    assert f"{at:g} a commits" in it.story
    assert reply.writes[0][0] == at
    assert reply.ended_at == 8.0
    assert reply.said == "hm"


async def test_a_late_commit_point_lets_a_failure_after_content_be_switched(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The client never learns of the half message."""
    half = script(1.0, [head(), *text("half", whole=False)], 1.0, failing(FailureKind.RESET))
    it = scenario({"a": half, "b": script(answer("whole"))}, Sequence(), CommitAt(at="message"))
    assert (await it.serve()).said == "whole"
    assert it.asked == [(0.0, "a"), (2.0, "b")]


async def test_pings_a_message_start_and_a_block_start_are_no_content(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The hedge starts in spite of them, and they are shown only with what follows."""
    coy = script([PING], [head()], text("x", whole=False)[:1], 10.0, [*text("x")[1:], *tail()])
    it = scenario({"a": coy, "b": script(20.0, answer("b"))}, hedge())
    reply = await it.serve()
    assert "2 b starts as hedge" in it.story
    assert [at for at, _ in reply.writes] == [10.0]
    assert reply.said == "x"


@pytest.mark.parametrize(
    "first",
    [thinking("hm", whole=False), tool('{"a": 1}'), text("x", whole=False)],
    ids=["thinking", "a whole tool call", "text"],
)
async def test_what_counts_as_content(
    scenario: MakeScenario, autojump_clock: MockClock, first: list[StreamEvent]
) -> None:
    """Each of these decides a race at once."""
    it = scenario({"a": script([head(), *first], 1.0, failing(FailureKind.RESET)), "b": script(HANG)}, Race())
    await it.serve()
    assert "0 a commits" in it.story
    assert "0 b lost" in it.story


async def test_half_a_tool_call_is_no_content(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """It may yet come to nothing."""
    half = script([head(), *tool('{"a":', whole=False)], HANG)
    it = scenario({"a": half, "b": script(1.0, answer("b"))}, Race())
    assert (await it.serve()).said == "b"


async def test_an_error_in_the_same_read_as_first_content_is_a_failure_before_the_commit(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """What is still switchable is decided last."""
    broken = script([head(), *text("oops", whole=False), error_event("overloaded_error", "busy")])
    it = scenario({"a": broken, "b": script(answer("fine"))}, Sequence())
    assert (await it.serve()).said == "fine"
    assert it.story[:2] == ["0 a starts", "0 a failed: error in the stream"]


# Before first content.


async def test_an_attempt_without_content_fails_at_exactly_its_timeout(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The first has its own, every later one the shorter, counted from its own start."""
    pinging = script([head()], *[act for _ in range(40) for act in (1.0, [PING])])
    it = scenario(
        {"a": pinging, "b": script(asking=[HANG]), "c": script(answer("c"))},
        Sequence(),
        FirstContentTimeout(s=10, fallback_s=4),
    )
    assert (await it.serve()).said == "c"
    assert it.asked == [(0.0, "a"), (10.0, "b"), (14.0, "c")]
    assert [e.closed_at for e in it.transport.exchanges][:2] == [10.0, 14.0]
    assert "14 b failed: first content timeout" in it.story


@pytest.mark.parametrize("seed", range(20))
def test_content_in_the_tick_of_its_timeout_is_too_late(scenario: MakeScenario, seed: int) -> None:
    """Slept to, the moment belongs to the timeout; the attempt is a failure and nothing of it is shown."""
    it = scenario({"a": script(10.0, answer("a")), "b": script(answer("b"))}, FirstContentTimeout(s=10))
    assert virtual(it.serve, seed=seed).said == "b"
    assert "10 a failed: first content timeout" in it.story


def test_content_in_hand_when_the_timeout_falls_is_never_half_committed(scenario: MakeScenario) -> None:
    """The read was done before the clock passed the limit, so the attempt wakes with content and is already cancelled."""
    clock = MockClock()

    async def run() -> tuple[Scenario, RecordingReply]:
        gate = trio.Event()
        it = scenario({"a": script(gate, answer("a")), "b": script(answer("b"))}, FirstContentTimeout(s=10))
        reply = RecordingReply()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.serve, None, reply)
            await trio.testing.wait_all_tasks_blocked()
            gate.set()
            clock.jump(10)
        return it, reply

    it, reply = trio.run(run, clock=clock)
    assert reply.said == "b"
    assert "10 a failed: first content timeout" in it.story
    assert "10 a commits" not in it.story


# After first content.


async def test_silence_after_content_breaks_the_attempt_at_exactly_its_limit_and_pings_do_not_count(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The limit runs from the last event that was not a ping."""
    pings = [act for _ in range(20) for act in (1.0, [PING])]
    it = scenario({"a": script(1.0, [head(), *text("x", whole=False)], 4.0, text("y")[1:2], *pings)}, IdleTimeout(s=7))
    reply = await it.serve()
    assert it.story[-2:] == ["12 a failed: idle timeout", "12 broken"]
    assert reply.ending == "reset"
    assert reply.ended_at == 12.0


async def test_silence_before_the_commit_is_switched(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """With a late commit point, the idle limit holds as well and costs the client nothing."""
    it = scenario(
        {"a": script([head(), *text("x", whole=False)], HANG), "b": script(answer("b"))},
        CommitAt(at="message"),
        IdleTimeout(s=7),
    )
    assert (await it.serve()).said == "b"
    assert it.asked == [(0.0, "a"), (7.0, "b")]


async def test_a_steady_stream_is_never_idle(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Each gap is just below the limit, the sum far above it."""
    pieces = [act for i in range(30) for act in (6.9, text(f"{i} ", whole=False)[1:])]
    it = scenario({"a": script([head(), *text("", whole=False)[:1]], *pieces, 6.9, rest())}, IdleTimeout(s=7))
    reply = await it.serve()
    assert reply.ending == "finish"
    assert reply.ended_at == pytest.approx(31 * 6.9)


@pytest.mark.parametrize("write_s", [30.0, 6.0])
async def test_a_client_that_blocks_is_not_the_providers_silence(
    scenario: MakeScenario, autojump_clock: MockClock, write_s: float
) -> None:
    """Every write takes long, the last one and the ending included, and nobody is blamed for it."""
    it = scenario({"a": script([head(), *text("x", whole=False)], 1.0, rest("y"))}, IdleTimeout(s=7))
    reply = await it.serve(reply=RecordingReply(write_s=write_s))
    assert reply.ending == "finish"
    assert reply.said == "xy"
    assert reply.ended_at == 3 * write_s + 1


async def test_silence_counts_from_the_end_of_a_blocked_write(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The provider has its full time after the client has taken what there was."""
    it = scenario({"a": script([head(), *text("x", whole=False)], HANG)}, IdleTimeout(s=7))
    reply = await it.serve(reply=RecordingReply(write_s=30.0))
    assert reply.ending == "reset"
    assert reply.ended_at == 37.0
