"""What the engine asks of the outside: a way to a provider, and a way to the client.

The engine never sees a socket. A transport opens one exchange and yields batches of stream events; a reply takes batches
and does what its client asked for, a stream or one JSON object. Tests put scripted ones in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs

from engine._failure import Failure
from engine._lessons import Learned
from engine._quota import Quota
from engine._request import Request
from engine._stream import StreamEvent
from engine.config import Provider, Secret
from policies import Candidate, Step


@attrs.frozen(kw_only=True)
class Ask:
    """One exchange to be had: who asks whom for what, and with which key."""

    request: Request
    candidate: Candidate
    provider: Provider
    key: Secret | None = None
    #: What this candidate is known to refuse.
    learned: Learned = Learned()
    #: Started beside a running attempt: it may well be cancelled.
    beside: bool = False


class Upstream(Protocol):
    """An open exchange whose answer has begun well. `via` is what it comes over: `http`, `websocket`, `process`.

    `quota` is what the head of the answer told of the provider's limits; empty where it told nothing.
    """

    via: str
    quota: Quota

    async def read(self) -> list[StreamEvent] | None:
        """The events of the next read, possibly none; None at the end. Raises AttemptError."""


class Transport(Protocol):
    """A way to the providers of one wire."""

    def open(self, ask: Ask) -> AbstractAsyncContextManager[Upstream]:
        """Send the request and await the head of the answer. Entering raises AttemptError; leaving closes at once."""


class Counter(Protocol):
    """A way to hosts that count a prompt without answering it."""

    def speaks(self, provider: Provider) -> bool:
        """Whether there is a door for counting on this provider's wire, as far as is known."""

    async def count(self, ask: Ask) -> int:
        """The prompt's tokens by the host's own count, above 0. Raises AttemptError."""


@attrs.frozen(kw_only=True)
class Winner:
    """Who answers, and after how many attempts."""

    candidate: Candidate
    attempts: int


@attrs.frozen(kw_only=True)
class Refusal:
    """An error as the answer: status, Anthropic error type, a line a person can act on, and how the client should retry.

    `body` is an upstream error object to be passed on unmodified, since clients match its wording.
    """

    status: int
    type: str
    message: str
    retry_after_s: int | None = None
    should_retry: bool | None = None
    body: bytes | None = attrs.field(default=None, repr=False)


class Reply(Protocol):
    """The only writer to the client. Any of these may block on a slow reader; none may be called after an ending."""

    @property
    def visible(self) -> bool:
        """Whether the client has been shown anything of the message."""

    async def begin(self, winner: Winner) -> None:
        """The winner is known: the head may go out."""

    async def send(self, events: Sequence[StreamEvent]) -> None:
        """Events of the message, whole frames in grammatical order."""

    async def finish(self) -> None:
        """The message is whole."""

    async def refuse(self, refusal: Refusal) -> None:
        """There is no message; or, where a head is out, an `error` event and a proper end."""

    async def reset(self) -> None:
        """Break the connection off, so that the client takes the answer for lost and asks again."""

    def discard(self) -> None:
        """Forget what was taken in for a client that has seen nothing of it: the answer starts again."""


class Permit(Protocol):
    """The right to send one attempt's requests. Release exactly once. `key` is the key's number, -1 for none.

    `passed` are the numbers of the keys that would have come first, each with the reason and the wait in seconds.
    """

    @property
    def key(self) -> int: ...

    @property
    def passed(self) -> Sequence[tuple[int, str, float]]: ...

    def another(self, beside: frozenset[int]) -> int | None:
        """Go over to a key of the same provider that is not in `beside` and has room now; its number, None for none.

        The slot moves along; what was sent with the key before stays counted.
        """

    def release(self, *, sent: bool, tokens: int | None = None) -> None:
        """Give back the slot; and the window entry too, where not a byte was sent.

        `tokens` is what the requests took of a window of tokens, None where nobody has said.
        """


@attrs.frozen(kw_only=True, eq=False)
class Asker:
    """One request, as the gate knows it: whose it is, and what it will probably take of a window of tokens."""

    session: str = ""
    tokens: int = 0


@attrs.frozen(kw_only=True)
class Busy:
    """Not now: why, and how many seconds it may take. `status` marks a cause that nobody should wait for; see `Skip`."""

    by: str
    reason: str
    wait_s: float
    status: int | None = None


class Gate(Protocol):
    """The last check before a launch. The local one decides at once; a shared one may wait, bounded."""

    async def acquire(self, step: Step, keys: int, asker: Asker | None = None) -> Permit | Busy:
        """A permit, or why there is none. `keys` is how many keys the provider has in the request's own snapshot.

        A session keeps to one of them while it is well: prompt caches belong to an account. Those who wait go before.
        """

    def enlist(self, asker: Asker, wanted: Sequence[tuple[Step, int]]) -> list[Step]:
        """Wait for a permit for any of these, each with its provider's number of keys. Those whose line is full come back."""

    async def turn(self, asker: Asker, within_s: float) -> Step | None:
        """The step for which a permit is kept now; it is to be acquired at once. None after `within_s` seconds."""

    def leave(self, asker: Asker) -> None:
        """Wait no longer. What is kept for this one goes to the next. To be called whatever happens."""


@attrs.frozen(kw_only=True)
class Fault:
    """One attempt's failure, with its author, for the answer that lists them."""

    candidate: Candidate
    failure: Failure
