"""A server of our own in the test's process, on a real socket, and a client that shows everything."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import h11
import hypercorn.config
import pytest
import trio

import server
from engine.config import Config, Provider
from policies import Candidate, InOrder, Policy, SilentSkip, Unlimited
from policies import Sequence as InSequence
from routes import Access
from server import Built
from tests.e2e.errors import lone_errors_bare
from tests.routes.asgi_driver import OPEN_SERVER, rehearsing, turn

#: A rehearsal that talks as fast as it is let, for ever as far as a test is concerned.
FLOOD = "echo?words=100000000&gap_ms=0"


@attrs.define(eq=False)
class Running:
    """A server that is serving. `lines` is its access log."""

    port: int
    built: Built
    lines: list[Access]
    over: trio.Event = attrs.field(factory=trio.Event)  #: `server.serve` has returned
    _connected: list[trio.SocketStream] = attrs.field(factory=list)

    async def connect(self, receive_buffer: int | None = None) -> trio.SocketStream:
        """A connection to it, closed with the server at the latest."""
        sock = trio.socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer)
        await sock.connect(("127.0.0.1", self.port))
        self._connected.append(trio.SocketStream(sock))
        return self._connected[-1]

    async def hang_up(self) -> None:
        """Close every connection."""
        for stream in self._connected:
            await trio.aclose_forcefully(stream)

    async def logged(self, count: int) -> list[Access]:
        """The access log once it has `count` lines; each is written when its handler ends."""
        await until(lambda: len(self.lines) >= count)
        return self.lines


async def until(done: Callable[[], object], within_s: float = 10) -> None:
    """Wait for what happens elsewhere, in another process or in a list, and sets no event here."""
    with trio.fail_after(within_s):
        while not done():  # noqa: ASYNC110
            await trio.sleep(0.002)


@asynccontextmanager
async def serving(
    config: Config,
    monkeypatch: pytest.MonkeyPatch | None = None,
    **settings: Any,
) -> AsyncIterator[Running]:
    """`server.serve` while the block runs; `settings` change hypercorn's."""
    if monkeypatch is not None:
        original = server.hypercorn_config

        def changed(*args: Any) -> hypercorn.config.Config:
            made = original(*args)
            for name, value in settings.items():
                assert hasattr(made, name)
                setattr(made, name, value)
            return made

        monkeypatch.setattr(server, "hypercorn_config", changed)
    lines: list[Access] = []
    built = server.build(config, log=lines.append)
    sock = server.listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    with lone_errors_bare():
        async with trio.open_nursery() as nursery:
            running = Running(port, built, lines)

            async def serve() -> None:
                await server.serve(built, sock)
                running.over.set()

            nursery.start_soon(serve)
            try:
                yield running
            finally:
                await running.hang_up()
            nursery.cancel_scope.cancel()


def relaying(
    *urls: str, policies: Sequence[Policy] = (SilentSkip(), InOrder(), InSequence()), **server_settings: Any
) -> Config:
    """A configuration whose one chain is these Anthropic base URLs, unlimited and without breakers."""
    config = rehearsing(policies=policies, server=attrs.evolve(OPEN_SERVER, **server_settings))
    named = {f"up{number}": url for number, url in enumerate(urls, 1)}
    upstreams = {
        name: Provider(
            id=name,
            base_url=url,
            paths={"messages": "/v1/messages", "count_tokens": "/v1/messages/count_tokens"},
            scope=Unlimited(),
            breaker=None,
            named=True,
        )
        for name, url in named.items()
    }
    chain = attrs.evolve(config.chains["main"], candidates=tuple(Candidate(name, "claude") for name in named))
    return attrs.evolve(config, providers={**config.providers, **upstreams}, chains={**config.chains, "main": chain})


def posted(body: bytes | None = None, *headers: str, target: str = "/v1/messages", length: int | None = None) -> bytes:
    """A POST as bytes."""
    body = turn() if body is None else body
    lines = [f"POST {target} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json", *headers]
    lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def got(target: str, *headers: str) -> bytes:
    """A GET as bytes."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "host: 127.0.0.1", *headers]).encode() + b"\r\n\r\n"


@attrs.define(eq=False)
class Client:
    """One connection; answers are read one after the other."""

    stream: trio.SocketStream
    _h11: h11.Connection = attrs.field(factory=lambda: h11.Connection(h11.CLIENT))

    async def answer(self, request: bytes, *, seen: Callable[[bytes], None] = lambda _: None) -> tuple[int, bytes]:
        """Send a request, and read its whole answer. Raises h11.RemoteProtocolError where it breaks off."""
        self._h11.send(h11.Request(method="GET", target="/", headers=[("host", "test")]))
        self._h11.send(h11.EndOfMessage())
        await self.stream.send_all(request)
        status, body = 0, b""
        while True:
            event = self._h11.next_event()
            match event:
                case h11.NEED_DATA:
                    self._h11.receive_data(await self.stream.receive_some(65536))
                case h11.Response():
                    status = event.status_code
                case h11.Data():
                    body += event.data
                    seen(body)
                case h11.EndOfMessage():
                    if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
                        self._h11.start_next_cycle()
                    return status, body

    async def closed(self) -> float:
        """Wait until the server closes the connection, and say when. Anything else it sends is a failure."""
        assert await self.stream.receive_some(65536) == b""
        return trio.current_time()


async def read_to_end(stream: trio.SocketStream) -> bytes:
    """All that comes until the server closes; a reset counts as closing."""
    found = b""
    try:
        while data := await stream.receive_some(65536):
            found += data
    except trio.BrokenResourceError:
        pass
    return found


def ended(pid: int) -> bool:
    """Whether a child process has ended; it is not reaped, since its owner waits for it as well."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
