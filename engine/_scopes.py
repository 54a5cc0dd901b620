"""What each provider allows: rate windows, concurrency, and the rest it asked for.

A counter that is reset every minute lets twice the limit through around the reset; a semaphore that is held while asleep
starves everybody else. The window here slides over the actual sending times, and nothing is held while waiting. A
provider's 429 or Retry-After blocks its scope: the longer of two blocks stands, and a hostile hint is capped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import attrs

from engine._events import AttemptEnded, EngineEvent, ScopeBlocked, TryEnded
from engine._failure import Failure
from engine._ports import Busy
from policies import SLOT_WAIT_S, VERDICTS, Concurrency, Scope, Unlimited, Window

#: The longest Retry-After that is believed, in seconds.
MAX_BLOCK_S = 300.0
#: Without a Retry-After: five seconds, doubling with each refusal in a row, to a minute.
FIRST_BLOCK_S, LAST_BLOCK_S = 5.0, 60.0


@attrs.define
class _Row:
    sent: deque[float] = attrs.field(factory=deque)
    in_flight: int = 0
    blocked_until: float = 0.0
    block_reason: str = ""
    refusals: int = 0


@attrs.define(eq=False)
class ScopeBook:
    """One row per provider, or per key where the scope says so. `spec` gives a provider's scope."""

    spec: Callable[[str], Scope]
    _rows: dict[tuple[str, int], _Row] = attrs.field(factory=dict)

    def block_wait_s(self, provider: str, key: int, at: float) -> tuple[float, str]:
        """Seconds left of a block, and its reason."""
        row = self._row(provider, key)
        if isinstance(self.spec(provider), Unlimited) or row.blocked_until <= at:
            return 0.0, ""
        return row.blocked_until - at, row.block_reason

    def window(self, provider: str, key: int, at: float) -> tuple[float, float]:
        """Seconds until the window has room, and the share of it that is left (1 where there is no window)."""
        spec, row = self.spec(provider), self._row(provider, key)
        if not isinstance(spec, Window):
            return 0.0, 1.0
        while row.sent and row.sent[0] <= at - spec.per_s:
            row.sent.popleft()
        left = spec.requests - len(row.sent)
        if left > 0:
            return 0.0, left / spec.requests
        return row.sent[len(row.sent) - spec.requests] + spec.per_s - at, 0.0

    def free_slots(self, provider: str, key: int) -> int | None:
        """How many more may run at once; None where there is no bound."""
        limit = _slots(self.spec(provider))
        return None if limit is None else max(0, limit - self._row(provider, key).in_flight)

    def take(self, provider: str, key: int, at: float, *, lifted: bool = False) -> Busy | None:
        """Enter one request, or say why not. `lifted` overlooks windows and blocks, never concurrency."""
        if not lifted:
            blocked_s, reason = self.block_wait_s(provider, key, at)
            if blocked_s > 0:
                return Busy(by="scope", reason=reason, wait_s=blocked_s)
            window_s, _ = self.window(provider, key, at)
            if window_s > 0:
                return Busy(by="scope", reason="rate window full", wait_s=window_s)
        if self.free_slots(provider, key) == 0:
            return Busy(by="scope", reason="no free concurrency slot", wait_s=SLOT_WAIT_S)
        row = self._row(provider, key)
        row.in_flight += 1
        if isinstance(self.spec(provider), Window):
            row.sent.append(at)
        return None

    def give_back(self, provider: str, key: int, *, taken_at: float, sent: bool) -> None:
        """End of a request: the slot returns; the window entry only where not a byte was sent."""
        row = self._row(provider, key)
        row.in_flight -= 1
        if not sent and taken_at in row.sent:
            row.sent.remove(taken_at)

    def hold(self, provider: str, key: int) -> None:
        """Take a slot back that was given back in this very tick."""
        self._row(provider, key).in_flight += 1

    def fold(self, event: EngineEvent) -> Iterator[EngineEvent]:
        match event:
            case AttemptEnded(ending="won"):
                self._row(event.candidate.provider, event.key).refusals = 0
            case TryEnded(failure=Failure() as failure) if VERDICTS[failure.kind].rests == "scope":
                yield from self._refused(event, failure)

    def _refused(self, event: TryEnded, failure: Failure) -> Iterator[EngineEvent]:
        """Block at the end of the try, not of the attempt: the next try may be with another key, and not with this one."""
        provider, row = event.candidate.provider, self._row(event.candidate.provider, event.key)
        wish_s = failure.retry_after_s
        if wish_s is None and VERDICTS[failure.kind].counts:
            return  # an overloaded provider that gives no time is a matter for its breaker
        for_s = min(FIRST_BLOCK_S * 2**row.refusals, LAST_BLOCK_S) if wish_s is None else min(wish_s, MAX_BLOCK_S)
        row.refusals = min(row.refusals + 1, 10)
        if event.at + for_s > row.blocked_until:
            row.blocked_until, row.block_reason = event.at + for_s, failure.kind.value
            if not isinstance(self.spec(provider), Unlimited):
                yield ScopeBlocked(
                    at=event.at,
                    request_id=event.request_id,
                    provider=provider,
                    key=event.key,
                    for_s=for_s,
                    reason=failure.kind.value,
                )

    def total_in_flight(self) -> int:
        return sum(row.in_flight for row in self._rows.values())

    def _row(self, provider: str, key: int) -> _Row:
        per_key = getattr(self.spec(provider), "per", "provider") == "key"
        # A keyless provider's key is -1 in a permit and 0 in the plan: one row all the same.
        return self._rows.setdefault((provider, max(key, 0) if per_key else 0), _Row())


def _slots(spec: Scope) -> int | None:
    match spec:
        case Window():
            return spec.concurrency
        case Concurrency():
            return spec.limit
        case Unlimited():
            return None
