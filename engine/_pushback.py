"""How long a provider asked to be left alone, whatever its scope makes of that.

A scope turns a 429 into a block, and an unlimited one turns it into nothing; a breaker looks at health. But whoever thinks
of sending a request that nobody needs, a hedge, should know that the provider has just asked for less, in every case. So
the wish is kept for itself, for as long as a scope would be blocked (`_growing`), and until an answer is whole each further
refusal makes it longer. A rate limit is of one key, so a provider with another key that was not refused asks for
nothing; an overload is of the provider.
"""

from __future__ import annotations

import attrs

from engine._events import AttemptEnded, EngineEvent, ProviderReset, TryEnded
from engine._failure import Failure
from engine._growing import block_s
from engine._kept import keep
from policies import FailureKind

#: The failures by which a provider asks for less (429; 503, 529), and whether it speaks of the key it was asked with.
_WISHES = {FailureKind.RATE_LIMITED: True, FailureKind.OVERLOADED: False}
#: Where the wish of the provider as a whole is kept, among those of its keys.
_ALL = -2


@attrs.define
class _Wish:
    until: float = 0.0
    in_a_row: int = 0


@attrs.define(eq=False)
class PushbackBook:
    """One row per provider and key, and one per provider."""

    _rows: dict[tuple[str, int], _Wish] = attrs.field(factory=dict)

    def left_s(self, provider: str, keys: int, at: float) -> float:
        """Seconds left of what it asked for; 0 where it asked for nothing, or has a key that may be used."""
        of_keys = (self._left_s(provider, key, at) for key in range(max(1, keys)))
        return max(self._left_s(provider, _ALL, at), min(of_keys))

    def fold(self, event: EngineEvent) -> None:
        match event:
            case TryEnded(failure=Failure() as failure) if failure.kind in _WISHES:
                key = max(event.key, 0) if _WISHES[failure.kind] else _ALL
                self._asked(event.candidate.provider, key, failure.retry_after_s, event.at)
            case AttemptEnded(ending="won"):
                for key in (max(event.key, 0), _ALL):
                    if (row := self._rows.get((event.candidate.provider, key))) is not None:
                        row.in_a_row = 0
            case ProviderReset():
                for place in [place for place in self._rows if place[0] == event.provider]:
                    del self._rows[place]

    def _asked(self, provider: str, key: int, wish_s: float | None, at: float) -> None:
        row = keep(self._rows, (provider, key), self._rows.get((provider, key)) or _Wish())
        row.until = max(row.until, at + block_s(wish_s, row.in_a_row))
        row.in_a_row += 1

    def _left_s(self, provider: str, key: int, at: float) -> float:
        row = self._rows.get((provider, key))
        return max(0.0, row.until - at) if row else 0.0
