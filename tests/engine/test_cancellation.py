"""Cancelled at any step and at any moment, a turn leaves no permit, no count, no open exchange and no task.

A cancellation test that picks one moment proves that moment. Here the outer scope is cancelled at each single step that
any task of a turn takes, in several orders of the tasks; and then thousands of times at random in one long-lived router,
where whatever is lost once stays lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import attrs
import pytest
import trio

from engine._events import AttemptEnded, RequestAccepted
from engine.config import Provider
from engine.testing import (
    HANG,
    RecordingReply,
    Scenario,
    Script,
    answer,
    failing,
    head,
    provider,
    script,
    tail,
    text,
    tool,
)
from policies import (
    CommitAt,
    Concurrency,
    FailureKind,
    FirstContentTimeout,
    Hedge,
    IdleTimeout,
    MaxWait,
    Policy,
    Race,
    Sequence,
    Window,
)
from tests.engine.stage import unsound, virtual

HEDGE = Hedge(after_s=2.0, extra_load=1.0)
NO = script(asking=[1.0, failing(FailureKind.RESET)])
STREAMED = script(1.0, [head(), *text("x", whole=False)], 1.0, text("y")[1:2], 1.0, [*text()[1:], *tail()])


class CancelAtStep(trio.abc.Instrument):
    """Cancels `scope` just before the `step`-th step that tasks take once it is armed."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.scope: trio.CancelScope | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.scope is None or self.left <= 0:
            return
        self.left -= 1
        if not self.left:
            self.scope.cancel()


@attrs.frozen
class Situation:
    """A turn to be cancelled, after `before` others that were not."""

    scripts: Mapping[str, Script | list[Script]]
    policies: tuple[Policy, ...] = ()
    providers: Mapping[str, Provider] = attrs.field(factory=dict)
    stream: bool = True
    write_s: float = 0.0
    before: int = 0


SITUATIONS = {
    "one candidate": Situation({"a": STREAMED}),
    "sequence": Situation({"a": NO, "b": NO, "c": STREAMED}, (Sequence(),)),
    "hedge, the second wins": Situation({"a": script(HANG), "b": STREAMED}, (HEDGE,)),
    "hedge, an exact tie": Situation({"a": script(2.0, answer("a")), "b": script(HANG)}, (HEDGE,)),
    "hedge, a loser slow to leave": Situation({"a": script(HANG, leaving=[5.0]), "b": STREAMED}, (HEDGE,)),
    "race of three in one tick": Situation(dict.fromkeys("abc", STREAMED), (Race(width=3),)),
    "a late commit": Situation({"a": STREAMED, "b": STREAMED}, (HEDGE, CommitAt(at="message"))),
    "three keys": Situation(
        {"a": [script(asking=[1.0, failing(FailureKind.AUTH)])] * 2 + [STREAMED]},
        providers={"a": provider("a", "k1", "k2", "k3")},
    ),
    "a timeout": Situation({"a": script(HANG), "b": STREAMED}, (FirstContentTimeout(s=3),)),
    "a winner that falls silent": Situation({"a": script([head(), *text("x")], HANG)}, (IdleTimeout(s=3),)),
    "a tool call cut off": Situation({"a": script([head(), *tool('{"a": 1}')])}),
    "json, started again": Situation({"a": script([head(), *text("x")]), "b": STREAMED}, stream=False),
    "an empty answer": Situation({"a": script([head(), *tail()]), "b": NO}),
    "a slow client": Situation({"a": script(HANG), "b": STREAMED}, (HEDGE,), write_s=2.5),
    "nobody answers": Situation({"a": NO, "b": NO}, (Race(),)),
    "a full window": Situation(
        {"a": [script(asking=[failing(FailureKind.RESET)]), STREAMED]},
        (MaxWait(s=9),),
        {"a": provider("a", scope=Window(requests=1, per_s=4.0))},
        before=1,
    ),
}


def run(situation: Situation, step: int, seed: int) -> tuple[Scenario, RecordingReply, bool]:
    """One turn, cancelled at this step; the last value says whether it came that far."""
    it = Scenario.of(situation.scripts, *situation.policies, providers=situation.providers)
    reply = RecordingReply(stream=situation.stream, write_s=situation.write_s)
    instrument = CancelAtStep(step)

    async def turn() -> None:
        for _ in range(situation.before):
            await it.serve()
        with trio.CancelScope() as scope:
            instrument.scope = scope
            await it.serve(it.request(stream=situation.stream), reply)
        instrument.scope = None

    virtual(turn, seed=seed, instruments=[instrument])
    return it, reply, instrument.left <= 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SITUATIONS)
def test_cancelled_at_any_step_a_turn_leaves_nothing(name: str, seed: int) -> None:
    """Every step of every task, until the turn is over before its cancellation comes."""
    reached, step = True, 0
    while reached:
        step += 1
        it, reply, reached = run(SITUATIONS[name], step, seed)
        assert it.left() == [], f"cancelled at step {step}"
        assert unsound(reply) == [], f"cancelled at step {step}"
        assert len(it.events(RequestAccepted)) == SITUATIONS[name].before + 1
    assert reply.ending
    assert step > 8, "the instrument saw no steps"


PROVIDERS = {
    "a": provider("a", scope=Concurrency(limit=3)),
    "b": provider("b", scope=Window(requests=5, per_s=1.0, concurrency=4)),
    "c": provider("c", "k1", "k2"),
    "d": provider("d"),
}
CHAINS: tuple[tuple[Policy, ...], ...] = (
    (HEDGE, MaxWait(s=3)),
    (Race(width=3), MaxWait(s=1)),
    (Sequence(), CommitAt(at="message"), FirstContentTimeout(s=2)),
)


def moments(draw: random.Random) -> float:
    """Round ones, so that cancellations meet other things in one tick."""
    return draw.choice([0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.0, 3.0])


def exchanges(draw: random.Random) -> list[Script]:
    """What one provider does, exchange by exchange, for a long time."""
    kinds: list[Callable[[], Script]] = [
        lambda: script(moments(draw), answer("x")),
        lambda: script(moments(draw), [head(), *text("x", whole=False)], moments(draw), [*text("y")[1:], *tail()]),
        lambda: script(asking=[moments(draw), failing(draw.choice([FailureKind.RESET, FailureKind.CONNECT]))]),
        lambda: script([head(), *tool('{"a": 1}')], moments(draw), failing(FailureKind.RESET)),
        lambda: script(HANG, leaving=[moments(draw)]),
        lambda: script(asking=[HANG]),
    ]
    return [draw.choice(kinds)() for _ in range(500)]


def cancel_at_random(count: int, seed: int) -> None:
    """`count` turns in one router, up to twenty at once, nearly all of them cancelled at some moment."""
    draw = random.Random(seed)
    it = Scenario.of({id: exchanges(draw) for id in PROVIDERS}, *CHAINS[seed % len(CHAINS)], providers=PROVIDERS)
    begun = 0

    async def client() -> None:
        nonlocal begun
        while begun < count:
            begun += 1
            with trio.CancelScope() as scope:
                scope.deadline = trio.current_time() + moments(draw)
                if draw.random() < 0.1:
                    scope.deadline = trio.current_time() + 60
                stream = draw.random() < 0.8
                reply = RecordingReply(stream=stream, write_s=draw.choice([0.0, 0.0, 0.5]))
                await it.serve(it.request(stream=stream), reply)
            assert unsound(reply) == []
            if draw.random() < 0.3:
                await trio.sleep(moments(draw))

    async def clients() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(client)

    virtual(clients, seed=seed)
    it.assert_nothing_left()
    assert len(it.events(RequestAccepted)) == count
    endings = {ended.ending for ended in it.events(AttemptEnded)}
    assert endings >= {"won", "failed", "abandoned"}
    assert "lost" in endings or isinstance(CHAINS[seed % len(CHAINS)][0], Sequence)


@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_turns_cancelled_at_random_leave_nothing(seed: int) -> None:
    """Under three kinds of chain, with bounded providers that are often full."""
    cancel_at_random(334, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3, 9))
def test_ten_thousand_turns_cancelled_at_random_leave_nothing(seed: int) -> None:
    """The same for longer."""
    cancel_at_random(1_667, seed)
