"""One candidate's turn: open, read to the first content, win or lose, relay to the end. One lexical block.

Splitting this into a task that reads and one that writes needs a channel between them, and a place where the stream has
no owner. Here the attempt that wins simply goes on. It may take up to three tries (a stale connection, the next key), all
under one first-content deadline; after first content a watchdog looks for silence, so that no time limit is set up per
read. What is still switchable is decided last: an error that arrives in the same read as the first content is still an
error before the commit.

To both clocks, to hedging and to the latency books, first content is the moment the provider begins to produce. The
arguments of a tool call count although they are held back: a long call would else look like a slow provider, be hedged
and be timed out. The commit alone waits for what may be shown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import attrs
import trio

from engine._events import EngineEvent, FirstContent, LessonLearned, PassedKey, QuotaTold, TryEnded, TryStarted
from engine._failure import NO_CONNECTION, AttemptError, Failure
from engine._lessons import Learned
from engine._ports import Ask, Permit, Reply, Transport, Upstream, Winner
from engine._quota import Quota
from engine._quoting import without_prompt
from engine._relay import Relay
from engine._request import Request
from engine._splice import Splice
from engine._stream import Kind, MalformedEvent, StreamEvent
from engine.config import Provider, Secret
from policies import FailureKind, Outcome, Step

#: HTTP exchanges one attempt may hold: enough for a stale connection and two refused keys.
MAX_TRIES = 3
#: Those in which it only learns what its host refuses come on top: some hosts name one field at a time.
MAX_REPAIRS = 5
#: Bytes held back before the commit. Only a late commit point can hold much; beyond this the answer counts as malformed.
MAX_HELD_BYTES = 64 * 1024 * 1024
#: Who goes on from another's text may think first, which nobody is shown: so long, in seconds, with half a text on the screen.
UNSEEN_S = 60.0
#: Failures by which a host finds something else to refuse: it has taken what was repaired before.
_REPAIRABLE = frozenset({FailureKind.FIELD, FailureKind.CAP, FailureKind.RESERVE, FailureKind.TOO_LONG})


class Host(Protocol):
    """What an attempt needs of its race."""

    request: Request
    reply: Reply

    @property
    def outcome(self) -> Outcome: ...
    @property
    def launched(self) -> int: ...
    def emit(self, event: EngineEvent) -> None: ...
    def transport(self, provider: Provider) -> Transport: ...
    def provider(self, step: Step) -> Provider: ...
    def request_for(self, step: Step) -> Request: ...
    def learned(self, step: Step) -> Learned: ...
    def next_key(self, attempt: Attempt, why: Failure) -> int | None: ...
    def passed_keys(self, attempt: Attempt) -> tuple[PassedKey, ...]: ...
    def showed_content(self, attempt: Attempt) -> None: ...
    def relay(self) -> Relay: ...
    def splice(self) -> Splice | None: ...
    async def show(self, events: list[StreamEvent]) -> None: ...
    async def commit(self, attempt: Attempt) -> None: ...
    def start_soon(self, task: Callable[[], Awaitable[Any]]) -> None: ...


@attrs.define(eq=False)
class Attempt:
    """The record of one attempt, and the attempt itself. `scope` is the launcher's: cancelled, the attempt has lost."""

    id: int
    step: Step
    key: int
    permit: Permit
    started_at: float
    scope: trio.CancelScope
    relay: Relay
    splice: Splice | None = None  #: this one goes on from what another has begun
    part: int = 0  #: as in `AttemptStarted`
    hedge: bool = False
    beside: bool = False
    failure: Failure | None = None
    first_content_at: float | None = None  #: when the provider began to produce
    committed: bool = False
    whole: bool = False  #: the message was relayed to its end
    ended: bool = False  #: and the client has taken the end as well
    sent: bool = False  #: a byte may have reached the provider
    held: list[StreamEvent] = attrs.field(factory=list)
    keys_used: set[int] = attrs.field(factory=set)
    clock: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    watch: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _quiet_since: float | None = None
    _fell_silent: bool = False
    _renewed: bool = False
    _learned: Learned = Learned()  # what this attempt's requests do without
    _lesson: Learned | None = None  # the last repair, until a try has got past what it was for
    _shortened: bool = False
    _repairs: int = 0
    _held_bytes: int = 0

    async def run(self, host: Host) -> None:
        """Take the turn. Afterwards `whole` or `failure` is set; Cancelled passes through."""
        self.clock.deadline = self.started_at + self.step.first_content_s
        failure: Failure | None = None
        with self.clock:
            failure = await self._tries(host)
        if self.clock.cancelled_caught:
            failure = self._timed_out(host)
        self.failure = failure

    async def _tries(self, host: Host) -> Failure | None:
        number = 1
        self._learned = host.learned(self.step)
        while True:
            failure = await self._try(host, number)
            if (
                failure is None
                or self.committed
                or number - self._repairs >= MAX_TRIES
                or not self._again(host, failure)
            ):
                return failure
            number += 1
            self.relay, self.splice, self.held, self._held_bytes = host.relay(), host.splice(), [], 0

    def _again(self, host: Host, failure: Failure) -> bool:
        """Whether one more try on this candidate is worth it; takes the next key where that is the remedy."""
        match host.outcome.verdict(failure.kind).again:
            case "stale connection":
                first, self._renewed = not self._renewed, True
                return failure.stale and first
            case "next key":
                key = host.next_key(self, failure)
                if key is None:
                    return False
                self.key = key
                return True
            case "lowered cap":
                if failure.cap is None or self._shortened:
                    return False
                self._shortened = True
                repair = lesson = Learned(cap=failure.cap)
                if failure.kind is FailureKind.RESERVE:
                    # How much room one prompt leaves is no lesson for the next; the size of the window is.
                    lesson = Learned(window=failure.window)
                self._repaired(repair, lesson)
                return True
            case "without the field":
                more = Learned(without=failure.fields - self._learned.without)
                self._repaired(more, more)
                return bool(more.without)
            case _:
                return False

    def _repaired(self, repair: Learned, lesson: Learned) -> None:
        self._learned, self._lesson = self._learned.also(repair), lesson
        self._repairs = min(self._repairs + 1, MAX_REPAIRS)

    def _note_lesson(self, host: Host, failure: Failure | None = None) -> None:
        """A repair is remembered once a request got past what it was for, be it to another refusal."""
        lesson, self._lesson = self._lesson, None
        known = host.learned(self.step)
        if lesson is None or known.also(lesson) == known:
            return
        if failure is not None and (failure.fields & lesson.without or (lesson.cap and failure.cap)):
            return
        host.emit(
            LessonLearned(
                at=trio.current_time(),
                request_id=host.request.id,
                candidate=self.step.candidate,
                cap=lesson.cap,
                window=lesson.window,
                without=lesson.without,
            )
        )

    async def _try(self, host: Host, number: int) -> Failure | None:
        provider = host.provider(self.step)
        key = provider.keys[self.key] if self.key >= 0 else None
        self.keys_used.add(self.key)
        where: dict[str, Any] = {"request_id": host.request.id, "attempt": self.id, "candidate": self.step.candidate}
        source = key.source if key else ""
        passed = host.passed_keys(self) if key else ()
        began_at = trio.current_time()
        host.emit(TryStarted(at=began_at, number=number, key=source, passed=passed, **where))
        failure: Failure | None = None
        via = ""
        try:
            await trio.lowlevel.checkpoint_if_cancelled()  # an attempt that has lost already opens nothing
            sent_before, self.sent = self.sent, True
            # Not kept here: a body is let go while its answer is still being relayed.
            async with host.transport(provider).open(self._ask(host, provider, key)) as upstream:
                via = upstream.via
                self._note_quota(host, upstream.quota)
                self._note_lesson(host)
                failure = without_prompt(await self._relay(host, upstream), host.request.raw)
        except AttemptError as error:
            failure = without_prompt(error.failure, host.request.raw)
            self._note_quota(host, failure.quota)
            if failure.kind in _REPAIRABLE:
                self._note_lesson(host, failure)
            if failure.kind in NO_CONNECTION:
                self.sent = sent_before
        except MalformedEvent as error:  # the reply has looked into what was relayed unread
            failure = Failure(kind=FailureKind.MALFORMED, message=str(error))
        finally:
            again = host.outcome.verdict(failure.kind).again if failure else "nothing"
            at = trio.current_time()
            ended = TryEnded(
                at=at,
                number=number,
                key=self.key,
                failure=failure,
                again=again,
                via=via,
                elapsed_s=at - began_at,
                **where,
            )
            host.emit(ended)
        return failure

    def _note_quota(self, host: Host, quota: Quota) -> None:
        if quota:
            at, who = trio.current_time(), self.step.candidate
            host.emit(QuotaTold(at=at, request_id=host.request.id, candidate=who, quota=quota, key=self.key))

    def _ask(self, host: Host, provider: Provider, key: Secret | None) -> Ask:
        return Ask(
            request=host.request_for(self.step),
            candidate=self.step.candidate,
            provider=provider,
            key=key,
            learned=self._learned,
            beside=self.beside,
        )

    async def _relay(self, host: Host, upstream: Upstream) -> Failure | None:
        relay = self.relay
        while not relay.finished:
            events = await upstream.read()
            await trio.lowlevel.checkpoint_if_cancelled()  # what will not be sent any more must not count as released
            if events is None:
                return self._cut_short()
            out = relay.feed(events)
            failure = self._broken()
            if failure is not None and not self.committed:
                return failure
            if relay.producing and self.first_content_at is None:
                self._note_content(host)
            if self.splice is not None:
                out = self.splice.feed(out)
            if out:
                self._quiet_since = None  # while the client is being written to, silence is not the provider's
                await self._show(host, out)
            if failure is not None:
                return failure
            if self._quiet_since is None or any(e.kind is not Kind.PING for e in events):
                self._quiet_since = trio.current_time()
        if not self.committed:
            # At the end of its window before the first word: a host that says so in no other way (Z.ai).
            full = relay.stop_reason == "model_context_window_exceeded"
            kind = FailureKind.TOO_LONG if full else FailureKind.EMPTY
            what = "without content" if self.splice is None else "that adds nothing"
            return Failure(kind=kind, message=f"a whole message {what}, stop_reason {relay.stop_reason}")
        self._quiet_since = None  # nothing more is expected of the provider, however long the client takes
        self.whole = True
        await host.reply.finish()
        self.ended = True
        return None

    def _note_content(self, host: Host) -> None:
        self.first_content_at = at = trio.current_time()
        self.clock.deadline = float("inf") if self.splice is None else self.started_at + UNSEEN_S
        host.emit(
            FirstContent(
                at=at,
                request_id=host.request.id,
                attempt=self.id,
                candidate=self.step.candidate,
                elapsed_s=at - self.started_at,
                need=host.request.need,
                key=self.key,
            )
        )
        self._quiet_since = at
        host.start_soon(lambda: self._watch_for_silence(self.step.idle_s))
        host.showed_content(self)

    async def _show(self, host: Host, out: list[StreamEvent]) -> None:
        if not self.committed:
            self.held += out
            if not (self.splice or self.relay).committable:
                self._bound_what_is_held(out)
                return
            await host.commit(self)
            self.committed, self.clock.deadline = True, float("inf")
            await host.reply.begin(Winner(candidate=self.step.candidate, attempts=host.launched))
            out, self.held = self.held, []
        await host.show(out)

    def _bound_what_is_held(self, out: list[StreamEvent]) -> None:
        self._held_bytes += sum(e.size for e in out)
        if self._held_bytes > MAX_HELD_BYTES:
            message = f"more than {MAX_HELD_BYTES >> 20} MiB before the commit point"
            raise AttemptError(Failure(kind=FailureKind.MALFORMED, message=message))

    async def _watch_for_silence(self, idle_s: float) -> None:
        """Cancel the attempt when its provider has said nothing for `idle_s`. One task a stream, none a read."""
        with self.watch:
            while True:
                now, quiet_since = trio.current_time(), self._quiet_since
                # The same sum as is slept until: a difference may round to just below `idle_s`, and be so for ever.
                due_at = (now if quiet_since is None else quiet_since) + idle_s
                if quiet_since is not None and now >= due_at:
                    self._fell_silent = True
                    self.clock.cancel()
                    return
                await trio.sleep_until(due_at)

    # How it can end badly.

    def _timed_out(self, host: Host) -> Failure:
        if self._fell_silent:
            return Failure(kind=FailureKind.IDLE_TIMEOUT, message=f"silent for {self.step.idle_s:g} s")
        limit_s = self.step.first_content_s if self.first_content_at is None else UNSEEN_S
        message = f"no content {'' if self.first_content_at is None else 'to show '}within {limit_s:g} s"
        return Failure(kind=FailureKind.FIRST_CONTENT_TIMEOUT, message=message)

    def _broken(self) -> Failure | None:
        relay = self.relay
        if relay.error is not None:
            kind, text = relay.error.get("type", "error"), relay.error.get("message", "")
            return Failure(kind=FailureKind.ERROR_EVENT, message=f"{kind}: {text}"[:500])
        if relay.malformed:
            return Failure(kind=FailureKind.MALFORMED, message=relay.malformed)
        return None

    def _cut_short(self) -> Failure:
        """The answer ended without `message_stop`."""
        if not self.relay.started:
            return Failure(kind=FailureKind.EMPTY, message="no event in the answer")
        if not self.relay.content:
            return Failure(kind=FailureKind.EMPTY, message="the answer ended without content")
        return Failure(kind=FailureKind.RESET, message="the answer ended in the middle")
