"""A scripted provider on a loopback port, on every wire, which remembers how every exchange went.

A mock inside the client's process would prove nothing about sockets: whether a loser's connection is really closed, and
when, is only visible from the other end of it. So this is a server of its own (h11 over a Trio stream) that watches its
socket while it answers: an `Exchange` says when the request came, what was sent, when it was over and who ended it.

    python -m tests.e2e.upstream --port 8090 [--fault 429]

What it says is in `scripts`, how it fails in `faults`. A fault is chosen by URL prefix (`/reset/v1/messages`), else by
the model name after `@` (`claude-sonnet-5-5@slow:2`), else by the server's own `fault`. `GET /log` returns the log.

The path says the wire: `/v1/messages`, `/v1/chat/completions`, `/v1/responses`, `/api/chat` or `:streamGenerateContent`.
Whatever its own wire has no place for it refuses, with 422 on OpenAI's (`openai_rules`, `responses_rules`), with 400 on
Ollama's (`ollama_rules`), in Google's words on Gemini's (`gemini_rules`), with Anthropic's 400 for a conversation out of
order and for thinking that somebody else signed (`anthropic_rules`); and since a proxy may get over a refusal unseen,
`serving` fails the test afterwards.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote

import attrs
import h11
import trio

from . import openai_rules, responses_rules
from .anthropic_rules import anthropic_breaches
from .chat_wire import CHAT
from .errors import lone_errors_bare
from .exchange import Exchange as Exchange
from .faults import Action, Cut, HalfClose, Head, Pause, Raw, Reset, Send, Until, actions, is_fault, parse, refusal
from .forms import head_breaches
from .gemini_rules import breaches as gemini_breaches
from .gemini_wire import GEMINI
from .ollama_rules import ollama_breaches
from .ollama_wire import OLLAMA
from .responses_wire import RESPONSES
from .scripts import answer
from .wire import ANTHROPIC, Message, Rendering, Wire, make_message

Up = TypeVar("Up", bound="Upstream")

MODELS = ("claude-sonnet-5-5", "claude-haiku-5-5")


_CHECKS: Mapping[Wire, Callable[[Any], list[str]]] = {
    "anthropic": anthropic_breaches,
    "openai-chat": openai_rules.breaches,
    "openai-responses": responses_rules.breaches,
    "gemini": gemini_breaches,
    "ollama": ollama_breaches,
}
RENDERINGS: Mapping[Wire, Rendering] = {
    "anthropic": ANTHROPIC,
    "openai-chat": CHAT,
    "openai-responses": RESPONSES,
    "gemini": GEMINI,
    "ollama": OLLAMA,
}


@attrs.define(eq=False)
class Upstream:
    """One scripted provider. `name` goes into the ids it makes up, so two upstreams never share one."""

    name: str
    fault: str = ""
    port: int = 0
    log: list[Exchange] = attrs.field(factory=list)
    _news: trio.Event = attrs.field(factory=trio.Event)

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self) -> list[Exchange]:
        """The requests for inference so far."""
        return [exchange for exchange in self.log if exchange.is_message]

    @property
    def refused(self) -> list[str]:
        """Everything that was refused, of any request."""
        return [f"request {exchange.number}: {breach}" for exchange in self.log for breach in exchange.refused]

    async def until_asked(self, times: int = 1) -> Exchange:
        """Wait until inference was asked for `times` times in all; return that request."""
        while len(self.asked) < times:
            await self._news.wait()
        return self.asked[times - 1]

    async def handle(self, stream: trio.SocketStream) -> None:
        """Serve one connection until either side ends it."""
        connection = _Connection(stream)
        with trio.CancelScope() as scope:
            try:
                while (request := await connection.next_request()) is not None:
                    await self._serve(connection, *request)
                    if not connection.reusable():
                        break
            except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
                scope.cancel()  # the client is gone; the exchange, if there was one, has noted it
        await trio.aclose_forcefully(stream)

    async def _serve(self, connection: _Connection, request: h11.Request, body: bytes) -> None:
        method, target = request.method.decode(), request.target.decode()
        path = unquote(target.partition("?")[0])
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in request.headers}
        parsed = json.loads(body) if body else {}
        exchange = Exchange(len(self.log) + 1, method, path, headers, parsed, "", trio.current_time())
        exchange.fault = self._fault_for(path, exchange.model)
        if exchange.is_message:
            exchange.refused += _CHECKS[exchange.wire](parsed)
            exchange.refused += [] if exchange.wire == "anthropic" else head_breaches(headers)
        self.log.append(exchange)
        news, self._news = self._news, trio.Event()
        news.set()
        await connection.answer(exchange, self._answer(exchange, len(body)))

    def _fault_for(self, path: str, model: str) -> str:
        prefix, suffix = re.split("/(?:v1|v1beta|api)/", path)[0].strip("/"), model.rpartition("@")[2]
        return next((text for text in (prefix, suffix) if is_fault(text)), self.fault)

    def _answer(self, exchange: Exchange, size: int) -> Iterator[Action]:
        if exchange.method == "HEAD":
            return iter((Head(200, ()),))
        if exchange.is_message:
            return self.say(exchange, size)
        if exchange.path.endswith("/v1/messages/count_tokens"):
            return _json({"input_tokens": max(1, size // 4)})
        if exchange.path.endswith("/v1/models"):
            return _json(_models(anthropic="anthropic-version" in exchange.headers))
        if exchange.path == "/log":
            return _json([past.summary() for past in self.log])
        return _json({})

    def say(self, exchange: Exchange, size: int) -> Iterator[Action]:
        """What to do about a request for inference with a body of `size` bytes."""
        rendering = RENDERINGS[exchange.wire]
        blocks = () if exchange.refused else answer(exchange.ask)
        message = make_message(f"{self.name}{exchange.number}", exchange.model, blocks, size // 4)
        if exchange.refused:
            status = 422 if rendering in (CHAT, RESPONSES) else 400
            return refusal(status, "; ".join(exchange.refused), message, rendering)
        message = as_asked(message, exchange)
        streams = exchange.path.endswith(":streamGenerateContent") or exchange.body.get("stream", rendering is OLLAMA)
        return actions(exchange.fault, message, rendering, stream=bool(streams))


def as_asked(message: Message, exchange: Exchange) -> Message:
    """The message with what its wire gives only where it was asked for."""
    if exchange.wire == "openai-chat":
        counted = bool((exchange.body.get("stream_options") or {}).get("include_usage"))
        return attrs.evolve(message, counted=counted)
    if exchange.wire == "openai-responses":
        encrypted = "reasoning.encrypted_content" in exchange.body.get("include", ())
        return attrs.evolve(message, encrypted=encrypted)
    return message


@asynccontextmanager
async def serving(
    name: str = "up", fault: str = "", port: int = 0, *, may_refuse: bool = False
) -> AsyncIterator[Upstream]:
    """Run an upstream on 127.0.0.1 while the block runs.

    Raises ValueError on a fault that does not exist, and at the end of a block that went well AssertionError where the
    upstream had to refuse something, unless it `may_refuse`.
    """
    if fault:
        parse(fault)
    async with up_and_running(Upstream(name, fault), port, may_refuse=may_refuse) as upstream:
        yield upstream


@asynccontextmanager
async def up_and_running(upstream: Up, port: int = 0, *, may_refuse: bool = False) -> AsyncIterator[Up]:
    """Run this upstream on 127.0.0.1, likewise."""
    with lone_errors_bare():
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, upstream.handle, port, host="127.0.0.1"))
            upstream.port = listeners[0].socket.getsockname()[1]
            yield upstream
            nursery.cancel_scope.cancel()
    assert may_refuse or not upstream.refused, "\n".join(upstream.refused)


@contextmanager
def refusing() -> Iterator[str]:
    """A base URL whose port refuses connections: bound, so that nobody else gets it, and never listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


class _Connection:
    """h11 over one socket; while an answer is going out, a second task waits for the client to leave."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._h11 = h11.Connection(h11.SERVER)

    async def next_request(self) -> tuple[h11.Request, bytes] | None:
        """The next request with its body; None when the client closed between requests."""
        request, body = None, bytearray()
        while True:
            event = self._h11.next_event()
            match event:
                case h11.NEED_DATA:
                    if self._h11.they_are_waiting_for_100_continue:
                        await self._stream.send_all(
                            self._h11.send(h11.InformationalResponse(status_code=100, headers=[]))
                        )
                    self._h11.receive_data(await self._stream.receive_some(65536))
                case h11.Request():
                    request = event
                case h11.Data():
                    body += event.data
                case h11.EndOfMessage():
                    assert request is not None
                    return request, bytes(body)
                case _:
                    return None

    def reusable(self) -> bool:
        """Whether another request may follow; prepares for it."""
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        return True

    async def answer(self, exchange: Exchange, plan: Iterator[Action]) -> None:
        """Carry out `plan`, and stop at once when the client leaves."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, exchange, nursery.cancel_scope)
            try:
                await self._carry_out(exchange, plan)
            except trio.BrokenResourceError:
                exchange.end("client-left")
            nursery.cancel_scope.cancel()

    async def _watch(self, exchange: Exchange, answering: trio.CancelScope) -> None:
        try:
            early = await self._stream.receive_some(65536)
        except trio.BrokenResourceError:
            exchange.end("client-left")
        except trio.ClosedResourceError:
            return  # closed by the script itself
        else:
            if early:  # a pipelined request: keep it; from now on a leaving client is noticed by writing only
                self._h11.receive_data(early)
                return
            exchange.end("client-left")
        answering.cancel()

    async def _carry_out(self, exchange: Exchange, plan: Iterator[Action]) -> None:
        for action in plan:
            match action:
                case Head(status, headers):
                    framing = [] if dict(headers).keys() & {"content-length"} else [("transfer-encoding", "chunked")]
                    await self._send(exchange, h11.Response(status_code=status, headers=[*headers, *framing]))
                    exchange.head_sent = trio.current_time()
                case Send(data):
                    await self._send(exchange, h11.Data(data=data))
                case Raw(data):
                    await self._stream.send_all(data)
                case Pause(seconds):
                    await trio.sleep(seconds)
                case Until(happened):
                    await happened()
                case HalfClose():
                    await self._stream.send_eof()
                case Reset() | Cut():
                    exchange.end("reset" if isinstance(action, Reset) else "cut")
                    if isinstance(action, Reset):  # linger 0: close() sends RST instead of FIN
                        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self._stream.socket.close()
                    return
        await self._send(exchange, h11.EndOfMessage())
        exchange.end("finished")

    async def _send(self, exchange: Exchange, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data:
            await self._stream.send_all(data)
            exchange.sent += len(data)


def _models(*, anthropic: bool) -> dict[str, Any]:
    """The list of models in the form of whoever asks; both ask for the same path."""
    if anthropic:
        rows = [{"type": "model", "id": model, "display_name": model} for model in MODELS]
        return {"data": rows, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
    return {
        "object": "list",
        "data": [
            {"id": model, "object": "model", "created": 1_700_000_000, "owned_by": "scripted"} for model in MODELS
        ],
    }


def _json(value: Any) -> Iterator[Action]:
    yield Head(200, (("content-type", "application/json"),))
    yield Send(json.dumps(value).encode())


async def _main(port: int, fault: str, say: Callable[[str], None]) -> None:
    async with serving(fault=fault, port=port) as upstream:
        say(f"scripted upstream on {upstream.base_url}, fault: {fault or 'none'}")
        shown = 0
        while True:
            await upstream.until_asked(shown + 1)
            exchange, shown = upstream.asked[shown], shown + 1
            say(json.dumps({**exchange.summary(), "script": "" if exchange.refused else exchange.ask.turn().name}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A scripted provider on loopback, on every wire.")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--fault", default="", help="how every answer fails, e.g. 429 or silence:30")
    options = parser.parse_args()
    trio.run(_main, options.port, options.fault, partial(print, flush=True))
