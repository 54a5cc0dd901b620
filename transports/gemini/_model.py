"""What a Gemini model takes, by its generation.

The same field is an advance in one generation and a 400 in the one before: a budget of thinking and a level of it exclude
each other, schemas have two forms, results hold pictures in one and not in the other. A catalogue has rows for the models
of its day; a name says its generation for ever. So what goes by generation is read off the name, and what a row says of a
model's thinking stands above it. What is neither is taken to be new.
"""

from __future__ import annotations

import re
from typing import TypeVar

import attrs

from engine import JSON
from engine.config import EFFORT_BUDGET, Thinking, nearest_effort
from transports.translate._effort import Wanted

_T = TypeVar("_T")

_VERSION = re.compile(r"gemini-(?:[a-z]+-)*(\d+)(?:[.-](\d+))?")
#: Models of the same wire with another name, which have what Gemini 2.0 had.
_OTHERS = ("gemma", "learnlm", "palm", "bison")
_NEWEST = (3, 0)
#: Budgets of thinking that a model takes, in tokens, the first name that fits: Google's documentation of thinking.
_BUDGETS = (("pro", (128, 32_768)), ("lite", (512, 24_576)), ("", (1, 24_576)))
#: Levels where no row names them.
_LEVELS = (("pro", ("low", "high")), ("", ("minimal", "low", "medium", "high")))


@attrs.frozen
class Generation:
    """What a model of this name takes."""

    name: str
    version: tuple[int, int]

    @classmethod
    def of(cls, model: str) -> Generation:
        name = model.lower().rpartition("/")[2]
        if any(other in name for other in _OTHERS):
            return cls(name, (2, 0))
        found = _VERSION.search(name)
        if found is None:
            return cls(name, _NEWEST)
        minor = found[2] or "0"
        return cls(name, (int(found[1][:3]), int(minor) if len(minor) < 3 else 0))  # three digits are no minor version

    @property
    def signs(self) -> bool:
        """Whether a step's first call must have a thought signature."""
        return self.version >= (3, 0)

    @property
    def json_schemas(self) -> bool:
        """Whether it takes JSON Schema as it is; else OpenAPI's part of it."""
        return self.version >= (2, 5)

    @property
    def shows_results(self) -> bool:
        """Whether a result may hold pictures, and calls and results have ids."""
        return self.version >= (3, 0)

    def thinking(self, want: Wanted, known: Thinking | None, *, cap: int) -> JSON:
        """`thinkingConfig`; empty where the model has none. Never a budget and a level together.

        Thinking is part of an answer: a budget that the answer's `cap` cannot hold becomes half of that.
        """
        if not known.thinks if known is not None else self.version < (2, 5):
            return {}
        by_budget = known.budget if known is not None else self.version < (3, 0)
        by_level = bool(known.efforts) if known is not None else self.version >= (3, 0)
        shown: JSON = {"includeThoughts": True} if want.on else {}
        if by_level:
            levels = (known.efforts if known is not None else ()) or self._first(_LEVELS)
            return {**shown, "thinkingLevel": nearest_effort(want.effort if want.on else "minimal", levels)}
        if by_budget:
            return {**shown, "thinkingBudget": self._budget(want, known, cap)}
        return shown

    def _budget(self, want: Wanted, known: Thinking | None, cap: int) -> int:
        least, most = self._first(_BUDGETS)
        if not want.on:
            can_be_off = known.toggle if known is not None else "pro" not in self.name
            return 0 if can_be_off else least
        budget = EFFORT_BUDGET.get(want.effort, EFFORT_BUDGET["medium"]) if want.budget is None else want.budget
        return max(least, min(budget if budget < cap else cap // 2, most))

    def _first(self, table: tuple[tuple[str, _T], ...]) -> _T:
        return next(value for word, value in table if word in self.name)
