"""Cancelled at every step there is, an exchange leaves no socket, no slot and no task behind."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import attrs
import httpx
import pytest
import trio
import trustme

from tests.transports.faulty import (
    CancelAtStep,
    Handler,
    Requests,
    answering,
    fetch,
    linger,
    loopback,
    memory_network,
    read_head,
    request_to,
)
from transports.http import StreamingTransport

URL = "http://upstream/"
STREAMED = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"3\r\nabc\r\n"] * 3, b"0\r\n\r\n"]


async def early(stream: trio.abc.Stream) -> None:
    await read_head(stream)
    await stream.send_all(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
    await linger(stream)


async def pieces() -> AsyncGenerator[bytes, None]:
    for _ in range(3):
        yield bytes(40_000)
        await trio.lowlevel.checkpoint()


async def once(transport: StreamingTransport) -> None:
    await fetch(transport, request_to(URL, content=b"{}"))


async def twice(transport: StreamingTransport) -> None:
    await once(transport)
    await fetch(transport, request_to(URL, content=b"{}", connect=9.0, read=9.0, write=9.0))


async def upload(transport: StreamingTransport) -> None:
    await fetch(transport, request_to(URL, content=bytes(200_000), write=9.0))


async def upload_pieces(transport: StreamingTransport) -> None:
    async with aclosing(pieces()) as source:  # httpx wraps it and does not close what it wraps
        await fetch(transport, request_to(URL, content=source))


async def secure(transport: StreamingTransport) -> None:
    await fetch(transport, request_to("https://upstream/", content=bytes(50_000), connect=9.0))


async def with_client(transport: StreamingTransport) -> None:
    client = httpx.AsyncClient(transport=transport, trust_env=False)
    async with client.stream("POST", URL, content=b"{}") as response:
        async for _ in response.aiter_raw():
            pass


SCENARIOS: dict[str, tuple[Callable[[StreamingTransport], Awaitable[None]], Handler]] = {
    "one exchange": (once, answering(*STREAMED)),
    "a new and a reused connection": (twice, answering(*STREAMED)),
    "an upload": (upload, answering(*STREAMED)),
    "an upload from an iterator": (upload_pieces, answering(*STREAMED)),
    "an upload cut short by the answer": (upload, early),
    "tls": (secure, answering(*STREAMED)),
    "under a client": (with_client, answering(*STREAMED)),
}


@attrs.frozen
class Contexts:
    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    """A server's certificate for `upstream` and a client that trusts it."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("upstream").configure_cert(server)
    authority.configure_trust(client)
    return Contexts(server, client)


@pytest.mark.parametrize(("scenario", "handler"), SCENARIOS.values(), ids=SCENARIOS.keys())
@pytest.mark.parametrize("lockstep", [False, True], ids=["buffered", "lockstep"])
def test_cancelled_at_every_step_nothing_is_left(
    scenario: Callable[[StreamingTransport], Awaitable[None]], handler: Handler, lockstep: bool, contexts: Contexts
) -> None:
    """For step 1, 2, ... until the scenario ends first: no active exchange, only idle connections open, next one fine."""

    async def cancelled_at(step: int) -> bool:
        tls = contexts.server if scenario is secure else None
        async with memory_network(handler, lockstep=lockstep, tls=tls) as network:
            transport = StreamingTransport(network=network, ssl_context=contexts.client)
            async with trio.open_nursery() as nursery:
                instrument = CancelAtStep(nursery, nursery.cancel_scope, step)
                trio.lowlevel.add_instrument(instrument)
                nursery.start_soon(scenario, transport)
            trio.lowlevel.remove_instrument(instrument)
            statistics = transport.statistics()
            assert statistics.active == 0
            assert network.open == statistics.idle <= 1
            await scenario(transport)
            assert transport.statistics().active == 0
            assert network.open == transport.statistics().idle
            await transport.aclose()
            assert network.open == 0
        return instrument.fired

    steps = 0
    while trio.run(cancelled_at, steps + 1):
        steps += 1
    assert steps >= 6


async def bombard(rounds: int) -> None:
    """`rounds` exchanges on loopback sockets, 20 at a time, each cancelled after a random number of scheduler turns."""

    async def streaming(stream: trio.abc.Stream) -> None:
        requests = Requests(stream)
        while await requests.next() is not None:
            for write in STREAMED:
                await stream.send_all(write)
                await trio.lowlevel.checkpoint()

    outcomes = {"whole": 0, "cancelled": 0}

    async def one(seed: int) -> None:
        turns = random.Random(seed).randrange(60)
        size = random.Random(seed + 1).choice([2, 2, 2, 100_000])

        async def attempt(nursery: trio.Nursery) -> None:
            _, items = await fetch(transport, request_to(url, content=bytes(size)))
            assert b"".join(items) == b"abc" * 3
            outcomes["whole"] += 1
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(attempt, nursery)
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            if not nursery.cancel_scope.cancel_called:
                outcomes["cancelled"] += 1
                nursery.cancel_scope.cancel()

    async def worker(first: int) -> None:
        for seed in range(first, rounds, 20):
            await one(seed)

    async with loopback(streaming) as server, StreamingTransport() as transport:
        url = f"http://127.0.0.1:{server.port}/"
        async with trio.open_nursery() as nursery:
            for first in range(20):
                nursery.start_soon(worker, first)
        statistics = transport.statistics()
        assert statistics.active == 0
        assert statistics.idle <= 20
        assert sum(outcomes.values()) >= rounds
        assert min(outcomes.values()) > rounds // 10, outcomes
        _, items = await fetch(transport, request_to(url))
        assert b"".join(items) == b"abc" * 3
        await server.until_open(transport.statistics().idle)


@pytest.mark.long
async def test_two_thousand_random_cancels_leave_nothing() -> None:
    """No slot taken for ever, no socket open but the idle ones, and the next request is fine."""
    await bombard(2_000)


@pytest.mark.long
async def test_ten_thousand_random_cancels_leave_nothing() -> None:
    """The same, for as long as it took httpx's own pool to fill up with dead slots many times over."""
    await bombard(10_000)
