"""The two shapes an answer takes on its way to the client: a stream, or one JSON object.

A status code is the best error there is, and it is gone once the head is out; silence makes clients leave. So the head of
a stream waits for the winner, but no longer than ten seconds: then it goes out with a `ping`, and a ping follows whenever
nothing was written for ten seconds. Claude Code then waits without end, which is why the engine has deadlines of its own.
Pings stand between whole frames only, since every write here is a number of whole frames, one write at a time.

A turn may be given up at any moment, in the middle of a write as well, and something is then still to be said. A write that
was asked for is therefore done, and done whole: half of one would leave the server in a state in which nothing more can be
sent, and one left out after waiting for a ping would be missing from what the engine believes was shown. The server has
its own deadline for clients that take nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import orjson
import trio

from engine import PING, Refusal, StreamEvent, Winner, error_body, error_event, error_type, with_headers
from routes._aggregate import Aggregate
from routes._asgi import Headers, Send, answer

#: Seconds until the head goes out without a winner, and between pings. Claude Code was measured to give up after 300 s
#: without a byte; ten keeps middleboxes and its "waiting" banner quiet too.
KEEP_ALIVE_S = 10.0

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def _winner_headers(winner: Winner) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-hedgerow-candidate", quote(winner.candidate.name, safe="/:@.,+-_?&= ").encode()),
        (b"x-hedgerow-attempts", str(winner.attempts).encode()),
    ]


class SSEReply:
    """A stream. `ending` is set before the last message is handed to the server."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._headers: Headers = [(b"request-id", request_id.encode())]
        self._head_out = False
        self._writing = trio.Lock()
        self._written_at = trio.current_time()
        self.visible = False
        self.ending = False
        self.status = 0

    async def begin(self, winner: Winner) -> None:
        if not self._head_out:
            self._headers = [*self._headers, *_winner_headers(winner)]

    async def send(self, events: Sequence[StreamEvent]) -> None:
        if events:
            self.visible = True
            await self._write(events[0].raw if len(events) == 1 else b"".join([e.raw for e in events]))

    async def finish(self) -> None:
        await self._write(b"", more=False)

    async def refuse(self, refusal: Refusal) -> None:
        if self._head_out:
            # The status is spent. Of a message that the client has seen nothing of, any type but `overloaded_error` makes
            # Claude Code ask at once without a stream, where it reads statuses and waits again; that one ends the turn of
            # an Opus model with the third.
            kind = "overloaded_error" if self.visible else refusal.type
            kind = kind if self.visible or kind != "overloaded_error" else error_type(503)
            await self._write(error_event(kind, refusal.message).raw, more=False)
            return
        self.ending, self.status = True, refusal.status
        await refused(self._send, refusal, self._request_id)

    async def reset(self) -> None:
        """Without a last message the server breaks the connection off, which no client takes for an end."""
        self.ending = True

    def discard(self) -> None:
        raise RuntimeError("what a client has seen of a stream cannot be taken back")

    async def keep_alive(self) -> None:
        """Ping whenever nothing was written for `KEEP_ALIVE_S`. Runs until it is cancelled."""
        while not self.ending:
            due_at = self._written_at + KEEP_ALIVE_S
            if trio.current_time() < due_at:
                await trio.sleep_until(due_at)
            elif self._writing.locked():
                await trio.sleep(KEEP_ALIVE_S)
            else:
                await self._write(PING.raw)

    async def _write(self, body: bytes, *, more: bool = True) -> None:
        if not more:
            self.ending = True
        with trio.CancelScope(shield=True):  # the wait as well: whoever asked for a write counts it as written
            if self._writing.locked():
                await self._writing.acquire()  # a ping is on its way
            else:
                self._writing.acquire_nowait()  # nearly always, and without a checkpoint
            try:
                if not self._head_out:
                    self._head_out, self.status = True, 200
                    headers = [*_STREAM_HEADERS, *self._headers]
                    await self._send({"type": "http.response.start", "status": 200, "headers": headers})
                await self._send({"type": "http.response.body", "body": body, "more_body": more})
            finally:
                self._writing.release()
                self._written_at = trio.current_time()


class JSONReply:
    """One JSON object. Nothing is visible until it is whole, so a broken answer can start again from nothing."""

    visible = False

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._headers: Headers = [(b"request-id", request_id.encode())]
        self._winner: Headers = []
        self._aggregate = Aggregate()
        self.ending = False
        self.status = 0

    async def begin(self, winner: Winner) -> None:
        self._winner = _winner_headers(winner)

    async def send(self, events: Sequence[StreamEvent]) -> None:
        self._aggregate.feed(events)

    async def finish(self) -> None:
        self.ending, self.status = True, 200
        body = orjson.dumps(self._aggregate.message)
        with trio.CancelScope(shield=True):
            await answer(self._send, 200, body, [*self._headers, *self._winner])

    async def refuse(self, refusal: Refusal) -> None:
        self.ending, self.status = True, refusal.status
        await refused(self._send, refusal, self._request_id)

    async def reset(self) -> None:
        raise RuntimeError("a JSON reply shows nothing before it is whole, so there is nothing to break off")

    def discard(self) -> None:
        self._aggregate = Aggregate()

    async def keep_alive(self) -> None:
        """There is no ping in a JSON answer."""


async def refused(send: Send, refusal: Refusal, request_id: str) -> None:
    """An error as the answer, with its status."""
    body = refusal.body if refusal.body is not None else error_body(refusal.type, refusal.message, request_id)
    await answer(send, refusal.status, body, [(b"request-id", request_id.encode()), *with_headers(refusal)])
