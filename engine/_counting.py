"""`count_tokens`: asked of who can count, within a second, else estimated.

The provider's own number is worth a short wait and nothing more: Claude Code asks two dozen times at once to draw a meter.
So one host is asked, the first of the plan that counts; it takes no permit, since counting is no inference, and its failure
is held against nobody. What it says puts the estimate right, too.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from engine._books import Books
from engine._events import EngineEvent, TokensCounted
from engine._failure import AttemptError
from engine._ports import Ask, Counter
from engine._request import Request
from engine.config import Config, Provider
from policies import Candidate, FailureKind, Plan

#: How long a host may take to count, in seconds.
PATIENCE_S = 1.0
#: Failures by which a host says that it does not count. Others pass.
_NO_DOOR = frozenset({FailureKind.GONE, FailureKind.CLIENT, FailureKind.FIELD, FailureKind.MALFORMED})


@attrs.frozen
class Counting:
    """One request for a count, through the plan that its turn would have."""

    request: Request
    plan: Plan
    config: Config
    books: Books
    counter: Counter
    emit: Callable[[EngineEvent], None]

    async def tokens(self) -> int | None:
        """What the first candidate that counts says; None where nobody did in time."""
        for step in self.plan.steps:
            ask = self._ask(step.candidate)
            if ask is not None:
                return await self._asked(ask)
        return None

    def _ask(self, candidate: Candidate) -> Ask | None:
        provider = self.config.providers[candidate.provider].on(candidate.model)
        at = trio.current_time()
        if provider.counts_tokens is False or not self.counter.speaks(provider):
            return None
        if not self.books.counts.may_be_asked(provider.id, provider.wire, at):
            return None
        number = self._key(provider, at)
        if provider.keys and number is None:
            return None
        key = None if number is None else provider.keys[number]
        learned = self.books.lessons.of(candidate)
        return Ask(request=self.request, candidate=candidate, provider=provider, key=key, learned=learned)

    def _key(self, provider: Provider, at: float) -> int | None:
        """The key that the session's turns are sent with."""
        keys, count = self.books.keys, len(provider.keys)
        order = keys.order(provider.id, count, at, self.request.session)
        return next((n for n in order if n < count and keys.standing(provider.id, n, at).free), None)

    async def _asked(self, ask: Ask) -> int | None:
        tokens: int | None = None
        lasting = False
        with trio.move_on_after(PATIENCE_S):
            try:
                tokens = await self.counter.count(ask)
            except AttemptError as error:
                # A host that is known to count has had a bad moment, whatever it says.
                lasting = error.failure.kind in _NO_DOOR and not ask.provider.counts_tokens
        self.emit(
            TokensCounted(
                at=trio.current_time(),
                request_id=self.request.id,
                candidate=ask.candidate,
                wire=ask.provider.wire,
                tokens=tokens,
                lasting=lasting,
                estimate=self.request.estimate,
            )
        )
        return tokens
