"""`count_tokens`: who is asked, how long, what is remembered, and what the estimate is used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from engine._events import EngineEvent, TokensCounted
from engine._failure import AttemptError
from engine._ports import Ask
from engine._prompt import measure
from engine._request import Request, need_of
from engine.config import Model, Provider
from engine.testing import Scenario, answer, failing, head, provider, script, tail, text
from policies import Capabilities, FailureKind, RequireCapability, SilentSkip
from tests.engine.stage import MakeScenario

PROSE = "The quick brown fox jumps over the lazy dog, and then it rests. "
OK = script(answer("yes"))


@attrs.define(eq=False)
class Counter:
    """A number, a failure, or a number of seconds to take, by provider."""

    says: Mapping[str, int | float | FailureKind]
    asked: list[Ask] = attrs.field(factory=list)

    def speaks(self, provider: Provider) -> bool:
        return provider.id in self.says

    async def count(self, ask: Ask) -> int:
        self.asked.append(ask)
        await trio.lowlevel.checkpoint()
        said = self.says[ask.provider.id]
        if isinstance(said, FailureKind):
            raise AttemptError(failing(said))
        if isinstance(said, float):
            await trio.sleep(said)
            return 1
        return said


def counting(it: Scenario, **says: int | float | FailureKind) -> Counter:
    it.router.counter = counter = Counter(says)
    return counter


def prompt(it: Scenario, *texts: str, session: str = "s") -> Request:
    made = it.request(messages=[{"role": "user", "content": each} for each in texts or (PROSE * 100,)])
    size = measure(made.body, made.raw)
    return attrs.evolve(made, session=session, prompt=size, need=need_of(made.body, made.raw, size))


def hosts(**counts: bool | None) -> dict[str, Provider]:
    return {id: provider(id, counts_tokens=known) for id, known in counts.items()}


def names(counter: Counter) -> list[str]:
    return [ask.provider.id for ask in counter.asked]


async def test_the_first_of_the_plan_that_counts_is_asked(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """One that is known not to is passed over; nobody else is asked, and nothing is raced."""
    it = scenario({"a": OK, "b": OK, "c": OK}, providers=hosts(a=False, b=True, c=True))
    counter = counting(it, a=1, b=777, c=9)
    assert await it.router.count(prompt(it)) == 777
    assert names(counter) == ["b"]
    assert it.asked == []


async def test_where_nobody_counts_it_is_the_estimate(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """At once."""
    it = scenario({"a": OK}, providers=hosts(a=None))
    made = prompt(it)
    counting(it)
    assert await it.router.count(made) == made.need.input_tokens
    it.router.counter = None
    assert await it.router.count(made) == made.need.input_tokens
    assert trio.current_time() == 0.0


async def test_a_host_has_one_second(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Then it is the estimate, and for a minute the host is not asked again."""
    it = scenario({"a": OK}, providers=hosts(a=True))
    counter = counting(it, a=30.0)
    made = prompt(it)
    for at in (1.0, 1.0, 1.0):
        assert await it.router.count(made) == made.need.input_tokens
        assert trio.current_time() == at
    assert len(counter.asked) == 1
    await trio.sleep(61.0)
    await it.router.count(made)
    assert len(counter.asked) == 2


@pytest.mark.parametrize("kind", [FailureKind.GONE, FailureKind.CLIENT, FailureKind.MALFORMED])
async def test_an_unknown_host_without_a_door_is_asked_once(
    scenario: MakeScenario, autojump_clock: MockClock, kind: FailureKind
) -> None:
    """And remembered until the proxy ends."""
    it = scenario({"a": OK}, providers=hosts(a=None))
    counter = counting(it, a=kind)
    for _ in range(3):
        await it.router.count(prompt(it))
        await trio.sleep(10_000.0)
    assert len(counter.asked) == 1


async def test_a_host_that_is_known_to_count_is_asked_again(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Its refusal of one prompt is no word on the next."""
    it = scenario({"a": OK}, providers=hosts(a=True))
    counter = counting(it, a=FailureKind.CLIENT)
    for _ in range(2):
        await it.router.count(prompt(it))
        await trio.sleep(61.0)
    assert len(counter.asked) == 2


async def test_counting_costs_no_permit_and_no_health(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Nor is a turn stated."""
    it = scenario({"a": OK}, providers=hosts(a=True))
    counting(it, a=FailureKind.SERVER)
    for _ in range(9):
        await it.router.count(prompt(it))
        await trio.sleep(61.0)
    assert it.books.breakers.failures(it.config.chains["coding"].candidates[0]) == 0
    assert it.books.scopes.total_in_flight() == 0
    stated = [entry for entry in it.log if isinstance(entry, EngineEvent)]
    assert {type(entry) for entry in stated} == {TokensCounted}


async def test_it_is_asked_with_the_sessions_key(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """And not with one that rests; where all rest nobody is asked."""
    refusing = script(asking=[failing(FailureKind.AUTH)])
    it = scenario({"a": refusing, "b": OK}, providers={"a": provider("a", "k1", "k2", "k3", counts_tokens=True)})
    counter = counting(it, a=5)
    await it.router.count(prompt(it))
    await it.serve(prompt(it))
    await it.router.count(prompt(it))
    (first,) = [ask.key.source for ask in counter.asked if ask.key]
    tried = [e.ask.key.source for e in it.transport.exchanges if e.ask.key]
    assert tried[0] == first
    assert len(tried) == 3


async def test_twenty_seven_at_once_are_all_answered(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Claude Code draws its meter so."""
    it = scenario({"a": OK}, providers=hosts(a=True))
    counting(it, a=30.0)
    told: list[int] = []

    async def one() -> None:
        told.append(await it.router.count(prompt(it)))

    async with trio.open_nursery() as nursery:
        for _ in range(27):
            nursery.start_soon(one)
    assert len(told) == 27
    assert trio.current_time() == 1.0


# What the estimate is used for.


def counted(tokens: int) -> Any:
    return script([head(input_tokens=tokens), *text("x"), *tail()])


async def test_an_answers_count_is_the_next_turns_estimate(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """For routing, for the host's transport, and for the door that counts."""
    it = scenario({"a": counted(2000)})
    await it.serve(prompt(it, PROSE * 100))
    later = prompt(it, PROSE * 100, "ok", PROSE)
    assert 2000 < await it.router.count(later) < 2060
    await it.serve(later)
    assert 2000 < it.transport.exchanges[-1].ask.request.need.input_tokens < 2060


async def test_windows_are_held_against_what_was_learned(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """A prompt that the bare estimate would have sent there is sent past the small window."""
    small = provider("a", models={"m": Model(id="m", capabilities=Capabilities(context=2500))})
    it = scenario({"a": counted(2490), "b": counted(2490)}, RequireCapability(), SilentSkip(), providers={"a": small})
    first = prompt(it, PROSE * 100)
    assert first.need.input_tokens < 2000
    await it.serve(first)
    await it.serve(prompt(it, PROSE * 100, "ok", PROSE * 3))
    assert [name for _, name in it.asked] == ["a", "b"]


async def test_each_candidate_is_told_its_own_estimate(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Two hosts that count differently, in one chain."""
    fails = script(asking=[failing(FailureKind.SERVER)])
    it = scenario({"a": [counted(1800), fails, fails], "b": [counted(3000), OK]})
    await it.serve(prompt(it, session="one"))
    await it.serve(prompt(it, session="two"))
    await it.serve(prompt(it, session="three"))
    third = {e.provider: e.ask.request.need.input_tokens for e in it.transport.exchanges[-2:]}
    assert third["a"] == pytest.approx(1800, rel=0.02)
    assert third["b"] == pytest.approx(3000, rel=0.02)


async def test_a_silent_host_does_not_hold_a_turn_up(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Counting is no part of it."""
    it = scenario({"a": OK}, providers=hosts(a=True))
    counter = counting(it, a=30.0)
    await it.serve(prompt(it))
    assert counter.asked == []
