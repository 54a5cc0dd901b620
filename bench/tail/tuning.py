"""Where the defaults of `hedge` come from: many hours of requests in a few minutes.

    python -m bench.tail.tuning

Ten minutes on sockets show one setting. Here no socket, engine or clock takes part: the product's policy, latency book and
budget are asked what they would do, and a heap of moments plays the rest, so a variant costs seconds and is the same each
time. The population is that of the benchmark; a middle answer takes a second. p99 is of times to first content, in seconds.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterator
from statistics import fmean

import attrs
from rich.console import Console
from rich.table import Column, Table

from bench.tail.scenes import DRIFT, SIGMA, SLOWER
from bench.tail.side import quantile
from engine import AttemptEnded, EngineEvent, FirstContent, RequestAccepted
from engine._budget import HedgeBudget
from engine._histogram import HALF_LIFE_SAMPLES
from engine._latency import LatencyBook
from policies import Candidate, Facts, Hedge, Need

LEADER, SECOND = Candidate("a", "m"), Candidate("b", "m")
NEED = Need(input_tokens=100)
CHAIN = "tuning"


@attrs.frozen
class World:
    """What is played: so many requests, at so many a second. From request `drifts` on all is slower; the leader answers
    nothing from the first to the second of `dead`.
    """

    requests: int = 6_000
    per_s: float = 10.0
    medians: tuple[float, float] = (1.0, 1.0)
    stragglers: float = 0.05
    drifts: int | None = None
    dead: tuple[int, int] = (0, 0)


@attrs.define(eq=False)
class Play:
    """One run of one world with one setting."""

    hedge: Hedge
    world: World
    seed: int
    half_life_samples: float = HALF_LIFE_SAMPLES
    times: list[float] = attrs.field(factory=list)
    best: list[float] = attrs.field(factory=list)
    hedges: list[bool] = attrs.field(factory=list)
    _heap: list[tuple[float, int, Callable[[float], None]]] = attrs.field(factory=list)
    _number: int = 0
    _book: LatencyBook = attrs.field(init=False)
    _budget: HedgeBudget = attrs.field(factory=HedgeBudget)

    def __attrs_post_init__(self) -> None:
        self._book = LatencyBook(half_life_samples=self.half_life_samples)
        draw, world, at = random.Random(self.seed), self.world, 0.0
        for number in range(world.requests):
            at += draw.expovariate(world.per_s)
            times = [
                median * math.exp(draw.gauss(0, SIGMA)) * (SLOWER if draw.random() < world.stragglers else 1.0)
                for median in world.medians
            ]
            if world.drifts is not None and number >= world.drifts:
                times = [DRIFT * time for time in times]
            self.best.append(min(times))
            self.times.append(0.0)
            self.hedges.append(False)
            dead = world.dead[0] <= number < world.dead[1]
            self._at(at, self._arrival(number, math.inf if dead else times[0], times[1]))
        while self._heap:
            at, _, then = heapq.heappop(self._heap)
            then(at)

    def _at(self, at: float, then: Callable[[float], None]) -> None:
        self._number += 1
        heapq.heappush(self._heap, (at, self._number, then))

    def _tell(self, event: EngineEvent) -> None:
        self._book.fold(event)
        self._budget.fold(event)

    def _arrival(self, number: int, first: float, second: float) -> Callable[[float], None]:
        def arrive(at: float) -> None:
            self._tell(
                RequestAccepted(at=at, model="m", chain=CHAIN, how="", need=NEED, extra_load=self.hedge.extra_load)
            )
            facts = Facts(latency=self._book.latency(LEADER.name, NEED.input_tokens, at))
            patience_s = self.hedge.delay_s(facts)
            assert patience_s is not None
            if first <= patience_s:
                self._answer(number, LEADER, at, first)
            else:
                self._at(at + patience_s, lambda now: due(now, patience_s))

        def due(at: float, patience_s: float) -> None:
            if not self._budget.withdraw(CHAIN, at):
                # Who never answers is given up after a minute, and the second is asked.
                if math.isinf(first):
                    self._at(at + 60 - patience_s, lambda now: self._answer(number, SECOND, now, second, 60))
                else:
                    self._answer(number, LEADER, at - patience_s, first)
                return
            self.hedges[number] = True
            if patience_s + second < first:
                self._answer(number, SECOND, at, second, patience_s)
                self._lose(LEADER, at, second, patience_s + second)
            else:
                self._answer(number, LEADER, at - patience_s, first)
                self._lose(SECOND, at, first - patience_s, first - patience_s)

        return arrive

    def _answer(self, number: int, who: Candidate, asked_at: float, elapsed_s: float, before_s: float = 0.0) -> None:
        self.times[number] = before_s + elapsed_s
        self._at(
            asked_at + elapsed_s,
            lambda now: self._tell(FirstContent(at=now, attempt=1, candidate=who, elapsed_s=elapsed_s, need=NEED)),
        )

    def _lose(self, who: Candidate, at: float, after_s: float, elapsed_s: float) -> None:
        self._at(
            at + after_s,
            lambda now: self._tell(
                AttemptEnded(at=now, attempt=1, candidate=who, ending="lost", elapsed_s=elapsed_s, need=NEED)
            ),
        )


def played(hedge: Hedge, world: World, half_life: float = HALF_LIFE_SAMPLES, *, since: int = 0) -> list[str]:
    """p99, how many times the better of two draws that is, and the extra attempts, over four seeds, as a row of a table."""
    runs = [Play(hedge, world, seed, half_life) for seed in range(4)]
    p99 = [quantile(run.times[since:], 0.99) for run in runs]
    against = [one / quantile(run.best[since:], 0.99) for one, run in zip(p99, runs, strict=True)]
    extra = [fmean(run.hedges[since:]) for run in runs]
    return [f"{fmean(p99):.2f}", f"{fmean(against):.2f} ({max(against):.2f})", f"{fmean(extra):.1%}"]


def _rows() -> Iterator[tuple[str, str, list[str]]]:
    steady, half = World(), 6_000
    drifting = World(requests=2 * half, medians=(1.0, 2.0), drifts=half)
    for factor in ("1.5", "1.75", "2", "2.5"):
        yield "steady", f"at_least {factor}x-median", played(Hedge(at_least=f"{factor}x-median"), steady)
    for samples in (100, 200, 300, 500, 1000):
        yield "steady", f"half after {samples} samples", played(Hedge(), steady, samples)
    for samples in (100, 200, 300, 500, 1000):
        told = played(Hedge(), drifting, samples, since=half)
        yield "after a drift", f"half after {samples} samples", told
    for fixed in (1.5, 1.75, 2.0, 3.0):
        yield "after a drift", f"after_s {fixed:g}", played(Hedge(after_s=fixed), drifting, since=half)
    for factor in ("3", "4", "6", "100"):
        hedge = Hedge(at_most=f"{factor}x-median")
        yield "dead for 200, then", f"at_most {factor}x-median", played(hedge, World(dead=(2_000, 2_200)), since=2_400)
    for factor in ("3", "4", "6", "100"):
        hedge = Hedge(at_most=f"{factor}x-median")
        yield "8 % stragglers", f"at_most {factor}x-median", played(hedge, World(stragglers=0.08))


def main() -> None:
    """The command."""
    table = Table(Column("world", no_wrap=True), Column("setting", no_wrap=True), box=None, padding=(0, 1))
    for name in ("p99", "oracle (worst)", "extra"):
        table.add_column(name, justify="right", no_wrap=True)
    for world, setting, told in _rows():
        table.add_row(world, setting, *told)
    Console().print(table)


if __name__ == "__main__":
    main()
