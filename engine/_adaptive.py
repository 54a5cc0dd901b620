"""How many requests at once a provider bears, found out from its answers: additive increase, multiplicative decrease.

A fixed number is wrong for a provider whose limits nobody publishes, and wrong again when it is busy. Raising it with every
answer is wrong too: an idle limit grows without ever having been tried, and the first burst meets a wall. And a burst that
is refused is one piece of news, not thirty. So the limit grows only while it is used, by one for each round of answers, and
is cut once for all that were under way together. Pure.
"""

from __future__ import annotations

import attrs

from policies import Adaptive


@attrs.define(eq=False)
class Adapting:
    """The limit of one scope. It survives a reload, within the new bounds."""

    _limit: float | None = None
    _cut_at: float = float("-inf")

    def limit(self, spec: Adaptive) -> int:
        """How many may run at once."""
        return int(self._bounded(spec))

    def answered(self, spec: Adaptive, in_flight: int) -> None:
        """A whole answer came while so many were under way, this one included."""
        limit = self._bounded(spec)
        if 2 * in_flight >= limit:
            self._limit = min(limit + 1 / limit, float(spec.most))

    def refused(self, spec: Adaptive, began_at: float, at: float) -> None:
        """A request that began then was refused for its rate. One that began before the last cut has told nothing new."""
        if began_at >= self._cut_at:
            self._limit = max(self._bounded(spec) * spec.cut, float(spec.least))
            self._cut_at = at

    def _bounded(self, spec: Adaptive) -> float:
        limit = float(spec.start) if self._limit is None else self._limit
        return min(max(limit, float(spec.least)), float(spec.most))
