"""When a turn for sockets goes over HTTP after all, and that a socket is as well guarded as HTTP is."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import trio
import trio.testing
import trustme
from trio.testing import MockClock
from trio_websocket import WebSocketConnection

from engine.config import Secret
from tests.transports.sockets.host import Host, answering, called, numbered, spoken
from tests.transports.sockets.stage import (
    FIRST,
    HTTP,
    SECOND,
    TOOLS,
    assistant,
    kinds,
    result,
    staged,
    text_of,
    use,
    user,
)
from transports import _socket_turn, websocket
from transports._connection import client_context, open_tcp


class TestOverHTTP:
    """Turns that need no socket, or find none."""

    @pytest.mark.parametrize(
        "more",
        [
            {"session": ""},
            {"beside": True},
            {"provider": {"websocket": False}},
            {"provider": {"proxy": "set below"}},
            {"provider": {"base_url": "not an address"}},
        ],
    )
    async def test_goes_what_is_not_for_sockets(self, autojump_clock: MockClock, more: dict[str, Any]) -> None:
        """Nothing to go on from later, started beside another, not configured, through a proxy, an address that is none."""
        if "proxy" in more.get("provider", {}):
            more = {"provider": {"proxy": Secret("http://h:1", "proxy")}}
        async with staged(Host(answering(spoken()))) as stage:
            assert await stage.turn(*FIRST, **more) == [HTTP]
            assert stage.host.opened == 0

    async def test_goes_everything_where_nobody_owns_sockets(self, autojump_clock: MockClock) -> None:
        """Under a server that is not ours there is no task for them."""
        async with staged(Host(answering(spoken())), running=False) as stage:
            assert await stage.turn(*FIRST) == [HTTP]

    async def test_goes_what_is_larger_than_a_frame_should_be(
        self, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """But not a turn of the same conversation that has little to say."""
        host = Host(numbered(called()))
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            monkeypatch.setattr(_socket_turn, "MAX_SENT", 600)
            long = (user("hi", "x" * 600), assistant(use()), user(result()))
            assert await stage.turn(*long, tools=TOOLS) == [HTTP]
            assert kinds(await stage.turn(*SECOND, tools=TOOLS))[-1] == "message_stop"
            assert host.opened == 1

    @pytest.mark.parametrize("status", [403, 404, 405, 426, 400, 200])
    async def test_goes_a_refused_upgrade_at_once_and_what_comes_after_it(
        self, autojump_clock: MockClock, status: int
    ) -> None:
        """The host is asked again after ten minutes."""
        host = Host(answering(spoken()))
        host.raw.append(status)
        async with staged(host) as stage:
            assert await stage.turn(*FIRST) == [HTTP]
            assert trio.current_time() == 0
            assert await stage.turn(*FIRST) == [HTTP]
            assert host.opened == 1
            assert await stage.turn(*FIRST, provider={"base_url": "http://other.test"}) != [HTTP]
            await trio.sleep(websocket.HTTP_ONLY_S)
            assert text_of(await stage.turn(*FIRST)) == "hello"

    @pytest.mark.parametrize("status", [401, 429, 500, 503])
    async def test_goes_a_refusal_of_the_moment_and_no_more_than_that(
        self, autojump_clock: MockClock, status: int
    ) -> None:
        """What it is about, the key or the load, is told over HTTP."""
        host = Host(answering(spoken()))
        host.raw.append(status)
        async with staged(host) as stage:
            assert await stage.turn(*FIRST) == [HTTP]
            assert text_of(await stage.turn(*FIRST)) == "hello"

    async def test_goes_a_turn_whose_host_never_answers_the_upgrade(self, autojump_clock: MockClock) -> None:
        """After the time for connecting, once."""

        async def silent(stream: trio.abc.Stream) -> None:
            while await stream.receive_some():
                pass

        host = Host(answering(spoken()))
        host.raw.append(silent)
        async with staged(host) as stage:
            assert await stage.turn(*FIRST) == [HTTP]
            assert trio.current_time() == pytest.approx(8.0)
            await host.until(lambda: host.live == 0)
            assert await stage.turn(*FIRST) == [HTTP]
            assert trio.current_time() == pytest.approx(8.0)

    async def test_goes_a_turn_whose_new_socket_ends_without_a_frame(self, autojump_clock: MockClock) -> None:
        """Something in between takes upgrades and no turns."""

        async def leave(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await ws.aclose(1008, "no")

        async with staged(Host(leave)) as stage:
            assert await stage.turn(*FIRST) == [HTTP]
            assert await stage.turn(*FIRST) == [HTTP]
            assert stage.host.opened == 1

    async def test_goes_a_turn_to_a_host_that_cannot_be_reached(self, autojump_clock: MockClock) -> None:
        """Which HTTP then finds as well, and says."""
        async with staged(Host(answering(spoken()))) as stage:
            stage.sockets.network = open_tcp
            assert await stage.turn(*FIRST, provider={"base_url": "http://127.0.0.1:9"}) == [HTTP]


class TestTLS:
    """Addresses that begin with `https`."""

    @pytest.mark.parametrize("trusted", [True, False])
    async def test_is_verified_as_over_http(self, autojump_clock: MockClock, trusted: bool) -> None:
        """A certificate that is not trusted is no connection: HTTP will find the same, and say it."""
        authority = trustme.CA()
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
        authority.issue_cert("host.test").configure_cert(server)
        if trusted:
            authority.configure_trust(client)
        host = Host(numbered(called()))
        async with staged(host) as stage, trio.open_nursery() as nursery:

            async def network(name: str, port: int) -> trio.abc.Stream:
                assert (name, port) == ("host.test", 443)
                ours, theirs = trio.testing.memory_stream_pair()
                nursery.start_soon(host.serve, trio.SSLStream(theirs, server, server_side=True))
                return ours

            stage.sockets.network = network
            stage.sockets.context = lambda: client_context(client)
            for messages in (FIRST, SECOND):
                events = await stage.turn(*messages, tools=TOOLS, provider={"base_url": "https://host.test"})
                assert (events == [HTTP]) is not trusted
            assert host.on == ([0, 0] if trusted else [])
            nursery.cancel_scope.cancel()
