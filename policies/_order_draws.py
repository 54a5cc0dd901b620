"""Order by turn and by lot: spreading requests over candidates that are as good as each other.

Whoever sorts by what was measured sends all requests of one moment to the same candidate, since all of them see the same
measurements: the herd that a load balancer is there to prevent. Turns and lots spread without looking. A lot here is drawn
by hashing the request's seed with the candidate's name, so a stored view draws the same again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs

from policies._draw import draw
from policies._facts import Candidate, View
from policies._names import CANDIDATES, Weights, as_weights
from policies._order import Order, load_s, nearly_spent, ramp, rests, time_in_words
from policies._plan import Plan, Step
from policies._policy import PolicyError


def _ready(plan: Plan, view: View) -> list[Step]:
    """Those with enough of their rate window left, in the plan's order; where nobody has, everybody."""
    return [s for s in plan.steps if not nearly_spent(s.candidate, plan, view)] or list(plan.steps)


@attrs.frozen
class PowerOfTwo(Order):
    """Of two candidates drawn by lot the less loaded is first and the other second; the rest stay as they are.

    For many requests at once, over several processes or machines: nobody's picture of the load is fresh, and all who look
    at the same picture choose the same candidate. Two at random are nearly as good as looking at all, without the herd.
    """

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        lot = {step.candidate: draw(view.seed, self.kind(), step.candidate) for step in plan.steps}
        ready, wait_s = _ready(plan, view), load_s(plan, view)
        two = sorted(ready, key=lambda step: lot[step.candidate])[:2]
        two.sort(key=lambda step: (wait_s(step), lot[step.candidate]))
        place = {step.candidate: 2 for step in ready} | {step.candidate: i for i, step in enumerate(two)}
        return lambda step: place.get(step.candidate, 3)

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        place = self.key(plan, view)(Step(candidate=candidate))
        wait = f"({view.of(candidate).in_flight} in flight + 1) x {time_in_words(candidate, plan, view)}"
        return f"drawn, {wait}" if place < 2 else "not drawn"


@attrs.frozen
class RoundRobin(Order):
    """Each request begins with the next candidate in turn, and goes on in the order of the file.

    For equal candidates, such as several accounts at one provider, whose allowance is to be used up evenly. Turns are counted
    per chain and process. Who is passed over loses the turn to the next; who returns from an outage has a share of its turns.
    """

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        taking = [s.candidate for s in _ready(plan, view) if not rests(view, s.candidate)]
        taking.sort(key=plan.position)
        rank = {candidate: (i - view.turn) % len(taking) for i, candidate in enumerate(taking)}

        def place(step: Step) -> tuple[bool, bool, int]:
            absent = step.candidate not in rank
            late = nearly_spent(step.candidate, plan, view)
            return absent and late, absent, rank.get(step.candidate, plan.position(step.candidate))

        return place

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        return f"turn {view.turn} of the chain"


@attrs.frozen
class Weighted(Order):
    """By lot, each candidate first for its share of the requests: `weights = { zen = 3, "groq/llama" = 1 }`.

    For trying a new provider with a tenth of the traffic, or using two accounts in proportion to what they allow. A weight
    stands for a candidate's name or a provider's id; unnamed candidates have 1; one with 0 is asked after all others.
    """

    weights: Weights = attrs.field(converter=as_weights, metadata=CANDIDATES)

    @weights.validator
    def _usable(self, _: object, value: Weights) -> None:
        if not value:
            raise PolicyError("expected at least one name with its weight, such as { zen = 3 }")
        for name, weight in value:
            if not 0 <= weight <= 1e6:
                raise PolicyError(f"expected a weight from 0 to 1000000 for '{name}', got {weight:g}")

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        def place(step: Step) -> tuple[bool, bool, float]:
            weight = self.weights.weight(step.candidate)
            late = nearly_spent(step.candidate, plan, view)
            return late, weight == 0, _lot(view, self.kind(), step.candidate, weight) if weight else 0.0

        return place

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        return f"by lot, weight {self.weights.weight(candidate):g}"


def _lot(view: View, purpose: str, candidate: Candidate, weight: float = 1.0) -> float:
    """A lot whose chance of being the least is in proportion to `weight`, less what slow start holds back.

    The least of exponential variables with rates w is the i-th with probability w_i / sum(w); so is the whole order that of
    drawing one after another without putting back (Efraimidis and Spirakis 2006).
    """
    return -math.log(draw(view.seed, purpose, candidate)) / (weight * ramp(view.of(candidate)))


@attrs.frozen
class Random(Order):
    """By lot among the first `top`; the others stay behind them.

    Written before another order policy it shuffles that one's best: `["random", "least-loaded"]` draws among the three
    least loaded. Alone it draws among the first three of the file.
    """

    top: int = attrs.field(default=3)

    @top.validator
    def _at_least_two(self, _: object, value: int) -> None:
        if value < 2:
            raise PolicyError(f"expected at least 2, got {value} (there is nothing to draw among fewer)")

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        ready = _ready(plan, view)
        place = {step.candidate: (1, 0.0) for step in ready}
        place |= {s.candidate: (0, _lot(view, self.kind(), s.candidate)) for s in ready[: self.top]}
        return lambda step: place.get(step.candidate, (2, 0.0))

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        drawn = self.key(plan, view)(Step(candidate=candidate))[0] == 0
        return f"by lot among {min(self.top, len(plan.steps))}" if drawn else "not among those drawn from"
