"""Identical requests under way share one turn. All times are exact."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from engine import _sharing
from engine._events import AttemptEnded, AttemptStarted, InternalError, RequestFinished, RequestShared
from engine._names import Named
from engine._request import Request
from engine._sharing import Sharing, key_of
from engine._stream import Kind, StreamEvent
from engine.config import Config, Duplicates
from engine.testing import HANG, RecordingReply, Scenario, answer, failing, head, script, tail, text
from policies import FailureKind, Need, NoHedge
from tests.engine.stage import MakeScenario


def asked(it: Scenario, **more: Any) -> Request:
    """A request of one session; `more` are fields of the request."""
    return attrs.evolve(it.request(), session="s", **more)


@asynccontextmanager
async def sharing(it: Scenario, mode: Duplicates = "all") -> AsyncIterator[Sharing]:
    """What stands before the router, at work."""
    server = attrs.evolve(it.config.server, duplicates=mode)
    config: Config = attrs.evolve(it.config, server=server)
    made = Sharing(it.router, it.bus, lambda: config)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run)
        await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        yield made
        nursery.cancel_scope.cancel()


async def served(shared: Sharing, it: Scenario, turn: Request, after_s: float = 0.0, **client: Any) -> RecordingReply:
    """One client's record, of a request made after so many seconds."""
    await trio.sleep(after_s)
    reply = RecordingReply(stream=turn.stream, **client)
    it.replies.append(reply)
    await shared.serve(turn, reply)
    return reply


async def all_of(*calls: Any) -> list[Any]:
    """The results of several coroutines that run side by side."""
    results: list[Any] = [None] * len(calls)

    async def one(index: int) -> None:
        results[index] = await calls[index]

    async with trio.open_nursery() as nursery:
        for index in range(len(calls)):
            nursery.start_soon(one, index)
    return results


SLOW = script(
    [head(), *text("one ", whole=False)], 2.0, text("two", whole=False)[1:], 2.0, [*text(index=0)[1:], *tail()]
)


async def test_a_late_one_hears_all_from_the_beginning(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Two identical streams are one exchange; the second is told what it missed at once, and the rest as it comes."""
    it = scenario({"a": SLOW})
    async with sharing(it) as shared:
        first, second = await all_of(served(shared, it, asked(it)), served(shared, it, asked(it), after_s=1.0))
    assert (first.said, second.said) == ("one two", "one two")
    assert [at for at, _ in first.writes] == [0.0, 2.0, 4.0]
    assert [at for at, _ in second.writes] == [1.0, 2.0, 4.0]
    assert (first.ending, second.ending) == ("finish", "finish")
    assert len(it.asked) == 1


async def test_the_joiner_is_a_request_that_asked_nobody(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Accepted once and finished once, with the winner's name and no attempt; the event names whose answer it is."""
    it = scenario({"a": SLOW})
    async with sharing(it) as shared:
        await all_of(served(shared, it, asked(it)), served(shared, it, asked(it), after_s=1.0))
    ends = {e.request_id: (e.outcome, str(e.candidate), e.attempts, e.status) for e in it.events(RequestFinished)}
    assert ends == {"req_1": ("answered", "a/m", 1, 200), "req_2": ("answered", "a/m", 0, 200)}
    assert [(e.request_id, e.leader) for e in it.events(RequestShared)] == [("req_2", "req_1")]
    assert len(it.events(AttemptStarted)) == 1


async def test_whole_answers_are_shared_and_may_start_again(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """A JSON answer whose winner breaks starts anew for all of its listeners."""
    cut = script([head(), *text("half", whole=False)], 2.0, failing(FailureKind.RESET))
    it = scenario({"a": cut, "b": script(1.0, answer("whole"))})
    async with sharing(it, "whole") as shared:
        turns = [attrs.evolve(it.request(stream=False), session="s") for _ in range(2)]
        first, second = await all_of(served(shared, it, turns[0]), served(shared, it, turns[1], after_s=1.0))
    assert (first.said, second.said) == ("whole", "whole")
    assert (first.discards, second.discards) == (1, 1)
    assert len(it.asked) == 2


async def test_a_refusal_is_everybodys(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Who listens when nobody can answer is told so, with the same status."""
    it = scenario({"a": script(asking=[2.0, failing(FailureKind.GONE)])})
    async with sharing(it) as shared:
        first, second = await all_of(served(shared, it, asked(it)), served(shared, it, asked(it), after_s=1.0))
    assert first.refusal is not None
    assert first.refusal == second.refusal
    assert {e.status for e in it.events(RequestFinished)} == {404}


async def test_the_turn_lives_while_anybody_listens(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The first client leaves; the second hears the rest. When both leave, the exchange is closed at once."""
    it = scenario({"a": SLOW})
    async with sharing(it) as shared, trio.open_nursery() as nursery:
        with trio.move_on_after(1.5):
            nursery.start_soon(served, shared, it, asked(it), 1.0)
            await served(shared, it, asked(it))
    second = it.replies[1]
    assert (second.said, second.ending, second.ended_at) == ("one two", "finish", 4.0)
    assert it.transport.exchanges[0].closed_at == 4.0


async def test_the_last_to_leave_closes_the_exchange(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Nobody listens any more: the provider is left at that moment, and the turn counts as abandoned."""
    it = scenario({"a": script([head(), *text("one ", whole=False)], HANG)})
    async with sharing(it) as shared:
        with trio.move_on_after(3.0):
            await all_of(served(shared, it, asked(it)), served(shared, it, asked(it), after_s=1.0))
        await trio.testing.wait_all_tasks_blocked()
    assert it.transport.exchanges[0].closed_at == 3.0
    assert {e.outcome for e in it.events(RequestFinished)} == {"abandoned"}
    assert not shared._turns


async def test_one_that_comes_after_the_end_asks_anew(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """This is no cache: what is over is over."""
    it = scenario({"a": script(answer("hello"))})
    async with sharing(it) as shared:
        await served(shared, it, asked(it))
        await served(shared, it, asked(it))
    assert len(it.asked) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"session": "another"},
        {"session": ""},
        {"agent": "sub"},
        {"raw": b"{}"},
        {"query": b"beta=true"},
        {"above": Named("a/m", "token")},
        {"policies": (NoHedge(),)},
        {"headers": ((b"authorization", b"Bearer other"),)},
        {"headers": ((b"anthropic-beta", b"x"),)},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_any_difference_that_counts_keeps_apart(
    scenario: MakeScenario, autojump_clock: MockClock, other: dict[str, Any]
) -> None:
    """Another session, agent, body, name, wish or credential is another request; so is one without a session."""
    it = scenario({"a": SLOW})
    async with sharing(it) as shared:
        plain = asked(it)
        await all_of(served(shared, it, plain), served(shared, it, attrs.evolve(asked(it), **other), after_s=1.0))
    assert len(it.asked) == 2


def test_what_the_connection_says_is_no_difference() -> None:
    """A retry over another connection, by another version of the SDK, is the same request."""

    def key(**headers: str) -> bytes | None:
        told = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
        return key_of(Request(id="r", model="m", body={}, raw=b"{}", need=Need(), session="s", headers=told))

    assert key(host="a", user_agent="x", x_stainless_timeout="600") == key(host="b", x_stainless_timeout="300")
    assert key(x_api_key="a") != key(x_api_key="b")
    assert key(a="bc") != key(ab="c")


@pytest.mark.parametrize(("mode", "stream"), [("off", True), ("off", False), ("whole", True)])
async def test_what_is_not_switched_on_is_not_shared(
    scenario: MakeScenario, autojump_clock: MockClock, mode: Duplicates, stream: bool
) -> None:
    """Off by default; `whole` leaves streams alone."""
    it = scenario({"a": SLOW})
    async with sharing(it, mode) as shared:
        turns = [attrs.evolve(it.request(stream=stream), session="s") for _ in range(2)]
        await all_of(served(shared, it, turns[0]), served(shared, it, turns[1], after_s=1.0))
    assert len(it.asked) == 2
    assert it.config.server.duplicates == "off"


async def test_nothing_is_shared_where_nobody_owns_the_turns(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """An application served by somebody else has no nursery of ours: each request is its own."""
    it = scenario({"a": SLOW})
    config = attrs.evolve(it.config, server=attrs.evolve(it.config.server, duplicates="all"))
    shared = Sharing(it.router, it.bus, lambda: config)
    await all_of(served(shared, it, asked(it)), served(shared, it, asked(it), after_s=1.0))
    assert len(it.asked) == 2


async def test_beyond_the_bound_nobody_joins_and_the_slowest_sets_the_pace(
    scenario: MakeScenario, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 2 KB kept, a reader of one write in ten seconds holds the provider up, and what both have heard is dropped."""
    monkeypatch.setattr(_sharing, "REPLAY_BYTES", 2048)
    reads = [text("x" * 1000, whole=False)[1:] for _ in range(6)]
    it = scenario({"a": script([head(), *text("x", whole=False)], *reads, [*text()[1:], *tail()])})
    async with sharing(it) as shared:
        slow, fast, late = await all_of(
            served(shared, it, asked(it), write_s=10.0),
            served(shared, it, asked(it)),
            served(shared, it, asked(it), after_s=5.0),
        )
        assert not shared._turns
    assert slow.said == fast.said == late.said == "x" * 6001
    assert it.asked == [(0.0, "a"), (5.0, "a")]
    assert fast.ended_at is not None
    assert fast.ended_at > 40.0


async def test_a_listener_that_leaves_no_longer_holds_the_others_up(
    scenario: MakeScenario, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that takes nothing blocks the turn only until it is gone."""
    monkeypatch.setattr(_sharing, "REPLAY_BYTES", 2048)
    reads = [text("x" * 1000, whole=False)[1:] for _ in range(6)]
    it = scenario({"a": script([head(), *text("x", whole=False)], 1.0, *reads, [*text()[1:], *tail()])})
    async with sharing(it) as shared, trio.open_nursery() as nursery:
        nursery.start_soon(served, shared, it, asked(it))
        with trio.move_on_after(30.0):
            await served(shared, it, asked(it), after_s=0.1, taking=trio.Event())
    ended = {e.request_id: (e.at, e.outcome) for e in it.events(RequestFinished)}
    assert sorted(ended.values()) == [(30.0, "abandoned"), (30.0, "answered")]


async def test_a_fault_of_ours_is_one_turns(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The router raises: the fault is stated, its listeners' doors answer for it, and the next request is served."""
    it = scenario({"a": script(answer("hello"))}, bugs=1)
    async with sharing(it) as shared:

        def broken() -> Config:
            raise ZeroDivisionError

        sound, it.router.config = it.router.config, broken
        with pytest.raises(RuntimeError, match="without an ending"):
            await served(shared, it, asked(it))
        it.router.config = sound
        reply = await served(shared, it, asked(it))
    assert reply.said == "hello"
    assert [e.where for e in it.events(InternalError)] == ["shared turn"]


async def test_what_no_json_answer_can_be_made_of_is_its_providers_fault(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """As for one alone: the reply looks into what is relayed unread, and the next candidate is asked, not the client told."""
    data = b'{"type":"content_block_delta","index":0,"delta":7}'
    nonsense = StreamEvent(Kind.DELTAS, b"event: content_block_delta\ndata: " + data + b"\n\n", content=True)
    it = scenario({"a": script([head(), *text("half", whole=False)], 1.0, [nonsense]), "b": script(answer("whole"))})
    turns = [attrs.evolve(it.request(stream=False), session="s") for _ in range(2)]
    async with sharing(it, "whole") as shared:
        first, second = await all_of(*(served(shared, it, turn) for turn in turns))
    assert (first.said, second.said, first.ending) == ("whole", "whole", "finish")
    assert [e.failure and e.failure.kind for e in it.events(AttemptEnded)] == [FailureKind.MALFORMED, None]
