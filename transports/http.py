"""HTTP/1.1 to providers: httpx's interface, our own engine under it.

httpx's default transport looks at every idle connection before each request, hands out a stream one event at a time
through five nested generators, enters a cancel scope per read, and loses pool slots to cancellation. A racing proxy does
little else than cancel streams, so this one is built from the other end: a read is one await on the socket and returns
one `bytes`; a cancelled exchange closes its connection at once and holds no slot, because there are none to wait for
(how many requests may run is the engine's business). What it does not do is proxies, HTTP/2 and retries; a provider
that needs those is given httpx's own transport, which has the same interface.

The response body is passed on as received: no content coding is undone.
"""

from __future__ import annotations

import ssl
import weakref
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Final

import attrs
import h11
import httpx
import trio

from transports._connection import (
    CONNECT_FAILURES,
    RECEIVE_BYTES,
    Connect,
    Connection,
    client_context,
    close_now,
    explain,
    open_tcp,
)
from transports._connection import connect as connect_to
from transports._errors import READ, READ_FAILURES, REQUEST, mark_stale, translated
from transports._errors import is_stale as is_stale
from transports._http1 import Exchange, ResponseHead
from transports._pool import IdlePool, Origin
from transports._roundtrip import RoundTrip, Timeouts

#: Seconds a connection may lie idle. Hosted providers sit behind balancers that drop idle connections after 60 s (AWS)
#: or more; this stays clear of that moment. Servers that close earlier (uvicorn and Node: 5 s) are noticed on taking.
KEEPALIVE_EXPIRY_S: Final = 50.0

_PORTS: Final = {"http": 80, "https": 443}


@attrs.frozen
class Statistics:
    """`idle` and `active` connections now (connecting counts as active); since the start, how many connections were
    `opened`, how many exchanges `reused` one, and how many idle ones were `probed` (one poll each) to that end."""

    idle: int
    active: int
    opened: int
    reused: int
    probed: int


class StreamingTransport(httpx.AsyncBaseTransport):
    """`await handle_async_request(request)`, directly or under `httpx.AsyncClient(transport=...)`.

    Timeouts are the request's own (`extensions["timeout"]`). The response's `extensions["hedgerow.reused"]` says
    whether its connection had been used before.

    Raises `UnsupportedProtocol`, `LocalProtocolError`, `ConnectError`, `ConnectTimeout`, `WriteError`, `WriteTimeout`,
    `ReadError`, `ReadTimeout`, `RemoteProtocolError`, all of httpx. See `is_stale` for those worth one more try.

    Args:
        ssl_context: shared by all connections; it is made to offer `http/1.1` by ALPN. None: certifi's authorities.
        keepalive_expiry_s: how long a connection may lie idle.
        max_idle_per_origin: how many may.
        network: opens the byte stream under a connection; TLS is put on top of it here.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        keepalive_expiry_s: float = KEEPALIVE_EXPIRY_S,
        max_idle_per_origin: int = 32,
        network: Connect = open_tcp,
    ) -> None:
        self._context = None if ssl_context is None else client_context(ssl_context)
        self._network = network
        self._pool: IdlePool[Connection] = IdlePool(keepalive_expiry_s, max_idle_per_origin)
        self._closed = False
        self._active = 0
        self._opened = 0
        self._reused = 0
        self._probed = 0

    def statistics(self) -> Statistics:
        return Statistics(
            idle=len(self._pool),
            active=self._active,
            opened=self._opened,
            reused=self._reused,
            probed=self._probed,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._closed:
            raise RuntimeError("the transport is closed")
        origin = _origin(request)
        exchange, body = _prepare(request)
        timeouts = Timeouts.of(request)
        connection = await self._connection(origin, request, timeouts.connect)
        reused = connection.reused
        trip = RoundTrip(connection.stream, request, exchange, body, timeouts)
        try:
            head = await trip.run()
        except BaseException as error:
            await _close(self._give_back(connection, reusable=False))
            if reused and not exchange.answered:
                mark_stale(error)
            raise
        return httpx.Response(
            head.status,
            headers=head.headers,
            stream=ResponseBody(self, connection, request, head, timeouts.read, keep=head.keep_alive and trip.sent),
            extensions={
                "http_version": b"HTTP/" + head.http_version,
                "reason_phrase": head.reason,
                "hedgerow.reused": reused,
            },
        )

    async def sweep(self) -> None:
        """Close what has lain idle too long. Traffic does this by itself; call it now and then where there is none."""
        await _close(self._pool.sweep(trio.current_time()))

    async def aclose(self) -> None:
        """Close the idle connections; those in use close when their response does."""
        self._closed = True
        await _close(self._pool.drain())

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def _connection(self, origin: Origin, request: httpx.Request, connect_s: float | None) -> Connection:
        """An idle connection or a new one, counted as active from here until `_give_back`."""
        connection, rejected = self._pool.take(origin, trio.current_time(), self._unusable)
        self._active += 1
        if connection is not None:
            self._reused += 1
        try:
            if rejected:
                await _close(rejected)
            if connection is None:
                connection = await self._open(origin, request, connect_s)
        except BaseException:
            self._active -= 1
            raise
        return connection

    async def _open(self, origin: Origin, request: httpx.Request, connect_s: float | None) -> Connection:
        connection = None
        with trio.CancelScope() as scope:
            if connect_s is not None:
                scope.deadline = trio.current_time() + connect_s
            try:
                connection = await connect_to(origin, self._network, self._shared_context)
            except CONNECT_FAILURES as error:
                message, cause = explain(error, origin)
                raise httpx.ConnectError(message, request=request) from cause
        if connection is None:
            raise httpx.ConnectTimeout(
                f"no connection to {origin.host}:{origin.port} within {connect_s:g} s", request=request
            )
        self._opened += 1
        return connection

    def _give_back(self, connection: Connection, *, reusable: bool) -> list[Connection]:
        """The exchange is over, one way or the other; the connections to close."""
        self._active -= 1
        if not reusable or self._closed:
            return [connection]
        connection.reused = True
        return self._pool.put(connection.origin, connection, trio.current_time())

    def _unusable(self, connection: Connection) -> bool:
        self._probed += 1
        return connection.readable()

    def _shared_context(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = client_context()
        return self._context


class ResponseBody(httpx.AsyncByteStream):
    """The body of one response: every item holds all of it that one socket read brought.

    The connection goes back to the pool when the body has been read to its end: at StopAsyncIteration, or at `aclose`
    if the last item held the end. A reader that stops before, even one chunk terminator before, closes the connection
    with `aclose`. It is its own iterator, and may be iterated once. After a failure it raises `httpx.StreamClosed`: a
    body that broke never looks as if it had ended.
    """

    def __init__(
        self,
        transport: StreamingTransport,
        connection: Connection,
        request: httpx.Request,
        head: ResponseHead,
        read_s: float | None,
        *,
        keep: bool,
    ) -> None:
        self._transport = transport
        self._connection: Connection | None = connection
        self._stream = connection.stream
        # Weak, since the body may be large and the answer take minutes; `httpx.Client` holds it anyhow.
        self._request = weakref.ref(request)
        self._asked = request.method, request.url
        self._body = head.body
        self._unread = head.rest
        self._read_s = read_s
        self._keep = keep

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        body = self._body
        if self._connection is None:
            if body.complete:
                raise StopAsyncIteration
            raise httpx.StreamClosed()
        try:
            while not body.complete:
                if body.fault is not None:
                    raise body.fault
                if self._unread:
                    data, self._unread = self._unread, b""
                elif self._read_s is None:
                    data = bytes(await self._stream.receive_some(RECEIVE_BYTES))
                else:
                    data = await self._receive_within(self._read_s)
                if not data:
                    body.end()
                elif piece := body.feed(data):
                    return piece
        except READ_FAILURES as error:
            await self.aclose()
            request = self._request() or httpx.Request(*self._asked)
            raise translated(error, READ, request) from error
        except BaseException:
            await self.aclose()
            raise
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Let go of the connection: back to the pool after a whole body, closed otherwise. May be called again."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        clean = self._body.complete and not (self._body.surplus or self._unread)
        if surrendered := self._transport._give_back(connection, reusable=self._keep and clean):
            await _close(surrendered)

    async def _receive_within(self, read_s: float) -> bytes:
        data = None
        with trio.move_on_after(read_s):
            data = bytes(await self._stream.receive_some(RECEIVE_BYTES))
        if data is None:
            raise trio.TooSlowError(f"nothing received for {read_s:g} s")
        return data


def _origin(request: httpx.Request) -> Origin:
    url = request.url
    if url.scheme not in _PORTS or not url.host:
        raise httpx.UnsupportedProtocol("the URL must be http:// or https:// and name a host", request=request)
    return Origin(url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme])


def _prepare(request: httpx.Request) -> tuple[Exchange, list[bytes] | httpx.AsyncByteStream]:
    """Everything that can be wrong with the request itself, before a connection is taken for it."""
    try:
        exchange = Exchange(request.method.encode("ascii"), request.url.raw_path, request.headers.raw)
        try:
            content = request.content
        except httpx.RequestNotRead:
            if not isinstance(request.stream, httpx.AsyncByteStream):
                raise TypeError("the request body must be bytes or an asynchronous iterable") from None
            return exchange, request.stream
        return exchange, [*(exchange.data(content) if content else ()), *exchange.end()]
    except h11.LocalProtocolError as error:
        raise translated(error, REQUEST, request) from error


async def _close(connections: Iterable[Connection]) -> None:
    await close_now(connection.stream for connection in connections)
