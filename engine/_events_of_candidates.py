"""The facts of candidates and their providers, which outlive the turn that found them out: health, limits, lessons.

Whoever keeps such a thing as state alone, a breaker's or a scope's, can show what it is now and never why. Here each change
is stated with its cause, and an operator's word is an event like any other: a recorded log holds it too.
"""

from __future__ import annotations

from typing import Literal

import attrs

from engine._bill import NO_BILL, Bill
from engine._event import EngineEvent
from engine._failure import Failure
from engine._quota import Quota
from engine._size import Estimate
from policies import Candidate


@attrs.frozen(kw_only=True)
class BreakerChanged(EngineEvent):
    """`candidate` has the model `*` where the provider as a whole is meant. `for_s`: for how long it opens.

    `by` is who did it, where it was not the candidate's own doing: `operator`.
    """

    candidate: Candidate
    before: str
    after: str
    reason: str
    for_s: float = 0.0
    by: str = ""


@attrs.frozen(kw_only=True)
class HealthCheckStarted(EngineEvent):
    """A tiny request of our own goes to a candidate. It is no client's, and in no account of requests or attempts."""

    candidate: Candidate


@attrs.frozen(kw_only=True)
class HealthChecked(EngineEvent):
    """What came of it. `counts`: the failure speaks against the candidate's health. `bill`: what it cost, beside all requests.

    Neither `ok` nor a failure: it was given up.
    """

    candidate: Candidate
    ok: bool
    elapsed_s: float
    failure: Failure | None = None
    counts: bool = False
    bill: Bill = NO_BILL
    by: str = ""


@attrs.frozen(kw_only=True)
class ProviderReset(EngineEvent):
    """Somebody says that a provider is well again: what was held against it and its models is forgotten."""

    provider: str
    by: str


@attrs.frozen(kw_only=True)
class ProviderStance(EngineEvent):
    """Somebody says whether a provider may be asked, until further notice: `draining` for known conversations alone."""

    provider: str
    stance: Literal["enabled", "draining", "disabled"]
    by: str


@attrs.frozen(kw_only=True)
class ScopeBlocked(EngineEvent):
    provider: str
    key: int
    for_s: float
    reason: str


@attrs.frozen(kw_only=True)
class QuotaTold(EngineEvent):
    """A provider has said, with the head of an answer or of a refusal, what is left of its limits."""

    candidate: Candidate
    quota: Quota
    #: As in `TryEnded`.
    key: int = -1


@attrs.frozen(kw_only=True)
class LessonLearned(EngineEvent):
    """What a candidate was found to refuse, after a request put right accordingly got past it; see `Learned`."""

    candidate: Candidate
    cap: int | None = None
    window: int | None = None
    without: frozenset[str] = frozenset()


@attrs.frozen(kw_only=True)
class TokensCounted(EngineEvent):
    """A candidate was asked to count a prompt. `tokens` is None where it did not; `lasting`: it has no such door."""

    candidate: Candidate
    wire: str
    tokens: int | None = None
    lasting: bool = False
    estimate: Estimate | None = None


@attrs.frozen(kw_only=True)
class InternalError(EngineEvent):
    """A fault of ours that cost an attempt and not the turn. `trace` names code positions only, never data."""

    where: str
    trace: str
