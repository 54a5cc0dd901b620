"""Short prompts go to small models, long ones to those that can hold them.

policies = [{ kind = "short-prompts", names = ["groq"], below = 4000 }, "least-loaded"]
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from policies import CANDIDATES, Phase, Plan, Policy, PolicyError, Step, View, any_matches


@attrs.frozen
class ShortPrompts(Policy):
    """Prompts of fewer than `below` tokens are first asked of `names`, longer ones last."""

    phase: ClassVar[Phase] = Phase.ORDER

    names: tuple[str, ...] = attrs.field(validator=attrs.validators.min_len(1), metadata=CANDIDATES)
    below: int = attrs.field(default=4000)

    @below.validator
    def _at_least_one(self, _: object, value: int) -> None:
        if value < 1:
            raise PolicyError(f"expected at least 1 token, got {value}")

    @classmethod
    def kind(cls) -> str:
        return "short-prompts"

    def apply(self, plan: Plan, view: View) -> Plan:
        short = view.need.input_tokens < self.below

        def key(step: Step) -> bool:
            return any_matches(self.names, step.candidate) is not short

        return attrs.evolve(plan, steps=tuple(sorted(plan.steps, key=key)))
