"""`hedgerow demo`: watch chains race, hedge and fall back, on this machine, with no key and no network.

What a hedge does is hard to believe from a description and easy from a picture. The providers here are rehearsal ones with
real faults, the engine is the real engine, and each picture is drawn from the same account of a request that an operator
gets from a running server.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import attrs
import click
import trio
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

import server
from cli.timeline import timeline
from engine import JSON, Refusal, Request, StreamEvent, Winner, need_of
from engine.config import load
from transports import load_catalogue

#: How long the scripted answers take to stream: twelve words, 25 ms apart.
_SPEECH = "words=12&gap_ms=25"

CONFIG = f"""
[providers.steady]
wire = "rehearsal"
[providers.slow]
wire = "rehearsal"
[providers.failing]
wire = "rehearsal"
[providers.limited]
wire = "rehearsal"
scope = {{ kind = "concurrency", limit = 4 }}

[chains.sequence]
candidates = ["failing/model?fault=500&after_s=0.3", "steady/model?after_s=0.4&{_SPEECH}"]
policies = ["silent-skip", "in-order", "sequence"]

[chains.hedge]
candidates = ["slow/model?after_s=4&{_SPEECH}", "steady/model?after_s=0.4&{_SPEECH}"]
policies = ["silent-skip", "in-order", {{ kind = "hedge", after_s = 0.8 }}]

[chains.patient]
candidates = ["steady/model?after_s=0.5&{_SPEECH}", "slow/model?after_s=4&{_SPEECH}"]
policies = ["silent-skip", "in-order", {{ kind = "hedge", after_s = 0.8 }}]

[chains.race]
candidates = ["slow/model?after_s=2&{_SPEECH}", "steady/model?after_s=0.4&{_SPEECH}", "failing/model?fault=reset&after_s=0.2"]
policies = ["silent-skip", "in-order", {{ kind = "race", width = 3 }}]

[chains.limited]
candidates = ["limited/model?fault=429&retry_after=20&after_s=0.2", "steady/model?after_s=0.4&{_SPEECH}"]
policies = ["silent-skip", "in-order", "sequence"]

[[routes]]
match = "*"
chain = "sequence"
"""


@attrs.frozen
class Scene:
    """One request, and what to look for in its picture."""

    chain: str
    title: str
    remark: str


SCENES = (
    Scene("sequence", "sequence", "The first fails; the next starts at once, and the client notices nothing."),
    Scene("hedge", "hedge", "The first is silent for 0.8 s, so the second starts beside it and wins."),
    Scene("patient", "hedge, not needed", "The first answers in time: nothing else was ever started."),
    Scene("race", "race", "All start at once. The first with real content wins; a failure costs nothing."),
    Scene("limited", "rate limit", "A 429 with Retry-After: the next takes over, the first rests for 20 s."),
    Scene(
        "limited", "rate limit, again", "The next request passes it over silently: no time lost, no failure counted."
    ),
)


@attrs.define(eq=False)
class _Listener:
    """A client that only listens. What it heard does not matter here; when it heard it does."""

    visible: bool = False
    refusal: Refusal | None = None

    async def begin(self, winner: Winner) -> None:
        pass

    async def send(self, events: Sequence[StreamEvent]) -> None:
        self.visible = True

    async def finish(self) -> None:
        pass

    async def refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal

    async def reset(self) -> None:
        pass

    def discard(self) -> None:
        pass


@click.command(
    epilog="""\b
Examples:
  hedgerow demo
  hedgerow demo --json | jq '.[1].attempts'
"""
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the full account of each request as JSON instead of pictures."
)
def demo(as_json: bool) -> None:
    """Watch chains race, hedge and fall back. Needs no key and no network; takes about ten seconds."""
    trio.run(partial(_demo, as_json, Console(highlight=False)))


async def _demo(as_json: bool, console: Console) -> None:
    config = load(CONFIG, file="demo", catalogue=load_catalogue(), environ={})
    built = server.build(config)
    told: list[JSON] = []
    if not as_json:
        console.print("Four rehearsal providers: steady, slow, failing, and one that is rate-limited.\n")
    for number, scene in enumerate(SCENES, 1):
        request = _request(number, scene.chain)
        if as_json:
            await built.router.serve(request, _Listener())
        else:
            with console.status(f"{scene.title} ..."):
                await built.router.serve(request, _Listener())
        account = built.recent.explain(request.id)
        assert account is not None
        told.append(account)
        if not as_json:
            _draw(console, number, scene, account)
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        console.print("Now start the proxy: [bold]uv run server.py[/], or [bold]hedgerow serve[/]")


def _request(number: int, chain: str) -> Request:
    body = {
        "model": chain,
        "max_tokens": 64,
        "stream": True,
        "messages": [{"role": "user", "content": "Say something."}],
    }
    raw = json.dumps(body).encode()
    return Request(
        id=f"demo_{number}", model=chain, body=body, raw=raw, need=need_of(body, raw), accepted_at=trio.current_time()
    )


def _draw(console: Console, number: int, scene: Scene, account: JSON) -> None:
    console.print(Text(f"{number}. {scene.title}", style="bold"))
    console.print(Padding(Text(scene.remark, style="dim"), (0, 0, 0, 3)))
    for line in timeline(account, width=min(console.width, 100), plain=console.encoding.lower() != "utf-8"):
        console.print(line)
    console.print()
