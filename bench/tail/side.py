"""One side of a comparison: the engine with one set of policies, over the product's own transport, and what became of it.

The router, its books and its connections are each side's own, so nobody learns from another's answers; event loop and
providers are shared, so all sides have the same weather. Clients' HTTP is left out: it is the same for all, and the machine
has better things to do with its two cores.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import attrs
import trio

import server
from bench.tail.provider import marked
from bench.workload import Answer
from engine import AttemptEnded, AttemptStarted, EngineEvent, HedgeDenied, PlanMade
from engine.config import load
from engine.testing import RecordingReply, request
from transports._catalogue import load_catalogue

#: US dollars for a million tokens of a prompt, at every provider: what a lost attempt has cost.
INPUT_USD = 3.0
#: What every provider answers.
SAID = "".join(Answer.of("text", 1).text)
_WORDS = "the stream of a provider is read as it comes and what it says is passed on "


@attrs.frozen
class Turn:
    """What became of one request. Times in seconds from its arrival; `first_content_s` is that of the error where it was not
    `answered`; `hedged` and `denied` say what was done for it.
    """

    number: int
    at: float
    answered: bool
    first_content_s: float
    hedged: bool
    denied: bool
    patience_s: float | None


@attrs.define(eq=False)
class Side:
    """One engine, and the turns it has had."""

    name: str
    built: server.Built
    turns: dict[int, Turn] = attrs.field(factory=dict)
    attempts: int = 0
    tokens: int = 0  #: of prompts that were answered
    wasted: int = 0  #: of prompts that were sent to somebody who lost
    _hedged: set[str] = attrs.field(factory=set)
    _denied: set[str] = attrs.field(factory=set)
    _patience: dict[str, float | None] = attrs.field(factory=dict)

    async def serve(self, number: int, delays: Sequence[float], began_at: float) -> None:
        """One request, to its end. Raises ValueError where that is neither the answer nor an error."""
        at = trio.current_time()
        filler = _WORDS * (1 + number * 7919 % 60)  # of 20 to 1,100 tokens, the same on every side
        turn = request(f"{number}", messages=[{"role": "user", "content": filler + marked(delays)}])
        reply = RecordingReply()
        await self.built.router.serve(turn, reply)
        answered = reply.ending == "finish"
        if (reply.said != SAID) if answered else (reply.refusal is None):
            raise ValueError(f"{self.name}: request {number} ended as {reply.ending}: {reply.said!r}")
        self.tokens += turn.need.input_tokens
        self.turns[number] = Turn(
            number=number,
            at=at - began_at,
            answered=answered,
            first_content_s=(reply.writes[0][0] if answered else trio.current_time()) - at,
            hedged=turn.id in self._hedged,
            denied=turn.id in self._denied,
            patience_s=self._patience.pop(turn.id, None),
        )

    def fold(self, event: EngineEvent) -> None:
        match event:
            case PlanMade():
                self._patience[event.request_id] = event.plan.steps[0].patience_s
            case AttemptStarted():
                self.attempts += 1
                if event.beside:
                    self._hedged.add(event.request_id)
            case AttemptEnded(ending="lost"):
                self.wasted += event.need.input_tokens
            case HedgeDenied():
                self._denied.add(event.request_id)

    def told(self, first: int = 0, last: int = 10**9) -> Told:
        """The figures of the requests from number `first` up to `last`."""
        return Told.of([turn for number, turn in sorted(self.turns.items()) if first <= number < last])

    @property
    def wasted_share(self) -> float:
        """Tokens of prompts that lost, for each of one that was answered."""
        return self.wasted / self.tokens

    @property
    def wasted_usd(self) -> float:
        """What they cost, in US dollars."""
        return self.wasted * INPUT_USD / 1e6


@attrs.frozen
class Told:
    """Times to first content in seconds, and shares of requests."""

    requests: int
    p50: float
    p95: float
    p99: float
    p999: float
    extra: float
    denied: float
    failed: int

    @classmethod
    def of(cls, turns: Sequence[Turn]) -> Told:
        times = [turn.first_content_s for turn in turns]
        return cls(
            requests=len(turns),
            p50=quantile(times, 0.5),
            p95=quantile(times, 0.95),
            p99=quantile(times, 0.99),
            p999=quantile(times, 0.999),
            extra=sum(turn.hedged for turn in turns) / len(turns),
            denied=sum(turn.denied for turn in turns) / len(turns),
            failed=sum(not turn.answered for turn in turns),
        )


def quantile(times: Sequence[float], share: float) -> float:
    """The smallest time that so many are not above."""
    ordered = sorted(times)
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def configuration(urls: Sequence[str], policies: Sequence[str], limits: Mapping[str, float]) -> str:
    """Providers `p0`, `p1`, ... at these addresses, in one chain, each with a price."""
    parts = [
        f'[providers.p{place}]\nwire = "anthropic"\nbase_url = "{url}"\nscope = "unlimited"\n'
        f"breaker = {{ open_s = {limits.get('open_s', 30.0):g} }}\n\n"
        f"[providers.p{place}.models.m]\nprice = {{ input = {INPUT_USD:g}, output = 15 }}"
        for place, url in enumerate(urls)
    ]
    timeout = f'{{ kind = "first-content-timeout", s = {limits.get("first_content_s", 300.0):g}, fallback_s = 60 }}'
    names = ", ".join(f'"p{place}/m"' for place in range(len(urls)))
    chosen = ", ".join(['"silent-skip"', '"in-order"', *policies, timeout])
    chain = f'[chains.tail]\ncandidates = [{names}]\npolicies = [{chosen}]\n\n[[routes]]\nmatch = "*"\nchain = "tail"'
    return "\n\n".join([*parts, chain])


@asynccontextmanager
async def side(
    name: str, urls: Sequence[str], *policies: str, limits: Mapping[str, float] | None = None
) -> AsyncIterator[Side]:
    """A side with these policies, while the block runs."""
    config = load(configuration(urls, policies, limits or {}), file=name, catalogue=load_catalogue(), environ={})
    built = server.build(config)
    made = Side(name, built)
    built.bus.add(made.fold)
    try:
        yield made
    finally:
        await built.http.aclose()
