"""The transport as its callers use it: exchanges, reuse, uploads."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest
import trio
from trio.testing import MockClock

from tests.transports.faulty import Requests, answering, fetch, hang, loopback, memory_network, read_head, request_to
from transports.http import StreamingTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
URL = "http://upstream/v1/messages"


async def test_an_exchange_without_a_client() -> None:
    """Head and body, one item per read, and the connection is idle afterwards."""
    async with memory_network(answering(CHUNKED + b"2\r\nab\r\n1\r\nc\r\n", b"0\r\n\r\n")) as network:
        transport = StreamingTransport(network=network)
        response, items = await fetch(transport, request_to(URL, content=b"{}"))
        assert (response.status_code, response.http_version, response.reason_phrase) == (200, "HTTP/1.1", "OK")
        assert items == [b"abc"]
        assert response.extensions["hedgerow.reused"] is False
        statistics = transport.statistics()
        assert (statistics.idle, statistics.active, statistics.opened, statistics.reused) == (1, 0, 1, 0)
        assert network.hosts == [("upstream", 80)]


async def test_exchanges_under_a_client() -> None:
    """`httpx.AsyncClient` gets whole bodies, raw streams and errors by status as from its own transport."""
    async with memory_network(answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")) as network:
        transport = StreamingTransport(network=network)
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            response = await client.post(URL, json={"model": "m"})
            assert response.json() == {}
            with pytest.raises(httpx.HTTPStatusError):
                response.raise_for_status()
            async with client.stream("GET", URL) as streamed:
                assert [item async for item in streamed.aiter_raw()] == [b"{}"]
            assert transport.statistics().reused == 1
        assert (network.open, transport.statistics().idle) == (0, 0)


async def test_a_response_that_comes_in_one_read_costs_one_read() -> None:
    """What the first read brought beyond the head is delivered without another."""
    async with memory_network(answering(OK)) as network:
        assert (await fetch(StreamingTransport(network=network), request_to(URL)))[1] == [b"ok"]
        assert network.streams[0].reads == 1


async def test_bytes_are_passed_on_as_they_came() -> None:
    """Unicode line separators stay bytes, and a content coding stays on."""
    odd = "\u2028\u2029\x85\ufeff".encode() + b"\xff\x00\x1f\x8b"
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(odd)
    async with memory_network(answering(head + odd)) as network:
        response, items = await fetch(StreamingTransport(network=network), request_to(URL))
        assert items == [odd]
        assert response.headers["content-encoding"] == "gzip"


async def test_the_request_arrives_as_given() -> None:
    """Target, header order and spelling, and body."""
    seen: list[bytes] = []

    async def handler(stream: trio.abc.Stream) -> None:
        seen.append(await read_head(stream) + bytes(await stream.receive_some(2)))
        await stream.send_all(OK)

    request = httpx.Request(
        "POST", "http://upstream:81/v1/messages?beta=true", headers={"x-B": "1", "X-a": "2"}, content=b"{}"
    )
    async with memory_network(handler) as network:
        await fetch(StreamingTransport(network=network), request)
    assert seen == [
        b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: upstream:81\r\nx-B: 1\r\nX-a: 2\r\nContent-Length: 2\r\n\r\n{}"
    ]


@pytest.mark.parametrize(
    ("url", "address", "host"),
    [
        ("http://127.0.0.1:81/", ("127.0.0.1", 81), b"127.0.0.1:81"),
        ("http://[::1]/", ("::1", 80), b"[::1]"),
        ("http://b\u00fccher.example/", ("xn--bcher-kva.example", 80), b"xn--bcher-kva.example"),
    ],
)
async def test_hosts_are_connected_to_by_name_or_literal(url: str, address: tuple[str, int], host: bytes) -> None:
    """Brackets belong to the URL and the Host header only; names are sent in their ASCII form."""
    heads: list[bytes] = []

    async def handler(stream: trio.abc.Stream) -> None:
        heads.append(await read_head(stream))
        await stream.send_all(OK)

    async with memory_network(handler) as network:
        await fetch(StreamingTransport(network=network), request_to(url, method="GET"))
        assert network.hosts == [address]
    assert b"\r\nHost: " + host + b"\r\n" in heads[0]


@pytest.mark.parametrize("url", ["ftp://h/", "unix:/x", "/v1/messages", "http:///v1"])
async def test_other_urls_are_refused(url: str) -> None:
    """Before anything is connected."""
    async with memory_network(hang) as network:
        with pytest.raises(httpx.UnsupportedProtocol):
            await fetch(StreamingTransport(network=network), request_to(url))
        assert network.hosts == []


async def test_a_request_with_an_injected_header_is_refused_before_connecting() -> None:
    """And the value, which may be a key, is not in the error."""
    request = httpx.Request("POST", URL, headers=[(b"x-api-key", b"sk-1\r\nInjected: yes")])
    async with memory_network(hang) as network:
        with pytest.raises(httpx.LocalProtocolError, match="x-api-key") as caught:
            await fetch(StreamingTransport(network=network), request)
        assert "sk-1" not in str(caught.value)
        assert caught.value.request is request
        assert network.hosts == []


async def test_the_connection_used_last_is_used_next() -> None:
    """Of two idle connections the warmer one serves."""
    async with memory_network(answering(OK)) as network:
        transport = StreamingTransport(network=network)
        first = await transport.handle_async_request(request_to(URL))
        second = await transport.handle_async_request(request_to(URL))
        for response in (second, first):
            assert await response.aread() == b"ok"
        reads = [stream.reads for stream in network.streams]
        response, _ = await fetch(transport, request_to(URL))
        assert response.extensions["hedgerow.reused"] is True
        assert [stream.reads for stream in network.streams] == [reads[0] + 1, reads[1]]


@pytest.mark.parametrize(
    "writes",
    [
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"],
        [b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
        [OK + b"!"],
        [CHUNKED + b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok!"],
    ],
    ids=["close", "1.0", "surplus with the head", "surplus after chunks", "surplus with the body"],
)
async def test_a_doubtful_connection_is_not_used_again(writes: list[bytes]) -> None:
    """The response is whole; the connection closes behind it."""
    async with memory_network(answering(*writes)) as network:
        transport = StreamingTransport(network=network)
        assert (await fetch(transport, request_to(URL)))[1] == [b"ok"]
        assert (network.open, transport.statistics().idle, transport.statistics().active) == (0, 0, 0)


async def test_surplus_behind_a_response_without_body_is_noticed() -> None:
    """A 204 with bytes behind it would otherwise answer the next request."""
    async with memory_network(answering(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")) as network:
        assert (await fetch(StreamingTransport(network=network), request_to(URL)))[1] == []
        assert network.open == 0


async def test_a_body_not_read_to_its_end_closes_its_connection() -> None:
    """At once, at `aclose`, which may be called twice; reading on then is an error and no end."""
    async with memory_network(answering(CHUNKED + b"2\r\nok\r\n")) as network:
        transport = StreamingTransport(network=network)
        response = await transport.handle_async_request(request_to(URL))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body = aiter(response.stream)
        assert await anext(body) == b"ok"
        await response.stream.aclose()
        await response.stream.aclose()
        assert (network.open, transport.statistics().active) == (0, 0)
        with pytest.raises(httpx.StreamClosed):
            await anext(body)


async def test_closing_behind_the_last_item_keeps_the_connection() -> None:
    """A reader that knows it has everything need not ask for the end."""
    async with memory_network(answering(OK)) as network:
        transport = StreamingTransport(network=network)
        response = await transport.handle_async_request(request_to(URL))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body = aiter(response.stream)
        assert await anext(body) == b"ok"
        await response.stream.aclose()
        assert transport.statistics().idle == 1
        with pytest.raises(StopAsyncIteration):
            await anext(body)


async def test_idle_connections_expire(autojump_clock: MockClock) -> None:
    """On the next request to the origin, or by a sweep; at the second, not after it."""
    async with memory_network(answering(OK)) as network:
        transport = StreamingTransport(network=network, keepalive_expiry_s=30.0)
        await fetch(transport, request_to(URL))
        await trio.sleep(29.9)
        assert (await fetch(transport, request_to(URL)))[0].extensions["hedgerow.reused"] is True
        await trio.sleep(30.0)
        assert (await fetch(transport, request_to(URL)))[0].extensions["hedgerow.reused"] is False
        assert network.open == 1
        await trio.sleep(30.0)
        await transport.sweep()
        assert (network.open, transport.statistics().idle) == (0, 0)


async def test_closing_the_transport_lets_running_exchanges_finish() -> None:
    """Idle connections close now, the others with their response; new requests are refused."""
    async with memory_network(answering(OK)) as network:
        async with StreamingTransport(network=network) as transport:
            await fetch(transport, request_to(URL))
            running = await transport.handle_async_request(request_to(URL))
            other = await transport.handle_async_request(request_to(URL))
            await other.aread()
            assert (network.open, transport.statistics().idle) == (2, 1)
        assert network.open == 1
        assert await running.aread() == b"ok"
        assert (network.open, transport.statistics().active) == (0, 0)
        with pytest.raises(RuntimeError, match="closed"):
            await fetch(transport, request_to(URL))


async def test_idle_connections_do_not_slow_a_request() -> None:
    """With 150 of them on real sockets, a request looks at one."""
    async with loopback(answering(OK)) as server, StreamingTransport(max_idle_per_origin=200) as transport:
        url = f"http://127.0.0.1:{server.port}/"
        responses = [await transport.handle_async_request(request_to(url)) for _ in range(150)]
        for response in responses:
            await response.aread()
        before = transport.statistics()
        assert (before.idle, before.opened) == (150, 150)
        await fetch(transport, request_to(url))
        after = transport.statistics()
        assert (after.probed - before.probed, after.reused - before.reused, after.opened) == (1, 1, 150)


async def test_a_connection_the_server_closed_while_idle_is_noticed() -> None:
    """The next request goes out on a new one; nothing fails and nothing is tried twice."""
    closed = trio.Event()

    async def once(stream: trio.abc.Stream) -> None:
        await Requests(stream).next()
        await stream.send_all(OK)
        await stream.aclose()
        closed.set()

    async with loopback(once) as server, StreamingTransport() as transport:
        url = f"http://127.0.0.1:{server.port}/"
        await fetch(transport, request_to(url))
        await closed.wait()
        assert (await fetch(transport, request_to(url)))[1] == [b"ok"]
        statistics = transport.statistics()
        assert (statistics.opened, statistics.reused, statistics.probed) == (2, 0, 1)


async def _numbered(count: int, size: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * size


async def test_a_body_of_30_mb_arrives_whole() -> None:
    """Over a real socket, and the connection is good for the next request."""
    content = b"".join([piece async for piece in _numbered(30 * 16, 65_537)])
    digests: list[str] = []

    async def handler(stream: trio.abc.Stream) -> None:
        requests = Requests(stream)
        while (received := await requests.next()) is not None:
            digests.append(hashlib.sha256(received[1]).hexdigest())
            await stream.send_all(OK)

    async with loopback(handler) as server, StreamingTransport() as transport:
        url = f"http://127.0.0.1:{server.port}/"
        assert (await fetch(transport, request_to(url, content=content, write=10.0)))[1] == [b"ok"]
        response, _ = await fetch(transport, request_to(url, content=b"x"))
        assert response.extensions["hedgerow.reused"] is True
    assert digests == [hashlib.sha256(content).hexdigest(), hashlib.sha256(b"x").hexdigest()]


async def test_a_body_from_an_iterator_is_sent_as_it_comes() -> None:
    """Chunked, and the connection is kept."""
    bodies: list[bytes] = []

    async def handler(stream: trio.abc.Stream) -> None:
        requests = Requests(stream)
        while (received := await requests.next()) is not None:
            bodies.append(received[1])
            await stream.send_all(OK)

    async with memory_network(handler) as network:
        transport = StreamingTransport(network=network)
        await fetch(transport, request_to(URL, content=_numbered(3, 70_000)))
        assert transport.statistics().idle == 1
    assert bodies == [b"".join(bytes([number]) * 70_000 for number in range(3))]


async def test_a_failing_body_iterator_fails_the_request_with_its_own_error() -> None:
    """The caller's exception comes back as it is, and the connection closes."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"a"
        raise LookupError("no more")

    async with memory_network(answering(OK)) as network:
        transport = StreamingTransport(network=network)
        with pytest.raises(LookupError, match="no more"):
            await fetch(transport, request_to(URL, content=failing()))
        assert (network.open, transport.statistics().active) == (0, 0)


EARLY_401 = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\n\r\nbad key"


@pytest.mark.parametrize("afterwards", [hang, trio.aclose_forcefully], ids=["stays open", "closes"])
async def test_an_answer_during_the_upload_is_heard(afterwards: object) -> None:
    """A 401 with 5 MB unread, over real sockets, whether or not the server then closes (and so resets)."""

    async def handler(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await stream.send_all(EARLY_401)
        assert callable(afterwards)
        await afterwards(stream)

    async with loopback(handler) as server, StreamingTransport() as transport:
        request = request_to(f"http://127.0.0.1:{server.port}/", content=bytes(5_000_000), write=30.0)
        for _ in range(5):
            response, items = await fetch(transport, request)
            assert (response.status_code, b"".join(items)) == (401, b"bad key")
        statistics = transport.statistics()
        assert (statistics.idle, statistics.active, statistics.opened) == (0, 0, 5)


async def test_an_answer_during_the_upload_ends_the_upload(autojump_clock: MockClock) -> None:
    """Where the peer reads nothing more, the answer comes at once and not with a timeout."""

    async def handler(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await trio.sleep(1)
        await stream.send_all(EARLY_401)
        await trio.sleep_forever()

    async with memory_network(handler, lockstep=True) as network:
        transport = StreamingTransport(network=network)
        start_s = trio.current_time()
        response, items = await fetch(transport, request_to(URL, content=bytes(5_000_000), write=10.0, read=10.0))
        assert (response.status_code, items, trio.current_time() - start_s) == (401, [b"bad key"], 1.0)
        assert (network.open, transport.statistics().active) == (0, 0)
