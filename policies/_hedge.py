"""Hedge: the next candidate starts beside one that is late, and no sooner.

A hedge with a fixed delay and no bound is how an overload becomes an outage, since the slower everybody gets, the more
everybody hedges; and a delay that was right in the morning is a race, or nothing at all, in the evening. So the delay
follows what the candidate usually needs, each hedge is charged to a budget, and none is sent where it would do harm: for
money, unless that was allowed; for the loss of a warm prompt cache, if that is to be avoided; or, looked at again when it is
due, to somebody who has no room for it or has asked to be left alone (`policies/_room.py`).

A candidate for which an open connection waits (`Facts.sticky`) is waited for as in a sequence. Were it to lose, that
connection would be closed, and what its host knows of the conversation would be lost with it; and for that knowledge it is
the cheaper, and usually the faster. When it fails the chain goes on as always. It may itself be started beside another:
such an attempt does not use the connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import ClassVar

import attrs

from policies._checks import positive
from policies._facts import QUANTILES, Candidate, Facts, Latency, View, prompt_usd
from policies._plan import Charge, Plan, Step
from policies._policy import Phase, Policy, PolicyError

#: What a delay is learned by; beside `after_s` none of it is read.
_LEARNED = ("after", "at_least", "at_most", "cold_s")
#: Until this many fresh samples a quantile means nothing, and the delay is the cold-start one.
COLD_SAMPLES = 30


@lru_cache(maxsize=64)
def _quantile(value: str) -> int:
    match = re.fullmatch(r"p(\d+)", value)
    if not match or int(match[1]) not in QUANTILES:
        raise PolicyError(f"expected one of {', '.join(f'p{q}' for q in QUANTILES)}, got '{value}'")
    return int(match[1])


@lru_cache(maxsize=64)
def _times_median(value: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x-median", value)
    if not match:
        raise PolicyError(f"expected a factor like '2x-median', got '{value}'")
    return float(match[1])


@attrs.frozen
class Hedge(Policy):
    """Start the next candidate beside the running one once that has been silent for longer than usual.

    `after_s` is a fixed delay in seconds, taken as written. Else it is learned: the quantile `after` of the running
    candidate's own time to first content, between `at_least` and `at_most` times its median, and within `floor_s` and
    `ceiling_s`; and `cold_s` until enough is known. `extra_load` is the share of requests that may be hedged.

    A candidate that costs money is hedged to only with `paid = true`, and then, where `second_usd` says what a second of
    waiting is worth, the later the dearer the prompt is there. With `warm = "wait"` a candidate that has at least half
    of the prompt in its cache is waited for until it fails.
    """

    phase: ClassVar[Phase] = Phase.PACE
    exclusive: ClassVar[str | None] = "pace"

    after_s: float | None = attrs.field(default=None)
    after: str = attrs.field(default="p92")
    at_least: str = attrs.field(default="1.75x-median")
    at_most: str = attrs.field(default="4x-median")
    floor_s: float = attrs.field(default=0.3, validator=positive)
    ceiling_s: float = attrs.field(default=15.0, validator=positive)
    cold_s: float = attrs.field(default=4.0, validator=positive)
    extra_load: float = attrs.field(default=0.08)
    paid: bool = False
    second_usd: float | None = attrs.field(default=None, validator=positive)
    warm: str = attrs.field(default="hedge")

    @after_s.validator
    def _some_time(self, _: object, value: float | None) -> None:
        if value is not None and not value > 0:
            raise PolicyError(f"expected more than 0 seconds, got {value:g} (to start all at once use 'race')")

    @after.validator
    def _known_quantile(self, _: object, value: str) -> None:
        _quantile(value)

    @at_least.validator
    @at_most.validator
    def _known_factor(self, _: object, value: str) -> None:
        _times_median(value)

    @extra_load.validator
    def _share(self, _: object, value: float) -> None:
        if not 0 < value <= 1:
            raise PolicyError(f"expected a share above 0 and at most 1, got {value:g}")

    @warm.validator
    def _known_word(self, _: object, value: str) -> None:
        if value not in ("hedge", "wait"):
            raise PolicyError(f"expected 'hedge' or 'wait', got '{value}'")

    def __attrs_post_init__(self) -> None:
        if self.ceiling_s < self.floor_s:
            raise PolicyError(f"ceiling_s = {self.ceiling_s:g} is less than floor_s = {self.floor_s:g}")

    def warnings(self) -> Iterable[str]:
        natural = 1 - _quantile(self.after) / 100
        if self.after_s is None and self.extra_load < natural - 1e-9:
            yield (
                f"extra_load = {self.extra_load:g} is less than the {natural:g} of requests that exceed "
                f"'{self.after}': the budget will refuse some hedges"
            )
        idle = [name for name in _LEARNED if self.after_s is not None and getattr(self, name) != _default(name)]
        if idle:
            yield f"after_s is taken as written: {', '.join(idle)} beside it say{'s' * (len(idle) == 1)} nothing"
        if self.second_usd is not None and not self.paid:
            yield "second_usd says nothing without paid = true: nobody who costs money is hedged to"

    def apply(self, plan: Plan, view: View) -> Plan:
        denied = {candidate: self._denied(candidate, view) for candidate in plan.chain}
        steps = tuple(self._paced(plan, place, view, denied) for place in range(len(plan.steps)))
        skipped = tuple(attrs.evolve(s, denied=denied.get(s.candidate, "")) if s.soft else s for s in plan.skipped)
        return attrs.evolve(plan, steps=steps, skipped=skipped)

    def _paced(self, plan: Plan, place: int, view: View, denied: Mapping[Candidate, str]) -> Step:
        step = plan.steps[place]
        leader = view.of(step.candidate)
        patience_s = self.delay_s(leader)
        beside = next((s.candidate for s in plan.steps[place + 1 :] if not denied.get(s.candidate)), None)
        if patience_s is not None and beside is not None and self.second_usd is not None:
            patience_s += prompt_usd(view.of(beside), view.need.input_tokens) / self.second_usd
        because = denied.get(step.candidate, "")
        return attrs.evolve(
            step,
            patience_s=patience_s,
            charge=Charge.NEVER if because else Charge.BUDGET,
            alone=leader.sticky,
            denied=because,
            denies=self._denies(step.candidate, view),
        )

    def _denies(self, candidate: Candidate, view: View) -> str:
        """Why nobody is started beside this candidate as long as it has not failed; empty where somebody may be."""
        warm = view.of(candidate).warm_tokens
        if self.warm == "wait" and warm > 0 and 2 * warm >= view.need.input_tokens:
            return f"{warm:,} tokens of this conversation are in {candidate}'s prompt cache"
        return ""

    def _denied(self, candidate: Candidate, view: View) -> str:
        """Why this candidate is never asked beside another on its own account; empty where it may be."""
        facts = view.of(candidate)
        if facts.price is None or not (facts.price.input > 0 or facts.price.output > 0):
            return ""
        if not self.paid:
            return "it costs money, and paid = false"
        usd = prompt_usd(facts, view.need.input_tokens)
        if self.second_usd is not None and usd > self.second_usd * self.ceiling_s:
            worth = self.second_usd * self.ceiling_s
            return f"reading the prompt there costs ${usd:.3f}, more than the ${worth:.3f} that {self.ceiling_s:g} s are worth"
        return ""

    def delay_s(self, leader: Facts) -> float | None:
        """How long to wait for this leader, in seconds; None as long as it has not failed.

        One that is probing or saturated is not waited for at all. One that has just recovered is waited for the less, the
        less of its traffic it has back: it is on trial, and the quantiles from before its trouble say little.
        """
        if leader.sticky:
            return None
        if leader.breaker == "half-open" or leader.free_slots == 0:
            return 0.0
        usual_s = self.after_s if self.after_s is not None else self._learned_s(leader.latency)
        return max(usual_s * min(leader.ramp, 1.0), min(usual_s, self.floor_s))

    def say(self, candidate: Candidate, plan: Plan, view: View) -> str:
        leader = view.of(candidate)
        if leader.sticky:
            return "an open connection waits for this conversation"
        if leader.breaker == "half-open" or leader.free_slots == 0:
            return "on probation" if leader.breaker == "half-open" else "all its slots are in use"
        if self.after_s is not None:
            return ""
        samples = 0 if leader.latency is None else leader.latency.samples
        return f"{self.after} of {samples} answers" if samples >= COLD_SAMPLES else f"only {samples} answers measured"

    def _learned_s(self, known: Latency | None) -> float:
        """Cold, it is what the file says, but no less than for smaller prompts and no more than for larger ones."""
        if known is not None and known.samples >= COLD_SAMPLES:
            return self._usual_s(known.at)
        shortest_s = self._usual_s(known.smaller) if known and known.smaller else self.floor_s
        longest_s = self._usual_s(known.larger) if known and known.larger else self.ceiling_s
        return max(shortest_s, min(self.cold_s, longest_s))

    def _usual_s(self, quantiles: tuple[float, ...]) -> float:
        median_s, wished_s = quantiles[0], quantiles[QUANTILES.index(_quantile(self.after))]
        least_s, most_s = _times_median(self.at_least) * median_s, _times_median(self.at_most) * median_s
        return min(max(min(wished_s, most_s), least_s, self.floor_s), self.ceiling_s)


def _default(name: str) -> object:
    return attrs.fields_dict(Hedge)[name].default
