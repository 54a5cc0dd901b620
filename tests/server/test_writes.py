"""How long a client may take: the deadline is for its next slice, and not for the whole answer."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest
import trio
from hypercorn.events import Closed, RawData

import server
from tests.routes.asgi_driver import rehearsing, turn
from tests.server.firehose import firehose
from tests.server.serving import posted, relaying, serving

WITHIN_S = 30.0
MEGABYTE = bytes(range(256)) * 4096


class _Reader:
    """A connection whose client takes a slice each `pace_s` seconds, and nothing more after `most` bytes."""

    def __init__(self, pace_s: float, most: int = sys.maxsize) -> None:
        self.pace_s = pace_s
        self.most = most
        self.taken = b""
        self.closed = False
        self.told: list[Any] = []

    async def send_all(self, data: memoryview) -> None:
        if len(self.taken) + len(data) > self.most:
            await trio.sleep_forever()
        await trio.sleep(self.pace_s)
        self.taken += data

    async def aclose(self) -> None:
        self.closed = True

    async def handle(self, event: Any) -> None:
        self.told.append(event)


def connection(reader: _Reader, writes: server.Writes) -> server.PatientTCPServer:
    parts: Any = (None, None, None, None, reader)
    made = server.PatientTCPServer(writes, *parts)
    made.protocol = reader  # type: ignore[assignment]
    return made


class TestDeadline:
    async def test_is_each_slices_own(self, autojump_clock: trio.testing.MockClock) -> None:
        """A megabyte at 64 KiB each 20 s takes 320 s, ten times the deadline, and arrives whole."""
        reader = _Reader(pace_s=20)
        await connection(reader, server.Writes(WITHIN_S)).protocol_send(RawData(MEGABYTE))
        assert trio.current_time() == 320
        assert reader.taken == MEGABYTE
        assert (reader.closed, reader.told) == (False, [])

    @pytest.mark.parametrize(("most", "at_s"), [(0, 30), (5 * 64 * 1024, 130)])
    async def test_ends_a_client_that_takes_nothing_more(
        self, most: int, at_s: float, autojump_clock: trio.testing.MockClock
    ) -> None:
        """From the start or in the middle: 30 s after its last slice it is dropped, and the protocol is told."""
        reader = _Reader(pace_s=20, most=most)
        await connection(reader, server.Writes(WITHIN_S)).protocol_send(RawData(MEGABYTE))
        assert trio.current_time() == at_s
        assert reader.closed
        assert [type(event) for event in reader.told] == [Closed]

    async def test_giving_up_ends_a_write_between_slices_too(self, autojump_clock: trio.testing.MockClock) -> None:
        """A second signal waits for nobody."""
        reader, writes = _Reader(pace_s=20), server.Writes(WITHIN_S)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection(reader, writes).protocol_send, RawData(MEGABYTE))
            await trio.sleep(50)
            writes.give_up()
        assert trio.current_time() == 50
        assert reader.closed
        assert len(reader.taken) == 2 * 64 * 1024

    async def test_an_empty_write_is_a_write(self, autojump_clock: trio.testing.MockClock) -> None:
        """hypercorn writes nothing at the end of an answer, and finds a broken connection by it."""
        reader = _Reader(pace_s=1)
        await connection(reader, server.Writes(WITHIN_S)).protocol_send(RawData(b""))
        assert trio.current_time() == 1
        assert reader.told == []


async def test_a_slow_reader_of_one_large_answer_gets_all_of_it() -> None:
    """On a socket: 4.2 MB in one write, read at no more than 2 MB/s with a deadline of 0.5 s."""
    async with firehose(deltas=70) as hose, serving(relaying(hose.base_url, write_s=0.5)) as running:
        stream = await running.connect(receive_buffer=32 * 1024)
        await stream.send_all(posted(turn(stream=False), "connection: close"))
        taken = 0
        with trio.fail_after(30):
            taken += len(await stream.receive_some(1024))
            began = trio.current_time()
            while data := await stream.receive_some(32 * 1024):
                taken += len(data)
                await trio.sleep(0.015)
            took_s = trio.current_time() - began
        (line,) = await running.logged(1)
    assert (line.status, took_s > 1.0) == (200, True)
    assert taken > 70 * 60_000


def test_the_kernel_holds_little_of_an_answer() -> None:
    """A listening socket hands its buffer on, and Linux doubles what is asked for."""
    with server.listen("127.0.0.1", 0) as sock:
        asked = server.SEND_BUFFER_BYTES
        assert asked <= sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * asked


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
async def test_a_server_may_open_as_many_files_as_its_user_may() -> None:
    """The soft limit is raised to the hard one."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 512), before[1]))
    try:
        async with serving(rehearsing()):
            with trio.fail_after(5):
                while resource.getrlimit(resource.RLIMIT_NOFILE)[0] != before[1]:  # noqa: ASYNC110
                    await trio.sleep(0.01)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
