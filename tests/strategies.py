"""Hypothesis strategies for what policies work on: candidates, chains, facts, views, policies, whole situations.

Independent random values almost never tie, so a naive generator tests neither stability nor tie-breaking, and its
candidates are rarely all passed over. Here few providers and models, a handful of round waits and a pool of at most
three facts per view make ties, twins, duplicates and empty selections ordinary.
"""

from __future__ import annotations

from collections.abc import Sequence as Seq
from typing import TypeVar, get_args

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from policies import (
    FAILURES,
    KINDS,
    QUANTILES,
    BreakerState,
    Candidate,
    Capabilities,
    Cheapest,
    CommitAt,
    CommitPoint,
    Deadline,
    During,
    Except,
    Facts,
    Fastest,
    FewestToolErrors,
    FirstContentTimeout,
    Hedge,
    HighestThroughput,
    IdleTimeout,
    InOrder,
    Latency,
    LeastLoaded,
    MaxAttempts,
    MaxInFlight,
    MaxWait,
    MostHeadroom,
    Need,
    OnFailure,
    Only,
    Phase,
    Plan,
    Policy,
    PowerOfTwo,
    Price,
    Race,
    Random,
    RequireCapability,
    Rescue,
    RescueMode,
    Retry,
    RoundRobin,
    Sequence,
    SilentSkip,
    SpendCap,
    Sticky,
    UnlimitedScope,
    View,
    Weighted,
    compose,
)
from policies._select_hours import DAYS

T = TypeVar("T")

PROVIDERS = ("zen", "nvidia_nim", "workstation", "groq")
MODELS = ("m", "org/m", "m:free")
DAY_S = 86_400.0

#: Waits from now, in seconds: none, ties, and both sides of the default max-wait.
waits = st.sampled_from([0.0, 0.5, 1.0, 30.0, 60.0, 60.5, 300.0]) | st.floats(0, 900)
#: An argument in seconds that every limit accepts.
durations = st.floats(0.001, DAY_S) | st.integers(1, 600).map(float)


def candidates() -> SearchStrategy[Candidate]:
    """Any of two dozen, thinking twins included."""
    return st.builds(Candidate, st.sampled_from(PROVIDERS), st.sampled_from(MODELS), st.sampled_from([None, False]))


def chains() -> SearchStrategy[tuple[Candidate, ...]]:
    """What a file may list: one to six candidates, in any order, the same one perhaps twice."""
    return st.lists(candidates(), min_size=1, max_size=6).map(tuple)


def _maybe(strategy: SearchStrategy[T]) -> SearchStrategy[T | None]:
    return st.none() | strategy


#: A few of each, not floats of their own: generating a view must stay cheaper than planning with it.
CAPABILITIES = (
    Capabilities(),
    Capabilities(tools=True, images=False, context=8_000),
    Capabilities(tools=False, documents=False),
    Capabilities(images=True, documents=True, context=200_000),
)
PRICES = (None, Price(input=0.0, output=0.0), Price(input=3.0, output=15.0))
LATENCIES = (
    None,
    Latency(samples=29, at=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)),
    Latency(samples=30, at=(0.01, 0.02, 0.03, 0.04, 0.05, 0.06)),
    Latency(samples=900, at=(1.25, 1.5, 2.5, 2.75, 4.0, 9.5)),
    Latency(samples=30, at=(9.0, 20.0, 40.0, 60.0, 90.0, 120.0)),
    Latency(samples=3, at=(1.0,) * 6, smaller=(5.0,) * 6, larger=(1.5,) * 6),
)


def facts() -> SearchStrategy[Facts]:
    """What may be known of one candidate; about half of them are neither blocked, full nor ejected."""
    known = {
        "capabilities": st.sampled_from(CAPABILITIES),
        "price": st.sampled_from(PRICES),
        "free": st.sampled_from([False, False, True]),
        "throughput": st.sampled_from([None, 0.5, 40.0, 90.0]),
        "tool_errors": st.sampled_from([None, 0.0, 0.01, 0.2, 1.0]),
        "spent_usd": st.sampled_from([(0.0, 0.0, 0.0), (0.5, 2.0, 30.0)]),
        "ramp": st.sampled_from([1.0, 1.0, 1.0, 0.5, 0.0]),
        "in_flight": st.integers(0, 3),
        "ttfc_s": st.sampled_from([None, 0.0, 0.5, 1.0, 2.0]) | st.floats(0, 60),
        "latency": st.sampled_from(LATENCIES),
        "headroom": st.sampled_from([0.0, 0.19, 0.2, 1.0]),
        "sticky": st.sampled_from([False, False, False, True]),
        "warm_tokens": st.sampled_from([0, 0, 0, 4_000, 90_000]),
    }
    troubled = {
        "usable": st.sampled_from([True, True, True, False]),
        "unusable_because": st.sampled_from(["", "no key"]),
        "breaker": st.sampled_from(get_args(BreakerState)),
        "breaker_wait_s": waits,
        "breaker_reason": st.sampled_from(["", "4 failures in a row, last: server error"]),
        "block_wait_s": waits,
        "block_reason": st.sampled_from(["", "429"]),
        "key_wait_s": waits,
        "gone_wait_s": waits,
        "window_wait_s": waits,
        "free_slots": st.sampled_from([None, 0, 1]),
    }
    return st.builds(Facts, **known) | st.builds(Facts, **known, **troubled)


def needs() -> SearchStrategy[Need]:
    """What a request may ask for."""
    return st.builds(
        Need,
        input_tokens=st.sampled_from([0, 1, 8_001, 300_000]),
        stream=st.booleans(),
        tools=st.booleans(),
        images=st.booleans(),
        documents=st.booleans(),
    )


@st.composite
def views(draw: st.DrawFn, chain: Seq[Candidate]) -> View:
    """One moment of a chain: some of its candidates known, several perhaps alike."""
    pool = draw(st.lists(facts(), min_size=1, max_size=3))
    of_each = draw(st.lists(st.sampled_from([None, *pool]), min_size=len(chain), max_size=len(chain)))
    known = {candidate.name: fact for candidate, fact in zip(chain, of_each, strict=True) if fact is not None}
    home = draw(st.sampled_from(["", *(candidate.name for candidate in chain)]))
    return View(
        need=draw(needs()),
        facts=known,
        wall_s=draw(st.sampled_from([0.0, 1.7e9, 1.7e9 + 6 * 3600])),
        seed=draw(st.integers(0, 2**32)),
        turn=draw(st.integers(0, 7)),
        affinity=home,
    )


@st.composite
def plans(draw: st.DrawFn, chain: Seq[Candidate]) -> Plan:
    """A plan on its way: nobody skipped yet, the steps in any order, some providers perhaps lifted."""
    plan = Plan.of(tuple(chain))
    return attrs.evolve(
        plan,
        steps=tuple(draw(st.permutations(plan.steps))),
        lifted=frozenset(draw(st.lists(st.sampled_from(PROVIDERS), max_size=2))),
    )


_names = st.sampled_from([*PROVIDERS, *(f"{p}/{m}" for p in PROVIDERS for m in MODELS)])
_some_names = st.lists(_names | st.sampled_from(["*", "z*", "*/m", "nobody"]), min_size=1, max_size=3).map(tuple)
_groups = st.lists(st.lists(_names, max_size=3).map(tuple), max_size=3).map(tuple)

#: One strategy per built-in policy, over the arguments it accepts.
BY_CLASS: dict[type[Policy], SearchStrategy[Policy]] = {
    SilentSkip: st.builds(SilentSkip),
    RequireCapability: st.builds(RequireCapability),
    UnlimitedScope: st.builds(
        UnlimitedScope, for_=st.lists(st.sampled_from(PROVIDERS) | st.text(), min_size=1, max_size=3).map(tuple)
    ),
    Only: st.builds(Only, names=_some_names),
    Except: st.builds(Except, names=_some_names),
    During: st.builds(
        During,
        hours=st.sampled_from(["00:00-24:00", "22:00-06:00", "09:00-12:30, 13:30-18:00", "22:13-22:14"]),
        days=st.lists(st.sampled_from(DAYS), max_size=3).map(tuple),
        zone=st.sampled_from(["UTC", "+02:00", "-11:30"]),
        names=st.just(()) | _some_names,
    ),
    SpendCap: st.builds(
        SpendCap,
        usd=st.sampled_from([0.5, 1.0, 100.0]),
        per=st.sampled_from(["hour", "day", "month"]),
        providers=st.lists(st.sampled_from(PROVIDERS), max_size=2).map(tuple),
        together=st.booleans(),
    ),
    InOrder: st.builds(InOrder, priority=_groups),
    LeastLoaded: st.builds(LeastLoaded),
    Sticky: st.builds(
        Sticky, usd_per_hour=st.floats(0.01, 1000), reread_s=st.floats(0, 10), move_s=st.sampled_from([0.0, 3.0])
    ),
    PowerOfTwo: st.builds(PowerOfTwo),
    RoundRobin: st.builds(RoundRobin),
    Weighted: st.builds(Weighted, weights=st.dictionaries(_names, st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=1)),
    Random: st.builds(Random, top=st.integers(2, 5)),
    Fastest: st.builds(Fastest),
    Cheapest: st.builds(Cheapest, output_tokens=st.sampled_from([0, 500, 4_000])),
    HighestThroughput: st.builds(HighestThroughput),
    MostHeadroom: st.builds(MostHeadroom),
    FewestToolErrors: st.builds(FewestToolErrors),
    Sequence: st.builds(Sequence),
    Hedge: st.builds(
        Hedge,
        after_s=_maybe(st.floats(0.001, 60)),
        after=st.sampled_from([f"p{q}" for q in QUANTILES]),
        at_least=st.sampled_from(["1x-median", "1.5x-median", "2x-median", "10x-median"]),
        at_most=st.sampled_from(["1x-median", "4x-median", "10x-median"]),
        floor_s=st.sampled_from([0.01, 0.3]),
        ceiling_s=st.sampled_from([0.3, 15.0]),
        cold_s=st.sampled_from([0.1, 4.0, 30.0]),
        second_usd=st.sampled_from([None, 0.001, 1.0]),
        warm=st.sampled_from(["hedge", "wait"]),
        extra_load=st.floats(0.001, 1),
        paid=st.booleans(),
    ),
    Race: st.builds(Race, width=st.integers(2, 5)),
    MaxAttempts: st.builds(MaxAttempts, n=st.integers(1, 10)),
    MaxInFlight: st.builds(MaxInFlight, n=st.integers(1, 10)),
    MaxWait: st.builds(MaxWait, s=st.just(0.0) | durations),
    Deadline: st.builds(Deadline, s=durations),
    FirstContentTimeout: st.builds(FirstContentTimeout, s=durations, fallback_s=_maybe(durations)),
    IdleTimeout: st.builds(IdleTimeout, s=durations),
    Retry: st.builds(Retry, tries=st.integers(1, 20), base_s=durations, cap_s=durations),
    CommitAt: st.builds(CommitAt, at=st.sampled_from(get_args(CommitPoint))),
    Rescue: st.builds(Rescue, mode=st.sampled_from(get_args(RescueMode))),
    OnFailure: st.builds(
        OnFailure,
        of=st.sampled_from(sorted(FAILURES)),
        next=_maybe(st.sampled_from(["next", "bigger-window", "stop"])),
        counts=st.booleans(),
        again=st.booleans(),
    ),
}


def policies(*phases: Phase) -> SearchStrategy[Policy]:
    """Any built-in policy with any arguments, of these phases (none named: of all)."""
    return st.one_of([BY_CLASS[cls] for cls in KINDS.values() if not phases or cls.phase in phases])


@st.composite
def policy_lists(draw: st.DrawFn) -> tuple[Policy, ...]:
    """The policies of one chain, in any file order: up to three of a phase, one of those that exclude each other."""
    drawn: list[Policy] = []
    for phase in Phase:
        drawn += draw(st.lists(policies(phase), max_size=3))
    kept = {policy.rivalry or index: policy for index, policy in enumerate(drawn)}
    return tuple(draw(st.permutations(list(kept.values()))))


@attrs.frozen
class Situation:
    """All that a plan is made of."""

    policies: tuple[Policy, ...]
    chain: tuple[Candidate, ...]
    view: View

    @property
    def plan(self) -> Plan:
        return compose(self.policies, self.chain, self.view)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """A chain with its policies at one moment."""
    chain = draw(chains())
    return Situation(draw(policy_lists()), chain, draw(views(chain)))
