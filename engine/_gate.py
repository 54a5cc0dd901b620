"""The last check before a launch, for one process.

A plan is made of a photograph; by the time a hedge is due the world has moved. The gate looks again: breaker, key, scope.
It decides at once, between two checkpoints, so nothing can change between the check and the entry in the book.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

from engine._books import Books
from engine._ports import Busy
from engine._rests import KEY_STATUSES
from policies import Candidate, Step


@attrs.define(eq=False)
class LocalPermit:
    """A slot and a window entry in the local books. `key` is the number of the provider's key, -1 where it has none."""

    _gate: LocalGate
    candidate: Candidate
    key: int
    taken_at: float
    _released: bool = False

    def release(self, *, sent: bool) -> None:
        if self._released:
            raise RuntimeError(f"the permit for {self.candidate} was released twice")
        self._released = True
        self._gate.give_back(self, sent=sent)


class LocalGate:
    """Breaker, keys and scopes of this process."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._freed: dict[str, trio.Event] = {}

    async def acquire(self, step: Step, keys: int) -> LocalPermit | Busy:
        return self.decide(step, keys, trio.current_time())

    def decide(self, step: Step, keys: int, at: float) -> LocalPermit | Busy:
        """The decision, without a checkpoint."""
        candidate, books = step.candidate, self._books
        free = books.rests.keys(candidate.provider, keys, at)
        if not free:
            wait_s = books.rests.key_wait_s(candidate.provider, keys, at)
            status = KEY_STATUSES[books.rests.key_kind(candidate.provider, keys)]
            return Busy(by="keys", reason="every key is resting", wait_s=wait_s, status=status)
        wait_s = books.breakers.admit(candidate, at)
        if wait_s > 0:
            return Busy(by="breaker", reason=f"breaker open ({books.breakers.reason(candidate)})", wait_s=wait_s)
        refusals = []
        for key in free:
            busy = books.scopes.take(candidate.provider, key, at, lifted=step.unlimited)
            if busy is None:
                return LocalPermit(self, candidate, key if keys else -1, at)
            refusals.append(busy)
        books.breakers.release(candidate)
        return min(refusals, key=lambda busy: busy.wait_s)

    def give_back(self, permit: LocalPermit, *, sent: bool) -> None:
        provider = permit.candidate.provider
        self._books.scopes.give_back(provider, max(0, permit.key), taken_at=permit.taken_at, sent=sent)
        if not sent:
            self._books.breakers.release(permit.candidate)  # nothing was probed
        freed = self._freed.pop(provider, None)
        if freed is not None:
            freed.set()

    async def room(self, providers: Sequence[str], within_s: float) -> bool:
        # Before the first checkpoint, or a slot given back in this very tick would go unnoticed.
        events = [self._freed.setdefault(provider, trio.Event()) for provider in dict.fromkeys(providers)]
        freed = False

        async def wait(event: trio.Event, scope: trio.CancelScope) -> None:
            nonlocal freed
            await event.wait()
            freed = True
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = trio.current_time() + within_s
            for event in events:
                nursery.start_soon(wait, event, nursery.cancel_scope)
        return freed
