"""How an attempt fails, as a value.

Exceptions of four libraries and the error texts of thirty providers would spread through the engine if they were let in.
Each is turned into a `Failure` at the edge where it appears; from there on only its kind matters.

    EngineError
      AttemptError      one attempt, one failure; raised by transports, never seen outside an attempt
      NoSuchModel       nothing in the configuration answers to the requested name
"""

from __future__ import annotations

import attrs

from engine._quota import Quota
from policies import VERDICTS, FailureKind

#: Failures without a connection: nothing was sent, so neither request nor model is to blame.
NO_CONNECTION = frozenset({FailureKind.CONNECT, FailureKind.CONNECT_TIMEOUT})


@attrs.frozen(kw_only=True)
class Failure:
    """What went wrong with one attempt.

    `message` is for people and holds no secret. `status` and `body` are the provider's own answer where it gave one,
    `retry_after_s` its wish, already parsed. `stale` marks a reused connection that died before any byte of an answer.
    `tokens` is (needed, maximum) where a prompt was too long and the provider gave the numbers. `cap` is the longest
    answer it would give, in tokens, `window` the window it names as such, `fields` are those of the
    request that it refuses: what one more try can mend. `bad_call`: what was malformed is a tool call. `quota` is what the
    headers told of the provider's limits.
    """

    kind: FailureKind
    message: str
    status: int | None = None
    retry_after_s: float | None = None
    body: bytes | None = attrs.field(default=None, repr=False)
    native: bool = False
    upstream_id: str | None = None
    stale: bool = False
    tokens: tuple[int, int] | None = None
    cap: int | None = None
    window: int | None = None
    fields: frozenset[str] = frozenset()
    quota: Quota = ()
    bad_call: bool = False

    @property
    def may_pass(self) -> bool:
        """Whether the same may go well in a moment: what the provider is to blame for, or has asked to wait for."""
        verdict = VERDICTS[self.kind]
        return verdict.counts or verdict.rests == "scope"

    def __str__(self) -> str:
        status = f" ({self.status})" if self.status else ""
        return f"{self.kind.value}{status}: {self.message}" if self.message else f"{self.kind.value}{status}"


class EngineError(Exception):
    """Base of what the engine raises on purpose."""


class AttemptError(EngineError):
    """A transport's word that its attempt has failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class NoSuchModel(EngineError):
    """The requested name resolves to nothing. The text lists what would; `status` is 404, or 400 for a name in a header
    or field of ours, where it is a mistake of the client's and no model that may be missing."""

    def __init__(self, message: str, status: int = 404) -> None:
        super().__init__(message)
        self.status = status
