"""The value that policies transform: who is asked, when, and who is not and why.

A router usually decides while it acts, and the decision is gone once the request is. Here the decision is a value made
before anything is sent. It is what the engine interprets, what the operator is shown, and what a test compares: the plan
is the explanation.
"""

from __future__ import annotations

import enum
from typing import Any, Literal

import attrs

from policies._facts import Candidate
from policies._verdict import VERDICTS, FailureKind, Verdict

CommitPoint = Literal["content", "block", "tool", "message"]
RescueMode = Literal["whole-blocks", "off"]


class Charge(enum.Enum):
    """What it takes to start a step while another attempt is still running.

    After a failure every step may start; the charge speaks only of starting beside a running attempt.
    """

    FREE = "free"  #: part of a race: never charged
    BUDGET = "budget"  #: a hedge: one withdrawal from the chain's hedge budget
    NEVER = "never"  #: only after a failure


@attrs.frozen(kw_only=True)
class Step:
    """One candidate's place in the plan.

    `patience_s` is how long after this step's launch the next may start although this one has not failed: None waits
    for a failure (sequence), a number is a hedge, 0 is a race. `first_content_s` bounds the wait for first content,
    `idle_s` the silence after it. `not_before_s` holds the launch back, in seconds from the making of the plan.
    `unlimited` lifts rate windows and 429 blocks for this step. `alone`: nobody is started beside it for want of patience,
    also where it moves up into another's place. `denied` is why this step is never a hedge, where it might have been one;
    `denies` why no hedge is started beside it, although its patience is over. `behind` says why it stands behind others
    that it would come before. `last_resort`: everybody is ejected for longer than the request may wait, so its breaker lets
    it through before its time, with one request at once.
    """

    candidate: Candidate
    patience_s: float | None = None
    first_content_s: float = 60.0
    idle_s: float = 60.0
    charge: Charge = Charge.NEVER
    not_before_s: float = 0.0
    unlimited: bool = False
    alone: bool = False
    denied: str = ""
    denies: str = ""
    behind: str = ""
    last_resort: bool = False


@attrs.frozen(kw_only=True)
class Skip:
    """A candidate passed over. `wait_s` is None for a hard skip (out for this request), else when it may be back.

    `status` is the HTTP status that tells the cause, where it is one that no waiting mends: 401, 402, 404, and 413 for a
    prompt that fits into no window. `first_content_s` and
    `idle_s` are the candidate's own time limits, should it be asked later after all; None leaves it to the chain's.
    `denied` is as in `Step`.
    """

    candidate: Candidate
    by: str
    reason: str
    wait_s: float | None = None
    status: int | None = None
    first_content_s: float | None = None
    idle_s: float | None = None
    denied: str = ""

    @property
    def soft(self) -> bool:
        return self.wait_s is not None


@attrs.frozen(kw_only=True)
class Limits:
    """How far a request may go. Seconds, except the two counts.

    Sources of the defaults: 60 and 20 s to first content, 60 s idle and 600 s in all come from what Claude Code was
    measured to tolerate (it gives up after 300 s of silence and retries ten times), with room for long prompts on
    local models. `max_wait_s` is four times a breaker's `open_s`: eleven requests that wait so long outlast ten minutes in
    which nobody answers. `retry_waits_s` has the wait before each further attempt at somebody who has failed, none by
    default. `given` names the limits that a policy has set: the first replaces the default, more take the minimum.
    """

    max_attempts: int = 6
    max_in_flight: int = 2
    max_wait_s: float = 120.0
    deadline_s: float = 600.0
    first_content_s: float = 60.0
    fallback_first_content_s: float = 20.0
    idle_s: float = 60.0
    retry_waits_s: tuple[float, ...] = ()
    given: frozenset[str] = frozenset()

    def tightened(self, **values: float) -> Limits:
        """The same limits with each of `values` in force: replacing a default, or the smaller of two that were given."""
        new: dict[str, Any] = {k: min(v, getattr(self, k)) if k in self.given else v for k, v in values.items()}
        return attrs.evolve(self, **new, given=self.given.union(values))

    def within(self, own: float | None, name: str) -> float:
        """A time limit for one candidate: its own in place of a default, the smaller of it and a policy's."""
        said: float = getattr(self, name)
        return said if own is None else min(own, said) if name in self.given else own


@attrs.frozen(kw_only=True)
class Outcome:
    """When the winner is chosen, what is done for an answer whose winner broke, and the rows of the verdict table that
    this chain has replaced, sorted by kind."""

    commit_at: CommitPoint = "content"
    rescue: RescueMode = "whole-blocks"
    verdicts: tuple[tuple[FailureKind, Verdict], ...] = ()

    def verdict(self, kind: FailureKind) -> Verdict:
        """What a failure means to this plan."""
        return next((row for replaced, row in self.verdicts if replaced is kind), VERDICTS[kind])


@attrs.frozen(kw_only=True)
class Plan:
    """What became of a chain for one request. `chain` is the file order; steps and skipped together are the chain."""

    chain: tuple[Candidate, ...] = ()
    steps: tuple[Step, ...] = ()
    skipped: tuple[Skip, ...] = ()
    limits: Limits = Limits()
    outcome: Outcome = Outcome()
    lifted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, candidates: tuple[Candidate, ...]) -> Plan:
        """Everybody, in file order, nobody skipped. A candidate listed twice counts once."""
        chain = tuple(dict.fromkeys(candidates))
        return cls(chain=chain, steps=tuple(Step(candidate=c) for c in chain))

    def skipping(self, *skips: Skip) -> Plan:
        """The plan without the steps of the skipped candidates, the skips recorded in order."""
        gone = {skip.candidate for skip in skips}
        kept = tuple(step for step in self.steps if step.candidate not in gone)
        return attrs.evolve(self, steps=kept, skipped=self.skipped + skips)

    def position(self, candidate: Candidate) -> int:
        """Where the file lists the candidate."""
        return self.chain.index(candidate)
