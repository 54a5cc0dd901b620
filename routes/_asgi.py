"""The few moves of ASGI that the doors share: read a body within bounds, answer at once, watch for the client's leaving.

Left to themselves these go wrong quietly. A server's queue of request messages is short, so a handler that answers without
reading the body never finishes; a disconnect is told only to those who ask; and the disconnect that follows our own last
byte, taken for the client's, interrupts the server's clean-up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import trio

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]


#: How long a body that nobody reads is thrown away behind its answer, in seconds.
LINGER_S = 2.0


class ClientGone(Exception):
    """The client left before its request was complete."""


class TooLarge(Exception):
    """A body beyond its limit, in bytes."""


class TooSlow(Exception):
    """A body that was not complete in time."""


async def answer(
    send: Send, status: int, body: bytes, headers: Headers, *, content_type: bytes = b"application/json"
) -> None:
    """One whole response. A body of nothing has no content type; a 204 has no length either."""
    await _show(send, status, body, headers, content_type, more_body=False)


@attrs.define(eq=False)
class Arriving:
    """The messages of a request, and whether all of its body has come."""

    inner: Receive
    over: trio.Event = attrs.field(factory=trio.Event)

    async def __call__(self) -> Message:
        message = await self.inner()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            self.over.set()
        return message


async def answer_unread(receive: Arriving, send: Send, status: int, body: bytes, headers: Headers) -> None:
    """One whole response to a request whose body, or the rest of it, nobody will read.

    Closed with an unread body on the way, a connection is reset, and the answer is lost to a client that is still sending.
    So what comes is thrown away until the client has read that it may stop, or `LINGER_S` are over.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_drain, receive)
        await _show(send, status, body, headers, b"application/json", more_body=True)
        with trio.move_on_after(LINGER_S):
            await receive.over.wait()
        await send({"type": "http.response.body", "body": b""})
        nursery.cancel_scope.cancel()


async def _show(
    send: Send, status: int, body: bytes, headers: Headers, content_type: bytes, *, more_body: bool
) -> None:
    fixed = [] if status == 204 else [(b"content-length", str(len(body)).encode())]
    if body:
        fixed.append((b"content-type", content_type))
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body, "more_body": more_body})


async def _drain(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(receive: Receive, *, limit: int, within_s: float, took: Callable[[int], None]) -> bytes:
    """The whole body. `took` is told of each piece. Raises TooLarge, TooSlow, ClientGone."""
    parts: list[bytes] = []
    size = 0
    with trio.move_on_after(within_s):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            size += len(piece)
            took(len(piece))
            if size > limit:
                raise TooLarge
            parts.append(piece)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)
    raise TooSlow


def hide_late_disconnect(app: App) -> App:
    """`app`, to which a disconnect that follows its own last byte is not told.

    Quart-Trio cancels on any disconnect, and hypercorn queues one while our last `send` is still running: the cancellation
    then interrupts hypercorn's own closing, and `Connection: close`, the idle timeout and an early drain stop working.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        last = False

        async def sending(message: Message) -> None:
            nonlocal last
            last = last or (message["type"] == "http.response.body" and not message.get("more_body"))
            await send(message)

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect" and last:
                await trio.sleep_forever()
            return message

        await app(scope, receiving, sending)

    return wrapped
