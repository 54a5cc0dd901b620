"""A scripted Zed: it takes an envelope, keeps it, and answers in lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import httpx
import orjson
import trio

from tests.transports.anthropic_frames import END, START, STOP, delta, start
from transports import DIALECTS, WireHTTP, ZedThreads

LINES = {"content-type": "application/x-ndjson"}
Answer = Sequence[dict[str, Any]] | tuple[int, str]


def said(text: str) -> list[dict[str, Any]]:
    """An answer of one text, as the vendor's events."""
    return [START, start(0), delta(0, text), {"type": "content_block_stop", "index": 0}, END, STOP]


def lines(payloads: Sequence[dict[str, Any]], *, wrapped: bool = True) -> bytes:
    """Events as lines; a payload with `status` is news of the host's own."""
    written = [p if "status" in p or not wrapped else {"event": p} for p in payloads]
    return b"".join(orjson.dumps(line) + b"\n" for line in written)


class _Once(httpx.AsyncByteStream):
    """A body that comes in one read."""

    def __init__(self, body: bytes) -> None:
        self._left = [body]

    def __aiter__(self) -> _Once:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()

    async def aclose(self) -> None:
        pass


@attrs.define(eq=False)
class Host(httpx.AsyncBaseTransport):
    """Gives its answers in turn, the last again and again: events, or a status and a code. One that sums up is asked apart."""

    answers: list[Answer]
    summary: Answer = attrs.field(factory=lambda: said("the summary"))
    envelopes: list[dict[str, Any]] = attrs.field(factory=list)
    heads: list[httpx.Headers] = attrs.field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        envelope = orjson.loads(request.content)
        self.envelopes.append(envelope)
        self.heads.append(request.headers)
        if envelope.get("intent") == "thread_summarization":
            answer = self.summary
        else:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, tuple):
            body = orjson.dumps({"code": answer[1], "message": f"refused: {answer[1]}"})
            return httpx.Response(answer[0], headers={"content-type": "application/json"}, stream=_Once(body))
        return httpx.Response(200, headers=LINES, stream=_Once(lines(answer)))

    @property
    def transport(self) -> ZedThreads:
        http = WireHTTP(lambda _: self, lambda: 0.0, DIALECTS["anthropic"])
        return ZedThreads(http, DIALECTS, trio.current_time)
