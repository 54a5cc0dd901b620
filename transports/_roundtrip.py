"""One request out, one response head back, over one connection.

The naive answer sends everything and then reads. A server that answers 401 after the first kilobyte of five megabytes
and reads no further then blocks the sender until a timeout, and the 401 is lost. Here a large body is sent beside the
reading; whoever answers early is heard, and the rest of the body is not sent. A small request fits into the kernel's
send buffer, cannot block, and is spared the second task.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import Final

import attrs
import httpx
import trio

from transports._connection import RECEIVE_BYTES
from transports._errors import READ, WRITE, translated
from transports._http1 import Exchange, ResponseHead, cut

#: A request of at most this many bytes is sent before reading: it fits every kernel's smallest send buffer.
INLINE_BYTES: Final = 16 * 1024
#: The unit of upload progress: the write timeout runs anew for each.
PIECE_BYTES: Final = 64 * 1024
#: Seconds to look for an answer once sending has failed. What the peer said before it hung up is there already.
LAST_WORDS_S: Final = 1.0


@attrs.frozen
class Timeouts:
    """Seconds, as httpx has them: `read` and `write` for each step forward and not in all. None: no limit."""

    connect: float | None = None
    read: float | None = None
    write: float | None = None

    @classmethod
    def of(cls, request: httpx.Request) -> Timeouts:
        """From `request.extensions["timeout"]`. Its `pool` has no meaning here: nobody waits for a connection."""
        given = request.extensions.get("timeout") or {}
        return cls(connect=given.get("connect"), read=given.get("read"), write=given.get("write"))


@attrs.define(eq=False)
class RoundTrip:
    """`body`: the framed request body where it is known as a whole, else the source of its pieces."""

    stream: trio.abc.Stream
    request: httpx.Request
    exchange: Exchange
    body: list[bytes] | AsyncIterable[bytes]
    timeouts: Timeouts
    sent: bool = attrs.field(init=False, default=False)  #: did all of the request go out?
    _head: ResponseHead | None = attrs.field(init=False, default=None)
    _hung_up: Exception | None = attrs.field(init=False, default=None)  # sending failed; there may be an answer yet
    _failure: Exception | None = attrs.field(init=False, default=None)
    _waiting: trio.CancelScope = attrs.field(init=False, factory=trio.CancelScope)

    async def run(self) -> ResponseHead:
        """Raises the httpx exceptions of the write and read phases, and whatever the body's source raises."""
        if isinstance(self.body, list) and len(self.exchange.head) + sum(map(len, self.body)) <= INLINE_BYTES:
            await self._send()
            await self._receive()
        else:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send)
                await self._receive()
                nursery.cancel_scope.cancel()
        if self._head is not None:
            return self._head
        assert self._failure is not None
        raise self._failure

    async def _send(self) -> None:
        """Never raises (an exception would cancel the reader and arrive wrapped in a group); cancels the wait."""
        try:
            with trio.CancelScope() as scope:
                if isinstance(self.body, list):
                    await self._write([self.exchange.head, *self.body], scope)
                else:
                    await self._write([self.exchange.head], scope)
                    source = aiter(self.body)
                    try:
                        async for piece in source:
                            await self._write(self.exchange.data(piece), scope)
                    finally:
                        if isinstance(source, AsyncGenerator):
                            await source.aclose()
                    await self._write(self.exchange.end(), scope)
                self.sent = True
            if not self.sent:
                raise trio.TooSlowError(f"the peer took nothing of the request for {self.timeouts.write:g} s")
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._hung_up = error
        except Exception as error:
            self._fail(translated(error, WRITE, self.request))
            self._waiting.cancel()
        self._set_read_clock()

    async def _write(self, parts: Iterable[bytes], scope: trio.CancelScope) -> None:
        limit = self.timeouts.write
        for piece in cut(parts, PIECE_BYTES):
            if limit is not None:
                scope.deadline = trio.current_time() + limit
            await self.stream.send_all(piece)
        scope.deadline = float("inf")  # the time the body's source takes is its own

    async def _receive(self) -> None:
        """Never raises, for the same reason."""
        try:
            with self._waiting:
                while self._head is None:
                    data = bytes(await self.stream.receive_some(RECEIVE_BYTES))
                    self._set_read_clock()
                    self._head = self.exchange.feed(data)
            if self._head is None:
                raise trio.TooSlowError(f"nothing received for {self.timeouts.read or LAST_WORDS_S:g} s")
        except Exception as error:
            if self._hung_up is not None and not self.exchange.answered:
                self._fail(translated(self._hung_up, WRITE, self.request))
            self._fail(translated(error, READ, self.request))

    def _set_read_clock(self) -> None:
        """The read clock does not run while we send: a peer may well read everything before it answers."""
        limit = self.timeouts.read if self.sent else None
        if self._hung_up is not None:
            limit = LAST_WORDS_S
        if limit is not None:
            self._waiting.deadline = trio.current_time() + limit

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error  # the first is the reason, the rest its consequences
