"""A client that takes nothing more: dropped at the write deadline, and in nobody's way until then."""

from __future__ import annotations

import os
import signal

import pytest
import trio

import server
from tests.e2e.upstream import serving as scripted
from tests.routes.asgi_driver import turn
from tests.server.firehose import Firehose, firehose
from tests.server.serving import Client, Running, posted, relaying, serving, until


async def stall(running: Running, hose: Firehose) -> trio.SocketStream:
    """A client that asks, and reads nothing of the answer; returns when every buffer is full."""
    stream = await running.connect(receive_buffer=4096)
    await stream.send_all(posted())
    with trio.fail_after(20):
        await hose.stalled()
    return stream


async def test_is_dropped_at_the_write_deadline() -> None:
    """Its provider's connection closes with it, and the handler ends."""
    async with firehose() as hose, serving(relaying(hose.base_url, write_s=0.5)) as running:
        stream = await running.connect(receive_buffer=4096)
        began = trio.current_time()
        await stream.send_all(posted())
        (line,) = await running.logged(1)
        elapsed_s = trio.current_time() - began
        await until(lambda: hose.closed, 2)
    assert line.status == 499
    assert 0.4 < elapsed_s < 5
    assert hose.sent < 40_000_000


async def test_holds_up_nobody_else() -> None:
    """Fifty answers go to others while one client takes nothing."""
    async with firehose() as hose, scripted() as upstream:
        config = relaying(hose.base_url, write_s=30)
        async with serving(config) as running, serving(relaying(upstream.base_url)) as other:
            await stall(running, hose)
            client = Client(await running.connect())
            with trio.fail_after(5):
                for _ in range(50):
                    status, _ = await client.answer(posted(turn("rehearsal/echo?words=1&gap_ms=0")))
                    assert status == 200
                assert (await Client(await other.connect()).answer(posted()))[0] == 200
            assert running.built.router.live == 1
            assert hose.closed == []


async def test_that_reads_on_loses_nothing() -> None:
    """Slow is not stalled: one that takes a little now and then stays, though the whole takes longer than the limit."""
    async with firehose() as hose, serving(relaying(hose.base_url, write_s=0.3)) as running:
        stream = await running.connect(receive_buffer=4096)
        await stream.send_all(posted())
        taken = 0
        with trio.move_on_after(1):
            while True:
                taken += len(await stream.receive_some(200_000))
                await trio.sleep(0.005)
        assert running.built.router.live == 1
        assert running.lines == []
        assert taken > 100_000


async def test_does_not_hold_up_the_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is up with the drain, however long the write deadline is."""
    monkeypatch.setattr(server, "ENDINGS_S", 0.3)
    async with firehose() as hose, serving(relaying(hose.base_url, write_s=60, drain_s=0.3)) as running:
        await stall(running, hose)
        began = trio.current_time()
        os.kill(os.getpid(), signal.SIGTERM)
        with trio.fail_after(10):
            await running.over.wait()
        assert 0.5 < trio.current_time() - began < 2


async def test_does_not_hold_up_the_second_signal() -> None:
    """A second signal ends at once, without drain and without the write deadline."""
    async with firehose() as hose, serving(relaying(hose.base_url, write_s=60, drain_s=60)) as running:
        await stall(running, hose)
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.sleep(0.2)
        assert not running.over.is_set()
        began = trio.current_time()
        os.kill(os.getpid(), signal.SIGTERM)
        with trio.fail_after(10):
            await running.over.wait()
        assert trio.current_time() - began < 1


@pytest.mark.long
@pytest.mark.skipif(not hasattr(trio.socket, "TCP_USER_TIMEOUT"), reason="the kernel has no such timeout")
async def test_is_dropped_by_the_kernel_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero window included; the server's own deadline is far off here."""
    monkeypatch.setattr(server, "USER_TIMEOUT_MS", 2000)
    async with firehose() as hose, serving(relaying(hose.base_url, write_s=300)) as running:
        await stall(running, hose)
        await until(lambda: running.lines, 15)
    assert running.lines[0].status == 499
