"""Hosts that cache prompts and price it, and sessions as Claude Code has them, all made up from a seed, in virtual time.

A figure for "the cache is kept" needs hosts that forget: each of these keeps the beginning of each conversation for a while
after it was last read, takes longer and more money to read what it does not have, and fails now and then, in several ways.
The engine is the real one; what it asks and what it is told are as on the wire.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import attrs
import trio

from engine._events import AttemptEnded, EngineEvent, RequestFinished
from engine._failure import AttemptError, Failure
from engine._ports import Ask
from engine._quota import Quota
from engine._request import Request
from engine._router import Router
from engine._stream import StreamEvent, event
from engine.config import Model, Provider
from engine.testing import RecordingReply, config, provider, request, tail, text, wired
from policies import FailureKind, Policy, Price

#: The price of a middling paid model, written to and read from a cache, as Anthropic has it.
PRICE = Price(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)
TTL_S = 300.0
#: Seconds to first content, in the median, and tokens a second: of a cold prompt read, and of an answer written.
FIRST_S, READ_PER_S, WRITE_PER_S = 1.2, 8_000, 80
#: How an exchange goes wrong, each as often as the others.
FAULTS = ("overloaded", "server", "rate limited", "reset", "stall", "cut")


@attrs.define(eq=False)
class Host:
    """One host: what it holds of each conversation, and since when."""

    draw: random.Random
    faults: float
    held: dict[tuple[str, str], tuple[int, float]] = attrs.field(factory=dict)
    blocked_until: float = 0.0

    def read(self, who: tuple[str, str], prompt: int, now: float) -> int:
        """How much of this prompt it has at hand."""
        tokens, at = self.held.get(who, (0, 0.0))
        return min(tokens, prompt) if now - at <= TTL_S else 0


@attrs.define(eq=False)
class _Exchange:
    acts: Iterator[float | list[StreamEvent] | Failure]
    via: str = "script"
    quota: Quota = ()

    async def read(self) -> list[StreamEvent] | None:
        for act in self.acts:
            match act:
                case float():
                    await trio.sleep(act)
                case Failure():
                    raise AttemptError(act)
                case _:
                    return act
        await trio.lowlevel.checkpoint()
        return None


@attrs.define(eq=False)
class Hosts:
    """The transport to all of them."""

    by_id: dict[str, Host]

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[_Exchange]:
        host, now = self.by_id[ask.candidate.provider], trio.current_time()
        await trio.sleep(0.05)
        fault = host.draw.choice(FAULTS) if host.draw.random() < host.faults else ""
        if now < host.blocked_until or fault == "rate limited":
            host.blocked_until = max(host.blocked_until, now + host.draw.uniform(2, 20))
            wait_s = host.blocked_until - now
            raise AttemptError(
                Failure(kind=FailureKind.RATE_LIMITED, message="scripted", status=429, retry_after_s=wait_s)
            )
        if fault in ("overloaded", "server"):
            kind, status = {"overloaded": (FailureKind.OVERLOADED, 529), "server": (FailureKind.SERVER, 500)}[fault]
            raise AttemptError(Failure(kind=kind, message="scripted", status=status))
        yield _Exchange(self._acts(host, ask, fault))

    def _acts(self, host: Host, ask: Ask, fault: str) -> Iterator[float | list[StreamEvent] | Failure]:
        asked, draw = ask.request, host.draw
        prompt, who = asked.need.input_tokens, (asked.session, asked.agent)
        now = trio.current_time()
        read = host.read(who, prompt, now)
        wait_s = FIRST_S * draw.lognormvariate(0, 0.3) + (prompt - read) / READ_PER_S
        written = int(asked.body["metadata"]["answer"])
        if fault == "stall":
            yield 3600.0
        if fault == "reset":
            yield Failure(kind=FailureKind.RESET, message="scripted")
        yield wait_s
        host.held[who] = prompt, now
        yield [_head(prompt - read, read), *text("some", whole=False)]
        yield written / WRITE_PER_S / 2
        if fault == "cut":
            yield Failure(kind=FailureKind.RESET, message="scripted")
        yield written / WRITE_PER_S / 2
        yield [*text("more")[1:], *tail(output_tokens=written)]


def _head(written: int, read: int) -> StreamEvent:
    usage = {"input_tokens": 4, "cache_read_input_tokens": read, "cache_creation_input_tokens": written - 4}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    return event({"type": "message_start", "message": {**message, "usage": {**usage, "output_tokens": 1}}})


@attrs.define(eq=False)
class World:
    """A router over such hosts, and what it came to."""

    router: Router
    draw: random.Random
    log: list[EngineEvent] = attrs.field(factory=list)
    asked: int = 0
    unanswered: int = 0

    async def turn(self, session: str, agent: str, prompt: int, answer: int) -> None:
        """One request, asked again as a client does when it is refused or the answer breaks."""
        for patience in range(11):
            self.asked += 1
            reply = RecordingReply()
            await self.router.serve(self._request(session, agent, prompt, answer), reply)
            if reply.ending == "finish":
                return
            await trio.sleep(min(8.0, 0.5 * 2**patience))
        self.unanswered += 1

    def _request(self, session: str, agent: str, prompt: int, answer: int) -> Request:
        made = request(f"req_{self.asked}", metadata={"answer": answer})
        need = attrs.evolve(made.need, input_tokens=prompt)
        return attrs.evolve(made, session=session, agent=agent, need=need)

    async def session(self, name: str, tasks: int) -> None:
        """A person at work: a task, its loop of tools, a while of reading, the next one; some with agents of their own."""
        draw = random.Random(f"{name} of {self.draw.random()}")
        await trio.sleep(draw.uniform(0, 120))
        prompt = 18_000
        for number in range(tasks):
            if draw.random() < 0.15:
                async with trio.open_nursery() as nursery:
                    for agent in range(2):
                        own = random.Random(draw.random())
                        nursery.start_soon(self._loop, own, name, f"agent-{number}-{agent}", 9_000)
            prompt = await self._loop(random.Random(draw.random()), name, "", prompt)
            if prompt > 150_000:
                prompt = 30_000  # compacted
            await trio.sleep(min(600.0, draw.lognormvariate(3.2, 0.9)))

    async def _loop(self, draw: random.Random, session: str, agent: str, prompt: int) -> int:
        """A loop of tools; the length of the prompt that comes next."""
        for _ in range(draw.randint(3, 14)):
            answer = draw.randint(60, 600)
            await self.turn(session, agent, prompt, answer)
            prompt += answer + int(draw.lognormvariate(6.5, 1.0))
            await trio.sleep(draw.lognormvariate(0, 1))
        return prompt

    # What it came to.

    @property
    def share(self) -> float:
        return share_of(self)

    @property
    def usd(self) -> float:
        return sum(e.totals.usd or 0.0 for e in self.log if isinstance(e, RequestFinished))


def share_of(*worlds: World) -> float:
    """The share of all prompt tokens that were read from a cache, in every attempt: losers and broken ones included."""
    bills = [entry.bill for it in worlds for entry in it.log if isinstance(entry, AttemptEnded)]
    return sum(b.cache_read for b in bills) / sum(b.prompt for b in bills)


def paid(id: str) -> Provider:
    return provider(id, "key", models={"m": Model(id="m", price=PRICE)})


def world(ids: Sequence[str], *policies: Policy, seed: int, faults: float) -> World:
    """Such hosts behind the real router, in one chain."""
    settings = config([paid(id) for id in ids], *policies)
    hosts = Hosts({id: Host(random.Random(f"{id} {seed}"), faults) for id in ids})
    router = wired(settings, hosts)
    made = World(router=router, draw=random.Random(seed))
    router.bus.add(made.log.append)
    return made


async def work(it: World, sessions: int, tasks: int) -> None:
    """So many people at once."""
    async with trio.open_nursery() as nursery:
        for number in range(sessions):
            nursery.start_soon(it.session, f"s{number}", tasks)
