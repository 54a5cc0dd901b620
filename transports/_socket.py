"""One WebSocket to one provider, in a task of its own: upgraded, read all the time, and closed.

A socket outlives the turn that opened it, so it cannot live in that turn's task; and it must be read while nobody uses it,
since a host may say there that it is about to go. So each is a task of its own, and a turn borrows it: what arrives for
the turn waits in a buffer of bounded size, and behind that in the kernel; what arrives for nobody ends the socket.

trio-websocket does the protocol, on a connection of ours, behind a guard. Its deadline for connecting does not cover the
upgrade; it waits for ever for a peer that leaves before having answered one; it raises a refusal in its reader's task;
it would collect the fragments of one message without an end; and it sends a message in one write, which nothing bounds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, cast

import attrs
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from transports._connection import CONNECT_FAILURES, RECEIVE_BYTES, Connection, close_now, explain
from transports._continuation import Seen
from transports._pool import Origin
from transports._sse import MAX_FRAME_BYTES

#: What the answer to an upgrade may hold, in bytes. A refusal's body is not read: the same request tells more over HTTP.
UPGRADE_BYTES: Final = 64 * 1024
#: What may wait for a turn that does not read, in bytes of frames. Beyond it, the kernel holds what comes.
BUFFER_BYTES: Final = 1024 * 1024
#: How long the closing handshake may take, in seconds.
FAREWELL_S: Final = 0.25
#: A write's deadline is for each of these, in bytes, as over HTTP: a large request takes as long as it takes.
SLICE_BYTES: Final = 64 * 1024
_PORTS: Final = {"http": 80, "https": 443}


class Refused(Exception):
    """No socket was to be had. `status` is that of a refused upgrade, None where there was no answer to it."""

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


class Broken(Exception):
    """The socket is gone; the text says why. `malformed`: for what the host sent on it."""

    def __init__(self, why: str, *, malformed: bool = False) -> None:
        super().__init__(why)
        self.malformed = malformed


@attrs.frozen(kw_only=True)
class Address:
    """Where a socket leads: `http` or `https` as origin, the path with its query, and the head that asks for it."""

    origin: Origin
    path: str
    headers: tuple[tuple[bytes, bytes], ...] = attrs.field(repr=False)

    @property
    def host(self) -> str:
        """As it stands in the head."""
        name = f"[{self.origin.host}]" if ":" in self.origin.host else self.origin.host
        return name if self.origin.port == _PORTS[self.origin.scheme] else f"{name}:{self.origin.port}"


@attrs.define(eq=False)
class Socket:
    """A socket, borrowed by one turn at a time; new, it is borrowed. `seen` is what its host knows of a conversation."""

    address: Address
    born_at: float
    seen: Seen | None = None
    reused: bool = False  #: has it carried a whole turn?
    _borrowed: bool = True
    _ws: WebSocketConnection | None = None
    _life: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _abrupt: bool = False
    _over: bool = False
    _end: Broken = attrs.field(factory=lambda: Broken("the socket was closed"))
    _frames: deque[str | bytes] = attrs.field(factory=deque)
    _held: int = 0
    _stirred: trio.Event = attrs.field(factory=trio.Event)
    _room: trio.Event = attrs.field(factory=trio.Event)

    @property
    def usable(self) -> bool:
        """Whether a turn may begin on it, as far as is known."""
        return not self._over and not self._life.cancel_called

    # The task.

    async def run(
        self,
        connect: Callable[[], Awaitable[Connection]],
        write_s: float | None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Connect, upgrade, then read until the end. Raises Refused before it has started, and nothing after that."""
        try:
            await self._run(connect, write_s, task_status)
        except BaseExceptionGroup as group:
            failed, cancelled = group.split(Exception)
            if cancelled is not None:
                raise cancelled from None
            assert failed is not None
            self._failed(_first(failed))
        except Exception as error:
            self._failed(error)
        finally:
            self._over = True
            self._stirred.set()

    def _failed(self, error: Exception) -> None:
        if self._ws is None:
            raise _refused(error, self.address) from error
        self._end = Broken(f"the socket failed: {type(error).__name__}")

    async def _run(
        self,
        connect: Callable[[], Awaitable[Connection]],
        write_s: float | None,
        task_status: trio.TaskStatus[None],
    ) -> None:
        guard = _Guard((await connect()).stream, write_s)
        try:
            async with trio.open_nursery() as nursery:
                ws = await _upgraded(nursery, guard, self.address)
                guard.allowance = MAX_FRAME_BYTES
                self._ws = ws
                task_status.started()
                with self._life:
                    await self._read(ws, guard)
                if not self._abrupt:
                    with trio.move_on_after(FAREWELL_S):
                        await ws.aclose()
                nursery.cancel_scope.cancel()
        finally:
            await close_now([guard.inner])

    async def _read(self, ws: WebSocketConnection, guard: _Guard) -> None:
        while True:
            try:
                frame = await ws.get_message()
            except ConnectionClosed as closed:
                self._end = _farewell(closed, guard)
                return
            guard.allowance = MAX_FRAME_BYTES
            if not self._borrowed:
                self._end = Broken("the host said something although nothing was asked")
                return
            self._frames.append(frame)
            self._held += len(frame)
            self._stirred.set()
            while self._held > BUFFER_BYTES:
                self._room = trio.Event()
                await self._room.wait()

    # What a turn does with it.

    async def send(self, text: str) -> None:
        """One text frame. Raises Broken. Cancelled, it leaves a socket that must be broken off."""
        assert self._ws is not None
        try:
            await self._ws.send_message(text)
        except ConnectionClosed:
            await self._gone()

    async def receive(self) -> list[str | bytes]:
        """Every frame that has arrived, at least one. Raises Broken once there are no more."""
        while not self._frames:
            if self._over:
                raise self._end
            self._stirred = trio.Event()
            await self._stirred.wait()
        frames = list(self._frames)
        self._frames.clear()
        self._held = 0
        self._room.set()
        return frames

    async def _gone(self) -> None:
        """Wait for the reader to say why. What arrived before that is of no use: the question was not taken."""
        while not self._over:
            await self.receive()
        raise self._end

    def lend(self) -> None:
        """A turn begins on it. Call this only where it is `usable`."""
        self._borrowed = True
        self._life.deadline = math.inf

    def rest(self, until: float) -> None:
        """The turn has ended, and the socket may be lent again until this moment; then it is closed."""
        self.reused = True
        self._borrowed = False
        if self._frames:
            self.close()
        self._life.deadline = min(self._life.deadline, until)

    def close(self) -> None:
        """Close it, with a farewell."""
        self._life.cancel()

    def break_off(self) -> None:
        """Close it at once, so that its host stops what it is doing."""
        self._abrupt = True
        self._life.cancel()


class _Guard(trio.abc.Stream):
    """A connection that says when it is over and what was the matter.

    `allowance`: bytes that may still arrive before somebody who has got a whole frame out of them raises it again.
    """

    def __init__(self, inner: trio.abc.Stream, write_s: float | None) -> None:
        self.inner = inner
        self.write_s = write_s
        self.allowance = UPGRADE_BYTES
        self.over = trio.Event()
        self.fault: Broken | None = None

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        try:
            data = bytes(await self.inner.receive_some(RECEIVE_BYTES))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.over.set()
            raise
        self.allowance -= len(data)
        if self.allowance < 0:
            raise self._failed(f"more than {MAX_FRAME_BYTES >> 20} MiB without a whole frame", malformed=True)
        if not data:
            self.over.set()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        whole = memoryview(data)
        for start in range(0, len(whole), SLICE_BYTES):
            with trio.move_on_after(math.inf if self.write_s is None else self.write_s) as scope:
                await self.inner.send_all(whole[start : start + SLICE_BYTES])
            if scope.cancelled_caught:
                raise self._failed(f"the peer took nothing of the request for {self.write_s:g} s")

    def _failed(self, why: str, *, malformed: bool = False) -> trio.BrokenResourceError:
        self.fault = Broken(why, malformed=malformed)
        self.over.set()
        return trio.BrokenResourceError(why)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        self.over.set()
        await self.inner.aclose()


async def _upgraded(nursery: trio.Nursery, guard: _Guard, address: Address) -> WebSocketConnection:
    """The socket, its reader running in `nursery`. Raises Refused where the peer leaves before it has answered."""
    ws: WebSocketConnection | None = None
    async with trio.open_nursery() as waiting:

        async def leave_with_the_peer() -> None:
            await guard.over.wait()
            waiting.cancel_scope.cancel()

        waiting.start_soon(leave_with_the_peer)
        ws = await wrap_client_stream(
            nursery,
            cast(trio.SocketStream, guard),  # its documentation says: an arbitrary stream
            address.host,
            address.path,
            extra_headers=list(address.headers),
            max_message_size=2 * MAX_FRAME_BYTES,  # the guard's limit comes first
        )
        waiting.cancel_scope.cancel()
    if ws is None:
        raise Refused(str(guard.fault or "the connection was closed during the upgrade"))
    return ws


def _first(group: ExceptionGroup[Exception]) -> Exception:
    found: Exception = group
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found


def _refused(error: Exception, address: Address) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, ConnectionRejected):
        return Refused(f"the upgrade was refused with status {error.status_code}", error.status_code)
    if isinstance(error, CONNECT_FAILURES):
        return Refused(explain(error, address.origin)[0])
    return Refused(f"the upgrade failed: {type(error).__name__}")


def _farewell(closed: ConnectionClosed, guard: _Guard) -> Broken:
    """Why the socket is at its end: our own reason, else the host's."""
    if guard.fault is not None:
        return guard.fault
    reason = closed.reason
    if reason is None or reason.code == 1006:
        return Broken("the connection was closed")
    return Broken(f"the host closed the socket: {reason.code} {reason.reason or ''}".rstrip())
