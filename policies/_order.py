"""Order: who is asked first.

Each of these is one key and one stable sort, so that several compose into a lexicographic order and nothing depends on
the order in which candidates happened to arrive.
"""

from __future__ import annotations

from statistics import median_low
from typing import ClassVar

import attrs

from policies._facts import Candidate, Facts, View
from policies._plan import Plan, Step
from policies._policy import Phase, Policy

#: A provider with less than this share of its rate window left goes last: the rest is kept for when it is needed.
LOW_HEADROOM = 0.2


@attrs.frozen
class InOrder(Policy):
    """As the file lists them. `priority` groups name candidates (`provider/model` or `provider`) by rank, first first."""

    phase: ClassVar[Phase] = Phase.ORDER

    priority: tuple[tuple[str, ...], ...] = ()

    def apply(self, plan: Plan, view: View) -> Plan:
        def key(step: Step) -> int:
            return self._rank(step.candidate) if self.priority else plan.position(step.candidate)

        return attrs.evolve(plan, steps=tuple(sorted(plan.steps, key=key)))

    def _rank(self, candidate: Candidate) -> int:
        names = {candidate.name, candidate.provider}
        return next((rank for rank, group in enumerate(self.priority) if names & set(group)), len(self.priority))

    def say(self, candidate: Candidate, plan: Plan, view: View) -> str:
        if not self.priority:
            return f"line {plan.position(candidate) + 1} of the chain"
        rank = self._rank(candidate)
        return "in no group" if rank == len(self.priority) else f"group {rank + 1}"


@attrs.frozen
class LeastLoaded(Policy):
    """The one that will probably answer first: (in flight + 1) x peak-EWMA of its time to first content.

    Those whose rate window is nearly spent go last. A candidate never measured is taken for as fast as the middle one
    of those that were: it is neither shunned nor flooded.
    """

    phase: ClassVar[Phase] = Phase.ORDER

    def apply(self, plan: Plan, view: View) -> Plan:
        usual_s = _usual_s(plan, view)

        def key(step: Step) -> tuple[bool, float]:
            facts: Facts = view.of(step.candidate)
            ttfc_s = usual_s if facts.ttfc_s is None else facts.ttfc_s
            return _is_low(step.candidate, plan, view), (facts.in_flight + 1) * ttfc_s

        return attrs.evolve(plan, steps=tuple(sorted(plan.steps, key=key)))

    def say(self, candidate: Candidate, plan: Plan, view: View) -> str:
        facts = view.of(candidate)
        ttfc_s = _usual_s(plan, view) if facts.ttfc_s is None else facts.ttfc_s
        guess = " (not measured yet)" if facts.ttfc_s is None else ""
        low = f"; {facts.headroom:.0%} of its window left" if _is_low(candidate, plan, view) else ""
        return f"({facts.in_flight} in flight + 1) x {ttfc_s:.3g} s{guess}{low}"


def _usual_s(plan: Plan, view: View) -> float:
    """What is taken for the time of a candidate that was never measured: the middle of the others', else 1 s."""
    measured = [s for s in (view.of(step.candidate).ttfc_s for step in plan.steps) if s is not None]
    return median_low(measured) if measured else 1.0


def _is_low(candidate: Candidate, plan: Plan, view: View) -> bool:
    """Whether its rate window is nearly spent, and counts in this chain."""
    return view.of(candidate).headroom < LOW_HEADROOM and candidate.provider not in plan.lifted
