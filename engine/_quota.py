"""What a provider says is left of its own limits, in the headers of its answers.

They are usually thrown away, and the provider says the same again as a 429. Yet they cannot be followed to the letter:
some are refilled bit by bit and some at once, tokens are counted in ways that only the provider knows (a cache may or may
not count), and answers arrive in another order than they were given. So requests are counted down from what was told last;
of tokens only what is as good as gone holds anybody back; and nothing is believed for longer than a Retry-After is. Pure.
"""

from __future__ import annotations

from typing import Literal

import attrs

#: The longest that a provider's word holds requests back, in seconds; as for Retry-After.
MAX_QUOTA_S = 300.0
#: Below this share of their limit, tokens count as used up: hosts round what they tell.
LITTLE = 0.01
#: Names of allowances kept for one scope: hosts tell of four or so.
MAX_NAMES = 16

Unit = Literal["requests", "tokens"]


@attrs.frozen(kw_only=True)
class Allowance:
    """One limit of a provider's. `reset_s` is seconds until it is whole again: `gradual` bit by bit, else all at once."""

    name: str
    unit: Unit
    remaining: float
    limit: float | None = None
    reset_s: float | None = None
    gradual: bool = False


#: All that one answer told.
Quota = tuple[Allowance, ...]


@attrs.define
class _Told:
    allowance: Allowance
    at: float
    taken: int = 0  # requests begun since

    def left(self, at: float) -> float:
        """What is probably left now, in the allowance's unit."""
        told = self.allowance
        left = told.remaining - (self.taken if told.unit == "requests" else 0)
        if told.gradual and told.limit and told.reset_s:
            left += max(0.0, told.limit - told.remaining) * min(1.0, (at - self.at) / told.reset_s)
        return left

    def wait_s(self, at: float) -> float:
        """Seconds until a request has room."""
        told = self.allowance
        if told.reset_s is None:
            return 0.0
        least = 1.0 if told.unit == "requests" else LITTLE * (told.limit or 0.0)
        short = least - self.left(at)
        if short <= 0 and (told.unit == "requests" or told.remaining > 0):
            return 0.0
        until = self.at + told.reset_s
        if told.gradual and told.limit and told.limit > told.remaining:
            until = min(until, at + max(0.0, short) * told.reset_s / (told.limit - told.remaining))
        return max(0.0, min(until, self.at + MAX_QUOTA_S) - at)


@attrs.define(eq=False)
class QuotaRow:
    """What was told last of each allowance of one scope."""

    _told: dict[str, _Told] = attrs.field(factory=dict)

    def tell(self, quota: Quota, at: float) -> None:
        for allowance in quota:
            if allowance.name in self._told or len(self._told) < MAX_NAMES:
                self._told[allowance.name] = _Told(allowance, at)

    def take(self) -> None:
        """One request begins."""
        for told in self._told.values():
            told.taken += 1

    def give_back(self, taken_at: float) -> None:
        """One that began then was not sent after all."""
        for told in self._told.values():
            if told.at <= taken_at:
                told.taken = max(0, told.taken - 1)

    def room(self, at: float) -> tuple[float, float, str]:
        """Seconds until a request has room, the smallest share that is left, and which allowance is used up."""
        wait_s, headroom, reason = 0.0, 1.0, ""
        for told in self._told.values():
            spec = told.allowance
            if at >= told.at + min(MAX_QUOTA_S, MAX_QUOTA_S if spec.reset_s is None else spec.reset_s):
                continue  # whole again, or too long ago to be believed
            if spec.limit:
                headroom = min(headroom, max(0.0, told.left(at)) / spec.limit)
            if (own_s := told.wait_s(at)) > wait_s:
                wait_s, reason = own_s, f"the provider's own rate limit of {spec.name} is used up"
        return wait_s, headroom, reason
