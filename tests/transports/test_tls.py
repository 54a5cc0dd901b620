"""TLS: who is trusted, what is said when somebody is not, and what it must not cost."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import attrs
import httpx
import pytest
import trio
import trustme
from trio.testing import MockClock

from tests.transports.faulty import (
    Requests,
    answering,
    fetch,
    hang,
    linger,
    loopback,
    memory_network,
    read_head,
    request_to,
    reset,
)
from transports._connection import client_context
from transports.http import StreamingTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
URL = "https://upstream/"


@attrs.frozen
class Authority:
    """Makes servers' contexts, and clients' that trust them."""

    ca: trustme.CA = attrs.field(factory=trustme.CA)

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.ca.issue_cert(*names).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_trusted_server_is_spoken_to(authority: Authority, version: ssl.TLSVersion) -> None:
    """By address, over real sockets, in both versions; the connection is reused; HTTP/1.1 is what was agreed on."""
    agreed: list[str | None] = []

    async def handler(stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.SSLStream)
        requests = Requests(stream)
        while await requests.next() is not None:
            agreed.append(stream.selected_alpn_protocol())
            await stream.send_all(OK)

    context = authority.server("127.0.0.1")
    context.maximum_version = version
    async with loopback(handler, tls=context) as server:
        async with StreamingTransport(ssl_context=authority.client()) as transport:
            for _ in range(3):
                _, items = await fetch(transport, request_to(f"https://127.0.0.1:{server.port}/", content=b"{}"))
                assert items == [b"ok"]
            assert (transport.statistics().opened, transport.statistics().reused) == (1, 2)
        await server.until_open(0)
    assert agreed == ["http/1.1"] * 3


async def test_a_large_upload_over_tls_arrives_whole(authority: Authority) -> None:
    """Many records each way."""
    sizes: list[int] = []

    async def handler(stream: trio.abc.Stream) -> None:
        requests = Requests(stream)
        while (received := await requests.next()) is not None:
            sizes.append(len(received[1]))
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000))

    async with loopback(handler, tls=authority.server("127.0.0.1")) as server:
        async with StreamingTransport(ssl_context=authority.client()) as transport:
            request = request_to(f"https://127.0.0.1:{server.port}/", content=bytes(5_000_000), read=9.0, write=9.0)
            _, items = await fetch(transport, request)
            assert (sizes, sum(map(len, items)), transport.statistics().idle) == ([5_000_000], 1_000_000, 1)


@pytest.mark.parametrize(
    ("names", "client", "reason"),
    [
        (["127.0.0.1"], lambda _: None, "127.0.0.1 is not accepted: (self-signed|unable to get local issuer)"),
        (["localhost"], Authority.client, r"127.0.0.1 is not accepted: IP address mismatch.*127\.0\.0\.1"),
    ],
    ids=["unknown authority", "wrong host"],
)
async def test_a_certificate_not_accepted_names_the_reason(
    authority: Authority, names: list[str], client: Callable[[Authority], ssl.SSLContext | None], reason: str
) -> None:
    """In words and as the cause; nothing stays open."""
    async with loopback(linger, tls=authority.server(*names)) as server:
        transport = StreamingTransport(ssl_context=client(authority))
        with pytest.raises(httpx.ConnectError, match=f"TLS: the certificate of {reason}") as caught:
            await fetch(transport, request_to(f"https://127.0.0.1:{server.port}/"))
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        assert transport.statistics().active == 0
        await server.until_open(0)


async def test_the_host_name_is_checked_and_sent(authority: Authority) -> None:
    """A name in the URL is the name asked for, and one not in the certificate is refused."""
    asked: list[str | None] = []
    context = authority.server("upstream")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with memory_network(answering(OK), tls=context) as network:
        transport = StreamingTransport(network=network, ssl_context=authority.client())
        await fetch(transport, request_to(URL))
        with pytest.raises(httpx.ConnectError, match="Hostname mismatch, certificate is not valid for 'other'"):
            await fetch(transport, request_to("https://other/"))
    assert asked == ["upstream", "other"]
    assert network.hosts == [("upstream", 443), ("other", 443)]


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (answering(OK), "closed the connection during the handshake"),  # cannot make a request of a ClientHello
        (trio.aclose_forcefully, "closed the connection during the handshake|broke during the handshake"),
        (reset, "broke during the handshake: .*reset"),
    ],
    ids=["speaks http", "closes", "resets"],
)
async def test_a_server_without_tls_names_the_reason(handler: Callable[..., object], reason: str) -> None:
    """What an operator sees who wrote https for http."""

    async def serve(stream: trio.abc.Stream) -> None:
        if handler is reset:
            await stream.receive_some(1)
        await handler(stream)  # type: ignore[misc]

    async with loopback(serve) as server:
        with pytest.raises(httpx.ConnectError, match=rf"TLS: .*127\.0\.0\.1:{server.port} .*({reason})"):
            await fetch(StreamingTransport(), request_to(f"https://127.0.0.1:{server.port}/"))
        await server.until_open(0)


async def test_a_plain_answer_to_a_handshake_names_the_reason() -> None:
    """nginx answers a handshake on its plain port with a 400 in plain text."""

    async def serve(stream: trio.abc.Stream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await linger(stream)

    async with loopback(serve) as server:
        with pytest.raises(httpx.ConnectError, match=r"TLS: no handshake with .*: wrong version number"):
            await fetch(StreamingTransport(), request_to(f"https://127.0.0.1:{server.port}/"))
        await server.until_open(0)


async def test_all_records_of_one_read_are_one_item(authority: Authority) -> None:
    """Fifty events in fifty records that arrived together leave together."""
    events = [b"event: ping\ndata: %d\n\n" % number for number in range(50)]

    async def bursting(stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.SSLStream)
        await Requests(stream).next()
        await stream.send_all(CHUNKED)
        wire = bytearray()
        far, stream.transport_stream = stream.transport_stream, Collector(wire)
        for event in events:
            await stream.send_all(b"%x\r\n%b\r\n" % (len(event), event))
        stream.transport_stream = far
        await far.send_all(wire)
        await linger(stream)

    async with memory_network(bursting, tls=authority.server("upstream")) as network:
        transport = StreamingTransport(network=network, ssl_context=authority.client())
        response = await transport.handle_async_request(request_to(URL))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        assert await anext(aiter(response.stream)) == b"".join(events)
        await response.stream.aclose()


class Collector(trio.abc.SendStream):
    """Keeps what is sent, so that many TLS records can go out in one piece."""

    def __init__(self, wire: bytearray) -> None:
        self._wire = wire

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self._wire += data

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_records_left_over_spend_the_connection(authority: Authority) -> None:
    """A second response in a record of its own, behind the first, must not become the answer to the next request."""
    async with memory_network(answering(OK + b"!"), tls=authority.server("upstream")) as network:
        transport = StreamingTransport(network=network, ssl_context=authority.client())
        assert (await fetch(transport, request_to(URL)))[1] == [b"ok"]
        assert (network.open, transport.statistics().idle) == (0, 0)


async def test_a_farewell_behind_the_response_spends_the_connection(authority: Authority) -> None:
    """It came in the same read, so the socket has nothing to show when the connection is about to be used again."""

    async def handler(stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.SSLStream)
        await Requests(stream).next()
        wire = bytearray()
        far, stream.transport_stream = stream.transport_stream, Collector(wire)
        await stream.send_all(OK)
        await stream.aclose()
        await far.send_all(wire)
        await linger(far)

    async with memory_network(handler, tls=authority.server("upstream")) as network:
        transport = StreamingTransport(network=network, ssl_context=authority.client())
        for _ in range(2):
            assert (await fetch(transport, request_to(URL)))[1] == [b"ok"]
        assert (len(network.streams), network.open, transport.statistics().reused) == (2, 1, 0)


async def test_an_end_without_farewell_ends_an_unframed_body(authority: Authority) -> None:
    """Half the servers of the world close TLS by closing TCP."""

    async def handler(stream: trio.abc.Stream) -> None:
        await Requests(stream).next()
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\nso far")

    async with memory_network(handler, tls=authority.server("upstream")) as network:
        transport = StreamingTransport(network=network, ssl_context=authority.client())
        assert b"".join((await fetch(transport, request_to(URL)))[1]) == b"so far"


async def test_an_end_inside_a_framed_body_is_a_fault_over_tls_too(authority: Authority) -> None:
    """A cut body never passes for a whole one."""

    async def handler(stream: trio.abc.Stream) -> None:
        await Requests(stream).next()
        await stream.send_all(CHUNKED + b"5\r\nab")

    async with memory_network(handler, tls=authority.server("upstream")) as network:
        transport = StreamingTransport(network=network, ssl_context=authority.client())
        with pytest.raises(httpx.RemoteProtocolError):
            await fetch(transport, request_to(URL))
        assert network.open == 0


async def test_a_broken_record_is_a_read_error(authority: Authority) -> None:
    """With OpenSSL's reason in the message."""

    async def handler(stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.SSLStream)
        await Requests(stream).next()
        await stream.send_all(CHUNKED + b"2\r\nok\r\n")
        await stream.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
        await linger(stream)

    async with memory_network(handler, tls=authority.server("upstream")) as network:
        transport = StreamingTransport(network=network, ssl_context=authority.client())
        with pytest.raises(httpx.ReadError, match=r"TLS: .*MAC"):
            await fetch(transport, request_to(URL))
        assert network.open == 0


async def test_an_answer_during_the_upload_is_read_to_its_end(authority: Authority, autojump_clock: MockClock) -> None:
    """The abandoned write does not take the reading side with it: the body still comes, a second later."""

    async def handler(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\n\r\nbad")
        await trio.sleep(1)
        await stream.send_all(b" key")
        await trio.sleep_forever()

    tls = authority.server("upstream")
    async with memory_network(handler, tls=tls, lockstep=True) as network:
        transport = StreamingTransport(network=network, ssl_context=authority.client())
        response, items = await fetch(transport, request_to(URL, content=bytes(5_000_000), write=10.0, read=10.0))
        assert (response.status_code, b"".join(items)) == (401, b"bad key")
        assert (network.open, transport.statistics().active) == (0, 0)


async def test_a_cancelled_read_closes_without_a_farewell(authority: Authority) -> None:
    """The server sees the end of the stream at once; nobody waits for anybody's `close_notify`."""
    async with memory_network(answering(CHUNKED + b"1\r\na\r\n"), tls=authority.server("upstream")) as network:
        transport = StreamingTransport(network=network, ssl_context=authority.client())
        response = await transport.handle_async_request(request_to(URL))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body = aiter(response.stream)
        assert await anext(body) == b"a"
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(body)
        assert scope.cancelled_caught
        assert (network.open, transport.statistics().active) == (0, 0)


def test_the_default_context_verifies_and_offers_nothing_but_http_1_1() -> None:
    """What the transport makes when it is given none."""
    context = client_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.options & ssl.OP_NO_RENEGOTIATION


async def test_a_plain_http_transport_builds_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building one takes 15 ms; a local runtime needs none."""
    monkeypatch.setattr("transports._connection.httpx.create_ssl_context", hang)
    async with memory_network(answering(OK)) as network:
        assert (await fetch(StreamingTransport(network=network), request_to("http://upstream/")))[1] == [b"ok"]
