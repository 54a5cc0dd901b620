"""Servers that misbehave on purpose, over memory streams (virtual time) and over loopback sockets (real resets)."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import attrs
import h11
import httpx
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

from transports._tls import RECEIVE_BYTES

Handler = Callable[[trio.abc.Stream], Awaitable[None]]


async def read_head(stream: trio.abc.Stream) -> bytes:
    """The head of one request, byte by byte so that nothing of its body is taken."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = await stream.receive_some(1)
        if not byte:
            raise EOFError
        head += byte
    return bytes(head)


@attrs.define
class Requests:
    """The requests a peer sends on one connection, parsed by h11 as a server would."""

    stream: trio.abc.Stream
    _h11: h11.Connection = attrs.field(factory=lambda: h11.Connection(h11.SERVER))

    async def next(self) -> tuple[h11.Request, bytes] | None:
        """The next whole request and its body; None once the peer has closed."""
        request, body = None, bytearray()
        if self._h11.our_state is h11.DONE or self._h11.their_state is h11.DONE:
            self._h11 = h11.Connection(h11.SERVER)
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                self._h11.receive_data(bytes(await self.stream.receive_some(RECEIVE_BYTES)))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                return request, bytes(body)
            else:
                return None


def answering(*writes: bytes, then: Handler | None = None) -> Handler:
    """Answers every request with `writes`, each in one send; `then` instead of the second answer."""

    async def handler(stream: trio.abc.Stream) -> None:
        requests = Requests(stream)
        count = 0
        while await requests.next() is not None:
            count += 1
            if then is not None and count == 2:
                await then(stream)
                return
            for write in writes:
                await stream.send_all(write)

    return handler


async def reset(stream: trio.abc.Stream) -> None:
    """Close so that the peer sees a reset and no end of stream."""
    assert isinstance(stream, trio.SocketStream)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await stream.aclose()


async def hang(stream: trio.abc.Stream) -> None:
    """Neither read nor write nor close."""
    await trio.sleep_forever()


async def linger(stream: trio.abc.Stream) -> None:
    """Wait for the client to close."""
    while await stream.receive_some(RECEIVE_BYTES):
        pass


class Tracked(trio.abc.Stream):
    """A client's end of a memory stream that keeps count of what is done with it."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner
        self.reads = 0
        self.closed = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = bytes(await self.inner.receive_some(max_bytes))
        self.reads += 1
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        self.closed = True
        await self.inner.aclose()


@attrs.define(eq=False)
class MemoryNetwork:
    """A `Connect` whose every connection is a pair of memory streams, the far end held by `handler`.

    `lockstep`: a send ends when the peer has read it all, as with a network that buffers nothing.
    """

    nursery: trio.Nursery
    handler: Handler
    lockstep: bool = False
    tls: ssl.SSLContext | None = None
    hosts: list[tuple[str, int]] = attrs.field(factory=list)
    streams: list[Tracked] = attrs.field(factory=list)

    async def __call__(self, host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.hosts.append((host, port))
        near, far = lockstep_stream_pair() if self.lockstep else memory_stream_pair()
        server: trio.abc.Stream = far
        if self.tls is not None:
            server = trio.SSLStream(far, self.tls, server_side=True)
        self.nursery.start_soon(self._serve, server)
        self.streams.append(Tracked(near))
        return self.streams[-1]

    @property
    def open(self) -> int:
        return sum(not stream.closed for stream in self.streams)

    async def _serve(self, stream: trio.abc.Stream) -> None:
        try:
            await self.handler(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError, EOFError):
            pass
        finally:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def memory_network(
    handler: Handler, *, lockstep: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[MemoryNetwork]:
    """A network whose servers end with the block."""
    async with trio.open_nursery() as nursery:
        yield MemoryNetwork(nursery, handler, lockstep, tls)
        nursery.cancel_scope.cancel()


@attrs.define(eq=False)
class Loopback:
    """A server on 127.0.0.1; `open` counts its connections that are not closed yet."""

    handler: Handler
    port: int = 0
    open: int = 0
    changed: trio.Event = attrs.field(factory=trio.Event)

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.open += 1
        try:
            await self.handler(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError, EOFError):
            pass
        finally:
            await trio.aclose_forcefully(stream)
            self.open -= 1
            self.changed.set()
            self.changed = trio.Event()

    async def until_open(self, count: int) -> None:
        while self.open != count:
            await self.changed.wait()


@asynccontextmanager
async def loopback(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Loopback]:
    """A real server for the block."""
    server = Loopback(handler)
    async with trio.open_nursery() as nursery:
        if tls is None:
            start = partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1")
        else:
            start = partial(trio.serve_ssl_over_tcp, server.serve, 0, tls, host="127.0.0.1", https_compatible=True)  # type: ignore[assignment]
        listeners = await nursery.start(start)
        listener = listeners[0] if tls is None else listeners[0].transport_listener
        server.port = listener.socket.getsockname()[1]
        yield server
        nursery.cancel_scope.cancel()


class CancelAtStep(trio.abc.Instrument):
    """Cancels `scope` just before the `step`-th step of the tasks started under the nursery of `root`."""

    def __init__(self, root: trio.Nursery, scope: trio.CancelScope, step: int) -> None:
        self._root = root
        self._scope = scope
        self._left = step

    @property
    def fired(self) -> bool:
        return self._left <= 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        nursery = task.parent_nursery
        while nursery is not None and nursery is not self._root:
            nursery = nursery.parent_task.parent_nursery
        if nursery is None or self.fired:
            return
        self._left -= 1
        if not self._left:
            self._scope.cancel()


def request_to(
    url: str, *, content: bytes | AsyncIterator[bytes] | None = None, method: str = "POST", **timeouts: float
) -> httpx.Request:
    """A request with the timeouts given and no others."""
    return httpx.Request(method, url, content=content, extensions={"timeout": timeouts})


async def fetch(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> tuple[httpx.Response, list[bytes]]:
    """The response and the items of its body, read to the end without a client."""
    response = await transport.handle_async_request(request)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        return response, [item async for item in response.stream]
    finally:
        await response.stream.aclose()
