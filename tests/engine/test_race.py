"""Attempts racing on a virtual clock: who starts when, who wins, and what becomes of the others. All times are exact."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from engine._ports import Asker, Busy, Permit
from engine.testing import HANG, Act, RecordingReply, Scenario, Script, answer, failing, head, provider, script, text
from policies import Concurrency, FailureKind, Hedge, MaxAttempts, MaxInFlight, Race, Sequence, Step
from tests.engine.stage import MakeScenario, hedge, rest, take

REFUSED = script(asking=[failing(FailureKind.CONNECT)])


# Sequence, hedge, race.


async def test_sequence_starts_the_second_on_failure_and_without_dead_time(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Each failure, and the next start, are one moment."""
    slow_no = script(asking=[3.0, failing(FailureKind.SERVER, status=500)])
    it = scenario({"a": slow_no, "b": REFUSED, "c": script(1.5, answer("hello"))}, Sequence())
    reply = await it.serve()
    assert it.story == [
        "0 a starts",
        "3 a failed: server error",
        "3 b starts",
        "3 b failed: connect",
        "3 c starts",
        "4.5 c content",
        "4.5 c commits",
        "4.5 c won",
        "4.5 answered",
    ]
    assert reply.said == "hello"
    assert [(w.candidate.provider, w.attempts) for w in reply.winners] == [("c", 3)]


async def test_sequence_never_starts_the_second_beside_a_slow_first(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """However slow, as long as its first content is in time."""
    it = scenario({"a": script(59.5, answer("slow")), "b": script(answer("b"))}, Sequence())
    assert (await it.serve()).said == "slow"
    assert it.asked == [(0.0, "a")]


async def test_hedge_starts_at_exactly_its_patience_and_the_loser_goes_in_the_tick_of_the_commit(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The winner relays from its own task while the loser's exchange is closed at once."""
    it = scenario({"a": script(HANG), "b": script(1.0, [head(), *text("b1", whole=False)], 5.0, rest("b2"))}, hedge())
    reply = await it.serve()
    assert it.story == [
        "0 a starts",
        "2 b starts as hedge",
        "3 b content",
        "3 b commits",
        "3 a lost",
        "8 b won",
        "8 answered",
    ]
    assert [e.closed_at for e in it.transport.exchanges] == [3.0, 8.0]
    assert [at for at, _ in reply.writes] == [3.0, 8.0]
    assert reply.said == "b1b2"


async def test_the_leader_may_still_win_against_its_hedge(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Being hedged is no failure: the first content decides, whoever's it is."""
    it = scenario({"a": script(2.5, answer("a")), "b": script(1.0, answer("b"))}, hedge())
    assert (await it.serve()).said == "a"
    assert [e.closed_at for e in it.transport.exchanges] == [2.5, 2.5]
    assert it.books.breakers.failures(it.config.chains["coding"].candidates[0]) == 0


async def test_race_starts_its_width_at_once_and_the_others_after_failures(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Two at 0, the third when one has failed, the fourth never."""
    it = scenario(
        {
            "a": script(HANG),
            "b": script(asking=[1.0, failing(FailureKind.OVERLOADED)]),
            "c": script(1.0, answer("c")),
            "d": script(answer("d")),
        },
        Race(),
    )
    assert (await it.serve()).said == "c"
    assert sorted(it.asked) == [(0.0, "a"), (0.0, "b"), (1.0, "c")]
    assert "1 c starts beside" in it.story


@pytest.mark.parametrize("failing_one", ["a", "b"])
async def test_failure_of_any_attempt_in_flight_starts_the_next_at_once(
    scenario: MakeScenario, autojump_clock: MockClock, failing_one: str
) -> None:
    """Of the older as of the newer."""
    scripts = {"a": script(HANG), "b": script(HANG), "c": script(0.5, answer("c"))}
    at = 3.0 if failing_one == "a" else 1.0
    scripts[failing_one] = script(asking=[at, failing(FailureKind.RESET)])
    it = scenario(scripts, hedge())
    assert (await it.serve()).said == "c"
    assert it.asked == [(0.0, "a"), (2.0, "b"), (3.0, "c")]


async def test_a_failure_before_the_patience_is_over_starts_the_next_early(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """And uncharged: it is a fallback, not a hedge."""
    it = scenario({"a": script(asking=[0.5, failing(FailureKind.CONNECT)]), "b": script(answer("b"))}, hedge())
    await it.serve()
    assert it.story[:3] == ["0 a starts", "0.5 a failed: connect", "0.5 b starts"]


async def test_max_attempts_and_max_in_flight_hold(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Three in all, two at once."""
    late = script(asking=[5.0, failing(FailureKind.SERVER)])
    it = scenario(dict.fromkeys("abcde", late), hedge(1.0), MaxAttempts(n=3), MaxInFlight(n=2))
    reply = await it.serve()
    assert it.asked == [(0.0, "a"), (1.0, "b"), (5.0, "c")]
    assert reply.ended_at == 10.0


# Losers that are slow to leave.


@pytest.mark.parametrize("leaving", [[5.0], [5.0, OSError("too late")]], ids=["slow", "slow and broken"])
async def test_a_losers_slow_clean_up_delays_neither_the_winners_events_nor_the_clients_end(
    scenario: MakeScenario, autojump_clock: MockClock, leaving: list[Act]
) -> None:
    """The race itself ends after it, and the permit is back only then: the provider is still busy with it."""
    bugs = len(leaving) - 1
    it = scenario(
        {"a": script(HANG, leaving=leaving), "b": script(answer("b1"), leaving=[])},
        hedge(1.0),
        providers={"a": provider("a", scope=Concurrency(limit=1))},
        bugs=bugs,
    )
    async with trio.open_nursery() as nursery:
        reply = RecordingReply()
        nursery.start_soon(it.serve, None, reply)
        await trio.sleep(5.5)
        assert reply.ended_at == 1.0
        assert it.router.live == 1
        assert it.books.scopes.free_slots("a", 0) == 0
        await trio.sleep(1.0)
        assert it.books.scopes.free_slots("a", 0) == 1
    assert it.story[-2:] == ["6 a lost", "6 answered"]


# The gate.


async def test_a_candidate_found_busy_at_its_launch_is_skipped_for_the_next(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The plan was made before the slot was taken; no failure is recorded and nobody waits."""
    it = scenario(
        {"a": script(30.0, answer("first")), "b": script(10.0, answer("b")), "c": script(1.0, answer("c"))},
        hedge(),
        providers={"b": provider("b", scope=Concurrency(limit=1))},
    )
    taken = await take(it, 1)
    reply = await it.serve()
    taken.release(sent=True)
    assert it.story[:3] == ["0 a starts", "2 b busy", "2 c starts as hedge"]
    assert reply.said == "c"


async def test_a_hedge_that_the_gate_refuses_is_refunded(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The budget is for what is sent."""
    it = scenario(
        {"a": script(30.0, answer("a")), "b": script(answer("b"))},
        hedge(),
        providers={"b": provider("b", scope=Concurrency(limit=1))},
    )
    taken = await take(it, 1)
    before = it.books.budget.balance("coding", 0.0)
    await it.serve()
    taken.release(sent=True)
    assert "2 b busy" in it.story
    assert it.books.budget.balance("coding", 0.0) == before


async def test_a_hedge_without_budget_is_denied_and_comes_after_a_failure_only(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """It is said, once, and the fallback is not refused."""
    it = scenario(
        {"a": script(asking=[9.0, failing(FailureKind.RESET)]), "b": script(answer("b"))},
        Hedge(after_s=2.0, extra_load=0.01),
    )
    while it.books.budget.withdraw("coding", 0.0):
        pass
    assert (await it.serve()).said == "b"
    assert it.story[:4] == ["0 a starts", "2 b denied", "9 a failed: reset", "9 b starts"]


class _SlowGate:
    """A gate that asks elsewhere first, for `wait_s` seconds."""

    def __init__(self, it: Scenario, wait_s: float) -> None:
        self._gate, self._wait_s, self.out = it.router.gate, wait_s, 0
        it.router.gate = self

    async def acquire(self, step: Step, keys: int, asker: Asker | None = None) -> Permit | Busy:
        await trio.sleep(self._wait_s)
        return await self._gate.acquire(step, keys, asker)

    def enlist(self, asker: Asker, wanted: object) -> list[Step]:
        return []

    async def turn(self, asker: Asker, within_s: float) -> Step | None:
        await trio.sleep(within_s)
        return None

    def leave(self, asker: Asker) -> None:
        pass


async def test_what_a_waiting_gate_allows_too_late_is_given_back(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The leader answers while the hedge's permit is on its way: nothing is opened, the hedge is refunded."""
    it = scenario({"a": script(1.5, answer("a")), "b": script(answer("b"))}, hedge(1.0))
    before = it.books.budget.balance("coding", 0.0)
    _SlowGate(it, 1.0)
    assert (await it.serve()).said == "a"
    assert it.asked == [(1.0, "a")]
    assert it.books.budget.balance("coding", 0.0) == before


# Faults of ours.


@pytest.mark.parametrize(
    "buggy",
    [script(asking=[KeyError("secret")]), script(ValueError("secret")), script(HANG, leaving=[KeyError("secret")])],
    ids=["opening", "reading", "leaving"],
)
async def test_a_bug_in_a_transport_costs_only_its_attempt(
    scenario: MakeScenario, autojump_clock: MockClock, buggy: Script
) -> None:
    """It is stated without its text, and held against nobody."""
    it = scenario({"a": buggy, "b": script(1.0, answer("b"))}, Race(), bugs=1)
    assert (await it.serve()).said == "b"
    assert "secret" not in str(it.log)
    assert it.books.breakers.failures(it.config.chains["coding"].candidates[0]) == 0
