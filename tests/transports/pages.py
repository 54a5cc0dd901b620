"""A web of one machine: scripted answers by host and path, a scripted resolver, and a dialler that leads all names here."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio

#: What a name resolves to where a test does not say otherwise: an address of the public internet.
PUBLIC = "93.184.215.14"


def page(body: bytes | str, content_type: str = "text/html; charset=utf-8", *headers: str, status: int = 200) -> bytes:
    """A whole answer."""
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", f"content-type: {content_type}", f"content-length: {len(raw)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + raw


def moved(location: str, status: int = 302) -> bytes:
    """A redirect."""
    return f"HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()


@attrs.define(eq=False)
class Web:
    """`answers` by `host/path`; `addresses` by name, one list for each lookup, the last for all that follow."""

    answers: Mapping[str, bytes | None] = attrs.field(factory=dict)
    addresses: dict[str, list[Sequence[str]]] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)  #: `host/path` of every request
    heads: list[str] = attrs.field(factory=list)
    lookups: list[str] = attrs.field(factory=list)
    dialled: list[tuple[tuple[str, ...], int]] = attrs.field(factory=list)
    closed: int = 0  #: connections whose client has left
    stirred: trio.Event = attrs.field(factory=trio.Event)
    port: int = 0

    async def lookup(self, host: str, port: int) -> Sequence[str]:
        self.lookups.append(host)
        await trio.lowlevel.checkpoint()
        left = self.addresses.get(host, [[PUBLIC]])
        return left.pop(0) if len(left) > 1 else left[0]

    async def dial(self, addresses: Sequence[str], port: int) -> trio.abc.Stream:
        self.dialled.append((tuple(addresses), port))
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def left(self, connections: int) -> None:
        """Wait until so many connections are over."""
        while self.closed < connections:
            self.stirred = trio.Event()
            await self.stirred.wait()

    def _answer(self, text: str) -> bytes | None:
        self.heads.append(text)
        host = re.search(r"^host: (\S+)", text, re.M | re.I)
        place = f"{host[1] if host else ''}{text.split(' ')[1]}"
        self.asked.append(place)
        return self.answers.get(place, page("not found", status=404))

    async def serve(self, stream: trio.abc.Stream, tls: ssl.SSLContext | None = None) -> None:
        try:
            if tls is not None:
                stream = trio.SSLStream(stream, tls, server_side=True)
            head = b""
            while data := await stream.receive_some():
                head += data
                if b"\r\n\r\n" not in head:
                    continue
                answer, head = self._answer(head.decode("latin-1")), b""
                if answer is not None:  # None: never answers
                    await stream.send_all(answer)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self.closed += 1
            self.stirred.set()
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def web(answers: Mapping[str, bytes | None], tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    """A web that answers while the block runs."""
    it = Web(answers)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, partial(it.serve, tls=tls), 0, host="127.0.0.1"))
        it.port = listeners[0].socket.getsockname()[1]
        yield it
        nursery.cancel_scope.cancel()
