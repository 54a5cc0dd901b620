"""Who waits for a provider, and whose turn it is: in turn between sessions, in order of arrival within one.

Waking everybody and letting them scramble serves whoever is luckiest; first come first served hands a provider to the one
agent swarm that has sent fifty requests at once, and a person behind it waits for all of them. So sessions take turns.
Between two sessions that both wait all the time, the numbers of those served differ by at most one. Pure.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from itertools import zip_longest
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.define(eq=False)
class Line(Generic[T]):
    """Those who wait, each once. A ticket says when somebody came, and keeps that place for who comes back with it."""

    _sessions: dict[str, list[tuple[int, T]]] = attrs.field(factory=dict)  # in the order of their turns

    def __len__(self) -> int:
        return sum(map(len, self._sessions.values()))

    def add(self, session: str, ticket: int, who: T) -> None:
        """`who` waits from now on; a session that waits for nothing yet is the last to have its turn."""
        insort(self._sessions.setdefault(session, []), (ticket, who), key=lambda one: one[0])

    def remove(self, session: str, ticket: int, *, served: bool = False) -> None:
        """They wait no longer. A session that was `served` is the last to have its next turn."""
        left = [one for one in self._sessions.get(session, ()) if one[0] != ticket]
        if served or not left:
            self._sessions.pop(session, None)
        if left:
            self._sessions[session] = left  # at its old place, or behind all others

    def in_turn(self) -> Iterator[T]:
        """Everybody as of now, in the order in which they would be served."""
        for turn in zip_longest(*[list(waiting) for waiting in self._sessions.values()]):
            yield from (one[1] for one in turn if one is not None)
