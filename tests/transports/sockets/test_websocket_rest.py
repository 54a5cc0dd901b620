"""How long a socket rests between turns, and what ends its rest."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import WebSocketConnection

from tests.transports.sockets.host import Host, answer, called, error, numbered, say
from tests.transports.sockets.stage import (
    FIRST,
    SECOND,
    TOOLS,
    asking,
    assistant,
    everything,
    kinds,
    result,
    staged,
    use,
    user,
)
from transports import _shelf


class TestRest:
    """Sockets between turns."""

    async def test_lasts_five_minutes(self, autojump_clock: MockClock) -> None:
        """Then the socket is closed with a farewell, and the next turn tells everything."""
        host = Host(numbered(called()))
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            await trio.sleep(_shelf.REST_S - 1)
            assert len(stage.sockets.shelf) == 1
            await trio.sleep(2)
            assert len(stage.sockets.shelf) == 0
            assert host.ends == {0: 1000}
            await stage.turn(*SECOND, tools=TOOLS)
            assert host.on == [0, 1]

    async def test_ends_before_the_host_ends_the_socket(self, autojump_clock: MockClock) -> None:
        """A socket begins no turn after 55 minutes, however lively the conversation; a turn under way is left alone."""
        messages = [user("hi")]
        count = 0

        async def next_call(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            nonlocal count
            count += 1
            await trio.sleep(100)
            await say(ws, *answer(called(call_id=f"call_{count}"), id=f"resp_{count}"))

        async with staged(Host(next_call)) as stage:
            for number in range(1, 36):
                await stage.turn(*messages, tools=TOOLS)
                messages += [assistant(use(f"call_{number}")), user(result(f"call_{number}"))]
            began = [at for at, on in enumerate(stage.host.on) if on == 1]
            assert began[0] == 33  # 3300 s
            assert "previous_response_id" not in stage.host.requests[33]
            assert "previous_response_id" in stage.host.requests[34]
            assert stage.host.ends == {0: 1000}

    async def test_is_for_a_bounded_number_of_them(
        self, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those used least recently are closed: of one conversation's owner, and of all."""
        monkeypatch.setattr(_shelf, "MOST", 6)
        host = Host(numbered(called()))
        async with staged(host) as stage:
            for number in range(6):
                await stage.turn(user(str(number)))
            await host.until(lambda: host.live == 4)
            assert {number for number, end in host.ends.items() if end == 1000} == {0, 1}
            for number in range(5):
                await stage.turn(user("x"), session=f"other{number}")
            await host.until(lambda: host.live == 6)
            assert {number for number, end in host.ends.items() if end == 1000} == {0, 1, 2, 3, 4}

    async def test_ends_when_the_host_says_anything(self, autojump_clock: MockClock) -> None:
        """The next turn does not find it in its answer."""
        host = Host(numbered(called()))

        async def late(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await say(ws, *answer(called(), id="resp_1"))
            await trio.sleep(5)
            await say(ws, error("server_error"))

        host.scripts.append(late)
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            await trio.sleep(6)
            assert len(stage.sockets.shelf) == 0
            await stage.turn(*SECOND, tools=TOOLS)
            assert host.on == [0, 1]

    @pytest.mark.parametrize("waits", [True, False])
    async def test_is_not_for_a_socket_with_something_behind_the_end(
        self, autojump_clock: MockClock, waits: bool
    ) -> None:
        """A frame behind the last one belongs to no turn."""

        async def more(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await say(ws, *answer(called()), {"type": "response.created"})

        async with staged(Host(more)) as stage:
            async with stage.sockets.open(asking(*FIRST, tools=TOOLS)) as upstream:
                if waits:
                    await trio.sleep(1)  # both are read at once
                assert kinds(await everything(upstream))[-1] == "message_stop"
            await trio.testing.wait_all_tasks_blocked()
            assert len(stage.sockets.shelf) == 0
            assert stage.host.live == 0

    async def test_ends_with_the_server(self, autojump_clock: MockClock) -> None:
        """Nothing is left of any socket, resting or in use."""
        host = Host(numbered(called()))
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            assert host.live == 1
        assert host.live == 0

    async def test_makes_the_candidate_one_that_is_not_raced(self, autojump_clock: MockClock) -> None:
        """For this session, agent, provider and model, as long as it lasts."""
        host = Host(numbered(called()))
        async with staged(host) as stage:

            def holds(model: str = "m", **more: Any) -> bool:
                asked = asking(*SECOND, **more)
                return stage.sockets.holds(asked.request, asked.provider, model)

            assert not holds()
            await stage.turn(*FIRST, tools=TOOLS)
            assert holds()
            assert not holds("other")
            assert not holds(session="s2")
            assert not holds(agent="a")
            assert not holds(provider={"websocket": False})
            await trio.sleep(_shelf.REST_S + 1)
            assert not holds()
