"""What each provider allows: windows, concurrency found out or given, what it says is left, and the rest it asked for.

A counter that is reset every minute lets twice the limit through around the reset; a semaphore that is held while asleep
starves everybody else. The windows here slide over the actual sending times, and nothing is held while waiting. A
provider's 429 or Retry-After blocks its scope: the longer of two blocks stands, and a hostile hint is capped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from engine._adaptive import Adapting
from engine._events import AttemptEnded, EngineEvent, QuotaTold, ScopeBlocked, TryEnded
from engine._failure import Failure
from engine._growing import block_s
from engine._ports import Busy
from engine._quota import QuotaRow
from engine._sliding import Entry, Sliding
from engine._stream import Usage
from policies import SLOT_WAIT_S, VERDICTS, Adaptive, Concurrency, FailureKind, Need, Scope, Unlimited, Window

#: The most tokens that an answer is expected to take before it is there. Agents ask for far more than they get.
ANSWER_TOKENS = 1000


def expected_tokens(need: Need) -> int:
    """What a request will probably take of a window: its prompt as estimated, and a short answer."""
    return need.input_tokens + min(need.max_tokens, ANSWER_TOKENS)


def used_tokens(usage: Usage, failure: Failure | None) -> int | None:
    """What a request took, its prompt as told with what came from a cache. None where nobody has said.

    A host that has refused it has taken none. A cancelled one may go on in the host: the expectation stands.
    """
    if usage.reported:
        return usage.input + usage.cache_read + usage.cache_write + usage.output
    return 0 if failure is not None and (failure.status or 200) >= 400 else None


@attrs.frozen(kw_only=True)
class Room:
    """Seconds until a request fits, the share that is left, what is used up."""

    wait_s: float = 0.0
    headroom: float = 1.0
    reason: str = ""


@attrs.define
class _Row:
    window: Sliding = attrs.field(factory=Sliding)
    adapting: Adapting = attrs.field(factory=Adapting)
    quota: QuotaRow = attrs.field(factory=QuotaRow)
    in_flight: int = 0
    blocked_until: float = 0.0
    block_reason: str = ""
    refusals: int = 0


@attrs.frozen(eq=False)
class Slot:
    """One request's place in a scope, from `take` to `give_back`.

    It goes back to the row it was taken from: a reload may have changed meanwhile which row its key has.
    """

    row: _Row
    at: float
    entry: Entry | None = None


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

    def room(self, provider: str, key: int, at: float, tokens: int = 0) -> Room:
        """How a request of so many tokens stands with the window, and with what the provider says is left."""
        spec, row = self.spec(provider), self._row(provider, key)
        if isinstance(spec, Unlimited):
            return Room()
        told_s, told_share, told_why = row.quota.room(at)
        if not isinstance(spec, Window):
            return Room(wait_s=told_s, headroom=told_share, reason=told_why)
        wait_s, share, why = row.window.room(spec, tokens, at)
        if told_s > wait_s:
            wait_s, why = told_s, told_why
        return Room(wait_s=wait_s, headroom=min(share, told_share), reason=why)

    def limit(self, provider: str, key: int) -> int | None:
        """How many may run at once; None where there is no bound."""
        match self.spec(provider):
            case Window(concurrency=bound) | Concurrency(limit=bound):
                return bound
            case Adaptive() as spec:
                return self._row(provider, key).adapting.limit(spec)
            case _:
                return None

    def free_slots(self, provider: str, key: int) -> int | None:
        """How many more may run at once; None where there is no bound."""
        limit = self.limit(provider, key)
        return None if limit is None else max(0, limit - self._row(provider, key).in_flight)

    def queue(self, provider: str) -> int:
        """How many requests may wait for the provider."""
        return self.spec(provider).queue

    def take(self, provider: str, key: int, at: float, *, lifted: bool = False, tokens: int = 0) -> Slot | Busy:
        """Enter one request, or say why not. `lifted` overlooks windows and blocks, never concurrency."""
        if not lifted:
            blocked_s, reason = self.block_wait_s(provider, key, at)
            if blocked_s > 0:
                return Busy(by="scope", reason=reason, wait_s=blocked_s)
            room = self.room(provider, key, at, tokens)
            if room.wait_s > 0:
                return Busy(by="scope", reason=room.reason, wait_s=room.wait_s)
        if self.free_slots(provider, key) == 0:
            return Busy(by="scope", reason="no free concurrency slot", wait_s=SLOT_WAIT_S)
        spec, row = self.spec(provider), self._row(provider, key)
        row.in_flight += 1
        row.quota.take()
        entry = None
        if isinstance(spec, Window):
            entry = row.window.enter(at, min(tokens, spec.tokens or tokens))
        return Slot(row, at, entry)

    def give_back(self, slot: Slot, *, sent: bool, tokens: int | None = None) -> None:
        """End of a request: the slot returns; the window's entry only where not a byte was sent, else it is put right.

        `tokens` is what it took, None where nobody has said.
        """
        row = slot.row
        row.in_flight -= 1
        if not sent:
            row.quota.give_back(slot.at)
        if slot.entry is None:
            return
        if not sent:
            row.window.withdraw(slot.entry)
        elif tokens is not None:
            row.window.settle(slot.entry, tokens)

    def hold(self, slot: Slot) -> None:
        """Take a slot back that was given back in this very tick."""
        slot.row.in_flight += 1

    def fold(self, event: EngineEvent) -> Iterator[EngineEvent]:
        match event:
            case AttemptEnded(ending="won"):
                row = self._row(event.candidate.provider, event.key)
                row.refusals = 0
                if isinstance(spec := self.spec(event.candidate.provider), Adaptive):
                    row.adapting.answered(spec, row.in_flight + 1)  # its own slot has gone back already
            case QuotaTold():
                self._row(event.candidate.provider, event.key).quota.tell(event.quota, event.at)
            case TryEnded(failure=Failure() as failure) if VERDICTS[failure.kind].rests == "scope":
                yield from self._refused(event, failure)

    def _refused(self, event: TryEnded, failure: Failure) -> Iterator[EngineEvent]:
        """Block at the end of the try, not of the attempt: the next try may be with another key, and not with this one."""
        provider, row = event.candidate.provider, self._row(event.candidate.provider, event.key)
        spec = self.spec(provider)
        if isinstance(spec, Adaptive) and failure.kind is FailureKind.RATE_LIMITED:
            row.adapting.refused(spec, event.at - event.elapsed_s, event.at)
        wish_s = failure.retry_after_s
        if wish_s is None and VERDICTS[failure.kind].counts:
            return  # an overloaded provider that gives no time is a matter for its breaker
        for_s = block_s(wish_s, row.refusals)
        row.refusals += 1
        if event.at + for_s > row.blocked_until:
            row.blocked_until, row.block_reason = event.at + for_s, failure.kind.value
            if not isinstance(spec, Unlimited):
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
        per_key = self.spec(provider).per == "key"
        # A keyless provider's key is -1 in a permit and 0 in the plan: one row all the same.
        return self._rows.setdefault((provider, max(key, 0) if per_key else 0), _Row())
