"""Order: who is asked first.

A sort that is written into a loop over candidates breaks ties by accident, and two of them in a row undo each other. Each of
these is one key and one stable sort, so that several compose into a lexicographic order and nothing depends on the order in
which candidates happened to arrive.

Two things hold for nearly all of them. A candidate whose rate window is nearly spent goes last: what is left of it is kept
for when it is needed. And one that has just come back from an outage gets only a share of its traffic (`Facts.ramp`),
since a provider that was down for being overloaded goes down again when everybody returns at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median_low
from typing import Any, ClassVar

import attrs

from policies._draw import draw
from policies._facts import Candidate, Facts, View
from policies._names import CANDIDATES, any_matches
from policies._plan import Plan, Step
from policies._policy import Phase, Policy
from policies._slow_start import SLOW_START

#: A provider with less than this share of its rate window left goes last: the rest is kept for when it is needed.
LOW_HEADROOM = 0.2
#: The least share of traffic that a score is divided by: a ramp of nothing is not for ever.
LEAST_RAMP = 0.01


@attrs.frozen
class Order(Policy):
    """Base of the order policies: a subclass says what to sort by, the least first."""

    phase: ClassVar[Phase] = Phase.ORDER
    eases: ClassVar[bool] = True

    #: Whether those whose rate window is nearly spent go last.
    spares: ClassVar[bool] = True

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        """What the steps of this plan are sorted by, at this moment."""
        raise NotImplementedError

    def say(self, candidate: Candidate, plan: Plan, view: View) -> str:
        late = view.of(candidate).headroom if self.spares and nearly_spent(candidate, plan, view) else None
        spared = "" if late is None else f"{late:.0%} of its window left"
        returning = f"{view.of(candidate).ramp:.0%} of its traffic" if view.of(candidate).ramp < 1 else ""
        return "; ".join(part for part in (self.words(candidate, plan, view), spared, returning) if part)

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        """What this policy's key comes to, in words."""
        return ""

    def apply(self, plan: Plan, view: View) -> Plan:
        return attrs.evolve(plan, steps=tuple(sorted(plan.steps, key=self.key(plan, view))))


def nearly_spent(candidate: Candidate, plan: Plan, view: View) -> bool:
    """Whether little of its rate window is left. A window that this chain ignores cannot be spent."""
    return view.of(candidate).headroom < LOW_HEADROOM and candidate.provider not in plan.lifted


def ramp(facts: Facts) -> float:
    """The share of its usual traffic, from a hundredth to 1."""
    return min(1.0, max(LEAST_RAMP, facts.ramp))


def rests(view: View, candidate: Candidate) -> bool:
    """Whether this request is not of the share that a returning candidate gets.

    By lot, for policies whose key is no waiting time that could be stretched instead.
    """
    share = view.of(candidate).ramp
    return share < 1 and draw(view.seed, SLOW_START, candidate) > ramp(view.of(candidate))


def load_s(plan: Plan, view: View) -> Callable[[Step], float]:
    """(in flight + 1) x peak-EWMA of time to first content, over the share of traffic that a returning one may have."""
    time_s = to_first_content_s(plan, view)
    return lambda step: (view.of(step.candidate).in_flight + 1) * time_s(step)


def to_first_content_s(plan: Plan, view: View) -> Callable[[Step], float]:
    """Peak-EWMA of time to first content over `ramp`. A candidate never measured has the lower median of the others."""
    usual_s = usual(view.of(step.candidate).ttfc_s for step in plan.steps)

    def seconds(step: Step) -> float:
        facts = view.of(step.candidate)
        return (usual_s if facts.ttfc_s is None else facts.ttfc_s) / ramp(facts)

    return seconds


def usual_throughput(plan: Plan, view: View) -> float:
    """The lower median of the throughputs measured, in tokens a second; 1 where none was."""
    return usual(view.of(step.candidate).throughput for step in plan.steps)


def usual(values: Iterable[float | None], *, otherwise: float = 1.0) -> float:
    """The lower median of what was measured, for who was not: neither shunned nor made the favourite."""
    measured = [value for value in values if value is not None]
    return median_low(measured) if measured else otherwise


@attrs.frozen
class InOrder(Order):
    """As the file lists them. `priority` groups name candidates (`provider/model`, `provider` or a glob) by rank, first first.

    For a chain with a favourite: the first is asked for as long as it answers, the others are there for when it does not.
    """

    spares: ClassVar[bool] = False
    eases: ClassVar[bool] = False

    priority: tuple[tuple[str, ...], ...] = attrs.field(default=(), metadata=CANDIDATES)

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        return lambda step: self._rank(step.candidate) if self.priority else plan.position(step.candidate)

    def _rank(self, candidate: Candidate) -> int:
        ranks = (rank for rank, group in enumerate(self.priority) if any_matches(group, candidate))
        return next(ranks, len(self.priority))

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        if not self.priority:
            return f"line {plan.position(candidate) + 1} of the chain"
        rank = self._rank(candidate)
        return "in no group" if rank == len(self.priority) else f"group {rank + 1}"


@attrs.frozen
class LeastLoaded(Order):
    """The one that will probably answer first: (in flight + 1) x peak-EWMA of its time to first content.

    Those whose rate window is nearly spent go last. A candidate never measured is taken for as fast as the middle one
    of those that were: it is neither shunned nor flooded.
    """

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        wait_s = load_s(plan, view)
        return lambda step: (nearly_spent(step.candidate, plan, view), wait_s(step))

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        return f"({view.of(candidate).in_flight} in flight + 1) x {time_in_words(candidate, plan, view)}"


def time_in_words(candidate: Candidate, plan: Plan, view: View) -> str:
    """Its time to first content, and that it is a guess where it is one."""
    time_s = to_first_content_s(plan, view)(Step(candidate=candidate))
    return f"{time_s:.3g} s" + ("" if view.of(candidate).ttfc_s is not None else " (not measured yet)")
