"""What a failure means: what happens next, and who is to blame.

Retry logic grows `if status == ...` ladders in three places that disagree, and a breaker that trips because a client sent
nonsense. Here every failure has one kind and every kind one row. A skip, a loser, a client that left and a client's
mistake are nobody's failure.
"""

from __future__ import annotations

import enum
from typing import Literal

import attrs


class FailureKind(enum.Enum):
    """Every way an attempt can fail. The texts are what people read and, with hyphens, what `on-failure` is told."""

    CONNECT = "connect"  #: refused, DNS, TLS, no route
    RESET = "reset"  #: the connection broke, or was closed early
    CONNECT_TIMEOUT = "connect timeout"
    FIRST_CONTENT_TIMEOUT = "first content timeout"
    IDLE_TIMEOUT = "idle timeout"
    SERVER = "server error"  #: 408, 409, 425, 500, 502, 504, 520-524
    OVERLOADED = "overloaded"  #: 503, 529
    RATE_LIMITED = "rate limited"  #: 429
    QUOTA = "out of quota"  #: 402, or a text that says so
    AUTH = "key refused"  #: 401, 403
    ERROR_EVENT = "error in the stream"
    EMPTY = "empty answer"
    MALFORMED = "malformed answer"
    TOO_LONG = "prompt too long"
    RESERVE = "no room for the answer"  #: the prompt fits, the answer asked for does not fit behind it
    CAP = "max_tokens too high"
    FIELD = "field not supported"
    FILTERED = "refused by a filter"  #: the host's own, of what may be said to it: others have others
    CLIENT = "bad request"  #: any other 400, 422, 413
    GONE = "model not found"  #: 404
    DEADLINE = "deadline of the turn"
    BUG = "internal error"  #: a fault of ours in one dialect; it must not cost the turn


class Next(enum.Enum):
    """What becomes of the request."""

    NEXT = "next"  #: the next step
    BIGGER = "bigger window"  #: the next step whose window holds the prompt
    STOP = "stop"  #: the client's fault: nobody else is asked


#: What is put out by the failure, beside the attempt itself.
Rests = Literal["nothing", "scope", "key", "candidate"]
#: What is worth one more try on the same candidate, under the same first-content deadline.
Again = Literal["nothing", "stale connection", "next key", "lowered cap", "without the field"]


@attrs.frozen(kw_only=True)
class Verdict:
    """One row of the table. `counts`: against the candidate's health (in an unlimited scope `counts_unlimited`)."""

    next: Next = Next.NEXT
    counts: bool = False
    counts_unlimited: bool = False
    rests: Rests = "nothing"
    again: Again = "nothing"

    def blames(self, *, unlimited: bool) -> bool:
        """Whether the failure counts against health."""
        return self.counts or (unlimited and self.counts_unlimited)


_COUNTS = Verdict(counts=True)

VERDICTS: dict[FailureKind, Verdict] = {
    FailureKind.CONNECT: _COUNTS,
    FailureKind.RESET: Verdict(counts=True, again="stale connection"),
    FailureKind.CONNECT_TIMEOUT: _COUNTS,
    FailureKind.FIRST_CONTENT_TIMEOUT: _COUNTS,
    FailureKind.IDLE_TIMEOUT: _COUNTS,
    FailureKind.SERVER: _COUNTS,
    FailureKind.OVERLOADED: Verdict(counts=True, rests="scope"),
    FailureKind.RATE_LIMITED: Verdict(counts_unlimited=True, rests="scope", again="next key"),
    FailureKind.QUOTA: Verdict(rests="key", again="next key"),
    FailureKind.AUTH: Verdict(rests="key", again="next key"),
    FailureKind.ERROR_EVENT: _COUNTS,
    FailureKind.EMPTY: _COUNTS,
    FailureKind.MALFORMED: _COUNTS,
    FailureKind.TOO_LONG: Verdict(next=Next.BIGGER),
    FailureKind.RESERVE: Verdict(next=Next.BIGGER, again="lowered cap"),
    FailureKind.CAP: Verdict(again="lowered cap"),
    FailureKind.FIELD: Verdict(again="without the field"),
    FailureKind.FILTERED: Verdict(),
    FailureKind.CLIENT: Verdict(next=Next.STOP),
    FailureKind.GONE: Verdict(rests="candidate"),
    FailureKind.DEADLINE: Verdict(next=Next.STOP),
    FailureKind.BUG: Verdict(),
}
