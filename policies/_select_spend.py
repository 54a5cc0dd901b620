"""Select by what was spent: nobody is asked who would send a bill above the limit.

An alert by mail the morning after is what billing pages offer. A limit in the router holds before the request is sent, and
the plan says with the figure that it did. It is as good as the figures: what counts is what this process has sent since it
was started, by the tokens that providers reported and the prices that are known, so a restart begins again at nothing and
the last requests under way may pass the limit by what they cost. A provider's own limit stays the last word.
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import attrs

from policies._facts import Candidate, Facts, View
from policies._names import PROVIDERS
from policies._plan import Plan, Skip
from policies._policy import Phase, Policy, PolicyError

Period = Literal["hour", "day", "month"]


@attrs.frozen
class SpendCap(Policy):
    """Pass over providers at which `usd` dollars were spent in this hour, day or month (`per`, UTC), till it is over.

    Each provider of the chain by itself, or all of them `together`; `providers` names those it is about (none: all). What is
    free goes on; a model whose price is not known stops with its provider. Counted for this process since its start, over all
    chains.
    """

    phase: ClassVar[Phase] = Phase.SELECT

    usd: float = attrs.field()
    per: Period = attrs.field(default="day")
    providers: tuple[str, ...] = attrs.field(default=(), metadata=PROVIDERS)
    together: bool = False

    @usd.validator
    def _plausible(self, _: object, value: float) -> None:
        if not 0 < value <= 1e6:
            raise PolicyError(f"expected US dollars above 0 and at most 1000000, got {value:g}")

    @per.validator
    def _known(self, _: object, value: str) -> None:
        if value not in get_args(Period):
            raise PolicyError(f"expected 'hour', 'day' or 'month', got '{value}'")

    def apply(self, plan: Plan, view: View) -> Plan:
        about = {c.provider: self._spent(view.of(c)) for c in plan.chain if self._is_about(c)}
        whole = sum(about.values())
        skips = []
        for step in plan.steps:
            provider = step.candidate.provider
            if provider not in about or _costs_nothing(view.of(step.candidate)):
                continue
            spent = whole if self.together else about[provider]
            if spent >= self.usd:
                where = "by these providers together" if self.together else f"at {provider}"
                reason = f"{spent:.4g} of {self.usd:g} USD spent {where} this {self.per}"
                skips.append(Skip(candidate=step.candidate, by=self.kind(), reason=reason))
        return plan.skipping(*skips)

    def _is_about(self, candidate: Candidate) -> bool:
        return not self.providers or candidate.provider in self.providers

    def _spent(self, facts: Facts) -> float:
        return facts.spent_usd[get_args(Period).index(self.per)]


def _costs_nothing(facts: Facts) -> bool:
    return facts.free or (facts.price is not None and not (facts.price.input or facts.price.output))
