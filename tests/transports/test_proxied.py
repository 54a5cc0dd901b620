"""Requests through an HTTP proxy and through SOCKS 5: real sockets, and proxies small enough to be read."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import h11
import httpx
import pytest
import trio

from engine import AttemptError
from engine.config import Provider, Secret
from policies import FailureKind
from tests.recordings import reading
from tests.transports.anthropic_frames import raw_of
from tests.transports.asks import ask, body
from tests.transports.faulty import Requests
from transports import Proxied, StreamingTransport, WireHTTP, openai_chat

ANSWER = (
    b'data: {"choices":[{"index":0,"delta":{"content":"through"},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
    b"data: [DONE]\n\n"
)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"


@attrs.define(eq=False)
class Seen:
    """What a proxy was asked for: targets, credentials, and how many connections it has open."""

    targets: list[str] = attrs.field(factory=list)
    credentials: list[str] = attrs.field(factory=list)
    open: int = 0
    idle: trio.Event = attrs.field(factory=trio.Event)


async def answered(stream: trio.abc.Stream) -> None:
    """Be the provider: the same answer to every request."""
    requests = Requests(stream)
    while await requests.next() is not None:
        await stream.send_all(HEAD % len(ANSWER) + ANSWER)
        requests = Requests(stream)


async def forward(seen: Seen, provider: object, stream: trio.SocketStream) -> None:
    """An HTTP proxy for cleartext: the target stands in the request line. It answers itself, being test and host at once."""
    requests = Requests(stream)
    while (asked := await requests.next()) is not None:
        request, _ = asked
        seen.targets.append(request.target.decode())
        seen.credentials += [v.decode() for n, v in request.headers if n == b"proxy-authorization"]
        await stream.send_all(HEAD % len(ANSWER) + ANSWER)
        requests = Requests(stream)


async def socks5(seen: Seen, provider: object, stream: trio.SocketStream) -> None:
    """RFC 1928 with RFC 1929's user and password, as far as a client of ours goes."""
    version, count = await stream.receive_some(2)
    methods = await stream.receive_some(count)
    assert version == 5
    if 2 in methods:
        await stream.send_all(b"\x05\x02")
        said = await stream.receive_some(512)
        seen.credentials.append(said[2 : 2 + said[1]].decode() + ":" + said[3 + said[1] :].decode())
        await stream.send_all(b"\x01\x00")
    else:
        await stream.send_all(b"\x05\x00")
    said = await stream.receive_some(512)
    host = said[5 : 5 + said[4]].decode() if said[3] == 3 else ".".join(map(str, said[4:8]))
    seen.targets.append(f"{host}:{int.from_bytes(said[-2:], 'big')}")
    await stream.send_all(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
    await (answered if provider is None else provider)(stream)  # type: ignore[operator]


@asynccontextmanager
async def proxying(how: object, provider: object = None) -> AsyncIterator[tuple[int, Seen]]:
    """A proxy on loopback: its port, and what it sees."""
    seen = Seen()

    async def one(stream: trio.SocketStream) -> None:
        seen.open += 1
        try:
            async with stream:
                await how(seen, provider, stream)  # type: ignore[operator]
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            pass  # the client has left, perhaps in the middle of its request
        finally:
            seen.open -= 1
            if not seen.open:
                seen.idle.set()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, one, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1], seen
        nursery.cancel_scope.cancel()


async def said(proxy: str | None, ways: Proxied) -> str:
    """One turn through this proxy, read."""
    asked = ask(
        body(),
        wire="openai-chat",
        base_url="http://host.test/v1",
        paths={"messages": "/chat/completions"},
        proxy=Secret(proxy, "proxy") if proxy else None,
    )
    raw = b""
    async with WireHTTP(ways.to, lambda: 0.0, openai_chat).open(asked) as upstream:
        while (events := await upstream.read()) is not None:
            raw += raw_of(events)
    found = reading(raw)
    assert found.faults == []
    return found.text


@pytest.mark.parametrize(
    ("how", "scheme", "target"),
    [
        (forward, "http", "http://host.test/v1/chat/completions"),
        (socks5, "socks5", "host.test:80"),
        (socks5, "socks5h", "host.test:80"),
    ],
)
async def test_a_turn_goes_through_the_proxy(how: object, scheme: str, target: str) -> None:
    """Twice: the second on the connection of the first."""
    async with proxying(how) as (port, seen):
        ways = Proxied(StreamingTransport())
        for _ in range(2):
            assert await said(f"{scheme}://127.0.0.1:{port}", ways) == "through"
        await ways.aclose()
        await seen.idle.wait()
    assert set(seen.targets) == {target}
    assert seen.credentials == []


async def test_the_credentials_of_a_proxy_are_shown_to_it() -> None:
    """An address with a name and a password in it comes from the environment."""
    async with proxying(socks5) as (port, seen):
        ways = Proxied(StreamingTransport())
        assert await said(f"socks5://me:secret@127.0.0.1:{port}", ways) == "through"
        await ways.aclose()
    assert seen.credentials == ["me:secret"]
    async with proxying(forward) as (port, seen):
        ways = Proxied(StreamingTransport())
        assert await said(f"http://me:secret@127.0.0.1:{port}", ways) == "through"
        await ways.aclose()
    assert seen.credentials == ["Basic " + base64.b64encode(b"me:secret").decode()]


async def test_a_proxy_that_is_not_there_is_a_failed_connection() -> None:
    """The next candidate is asked, and the proxy's address is not repeated with its password."""
    ways = Proxied(StreamingTransport())
    with pytest.raises(AttemptError) as caught:
        await said("http://me:secret@127.0.0.1:9", ways)
    await ways.aclose()
    assert caught.value.failure.kind is FailureKind.CONNECT
    assert "secret" not in str(caught.value)


async def test_a_cancelled_turn_leaves_no_connection() -> None:
    """A hundred losers through one proxy, and the next turn does not wait for a slot."""
    begun = 0
    all_begun = trio.Event()

    async def hanging(stream: trio.abc.Stream) -> None:
        """A provider that begins and then says nothing."""
        nonlocal begun
        await Requests(stream).next()
        await stream.send_all(HEAD % 1_000_000)
        begun += 1
        if begun == 100:
            all_begun.set()
        await stream.receive_some(1)

    async with proxying(socks5, hanging) as (port, seen):
        ways = Proxied(StreamingTransport())
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(partial(said, f"socks5://127.0.0.1:{port}", ways))
            await all_begun.wait()
            nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            await seen.idle.wait()
        await ways.aclose()
    async with proxying(socks5) as (port, seen):
        ways = Proxied(StreamingTransport())
        with trio.fail_after(5):
            assert await said(f"socks5://127.0.0.1:{port}", ways) == "through"
        await ways.aclose()


def test_a_provider_without_a_proxy_is_asked_directly() -> None:
    """And the environment's own proxy variables change nothing."""
    direct = StreamingTransport()
    assert Proxied(direct).to(Provider(id="a")) is direct
    one = Provider(id="a", proxy=Secret("http://127.0.0.1:1", "proxy"))
    ways = Proxied(direct)
    assert isinstance(ways.to(one), httpx.AsyncHTTPTransport)
    assert ways.to(one) is ways.to(one)
