"""A transport over a scripted host, with a spare way that counts who took it, and short ways to take turns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import attrs
import trio

from engine import JSON, Ask, Quota, StreamEvent, Upstream
from tests.transports.asks import ask, body
from tests.transports.sockets.host import Host
from transports import WebSocketTransport
from transports._dialect import Dialect, Turn
from transports._text_calls import with_text_calls
from transports.responses import openai_responses

PATHS = MappingProxyType({"messages": "/responses"})
HTTP = StreamEvent.__new__(StreamEvent)  # what the spare way answers with: told by its identity


@attrs.define(eq=False)
class Spare:
    """The way over HTTP."""

    asked: list[Ask] = attrs.field(factory=list)
    dialect: Dialect = openai_responses

    async def turn(self, ask: Ask) -> Turn:
        turn = self.dialect(ask)
        return attrs.evolve(turn, decoder=with_text_calls(ask, turn.decoder))

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[Upstream]:
        self.asked.append(ask)
        yield _Whole()


@attrs.define(eq=False)
class _Whole:
    via: str = "http"
    quota: Quota = ()
    _over: bool = False

    async def read(self) -> list[StreamEvent] | None:
        if self._over:
            return None
        self._over = True
        return [HTTP]


@attrs.define(eq=False)
class Stage:
    """One transport, its host and its spare way."""

    host: Host
    sockets: WebSocketTransport
    spare: Spare

    async def turn(self, *messages: JSON, **more: Any) -> list[StreamEvent]:
        """A whole turn."""
        return await self.of(asking(*messages, **more))

    async def of(self, asked: Ask) -> list[StreamEvent]:
        async with self.sockets.open(asked) as upstream:
            return await everything(upstream)


async def everything(upstream: Upstream) -> list[StreamEvent]:
    """What is left of an answer."""
    events: list[StreamEvent] = []
    while (some := await upstream.read()) is not None:
        events += some
    return events


@asynccontextmanager
async def staged(host: Host, *, running: bool = True) -> AsyncIterator[Stage]:
    """Everything wired, in memory. At the end nothing may be left."""
    spare = Spare()
    sockets = WebSocketTransport(http=spare, wall_s=lambda: 1_700_000_000.0, network=host.network)
    async with host.running(), trio.open_nursery() as nursery:
        if running:
            nursery.start_soon(sockets.run)
            await trio.testing.wait_all_tasks_blocked()
        yield Stage(host, sockets, spare)
        nursery.cancel_scope.cancel()


def asking(
    *messages: JSON, session: str = "s1", key: str | None = "secret-key", beside: bool = False, **more: Any
) -> Ask:
    """A request of this session. `more` are fields of its body, or of the provider as `provider`."""
    provider: dict[str, Any] = {
        "wire": "openai-responses",
        "websocket": True,
        "auth": "bearer",
        "paths": PATHS,
        **more.pop("provider", {}),
    }
    agent = more.pop("agent", "")
    made = ask(
        body(messages=list(messages) or [user("hi")], **more),
        model=more.pop("model", "m"),
        session=session,
        key=key,
        **provider,
    )
    return attrs.evolve(made, beside=beside, request=attrs.evolve(made.request, agent=agent))


def user(*content: Any) -> JSON:
    """A message of the user: texts, or blocks."""
    return {"role": "user", "content": [_block(one) for one in content]}


def assistant(*content: Any) -> JSON:
    """A message of the assistant."""
    return {"role": "assistant", "content": [_block(one) for one in content]}


def _block(one: Any) -> JSON:
    return {"type": "text", "text": one} if isinstance(one, str) else one


def use(id: str = "call_1", name: str = "Read", **input: Any) -> JSON:
    """A call, as the client gives it back."""
    return {"type": "tool_use", "id": id, "name": name, "input": input or {"path": "a"}}


def result(id: str = "call_1", text: str = "done") -> JSON:
    """What came of it."""
    return {"type": "tool_result", "tool_use_id": id, "content": text}


TOOLS = [{"name": "Read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}]


def text_of(events: list[StreamEvent]) -> str:
    """The words of an answer."""
    payloads = [payload for event in events for payload in event.payloads()]
    return "".join(payload["delta"].get("text", "") for payload in payloads if "delta" in payload)


def kinds(events: list[StreamEvent]) -> list[str]:
    """The kinds of its events, without those that nobody is shown."""
    return [event.kind.value for event in events if event.kind.value != "progress"]


FIRST = (user("hi"),)
SECOND = (*FIRST, assistant(use()), user(result()))


def news(asked: dict[str, Any]) -> tuple[str | None, list[str]]:
    """From whose answer a request goes on, and the kinds of the items that it brings."""
    kinds = [item.get("role") or item["type"] for item in asked["input"]]
    return asked.get("previous_response_id"), kinds


async def loop(stage: Stage) -> None:
    """A first turn that calls a tool, and a second with its result."""
    await stage.turn(*FIRST, tools=TOOLS)
    await stage.turn(*SECOND, tools=TOOLS)
