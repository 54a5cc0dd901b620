"""A provider that says more than anybody can take: what fills every buffer on the way to a client that does not read."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio

from tests.e2e.errors import lone_errors_bare
from tests.e2e.wire import sse

_START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
}
_BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
_DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 60_000}}
_END = (
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@attrs.define(eq=False)
class Firehose:
    """`deltas` of 60 kB make an answer, without end where None.

    `sent` counts bytes over all answers; `closed` holds the times at which a reader was found gone.
    """

    base_url: str = ""
    deltas: int | None = None
    asked: int = 0
    sent: int = 0
    closed: list[float] = attrs.field(factory=list)

    async def handle(self, stream: trio.SocketStream) -> None:
        """One connection, one request, an answer without end."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += await stream.receive_some(65536)
        self.asked += 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pour, stream, nursery.cancel_scope)
            try:
                while await stream.receive_some(65536):
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            self.closed.append(trio.current_time())
            nursery.cancel_scope.cancel()

    async def _pour(self, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            await stream.send_all(_HEAD + _chunk(sse(_START) + sse(_BLOCK)))
            delta = _chunk(sse(_DELTA))
            for _ in itertools.repeat(None) if self.deltas is None else range(self.deltas):
                await stream.send_all(delta)
                self.sent += len(delta)
            await stream.send_all(_chunk(b"".join(sse(event) for event in _END)) + b"0\r\n\r\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def stalled(self) -> None:
        """Wait until nothing more goes out: every buffer between here and the reader is full."""
        before = -1
        while self.sent != before or not self.sent:
            before = self.sent
            await trio.sleep(0.05)


@asynccontextmanager
async def firehose(deltas: int | None = None) -> AsyncIterator[Firehose]:
    """Run one on loopback."""
    made = Firehose(deltas=deltas)
    with lone_errors_bare():
        async with trio.open_nursery() as nursery:
            (listener,) = await nursery.start(partial(trio.serve_tcp, made.handle, 0, host="127.0.0.1"))
            made.base_url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
            yield made
            nursery.cancel_scope.cancel()
