"""Every way an exchange can fail, in every phase: the class, the reason in words, the time, and nothing left behind."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import trio
from trio.testing import MockClock

from tests.transports.faulty import (
    Handler,
    Requests,
    answering,
    fetch,
    hang,
    linger,
    loopback,
    memory_network,
    request_to,
    reset,
)
from transports.http import StreamingTransport, is_stale

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
URL = "http://upstream/"


def saying(*writes: bytes, then: Callable[[trio.abc.Stream], Awaitable[object]]) -> Handler:
    """Reads one request, answers with `writes`, and does `then`."""

    async def handler(stream: trio.abc.Stream) -> None:
        await Requests(stream).next()
        for write in writes:
            await stream.send_all(write)
        await then(stream)

    return handler


async def collect(stream: httpx.AsyncByteStream, items: list[bytes]) -> None:
    async for item in stream:
        items.append(item)


close = trio.aclose_forcefully

# (what the server does, the handler, the exception, what its message says)
FAULTS: list[tuple[str, Handler, type[httpx.TransportError], str]] = [
    ("closes at once", close, httpx.RemoteProtocolError, "Server disconnected without sending a response"),
    ("closes unanswered", saying(then=close), httpx.RemoteProtocolError, "Server disconnected without"),
    ("resets unanswered", saying(then=reset), httpx.ReadError, "reset by peer"),
    (
        "closes in the head",
        saying(b"HTTP/1.1 200 OK\r\nA:", then=close),
        httpx.RemoteProtocolError,
        "inside the respon",
    ),
    ("resets in the head", saying(b"HTTP/1.1 200 OK\r\nA:", then=reset), httpx.ReadError, "reset by peer"),
    ("closes in the body", saying(OK[:-1], then=close), httpx.RemoteProtocolError, "1 bytes of the body missing"),
    ("resets in the body", saying(OK[:-1], then=reset), httpx.ReadError, "reset by peer"),
    ("closes in a chunk", saying(CHUNKED + b"5\r\nab", then=close), httpx.RemoteProtocolError, "incomplete chunked"),
    ("closes before the last", saying(CHUNKED + b"1\r\na\r\n", then=close), httpx.RemoteProtocolError, "incomplete"),
    ("bad chunk", saying(CHUNKED + b"zz\r\n", then=linger), httpx.RemoteProtocolError, "illegal chunk header"),
    (
        "bad chunk behind a good",
        saying(CHUNKED + b"1\r\na\r\nzz\r\n", then=linger),
        httpx.RemoteProtocolError,
        "illegal",
    ),
    ("bad status line", saying(b"SSH-2.0-OpenSSH_9.6\r\n", then=linger), httpx.RemoteProtocolError, "illegal status"),
    (
        "huge head",
        saying(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000, then=linger),
        httpx.RemoteProtocolError,
        "longer than",
    ),
]


@pytest.mark.parametrize(("handler", "kind", "message"), [pytest.param(*row[1:], id=row[0]) for row in FAULTS])
@pytest.mark.parametrize("size", [2, 500_000], ids=["small", "large"])
async def test_each_fault_has_its_exception(
    handler: Handler, kind: type[httpx.TransportError], message: str, size: int
) -> None:
    """On a real connection, with a small request and with a large one; no socket and no slot is left."""
    async with loopback(handler) as server, StreamingTransport() as transport:
        request = request_to(f"http://127.0.0.1:{server.port}/", content=bytes(size))
        with pytest.raises(httpx.TransportError) as caught:
            await fetch(transport, request)
        if handler is close and size > 2:  # the upload may run into the closed door before the end is read
            assert isinstance(caught.value, httpx.RemoteProtocolError | httpx.WriteError | httpx.ReadError)
        else:
            assert type(caught.value) is kind
            assert message in str(caught.value)
        assert caught.value.request is request
        assert not is_stale(caught.value)
        assert (transport.statistics().idle, transport.statistics().active) == (0, 0)
        await server.until_open(0)


async def test_what_came_before_a_fault_is_delivered() -> None:
    """The good chunk first, then the exception, then no pretence of an end."""
    async with memory_network(answering(CHUNKED + b"2\r\nok\r\nzz\r\n")) as network:
        response = await StreamingTransport(network=network).handle_async_request(request_to(URL))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body = aiter(response.stream)
        assert await anext(body) == b"ok"
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(body)
        assert network.open == 0
        with pytest.raises(httpx.StreamClosed):
            await anext(body)


async def test_an_end_without_framing_is_no_fault() -> None:
    """Only the reader of the events can tell a cut body of this kind from a whole one."""
    async with loopback(saying(b"HTTP/1.1 200 OK\r\n\r\n", b"so far", then=close)) as server:
        async with StreamingTransport() as transport:
            _, items = await fetch(transport, request_to(f"http://127.0.0.1:{server.port}/"))
            assert b"".join(items) == b"so far"
            assert (transport.statistics().idle, transport.statistics().active) == (0, 0)


async def test_a_refused_connection_says_so() -> None:
    """With the operating system's own error as the cause."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        with pytest.raises(httpx.ConnectError, match=rf"cannot connect to 127\.0\.0\.1:{port}: .*refused") as caught:
            await fetch(StreamingTransport(), request_to(f"http://127.0.0.1:{port}/"))
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "cannot resolve upstream: Name or service"),
        (OSError(101, "Network is unreachable"), "cannot connect to upstream:80: Network is unreachable"),
        (UnicodeError("label too long"), "upstream:80: not a valid address: label too long"),
        (OverflowError("port must be 0-65535"), "port must be 0-65535"),
    ],
)
async def test_a_failed_connect_names_the_reason(error: Exception, message: str) -> None:
    """A name that does not exist can be told from a host that does not answer, in words and by the cause."""

    async def network(host: str, port: int) -> trio.abc.Stream:
        raise error

    transport = StreamingTransport(network=network)
    with pytest.raises(httpx.ConnectError, match=message) as caught:
        await fetch(transport, request_to(URL))
    assert caught.value.__cause__ is error
    assert transport.statistics().active == 0


async def test_several_addresses_give_several_reasons() -> None:
    """Each once, however many addresses had it."""

    async def network(host: str, port: int) -> trio.abc.Stream:
        errors = [OSError(111, "Connection refused"), OSError(101, "No route"), OSError(111, "Connection refused")]
        raise OSError("all attempts failed") from ExceptionGroup("all attempts failed", errors)

    with pytest.raises(httpx.ConnectError, match=r"upstream:80: Connection refused, No route$"):
        await fetch(StreamingTransport(network=network), request_to(URL))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_silence_while_connecting_times_out(autojump_clock: MockClock, scheme: str) -> None:
    """At the connect timeout exactly, the TLS handshake included."""

    async def silent(host: str, port: int) -> trio.abc.Stream:
        if scheme == "http":
            await trio.sleep_forever()
        return await network(host, port)

    async with memory_network(hang) as network:
        transport = StreamingTransport(network=silent)
        start_s = trio.current_time()
        with pytest.raises(httpx.ConnectTimeout, match="within 8 s"):
            await fetch(transport, request_to(f"{scheme}://upstream/", connect=8.0, read=1.0, write=1.0))
        assert trio.current_time() - start_s == 8.0
        assert (network.open, transport.statistics().active) == (0, 0)


@pytest.mark.parametrize("size", [2, 500_000], ids=["small", "large"])
async def test_silence_before_the_head_times_out(autojump_clock: MockClock, size: int) -> None:
    """The read clock starts when the request is out: a slow reader is given the time it takes."""

    async def slow_reader(stream: trio.abc.Stream) -> None:
        left = size
        if size > 2:
            await stream.send_all(b"HTTP/1.1 102 Processing\r\n\r\n")
        while left > 0:
            await trio.sleep(4.0)
            data = await stream.receive_some(100_000)
            left -= len(data.split(b"\r\n\r\n", 1)[-1])
        sent_s.append(trio.current_time())
        await trio.sleep_forever()

    sent_s: list[float] = []
    async with memory_network(slow_reader, lockstep=True) as network:
        transport = StreamingTransport(network=network)
        with pytest.raises(httpx.ReadTimeout, match="nothing received for 5 s"):
            await fetch(transport, request_to(URL, content=bytes(size), read=5.0))
        assert [trio.current_time()] == [sent_s[0] + 5.0]
        assert (network.open, transport.statistics().active) == (0, 0)


async def test_silence_in_the_body_times_out(autojump_clock: MockClock) -> None:
    """Counted from the last read: a stream with a gap of 4.9 s every time never times out at 5."""

    async def pausing(stream: trio.abc.Stream) -> None:
        await Requests(stream).next()
        await stream.send_all(CHUNKED)
        for _ in range(10):
            await trio.sleep(4.9)
            await stream.send_all(b"1\r\na\r\n")
        await trio.sleep_forever()

    async with memory_network(pausing) as network:
        transport = StreamingTransport(network=network)
        items: list[bytes] = []
        start_s = trio.current_time()
        response = await transport.handle_async_request(request_to(URL, read=5.0))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        with pytest.raises(httpx.ReadTimeout, match="nothing received for 5 s"):
            await collect(response.stream, items)
        assert items == [b"a"] * 10
        assert trio.current_time() - start_s == pytest.approx(10 * 4.9 + 5.0, abs=1e-9)
        assert (network.open, transport.statistics().active) == (0, 0)


@pytest.mark.parametrize("size", [2, 500_000], ids=["small", "large"])
async def test_a_peer_that_stops_reading_times_out(autojump_clock: MockClock, size: int) -> None:
    """Counted from the last progress: 64 KiB every 3 s is fine with a write timeout of 5, nothing for 5 s is not."""
    progress_s = [trio.current_time()]

    async def stalling(stream: trio.abc.Stream) -> None:
        for _ in range(0 if size == 2 else 4):
            await trio.sleep(3.0)
            await stream.receive_some(64 * 1024)
            progress_s.append(trio.current_time())
        await trio.sleep_forever()

    async with memory_network(stalling, lockstep=True) as network:
        transport = StreamingTransport(network=network)
        with pytest.raises(httpx.WriteTimeout, match="took nothing of the request for 5 s"):
            await fetch(transport, request_to(URL, content=bytes(size), write=5.0, read=1.0))
        assert trio.current_time() == progress_s[-1] + 5.0
        assert (network.open, transport.statistics().active) == (0, 0)


async def test_the_time_a_body_iterator_takes_is_its_own(autojump_clock: MockClock) -> None:
    """A slow source of the request body is not the peer's stall."""

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(3):
            await trio.sleep(60)
            yield b"a"

    async with memory_network(answering(OK)) as network:
        _, items = await fetch(
            StreamingTransport(network=network), request_to(URL, content=slow(), write=1.0, read=1.0)
        )
        assert items == [b"ok"]


@pytest.mark.parametrize("size", [2, 500_000], ids=["small", "large"])
@pytest.mark.parametrize(
    ("ending", "kinds"),
    [(reset, (httpx.ReadError, httpx.WriteError)), (close, (httpx.RemoteProtocolError,))],
    ids=["reset", "close"],
)
async def test_a_failure_of_a_reused_connection_before_any_byte_is_marked(
    ending: Handler, kinds: tuple[type[Exception], ...], size: int
) -> None:
    """The caller may try such a request once more; the transport does not, and the next one is fine."""
    async with loopback(answering(OK, then=ending)) as server, StreamingTransport() as transport:
        url = f"http://127.0.0.1:{server.port}/"
        await fetch(transport, request_to(url))
        with pytest.raises(kinds) as caught:
            await fetch(transport, request_to(url, content=bytes(size)))
        assert is_stale(caught.value)
        assert caught.value.hedgerow_stale is True  # type: ignore[attr-defined]
        assert transport.statistics().opened == 1
        response, _ = await fetch(transport, request_to(url))
        assert response.extensions["hedgerow.reused"] is False


async def test_a_failure_of_a_reused_connection_after_a_byte_is_not_marked() -> None:
    """The server had begun to answer: it may have done the work."""

    async def half(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"H")

    async with memory_network(answering(OK, then=half)) as network:
        transport = StreamingTransport(network=network)
        await fetch(transport, request_to(URL))
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await fetch(transport, request_to(URL))
        assert not is_stale(caught.value)


async def test_a_timeout_on_a_reused_connection_is_not_marked(autojump_clock: MockClock) -> None:
    """Silence says nothing about the connection, and its time is spent."""
    async with memory_network(answering(OK, then=hang)) as network:
        transport = StreamingTransport(network=network)
        await fetch(transport, request_to(URL))
        with pytest.raises(httpx.ReadTimeout) as caught:
            await fetch(transport, request_to(URL, read=1.0))
        assert not is_stale(caught.value)


async def test_a_write_that_fails_with_no_answer_to_follow_is_a_write_error(autojump_clock: MockClock) -> None:
    """The answer is looked for, for a bounded time even without a read timeout."""

    class Deaf(trio.abc.Stream):
        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            raise trio.BrokenResourceError("broken pipe")

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        async def wait_send_all_might_not_block(self) -> None:
            raise AssertionError

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    async def network(host: str, port: int) -> trio.abc.Stream:
        return Deaf()

    start_s = trio.current_time()
    with pytest.raises(httpx.WriteError, match="broken pipe"):
        await fetch(StreamingTransport(network=network), request_to(URL, content=b"x"))
    assert trio.current_time() - start_s == 1.0
