"""Who starts next and when, without a clock running: the pacer is asked, told, and asked again."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._pacer import SHORTEST_WAIT_S, Deny, Launch, Over, Pacer, Pause, Wait
from policies import Candidate, Charge, Limits, Next, Plan, Skip, Step

A, B, C, D = (Candidate.parse(f"{id}/m") for id in "abcd")
BEGAN_AT = 100.0


def steps(*candidates: Candidate, **fields: Any) -> tuple[Step, ...]:
    return tuple(Step(candidate=c, **fields) for c in candidates)


def hedged(*candidates: Candidate, patience_s: float = 4.0) -> tuple[Step, ...]:
    return steps(*candidates, patience_s=patience_s, charge=Charge.BUDGET)


def pacer(made: tuple[Step, ...], *skipped: Skip, **limits: Any) -> Pacer:
    chain = tuple(step.candidate for step in made) + tuple(skip.candidate for skip in skipped)
    plan = Plan(chain=chain, steps=made, skipped=skipped, limits=Limits(**limits))
    return Pacer(plan, BEGAN_AT)


def start(it: Pacer, attempt: int, now: float) -> Launch:
    """Do as the pacer says, which must be to launch."""
    launch = it.decide(now)
    assert isinstance(launch, Launch)
    it.started(attempt, launch.step, now)
    return launch


def waits(it: Pacer, now: float) -> tuple[float, str]:
    """Until when the pacer says to wait, which it must, and whose turn may come sooner: providers by id."""
    wait = it.decide(now)
    assert isinstance(wait, Wait)
    return wait.until, "".join(step.candidate.provider for step in wait.steps)


def denied_at(it: Pacer, now: float) -> tuple[Candidate, str]:
    """Do as the pacer says, which must be to deny one a hedge: who, and why."""
    move = it.decide(now)
    assert isinstance(move, Deny)
    assert move.anybody
    it.denied(move.step)
    return move.step.candidate, move.reason


def fails(it: Pacer, attempt: int, verdict: Next = Next.NEXT) -> None:
    it.failed(attempt, verdict, lambda step: True)


def test_a_sequence_launches_one_and_waits_for_its_failure() -> None:
    """No patience: nothing is due until something happens."""
    it = pacer(steps(A, B))
    assert start(it, 1, 100.0) == Launch(it.plan.steps[0])
    assert it.decide(100.0) == it.decide(1e9) == Pause(math.inf)
    fails(it, 1)
    assert start(it, 2, 103.5) == Launch(it.plan.steps[1])
    fails(it, 2)
    assert it.decide(103.5) == Over()


def test_a_hedge_is_due_at_its_patience_and_charged() -> None:
    """A pause until the very moment, and at that moment the launch."""
    it = pacer(hedged(A, B))
    start(it, 1, 101.0)
    assert it.decide(104.9) == Pause(105.0)
    assert it.decide(105.0) == Launch(it.plan.steps[1], beside=True, charged=True)


def test_patience_is_the_last_launched_attempts() -> None:
    """Each step brings its own; the third waits for the second's."""
    first, second, third = hedged(A)[0], hedged(B, patience_s=1.5)[0], hedged(C)[0]
    it = pacer((first, second, third), max_in_flight=3)
    start(it, 1, 100.0)
    start(it, 2, 104.0)
    assert it.decide(105.0) == Pause(105.5)
    assert start(it, 3, 105.5).step == third


def test_a_race_starts_its_width_at_one_moment_uncharged() -> None:
    """Patience 0 and no charge."""
    it = pacer(
        (Step(candidate=A, patience_s=0.0, charge=Charge.FREE), Step(candidate=B, charge=Charge.FREE), *steps(C))
    )
    assert not start(it, 1, 100.0).beside
    assert start(it, 2, 100.0) == Launch(it.plan.steps[1], beside=True, charged=False)
    assert it.decide(100.0) == Pause(math.inf)


def test_a_step_never_to_be_started_beside_another_waits_for_a_failure() -> None:
    """However little patience its forerunner has."""
    it = pacer((Step(candidate=A, patience_s=0.0), *steps(B, charge=Charge.NEVER)))
    start(it, 1, 100.0)
    assert it.decide(100.0) == Pause(math.inf)
    fails(it, 1)
    assert it.decide(100.0) == Launch(it.plan.steps[1])


def test_any_failure_starts_the_next_beside_those_still_running_and_uncharged() -> None:
    """The older of two failing counts as much as the newer; the newcomer is a replacement, not a hedge."""
    for failing in (1, 2):
        it = pacer(hedged(A, B, C))
        start(it, 1, 100.0)
        start(it, 2, 104.0)
        fails(it, failing)
        assert it.decide(104.0) == Launch(it.plan.steps[2], beside=True, charged=False)


def test_each_failure_is_owed_one_start() -> None:
    """Two that fail in one tick are replaced by two, as they would be a moment apart."""
    it = pacer(hedged(A, B, C, D, patience_s=0.0))
    start(it, 1, 100.0)
    start(it, 2, 100.0)
    fails(it, 1)
    fails(it, 2)
    assert start(it, 3, 100.0) == Launch(it.plan.steps[2])
    assert start(it, 4, 100.0) == Launch(it.plan.steps[3], beside=True)
    assert it.decide(100.0) == Pause(math.inf)


def test_nobody_loses_patience_with_who_has_shown_content() -> None:
    """Until that one fails, or another does."""
    it = pacer(hedged(A, B, C), max_in_flight=3)
    start(it, 1, 100.0)
    it.content(1)
    assert it.decide(1e9) == Pause(math.inf)
    fails(it, 1)
    assert it.decide(101.0) == Launch(it.plan.steps[1])


def test_no_more_than_max_in_flight_run_beside_each_other() -> None:
    """Patience or not."""
    it = pacer(hedged(A, B, C, patience_s=0.0), max_in_flight=2)
    start(it, 1, 100.0)
    start(it, 2, 100.0)
    assert it.decide(200.0) == Pause(math.inf)
    it.ended(1)
    assert isinstance(it.decide(200.0), Launch)


def test_no_more_than_max_attempts_are_launched() -> None:
    """Then those that run are waited for, and then it is over."""
    it = pacer(hedged(A, B, C), max_attempts=2)
    start(it, 1, 100.0)
    start(it, 2, 104.0)
    fails(it, 1)
    assert it.decide(104.0) == Pause(math.inf)
    fails(it, 2)
    assert it.decide(104.0) == Over()
    assert it.launched == 2


def test_a_denied_hedge_starts_after_a_failure_only() -> None:
    """And then free of charge."""
    it = pacer(hedged(A, B))
    start(it, 1, 100.0)
    it.denied()
    assert it.decide(1e9) == Pause(math.inf)
    fails(it, 1)
    assert it.decide(110.0) == Launch(it.plan.steps[1])


def test_who_may_not_be_a_hedge_is_told_of_once_and_passed_over() -> None:
    """When its turn comes and not before; the next takes its place, and after a failure it is asked as ever."""
    costs = attrs.evolve(hedged(B)[0], charge=Charge.NEVER, denied="it costs money")
    it = pacer((*hedged(A), costs, *hedged(C)), max_in_flight=3)
    start(it, 1, 100.0)
    assert it.decide(103.9) == Pause(104.0)
    assert denied_at(it, 104.0) == (B, "it costs money")
    assert start(it, 2, 104.0).step.candidate == C
    assert it.decide(1e9) == Pause(math.inf)
    fails(it, 1)
    assert it.decide(110.0) == Launch(costs, beside=True)


def test_who_has_nothing_against_it_and_is_never_a_hedge_is_not_told_of() -> None:
    """A sequence denies nothing."""
    it = pacer((*hedged(A), *steps(B)))
    start(it, 1, 100.0)
    assert it.decide(104.0) == Pause(math.inf)


def test_a_step_may_be_against_all_hedges_beside_it() -> None:
    """Once its patience is over this is told, once; and its failure is a failure."""
    it = pacer((attrs.evolve(hedged(A)[0], denies="warm"), *hedged(B, C)), max_in_flight=3)
    start(it, 1, 100.0)
    assert it.decide(104.0) == Deny(it.plan.steps[1], "warm", anybody=False)
    it.denied()
    assert it.decide(1e9) == Pause(math.inf)
    fails(it, 1)
    start(it, 2, 110.0)
    assert it.decide(114.0) == Launch(it.plan.steps[2], beside=True, charged=True)


def test_a_plan_whose_steps_all_cost_money_may_hedge_to_a_free_one_that_was_busy() -> None:
    """What it charges is a hedge's, though none of its steps may be one."""
    costs = attrs.evolve(hedged(A)[0], charge=Charge.NEVER, denied="it costs money")
    it = pacer((costs,), Skip(candidate=B, by="x", reason="busy", wait_s=1.0))
    start(it, 1, 100.0)
    launch = start(it, 2, 104.0)
    assert (launch.step.candidate, launch.charged) == (B, True)


def test_the_clients_fault_stops_everything() -> None:
    """What runs goes on; nobody else is asked, not even who was merely busy."""
    it = pacer(hedged(A, B, C), Skip(candidate=D, by="x", reason="busy", wait_s=1.0))
    start(it, 1, 100.0)
    start(it, 2, 104.0)
    fails(it, 1, Next.STOP)
    assert it.decide(104.0) == Pause(math.inf)
    fails(it, 2)
    assert it.decide(104.0) == Over()


def test_a_prompt_too_long_leaves_those_whose_window_may_hold_it() -> None:
    """The waiting ones are judged as the pending ones are."""
    it = pacer(steps(A, B, C), Skip(candidate=D, by="x", reason="busy", wait_s=1.0))
    start(it, 1, 100.0)
    it.failed(1, Next.BIGGER, lambda step: step.candidate == C)
    assert start(it, 2, 100.0).step.candidate == C
    fails(it, 2)
    assert it.decide(100.0) == Over()


def test_who_is_busy_is_passed_over_and_asked_again_when_nobody_else_is_left() -> None:
    """Not before its wait is over, and the wait is for the soonest of all."""
    it = pacer(steps(A, B))
    for wait_s in (7.0, 3.0):
        launch = it.decide(100.0)
        assert isinstance(launch, Launch)
        it.busy(launch.step, wait_s, 100.0)
    assert waits(it, 100.0) == (103.0, "ab")
    assert it.decide(103.0) == Launch(it.plan.steps[1])
    assert [ready_at for ready_at, _ in it.waiting()] == [107.0, 103.0]


@pytest.mark.parametrize("wait_s", [0.0, 0.01])
def test_a_busy_candidate_is_not_asked_again_at_once(wait_s: float) -> None:
    """Whatever its book says: a wait of nothing would spin."""
    it = pacer(steps(A))
    it.busy(it.plan.steps[0], wait_s, 100.0)
    assert waits(it, 100.0) == (100.0 + SHORTEST_WAIT_S, "a")


def test_whose_turn_has_come_is_the_next() -> None:
    """Before others whose wait was over already: a permit is kept for it."""
    it = pacer(steps(A, B))
    it.busy(it.plan.steps[0], 30.0, 100.0)
    it.busy(it.plan.steps[1], 40.0, 100.0)
    it.stirred(it.plan.steps[1])
    assert it.decide(135.0) == Launch(it.plan.steps[1])


def test_busy_while_another_runs_means_the_next_at_once() -> None:
    """A hedge that finds its candidate busy goes to the one after it, in the same moment."""
    it = pacer(hedged(A, B, C))
    start(it, 1, 100.0)
    it.busy(it.plan.steps[1], 5.0, 104.0)
    assert it.decide(104.0) == Launch(it.plan.steps[2], beside=True, charged=True)
    start(it, 2, 104.0)
    assert it.decide(109.0) == Pause(math.inf)


def test_waiting_ends_where_max_wait_does() -> None:
    """The waits add up; the very last moment is still in time."""
    it = pacer(steps(A), max_wait_s=10.0)
    it.busy(it.plan.steps[0], 4.0, 100.0)
    assert waits(it, 100.0) == (104.0, "a")
    it.waited(4.0)
    it.busy(it.plan.steps[0], 6.0, 104.0)
    assert waits(it, 104.0) == (110.0, "a")
    it.waited(6.0)
    assert isinstance(it.decide(110.0), Launch)
    it.busy(it.plan.steps[0], 1.0, 110.0)
    assert it.decide(110.0) == Over()


def test_the_time_of_attempts_is_no_waiting() -> None:
    """However long a failure took, who is busy is waited for as long as at the beginning."""
    it = pacer(steps(A), Skip(candidate=B, by="x", reason="busy", wait_s=262.0), max_wait_s=10.0)
    start(it, 1, 100.0)
    fails(it, 1)
    assert it.decide(351.9) == Over()
    assert waits(it, 352.0) == (362.0, "b")


@pytest.mark.parametrize("charge", Charge)
def test_a_parked_step_starts_beside_the_running_one_when_nobody_else_is_left(charge: Charge) -> None:
    """At the later of the patience's end and its own wait's, charged as the plan charges."""
    for wait_s, at in ((1.0, 104.0), (30.0, 130.0)):
        it = pacer(steps(A, patience_s=4.0, charge=charge), Skip(candidate=B, by="x", reason="busy", wait_s=wait_s))
        start(it, 1, 100.0)
        if charge is Charge.NEVER:
            assert it.decide(1e9) == Pause(math.inf)
            continue
        assert it.decide(100.0) == Pause(at)
        launch = start(it, 2, at)
        assert (launch.step.candidate, launch.beside, launch.charged) == (B, True, charge is Charge.BUDGET)


def test_a_parked_step_does_not_go_before_a_pending_one() -> None:
    """Its wait may be over; the plan chose the others first."""
    it = pacer(hedged(A, B), Skip(candidate=C, by="x", reason="busy", wait_s=1.0))
    start(it, 1, 100.0)
    assert it.decide(104.0) == Launch(it.plan.steps[1], beside=True, charged=True)


def test_a_failure_is_owed_a_parked_step_too() -> None:
    """Uncharged, whatever its charge, as soon as it is ready."""
    busy = Skip(candidate=C, by="x", reason="busy", wait_s=7.0, denied="it costs money")
    it = pacer(steps(A, B, patience_s=0.0, charge=Charge.FREE), busy)
    start(it, 1, 100.0)
    start(it, 2, 100.0)
    fails(it, 1)
    assert it.decide(101.0) == Pause(107.0)
    launch = start(it, 3, 107.0)
    assert (launch.step.candidate, launch.beside, launch.charged) == (C, True, False)


def test_a_parked_step_that_may_not_hedge_leaves_the_place_to_one_that_may() -> None:
    """Who costs money waits for a failure, sooner ready or not; it is told of once."""
    denied = {B: "it costs money", C: ""}
    skips = (Skip(candidate=c, by="x", reason="busy", wait_s=s, denied=denied[c]) for c, s in ((B, 1.0), (C, 2.0)))
    it = pacer(hedged(A), *skips)
    start(it, 1, 100.0)
    assert denied_at(it, 104.0) == (B, "it costs money")
    assert start(it, 2, 104.0).step.candidate == C


def test_a_parked_hedge_found_busy_again_is_not_asked_at_once() -> None:
    """Its next turn is when its wait is over."""
    it = pacer(hedged(A), Skip(candidate=B, by="x", reason="busy", wait_s=1.0))
    start(it, 1, 100.0)
    launch = it.decide(104.0)
    assert isinstance(launch, Launch)
    it.busy(launch.step, 1.0, 104.0)
    assert it.decide(104.0) == Pause(105.0)


def test_who_is_busy_without_an_end_is_out() -> None:
    """There is nothing to wait for."""
    it = pacer(steps(A))
    it.busy(it.plan.steps[0], None, 100.0)
    assert it.decide(100.0) == Over()
    assert it.waiting() == []


@pytest.mark.parametrize("busy", [0, 1])
def test_in_a_race_the_next_moves_up_into_the_place_of_who_is_busy(busy: int) -> None:
    """Two start at once whichever of the first two cannot; the fourth is not started for it."""
    places = [Step(candidate=A, patience_s=0.0, charge=Charge.FREE), Step(candidate=B, charge=Charge.FREE)]
    it = pacer((*places, *steps(C, D)))
    started = []
    for turn in range(3):
        launch = it.decide(100.0)
        assert isinstance(launch, Launch)
        if turn == busy:
            it.busy(launch.step, 5.0, 100.0)
        else:
            started.append(start(it, turn, 100.0).step.candidate)
    assert started == ([B, C] if busy == 0 else [A, C])
    assert it.decide(200.0) == Pause(math.inf)


def test_a_hedge_keeps_its_own_patience_and_charge_whoever_is_busy_before_it() -> None:
    """They are the candidate's: how fast it usually is, and whether it costs money."""
    second = attrs.evolve(hedged(B, patience_s=1.0)[0], charge=Charge.NEVER)
    it = pacer((*hedged(A), second, *hedged(C)))
    it.busy(it.plan.steps[0], 5.0, 100.0)
    assert start(it, 1, 100.0).step == second
    assert it.decide(100.0) == Pause(101.0)


def test_a_failure_is_owed_a_start_beside_one_that_has_shown_content() -> None:
    """It has not won yet, and may still break."""
    it = pacer(hedged(A, B, C))
    start(it, 1, 100.0)
    start(it, 2, 104.0)
    it.content(1)
    fails(it, 2)
    assert it.decide(104.0) == Launch(it.plan.steps[2], beside=True, charged=False)


def test_who_lost_to_a_winner_that_is_none_comes_first_again() -> None:
    """In the order they had, within the same number of attempts."""
    it = pacer(hedged(A, B, C, D, patience_s=0.0), max_in_flight=3, max_attempts=5)
    before = [start(it, attempt, 100.0).step for attempt in (1, 2, 3)]
    it.ended(2)
    it.ended(3)
    fails(it, 1)
    it.returned(before[1:])
    assert [start(it, attempt, 101.0).step.candidate for attempt in (4, 5)] == [B, C]
    assert it.decide(102.0) == Pause(math.inf)


def test_a_step_held_back_is_not_launched_before_its_moment() -> None:
    """`not_before_s` counts from the making of the plan."""
    it = pacer(steps(A, not_before_s=2.5))
    assert waits(it, 100.0) == (102.5, "a")
    assert it.decide(102.5) == Launch(it.plan.steps[0])


def test_who_the_plan_passed_over_softly_is_asked_when_nobody_else_is_left() -> None:
    """With the patience for a fallback, and with its limits lifted where the plan lifts them; a hard skip never."""
    soft, hard = Skip(candidate=B, by="x", reason="busy", wait_s=3.0), Skip(candidate=C, by="y", reason="no tools")
    plan = Plan(chain=(A, B, C), steps=steps(A), skipped=(soft, hard), lifted=frozenset({"b"}))
    it = Pacer(plan, BEGAN_AT)
    start(it, 1, 100.0)
    assert it.decide(1e9) == Pause(math.inf)
    fails(it, 1)
    assert waits(it, 101.0) == (103.0, "b")
    assert start(it, 2, 103.0).step == Step(candidate=B, first_content_s=20.0, unlimited=True)
    fails(it, 2)
    assert it.decide(103.0) == Over()


def test_an_empty_plan_is_over_at_once() -> None:
    """Nobody to ask, nobody to wait for."""
    assert pacer(()).decide(BEGAN_AT) == Over()


@attrs.define
class _World:
    """What a race would do with a pacer, told by a list of numbers."""

    it: Pacer
    now: float = BEGAN_AT
    running: list[int] = attrs.field(factory=list)
    launched: list[Candidate] = attrs.field(factory=list)

    def advance(self, choice: int) -> bool:
        """One move; False when it is over."""
        move = self.it.decide(self.now)
        match move:
            case Launch(step=step) if choice % 4 == 3:
                self.it.busy(step, choice / 10, self.now)
            case Launch(step=step):
                attempt = len(self.launched) + 1
                self.it.started(attempt, step, self.now)
                self.launched.append(step.candidate)
                self.running.append(attempt)
            case Deny(step=step, anybody=anybody):
                self.it.denied(step if anybody else None)
            case Pause(until) if self.running and (until == math.inf or choice % 2):
                failed = self.running.pop(choice % len(self.running))
                self.it.failed(failed, Next.NEXT, lambda step: True)
            case Pause(until) | Wait(until):
                assert until > self.now, "a wait for a moment that has passed would spin"
                self.now = until
            case Over():
                return False
        return True


@given(
    st.lists(st.builds(Step, candidate=st.sampled_from([A, B, C, D]), patience_s=st.sampled_from([None, 0.0, 1.0]),
                       charge=st.sampled_from(Charge), not_before_s=st.sampled_from([0.0, 0.0, 2.0]),
                       denied=st.sampled_from(["", "", "costs"]), denies=st.sampled_from(["", "", "warm"])),
             max_size=4, unique_by=lambda step: step.candidate),
    st.integers(1, 5), st.integers(1, 3), st.lists(st.integers(0, 11), min_size=1, max_size=40),
)  # fmt: skip
def test_whatever_happens_limits_hold_and_it_comes_to_an_end(
    made: list[Step], max_attempts: int, max_in_flight: int, choices: list[int]
) -> None:
    """Nobody twice, never too many, no wait into the past, and once everybody fails, everybody has had a turn."""
    it = pacer(tuple(made), max_attempts=max_attempts, max_in_flight=max_in_flight)
    world = _World(it)
    for choice in choices:
        if not world.advance(choice):
            break
        assert len(world.running) <= max_in_flight
        assert len(world.launched) <= max_attempts
        assert len(set(world.launched)) == len(world.launched)
    for _ in range(100):
        if not world.advance(0):
            break
    assert it.decide(world.now) == Over()
    assert not world.running
    assert len(world.launched) == min(len(made), max_attempts)
