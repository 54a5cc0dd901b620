"""Cancelled at every step there is, a turn over a socket leaves no task, no connection and no answer under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from trio_websocket import WebSocketConnection

from engine import AttemptError
from tests.transports.faulty import CancelAtStep
from tests.transports.sockets.host import Host, Script, answer, called, failing, numbered, say
from tests.transports.sockets.stage import TOOLS, Stage, assistant, result, staged, use, user

#: A cancel at every step of a turn is many turns.
pytestmark = pytest.mark.long

FIRST = (user("hi"),)
SECOND = (*FIRST, assistant(use()), user(result()))


async def one(stage: Stage) -> None:
    await stage.turn(*FIRST, tools=TOOLS)


async def two(stage: Stage) -> None:
    await one(stage)
    await stage.turn(*SECOND, tools=TOOLS)


async def slowly(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
    """Each frame by itself."""
    for payload in answer(called()):
        await say(ws, payload)
        await trio.testing.wait_all_tasks_blocked()


def refused(host: Host) -> None:
    host.raw.append(426)


def forgotten(host: Host) -> None:
    host.scripts += [host.usual, failing("previous_response_not_found", status=400)]


def limited(host: Host) -> None:
    host.scripts += [host.usual, failing("websocket_connection_limit_reached", status=400)]


def nothing(host: Host) -> None:
    """A host that does as it is asked."""


SCENARIOS: dict[str, tuple[Callable[[Stage], Awaitable[None]], Script | None, Callable[[Host], None]]] = {
    "one turn": (one, None, nothing),
    "one turn, frame by frame": (one, slowly, nothing),
    "a second turn on the same socket": (two, None, nothing),
    "a second turn that the host has forgotten": (two, None, forgotten),
    "a second turn on a socket that may live no longer": (two, None, limited),
    "an upgrade that is refused": (one, None, refused),
}


@pytest.mark.parametrize(("scenario", "usual", "prepared"), SCENARIOS.values(), ids=SCENARIOS.keys())
@pytest.mark.parametrize("whose", ["the turn", "the server"])
def test_cancelled_at_every_step_nothing_is_left(
    scenario: Callable[[Stage], Awaitable[None]], usual: Script | None, prepared: Callable[[Host], None], whose: str
) -> None:
    """For step 1, 2, ... until the scenario ends first: what is open rests, the next turn is fine, the end closes all."""

    async def cancelled_at(step: int) -> bool:
        host = Host(usual or numbered(called()))
        prepared(host)
        async with staged(host, running=False) as stage:
            async with trio.open_nursery() as owner:
                owner.start_soon(stage.sockets.run)
                await trio.testing.wait_all_tasks_blocked()
                async with trio.open_nursery() as nursery:
                    root = nursery if whose == "the turn" else owner
                    instrument = CancelAtStep(root, root.cancel_scope, step)
                    trio.lowlevel.add_instrument(instrument)
                    nursery.start_soon(attempted, scenario, stage)
                trio.lowlevel.remove_instrument(instrument)
                with trio.CancelScope(shield=True):
                    await trio.testing.wait_all_tasks_blocked()
                if whose == "the turn":
                    assert host.live == len(stage.sockets.shelf)
                    host.raw.clear()
                    host.scripts.clear()
                    await one(stage)
                    await trio.testing.wait_all_tasks_blocked()
                    assert host.live == len(stage.sockets.shelf)
                owner.cancel_scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert host.live == 0
        return instrument.fired

    steps = 0
    while trio.run(cancelled_at, steps + 1):
        steps += 1
    assert steps >= 6 or (whose == "the server" and prepared is refused)  # there a socket never was the server's


async def attempted(scenario: Callable[[Stage], Awaitable[None]], stage: Stage) -> None:
    """The scenario, in which only the ways to fail that the engine knows are allowed."""
    with suppress(AttemptError):
        await scenario(stage)


async def test_two_hundred_turns_given_up_at_any_moment(autojump_clock: trio.testing.MockClock) -> None:
    """Many at once, each after its own time: every socket is closed or at rest."""

    async def slow(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
        for payload in answer(called()):
            await trio.sleep(0.1)
            await say(ws, payload)

    host = Host(slow)
    async with staged(host) as stage:

        async def given_up(number: int) -> None:
            with trio.move_on_after(number % 17 * 0.05):
                await stage.turn(user(str(number % 5)), session=str(number % 3), tools=TOOLS)

        for _ in range(4):
            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(given_up, number)
            await trio.testing.wait_all_tasks_blocked()
            assert host.live == len(stage.sockets.shelf) <= 12
        assert len(stage.sockets.shelf) > 0
