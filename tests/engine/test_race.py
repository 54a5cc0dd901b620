"""Attempts racing on a virtual clock: who starts when, who wins, and what becomes of the others. All times are exact."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from engine._events import Committed
from engine._ports import Busy, Permit
from engine._stream import PING, Kind, StreamEvent, error_event
from engine.testing import (
    HANG,
    Act,
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
    thinking,
    tool,
)
from policies import (
    CommitAt,
    CommitPoint,
    Concurrency,
    FailureKind,
    FirstContentTimeout,
    Hedge,
    IdleTimeout,
    MaxAttempts,
    MaxInFlight,
    Policy,
    Race,
    Sequence,
    Step,
)
from tests.engine.stage import MakeScenario, unsound, virtual

SEEDS = range(60)
REFUSED = script(asking=[failing(FailureKind.CONNECT)])


def hedge(after_s: float = 2.0) -> Hedge:
    return Hedge(after_s=after_s, extra_load=1.0)


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
    it = scenario({"a": script(HANG), "b": script(1.0, [head(), *text("b1", whole=False)], 5.0, _rest("b2"))}, hedge())
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


def _rest(*pieces: str) -> list[StreamEvent]:
    """The end of a message whose text block is open: more of it, and its end."""
    return [*text(*pieces)[1:], *tail()]


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


# When the winner is chosen.


AT_POINTS: list[tuple[CommitPoint, float]] = [("content", 1.0), ("block", 4.0), ("tool", 6.0), ("message", 8.0)]


@pytest.mark.parametrize(("point", "at"), AT_POINTS)
async def test_patience_ends_at_first_content_and_the_commit_comes_at_its_point(
    scenario: MakeScenario, autojump_clock: MockClock, point: CommitPoint, at: float
) -> None:
    """Content at 1 keeps the hedge of 2 from starting, wherever the commit point is; nothing is written before it."""
    slow = script(
        1.0,
        [head(), *text("hm", whole=False)],
        3.0,
        text("!")[2:],
        2.0,
        tool('{"x": 1}', index=1),
        2.0,
        tail("tool_use"),
    )
    it = scenario({"a": slow, "b": script(answer("b"))}, hedge(), CommitAt(at=point))
    reply = await it.serve()
    assert it.asked == [(0.0, "a")]
    assert f"{at:g} a commits" in it.story
    assert reply.writes[0][0] == at
    assert reply.ended_at == 8.0
    assert reply.said == "hm"


async def test_a_late_commit_point_lets_a_failure_after_content_be_switched(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The client never learns of the half message."""
    half = script(1.0, [head(), *text("half", whole=False)], 1.0, failing(FailureKind.RESET))
    it = scenario({"a": half, "b": script(answer("whole"))}, Sequence(), CommitAt(at="message"))
    assert (await it.serve()).said == "whole"
    assert it.asked == [(0.0, "a"), (2.0, "b")]


async def test_pings_a_message_start_and_a_block_start_are_no_content(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The hedge starts in spite of them, and they are shown only with what follows."""
    coy = script([PING], [head()], text("x", whole=False)[:1], 10.0, [*text("x")[1:], *tail()])
    it = scenario({"a": coy, "b": script(20.0, answer("b"))}, hedge())
    reply = await it.serve()
    assert "2 b starts as hedge" in it.story
    assert [at for at, _ in reply.writes] == [10.0]
    assert reply.said == "x"


@pytest.mark.parametrize(
    "first",
    [thinking("hm", whole=False), tool('{"a": 1}'), text("x", whole=False)],
    ids=["thinking", "a whole tool call", "text"],
)
async def test_what_counts_as_content(
    scenario: MakeScenario, autojump_clock: MockClock, first: list[StreamEvent]
) -> None:
    """Each of these decides a race at once."""
    it = scenario({"a": script([head(), *first], 1.0, failing(FailureKind.RESET)), "b": script(HANG)}, Race())
    await it.serve()
    assert "0 a commits" in it.story
    assert "0 b lost" in it.story


async def test_half_a_tool_call_is_no_content(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """It may yet come to nothing."""
    half = script([head(), *tool('{"a":', whole=False)], HANG)
    it = scenario({"a": half, "b": script(1.0, answer("b"))}, Race())
    assert (await it.serve()).said == "b"


async def test_an_error_in_the_same_read_as_first_content_is_a_failure_before_the_commit(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """What is still switchable is decided last."""
    broken = script([head(), *text("oops", whole=False), error_event("overloaded_error", "busy")])
    it = scenario({"a": broken, "b": script(answer("fine"))}, Sequence())
    assert (await it.serve()).said == "fine"
    assert it.story[:2] == ["0 a starts", "0 a failed: error in the stream"]


# Ties.


@pytest.mark.parametrize("seed", SEEDS)
def test_an_exact_tie_of_hedge_start_and_commit_leaves_nobody_running(scenario: MakeScenario, seed: int) -> None:
    """A scope that the hedge itself registered would never be cancelled; here nothing is even opened after the commit."""
    it = scenario({"a": script(2.0, answer("a")), "b": script(HANG)}, hedge(2.0))
    reply = virtual(it.serve, seed=seed)
    assert reply.said == "a"
    assert reply.ended_at == 2.0
    assert "2 a commits" in it.story
    assert it.asked == [(0.0, "a")]


def test_the_tie_falls_both_ways(scenario: MakeScenario) -> None:
    """Over the seeds the hedge is sometimes started and lost, sometimes not started: the test above sees both orders."""
    ways = set()
    for seed in SEEDS:
        it = scenario({"a": script(2.0, answer("a")), "b": script(HANG)}, hedge(2.0))
        virtual(it.serve, seed=seed)
        ways.add("2 b lost" in it.story)
    assert ways == {True, False}


@pytest.mark.parametrize("seed", SEEDS)
def test_three_ready_in_one_tick_make_one_commit(scenario: MakeScenario, seed: int) -> None:
    """Woken by one event, each has its content in hand before it can learn that it has lost."""

    async def run() -> RecordingReply:
        gate = trio.Event()
        it = scenario({id: script(gate, answer(f"{id}1", f"{id}2")) for id in "abc"}, Race(width=3))
        async with trio.open_nursery() as nursery:

            async def open_gate() -> None:
                await trio.sleep(1)
                gate.set()

            nursery.start_soon(open_gate)
            reply = await it.serve()
        assert len([line for line in it.story if "commits" in line]) == 1
        assert len([line for line in it.story if "lost" in line]) == 2
        assert [exchange.reads for exchange in it.transport.exchanges] == [[1.0]] * 3
        return reply

    assert virtual(run, seed=seed).said in {"a1a2", "b1b2", "c1c2"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_failure_in_the_tick_of_the_commit_starts_nobody(scenario: MakeScenario, seed: int) -> None:
    """Whether the failing one failed or lost depends on the order; that the third is not asked does not."""
    lost = script(asking=[1.0, failing(FailureKind.RESET)])
    it = scenario({"a": lost, "b": script(1.0, answer("b")), "c": script(answer("c"))}, Race())
    assert virtual(it.serve, seed=seed).said == "b"
    assert (1.0, "c") not in it.asked


@pytest.mark.parametrize("seed", SEEDS)
def test_two_failures_in_one_tick_go_on_with_the_third(scenario: MakeScenario, seed: int) -> None:
    """One moment, no dead time."""
    no = script(asking=[1.0, failing(FailureKind.RESET)])
    it = scenario({"a": no, "b": no, "c": script(answer("c"))}, Race())
    assert virtual(it.serve, seed=seed).said == "c"
    assert it.asked[2] == (1.0, "c")


# Losers that are slow to leave.


@pytest.mark.parametrize("leaving", [[5.0], [5.0, OSError("too late")]], ids=["slow", "slow and broken"])
async def test_a_losers_slow_clean_up_delays_neither_the_winners_events_nor_the_clients_end(
    scenario: MakeScenario, autojump_clock: MockClock, leaving: list[Act]
) -> None:
    """The race itself ends after it, and the permit is back only then: the provider is still busy with it."""
    bugs = len(leaving) - 1
    it = scenario(
        {
            "a": script(HANG, leaving=leaving),
            "b": script(answer("b1"), leaving=[]),
        },
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


# Before first content.


async def test_an_attempt_without_content_fails_at_exactly_its_timeout(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The first has its own, every later one the shorter, counted from its own start."""
    pinging = script([head()], *[act for _ in range(40) for act in (1.0, [PING])])
    it = scenario(
        {"a": pinging, "b": script(asking=[HANG]), "c": script(answer("c"))},
        Sequence(),
        FirstContentTimeout(s=10, fallback_s=4),
    )
    assert (await it.serve()).said == "c"
    assert it.asked == [(0.0, "a"), (10.0, "b"), (14.0, "c")]
    assert [e.closed_at for e in it.transport.exchanges][:2] == [10.0, 14.0]
    assert "14 b failed: first content timeout" in it.story


@pytest.mark.parametrize("seed", SEEDS)
def test_content_in_the_tick_of_its_timeout_is_too_late(scenario: MakeScenario, seed: int) -> None:
    """Slept to, the moment belongs to the timeout; the attempt is a failure and nothing of it is shown."""
    it = scenario({"a": script(10.0, answer("a")), "b": script(answer("b"))}, FirstContentTimeout(s=10))
    assert virtual(it.serve, seed=seed).said == "b"
    assert "10 a failed: first content timeout" in it.story


def test_content_in_hand_when_the_timeout_falls_is_never_half_committed(scenario: MakeScenario) -> None:
    """The read was done before the clock passed the limit, so the attempt wakes with content and is already cancelled."""
    clock = MockClock()

    async def run() -> tuple[Scenario, RecordingReply]:
        gate = trio.Event()
        it = scenario({"a": script(gate, answer("a")), "b": script(answer("b"))}, FirstContentTimeout(s=10))
        reply = RecordingReply()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.serve, None, reply)
            await trio.testing.wait_all_tasks_blocked()
            gate.set()
            clock.jump(10)
        return it, reply

    it, reply = trio.run(run, clock=clock)
    assert reply.said == "b"
    assert "10 a failed: first content timeout" in it.story
    assert "10 a commits" not in it.story


# After first content.


async def test_silence_after_content_breaks_the_attempt_at_exactly_its_limit_and_pings_do_not_count(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The limit runs from the last event that was not a ping."""
    pings = [act for _ in range(20) for act in (1.0, [PING])]
    it = scenario({"a": script(1.0, [head(), *text("x", whole=False)], 4.0, text("y")[1:2], *pings)}, IdleTimeout(s=7))
    reply = await it.serve()
    assert it.story[-2:] == ["12 a failed: idle timeout", "12 broken"]
    assert reply.ending == "reset"
    assert reply.ended_at == 12.0


async def test_silence_before_the_commit_is_switched(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """With a late commit point, the idle limit holds as well and costs the client nothing."""
    it = scenario(
        {"a": script([head(), *text("x", whole=False)], HANG), "b": script(answer("b"))},
        CommitAt(at="message"),
        IdleTimeout(s=7),
    )
    assert (await it.serve()).said == "b"
    assert it.asked == [(0.0, "a"), (7.0, "b")]


async def test_a_steady_stream_is_never_idle(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Each gap is just below the limit, the sum far above it."""
    pieces = [act for i in range(30) for act in (6.9, text(f"{i} ", whole=False)[1:])]
    it = scenario({"a": script([head(), *text("", whole=False)[:1]], *pieces, 6.9, _rest())}, IdleTimeout(s=7))
    reply = await it.serve()
    assert reply.ending == "finish"
    assert reply.ended_at == pytest.approx(31 * 6.9)


@pytest.mark.parametrize("write_s", [30.0, 6.0])
async def test_a_client_that_blocks_is_not_the_providers_silence(
    scenario: MakeScenario, autojump_clock: MockClock, write_s: float
) -> None:
    """Every write takes long, the last one and the ending included, and nobody is blamed for it."""
    it = scenario({"a": script([head(), *text("x", whole=False)], 1.0, _rest("y"))}, IdleTimeout(s=7))
    reply = await it.serve(reply=RecordingReply(write_s=write_s))
    assert reply.ending == "finish"
    assert reply.said == "xy"
    assert reply.ended_at == 3 * write_s + 1


async def test_silence_counts_from_the_end_of_a_blocked_write(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """The provider has its full time after the client has taken what there was."""
    it = scenario({"a": script([head(), *text("x", whole=False)], HANG)}, IdleTimeout(s=7))
    reply = await it.serve(reply=RecordingReply(write_s=30.0))
    assert reply.ending == "reset"
    assert reply.ended_at == 37.0


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
    taken = await it.router.gate.acquire(Step(candidate=it.config.chains["coding"].candidates[1]))
    assert not isinstance(taken, Busy)
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
    taken = await it.router.gate.acquire(Step(candidate=it.config.chains["coding"].candidates[1]))
    assert not isinstance(taken, Busy)
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

    async def acquire(self, step: Step) -> Permit | Busy:
        await trio.sleep(self._wait_s)
        return await self._gate.acquire(step)

    async def room(self, providers: object, within_s: float) -> bool:
        await trio.sleep(within_s)
        return False


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


# Laws.


@st.composite
def scripts(draw: st.DrawFn, id: str) -> Script:
    """Anything a provider may do: before its head, in the stream, at its end, and on being left."""
    delays = st.sampled_from([0.0, 0.5, 1.0, 1.0, 2.0, 3.0, 30.0])
    failures = st.sampled_from([FailureKind.RESET, FailureKind.RATE_LIMITED, FailureKind.AUTH, FailureKind.TOO_LONG])
    asking: list[Act] = draw(st.lists(delays, max_size=1))
    if draw(st.integers(0, 4)) == 0:
        asking.append(draw(st.builds(failing, failures)))
    kind = draw(st.sampled_from(["text", "text", "text", "thinking", "tool"]))
    pieces = [f"{id}{i} " for i in range(draw(st.integers(0, 3)))]
    block = {"text": text, "thinking": thinking, "tool": tool}[kind](*(pieces if kind != "tool" else ['{"a":', "1}"]))
    events = [head(), *block, *tail()]
    cuts = sorted(draw(st.sets(st.integers(1, len(events) - 1), max_size=3)))
    reading: list[Act] = []
    for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
        reading += [draw(delays), events[start:end]]
    ending = draw(st.sampled_from(["whole"] * 6 + [*LAST]))
    if ending != "whole":
        reading = [*reading[: draw(st.integers(0, len(reading) - 1))], *LAST[ending]]
    return script(*reading, asking=asking, leaving=draw(st.lists(delays, max_size=1)))


#: How an answer may break off.
LAST: dict[str, list[Act]] = {
    "cut": [],
    "error": [[error_event("api_error", "no")]],
    "hang": [HANG],
    "fail": [failing(FailureKind.RESET)],
}


def words(played: Script) -> str:
    """All the text and thinking in a script."""
    events = [item for act in played.reading if isinstance(act, list) for item in act]
    deltas = [payload["delta"] for item in events if item.kind is Kind.DELTAS for payload in item.payloads()]
    return "".join(delta.get("text") or delta.get("thinking") or "" for delta in deltas)


PACES: tuple[Policy, ...] = (Sequence(), hedge(0.5), hedge(1.0), hedge(2.0), Race(), Race(width=3))
POINTS: tuple[CommitPoint, ...] = ("content", "content", "block", "tool", "message")


@st.composite
def cases(draw: st.DrawFn) -> tuple[Mapping[str, Script], tuple[Policy, ...], bool, float, int]:
    ids = "abcde"[: draw(st.integers(1, 5))]
    made = {id: draw(scripts(id)) for id in ids}
    policies = (draw(st.sampled_from(PACES)), CommitAt(at=draw(st.sampled_from(POINTS))), IdleTimeout(s=10))
    stream, write_s = draw(st.sampled_from([True, True, False])), draw(st.sampled_from([0.0, 0.0, 0.5, 12.0]))
    return made, policies, stream, write_s, draw(st.integers(0, 2**16))


@given(cases())
def test_whatever_the_providers_do_the_client_gets_one_sound_answer(
    case: tuple[Mapping[str, Script], tuple[Policy, ...], bool, float, int],
) -> None:
    """One winner, its output whole and in order and nobody else's, nothing before the commit, nothing left behind."""
    made, policies, stream, write_s, seed = case
    it = Scenario.of(made, *policies)
    reply = RecordingReply(stream=stream, write_s=write_s)

    async def run() -> None:
        await it.serve(it.request(stream=stream), reply)

    virtual(run, seed=seed)
    it.assert_nothing_left()
    assert unsound(reply) == []
    assert reply.ending in {"finish", "refuse", "reset"}
    commits = [commit.at for commit in it.events(Committed)]
    assert len(commits) <= 1 or not stream
    if not reply.writes:
        assert reply.ending == "refuse"
        return
    said, meant = reply.said, words(made[reply.winners[-1].candidate.provider])
    assert meant.startswith(said)
    assert said == meant or reply.ending != "finish"
    if commits:
        assert reply.writes[0][0] >= commits[-1]
    else:
        assert said == "", "only an empty message may go out without a winner"
