"""The hedge budget as an invariant: on the book and the policies alone, whatever arrives, however much fails.

Nothing here runs on a clock. Arrivals, views and attempts are made by hand from a seed, so that a million of them are a
matter of a minute, and a seed that fails is a test case.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque

import pytest

from engine._breaker import BreakerBook
from engine._budget import DEPTH, REFILL_S, HedgeBudget
from engine._pacer import Launch, Over, Pacer, Wait
from policies import Breaker, Candidate, Charge, Facts, FailureKind, Hedge, Next, SilentSkip, View, compose
from tests.engine.said import accepted, failed, told

WINDOW_S = 10.0
CHAIN = tuple(Candidate(id, "m") for id in "abc")
#: What a window may hold beside its share: a full account, and what time puts in.
FLOOR = DEPTH + WINDOW_S / REFILL_S


def arrivals(draw: random.Random, count: int) -> list[float]:
    """Calm, busy and in bursts, in turns: the rate changes a hundredfold, every few hundred requests."""
    at, rate, out = 0.0, 1.0, list[float]()
    for _ in range(count):
        if draw.random() < 0.005:
            rate = 10 ** draw.uniform(-1.5, 2.5)
        at += 0.0 if draw.random() < 0.1 else draw.expovariate(rate)
        out.append(at)
    return out


def hedged(seed: int, count: int, policy: Hedge) -> tuple[int, float]:
    """Play so many requests, most of which want a hedge. How many were sent, and the most that a window held over its share."""
    draw, book = random.Random(seed), HedgeBudget()
    view = View(facts={c.name: Facts() for c in CHAIN})
    plan = compose((SilentSkip(), policy), CHAIN, view)
    assert [step.charge for step in plan.steps] == [Charge.BUDGET] * 3
    requests, sent = deque[float](), deque[float]()
    total, worst = 0, float("-inf")
    for at in arrivals(draw, count):
        told(book.fold, accepted(at, extra_load=policy.extra_load))
        requests.append(at)
        if draw.random() < 0.7 and book.withdraw("c", at):
            sent.append(at)
            total += 1
            if draw.random() < 0.1:  # the gate had no room for it
                book.refund("c")
                sent.pop()
                total -= 1
        for moments in (requests, sent):
            while moments and moments[0] <= at - WINDOW_S:
                moments.popleft()
        worst = max(worst, len(sent) - policy.extra_load * len(requests))
        assert 0 <= book.balance("c", at) <= DEPTH
    return total, worst


def assert_within(seed: int, count: int) -> None:
    """One seed. The bound is met, and nearly reached: a budget that denies everything would hold it, too."""
    policy = Hedge(extra_load=(0.02, 0.08, 0.5)[seed % 3])
    total, worst = hedged(seed, count, policy)
    assert worst <= FLOOR + 1e-6
    assert total >= 0.9 * min(policy.extra_load, 0.6) * count


@pytest.mark.parametrize("seed", range(3))
def test_hedges_in_any_ten_seconds_are_bounded(seed: int) -> None:
    """By the share of their requests, the depth and the refill."""
    assert_within(seed, 3_000)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(50))
def test_a_million_arrivals_keep_the_bound(seed: int) -> None:
    """Twenty thousand for each of fifty seeds."""
    assert_within(1000 + seed, 20_000)


class Outage:
    """Every attempt fails, at once, with the real breakers, policies, pacer and budget. Requests that wait are played on."""

    def __init__(self) -> None:
        self.breakers, self.budget = BreakerBook(lambda _: Breaker()), HedgeBudget()
        self.attempts, self.at = 0, 0.0
        self.numbers = itertools.count()
        self.waiting: list[tuple[float, int, Pacer]] = []

    def arrive(self) -> None:
        told(self.budget.fold, accepted(self.at, extra_load=0.08))
        view = View(facts={c.name: self.facts(c) for c in CHAIN})
        self.go_on(Pacer(compose((SilentSkip(), Hedge()), CHAIN, view), self.at))

    def facts(self, candidate: Candidate) -> Facts:
        state, wait_s = self.breakers.state(candidate, self.at)
        return Facts(breaker=state, breaker_wait_s=wait_s)

    def go_on(self, pacer: Pacer) -> None:
        """What one request does now, until it waits or gives up. Nothing ever runs: what is sent has failed already."""
        while True:
            match pacer.decide(self.at):
                case Launch(step=step):
                    wait_s = self.breakers.admit(step.candidate, self.at)
                    if wait_s > 0:
                        pacer.busy(step, wait_s, self.at)
                        continue
                    self.attempts += 1
                    number = next(self.numbers)
                    pacer.started(number, step, self.at)
                    told(self.breakers.fold, failed(self.at, step.candidate, FailureKind.CONNECT))
                    pacer.failed(number, Next.NEXT, lambda _: True)
                case Wait(until):
                    pacer.waited(until - self.at)
                    heapq.heappush(self.waiting, (until, next(self.numbers), pacer))
                    return
                case Over():
                    return
                case other:
                    raise AssertionError(f"nothing runs, and yet: {other}")

    def until(self, at: float) -> None:
        """Let those who wait go on, up to that moment."""
        while self.waiting and self.waiting[0][0] <= at:
            self.at, _, pacer = heapq.heappop(self.waiting)
            self.go_on(pacer)
        self.at = at

    @property
    def all_open(self) -> bool:
        return all(self.breakers.state(c, self.at)[0] == "open" for c in CHAIN)


def outage(seed: int, count: int, per_s: float) -> tuple[int, int]:
    """Attempts and requests, from the moment when the last breaker has opened until the last request is over."""
    draw, it = random.Random(seed), Outage()
    at, requests, opened = 0.0, 0, False
    for _ in range(count):
        at += draw.expovariate(per_s)
        it.until(at)
        if not opened and it.all_open:
            opened, it.attempts, requests = True, 0, 0
        requests += 1
        it.arrive()
    it.until(at + 1e4)
    assert opened
    return it.attempts, requests


@pytest.mark.parametrize("per_s", [0.2, 1.0, 20.0])
def test_an_outage_is_not_made_worse(per_s: float) -> None:
    """Once the breakers are open there are at most 1.2 attempts for each request; from twelve requests a minute on."""
    attempts, requests = outage(1, 300, per_s)
    assert 0 < attempts <= 1.2 * requests


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_no_outage_is_made_worse(seed: int) -> None:
    """Other arrivals, at rates from one in five seconds to a hundred a second."""
    attempts, requests = outage(seed, 6_000, 0.2 * 500 ** (seed / 9))
    assert 0 < attempts <= 1.2 * requests
