"""A provider on WebSockets that does what its scripts say, over memory streams or real connections.

What a socket does between requests is as much its matter as the answers: it keeps the heads of upgrades, what was asked,
how many connections are open, and how each ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import attrs
import orjson
import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from transports._socket import _Guard

JSON = dict[str, Any]
Script = Callable[[WebSocketConnection, JSON], Awaitable[None]]
Raw = Callable[[trio.abc.Stream], Awaitable[None]]


@attrs.define(eq=False)
class Host:
    """`scripts` answer one request each, then `usual` does; `raw` take whole connections, an int refuses the upgrade."""

    usual: Script
    scripts: deque[Script] = attrs.field(factory=deque)
    raw: deque[Raw | int | None] = attrs.field(factory=deque)
    requests: list[JSON] = attrs.field(factory=list)
    heads: list[dict[str, str]] = attrs.field(factory=list)
    #: The connection that each request came on, by number.
    on: list[int] = attrs.field(factory=list)
    paths: list[str] = attrs.field(factory=list)
    #: How many connections in memory are open at the other end.
    live: int = 0
    #: How each connection ended, by number: the code of a closing frame, None where it broke off.
    ends: dict[int, int | None] = attrs.field(factory=dict)
    opened: int = 0
    _changed: trio.Event = attrs.field(factory=trio.Event)
    _nursery: trio.Nursery | None = None

    async def network(self, host: str, port: int) -> trio.abc.Stream:
        """A connection in memory."""
        assert self._nursery is not None
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self.serve, theirs)
        self.live += 1
        return _Counted(ours, self._closed)

    def _closed(self) -> None:
        self.live -= 1
        self._stir()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Host]:
        """The owner of its connections. At the end they are cut."""
        async with trio.open_nursery() as self._nursery:
            yield self
            self._nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """The same on a real port of this machine."""
        async with self.running():
            assert self._nursery is not None
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self._nursery.start_soon(trio.serve_listeners, self.serve, listeners)
            yield listeners[0].socket.getsockname()[1]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to be so, of what this host counts."""
        with trio.fail_after(5):
            while not condition():
                self._changed = trio.Event()
                await self._changed.wait()

    def _stir(self) -> None:
        self._changed.set()

    async def serve(self, stream: trio.abc.Stream) -> None:
        number, self.opened = self.opened, self.opened + 1
        first = self.raw.popleft() if self.raw else None
        try:
            if callable(first):
                await first(stream)
            else:
                await self._upgrade(stream, number, first)
        except (trio.BrokenResourceError, trio.ClosedResourceError, ConnectionClosed):
            pass
        finally:
            self.ends.setdefault(number, None)
            self._stir()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    async def _upgrade(self, stream: trio.abc.Stream, number: int, refusal: int | None) -> None:
        guard = _Guard(stream, None)
        guard.allowance = 1 << 40
        async with trio.open_nursery() as nursery:

            async def leave_with_the_peer() -> None:
                await guard.over.wait()
                if not asked:
                    nursery.cancel_scope.cancel()  # the library would wait for a request for ever

            asked = False
            nursery.start_soon(leave_with_the_peer)
            request = await wrap_server_stream(nursery, cast(trio.SocketStream, guard))
            asked = True
            self.heads.append({name.decode().lower(): value.decode() for name, value in request.headers})
            self.paths.append(request.path)
            if refusal is not None:
                with suppress(ConnectionClosed):
                    await request.reject(refusal, body=b'{"error": {"message": "no sockets here"}}')
            else:
                ws = await request.accept()
                with suppress(ConnectionClosed):
                    await self._converse(ws, number)
                self.ends[number] = None if ws.closed is None or ws.closed.code == 1006 else ws.closed.code
            nursery.cancel_scope.cancel()

    async def _converse(self, ws: WebSocketConnection, number: int) -> None:
        while True:
            asked = orjson.loads(await ws.get_message())
            self.requests.append(asked)
            self.on.append(number)
            self._stir()
            await (self.scripts.popleft() if self.scripts else self.usual)(ws, asked)


@attrs.define(eq=False)
class _Counted(trio.abc.Stream):
    """The provider's user's end of a connection."""

    inner: trio.abc.Stream
    closed: Callable[[], None]
    _open: bool = True

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            self.closed()
        await self.inner.aclose()


async def say(ws: WebSocketConnection, *payloads: JSON) -> None:
    """Frames."""
    for payload in payloads:
        await ws.send_message(orjson.dumps(payload).decode())


def answering(*items: JSON, id: str = "resp_1", **response: Any) -> Script:
    """A script that answers with these items, whole."""

    async def script(ws: WebSocketConnection, asked: JSON) -> None:
        await say(ws, *answer(*items, id=id, **response))

    return script


def numbered(*items: JSON) -> Script:
    """The same, each answer with an id of its own."""
    count = 0

    async def script(ws: WebSocketConnection, asked: JSON) -> None:
        nonlocal count
        count += 1
        await say(ws, *answer(*items, id=f"resp_{count}"))

    return script


def answer(*items: JSON, id: str = "resp_1", status: str = "completed", **response: Any) -> list[JSON]:
    """The events of an answer that consists of these items."""
    told: JSON = {"id": id, "object": "response", "model": "m", "output": [], "status": "in_progress"}
    out: list[JSON] = [{"type": "response.created", "response": told}]
    for index, item in enumerate(items):
        at = {"output_index": index, "item_id": item.get("id", f"item_{index}")}
        out.append({"type": "response.output_item.added", **at, "item": {**item, "status": "in_progress"}})
        if item["type"] == "message":
            text = item["content"][0]["text"]
            out += [
                {"type": "response.content_part.added", **at, "content_index": 0, "part": {"type": "output_text"}},
                {"type": "response.output_text.delta", **at, "content_index": 0, "delta": text},
                {"type": "response.output_text.done", **at, "content_index": 0, "text": text},
            ]
        elif item["type"] == "function_call":
            out.append({"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]})
        out.append({"type": "response.output_item.done", **at, "item": item})
    ended = {**told, "status": status, "output": list(items), "usage": USAGE, **response}
    out.append({"type": f"response.{status}", "response": ended})
    return [{**event, "sequence_number": number} for number, event in enumerate(out)]


USAGE = {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17}


def spoken(text: str = "hello") -> JSON:
    """A message of the assistant."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_0", "role": "assistant", "status": "completed", "content": content}


def called(name: str = "Read", arguments: str = '{"path": "a"}', call_id: str = "call_1") -> JSON:
    """A call."""
    return {
        "type": "function_call",
        "id": f"fc_{call_id}",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": "completed",
    }


def failing(code: str, *, status: int | None = None, message: str = "no", **more: Any) -> Script:
    """A script that answers with an error frame."""

    async def script(ws: WebSocketConnection, asked: JSON) -> None:
        await say(ws, error(code, status=status, message=message, **more))

    return script


def error(code: str, *, status: int | None = None, message: str = "no", **more: Any) -> JSON:
    stated = {} if status is None else {"status": status}
    kind = "invalid_request_error"
    return {"type": "error", **stated, "error": {"type": kind, "code": code, "message": message, "param": None}, **more}
