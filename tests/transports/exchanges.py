"""One exchange with a scripted host, for tests: an answer in reads, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import httpx
import pytest
import trio

from engine import Ask, AttemptError, Failure, StreamEvent
from tests.transports.anthropic_frames import END, START, STOP, delta, start, stop, stream
from tests.transports.asks import ask
from transports._outgoing import anthropic
from transports._wire import WireHTTP

GOOD = stream(
    {**START, "message": {**START["message"], "model": "asked"}}, start(0), delta(0, "hi"), stop(0), END, STOP
)
MESSAGE = {
    **START["message"],
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 7},
}
SSE = {"content-type": "text/event-stream; charset=utf-8"}
JSON = {"content-type": "application/json"}


@attrs.define(eq=False)
class Body(httpx.AsyncByteStream):
    """A body in reads; a number is a silence in seconds, an exception is raised."""

    parts: Sequence[bytes | float | Exception]
    closed: int = 0
    taken: int = 0

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        while self.taken < len(self.parts):
            part = self.parts[self.taken]
            self.taken += 1
            if isinstance(part, Exception):
                raise part
            if isinstance(part, bytes):
                await trio.lowlevel.checkpoint()
                return part
            await trio.sleep(part)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


@attrs.define(eq=False)
class Host(httpx.AsyncBaseTransport):
    """Gives one answer, or raises, and keeps the request."""

    body: Body
    status: int = 200
    headers: dict[str, str] = attrs.field(factory=lambda: dict(SSE))
    error: Exception | None = None
    seen: list[httpx.Request] = attrs.field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if self.error is not None:
            raise self.error
        return httpx.Response(self.status, headers=self.headers, stream=self.body)


def host(*parts: bytes | float | Exception, status: int = 200, headers: dict[str, str] | None = None) -> Host:
    return Host(Body(parts), status, dict(SSE if headers is None else headers))


async def exchanged(where: Host, **asked: Any) -> list[StreamEvent]:
    """All events of one exchange with this host; the body is closed exactly once, whatever happens."""
    events: list[StreamEvent] = []
    try:
        async with WireHTTP(lambda _: where, lambda: 0.0, anthropic).open(ask(**asked)) as upstream:
            while (batch := await upstream.read()) is not None:
                events += batch
            assert await upstream.read() is None
    finally:
        assert where.body.closed == (0 if where.error else 1)
    return events


async def failure(where: Host, **asked: Any) -> Failure:
    with pytest.raises(AttemptError) as caught:
        await exchanged(where, **asked)
    assert str(caught.value) == str(caught.value.failure)
    return caught.value.failure


async def failure_before(where: Host, asked: Ask) -> Failure:
    """That of an exchange which never came about."""
    with pytest.raises(AttemptError) as caught:
        async with WireHTTP(lambda _: where, lambda: 0.0, anthropic).open(asked):
            raise AssertionError("entered")
    return caught.value.failure
