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
from policies import Candidate, Step


@attrs.define(eq=False)
class LocalPermit:
    """A slot and a window entry in the local books. `key` is the number of the provider's key, -1 where it has none."""

    _gate: LocalGate
    step: Step
    key: int
    taken_at: float
    keys: int = 0
    session: str = ""
    passed: list[tuple[int, str, float]] = attrs.field(factory=list)
    _released: bool = False

    @property
    def candidate(self) -> Candidate:
        return self.step.candidate

    def another(self, beside: frozenset[int]) -> int | None:
        return self._gate.moved(self, beside, trio.current_time())

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

    async def acquire(self, step: Step, keys: int, session: str = "") -> LocalPermit | Busy:
        return self.decide(step, keys, trio.current_time(), session)

    def decide(self, step: Step, keys: int, at: float, session: str = "") -> LocalPermit | Busy:
        """The decision, without a checkpoint."""
        candidate, books = step.candidate, self._books
        best = books.keys.best(candidate.provider, keys, at)
        if not best.free:
            reason = best.reason if best.status is None else "every key is resting"
            return Busy(by="keys", reason=reason, wait_s=best.wait_s, status=best.status)
        permit = LocalPermit(self, step, -1, at, keys, session)
        wait_s = books.breakers.admit(candidate, at, permit, last_resort=step.last_resort)
        if wait_s > 0:
            why = books.breakers.standing(candidate, at).reason
            return Busy(by="breaker", reason=f"breaker open ({why})", wait_s=wait_s)
        busy = self._take(permit, at)
        if busy is None:
            return permit
        books.breakers.release(candidate, permit)
        return busy

    def _take(self, permit: LocalPermit, at: float, beside: frozenset[int] = frozenset()) -> Busy | None:
        """Enter the permit with the first key that is well and has room; else what keeps the soonest one busy."""
        provider, refusals = permit.candidate.provider, list[Busy]()
        permit.passed = []
        for key in self._books.keys.order(provider, permit.keys, at, permit.session):
            if key in beside:
                continue
            standing = self._books.keys.standing(provider, key, at)
            busy: Busy | None = Busy(by="keys", reason=standing.reason, wait_s=standing.wait_s)
            if standing.free:
                busy = self._books.scopes.take(provider, key, at, lifted=permit.step.unlimited)
            if busy is None:
                permit.key, permit.taken_at = key if permit.keys else -1, at
                self._books.keys.take(provider, permit.key, at)
                return None
            refusals.append(busy)
            permit.passed.append((key, busy.reason, busy.wait_s))
        return min(refusals, key=lambda busy: busy.wait_s, default=Busy(by="keys", reason="no other key", wait_s=0.0))

    def moved(self, permit: LocalPermit, beside: frozenset[int], at: float) -> int | None:
        """The permit's next key, its slot already there; None, and all is as before, where none has room."""
        if permit.keys < 2:
            return None
        # The slot is given back first: where the scope is the provider's, it is the same slot.
        provider, before, taken_at, passed = permit.candidate.provider, permit.key, permit.taken_at, permit.passed
        self._books.scopes.give_back(provider, before, taken_at=taken_at, sent=True)
        if self._take(permit, at, beside) is not None:
            self._books.scopes.hold(provider, before)
            permit.passed = passed
            return None
        self._books.keys.give_back(provider, before)
        self._wake(provider)
        return permit.key

    def give_back(self, permit: LocalPermit, *, sent: bool) -> None:
        provider = permit.candidate.provider
        self._books.scopes.give_back(provider, max(0, permit.key), taken_at=permit.taken_at, sent=sent)
        self._books.keys.give_back(provider, permit.key)
        self._books.breakers.release(permit.candidate, permit)  # where no attempt came of it
        self._wake(provider)

    def _wake(self, provider: str) -> None:
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
