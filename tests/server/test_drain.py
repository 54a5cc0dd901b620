"""How the real process ends: live streams have their time, then an honest ending; a second signal ends at once."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import trio

from tests.e2e.proxy import Proxy, running_proxy
from tests.e2e.raw import RawTurn, raw_turn
from tests.server.serving import ended, until

#: Real processes and real waits.
pytestmark = pytest.mark.long

STREAM = """
[server]
drain_s = {drain_s}

[chains.main]
candidates = ["rehearsal/echo?words={words}&gap_ms=50"]
policies = ["sequence"]

[[routes]]
match = "*"
chain = "main"
"""


@asynccontextmanager
async def talking(words: int, drain_s: float) -> AsyncIterator[tuple[Proxy, RawTurn]]:
    """A process with a live stream of `words` words, twenty a second. Leaving the block asserts its exit code 0."""
    async with running_proxy(STREAM.format(words=words, drain_s=drain_s)) as proxy:
        async with raw_turn(proxy.base_url, "hello") as turn:
            with trio.fail_after(10):
                while b"text_delta" not in turn.body:
                    assert await turn.more()
            yield proxy, turn


async def read_on(turn: RawTurn) -> None:
    """Read to the proper end; h11 raises where the last chunk is missing."""
    while await turn.more():
        pass


def refused(base_url: str) -> bool:
    """Whether nobody listens any more."""
    url = urlsplit(base_url)
    with socket.socket() as sock:
        return sock.connect_ex((str(url.hostname), int(url.port or 0))) != 0


@pytest.mark.parametrize("signal_", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
async def test_a_stream_that_ends_within_the_drain_is_whole(signal_: signal.Signals) -> None:
    """New connections are refused meanwhile; the process ends with the stream and does not wait out its time."""
    async with talking(words=16, drain_s=20) as (proxy, turn):
        os.kill(proxy.pid, signal_)
        await until(lambda: refused(proxy.base_url), 5)
        assert not ended(proxy.pid)
        with trio.fail_after(10):
            await read_on(turn)
        await until(lambda: ended(proxy.pid), 5)
    assert turn.reading().faults == []
    assert turn.reading().text.endswith("word15 ")


async def test_a_longer_stream_gets_an_error_event_and_a_proper_end() -> None:
    """Nothing that looks finished, and nothing that looks cut; exit code 0."""
    async with talking(words=1000, drain_s=0.5) as (proxy, turn):
        began = trio.current_time()
        os.kill(proxy.pid, signal.SIGTERM)
        with trio.fail_after(10):
            await read_on(turn)
        took_s = trio.current_time() - began
        await until(lambda: ended(proxy.pid), 10)
    assert 0.4 < took_s < 3
    assert b"event: error" in turn.body
    assert b'"type":"overloaded_error"' in turn.body
    assert b"shutting down" in turn.body
    assert b"message_stop" not in turn.body


async def test_a_second_signal_ends_at_once() -> None:
    """The stream is cut, which every client takes for a break; the process is gone within a second."""
    async with talking(words=1000, drain_s=60) as (proxy, turn):
        os.kill(proxy.pid, signal.SIGTERM)
        await until(lambda: refused(proxy.base_url), 5)
        os.kill(proxy.pid, signal.SIGTERM)
        await until(lambda: ended(proxy.pid), 1)
    assert b"message_stop" not in turn.body


async def test_an_idle_server_ends_at_once() -> None:
    """An open connection that asks for nothing is no reason to stay."""
    async with running_proxy(STREAM.format(words=1, drain_s=60)) as proxy:
        url = urlsplit(proxy.base_url)
        async with await trio.open_tcp_stream(str(url.hostname), int(url.port or 0)) as stream:
            await stream.send_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await stream.receive_some(65536)).startswith(b"HTTP/1.1 200")
            os.kill(proxy.pid, signal.SIGTERM)
            await until(lambda: ended(proxy.pid), 2)
