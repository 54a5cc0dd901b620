"""On real sockets: a body of 5 MB is gone while its answer goes on, once nobody else can go on with that."""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import Sequence
from functools import partial

import orjson
import pytest
import trio

from engine import StreamEvent
from engine.testing import head, tail, text, tool
from policies import InOrder, Policy, Rescue, SilentSkip
from tests.server.serving import relaying, serving

pytestmark = pytest.mark.long

SIZE = 5_000_000
#: What a server with one turn under way may have beside the body, in bytes.
ELSE = 1_500_000
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"  # ends with its connection


def raw(events: Sequence[StreamEvent]) -> bytes:
    return b"".join(item.raw for item in events)


async def upstream(begins: bytes, ends: bytes, go_on: trio.Event, stream: trio.SocketStream) -> None:
    """Reads a request and keeps nothing of it; answers in two pieces."""
    seen, left = b"", None
    while left is None or left > 0:
        piece = await stream.receive_some(65536)
        if left is not None:
            left -= len(piece)
            continue
        seen += piece
        if b"\r\n\r\n" in seen:
            length = re.search(rb"content-length: (\d+)", seen, re.IGNORECASE)
            assert length is not None
            left = int(length[1]) - len(seen.partition(b"\r\n\r\n")[2])
            seen = b""
    await stream.send_all(HEAD + begins)
    await go_on.wait()
    await stream.send_all(ends)
    await stream.aclose()


async def held_during(
    shown: Sequence[StreamEvent], ends: Sequence[StreamEvent], *policies: Policy
) -> tuple[int, bytes]:
    """Bytes that are allocated after `shown` has reached the client and before `ends` does; and all of the answer."""
    go_on = trio.Event()
    answered = b""
    async with trio.open_nursery() as nursery:
        handler = partial(upstream, raw(shown), raw(ends), go_on)
        listeners = await nursery.start(partial(trio.serve_tcp, handler, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with serving(relaying(url, policies=(SilentSkip(), InOrder(), *policies))) as running:
            client = await running.connect()
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            await client.send_all(_request())
            with trio.fail_after(20):
                while shown[-1].raw not in answered:
                    answered += await some(client)
            gc.collect()
            held = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            go_on.set()
            with trio.fail_after(20):
                while b"message_stop" not in answered:
                    answered += await some(client)
        nursery.cancel_scope.cancel()
    return held, answered


async def some(client: trio.SocketStream) -> bytes:
    """What has come; the answer may not end here."""
    piece = await client.receive_some(65536)
    assert piece
    return piece


def _request() -> bytes:
    """A turn of one long text, in many pieces as conversations are."""
    messages = [{"role": "user", "content": "word " * 1000}] * (SIZE // 5000)
    body = orjson.dumps({"model": "any", "max_tokens": 100, "stream": True, "messages": messages})
    return b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body


CALL = [*text("a"), *tool('{"a": 1}', index=1), *text("b", index=2, whole=False)]
TEXT = [*text("a"), *text("b", index=1), *text("c", index=2, whole=False)]
REST = [*text("d", index=2)[1:], *tail()]


@pytest.mark.parametrize(
    ("shown", "policies", "there"),
    [
        pytest.param(CALL, (), False, id="a call was shown"),
        pytest.param(TEXT, (Rescue(mode="off"),), False, id="nobody goes on"),
        pytest.param(TEXT, (), True, id="somebody may go on"),
    ],
)
async def test_a_large_body_is_gone_while_its_answer_goes_on(
    shown: list[StreamEvent], policies: tuple[Policy, ...], there: bool
) -> None:
    """Its bytes and what was read from them, in every part of the server."""
    held, answered = await held_during([head(), *shown], REST, *policies)
    print(f"{held / 1e6:.2f} MB held")
    assert (held > SIZE) is there
    assert there or held < ELSE
    assert answered.count(b"event: message_stop") == 1
