"""The stage of the catalogue: a faulty provider first, a healthy one behind it, the product's server before them.

Everything runs in the test's own process, the server included, so that the faulty provider can wait until the client has
seen what it was sent, and so that what the engine states of each attempt can be read where it is stated.

A healthy provider that is asked to go on with a text does so in one of several ways, as models do: exactly, with its last
words repeated, from the beginning, thinking first, with a call behind it; or it refuses a conversation that ends with the
assistant's turn, as newer hosts do.

The chain has the product's own limits. Its minutes of silence pass at once: everybody is in this process, so when all tasks
wait and no socket has anything, nothing is under way, and `clock` jumps to the next deadline. However slow the machine is,
no patience ends before its time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import attrs
import trio
from trio.testing import MockClock

from engine import EngineEvent, RequestFinished
from engine.config import Config, load
from tests.e2e.catalogue.layout import laid_out
from tests.e2e.catalogue.outcomes import Outcome
from tests.e2e.catalogue.table import Fault
from tests.e2e.catalogue.telling import Telling
from tests.e2e.exchange import Exchange
from tests.e2e.faults import Action, Head, Send, Until, refusal
from tests.e2e.grammar import read
from tests.e2e.proxy import configuration
from tests.e2e.upstream import RENDERINGS, Upstream, as_asked, up_and_running
from tests.e2e.wire import Block, Message, Text, Thinking, ToolUse, Wire, make_message, words
from tests.server.serving import Running
from tests.server.serving import serving as serving_here
from transports import load_catalogue

#: How the healthy provider goes on with a text; `silent` says that it is over, in the middle of it.
Mode = Literal["exact", "repeats", "restarts", "thinks", "refuses", "calls", "silent"]
#: How long a provider waits until the client has seen what it was sent, in seconds.
SEEN_WITHIN_S = 5.0
#: The call that a provider adds in mode `calls`.
ADDED = ToolUse("get_time", {"zone": "UTC"})


def clock() -> MockClock:
    """Time that passes only while nothing happens, for as long as it takes a socket on this machine to say so."""
    return MockClock(autojump_threshold=0.02)


@attrs.define(eq=False)
class Case:
    """One fault in one turn. `model` is what the turn asks for, and so what both providers know it by."""

    number: int
    fault: Fault
    wire: Wire
    outcome: Outcome
    stream: bool = True
    mode: Mode = "exact"
    second: Wire | None = None
    first_asked: list[Exchange] = attrs.field(factory=list)
    second_asked: list[Exchange] = attrs.field(factory=list)
    events: list[EngineEvent] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    #: What the client has been sent so far.
    came: bytes = b""
    finished: trio.Event = attrs.field(factory=trio.Event)  #: the engine has stated the end of the turn
    _news: trio.Event = attrs.field(factory=trio.Event)

    @property
    def model(self) -> str:
        return f"case-{self.number}"

    @property
    def intended(self) -> tuple[Block, ...]:
        """The blocks of the whole answer."""
        if self.outcome is Outcome.WHOLE and self.fault.told is not None:
            return self.fault.told
        added = self.mode == "calls" and self.outcome is Outcome.CONTINUED
        return (*self.fault.blocks, ADDED) if added else self.fault.blocks

    def comes(self, data: bytes) -> None:
        """More has come to the client."""
        self.came += data
        news, self._news = self._news, trio.Event()
        news.set()

    def seen(self, text: str, calls: int) -> Until:
        """Wait until the client has seen this text and this many calls. A JSON request shows nothing."""
        wanted = len(text.strip())

        async def happened() -> None:
            if not self.stream or not (wanted or calls) or self.outcome is Outcome.FALLBACK:
                return
            with trio.move_on_after(SEEN_WITHIN_S):
                while (found := _visible(self.came))[0] < wanted or found[1] < calls:
                    await self._news.wait()
                return
            self.notes.append(f"of {wanted} characters and {calls} calls the client saw {found}")

        return Until(happened)

    def __str__(self) -> str:
        how = "stream" if self.stream else "json"
        behind = f" -> {self.second or self.wire}, {self.mode}" if self.second or self.mode != "exact" else ""
        return f"{self.fault.name} [{self.wire}{behind}, {how}]"


def _visible(stream: bytes) -> tuple[int, int]:
    """Characters of text and thinking, and finished calls, in what has come of a stream."""
    reading = read(stream)
    calls = [block for block in reading.blocks if block["type"] == "tool_use" and "_json" not in block]
    return len(reading.thinking) + len(reading.text), len(calls)


@attrs.define(eq=False)
class Faulty(Upstream):
    """The first provider."""

    cases: dict[str, Case] = attrs.field(factory=dict)

    def say(self, exchange: Exchange, size: int) -> Iterator[Action]:
        case = self.cases[exchange.model]
        case.first_asked.append(exchange)
        told = case.fault.blocks if case.fault.told is None else case.fault.told
        message = _message(self, exchange, told)
        if exchange.refused:
            return refusal(400, "; ".join(exchange.refused), message, RENDERINGS[exchange.wire])
        pieces = laid_out(message, exchange.wire)
        shows_calls = case.outcome is Outcome.CLOSED
        return case.fault.script(Telling(message, exchange.wire, pieces, case.seen, shows_calls))


@attrs.define(eq=False)
class Healthy(Upstream):
    """The second one."""

    cases: dict[str, Case] = attrs.field(factory=dict)

    def say(self, exchange: Exchange, size: int) -> Iterator[Action]:
        case = self.cases[exchange.model]
        case.second_asked.append(exchange)
        rendering = RENDERINGS[exchange.wire]
        if exchange.refused:
            return refusal(400, "; ".join(exchange.refused), _message(self, exchange, ()), rendering)
        begun, prefilled = _begun(exchange.ask.body)
        if begun and prefilled and case.mode == "refuses":
            words = (
                "This model does not support assistant message prefill. The conversation must end with a user message."
            )
            return refusal(400, words, _message(self, exchange, ()), rendering)
        blocks = _rest(case, begun) if begun else case.fault.blocks
        return _told(_message(self, exchange, blocks), exchange.wire)


def _message(upstream: Upstream, exchange: Exchange, blocks: tuple[Block, ...]) -> Message:
    """The first one's prompts have one count of tokens and the second's another, so that they can be told apart."""
    tokens = 1000 if isinstance(upstream, Faulty) else 2000
    return as_asked(make_message(f"{upstream.name}{exchange.number}", exchange.model, blocks, tokens), exchange)


def _told(message: Message, wire: Wire) -> Iterator[Action]:
    rendering = RENDERINGS[wire]
    yield Head(200, (("content-type", rendering.stream_type),))
    yield from (Send(piece.data) for piece in laid_out(message, wire))


def _begun(body: Mapping[str, Any]) -> tuple[str, bool]:
    """The assistant's text that is to be gone on with, and whether the conversation ends with it."""
    messages = [message for message in body["messages"] if message["role"] != "system"]
    said = ""
    for message in messages:
        if message["role"] == "assistant":
            content = message["content"]
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            said += "".join(part["text"] for part in parts if part.get("type") == "text")
    return said, messages[-1]["role"] == "assistant"


def _rest(case: Case, begun: str) -> tuple[Block, ...]:
    """What is left to say."""
    texts = [at for at, block in enumerate(case.fault.blocks) if isinstance(block, Text)]
    place = texts[0]
    whole = case.fault.blocks[place]
    assert isinstance(whole, Text)
    if not whole.text.startswith(begun.rstrip()):
        case.notes.append(f"asked to go on with what was never said: {begun[-60:]!r}")
    rest = whole.text[len(begun) :] if whole.text.startswith(begun) else whole.text[len(begun.rstrip()) :]
    # A call before the text was not shown, or nobody would go on with the text.
    behind = (*case.fault.blocks[place + 1 :], *(b for b in case.fault.blocks[:place] if isinstance(b, ToolUse)))
    spoken: tuple[Block, ...] = (Text(rest),) if rest.strip() else ()
    match case.mode:
        case "repeats":
            tail = "".join(words(begun)[-6:])
            return (Text(tail + rest), *behind)
        case "restarts":
            return (whole, *behind)
        case "thinks":
            return (Thinking("I go on where it broke off."), *spoken, *behind)
        case "silent":
            return ()
        case "calls":
            return (*spoken, *behind, ADDED)
        case _:
            return (*spoken, *behind)


@attrs.define(eq=False)
class Stage:
    """Two providers and the server. `add` makes a case; `dead` is a port that refuses."""

    first: Faulty
    second: Healthy
    proxy: Running
    cases: dict[str, Case] = attrs.field(factory=dict)

    def take(self, event: EngineEvent) -> None:
        """Keep what the engine states of each case; the request's id is known from its first event."""
        model = getattr(event, "model", None)
        if model is not None and event.request_id:
            self._ids[event.request_id] = model
        case = self.cases.get(self._ids.get(event.request_id, ""))
        if case is not None:
            case.events.append(event)
            if isinstance(event, RequestFinished):
                case.finished.set()

    _ids: dict[str, str] = attrs.field(factory=dict)

    def add(self, fault: Fault, wire: Wire, outcome: Outcome, **more: Any) -> Case:
        case = Case(len(self.cases) + 1, fault, wire, outcome, **more)
        self.cases[case.model] = case
        return case


@asynccontextmanager
async def on_stage(first: Wire, second: Wire, *, alone: bool = False) -> AsyncIterator[Stage]:
    """The faulty provider on one wire, the healthy one on another, and the server with its chains before them.

    `alone`: nobody stands behind the first.
    """
    cases: dict[str, Case] = {}
    async with (
        up_and_running(Faulty("first", cases=cases)) as faulty,
        up_and_running(Healthy("second", cases=cases)) as healthy,
        serving_here(_config(faulty.base_url, healthy.base_url, [first, second], alone=alone)) as proxy,
    ):
        stage = Stage(faulty, healthy, proxy, cases)
        proxy.built.bus.add(stage.take)
        yield stage


def _config(first: str, second: str, wires: Sequence[Wire], *, alone: bool) -> Config:
    """Breakers that count and never open: each case has a model of its own, and reads its own row."""
    candidates = ["first/*"] if alone else ["first/*", "second/*"]
    text = configuration(
        {"first": first, "second": second},
        candidates,
        settings='breaker = { failures = 1000000, volume = 1000000 }\nscope = "unlimited"',
        wires=wires,
    )
    return load(text, file="catalogue.toml", catalogue=load_catalogue(), environ={})
