"""First content: what it is, what it ends, what it starts, and the two clocks around it. All times are exact."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence as Given

import pytest
import trio
from trio.testing import MockClock

import engine._attempt as module
from engine._events import AttemptEnded, FirstContent
from engine._stream import PING, Kind, StreamEvent, block_stop, error_event
from engine.testing import (
    HANG,
    Act,
    RecordingReply,
    Scenario,
    Script,
    answer,
    failing,
    head,
    script,
    tail,
    text,
    thinking,
    tool,
)
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


async def test_half_a_tool_call_decides_no_race(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """It may yet come to nothing."""
    half = script([head(), *tool('{"a":', whole=False)], HANG)
    it = scenario({"a": half, "b": script(1.0, answer("b"))}, Race())
    assert (await it.serve()).said == "b"


def long_call(*pieces: str, every_s: float) -> Script:
    """A tool call that is all of the answer, argument piece by piece."""
    start, *deltas = tool("", *pieces, whole=False)
    acts: list[Act] = [act for delta in deltas[1:] for act in ([delta], every_s)]
    return script(1.0, [head(), start, deltas[0]], 1.0, *acts, [block_stop(0)], tail("tool_use"))


async def test_a_long_tool_call_is_progress_before_it_is_content(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """It outlasts the first-content timeout, keeps the hedge from starting and is written whole, at its end."""
    pieces = ['{"content":"', *["abc "] * 138, '"}']
    it = scenario({"a": long_call(*pieces, every_s=0.5), "b": script(answer("b"))}, hedge(3.0))
    reply = await it.serve()
    assert it.story == ["0 a starts", "2 a content", "72 a commits", "72 a won", "72 answered"]
    assert [at for at, _ in reply.writes] == [72.0, 72.0]
    assert len(reply.events) == len([head(), *tool("", *pieces), *tail("tool_use")])
    (content,) = it.events(FirstContent)
    (ended,) = it.events(AttemptEnded)
    assert (content.elapsed_s, ended.first_content_s) == (2.0, 2.0)


async def test_the_start_of_a_tool_call_is_no_progress_yet(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Nor is an empty piece of it: patience goes on, and the timeout stands."""
    coy = script([head(), *tool("", "", whole=False)], HANG)
    it = scenario({"a": coy, "b": script(answer("b"))}, hedge(3.0))
    assert (await it.serve()).said == "b"
    assert it.asked == [(0.0, "a"), (3.0, "b")]


async def test_a_tool_call_that_stalls_is_switched_at_the_idle_limit_and_blamed(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Counted from its last piece; the client has seen nothing of it."""
    stalled = script(1.0, [head(), *tool('{"a":', whole=False)], 5.0, tool("1")[1:2], HANG)
    it = scenario({"a": stalled, "b": script(answer("b"))}, hedge(3.0), IdleTimeout(s=7))
    assert (await it.serve()).said == "b"
    assert it.story[:4] == ["0 a starts", "1 a content", "13 a failed: idle timeout", "13 b starts"]
    assert it.books.breakers.failures(it.config.chains["coding"].candidates[0]) == 1


async def test_an_error_in_the_same_read_as_first_content_is_a_failure_before_the_commit(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """What is still switchable is decided last."""
    broken = script([head(), *text("oops", whole=False), error_event("overloaded_error", "busy")])
    it = scenario({"a": broken, "b": script(answer("fine"))}, Sequence())
    assert (await it.serve()).said == "fine"
    assert it.story[:2] == ["0 a starts", "0 a failed: error in the stream"]


async def test_a_tool_call_with_a_broken_delta_is_the_providers_fault(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """No bug of ours: it counts, and the next is asked."""
    broken = StreamEvent(Kind.DELTAS, b"event: content_block_delta\ndata: {\n\n")
    it = scenario(
        {"a": script([head(), *tool(whole=False), broken, block_stop(0), *tail("tool_use")]), "b": script(answer("b"))}
    )
    assert (await it.serve()).said == "b"
    assert "0 a failed: malformed answer" in it.story
    assert it.books.breakers.failures(it.config.chains["coding"].candidates[0]) == 1


async def test_a_broken_delta_found_by_the_reply_is_the_providers_fault(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Text is relayed unread, and a JSON reply reads it; nothing was visible, so the next is asked."""

    class Reading(RecordingReply):
        async def send(self, events: Given[StreamEvent]) -> None:
            given = list(events)
            for item in given:
                deque(item.payloads(), maxlen=0)
            await super().send(given)

    broken = StreamEvent(Kind.DELTAS, b"event: content_block_delta\ndata: {\n\n")
    bad = [head(), *text("x", whole=False), broken, *rest()]
    it = scenario({"a": script(bad), "b": script(answer("b"))})
    reply = await it.serve(it.request(stream=False), Reading(stream=False))
    assert reply.said == "b"
    assert "0 a failed: malformed answer" in it.story


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


def test_what_is_decoded_past_the_timeout_is_never_half_committed() -> None:
    """A refusal has no content to end the timeout, so only the commit itself can see that it is too late."""
    clock = MockClock(autojump_threshold=0)

    class Slow(dict[str, object]):
        """A payload that takes a second to look into."""

        def get(self, key: str, default: object = None) -> object:
            clock.jump(1.0)
            return super().get(key, default)

    refusal = tail("refusal")
    refusal[0].payload = Slow(refusal[0].payload)
    it = Scenario.of({"a": script(9.5, [head(), *refusal]), "b": script(answer("b"))}, FirstContentTimeout(s=10))
    reply = trio.run(it.serve, clock=clock)
    assert reply.said == "b"
    assert [line.split(" ", 1)[1] for line in it.story][:3] == [
        "a starts",
        "a failed: first content timeout",
        "b starts",
    ]
    assert "a commits" not in " ".join(it.story)
    it.assert_nothing_left()


@pytest.mark.parametrize("beyond", [False, True])
async def test_what_is_held_before_a_late_commit_is_bounded(
    scenario: MakeScenario, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, beyond: bool
) -> None:
    """To the byte; beyond it the answer counts as malformed, and the next is asked."""
    whole = answer("x" * 3 * 1024**2, "y")
    held = sum(item.size for item in whole[:-1])
    monkeypatch.setattr(module, "MAX_HELD_BYTES", held - 1 if beyond else held)
    batches = [[item] for item in whole]
    it = scenario({"a": script(*batches), "b": script(answer("b"))}, Sequence(), CommitAt(at="message"))
    reply = await it.serve()
    assert (reply.said == "b") is beyond
    assert ("0 a failed: malformed answer" in it.story) is beyond


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
