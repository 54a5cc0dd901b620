"""How long to leave somebody alone: as long as they say, else a time that grows.

A fixed time is too long for a hiccup and far too short for a bill that nobody has paid. So each time in a row doubles it, up
to a bound. A provider that gives a time is believed instead, within reason: a hostile or broken hint would else put it out of
use for a day. Pure.
"""

from __future__ import annotations

#: Without a Retry-After: five seconds, doubling with each refusal in a row, to a minute.
FIRST_BLOCK_S, LAST_BLOCK_S = 5.0, 60.0
#: The longest Retry-After that is believed, in seconds.
MAX_BLOCK_S = 300.0
#: Doublings after which every bound is reached; a float would overflow at a thousand.
_ENOUGH = 30


def grown_s(first_s: float, before: int, longest_s: float) -> float:
    """The time after `before` such times in a row, in seconds."""
    return min(first_s * 2.0 ** min(before, _ENOUGH), longest_s)


def block_s(wish_s: float | None, before: int) -> float:
    """How long a provider that asks for less is left alone: its Retry-After, capped, or the time after `before` refusals."""
    return grown_s(FIRST_BLOCK_S, before, LAST_BLOCK_S) if wish_s is None else min(wish_s, MAX_BLOCK_S)
