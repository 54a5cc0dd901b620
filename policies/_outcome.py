"""Outcome: when the winner is chosen, and what becomes of an answer whose winner breaks.

Whoever answers first is usually the winner, and its break the client's. Both are a trade of patience against safety that only
the owner of a chain can make: until something was shown everything can be undone, and nothing can be read. So the point of the
commit and the way of going on are arguments here, and no policy decides anything while an answer is under way.
"""

from __future__ import annotations

from typing import ClassVar, get_args

import attrs

from policies._facts import View
from policies._plan import CommitPoint, Plan, RescueMode
from policies._policy import Phase, Policy, PolicyError


@attrs.frozen
class CommitAt(Policy):
    """The first of these an attempt yields makes it the winner: `content`, a whole `block`, a whole `tool` call, the `message`.

    The later the point, the more can still be undone without the client noticing, and the longer it waits.
    """

    phase: ClassVar[Phase] = Phase.OUTCOME
    exclusive: ClassVar[str | None] = "commit-at"

    at: CommitPoint = attrs.field(default="content")

    @at.validator
    def _known(self, _: object, value: str) -> None:
        if value not in get_args(CommitPoint):
            raise PolicyError(f"expected one of {', '.join(get_args(CommitPoint))}, got '{value}'")

    def apply(self, plan: Plan, view: View) -> Plan:
        return attrs.evolve(plan, outcome=attrs.evolve(plan.outcome, commit_at=self.at))


@attrs.frozen
class Rescue(Policy):
    """What becomes of an answer that breaks after the client has seen a part of it.

    `whole-blocks`: a tool call is shown once it is whole, and a text that breaks off is continued by the next candidate
    within the same message. `off`: calls are shown while they are being written, and what breaks off ends honestly.
    """

    phase: ClassVar[Phase] = Phase.OUTCOME
    exclusive: ClassVar[str | None] = "rescue"

    mode: RescueMode = attrs.field(default="whole-blocks")

    @mode.validator
    def _known(self, _: object, value: str) -> None:
        if value not in get_args(RescueMode):
            raise PolicyError(f"expected one of {', '.join(get_args(RescueMode))}, got '{value}'")

    def apply(self, plan: Plan, view: View) -> Plan:
        return attrs.evolve(plan, outcome=attrs.evolve(plan.outcome, rescue=self.mode))
