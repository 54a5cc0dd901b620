"""The facts of a turn: its request, its plan, its attempts and their tries, what it cost, how it ended.

A fact that is stated only where all goes well is missing from every account of what does not. So exactly one `AttemptEnded`
follows each `AttemptStarted`, and one `RequestFinished` each `RequestAccepted`, cancelled or not.
"""

from __future__ import annotations

from typing import Literal

import attrs

from engine._bill import NO_BILL, NO_TOTALS, Bill, Totals
from engine._event import EngineEvent
from engine._failure import Failure
from engine._size import Estimate
from engine._stream import NO_USAGE, Usage
from policies import Candidate, Need, Plan, Policy, Skip, Verdict, View


@attrs.frozen(kw_only=True)
class RequestAccepted(EngineEvent):
    model: str
    chain: str
    how: str
    need: Need
    session: str = ""
    agent: str = ""
    #: Share of requests that this chain may hedge: what the request deposits into the chain's budget.
    extra_load: float = 0.0
    #: The request's own policies, beside those of its chain.
    policies: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class PlanMade(EngineEvent):
    chain: str
    plan: Plan
    view: View
    #: What the plan was folded from: the chain's policies and the request's own.
    policies: tuple[Policy, ...] = ()


@attrs.frozen(kw_only=True)
class AnsweredLocally(EngineEvent):
    """A probe that nobody was asked for; `wall_s` is the time of day, as in the view of others."""

    probe: str
    wall_s: float


@attrs.frozen(kw_only=True)
class RequestShared(EngineEvent):
    """An identical request, `leader`, was under way: this one hears its answer, and asks nobody."""

    leader: str


@attrs.frozen(kw_only=True)
class CandidateSkipped(EngineEvent):
    """A step found busy at the moment of its launch: once for each reason. The plan's own skips are in `PlanMade`."""

    skip: Skip


@attrs.frozen(kw_only=True)
class AttemptStarted(EngineEvent):
    attempt: int
    candidate: Candidate
    #: Started beside a running attempt, and charged to the budget.
    hedge: bool = False
    #: Started beside a running attempt at all.
    beside: bool = False
    #: Which part of the message it is to write: 0 for all of it, n for the rest after the nth break.
    part: int = 0


@attrs.frozen(kw_only=True)
class PassedKey:
    """A key that would have been taken first, by variable and number, and why it was not."""

    key: str
    reason: str
    wait_s: float


@attrs.frozen(kw_only=True)
class TryStarted(EngineEvent):
    """`key` is the variable that the key is from, with its number where that holds several: `GROQ_API_KEYS[2]`."""

    attempt: int
    candidate: Candidate
    number: int
    key: str = ""
    passed: tuple[PassedKey, ...] = ()


@attrs.frozen(kw_only=True)
class TryEnded(EngineEvent):
    attempt: int
    candidate: Candidate
    number: int
    #: The number of the provider's key, from 0; -1 where it has none.
    key: int = 0
    failure: Failure | None = None
    again: str = "nothing"
    #: What the answer came over, where one began: `http`, `websocket`, `process`.
    via: str = ""
    elapsed_s: float = 0.0


@attrs.frozen(kw_only=True)
class KeyRotated(EngineEvent):
    """An attempt goes on with another key of its provider, since `before` was refused. Keys by variable and number."""

    attempt: int
    candidate: Candidate
    before: str
    after: str
    reason: str


@attrs.frozen(kw_only=True)
class FirstContent(EngineEvent):
    attempt: int
    candidate: Candidate
    elapsed_s: float
    need: Need
    #: As in `TryEnded`.
    key: int = -1


@attrs.frozen(kw_only=True)
class HedgeDenied(EngineEvent):
    chain: str
    candidate: Candidate
    reason: str


@attrs.frozen(kw_only=True)
class Committed(EngineEvent):
    attempt: int
    candidate: Candidate
    losers: tuple[int, ...]


Ending = Literal["won", "failed", "lost", "abandoned"]


@attrs.frozen(kw_only=True)
class AttemptEnded(EngineEvent):
    """`won` relayed a whole message; `lost` was cancelled by another's commit; `abandoned` by client, deadline, shutdown.

    `counts` says whether a failure is held against the candidate's health, after scope and verdict were considered.
    """

    attempt: int
    candidate: Candidate
    ending: Ending
    elapsed_s: float
    need: Need
    first_content_s: float | None = None
    failure: Failure | None = None
    verdict: Verdict | None = None
    counts: bool = False
    committed: bool = False
    by: str = ""
    usage: Usage = NO_USAGE
    #: What it is charged for: tokens, reported or estimated, and their cost.
    bill: Bill = NO_BILL
    estimate: Estimate | None = None
    #: As in `TryEnded`.
    key: int = -1
    #: The client's session; empty where it named none.
    session: str = ""
    #: As in `AttemptStarted`.
    part: int = 0
    #: Tool calls that came whole, and how many of them no client could run; see `_calls`.
    tool_calls: int = 0
    tool_errors: int = 0


@attrs.frozen(kw_only=True)
class Rescued(EngineEvent):
    """`attempt` broke after the client had seen `shown_chars` of its text; the committed attempt `by_attempt` goes on.

    `state` is `text open` or `text finished`, `part` the number of the part that is written now, from 1.
    """

    attempt: int
    candidate: Candidate
    by_attempt: int
    by: Candidate
    part: int
    shown_chars: int
    state: str


@attrs.frozen(kw_only=True)
class RequestFinished(EngineEvent):
    """`outcome`: `answered`, `refused` (an error was the answer), `broken` (after content), `abandoned`."""

    outcome: Literal["answered", "refused", "broken", "abandoned"]
    candidate: Candidate | None = None
    attempts: int = 0
    elapsed_s: float = 0.0
    status: int | None = None
    detail: str = ""
    #: The sum of its attempts' bills, all of them.
    totals: Totals = NO_TOTALS


@attrs.frozen(kw_only=True)
class AffinityChanged(EngineEvent):
    """A conversation is at home with another candidate from now on."""

    session: str
    agent: str
    before: str
    after: str
    reason: str


@attrs.frozen(kw_only=True)
class AffinityBroken(EngineEvent):
    """A turn was answered away from its conversation's home, and what was expected of either place when it was planned.

    `warm_tokens_lost` had to be read again; `usd` is what that cost more than at home, and `price_s` all of it in seconds.
    """

    session: str
    agent: str
    home: str
    instead: str
    reason: str
    wait_here_s: float
    wait_there_s: float
    warm_tokens_lost: int
    usd: float
    price_s: float

    @property
    def saved_s(self) -> float:
        """What the move has saved, in seconds, as far as was expected; below zero it has cost that much."""
        return self.wait_here_s - self.wait_there_s - self.price_s
