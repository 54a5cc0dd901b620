"""What speaks against a candidate, and when it is enough: the counting behind a breaker.

Three failures within half a minute is a common rule, and under load it ejects a healthy provider at one percent errors. A
failure rate alone needs minutes to see the death of a provider that one person uses. So a quiet candidate is out for
failures in a row, and a busy one for its failure rate, or for a row so long that it would make up that rate by itself.

A request may be the fault rather than the candidate: one poisoned conversation, sent again and again, fails everywhere it
is asked. While an answer to somebody else was whole within the window, one caller's failures count for at most half of
what ejects. Where nobody else is there to speak for the candidate, a single caller is enough. No connection at all is
nobody's poison, and counts in full.
"""

from __future__ import annotations

import math
from collections import deque

import attrs

from policies import Breaker

#: Outcomes of one row that are kept at most, however busy it is.
MOST_OUTCOMES = 2000

#: Whose request it was: a session, or the digest of how an unnamed conversation begins; None where the request cannot be
#: to blame.
Caller = str | None


@attrs.frozen(kw_only=True)
class Why:
    """Why a row should open, in words; `by_rate` where it is for the share of the window's requests that failed."""

    text: str
    by_rate: bool = False


@attrs.define
class Evidence:
    """Failures in a row, and the outcomes within the window, each with its caller.

    Of a provider's row the failures in a row are kept by model too: no single model counts for more than half.
    """

    in_a_row: int = 0
    _run: dict[tuple[str, Caller], int] = attrs.field(factory=dict)
    _outcomes: deque[tuple[float, bool, Caller]] = attrs.field(factory=deque)
    #: Caller -> requests and failures among the outcomes.
    _of: dict[Caller, tuple[int, int]] = attrs.field(factory=dict)
    #: When the last two callers that had whole answers had them.
    _answered: dict[Caller, float] = attrs.field(factory=dict)

    def succeeded(self, caller: Caller, at: float, window_s: float) -> None:
        """A whole answer: nothing in a row is left."""
        self.in_a_row = 0
        self._run.clear()
        self._answered.pop(caller, None)
        self._answered[caller] = at
        if len(self._answered) > 2:
            del self._answered[next(iter(self._answered))]
        self._note(at, window_s, caller, ok=True)

    def failed(self, caller: Caller, at: float, window_s: float, *, model: str = "", rated: bool = True) -> None:
        """A failure that counts. `model`: at most half may be this model's; `rated`: it counts for the rate, too."""
        self.in_a_row += 1
        self._run[model, caller] = self._run.get((model, caller), 0) + 1
        if rated:
            self._note(at, window_s, caller, ok=False)

    def enough(self, at: float, spec: Breaker) -> Why | None:
        """Why the candidate should be ejected now, None where it should not."""
        asked = len(self._outcomes)
        busy = asked >= spec.volume
        needed = max(spec.failures, math.ceil(spec.rate * spec.volume)) if busy else spec.failures
        if self._weight(at, spec.window_s, needed / 2) >= needed:
            return Why(text="1 failure" if self.in_a_row == 1 else f"{self.in_a_row} failures in a row")
        if busy and self._rate_is_met(at, spec):
            failed = sum(failures for _, failures in self._of.values())
            text = f"{failed} of {asked} requests failed within {spec.window_s:g} s"
            return Why(text=text, by_rate=True)
        return None

    def excused(self, caller: Caller, at: float, window_s: float) -> bool:
        """Whether somebody else had a whole answer within the window, so that this caller's request may be at fault."""
        if caller is None:
            return False
        return any(other != caller and at - then <= window_s for other, then in self._answered.items())

    def clear(self) -> None:
        """Forget the failures; who had answers stays known."""
        self.in_a_row = 0
        self._run.clear()
        self._outcomes.clear()
        self._of.clear()

    def _weight(self, at: float, window_s: float, half: float) -> float:
        """The failures in a row, of which no excused caller, and no model that is named, counts for more than half."""
        by_model: dict[str, float] = {}
        for (model, caller), failures in self._run.items():
            counted = min(failures, half) if self.excused(caller, at, window_s) else failures
            by_model[model] = by_model.get(model, 0) + counted
        return sum(min(failures, half) if model else failures for model, failures in by_model.items())

    def _rate_is_met(self, at: float, spec: Breaker) -> bool:
        """Over the window; where the caller who failed most is excused, also over the rest, were it half as many."""
        asked, failed = len(self._outcomes), sum(failures for _, failures in self._of.values())
        if failed < spec.rate * asked:
            return False
        worst = max(self._of, key=lambda caller: self._of[caller][1])
        if not self.excused(worst, at, spec.window_s):
            return True
        rest, rest_failed = asked - self._of[worst][0], failed - self._of[worst][1]
        return rest >= spec.volume / 2 and rest_failed >= spec.rate * rest

    def _note(self, at: float, window_s: float, caller: Caller, *, ok: bool) -> None:
        """Add an outcome, and drop those that have left the window."""
        self._outcomes.append((at, ok, caller))
        self._count(caller, 1, int(not ok))
        while self._outcomes[0][0] < at - window_s or len(self._outcomes) > MOST_OUTCOMES:
            _, was_ok, who = self._outcomes.popleft()
            self._count(who, -1, -int(not was_ok))

    def _count(self, caller: Caller, requests: int, failures: int) -> None:
        before = self._of.get(caller, (0, 0))
        after = (before[0] + requests, before[1] + failures)
        if after[0]:
            self._of[caller] = after
        else:
            del self._of[caller]
