"""A provider's keys: which is taken, which rests and until when, and how much of its allowance is spent. A fold over events.

A refused key is usually taken out until somebody restarts the process, and keys are usually taken in turn. Both cost more
than they save. Keys come back: a plan is paid, a quota resets, a typo at the provider's end is mended; so a key rests,
longer each time, and then one request at a time tries whether it is back. And prompt caches belong to an account: a
session that wanders from key to key pays the full price of its whole history at each turn. So a session keeps to one key,
found by hashing, as long as that key is well; other sessions hash to other keys, and that spreads the load.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Literal

import attrs

from engine._events import AttemptEnded, EngineEvent, FirstContent, TryEnded
from engine._failure import NO_CONNECTION, Failure
from engine._growing import grown_s
from engine.config import KeyLimit
from policies import VERDICTS, FailureKind

#: Seconds of a first rest where the provider names no time, by kind of failure, and the longest that it grows to by itself.
RESTS_S = {FailureKind.AUTH: 300.0, FailureKind.QUOTA: 3600.0}
GROWN_S = {FailureKind.AUTH: 3600.0, FailureKind.QUOTA: 21_600.0}
#: The longest rest that a provider may ask for: a day, since quotas reset daily.
MAX_REST_S = 86_400.0
#: How soon somebody may ask again who was refused because one request is trying a key, in seconds.
TRYING_WAIT_S = 1.0
#: Failures in which the host has taken nothing, beside those with a status of an error.
_NOT_TAKEN = NO_CONNECTION | {FailureKind.BUG}
#: The status that says why nobody should wait for a key.
STATUSES = {FailureKind.AUTH: 401, FailureKind.QUOTA: 402}
USED_UP_STATUS = 429
#: Keys that rest for different reasons have no status of their own that tells why.
MIXED_STATUS = 503
_ONE = {401: "was refused", 402: "is out of quota", USED_UP_STATUS: "has reached its usage limit"}
_MANY = {401: "were refused", 402: "are out of quota", USED_UP_STATUS: "have reached their usage limit"}

State = Literal["fresh", "resting", "half-open", "used up"]


@attrs.frozen(kw_only=True)
class Standing:
    """How one key stands: `wait_s` until it may be asked (0: now), why it may not, and its use within its limit's window.

    `trying` marks a key that is back from a rest and is being tried by one request. `status` says why nobody should wait.
    """

    state: State = "fresh"
    wait_s: float = 0.0
    reason: str = ""
    trying: bool = False
    used: int = 0
    in_flight: int = 0
    status: int | None = None

    @property
    def free(self) -> bool:
        return self.wait_s <= 0


@attrs.define
class _Row:
    until: float = 0.0
    kind: FailureKind = FailureKind.AUTH
    refusals: int = 0  # rests in a row; above 0 once the rest is over, the key is half-open
    in_flight: int = 0
    used: deque[float] = attrs.field(factory=deque)
    last: float = float("-inf")


@attrs.define(eq=False)
class KeyBook:
    """One row per provider and number of its key. `limit` gives a provider's limit per key, None for none.

    A keyless provider has no key to lose: its number is -1, and nothing is kept of it.
    """

    limit: Callable[[str], KeyLimit | None] = attrs.field(default=lambda _: None)
    _rows: dict[tuple[str, int], _Row] = attrs.field(factory=dict)

    def order(self, provider: str, count: int, at: float, session: str = "") -> list[int]:
        """All of a provider's `count` keys, the one to be taken first in front; [0] stands for a keyless provider's none.

        A session has an order of its own (rendezvous hashing: a key more or less moves only the sessions it concerns).
        Without a session there is no cache to lose: the key with the fewest requests under way, then the one longest unused.
        """
        if count <= 1:
            return [0]
        if session:
            return sorted(range(count), key=lambda n: _draw(session, provider, n))
        rows = self._rows

        def busy(n: int) -> tuple[int, float, int]:
            row = rows.get((provider, n))
            return (row.in_flight, row.last, n) if row else (0, float("-inf"), n)

        return sorted(range(count), key=busy)

    def standing(self, provider: str, key: int, at: float) -> Standing:
        """How one key stands at `at`."""
        row = self._rows.get((provider, key))
        if row is None:
            return Standing()
        used, full_s = self._use(provider, row, at)
        known = Standing(used=used, in_flight=row.in_flight)
        if row.until > at:
            kind = row.kind
            wait_s = max(row.until - at, full_s)
            return attrs.evolve(known, state="resting", wait_s=wait_s, reason=kind.value, status=STATUSES[kind])
        if full_s > 0:
            return attrs.evolve(known, state="used up", wait_s=full_s, reason="usage limit", status=USED_UP_STATUS)
        if row.refusals:
            trying = row.in_flight > 0
            reason = "one request is trying it" if trying else ""
            wait_s = TRYING_WAIT_S if trying else 0.0
            return attrs.evolve(known, state="half-open", wait_s=wait_s, reason=reason, trying=trying)
        return known

    def best(self, provider: str, count: int, at: float) -> Standing:
        """The standing of the key that may be used first."""
        return min((self.standing(provider, n, at) for n in range(max(1, count))), key=lambda s: s.wait_s)

    def why(self, provider: str, count: int, at: float) -> tuple[int, str]:
        """The status and the words for keys that all rest: one reason where there is one, else how many for which."""
        standings = [self.standing(provider, n, at) for n in range(max(1, count))]
        statuses = Counter(s.status for s in standings if s.status is not None)
        if len(statuses) == 1:
            (status,) = statuses
            return status, f"every key {_ONE[status]}"
        told = [f"{n} {_ONE[status] if n == 1 else _MANY[status]}" for status, n in sorted(statuses.items())]
        return MIXED_STATUS, f"of {len(standings)} keys " + ", ".join(told)

    def take(self, provider: str, key: int, at: float) -> None:
        """One request begins with this key, which was found free in this very tick."""
        if key >= 0:
            row = self._row(provider, key)
            row.in_flight += 1
            row.last = at

    def give_back(self, provider: str, key: int) -> None:
        """It has ended. What it used of the key's allowance is counted by its events."""
        if key >= 0:
            self._row(provider, key).in_flight -= 1

    def fold(self, event: EngineEvent) -> None:
        match event:
            case TryEnded(key=key) if key >= 0:
                self._ended(event, self._row(event.candidate.provider, key))
            case FirstContent(key=key) | AttemptEnded(ending="won", key=key) if key >= 0:
                row = self._row(event.candidate.provider, key)
                if row.until <= event.at:  # what was begun before a refusal says nothing of the time after it
                    row.refusals = 0

    def _ended(self, event: TryEnded, row: _Row) -> None:
        failure = event.failure
        if _taken(failure) and self.limit(event.candidate.provider) is not None:
            row.used.append(event.at)
        if failure is None or VERDICTS[failure.kind].rests != "key":
            return
        if row.until <= event.at:  # those that were under way together are one refusal
            row.refusals = min(row.refusals + 1, 10)
        guess_s = grown_s(RESTS_S[failure.kind], row.refusals - 1, GROWN_S[failure.kind])
        rest_s = guess_s if failure.retry_after_s is None else min(failure.retry_after_s, MAX_REST_S)
        if event.at + rest_s >= row.until:
            row.until, row.kind = event.at + rest_s, failure.kind

    def _use(self, provider: str, row: _Row, at: float) -> tuple[int, float]:
        """Requests counted within the limit's window, and the seconds until there is room for another."""
        limit = self.limit(provider)
        if limit is None:
            row.used.clear()
            return 0, 0.0
        while row.used and row.used[0] <= at - limit.per_s:
            row.used.popleft()
        used = len(row.used)
        if used + row.in_flight < limit.requests:
            return used, 0.0
        if used < limit.requests:
            return used, TRYING_WAIT_S  # those under way may come to nothing
        return used, row.used[used - limit.requests] + limit.per_s - at

    def _row(self, provider: str, key: int) -> _Row:
        return self._rows.setdefault((provider, key), _Row())


def _draw(session: str, provider: str, key: int) -> bytes:
    return blake2b(f"{session}\0{provider}\0{key}".encode(), digest_size=8).digest()


def _taken(failure: Failure | None) -> bool:
    """Whether the host has taken the request, so that it counts. A cancelled one, as a loser's, was taken."""
    return failure is None or (failure.kind not in _NOT_TAKEN and (failure.status or 200) < 400)
