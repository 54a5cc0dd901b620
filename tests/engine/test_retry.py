"""The same candidate once more: when nobody else is left, after how long, and when not. All times are exact."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from engine._events import CandidateSkipped
from engine._retries import DEPTH, REFILL_S, SHARE, RetryBudget
from engine.testing import HANG, Script, answer, failing, head, provider, script, text
from policies import (
    Breaker,
    Candidate,
    Concurrency,
    Deadline,
    Facts,
    FailureKind,
    FirstContentTimeout,
    MaxAttempts,
    MaxWait,
    Plan,
    Retry,
    SilentSkip,
    View,
    compose,
)
from tests.engine.said import accepted
from tests.engine.stage import MakeScenario, hedge, refusal_of, take, window

WELL = script(answer("well"))


def no(kind: FailureKind, **rest: Any) -> Script:
    return script(asking=[failing(kind, **rest)])


@pytest.mark.parametrize("kind", [FailureKind.SERVER, FailureKind.RESET, FailureKind.CONNECT, FailureKind.EMPTY])
async def test_a_lone_provider_is_asked_again_after_a_moment(
    scenario: MakeScenario, autojump_clock: MockClock, kind: FailureKind
) -> None:
    """Between half a second and a second later; the client notices nothing."""
    it = scenario({"a": [no(kind), WELL]}, Retry())
    assert (await it.serve()).said == "well"
    assert [id for _, id in it.asked] == ["a", "a"]
    assert 0.5 <= it.asked[1][0] <= 1.0


@pytest.mark.parametrize("kind", [FailureKind.RATE_LIMITED, FailureKind.OVERLOADED])
async def test_what_the_provider_asked_to_wait_is_waited_where_it_is_longer(
    scenario: MakeScenario, autojump_clock: MockClock, kind: FailureKind
) -> None:
    """To the moment."""
    it = scenario({"a": [no(kind, retry_after_s=17.0), WELL]}, Retry())
    assert (await it.serve()).said == "well"
    assert it.asked == [(0.0, "a"), (17.0, "a")]


async def test_the_waits_grow_up_to_the_cap_and_end(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Doubling, each between a half and all of it."""
    it = scenario(
        {"a": no(FailureKind.SERVER)},
        Retry(tries=4, base_s=1.0, cap_s=3.0),
        MaxAttempts(n=9),
        providers={"a": provider("a", breaker=None)},
    )
    assert (await it.serve()).ending == "refuse"
    at = [at for at, _ in it.asked]
    assert len(at) == 5
    for least_s, before, after in zip((0.5, 1.0, 1.5, 1.5), at, at[1:], strict=False):
        assert least_s <= after - before <= 2 * least_s


def test_a_plan_is_the_same_on_another_day_and_requests_do_not_come_back_at_once() -> None:
    """Drawn from the view's seed and nothing else."""
    drawn = {seed: Retry().apply(Plan(), View(seed=seed)).limits.retry_waits_s for seed in range(50)}
    assert drawn == {seed: Retry().apply(Plan(), View(seed=seed)).limits.retry_waits_s for seed in range(50)}
    assert len({waits_s[0] for waits_s in drawn.values()}) == 50


async def test_nobody_is_asked_twice_while_another_can_be(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """First everybody once; then whoever may be asked soonest."""
    it = scenario(
        {"a": [no(FailureKind.SERVER), WELL], "b": no(FailureKind.SERVER), "c": no(FailureKind.RESET)}, Retry()
    )
    assert (await it.serve()).said == "well"
    assert [id for _, id in it.asked] == ["a", "b", "c", "a"]
    assert [at for at, _ in it.asked][:3] == [0.0, 0.0, 0.0]


async def test_a_running_attempt_is_somebody_else(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """A hedge goes to another, never to the one that has failed."""
    it = scenario({"a": script(30.0, answer("a")), "b": no(FailureKind.SERVER)}, hedge(2.0), Retry())
    assert (await it.serve()).said == "a"
    assert it.asked == [(0.0, "a"), (2.0, "b")]


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.CLIENT,
        FailureKind.FIELD,
        FailureKind.TOO_LONG,
        FailureKind.AUTH,
        FailureKind.GONE,
        FailureKind.QUOTA,
    ],
)
async def test_what_no_waiting_mends_is_not_tried_again(
    scenario: MakeScenario, autojump_clock: MockClock, kind: FailureKind
) -> None:
    """The client's fault, a refused key, a model that is not there."""
    it = scenario({"a": no(kind)}, Retry())
    reply = await it.serve()
    assert (reply.ending, reply.ended_at, len(it.asked)) == ("refuse", 0.0, 1)


async def test_after_something_was_shown_there_is_no_other_try(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Nothing is shown twice."""
    it = scenario({"a": [script([head(), *text("half", whole=False)], failing(FailureKind.RESET)), WELL]}, Retry())
    await it.serve()
    assert len(it.asked) == 1


async def test_a_json_request_of_which_nothing_was_shown_begins_again(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Although an attempt had won."""
    it = scenario({"a": [script([head(), *text("half", whole=False)], failing(FailureKind.RESET)), WELL]}, Retry())
    reply = await it.serve(it.request(stream=False))
    assert (reply.said, len(it.asked)) == ("well", 2)


async def test_the_wait_holds_no_slot(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The one slot is free for somebody else meanwhile."""
    it = scenario(
        {"a": [no(FailureKind.OVERLOADED, retry_after_s=0.0), script(0.1, answer("x")), WELL]},
        Retry(base_s=9.0),
        providers={"a": provider("a", scope=Concurrency(limit=1))},
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.serve)
        await trio.sleep(1.0)
        assert it.books.scopes.total_in_flight() == 0
        assert (await it.serve()).said == "x"


@pytest.mark.parametrize("limit", [Deadline(s=20.0), MaxWait(s=20.0)])
async def test_a_wait_that_leads_nowhere_is_not_begun(
    scenario: MakeScenario, autojump_clock: MockClock, limit: Any
) -> None:
    """Past the deadline, or longer than anybody is to wait: the answer comes at once, with what is left of the wait."""
    it = scenario({"a": [no(FailureKind.RATE_LIMITED, retry_after_s=25.0), WELL]}, Retry(), limit)
    reply = await it.serve()
    assert (reply.ended_at, refusal_of(reply).status, refusal_of(reply).retry_after_s) == (0.0, 429, 25)


async def test_a_breaker_that_opens_meanwhile_is_waited_for(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """And its probe is this request's try."""
    it = scenario(
        {"a": [no(FailureKind.SERVER), no(FailureKind.SERVER), WELL]},
        Retry(),
        providers={"a": provider("a", breaker=Breaker(failures=2, open_s=30.0))},
    )
    assert (await it.serve()).said == "well"
    assert it.asked[2][0] == pytest.approx(it.asked[1][0] + 30.0)


async def test_a_silence_counts_as_a_failure(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The second time it answers."""
    it = scenario({"a": [script(HANG), WELL]}, FirstContentTimeout(s=10), Retry())
    assert (await it.serve()).said == "well"


async def test_without_budget_it_ends_and_says_so(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """The operator sees why; the client is told to come again."""
    it = scenario({"a": [no(FailureKind.SERVER), WELL]}, Retry())
    while it.books.retries.withdraw("coding", 0.0):
        pass
    reply = await it.serve()
    assert reply.ending == "refuse"
    assert "the chain's retry budget is spent" in [e.skip.reason for e in it.events(CandidateSkipped)]
    assert len(it.asked) == 1


async def test_a_try_that_the_gate_refuses_costs_nothing(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Only what is sent is paid for."""
    it = scenario({"a": [no(FailureKind.RATE_LIMITED), WELL]}, Retry())
    assert (await it.serve()).said == "well"
    assert it.asked[1][0] == 5.0, "blocked for five seconds, and asked before at its own wait"
    assert it.books.retries.balance("coding", 5.0) == pytest.approx(DEPTH - 1, abs=0.01)


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 4)), max_size=120))
def test_tries_are_a_share_of_the_traffic(arrivals: list[tuple[float, int]]) -> None:
    """Over any time: the depth, what time refills, and one for ten requests."""
    budget, at, tries = RetryBudget(), 0.0, 0
    for requests, (after_s, wanted) in enumerate(arrivals, start=1):
        at += after_s
        budget.fold(accepted(at))
        tries += sum(budget.withdraw("c", at) for _ in range(wanted))
        assert tries <= DEPTH + SHARE * requests + at / REFILL_S + 1e-6


def test_a_chain_of_candidates_that_are_all_out_is_planned_without_it() -> None:
    """It is about who has failed in this request; who is busy is waited for as ever."""
    a = Candidate("a", "m")
    with_it, without = (
        compose([SilentSkip(), *more], (a,), View(facts={a.name: Facts(block_wait_s=9.0)})) for more in ([Retry()], [])
    )
    assert with_it.steps == without.steps


async def test_a_turn_that_comes_when_the_budget_is_spent_is_given_back(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """It was kept for a further try that is not made: the slot is free at once, and the request waits for the other."""
    it = scenario(
        {"a": no(FailureKind.SERVER), "b": script(answer("b"))},
        Retry(),
        providers={"a": provider("a", scope=Concurrency(limit=1)), "b": window("b", 60.0)},
    )
    (await take(it, 1)).release(sent=True)
    held: list[tuple[float, int]] = []

    async def elsewhere() -> None:
        await trio.sleep(0.1)
        permit = await take(it, 0)
        await trio.sleep(0.9)  # the further try was due meanwhile, and is in the line
        while it.books.retries.withdraw("coding", trio.current_time()):
            pass
        permit.release(sent=True)
        await trio.sleep(1.0)
        held.append((trio.current_time(), it.books.scopes.total_in_flight()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(elsewhere)
        reply = await it.serve()
    assert held == [(2.0, 0)]
    assert (reply.said, reply.ended_at) == ("b", 60.0)
    assert it.asked == [(0.0, "a"), (60.0, "b")]
