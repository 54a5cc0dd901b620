"""Which keys and which candidates are resting, and until when: a fold over events.

A refused key is usually taken out until somebody restarts the process. Keys come back: a plan is paid, a quota resets, a
typo at the provider's end is mended. So a key rests, longer for an empty account than for a refusal, and is tried again.
A model that is gone rests likewise, alone.
"""

from __future__ import annotations

import attrs

from engine._events import AttemptEnded, EngineEvent, TryEnded
from engine._failure import Failure
from policies import VERDICTS, Candidate, FailureKind

#: Seconds of rest where the provider names no time, by kind of failure.
RESTS_S = {FailureKind.AUTH: 300.0, FailureKind.QUOTA: 3600.0, FailureKind.GONE: 900.0}
#: The HTTP status that says why a key rests.
KEY_STATUSES = {FailureKind.AUTH: 401, FailureKind.QUOTA: 402}
#: The longest rest that a provider may ask for: a day, since quotas reset daily.
MAX_REST_S = 86_400.0


@attrs.define(eq=False)
class RestBook:
    """Resting keys by (provider, number), resting candidates by name."""

    _keys: dict[tuple[str, int], float] = attrs.field(factory=dict)
    _kinds: dict[tuple[str, int], FailureKind] = attrs.field(factory=dict)
    _candidates: dict[str, float] = attrs.field(factory=dict)

    def key(self, provider: str, count: int, at: float, *, beside: frozenset[int] = frozenset()) -> int | None:
        """The first of a provider's `count` keys that may be used and is not in `beside`; None where all rest.

        The first, not the next in turn: prompt caches belong to an account, and a session that wanders loses them.
        """
        return next((n for n in self.keys(provider, count, at) if n not in beside), None)

    def keys(self, provider: str, count: int, at: float) -> list[int]:
        """All of a provider's `count` keys that may be used, in order; [0] stands for a keyless provider's none."""
        return [n for n in range(max(1, count)) if self._keys.get((provider, n), 0.0) <= at]

    def key_wait_s(self, provider: str, count: int, at: float) -> float:
        """Seconds until one of the keys may be used, 0 for now."""
        return max(0.0, min(self._keys.get((provider, n), 0.0) for n in range(max(1, count))) - at)

    def key_kind(self, provider: str, count: int) -> FailureKind:
        """Why the key that is back first rests: AUTH or QUOTA."""
        soonest = min(range(max(1, count)), key=lambda n: self._keys.get((provider, n), 0.0))
        return self._kinds.get((provider, soonest), FailureKind.AUTH)

    def gone_wait_s(self, candidate: Candidate, at: float) -> float:
        """Seconds until a candidate whose model was not found is tried again."""
        return max(0.0, self._candidates.get(candidate.name, 0.0) - at)

    def fold(self, event: EngineEvent) -> None:
        match event:
            case TryEnded(failure=Failure() as failure) if VERDICTS[failure.kind].rests == "key":
                self._rest(event.candidate.provider, event.key, failure, event.at)
            case AttemptEnded(failure=Failure() as failure, verdict=verdict) if (
                verdict and verdict.rests == "candidate"
            ):
                self._candidates[event.candidate.name] = event.at + RESTS_S[failure.kind]

    def _rest(self, provider: str, key: int, failure: Failure, at: float) -> None:
        if key < 0:
            return  # a keyless provider has no key to lose
        rest_s = failure.retry_after_s if failure.retry_after_s is not None else RESTS_S[failure.kind]
        self._kinds[provider, key] = failure.kind
        self._keys[provider, key] = max(self._keys.get((provider, key), 0.0), at + min(rest_s, MAX_REST_S))
