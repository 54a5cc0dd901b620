"""One socket: how it is had, how it is borrowed, how it ends."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio
import trio.testing
from trio_websocket import WebSocketConnection

from tests.transports.sockets.host import Host, answering, say, spoken
from transports._connection import Connection, open_tcp
from transports._pool import Origin
from transports._socket import BUFFER_BYTES, UPGRADE_BYTES, Address, Broken, Refused, Socket
from transports._sse import MAX_FRAME_BYTES

ORIGIN = Origin("http", "host.test", 80)


def address(origin: Origin = ORIGIN) -> Address:
    return Address(origin=origin, path="/v1/responses?x=1", headers=((b"authorization", b"Bearer k"),))


@asynccontextmanager
async def opened(host: Host, *, write_s: float | None = 10.0) -> AsyncIterator[Socket]:
    """A socket to this host, in memory, and everything closed behind it."""

    async def connect() -> Connection:
        return Connection(ORIGIN, await host.network("host.test", 80))

    async with host.running(), trio.open_nursery() as nursery:
        socket = Socket(address(), trio.current_time())
        await nursery.start(socket.run, connect, write_s)
        yield socket
        nursery.cancel_scope.cancel()


def usable(socket: Socket) -> bool:
    """Asked anew each time, whatever was found before."""
    return socket.usable


async def refused(host: Host) -> Refused:
    """Why there is no socket to this host; its connection is closed by then."""
    async with host.running(), trio.open_nursery() as nursery:

        async def connect() -> Connection:
            return Connection(ORIGIN, await host.network("host.test", 80))

        with pytest.raises(Refused) as found:
            await nursery.start(Socket(address(), 0.0).run, connect, 10.0)
        await host.until(lambda: host.live == 0)
    return found.value


async def idle(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
    """Say nothing."""


async def test_a_frame_goes_out_and_the_answer_comes_in(autojump_clock: trio.testing.MockClock) -> None:
    """The head has path and key; frames arrive in order."""
    host = Host(answering(spoken()))
    async with opened(host) as socket:
        await socket.send('{"type": "response.create"}')
        frames: list[Any] = []
        while not frames or frames[-1]["type"] != "response.completed":
            frames += map(orjson.loads, await socket.receive())
        assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
        assert host.paths == ["/v1/responses?x=1"]
        assert host.heads[0]["authorization"] == "Bearer k"
        assert usable(socket)


@pytest.mark.parametrize("status", [200, 301, 401, 403, 404, 426, 500])
async def test_a_refused_upgrade_says_its_status(autojump_clock: trio.testing.MockClock, status: int) -> None:
    """Whatever it is, and nothing is left of the connection."""
    assert (await refused(Host(idle, raw=_queue(_refusing(status))))).status == status


def _queue(*raw: Any) -> deque[Any]:
    return deque(raw)


def _refusing(status: int) -> Callable[[trio.abc.Stream], Awaitable[None]]:
    async def refuse(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 %d Nothing\r\ncontent-length: 2\r\n\r\nno" % status)
        await stream.receive_some()

    return refuse


ACCEPT = b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: %s\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTT",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        ACCEPT % b"d3Jvbmc=",
        b"HTTP/1.1 426 Upgrade\r\n\r\n",
        b"HTTP/1.1 403 No\r\ncontent-length: 9999\r\n\r\nbroken off",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000,
        b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n" + b"y" * (UPGRADE_BYTES + 1),
        b"\x00" * 100,
    ],
    ids=range(10),
)
async def test_an_upgrade_that_is_answered_with_something_else(
    autojump_clock: trio.testing.MockClock, answer: bytes
) -> None:
    """A peer that leaves, junk, a wrong accept key, a head or a body without an end: refused at once, not at a deadline."""

    async def raw(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)

    began = trio.current_time()
    await refused(Host(idle, raw=_queue(raw)))
    assert trio.current_time() == began


async def test_a_peer_that_never_answers_the_upgrade_is_left_when_the_opener_is_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The library's own deadline does not cover this."""

    async def silent(stream: trio.abc.Stream) -> None:
        while await stream.receive_some():
            pass

    host = Host(idle, raw=_queue(silent))
    with trio.move_on_after(3) as scope:
        async with opened(host):
            raise AssertionError
    assert scope.cancelled_caught
    assert host.live == 0


async def test_nobody_listens() -> None:
    """The reason is in words."""

    async def connect() -> Connection:
        return Connection(ORIGIN, await open_tcp("127.0.0.1", 9))

    async with trio.open_nursery() as nursery:
        with pytest.raises(Refused, match=r"cannot connect to host.test:80: .*refused"):
            await nursery.start(Socket(address(), 0.0).run, connect, 1.0)


def test_the_host_in_the_head_has_its_port_where_it_is_not_the_usual_one() -> None:
    """And brackets around an address of version 6."""
    assert address().host == "host.test"
    assert address(Origin("https", "host.test", 443)).host == "host.test"
    assert address(Origin("https", "host.test", 80)).host == "host.test:80"
    assert address(Origin("http", "::1", 8080)).host == "[::1]:8080"


async def test_what_came_before_a_close_is_still_read(autojump_clock: trio.testing.MockClock) -> None:
    """Then the reason: the host's own, if it gave one."""

    async def leave(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
        await say(ws, {"n": 1}, {"n": 2})
        await ws.aclose(1011, "going down")

    host = Host(leave)
    async with opened(host) as socket:
        await socket.send("{}")
        await trio.sleep(1)
        assert [orjson.loads(frame) for frame in await socket.receive()] == [{"n": 1}, {"n": 2}]
        with pytest.raises(Broken, match="the host closed the socket: 1011 going down"):
            await socket.receive()
        assert not usable(socket)
        with pytest.raises(Broken, match="1011"):
            await socket.send("{}")


async def test_a_connection_that_breaks_off(autojump_clock: trio.testing.MockClock) -> None:
    """No farewell is an end as well, for who reads and for who writes."""

    async def drop(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
        await trio.aclose_forcefully(ws._stream)

    async with opened(Host(drop)) as socket:
        await socket.send("{}")
        with pytest.raises(Broken, match="the connection was closed"):
            await socket.receive()
        with pytest.raises(Broken):
            await socket.send("{}")


async def test_a_frame_while_nothing_was_asked_ends_the_socket(autojump_clock: trio.testing.MockClock) -> None:
    """An error on a resting socket is its end; nobody finds it in the next answer."""

    async def late(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
        await say(ws, {"n": 1})
        await trio.sleep(5)
        await say(ws, {"type": "error"})

    host = Host(late)
    async with opened(host) as socket:
        await socket.send("{}")
        await socket.receive()
        socket.rest(trio.current_time() + 300)
        assert usable(socket)
        await trio.sleep(6)
        assert not usable(socket)
        assert host.live == 0
        assert host.ends == {0: 1000}


async def test_a_frame_behind_the_last_one_ends_the_socket(autojump_clock: trio.testing.MockClock) -> None:
    """It lies there when the turn gives the socket back."""

    async def twice(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
        await say(ws, {"n": 1})
        await trio.sleep(1)
        await say(ws, {"n": 2})

    async with opened(Host(twice)) as socket:
        await socket.send("{}")
        await socket.receive()
        await trio.sleep(2)
        socket.rest(trio.current_time() + 300)
        assert not usable(socket)


async def test_a_resting_socket_closes_at_its_time_and_a_lent_one_does_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """With a farewell, to the second."""
    host = Host(idle)
    async with opened(host) as socket:
        socket.rest(trio.current_time() + 300)
        await trio.sleep(299)
        assert usable(socket)
        socket.lend()
        await trio.sleep(1000)
        assert usable(socket)
        socket.rest(trio.current_time() + 300)
        await trio.sleep(301)
        assert not usable(socket)
        await trio.sleep(1)
        assert host.ends == {0: 1000}


async def test_a_broken_off_socket_says_no_farewell(autojump_clock: trio.testing.MockClock) -> None:
    """The host is to stop at once."""
    host = Host(idle)
    async with opened(host) as socket:
        socket.break_off()
        assert not usable(socket)
        await trio.testing.wait_all_tasks_blocked()
        assert host.live == 0
        assert host.ends == {0: None}


async def test_a_farewell_that_is_not_answered_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    """A quarter of a second."""

    async def deaf(stream: trio.abc.Stream) -> None:
        from wsproto import ConnectionType, WSConnection
        from wsproto.events import AcceptConnection, Request

        protocol = WSConnection(ConnectionType.SERVER)
        protocol.receive_data(bytes(await stream.receive_some()))
        assert isinstance(next(protocol.events()), Request)
        await stream.send_all(protocol.send(AcceptConnection()))
        while await stream.receive_some():
            pass

    host = Host(idle, raw=_queue(deaf))
    async with opened(host) as socket:
        began = trio.current_time()
        socket.close()
        await host.until(lambda: host.live == 0)
        assert trio.current_time() - began == pytest.approx(0.25)


async def test_pings_are_answered_while_nobody_reads(autojump_clock: trio.testing.MockClock) -> None:
    """Resting or lent: the reader is always there."""
    answered = 0

    async def ping(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
        nonlocal answered
        for _ in range(3):
            await ws.ping()
            answered += 1
        await say(ws, {"n": 1})

    async with opened(Host(ping)) as socket:
        await socket.send("{}")
        assert [orjson.loads(frame) for frame in await socket.receive()] == [{"n": 1}]
        assert answered == 3


@pytest.mark.parametrize("pieces", [1, 4])
async def test_a_frame_without_an_end_is_cut(autojump_clock: trio.testing.MockClock, pieces: int) -> None:
    """In one piece or many, and also of fragments that hold nothing."""

    async def flood(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
        from wsproto.events import TextMessage

        part = "x" * (MAX_FRAME_BYTES // pieces + 1)
        with trio.move_on_after(5):
            for _ in range(pieces):
                await ws._send(TextMessage(data=part, message_finished=False))
            await trio.sleep_forever()

    async with opened(Host(flood)) as socket:
        await socket.send("{}")
        with pytest.raises(Broken, match="16 MiB without a whole frame") as broken:
            await socket.receive()
        assert broken.value.malformed


async def test_a_long_answer_in_large_frames_is_not_cut(autojump_clock: trio.testing.MockClock) -> None:
    """The bound is for one frame, not for an answer."""
    size = MAX_FRAME_BYTES // 4

    async def long(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
        for _ in range(8):
            await ws.send_message("x" * size)

    async with opened(Host(long)) as socket:
        await socket.send("{}")
        got = 0
        while got < 8 * size:
            got += sum(map(len, await socket.receive()))


async def test_a_turn_that_does_not_read_holds_the_host_up() -> None:
    """On a real connection: the host cannot send more than our buffer and the kernel's take; then all of it arrives."""
    sent = 0
    piece, pieces = "x" * 65_536, 512

    async def pour(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
        nonlocal sent
        for _ in range(pieces):
            await ws.send_message(piece)
            sent += 1

    host = Host(pour)
    async with host.listening() as port, trio.open_nursery() as nursery:
        socket = Socket(address(Origin("http", "127.0.0.1", port)), 0.0)

        async def connect() -> Connection:
            return Connection(ORIGIN, await open_tcp("127.0.0.1", port))

        with trio.fail_after(20):
            await nursery.start(socket.run, connect, 10.0)
            await socket.send("{}")
            before = -1
            while sent != before:  # until the host stands still
                before = sent
                await trio.testing.wait_all_tasks_blocked(0.2)
            assert before < pieces
            assert socket._held <= BUFFER_BYTES + len(piece)
            got = 0
            while got < pieces * len(piece):
                got += sum(map(len, await socket.receive()))
        nursery.cancel_scope.cancel()


async def test_a_host_that_takes_nothing_is_given_up_slice_by_slice(autojump_clock: trio.testing.MockClock) -> None:
    """A write has its deadline for each slice: it ends after one of them, not after the whole."""
    ours, theirs = trio.testing.lockstep_stream_pair()
    host = Host(idle)

    async def connect() -> Connection:
        return Connection(ORIGIN, ours)

    async def stuck(stream: trio.abc.Stream) -> None:
        from wsproto import ConnectionType, WSConnection
        from wsproto.events import AcceptConnection

        protocol = WSConnection(ConnectionType.SERVER)
        protocol.receive_data(bytes(await stream.receive_some()))
        list(protocol.events())
        await stream.send_all(protocol.send(AcceptConnection()))
        await trio.sleep_forever()

    host.raw.append(stuck)
    async with host.running(), trio.open_nursery() as nursery:
        nursery.start_soon(host.serve, theirs)
        socket = Socket(address(), 0.0)
        await nursery.start(socket.run, connect, 2.0)
        began = trio.current_time()
        with pytest.raises(Broken, match="the peer took nothing of the request for 2 s"):
            await socket.send("x" * 1_000_000)
        assert trio.current_time() - began == pytest.approx(2.0)
        nursery.cancel_scope.cancel()
