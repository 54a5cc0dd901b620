"""Order: who is asked first.

Each of these is one key and one stable sort, so that several compose into a lexicographic order and nothing depends on
the order in which candidates happened to arrive.
"""

from __future__ import annotations

from statistics import median_low
from typing import ClassVar

import attrs

from policies._facts import Facts, View
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
            if not self.priority:
                return plan.position(step.candidate)
            names = {step.candidate.name, step.candidate.provider}
            return next((rank for rank, group in enumerate(self.priority) if names & set(group)), len(self.priority))

        return attrs.evolve(plan, steps=tuple(sorted(plan.steps, key=key)))


@attrs.frozen
class LeastLoaded(Policy):
    """The one that will probably answer first: (in flight + 1) x peak-EWMA of its time to first content.

    Those whose rate window is nearly spent go last. A candidate never measured is taken for as fast as the middle one
    of those that were: it is neither shunned nor flooded.
    """

    phase: ClassVar[Phase] = Phase.ORDER

    def apply(self, plan: Plan, view: View) -> Plan:
        measured = [s for s in (view.of(step.candidate).ttfc_s for step in plan.steps) if s is not None]
        usual_s = median_low(measured) if measured else 1.0

        def key(step: Step) -> tuple[bool, float]:
            facts: Facts = view.of(step.candidate)
            ttfc_s = usual_s if facts.ttfc_s is None else facts.ttfc_s
            low = facts.headroom < LOW_HEADROOM and step.candidate.provider not in plan.lifted
            return low, (facts.in_flight + 1) * ttfc_s

        return attrs.evolve(plan, steps=tuple(sorted(plan.steps, key=key)))
