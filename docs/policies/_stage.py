"""A scene: a chain of rehearsal providers, a few requests, and the picture of what the engine made of them.

Drawn by hand such a picture shows what somebody believes. Here the real router serves real requests over the scripted
providers of the wire `rehearsal`, on a clock that jumps from one event to the next: it takes no time, and comes out the same
to the millisecond wherever it is run.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import attrs
import trio
from trio.testing import MockClock

import server
from cli.timeline import timeline
from cli.verdicts import change_text, ruling_text
from engine import JSON, AttemptEnded, EngineEvent, Refusal, Request, StreamEvent, Winner, need_of
from engine.config import load
from policies import Candidate, Need
from transports import load_catalogue

#: Columns of a picture: what GitHub shows of a code block without scrolling.
WIDTH = 92
#: A Friday in January, 10:00 UTC.
BEGINS_AT = 1_800_007_200.0


@attrs.frozen(kw_only=True)
class Ask:
    """A request. `after_s` is the pause before it, since the start of the last one if that is `beside`, else since its end.

    `beside`: the next does not wait for its end. `tokens` is the estimate of its prompt.
    """

    after_s: float = 0.0
    beside: bool = False
    stream: bool = True
    tools: bool = False
    images: bool = False
    tokens: int = 100
    session: str = ""


@attrs.frozen(kw_only=True)
class Scene:
    """`candidates` and `policies` are those of a chain, as in TOML; `providers` holds more for a provider's table.

    The requests are served in order, and the last `shown` of them are drawn.
    """

    remark: str
    candidates: Sequence[str]
    policies: Sequence[str]
    providers: Mapping[str, str] = attrs.field(factory=dict)
    asks: Sequence[Ask] = (Ask(),)
    shown: int = 1
    #: Hours after ten in the morning, UTC, at which the scene begins.
    hours: float = 0.0
    #: What is remembered of candidates from before: tool calls, and how many of them were bad.
    tool_calls: Mapping[str, tuple[int, int]] = attrs.field(factory=dict)

    @property
    def toml(self) -> str:
        """The whole configuration."""
        ids = dict.fromkeys(candidate.partition("/")[0] for candidate in self.candidates)
        tables = [f'[providers.{id}]\nwire = "rehearsal"\n{self.providers.get(id, "").strip()}\n' for id in ids]
        candidates = "".join(f'  "{candidate}",\n' for candidate in self.candidates)
        policies = "".join(f"  {policy},\n" for policy in self.policies)
        chain = f"[chains.example]\ncandidates = [\n{candidates}]\npolicies = [\n{policies}]\n"
        route = '[[routes]]\nmatch = "*"\nchain = "example"\n'
        return "\n".join([*(table.replace("\n\n", "\n") for table in tables), chain, route])


@attrs.define(eq=False)
class _Client:
    """Who listens, and when it saw what."""

    asked_at: float
    seen: list[str] = attrs.field(factory=list)
    pieces: int = 0

    def _note(self, text: str) -> None:
        self.seen.append(f"{text} at {trio.current_time() - self.asked_at:.2f} s")

    @property
    def visible(self) -> bool:
        return self.pieces > 0

    async def begin(self, winner: Winner) -> None:
        pass

    async def send(self, events: Sequence[StreamEvent]) -> None:
        if not self.pieces:
            self._note("first content")
        self.pieces += 1

    async def finish(self) -> None:
        self._note("the end")

    async def refuse(self, refusal: Refusal) -> None:
        again = f", retry-after {refusal.retry_after_s:.0f}" if refusal.retry_after_s else ""
        self._note(f"{refusal.type} ({refusal.status}{again})")

    async def reset(self) -> None:
        self._note("a reset")

    def discard(self) -> None:
        self.pieces = 0


@attrs.define
class Played:
    """What became of a scene. `events` are the names of all that were stated."""

    picture: list[str]
    events: set[str]
    accounts: list[JSON]
    shown: list[JSON]


def play(scene: Scene, kind: str) -> Played:
    """Run it, and draw it; `kind` is the policy whose words are told."""
    return trio.run(_Play(scene, kind).run, clock=MockClock(autojump_threshold=0))


@attrs.define(slots=False)
class _Play:
    scene: Scene
    kind: str
    clients: list[_Client] = attrs.field(factory=list)
    events: set[str] = attrs.field(factory=set)

    async def run(self) -> Played:
        built = self.built
        built.bus.add(self._note)
        for name, (calls, bad) in self.scene.tool_calls.items():
            built.books.tool_errors.fold(_remembered(Candidate.parse(name), calls, bad))
        async with trio.open_nursery() as nursery:
            for number, ask in enumerate(self.scene.asks, 1):
                await trio.sleep(ask.after_s)
                request = _request(f"req_{number}", ask)
                self.clients.append(_Client(trio.current_time()))
                if ask.beside:
                    nursery.start_soon(built.router.serve, request, self.clients[-1])
                    await trio.sleep(0.001)  # so that it has begun
                else:
                    await built.router.serve(request, self.clients[-1])
        told = [built.recent.explain(f"req_{number}") for number in range(1, len(self.clients) + 1)]
        accounts = [account for account in told if account is not None]
        shown = list(zip(accounts, self.clients, strict=True))[-self.scene.shown :]
        picture = [
            line for number, (account, client) in enumerate(shown, 1) for line in self._draw(number, account, client)
        ]
        return Played(picture, self.events, accounts, [account for account, _ in shown])

    @cached_property
    def built(self) -> server.Built:
        config = load(self.scene.toml, file="scene", catalogue=load_catalogue(), environ={})
        begins_at = BEGINS_AT + 3600 * self.scene.hours
        return server.build(config, wall_s=lambda: begins_at + trio.current_time())

    def _note(self, event: EngineEvent) -> None:
        self.events.add(type(event).__name__)

    def _draw(self, number: int, account: JSON, client: _Client) -> Iterator[str]:
        if self.scene.shown > 1:
            yield from ([""] if number > 1 else [])
            yield f"request {number}"
        yield from (line.plain.rstrip() for line in timeline(account, width=WIDTH))
        for denied in account["hedges_denied"]:
            yield f"   no hedge to {denied['candidate'].partition('?')[0]}: {denied['reason']}"
        said = list(self._said(account))
        if said:
            yield f"   {self.kind}:"
            yield from said
        yield f"   the client: {', '.join(client.seen)}"

    def _said(self, account: JSON) -> Iterator[str]:
        """What the policy made of each candidate, and of the request."""
        for stage in account.get("stages", ()):
            if stage["by"] != self.kind:
                continue
            names = [ruling["candidate"].partition("?")[0] for ruling in stage["candidates"]]
            width = max(map(len, names))
            for name, ruling in zip(names, stage["candidates"], strict=True):
                if ruling["verdict"] != "out" and (
                    stage["phase"] in ("select", "order", "pace") or ruling.get("changes")
                ):
                    head = f"     {name:<{width}}  "
                    yield from textwrap.wrap(
                        ruling_text(ruling), WIDTH, initial_indent=head, subsequent_indent=" " * len(head)
                    )
            for name, (before, after) in stage["changes"].items():
                yield f"     {change_text(name, before, after)}"


def _remembered(candidate: Candidate, calls: int, bad: int) -> AttemptEnded:
    return AttemptEnded(
        at=trio.current_time(),
        attempt=0,
        candidate=candidate,
        ending="won",
        elapsed_s=1.0,
        need=Need(),
        tool_calls=calls,
        tool_errors=bad,
    )


def _request(id: str, ask: Ask) -> Request:
    content: list[JSON] = [{"type": "text", "text": "Say something."}]
    if ask.images:
        source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
        content.append({"type": "image", "source": source})
    body: JSON = {
        "model": "claude",
        "max_tokens": 64,
        "stream": ask.stream,
        "messages": [{"role": "user", "content": content}],
    }
    if ask.tools:
        body["tools"] = [{"name": "Read", "input_schema": {"type": "object"}}]
    raw = json.dumps(body).encode()
    need = attrs.evolve(need_of(body, raw), input_tokens=ask.tokens)
    at = trio.current_time()
    return Request(id=id, model="claude", body=body, raw=raw, need=need, accepted_at=at, session=ask.session)
