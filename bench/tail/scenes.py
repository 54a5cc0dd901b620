"""The scenes: who is asked, how slow they are, and what is compared.

Times are as in life, two seconds to first content in the middle, so that every default of the product stands as it is
shipped, nothing has to be scaled, and a machine that is late by some milliseconds changes little. Only the smoke, whose
figures say nothing, is scaled. Every side gets each request at the same moment, with the same draws; arrivals are random, so
that nobody marches in step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack

import attrs
import trio

from bench.tail.provider import providers
from bench.tail.side import Side, Told, quantile, side

#: Time to first content: lognormal with this sigma, and so many times slower for this share of answers.
SIGMA, SLOWER, STRAGGLERS = 0.3, 10.0, 0.05
#: Fixed delays that are tried before the drift, in medians of the fastest provider. Simulated, 1.75 is the best of them.
FIXED = (1.5, 1.75, 2.0, 2.5, 3.0)
DRIFT = 2.0
#: A provider that has died answers nothing.
DEAD = -1.0


@attrs.frozen
class Load:
    """How much is measured. `requests` are a side's in a scene, `per_s` all sides' together."""

    requests: int = 6_000
    seeking: int = 3_000  #: before the drift, for each fixed delay that is tried
    per_s: float = 90.0
    unit_s: float = 2.0  #: the middle time to first content
    scale: float = 1.0  #: of the product's own times
    dead_s: tuple[float, float] = (35.0, 75.0)  #: the first provider's death and return, in seconds from the start

    def hedge(self, more: str = "") -> str:
        """The policy as shipped, or to scale."""
        scaled = (
            ""
            if self.unit_s == 1
            else "".join(
                f", {name} = {value * self.scale:g}"
                for name, value in (("floor_s", 0.3), ("ceiling_s", 15.0), ("cold_s", 4.0))
            )
        )
        return f'{{ kind = "hedge", paid = true{scaled}{more} }}'


BRIEF = Load(requests=100, seeking=40, per_s=150.0, unit_s=0.04, scale=0.02, dead_s=(0.5, 0.8))


@attrs.frozen
class Scene:
    """What was measured: each side's figures, and what a plot needs."""

    name: str
    told: dict[str, Told]
    sides: dict[str, Side]
    draws: list[tuple[float, ...]]
    notes: dict[str, float] = attrs.field(factory=dict)


def draws(seed: int, count: int, medians: Sequence[float]) -> list[tuple[float, ...]]:
    """For each request, how long each provider takes, in seconds."""
    draw = random.Random(seed)

    def one(median: float) -> float:
        slower = SLOWER if draw.random() < STRAGGLERS else 1.0
        return median * math.exp(draw.gauss(0, SIGMA)) * slower

    return [tuple(one(median) for median in medians) for _ in range(count)]


async def play(sides: Sequence[Side], turns: Sequence[Sequence[float]], per_s: float, *, first: int = 0) -> None:
    """Every side's turns, side by side, until the last is over. Raises an ExceptionGroup where one was not answered."""
    arrivals, began_at = random.Random(per_s), trio.current_time()
    due_at = began_at
    async with trio.open_nursery() as nursery:
        for number, delays in enumerate(turns, first):
            due_at += arrivals.expovariate(per_s / len(sides))
            await trio.sleep_until(due_at)
            for turn in range(len(sides)):
                nursery.start_soon(sides[(number + turn) % len(sides)].serve, number, delays, began_at)


async def stragglers(load: Load) -> Scene:
    """Two providers alike: without hedging, with it, and an oracle, which always has the better of the two draws."""
    turns = draws(1, load.requests, (load.unit_s, load.unit_s))
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(providers(2))
        sides = [
            await stack.enter_async_context(side("sequence", urls, '"sequence"')),
            await stack.enter_async_context(side("hedge", urls, load.hedge())),
            await stack.enter_async_context(side("oracle", urls, '{ kind = "race", width = 2 }')),
        ]
        await play(sides, turns, load.per_s)
    told = {one.name: one.told() for one in sides}
    notes = {
        "p99 less than without hedging, %": 100 * (1 - told["hedge"].p99 / told["sequence"].p99),
        "extra attempts, %": 100 * told["hedge"].extra,
        "p99 against the oracle": told["hedge"].p99 / told["oracle"].p99,
        "p99 against the better of the draws themselves": told["hedge"].p99 / quantile([min(t) for t in turns], 0.99),
        "wasted input tokens, %": 100 * sides[1].wasted_share,
        "wasted, US dollars for 1,000 requests": 1000 * sides[1].wasted_usd / load.requests,
        "the oracle's wasted input tokens, %": 100 * sides[2].wasted_share,
    }
    return Scene("stragglers", told, {one.name: one for one in sides}, turns, notes)


async def drift(load: Load) -> Scene:
    """Three providers of speed 1:2:4. The best fixed delay is found; then all become twice as slow."""
    medians = tuple(load.unit_s * times for times in (1, 2, 4))
    half = load.seeking
    turns = draws(2, half + load.requests, medians)
    turns[half:] = [tuple(DRIFT * delay for delay in delays) for delays in turns[half:]]
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(providers(3))
        learned = await stack.enter_async_context(side("learned", urls, load.hedge()))
        fixed = [
            await stack.enter_async_context(side(f"fixed {n:g}", urls, load.hedge(f", after_s = {n * load.unit_s:g}")))
            for n in FIXED
        ]
        await play([learned, *fixed], turns[:half], load.per_s)
        best = min(fixed, key=lambda one: one.told().p99)
        await play([learned, best], turns[half:], load.per_s, first=half)
    told = {f"before: {one.name}": one.told(0, half) for one in (learned, *fixed)}
    told |= {f"after: {one.name}": one.told(half) for one in (learned, best)}
    after, before = told["after: learned"], told[f"after: {best.name}"]
    notes = {
        "requests before the drift": float(half),
        "p99 after the drift, against the delay that was best before": after.p99 / before.p99,
        "extra attempts after the drift, learned, %": 100 * after.extra,
        "extra attempts after the drift, fixed, %": 100 * before.extra,
        "wasted input tokens, learned, %": 100 * learned.wasted_share,
        "wasted, US dollars for 1,000 requests": 1000 * learned.wasted_usd / len(turns),
    }
    return Scene("drift", told, {"learned": learned, "fixed": best}, turns, notes)


async def death(load: Load) -> Scene:
    """Two providers alike, twice as fast as elsewhere, so that only who is dead reaches the limit. The first dies, its port
    open and nothing coming, and returns.
    """
    turns = draws(3, load.requests, (load.unit_s / 2, load.unit_s / 2))
    arrivals, at, per_s = random.Random(load.per_s), 0.0, load.per_s
    for number, delays in enumerate(turns):  # the arrivals that `play` will draw
        at += arrivals.expovariate(per_s / 2)
        if load.dead_s[0] <= at < load.dead_s[1]:
            turns[number] = (DEAD, *delays[1:])
    limits = {"first_content_s": 25 * load.scale, "open_s": 30 * load.scale}
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(providers(2))
        sides = [
            await stack.enter_async_context(side("sequence", urls, '"sequence"', limits=limits)),
            await stack.enter_async_context(side("hedge", urls, load.hedge(), limits=limits)),
        ]
        await play(sides, turns, load.per_s)

    def within(one: Side, start: float, end: float) -> Told:
        return Told.of([turn for turn in one.turns.values() if start <= turn.at < end])

    died, back = load.dead_s
    spans = {"before": (0.0, died), "dead": (died, back), "after": (back, math.inf)}
    told = {f"{name}: {one.name}": within(one, *span) for name, span in spans.items() for one in sides}
    notes = {f"extra attempts, {name}, %": 100 * told[f"{name}: hedge"].extra for name in spans}
    return Scene("death", told, {one.name: one for one in sides}, turns, notes)
