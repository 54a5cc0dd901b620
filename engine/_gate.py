"""The last check before a launch, and the line of those who wait, for one process.

A plan is made of a photograph; by the time a hedge is due the world has moved. The gate looks again: breaker, key, scope.
It decides at once, between two checkpoints, so nothing can change between the check and the entry in the book.

Who waits does so in a line for each provider, which is bounded, and is handed a permit when its turn has come. To wake it
and let it ask would lose the slot to whoever comes by in between. Nobody overtakes the line: it is served before anybody
who asks anew. A permit that was handed over and is not used goes to the next.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import attrs
import trio

from engine._books import Books
from engine._line import Line
from engine._ports import Asker, Busy
from engine._scopes import Slot
from policies import Candidate, Step


@attrs.define(eq=False)
class LocalPermit:
    """A slot and a window entry in the local books. `key` is the number of the provider's key, -1 where it has none."""

    _gate: LocalGate
    step: Step
    key: int
    keys: int = 0
    asker: Asker = attrs.field(factory=Asker)
    passed: list[tuple[int, str, float]] = attrs.field(factory=list)
    slot: Slot | None = None
    _released: bool = False

    @property
    def candidate(self) -> Candidate:
        return self.step.candidate

    def another(self, beside: frozenset[int]) -> int | None:
        return self._gate.moved(self, beside, trio.current_time())

    def release(self, *, sent: bool, tokens: int | None = None) -> None:
        if self._released:
            raise RuntimeError(f"the permit for {self.candidate} was released twice")
        self._released = True
        self._gate.give_back(self, sent=sent, tokens=tokens)


@attrs.define(eq=False)
class _Waiting:
    """One request that waits: for any of these steps, with its place in time."""

    asker: Asker
    ticket: int
    steps: dict[str, tuple[Step, int]] = attrs.field(factory=dict)  # provider -> what is asked of it, its keys
    turn: trio.Event = attrs.field(factory=trio.Event)
    permit: LocalPermit | None = None


class LocalGate:
    """Breaker, keys and scopes of this process, and the lines before its providers."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._lines: dict[str, Line[_Waiting]] = {}
        self._waiting: dict[Asker, _Waiting] = {}
        self._tickets = itertools.count()

    async def acquire(self, step: Step, keys: int, asker: Asker | None = None) -> LocalPermit | Busy:
        return self.decide(step, keys, trio.current_time(), asker or Asker())

    def decide(self, step: Step, keys: int, at: float, asker: Asker) -> LocalPermit | Busy:
        """The decision, without a checkpoint. Who waits goes before, and this one's own turn may be among theirs."""
        first = self._serve(step.candidate.provider, at)
        waiting = self._waiting.get(asker)
        if waiting is not None and waiting.permit is not None:
            permit, waiting.permit = waiting.permit, None
            if permit.candidate == step.candidate:
                self.leave(asker)
                return permit
            permit.release(sent=False)
        if first is not None and not step.unlimited:
            return first
        decision = self._decide(step, keys, at, asker)
        if not isinstance(decision, Busy):
            self.leave(asker)
        return decision

    def _decide(self, step: Step, keys: int, at: float, asker: Asker) -> LocalPermit | Busy:
        candidate, books = step.candidate, self._books
        best = books.keys.best(candidate.provider, keys, at)
        if not best.free:
            if best.status is None:
                return Busy(by="keys", reason=best.reason, wait_s=best.wait_s)
            status, reason = books.keys.why(candidate.provider, keys, at)
            return Busy(by="keys", reason=reason, wait_s=best.wait_s, status=status)
        permit = LocalPermit(self, step, -1, keys, asker)
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
        for key in self._books.keys.order(provider, permit.keys, at, permit.asker.session):
            if key in beside:
                continue
            standing = self._books.keys.standing(provider, key, at)
            found: Slot | Busy = Busy(by="keys", reason=standing.reason, wait_s=standing.wait_s)
            if standing.free:
                found = self._books.scopes.take(
                    provider, key, at, lifted=permit.step.unlimited, tokens=permit.asker.tokens
                )
            if isinstance(found, Slot):
                permit.key, permit.slot = key if permit.keys else -1, found
                self._books.keys.take(provider, permit.key, at)
                return None
            refusals.append(found)
            permit.passed.append((key, found.reason, found.wait_s))
        return min(refusals, key=lambda busy: busy.wait_s, default=Busy(by="keys", reason="no other key", wait_s=0.0))

    def moved(self, permit: LocalPermit, beside: frozenset[int], at: float) -> int | None:
        """The permit's next key, its slot already there; None, and all is as before, where none has room."""
        if permit.keys < 2 or permit.slot is None:
            return None
        # The slot is given back first: where the scope is the provider's, it is the same slot.
        provider, before, slot, passed = permit.candidate.provider, permit.key, permit.slot, permit.passed
        self._books.scopes.give_back(slot, sent=True, tokens=0)  # its key was refused: nothing was answered
        if self._take(permit, at, beside) is not None:
            self._books.scopes.hold(slot)
            permit.passed = passed
            return None
        self._books.keys.give_back(provider, before)
        self._serve(provider, at)
        return permit.key

    def give_back(self, permit: LocalPermit, *, sent: bool, tokens: int | None = None) -> None:
        provider = permit.candidate.provider
        assert permit.slot is not None
        self._books.scopes.give_back(permit.slot, sent=sent, tokens=tokens)
        self._books.keys.give_back(provider, permit.key)
        self._books.breakers.release(permit.candidate, permit)  # where no attempt came of it
        self._serve(provider, trio.current_time())

    # The line.

    def enlist(self, asker: Asker, wanted: Sequence[tuple[Step, int]]) -> list[Step]:
        """Let a request wait for any of these (step, keys of its provider); those whose line is full come back.

        Of several steps with one provider it waits for the first. Who has waited before keeps the place that it had.
        """
        before = self._waiting.get(asker)
        waiting = self._waiting[asker] = before or _Waiting(asker, next(self._tickets))
        waiting.turn = trio.Event()
        if waiting.permit is not None and any(step.candidate == waiting.permit.candidate for step, _ in wanted):
            waiting.turn.set()
        elif waiting.permit is not None:  # its turn has come for somebody whom it will not ask any more
            permit, waiting.permit = waiting.permit, None
            permit.release(sent=False)
        full = []
        self._out(waiting, keep=frozenset(step.candidate.provider for step, _ in wanted))
        for step, keys in wanted:
            provider = step.candidate.provider
            line = self._lines.setdefault(provider, Line())
            if provider not in waiting.steps:
                if len(line) >= self._books.scopes.queue(provider):
                    full.append(step)
                    continue
                line.add(asker.session, waiting.ticket, waiting)
            elif step.candidate != waiting.steps[provider][0].candidate:
                continue
            waiting.steps[provider] = step, keys
        return full

    async def turn(self, asker: Asker, within_s: float) -> Step | None:
        """Wait; the step whose permit is this one's now, to be had from `acquire`. None after `within_s` seconds."""
        waiting = self._waiting[asker]
        with trio.move_on_after(within_s):
            await waiting.turn.wait()
        return waiting.permit.step if waiting.permit is not None else None

    def leave(self, asker: Asker) -> None:
        """The request waits no longer, wherever it stood."""
        waiting = self._waiting.pop(asker, None)
        if waiting is None:
            return
        self._out(waiting)
        if waiting.permit is not None:
            permit, waiting.permit = waiting.permit, None
            permit.release(sent=False)

    def length(self, provider: str) -> int:
        """How many requests wait for a provider."""
        return len(self._lines.get(provider, ()))

    def _out(self, waiting: _Waiting, served_by: str = "", keep: frozenset[str] = frozenset()) -> None:
        """Out of all lines but these."""
        for provider in [provider for provider in waiting.steps if provider not in keep]:
            del waiting.steps[provider]
            line = self._lines[provider]
            line.remove(waiting.asker.session, waiting.ticket, served=provider == served_by)
            if not line:
                del self._lines[provider]

    def _serve(self, provider: str, at: float) -> Busy | None:
        """Hand out what there is, in turn; what keeps the next of the line waiting, where the scope has no room for it.

        One whose key or model is out keeps nobody else from his turn; one for whom the scope has no room does, or large
        requests would wait for ever.
        """
        line, out = self._lines.get(provider), set[Candidate]()
        for waiting in line.in_turn() if line else ():
            step, keys = waiting.steps[provider]
            if step.candidate in out:
                continue
            found = self._decide(step, keys, at, waiting.asker)
            if isinstance(found, LocalPermit):
                self._out(waiting, provider)
                waiting.permit = found
                waiting.turn.set()
            elif found.by == "scope":
                return found
            else:
                out.add(step.candidate)
        return None
