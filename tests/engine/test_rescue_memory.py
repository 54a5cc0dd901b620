"""The body of a request is gone as soon as nobody will be asked again, however long its answer goes on."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from engine._ports import Ask
from engine._quota import Quota
from engine._request import Request
from engine._sharing import Sharing
from engine._stream import StreamEvent
from engine.testing import RecordingReply, Scenario, head, script, tail, text, tool
from policies import Policy, Rescue

#: What no other object of the test is.
MARK = "a body that is looked for"


class Watching(RecordingReply):
    """A client that looks, at each write, whether the body is still there."""

    def __init__(self, *, stream: bool = True) -> None:
        super().__init__(stream=stream)
        self.there: list[bool] = []

    async def send(self, events: Sequence[StreamEvent]) -> None:
        self.there.append(bodies() > 0)
        await super().send(events)


def bodies() -> int:
    """How many objects of a request's body there are."""
    gc.collect()
    return sum(isinstance(each, dict) and each.get("marked") == MARK for each in gc.get_objects())


class Forgetful:
    """A transport that keeps nothing of what it was asked."""

    def __init__(self, acts: list[list[StreamEvent]]) -> None:
        self.acts = acts

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[Reading]:
        del ask
        yield Reading(list(self.acts))


class Reading:
    def __init__(self, acts: list[list[StreamEvent]]) -> None:
        self.via = "script"
        self.quota: Quota = ()
        self.acts = acts

    async def read(self) -> list[StreamEvent] | None:
        return self.acts.pop(0) if self.acts else None


CALL = tool('{"a": 1}', index=1)
DELTA = text("more", index=2, whole=False)[1:]


@pytest.mark.long
@pytest.mark.parametrize(
    ("acts", "policies", "stream", "there"),
    [
        pytest.param(
            [[head(), *text("a")], CALL, text("b", index=2, whole=False), [*text("", index=2)[1:], *tail()]],
            (),
            True,
            [True, False, False, False],
            id="a call was shown",
        ),
        pytest.param(
            [[head(), *text("a", whole=False)], [*text("b")[1:], *tail()]],
            (),
            True,
            [True, False],
            id="only the end lets go of a text",
        ),
        pytest.param(
            [[head(), *text("a", whole=False)], [*text("b")[1:], *tail()]],
            (Rescue(mode="off"),),
            True,
            [False, False],
            id="nobody goes on",
        ),
        pytest.param(
            [[head(), *text("a")], CALL, [*text("b", index=2), *tail()]],
            (),
            False,
            [True, True, True],
            id="a JSON answer may start again to its end",
        ),
    ],
)
async def test_the_body_is_let_go(
    autojump_clock: MockClock,
    acts: list[list[StreamEvent]],
    policies: tuple[Policy, ...],
    stream: bool,
    there: list[bool],
) -> None:
    """Looked at before each write."""
    it = Scenario.of({"a": script()}, *policies)
    it.router.transports = lambda _: Forgetful(acts)
    reply = Watching(stream=stream)
    assert bodies() == 0

    def turn() -> Request:
        return it.request(stream=stream, marked=MARK)

    await it.router.serve(turn(), reply)
    assert reply.ending == "finish"
    assert reply.there == there


@pytest.mark.long
async def test_a_shared_turn_lets_go_of_every_body(autojump_clock: MockClock) -> None:
    """Its own when nobody will be asked any more, that of one who joins at once."""
    it = Scenario.of({"a": script()})
    it.router.transports = lambda _: Forgetful([[head(), *text("a")], CALL, [*text("b", index=2), *tail()]])
    server = attrs.evolve(it.config.server, duplicates="all")
    config = attrs.evolve(it.config, server=server)
    shared = Sharing(it.router, it.bus, lambda: config)
    replies = [Watching(), Watching()]

    async def client(number: int) -> None:
        await shared.serve(attrs.evolve(it.request(marked=MARK), session="s"), replies[number])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shared.run)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as clients:
            clients.start_soon(client, 0)
            clients.start_soon(client, 1)
        nursery.cancel_scope.cancel()
    assert [reply.ending for reply in replies] == ["finish", "finish"]
    assert [reply.there[-1] for reply in replies] == [False, False]
