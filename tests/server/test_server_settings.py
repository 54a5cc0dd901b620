"""What the server under the doors does with connections, each measured on a socket."""

from __future__ import annotations

import socket
from contextlib import suppress

import h2.config
import h2.connection
import h2.events
import orjson
import pytest
import trio

import server
from engine.config import Server
from tests.routes.asgi_driver import CLOSED_SERVER, rehearsing, turn
from tests.server.serving import Client, got, posted, read_to_end, relaying, serving

#: Real processes and real waits.
pytestmark = pytest.mark.long

#: One door of each half: Quart and bare ASGI.
DOORS = [got("/health"), got("/nothing"), posted(), posted(turn(stream=False)), posted(b"{")]
CLOSING = [
    got("/health", "connection: close"),
    got("/v1/models", "connection: close"),
    posted(None, "connection: close"),
    posted(turn(stream=False), "connection: close"),
    posted(b"{", "connection: close"),
]


class TestKeepAlive:
    @pytest.mark.parametrize("request_", CLOSING)
    async def test_a_client_that_wants_no_more_is_closed_at_once(self, request_: bytes) -> None:
        """`Connection: close` closes after the answer, and not after the idle timeout of 75 s."""
        async with serving(rehearsing()) as running:
            client = Client(await running.connect())
            with trio.fail_after(3):
                await client.answer(request_)
                await client.closed()

    @pytest.mark.parametrize("request_", DOORS)
    async def test_an_idle_connection_is_closed(self, request_: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        """The timer starts again after each answer. Here it runs for 0.3 s."""
        async with serving(rehearsing(), monkeypatch, keep_alive_timeout=0.3) as running:
            client = Client(await running.connect())
            with trio.fail_after(5):
                for _ in range(2):
                    await client.answer(request_)
                idle_since = trio.current_time()
                assert 0.2 < await client.closed() - idle_since < 3

    async def test_a_stream_outlives_the_idle_timeout(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A connection with an answer under way is not idle, however long it says nothing."""
        async with serving(rehearsing("echo?words=2&gap_ms=100"), monkeypatch, keep_alive_timeout=0.05) as running:
            with trio.fail_after(10):
                status, body = await Client(await running.connect()).answer(posted())
        assert status == 200
        assert b"message_stop" in body

    async def test_one_connection_serves_more_than_a_thousand_requests(self) -> None:
        """hypercorn's own limit would close it under its client."""
        async with serving(rehearsing()) as running:
            client = Client(await running.connect())
            with trio.fail_after(20):
                for _ in range(1010):
                    status, _ = await client.answer(got("/v1/models"))
                    assert status == 200
                await client.answer(got("/health"))

    async def test_answers_name_no_server(self) -> None:
        """Nobody needs to know what is underneath."""
        async with serving(rehearsing()) as running:
            stream = await running.connect()
            await stream.send_all(got("/health", "connection: close"))
            head = (await read_to_end(stream)).lower()
        assert head.startswith(b"http/1.1 200")
        assert b"hypercorn" not in head
        assert b"\nserver:" not in head


class TestBodies:
    @pytest.mark.parametrize("size", [5_000_000, 200_000])
    async def test_an_early_refusal_reaches_a_client_that_is_still_sending(self, size: int) -> None:
        """401 without a look at the body; the client reads it, and the handler ends."""
        async with serving(rehearsing(server=CLOSED_SERVER)) as running:
            for count in range(1, 6):
                stream = await running.connect()
                with trio.fail_after(5):
                    answer = b""
                    async with trio.open_nursery() as nursery:

                        async def send(stream: trio.SocketStream = stream) -> None:
                            with suppress(trio.BrokenResourceError):
                                await stream.send_all(posted(b"x" * size))

                        nursery.start_soon(send)
                        while b"authentication_error" not in answer:
                            answer += await stream.receive_some(65536)
                    assert answer.startswith(b"HTTP/1.1 401")
                    assert (await running.logged(count))[-1].status == 401

    async def test_an_early_refusal_is_kept_for_a_client_that_reads_late(self) -> None:
        """One that writes its whole body before it reads anything, as simple clients do."""
        async with serving(rehearsing(server=Server(max_body_bytes=1000))) as running:
            stream = await running.connect()
            with trio.fail_after(5):
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(posted(b"x" * 30_000_000))
                answer = b""
                while b"request_too_large" not in answer:
                    more = await stream.receive_some(65536)
                    assert more, "closed without an answer"
                    answer += more

    async def test_thirty_megabytes_pass(self) -> None:
        """A body with images; Claude Code sends them up to 32 MB."""
        content = "x" * 30_000_000
        body = turn(stream=False, messages=[{"role": "user", "content": content}])
        async with serving(rehearsing()) as running:
            with trio.fail_after(10):
                status, _ = await Client(await running.connect()).answer(posted(body))
        assert status == 200

    async def test_a_slow_body_is_refused_and_its_connection_closed(self) -> None:
        """Half a body and then nothing: 408 at the limit."""
        async with serving(rehearsing(server=Server(body_s=0.3))) as running:
            stream = await running.connect()
            with trio.fail_after(5):
                await stream.send_all(posted(b"{", length=100))
                assert (await read_to_end(stream)).startswith(b"HTTP/1.1 408")

    async def test_a_large_head_passes(self) -> None:
        """Twenty kilobytes of headers, sent at once."""
        async with serving(rehearsing()) as running:
            with trio.fail_after(5):
                request = posted(None, *(f"x-filler-{n}: {'y' * 1000}" for n in range(20)))
                status, _ = await Client(await running.connect()).answer(request)
        assert status == 200


class TestProtocols:
    @pytest.mark.parametrize(
        "request_",
        [
            posted(None, "transfer-encoding: chunked"),
            b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /providers HTTP/1.1\r\nhost: localhost\r\n\r\n",
            b"GET /health HTTP/1.1\r\nhost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"
            b"GET /providers HTTP/1.1\r\nhost: localhost\r\n\r\n",
        ],
    )
    async def test_a_request_with_two_lengths_is_refused_and_the_connection_closed(self, request_: bytes) -> None:
        """What follows it on the connection may be what somebody before us took for its body: it is not answered."""
        async with serving(rehearsing()) as running:
            stream = await running.connect()
            with trio.fail_after(5):
                await stream.send_all(request_)
                answer = await read_to_end(stream)
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"\r\nconnection: close\r\n" in answer.lower()
        assert b"invalid_request_error" in answer
        assert answer.count(b"HTTP/1.1 ") == 1
        assert [line.status for line in running.lines] == [400]

    async def test_cleartext_http2_is_refused(self) -> None:
        """With prior knowledge: 505 and an error object, since hypercorn has no back-pressure there."""
        connection = h2.connection.H2Connection(h2.config.H2Configuration())
        connection.initiate_connection()
        fields = {":method": "POST", ":path": "/v1/messages", ":scheme": "http", ":authority": "test"}
        connection.send_headers(1, list(fields.items()))
        connection.send_data(1, turn(), end_stream=True)
        status, body = b"", b""
        async with serving(rehearsing("echo?words=100000&gap_ms=0")) as running:
            stream = await running.connect()
            with trio.fail_after(5):
                await stream.send_all(connection.data_to_send())
                ended = False
                while not ended:
                    for event in connection.receive_data(await stream.receive_some(65536)):
                        if isinstance(event, h2.events.ResponseReceived):
                            status = dict(event.headers)[b":status"]
                        elif isinstance(event, h2.events.DataReceived):
                            body += event.data or b""
                        ended |= isinstance(event, h2.events.StreamEnded)
        assert status == b"505"
        assert orjson.loads(body)["error"]["type"] == "api_error"

    async def test_a_websocket_nobody_serves_is_refused(self) -> None:
        """With an HTTP status, at once."""
        upgrade = ("connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13")
        async with serving(rehearsing()) as running:
            stream = await running.connect()
            with trio.fail_after(5):
                await stream.send_all(got("/api/events", *upgrade, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="))
                assert (await stream.receive_some(65536)).startswith(b"HTTP/1.1 403")

    async def test_what_is_no_http_is_refused(self) -> None:
        """And its connection closed."""
        async with serving(rehearsing()) as running:
            stream = await running.connect()
            with trio.fail_after(5):
                await stream.send_all(b"hello there\r\n\r\n")
                assert (await read_to_end(stream)).startswith(b"HTTP/1.1 400")

    async def test_a_break_on_purpose_looks_like_a_break(self) -> None:
        """A provider that stops before a block was finished: the connection closes without the last chunk."""
        async with serving(rehearsing("echo?fault=cut&words=8")) as running:
            stream = await running.connect()
            with trio.fail_after(5):
                await stream.send_all(posted())
                answer = await read_to_end(stream)
        assert b"text_delta" in answer
        assert not answer.endswith(b"0\r\n\r\n")


class TestSettings:
    """What cannot be waited for in a test is at least what it was meant to be."""

    def test_hypercorn_leaves_the_drain_to_us(self) -> None:
        """Its own limit, a cut without an ending, comes after ours."""
        config = rehearsing(server=Server(drain_s=20))
        sock = server.listen("127.0.0.1", 0)
        settings = server.hypercorn_config(config, sock)
        with socket.socket(fileno=int(settings.bind[0].removeprefix("fd://"))):
            assert settings.graceful_timeout > 20 + server.ENDINGS_S
        assert settings.read_timeout is None
        assert settings.alpn_protocols == ["http/1.1"]
        assert settings.accesslog is None

    def test_the_listening_socket_finds_out_dead_peers(self) -> None:
        """Accepted sockets inherit its options."""
        with server.listen("127.0.0.1", 0) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == server.USER_TIMEOUT_MS


@pytest.mark.long
async def test_a_client_that_only_listens_for_seventy_seconds_gets_all_of_it() -> None:
    """No limit of the server, of Quart or of hypercorn cuts a healthy stream; pings keep it alive while it is silent."""
    async with serving(rehearsing("echo?words=2&gap_ms=12000")) as running:
        with trio.fail_after(110):
            status, body = await Client(await running.connect()).answer(posted())
    assert status == 200
    assert body.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert body.count(b"event: ping") >= 4


async def test_hundreds_connect_at_once() -> None:
    """The queue of connections not yet accepted is long enough: a hundred is hypercorn's."""
    async with serving(relaying()) as running:
        socks = [socket.socket() for _ in range(400)]
        try:
            for sock in socks:  # without a checkpoint, so nothing is accepted meanwhile
                sock.setblocking(True)
                sock.settimeout(2)
                sock.connect(("127.0.0.1", running.port))
            client = Client(await running.connect())
            with trio.fail_after(10):
                assert (await client.answer(got("/health")))[0] == 200
        finally:
            for sock in socks:
                sock.close()
