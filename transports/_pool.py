"""Idle connections, kept for the next request to the same origin.

The naive pool is one list that every request walks: is this one mine, has it expired, has its peer closed it (a system
call each)? With 150 idle connections that walk costs more than the request. Here an origin has a stack of its own, the
connection used last is taken first, and only a connection that is about to be used is looked at. Those at the bottom
age, and leave by a sweep that runs at most once per expiry time, when a connection is put back.

Taking the newest first also keeps few connections warm instead of many lukewarm.

All decisions are synchronous, and every method returns the connections it gave up: closing them is the caller's I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

import attrs

C = TypeVar("C")


class Origin(NamedTuple):
    """Who a connection may be used for again: the same scheme, host and port."""

    scheme: str
    host: str
    port: int


@attrs.define(eq=False)
class IdlePool(Generic[C]):
    """`expiry_s`: seconds a connection may lie idle. `max_idle_per_origin`: how many may, before the oldest goes."""

    expiry_s: float
    max_idle_per_origin: int
    _stacks: dict[Origin, deque[tuple[float, C]]] = attrs.field(init=False, factory=dict)
    _count: int = attrs.field(init=False, default=0)
    _swept_s: float = attrs.field(init=False, default=float("-inf"))

    def __len__(self) -> int:
        return self._count

    def take(self, origin: Origin, now_s: float, unusable: Callable[[C], bool]) -> tuple[C | None, list[C]]:
        """The connection put back last that is still good, and those found bad on the way to it.

        `unusable` is asked of nothing but the candidate for being taken. Whatever it rejects leaves the pool, so the
        cost is constant per connection ever put in.
        """
        rejected: list[C] = []
        stack = self._stacks.get(origin)
        while stack:
            since_s, connection = stack.pop()
            self._count -= 1
            if now_s - since_s < self.expiry_s and not unusable(connection):
                return connection, rejected
            rejected.append(connection)
        return None, rejected

    def put(self, origin: Origin, connection: C, now_s: float) -> list[C]:
        """Keep an idle connection; the ones that must go for it, or have expired."""
        stack = self._stacks.setdefault(origin, deque())
        stack.append((now_s, connection))
        self._count += 1
        given_up: list[C] = []
        if len(stack) > self.max_idle_per_origin:
            given_up.append(stack.popleft()[1])
            self._count -= 1
        if now_s - self._swept_s >= self.expiry_s:
            given_up += self.sweep(now_s)
        return given_up

    def sweep(self, now_s: float) -> list[C]:
        """Give up what has expired, at every origin. Constant per origin and per expired connection."""
        self._swept_s = now_s
        return list(self._pop(lambda since_s: now_s - since_s >= self.expiry_s))

    def drain(self) -> list[C]:
        """Give up everything."""
        return list(self._pop(lambda _: True))

    def _pop(self, goes: Callable[[float], bool]) -> Iterator[C]:
        for origin, stack in list(self._stacks.items()):
            while stack and goes(stack[0][0]):
                self._count -= 1
                yield stack.popleft()[1]
            if not stack:
                del self._stacks[origin]
