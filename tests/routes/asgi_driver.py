"""Drive an ASGI application by hand, on the virtual clock, as strictly as the real server would.

A test client that collects messages is kind where hypercorn is not: it takes a body before its head, two messages at once
or one after the last. This one has hypercorn's states and objects; it also does what makes handlers go wrong there, namely
queue `http.disconnect` while the last message is still being sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import attrs
import orjson
import trio

from engine.config import AUTO, REHEARSAL, Chain, Config, Provider, Route, Secret, Server
from policies import Candidate, InOrder, Policy, SilentSkip, Unlimited
from policies import Sequence as InSequence
from routes import App
from server import Built, build

TOKEN = "planted-token-3f9c"
OPEN_SERVER = Server()
CLOSED_SERVER = Server(token=Secret(TOKEN, source="ANTHROPIC_AUTH_TOKEN"))
#: Request messages that the server keeps for a handler; with more than these unread, no last message gets through.
QUEUE = 10
ECHO = "echo?words=3&gap_ms=0"


class ProtocolError(AssertionError):
    """The application sent what no server would take."""


@attrs.define(eq=False)
class Exchange:
    """One request and its answer. `arrivals` holds each body message with its time in seconds after the request."""

    scope: dict[str, Any]
    #: Seconds that each body message takes to be sent.
    send_takes_s: float = 0.0
    status: int = 0
    headers: list[tuple[bytes, bytes]] = attrs.field(factory=list)
    head_at: float = -1.0
    arrivals: list[tuple[float, bytes]] = attrs.field(factory=list)
    ended: bool = False  #: the last message was sent
    interrupted: bool = False  #: the application was cancelled while its last message was being sent
    over: trio.Event = attrs.field(factory=trio.Event)
    _began_at: float = attrs.field(factory=trio.current_time)
    _state: str = "request"
    _sending: bool = False
    _left: bool = False
    _inbox: tuple[trio.MemorySendChannel[Any], trio.MemoryReceiveChannel[Any]] = attrs.field(
        factory=lambda: trio.open_memory_channel[Any](1000)
    )

    async def run(self, app: App) -> None:
        """The application's call, to its end."""
        try:
            await app(self.scope, self._inbox[1].receive, self.send)
        finally:
            self.over.set()

    def put(self, body: bytes, *, more: bool = False) -> None:
        """A piece of the request's body arrives."""
        self._inbox[0].send_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        """The client closes its connection."""
        self._left = True
        self._inbox[0].send_nowait({"type": "http.disconnect"})

    async def send(self, message: dict[str, Any]) -> None:
        if self._sending:
            raise ProtocolError(f"{message['type']} while another message was being sent")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()  # a cancellation may fall here, and then the message is not sent
            if self._left:
                return
            if message["type"] == "http.response.start":
                self._start(message)
            else:
                await self._body(message)
        finally:
            self._sending = False

    def _start(self, message: dict[str, Any]) -> None:
        if self._state != "request":
            raise ProtocolError(f"a head in state {self._state}")
        self._state, self.status, self.headers = "response", message["status"], list(message["headers"])
        self.head_at = trio.current_time() - self._began_at
        if not all(type(name) is bytes and type(value) is bytes for name, value in self.headers):
            raise ProtocolError("headers are bytes")

    async def _body(self, message: dict[str, Any]) -> None:
        if self._state != "response":
            raise ProtocolError(f"{message['type']} in state {self._state}")
        last = not message.get("more_body")
        if last:
            while self._inbox[0].statistics().current_buffer_used >= QUEUE:  # noqa: ASYNC110 - a channel tells nobody
                await trio.sleep(0.001)
            self._inbox[0].send_nowait({"type": "http.disconnect"})
        if body := message.get("body", b""):
            self.arrivals.append((trio.current_time() - self._began_at, body))
        if last:
            self._state, self.ended = "closed", True
        try:
            await trio.sleep(self.send_takes_s if not last else max(self.send_takes_s, 0.01))
        except trio.Cancelled:
            self.interrupted = last
            raise

    # What came.

    def header(self, name: str) -> str | None:
        """A response header; None where absent. More than one of a name is a fault."""
        found = [value.decode() for key, value in self.headers if key == name.encode()]
        if len(found) > 1:
            raise ProtocolError(f"{name} stands {len(found)} times")
        return found[0] if found else None

    @property
    def body(self) -> bytes:
        return b"".join(body for _, body in self.arrivals)

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> tuple[str, str]:
        """Type and message of an Anthropic error object, checked to be one and to name the request."""
        if self.header("content-type") != "application/json" or self.header("content-length") != str(len(self.body)):
            raise ProtocolError(f"not a JSON answer with its length: {self.headers}")
        told = self.json
        if set(told) != {"type", "error", "request_id"} or told["type"] != "error":
            raise ProtocolError(f"not an error object: {told}")
        if told["request_id"] != self.header("request-id") or not told["request_id"].startswith("req_"):
            raise ProtocolError(f"request-id {self.header('request-id')} but {told['request_id']}")
        return told["error"]["type"], told["error"]["message"]

    @property
    def events(self) -> list[tuple[float, str]]:
        """(seconds, name) of every event of a stream. Every message must hold whole frames."""
        found = []
        for at, body in self.arrivals:
            if not body.endswith(b"\n\n"):
                raise ProtocolError(f"a message ends inside a frame: {body[-60:]!r}")
            for frame in body[:-2].split(b"\n\n"):
                name, _, data = frame.partition(b"\n")
                payload = orjson.loads(data.removeprefix(b"data: "))
                if name != b"event: " + payload["type"].encode():
                    raise ProtocolError(f"not a frame: {frame!r}")
                found.append((round(at, 6), payload["type"]))
        return found

    @property
    def pings(self) -> list[float]:
        """The seconds at which pings came."""
        return [at for at, name in self.events if name == "ping"]


def http(
    method: str,
    target: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    token: str | None = None,
    version: str = "1.1",
    send_takes_s: float = 0.0,
    host: str = "127.0.0.1:2",
    peer: tuple[str, int] | None = ("127.0.0.1", 1),
) -> Exchange:
    """A request whose body is still to come."""
    raw_path, _, query = target.encode().partition(b"?")
    named = [*headers, *([("authorization", f"Bearer {token}")] if token else [])]
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": version,
        "method": method,
        "path": unquote(raw_path.decode()),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "scheme": "http",
        "headers": [(b"host", host.encode()), *((n.encode(), v.encode()) for n, v in named)],
        "client": peer,
        "server": ("127.0.0.1", 2),
        "extensions": {},
    }
    return Exchange(scope, send_takes_s=send_takes_s)


async def ask(app: App, method: str, target: str, body: bytes = b"", **more: Any) -> Exchange:
    """One request with its body at once, to the end of its answer."""
    exchange = http(method, target, **more)
    exchange.put(body)
    await exchange.run(app)
    return exchange


@asynccontextmanager
async def under_way(app: App, exchange: Exchange) -> AsyncIterator[Exchange]:
    """`exchange` runs beside the block, which waits for its end."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange.run, app)
        yield exchange


def turn(model: str = "claude-sonnet-5-5", **more: Any) -> bytes:
    """A body that asks for a stream."""
    asked = {"model": model, "max_tokens": 100, "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    return orjson.dumps({**asked, **more})


def rehearsing(
    *models: str,
    server: Server = OPEN_SERVER,
    policies: Sequence[Policy] = (SilentSkip(), InOrder(), InSequence()),
    match: str = "*",
) -> Config:
    """A configuration whose one chain has these rehearsal models."""
    candidates = tuple(Candidate(REHEARSAL, model) for model in models or (ECHO,))
    provider = Provider(id=REHEARSAL, wire="rehearsal", scope=Unlimited(), breaker=None)
    return Config(
        server=server,
        providers={REHEARSAL: provider},
        chains={
            AUTO: Chain(name=AUTO, candidates=(Candidate(REHEARSAL, "echo"),)),
            "main": Chain(name="main", candidates=candidates, policies=tuple(policies)),
        },
        routes=(Route(match=match, chain="main"),),
    )


def house(*models: str, **more: Any) -> Built:
    """A whole server, wired and not on the network."""
    return build(rehearsing(*models, **more))
