"""A scripted provider that speaks Responses over WebSockets, and keeps each conversation where its socket is.

It is as strict as its neighbours on HTTP: a turn may go on only from the last answer of its own socket, what it goes on
with is put behind what is there, and the whole must be a body that the wire's rules take. So a proxy that sends too little
is found out by its very next turn.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from . import responses_rules
from .errors import lone_errors_bare
from .exchange import Exchange
from .responses_wire import RESPONSES
from .scripts import answer
from .wire import Message, make_message

JSON = dict[str, Any]


@attrs.define(eq=False)
class SocketUpstream:
    """One such provider. `log` has the whole of what each turn asked, `frames` what was sent for it, `on` its socket.

    `forgets`: no state is kept, and whoever counts on it is told so. `hangs_up`: a socket is closed after its first turn.
    """

    name: str = "up"
    forgets: bool = False
    hangs_up: bool = False
    port: int = 0
    log: list[Exchange] = attrs.field(factory=list)
    frames: list[JSON] = attrs.field(factory=list)
    on: list[int] = attrs.field(factory=list)
    refused: list[str] = attrs.field(factory=list)
    opened: int = 0
    open: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, stream: trio.SocketStream) -> None:
        self.opened += 1
        self.open += 1
        try:
            async with trio.open_nursery() as nursery:
                request = await wrap_server_stream(nursery, stream)
                headers = {name.decode().lower(): value.decode() for name, value in request.headers}
                ws = await request.accept()
                with suppress(ConnectionClosed):
                    await self._converse(ws, _Conversation(self.opened, request.path, headers))
                nursery.cancel_scope.cancel()
        finally:
            self.open -= 1
            await trio.aclose_forcefully(stream)

    async def _converse(self, ws: WebSocketConnection, state: _Conversation) -> None:
        while True:
            frame = json.loads(await ws.get_message())
            self.frames.append(frame)
            self.on.append(state.socket)
            body = {name: value for name, value in frame.items() if name != "type"}
            known = body.pop("previous_response_id", None)
            if known is not None and (self.forgets or known != state.last):
                await _say(ws, _error(400, "previous_response_not_found", f"there is no {known}"))
                continue
            body["input"] = (state.items if known is not None else []) + body["input"]
            exchange = Exchange(len(self.log) + 1, "POST", state.path, state.headers, body, "", trio.current_time())
            self.log.append(exchange)
            breaches = responses_rules.breaches({**body, "stream": True})
            breaches += [f"no such field on a socket: {name}" for name in ("stream", "background") if name in body]
            if breaches:
                self.refused += breaches
                await _say(ws, _error(422, "unknown_parameter", "; ".join(breaches)))
                continue
            message = self._message(exchange)
            for data in RESPONSES.frames(message):
                await ws.send_message(data.partition(b"data: ")[2].strip().decode())
            exchange.end("finished")
            whole = RESPONSES.whole(message)
            # Its own items as a client would send them: the rules allow it none of the host's names for things.
            given = [{k: v for k, v in item.items() if k not in ("id", "status")} for item in whole["output"]]
            state.last, state.items = whole["id"], body["input"] + given
            if self.hangs_up:
                await ws.aclose(1001, "see you")

    def _message(self, exchange: Exchange) -> Message:
        blocks = answer(exchange.ask)
        message = make_message(f"{self.name}{exchange.number}", str(exchange.body.get("model")), blocks, 100)
        return attrs.evolve(message, encrypted="reasoning.encrypted_content" in exchange.body.get("include", ()))


@attrs.define
class _Conversation:
    """What one socket knows."""

    socket: int
    path: str
    headers: dict[str, str]
    last: str = ""
    items: list[JSON] = attrs.field(factory=list)


async def _say(ws: WebSocketConnection, payload: JSON) -> None:
    await ws.send_message(json.dumps(payload))


def _error(status: int, code: str, message: str) -> JSON:
    error = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    return {"type": "error", "status": status, "error": error}


@asynccontextmanager
async def speaking(upstream: SocketUpstream) -> AsyncIterator[SocketUpstream]:
    """Run it on 127.0.0.1 while the block runs. Raises AssertionError at the end where it had to refuse something."""
    with lone_errors_bare():
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, upstream.handle, 0, host="127.0.0.1"))
            upstream.port = listeners[0].socket.getsockname()[1]
            yield upstream
            nursery.cancel_scope.cancel()
    assert not upstream.refused, "\n".join(upstream.refused)
