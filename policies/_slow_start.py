"""Slow start: who has just come back is not given everything at once.

A provider recovers with cold caches and a queue in front of it, and the traffic that returns in one instant throws it down
again. So for some seconds it has only a share of its traffic (`Facts.ramp`): by a draw of each request's own it stands
behind the others, whatever the order policies say, and where it is the only one nothing changes.
"""

from __future__ import annotations

import attrs

from policies._draw import draw
from policies._facts import View
from policies._plan import Plan, Step

#: What its lots are drawn for: a request is of a returning candidate's share, or it is not, whoever asks.
SLOW_START = "slow-start"


def eased(plan: Plan, view: View) -> Plan:
    """The plan with those behind that are coming back and were not drawn, in the same order among themselves."""
    steps = [_eased(step, view) for step in plan.steps]
    first = [step for step in steps if not step.behind]
    if not first or len(first) == len(steps):
        return plan
    return attrs.evolve(plan, steps=(*first, *(step for step in steps if step.behind)))


def _eased(step: Step, view: View) -> Step:
    facts = view.of(step.candidate)
    if facts.sticky or draw(view.seed, SLOW_START, step.candidate) < facts.ramp:
        return step
    return attrs.evolve(step, behind=f"slow start: {facts.ramp:.0%} of its traffic so far")
