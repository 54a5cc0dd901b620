"""Who starts next, and when: the whole of sequence, hedge and race, decided without I/O.

Written as tasks and sleeps, "start the next after four seconds, or at once if one fails, but never more than two, and not
while one is already talking" becomes a knot of events that only timing can test. Here it is a value with one question,
`decide(now)`, and one method per thing that can happen. The race asks, does what it is told, and reports back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise

import attrs

from policies import Candidate, Charge, Next, Plan, Step

#: A candidate found busy is not asked again sooner than this, in seconds, whatever its book says.
SHORTEST_WAIT_S = 0.05


@attrs.frozen
class Launch:
    """Start this step now. `beside` a running attempt; `charged` to the hedge budget first.

    `again`: it has failed before in this request, and a further try is charged to the retry budget first.
    """

    step: Step
    beside: bool = False
    charged: bool = False
    again: bool = False


@attrs.frozen
class Pause:
    """Nothing to start before `until`, unless something happens."""

    until: float


@attrs.frozen
class Wait:
    """Nothing runs and nobody can start before `until`; with `steps` it may be sooner, should there be room."""

    until: float
    steps: tuple[Step, ...]


@attrs.frozen
class Over:
    """Nothing more will be started."""


@attrs.frozen
class Deny:
    """A hedge is due, and this step is not to be it. Not `anybody`: nor is anybody else beside the one that runs."""

    step: Step
    reason: str
    anybody: bool = True


Move = Launch | Pause | Wait | Over | Deny


@attrs.define
class _Failed:
    """Somebody who has failed, and when he may be asked again. `busy`: the gate has refused him since."""

    at: float
    step: Step
    busy: bool = False


@attrs.define(eq=False)
class Pacer:
    """The steps of one plan, on the clock of the race. Times are absolute seconds.

    A parked step is one that was busy, when the plan was made or at its launch, or that is held back by `not_before_s`.
    It comes after the pending ones: beside a running attempt once its wait is over, alone as soon as it is. A failed one
    is asked again only alone, and when none of the others can be.
    """

    plan: Plan
    began_at: float
    launched: int = 0
    _pending: deque[Step] = attrs.field(init=False)
    _parked: list[tuple[float, Step]] = attrs.field(init=False)
    _failed: list[_Failed] = attrs.field(factory=list)
    _retries: int = 0  # further tries begun
    _running: dict[int, bool] = attrs.field(factory=dict)  # attempt -> has shown content
    _steps: dict[int, Step] = attrs.field(factory=dict)  # attempt -> what it is of
    _due_at: float = math.inf
    _owed: int = 0  # starts that failures have called for and that have not been made
    _waited_s: float = 0.0
    _halted: bool = False
    _denies: str = ""  # what the step launched last has against hedges
    _denied: set[Candidate] = attrs.field(factory=set)  # no hedges any more in this race

    def __attrs_post_init__(self) -> None:
        self._pending = deque(step for step in self.plan.steps if step.not_before_s <= 0)
        self._parked = [(self.began_at + s.not_before_s, s) for s in self.plan.steps if s.not_before_s > 0]
        lifted, limits, charge = self.plan.lifted, self.plan.limits, self._pace()
        for skip in self.plan.skipped:
            if skip.wait_s is not None:
                step = Step(
                    candidate=skip.candidate,
                    first_content_s=limits.within(skip.first_content_s, "fallback_first_content_s"),
                    idle_s=limits.within(skip.idle_s, "idle_s"),
                    charge=Charge.NEVER if skip.denied else charge,
                    unlimited=skip.candidate.provider in lifted,
                    denied=skip.denied,
                )
                self._parked.append((self.began_at + skip.wait_s, step))

    def _pace(self) -> Charge:
        """What the plan charges for starting beside another: a skipped candidate was never given its own."""
        charges = {Charge.BUDGET if step.denied else step.charge for step in self.plan.steps}
        return next((charge for charge in (Charge.BUDGET, Charge.FREE) if charge in charges), Charge.NEVER)

    def decide(self, now: float) -> Move:
        """What to do at this moment. Changes nothing."""
        spent = self._halted or self.launched >= self.plan.limits.max_attempts
        if self._running:
            return Pause(math.inf) if spent else self._beside(now)
        if spent:
            return Over()
        if self._pending:
            return Launch(self._pending[0])
        return self._soonest(now)

    def _beside(self, now: float) -> Move:
        if len(self._running) >= self.plan.limits.max_in_flight:
            return Pause(math.inf)
        if not self._owed and any(self._running.values()):
            return Pause(math.inf)
        chosen = self._next_beside(now)
        if chosen is None:
            return Pause(math.inf)
        ready_at, step = chosen
        start_at = ready_at if self._owed else max(ready_at, self._due_at)
        if now < start_at:
            return Pause(start_at)
        if self._owed:
            return Launch(step, beside=True)
        if self._denies:
            return Deny(step, self._denies, anybody=False)
        if step.charge is Charge.NEVER:
            return Deny(step, step.denied)
        return Launch(step, beside=True, charged=step.charge is Charge.BUDGET)

    def _next_beside(self, now: float) -> tuple[float, Step] | None:
        """Who may start beside those running, and from when: the next pending step, else the soonest of the parked."""
        pending = next((step for step in self._pending if self._may_start(step)), None)
        if pending is not None:
            return now, pending
        return min(((at, step) for at, step in self._parked if self._may_start(step)), key=_ready_at, default=None)

    def _may_start(self, step: Step) -> bool:
        """After a failure, all; as a hedge, who may be one, and once in a race who may not: to be denied it."""
        if self._owed:
            return True
        return step.candidate not in self._denied and (step.charge is not Charge.NEVER or step.denied != "")

    def _soonest(self, now: float) -> Move:
        """Alone: whoever can be asked first, those who have not failed before those who have."""
        again = self._failed if self._retries < len(self.plan.limits.retry_waits_s) else []
        queue = [(at, step, False) for at, step in self._parked] + [(f.at, f.step, True) for f in again]
        if not queue:
            return Over()
        ready_at, step, failed = min(queue, key=lambda one: (max(one[0], now), one[2], one[0]))
        if ready_at <= now:
            return Launch(step, again=failed)
        if ready_at - now > self.plan.limits.max_wait_s - self._waited_s:
            return Over()
        if ready_at >= self.began_at + self.plan.limits.deadline_s:
            return Over()
        return Wait(ready_at, (*(step for _, step in self._parked), *(f.step for f in again if f.busy)))

    # What happened.

    def started(self, attempt: int, step: Step, now: float) -> None:
        """The step was launched: it leaves the plan, and its patience begins."""
        if any(f.step is step for f in self._failed):
            self._retries += 1
        self._remove(step)
        self.launched += 1
        self._running[attempt] = False
        self._steps[attempt] = step
        self._due_at = math.inf if step.patience_s is None else now + step.patience_s
        self._denies = step.denies
        self._owed = max(0, self._owed - 1)

    def busy(self, step: Step, wait_s: float | None, now: float) -> None:
        """The gate refused: the step is parked, or out where there is no wait, and the next takes its turn.

        A failed one stays one.

        The places of a race are not the candidates' own: whoever comes next moves up into the one that was not taken.
        """
        failed = next((f for f in self._failed if f.step is step), None)
        if failed is not None and wait_s is not None:
            failed.at, failed.busy = max(failed.at, now + max(wait_s, SHORTEST_WAIT_S)), True
            return
        if step.charge is Charge.FREE and step in self._pending:
            self._pending = _moved_up(self._pending)
        else:
            self._remove(step)
        if wait_s is not None:
            self._parked.append((now + max(wait_s, SHORTEST_WAIT_S), step))

    def waited(self, seconds: float) -> None:
        """A `Wait` lasted this long. Only that counts towards `max_wait_s`; the time of attempts does not."""
        self._waited_s += seconds

    def denied(self, step: Step | None = None) -> None:
        """This step is no hedge any more in this race; without one, nobody is: the next starts only when one has failed."""
        if step is None:
            self._due_at = math.inf
        else:
            self._denied.add(step.candidate)

    def content(self, attempt: int) -> None:
        """An attempt has shown content: nobody loses patience with it any more."""
        self._running[attempt] = True

    def failed(
        self, attempt: int, verdict: Next, fits: Callable[[Step], bool], *, again_at: tuple[float, float] | None = None
    ) -> None:
        """An attempt is over without an answer. `fits` says whether a step's window may hold the prompt.

        `again_at` is given where it may be worth a further try: the time now, and what its provider asked to wait, in
        seconds.
        """
        del self._running[attempt]
        step = self._steps.pop(attempt)
        self._owed += 1
        waits_s = self.plan.limits.retry_waits_s
        if again_at is not None and self._retries < len(waits_s):
            now, asked_s = again_at
            self._failed.append(_Failed(now + max(waits_s[self._retries], asked_s), step))
        match verdict:
            case Next.STOP:
                self._halted = True
            case Next.BIGGER:
                self._pending = deque(s for s in self._pending if fits(s))
                self._parked = [(at, s) for at, s in self._parked if fits(s)]
                self._failed = [f for f in self._failed if fits(f.step)]
            case Next.NEXT:
                pass

    def ended(self, attempt: int) -> None:
        """An attempt is over for a reason that calls for nobody else: it won, lost, or the request is gone."""
        self._running.pop(attempt, None)
        self._steps.pop(attempt, None)

    def returned(self, steps: Sequence[Step]) -> None:
        """Attempts that lost to a winner who is none any more: their steps are pending again, first and in this order.

        What failures before that winner had called for was settled by him: his own calls for one start.
        """
        self._pending.extendleft(reversed(steps))
        self._owed = min(self._owed, 1)

    def stirred(self, step: Step) -> None:
        """A permit is kept for this step: it is the next."""
        self._parked = [(-math.inf if s is step else at, s) for at, s in self._parked]
        for failed in self._failed:
            if failed.step is step:
                failed.at = -math.inf

    def out(self, step: Step) -> None:
        """This one is not to be waited for."""
        self._remove(step)

    def no_more_tries(self) -> None:
        """Who has failed is not asked again: there is no budget for it."""
        self._failed = []

    def waiting(self) -> list[tuple[float, Step]]:
        """Who was merely busy, with the moment of their return."""
        return list(self._parked)

    def _remove(self, step: Step) -> None:
        if step in self._pending:
            self._pending.remove(step)
        else:
            self._parked = [(at, s) for at, s in self._parked if s is not step]
            self._failed = [f for f in self._failed if f.step is not step]


def _ready_at(parked: tuple[float, Step]) -> float:
    return parked[0]


def _moved_up(pending: deque[Step]) -> deque[Step]:
    """The steps without the first, each in its forerunner's place: with its patience and its charge."""
    return deque(
        attrs.evolve(step, patience_s=None if step.alone else place.patience_s, charge=place.charge)
        for place, step in pairwise(pending)
    )
