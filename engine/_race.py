"""One request's attempts, in one nursery: started by the pacer, one winner, the losers cancelled.

Happy eyeballs looks like the model: start, wait a little, start the next, keep the first that connects. It breaks when the
winner has to go on streaming. Handing a stream from the attempt's task to the request's leaks it when a cancellation
falls between the two; cancelling "all the others" misses one that was spawned in the same tick; two that become ready in
the same tick both win. So here the winner keeps its own task and relays from there; the launcher makes each attempt's
cancel scope before the attempt exists; and the choice of the winner and the cancellation of the losers are one step
without a checkpoint.

A race may be run again after its winner broke before the client saw anything: it goes on with the steps that are left,
those first that had lost to a commit which the client never learned of.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import trio

from engine._attempt import Attempt
from engine._bill import Bill
from engine._books import Books
from engine._bus import EventBus, trace_of
from engine._events import (
    AttemptEnded,
    AttemptStarted,
    CandidateSkipped,
    Committed,
    EngineEvent,
    HedgeDenied,
    InternalError,
    KeyRotated,
    LessonLearned,
    PassedKey,
    Rescued,
)
from engine._events import Ending as AttemptEnding
from engine._failure import Failure
from engine._ledger import Spent, billed
from engine._lessons import Learned
from engine._pacer import Deny, Launch, Over, Pacer, Pause, Wait
from engine._ports import Asker, Busy, Fault, Gate, Permit, Reply, Transport
from engine._relay import Relay
from engine._request import Request
from engine._rescue import can_continue, continuation
from engine._scopes import MAX_BLOCK_S, expected_tokens, used_tokens
from engine._shown import Seen, Shown
from engine._splice import Splice
from engine._stream import StreamEvent
from engine.config import Config, Provider
from policies import (
    VERDICTS,
    Candidate,
    FailureKind,
    Limits,
    Next,
    Outcome,
    Plan,
    Skip,
    Step,
    Unlimited,
    Verdict,
    no_room_at,
    no_room_in,
)

#: When a request that finds too many others waiting may come again, in seconds: as long as some of them will have taken.
CROWDED_S = 5.0


@attrs.define(eq=False)
class Race:
    """The attempts of one request. Run it, then look at `winner` and `faults`.

    `cause` says why the request as a whole was given up (`client`, `deadline`, `shutdown`), for attempts that neither won,
    failed nor lost. `empty` keeps a whole but empty message, for want of anything better. `broken` is the last winner that
    broke, `shown` what the client has seen of the message, whoever wrote it.
    """

    request: Request
    reply: Reply
    plan: Plan
    chain: str
    config: Config
    books: Books
    bus: EventBus
    gate: Gate
    transports: Callable[[Provider], Transport]
    cause: Callable[[], str]
    pacer: Pacer
    winner: Attempt | None = None
    broken: Attempt | None = None
    shown: Shown = attrs.field(factory=Shown)
    faults: list[Fault] = attrs.field(factory=list)
    empty: tuple[Candidate, list[StreamEvent]] | None = None
    running: dict[int, Attempt] = attrs.field(factory=dict)
    asker: Asker = attrs.field(init=False)
    _skips: dict[tuple[Candidate, str, str], Skip] = attrs.field(factory=dict)
    _permits: dict[int, Permit] = attrs.field(factory=dict)
    _losers: tuple[Step, ...] = ()
    _asked: Request = attrs.field(init=False)  # as the client asked it
    _seen: Seen | None = None  # what is being gone on from
    _part: int = 0
    _needed: bool = attrs.field(init=False)  # the body of the request; one for JSON is until the end
    _ids: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))
    _wake: trio.Event = attrs.field(factory=trio.Event)
    _nursery: trio.Nursery | None = None

    def __attrs_post_init__(self) -> None:
        self.asker = Asker(session=self.request.session, tokens=expected_tokens(self.request.need))
        self._asked, self._needed = self.request, self.request.stream
        self.shown.keeping = self.outcome.rescue != "off" and can_continue(self.request)

    async def run(self) -> None:
        """Race until there is a winner and it has ended, or nobody is left. Losers' clean-up is awaited too."""
        try:
            await self._run()
        finally:
            self.gate.leave(self.asker)

    async def _run(self) -> None:
        async with trio.open_nursery() as self._nursery:
            while self.winner is None:
                now = trio.current_time()
                match self.pacer.decide(now):
                    case Launch() as launch:
                        await self._launch(launch)
                    case Deny(step, reason, anybody):
                        self._deny(step, reason, now, anybody=anybody)
                    case Pause(until):
                        self._wake = trio.Event()
                        with trio.move_on_at(until):
                            await self._wake.wait()
                    case Wait(until, steps):
                        await self._wait(until - now, steps, now)
                    case Over():
                        break

    async def _wait(self, for_s: float, steps: Sequence[Step], now: float) -> None:
        """Nobody can be asked before so many seconds have passed, unless one of these steps has its turn sooner."""
        for step in self.gate.enlist(self.asker, [(step, len(self.provider(step).keys)) for step in steps]):
            self.pacer.out(step)
            skip = Skip(candidate=step.candidate, by="queue", reason="too many requests wait for it", wait_s=CROWDED_S)
            self._skipped(skip, now)
        if not isinstance(self.pacer.decide(now), Wait):
            return
        turn = await self.gate.turn(self.asker, for_s)
        self.pacer.waited(trio.current_time() - now)
        if turn is not None:
            self.pacer.stirred(turn)

    @property
    def skips(self) -> list[Skip]:
        """The candidates found busy at their launch, the last word on each for each reason, the latest last."""
        return list(self._skips.values())

    def _skipped(self, skip: Skip, at: float) -> None:
        """Stated once for each reason: who waits looks again every second, and mostly finds the same."""
        what = (skip.candidate, skip.by, skip.reason)
        known = self._skips.pop(what, None)
        self._skips[what] = skip
        if known is None:
            self.emit(CandidateSkipped(at=at, request_id=self.request.id, skip=skip))

    def again(self) -> None:
        """The winner broke and the client has seen nothing of it: let the steps that are left race on.

        Who lost to it had not failed, and is asked again, within the same number of attempts.
        """
        self.winner = None
        self.shown.forget()
        self.pacer.returned(self._losers)

    def go_on(self) -> bool:
        """The winner broke and the client has seen a part: let the steps that are left go on from it, where that can be."""
        seen = self.shown.seen()
        if seen is None:
            return False
        self.pacer.no_more_tries()  # it was asked, and has been seen
        calling = self.broken is not None and self.broken.relay.calling
        self._seen, self._part = attrs.evolve(seen, calling=calling), self._part + 1
        self.request = continuation(self._asked, seen)
        self.winner = None
        self.pacer.returned(self._losers)
        return True

    # The launcher.

    async def _launch(self, launch: Launch) -> None:
        step, now = launch.step, trio.current_time()
        if launch.charged and (denial := self._unwelcome(step, now)) is not None:
            self._deny(step, denial.reason, now, anybody=denial.anybody)
            return
        if launch.again and not self.books.retries.withdraw(self.chain, now):
            self.pacer.no_more_tries()
            self._skipped(Skip(candidate=step.candidate, by="retry", reason="the chain's retry budget is spent"), now)
            return
        permit = await self.gate.acquire(step, len(self.provider(step).keys), self.asker)
        now = trio.current_time()
        if isinstance(permit, Busy):
            self._refund(launch)
            wait_s = None if permit.status else permit.wait_s
            skip = Skip(
                candidate=step.candidate, by=permit.by, reason=permit.reason, wait_s=wait_s, status=permit.status
            )
            self.pacer.busy(step, wait_s, now)
            self._skipped(skip, now)
            return
        if self.winner is not None or self.pacer.decide(now) != launch:
            # The gate may have waited, and the world has moved meanwhile.
            permit.release(sent=False)
            self._refund(launch)
            return
        self._start(launch, permit, now)

    def _start(self, launch: Launch, permit: Permit, now: float) -> None:
        """No checkpoint from here to the scope's registration: a commit in this very tick must find it."""
        assert self._nursery is not None
        attempt = Attempt(
            id=next(self._ids),
            step=launch.step,
            key=permit.key,
            started_at=now,
            scope=trio.CancelScope(),
            relay=self.relay(),
            splice=self.splice(),
            part=self._part,
            hedge=launch.charged,
            beside=launch.beside,
        )
        self.running[attempt.id] = attempt
        self._permits[attempt.id] = permit
        self.pacer.started(attempt.id, launch.step, now)
        self.emit(
            AttemptStarted(
                at=now,
                request_id=self.request.id,
                attempt=attempt.id,
                candidate=launch.step.candidate,
                hedge=launch.charged,
                beside=launch.beside,
                part=self._part,
            )
        )
        self._nursery.start_soon(self._attempt, attempt, permit)

    def _unwelcome(self, step: Step, now: float) -> Deny | None:
        """Why this hedge, which is due, should not be sent just now; None where it may, and then it is paid for."""
        view = self.books.view(
            self.config, self.plan.chain, self.request.need, at=now, wall_s=0.0, seed=self.request.id, chain=self.chain
        )
        if busy := no_room_in(self.plan.chain, view):
            return Deny(step, busy, anybody=False)
        if busy := no_room_at(step.candidate, view):
            return Deny(step, busy)
        if not self.books.budget.withdraw(self.chain, now):
            return Deny(step, "the chain's hedge budget is spent", anybody=False)
        return None

    def _deny(self, step: Step, reason: str, now: float, *, anybody: bool) -> None:
        self.pacer.denied(step if anybody else None)
        self.emit(
            HedgeDenied(at=now, request_id=self.request.id, chain=self.chain, candidate=step.candidate, reason=reason)
        )

    def _refund(self, launch: Launch) -> None:
        if launch.charged:
            self.books.budget.refund(self.chain)
        if launch.again:
            self.books.retries.refund(self.chain, trio.current_time())

    # One attempt's task.

    async def _attempt(self, attempt: Attempt, permit: Permit) -> None:
        try:
            with attempt.scope:
                await attempt.run(self)
        except Exception as error:  # a fault of ours in one dialect must not cost the turn
            attempt.failure = Failure(kind=FailureKind.BUG, message=f"internal error ({type(error).__name__})")
            where = str(attempt.step.candidate)
            at = trio.current_time()
            self.emit(InternalError(at=at, request_id=self.request.id, where=where, trace=trace_of(error)))
        finally:
            attempt.watch.cancel()
            del self._permits[attempt.id]
            permit.release(sent=attempt.sent, tokens=used_tokens(attempt.relay.usage, attempt.failure))
            self._settle(attempt)

    async def commit(self, attempt: Attempt) -> None:
        """Make this attempt the winner and cancel the others, in one step. For anybody else this never returns."""
        if attempt.scope.cancel_called or attempt.clock.cancel_called:
            await trio.lowlevel.checkpoint()
        if self.winner is None:
            self.winner = attempt
            losers = [other for other in self.running.values() if other is not attempt]
            self._losers = tuple(other.step for other in losers)
            for other in losers:
                other.scope.cancel()
            self._wake.set()
            self.emit(
                Committed(
                    at=trio.current_time(),
                    request_id=self.request.id,
                    attempt=attempt.id,
                    candidate=attempt.step.candidate,
                    losers=tuple(other.id for other in losers),
                )
            )
            self._note_rescue(attempt)
        elif self.winner is not attempt:
            await trio.sleep_forever()

    def _settle(self, attempt: Attempt) -> None:
        """Exactly one `AttemptEnded`, whatever happened, and the launcher learns of it."""
        del self.running[attempt.id]
        ending, failure = self._ending(attempt), attempt.failure
        if attempt is self.winner and not attempt.whole:
            self.broken = attempt
        verdict = self._verdict(attempt, failure) if failure and ending == "failed" else None
        if failure and verdict:
            self._note_fault(attempt, failure, verdict)
        else:
            self.pacer.ended(attempt.id)
        now = trio.current_time()
        unlimited = attempt.step.unlimited or isinstance(self.provider(attempt.step).scope, Unlimited)
        self.emit(
            AttemptEnded(
                at=now,
                request_id=self.request.id,
                attempt=attempt.id,
                candidate=attempt.step.candidate,
                ending=ending,
                elapsed_s=now - attempt.started_at,
                need=self.request.need,
                first_content_s=None
                if attempt.first_content_at is None
                else attempt.first_content_at - attempt.started_at,
                failure=failure if ending == "failed" else None,
                verdict=verdict,
                counts=verdict is not None and verdict.blames(unlimited=unlimited),
                committed=attempt.committed,
                by=self.cause() if ending == "abandoned" else "",
                usage=attempt.relay.usage,
                bill=self._bill(attempt),
                estimate=self.request.estimate,
                key=attempt.key,
                session=self.request.session,
                part=attempt.part,
                tool_calls=attempt.relay.calls.whole,
                tool_errors=attempt.relay.calls.bad,
            )
        )
        self._wake.set()

    def _ending(self, attempt: Attempt) -> AttemptEnding:
        if attempt.whole:
            return "won"
        if attempt.scope.cancel_called:
            return "lost"
        return "failed" if attempt.failure is not None else "abandoned"

    def _bill(self, attempt: Attempt) -> Bill:
        """What the attempt is charged for: see the ledger's table."""
        relay, candidate = attempt.relay, attempt.step.candidate
        spent = Spent(
            sent=attempt.sent,
            started=relay.started,
            counted=relay.stop_reason is not None,
            failure=attempt.failure,
            usage=relay.usage,
            prompt=self.request_for(attempt.step).need.input_tokens,
            answer=relay.made,
        )
        provider = self.config.providers[candidate.provider]
        return billed(spent, provider.model(candidate.model).price, free=provider.free(candidate.model))

    def _verdict(self, attempt: Attempt, failure: Failure) -> Verdict:
        verdict = self.outcome.verdict(failure.kind)
        if verdict.rests == "key" and attempt.key < 0:
            # A keyless provider has no key to lose: the candidate is out for this request, and that is all.
            verdict = attrs.evolve(verdict, rests="nothing")
        if attempt.part and verdict.next is Next.STOP:
            # Who refuses to go on from another's text has found no mistake of the client's.
            verdict = attrs.evolve(verdict, next=Next.NEXT)
        if attempt.part and failure.kind is FailureKind.EMPTY and attempt.relay.finished:
            # Who thinks that nothing is missing has answered, and is well.
            verdict = attrs.evolve(verdict, counts=False, counts_unlimited=False)
        return verdict

    def _note_fault(self, attempt: Attempt, failure: Failure, verdict: Verdict) -> None:
        if VERDICTS[failure.kind].next is Next.BIGGER:
            failure = attempt.failure = self._measured(attempt.step, failure)
        self.faults.append(Fault(candidate=attempt.step.candidate, failure=failure))
        if failure.kind is FailureKind.EMPTY and attempt.relay.finished and not attempt.part:
            self.empty = (attempt.step.candidate, attempt.held)
        needed = failure.tokens[0] if failure.tokens else self.request.need.input_tokens
        failed_window = self._window(attempt.step)

        def fits(step: Step) -> bool:
            window = self._window(step)
            return window is None or (window > needed and (failed_window is None or window > failed_window))

        again_at = (trio.current_time(), min(failure.retry_after_s or 0.0, MAX_BLOCK_S))
        worth_it = failure.may_pass and not attempt.part
        self.pacer.failed(attempt.id, verdict.next, fits, again_at=again_at if worth_it else None)

    def _measured(self, step: Step, failure: Failure) -> Failure:
        """A prompt that was too long, with the numbers: the provider's, else what is known. A window it names is learned.

        A client compacts by a text of a fixed form, so where neither is known our estimate stands for both.
        """
        if failure.window is not None and failure.window != self._window(step):
            at = trio.current_time()
            self.emit(LessonLearned(at=at, request_id=self.request.id, candidate=step.candidate, window=failure.window))
        if failure.tokens is not None:
            return failure
        estimate, window = self.request.need.input_tokens, self._window(step) or self.request.need.input_tokens
        return attrs.evolve(failure, tokens=(max(estimate, window + 1), window))

    def length(self) -> tuple[int, int]:
        """The prompt as estimated, and the largest window of the chain's candidates, in tokens."""
        windows = [self._window_of(candidate) or 0 for candidate in self.plan.chain]
        return self.request.need.input_tokens, max(windows, default=0)

    def _note_rescue(self, attempt: Attempt) -> None:
        if self._seen is None or self.broken is None:
            return
        self.emit(
            Rescued(
                at=trio.current_time(),
                request_id=self.request.id,
                attempt=self.broken.id,
                candidate=self.broken.step.candidate,
                by_attempt=attempt.id,
                by=attempt.step.candidate,
                part=attempt.part,
                shown_chars=len(self._seen.text),
                state=self._seen.state,
            )
        )

    def _window(self, step: Step) -> int | None:
        return self._window_of(step.candidate)

    def _window_of(self, candidate: Candidate) -> int | None:
        learned = self.books.lessons.of(candidate).window
        return learned or self.config.providers[candidate.provider].model(candidate.model).capabilities.context

    # What an attempt asks of its race.

    @property
    def limits(self) -> Limits:
        return self.plan.limits

    @property
    def outcome(self) -> Outcome:
        return self.plan.outcome

    @property
    def launched(self) -> int:
        return self.pacer.launched

    def relay(self) -> Relay:
        """What a try's answer goes through. The client of a continuation has seen content: no later point is waited for."""
        tools = self.request.body.get("tools")
        if self._seen is not None:
            return Relay(tools=tools)
        return Relay(self.outcome.commit_at, live=self.outcome.rescue == "off", tools=tools)

    def splice(self) -> Splice | None:
        return None if self._seen is None else Splice(self._seen)

    async def show(self, events: list[StreamEvent]) -> None:
        """To the client. What was asked to be written counts as seen.

        Once it has seen what nobody else can go on from, nobody else will be asked, and the body is let go.
        """
        self.shown.note(events)
        if self._needed and not self.shown.keeping:
            self._needed = False
            self.request = self._asked = self._asked.without_body()
        await self.reply.send(events)

    def emit(self, event: EngineEvent) -> None:
        self.bus.emit(event)

    def transport(self, provider: Provider) -> Transport:
        return self.transports(provider)

    def provider(self, step: Step) -> Provider:
        return self.config.providers[step.candidate.provider].on(step.candidate.model)

    def request_for(self, step: Step) -> Request:
        """The request with the prompt's length as this candidate counts."""
        request = self.request
        if request.estimate is None:
            return request
        tokens = self.books.estimates.tokens(request.estimate, step.candidate)
        if tokens == request.need.input_tokens:
            return request
        return attrs.evolve(request, need=attrs.evolve(request.need, input_tokens=tokens))

    def learned(self, step: Step) -> Learned:
        return self.books.lessons.of(step.candidate)

    def next_key(self, attempt: Attempt, why: Failure) -> int | None:
        """Another key of the same provider that may be used now and was not yet used by this attempt."""
        found = self._permits[attempt.id].another(frozenset(attempt.keys_used))
        if found is None:
            return None
        keys = self.provider(attempt.step).keys
        self.emit(
            KeyRotated(
                at=trio.current_time(),
                request_id=self.request.id,
                attempt=attempt.id,
                candidate=attempt.step.candidate,
                before=keys[attempt.key].source,
                after=keys[found].source,
                reason=why.kind.value,
            )
        )
        return found

    def passed_keys(self, attempt: Attempt) -> tuple[PassedKey, ...]:
        """The keys that would have come first, and why they were passed over."""
        keys = self.provider(attempt.step).keys
        passed = self._permits[attempt.id].passed
        return tuple(PassedKey(key=keys[n].source, reason=reason, wait_s=wait_s) for n, reason, wait_s in passed)

    def showed_content(self, attempt: Attempt) -> None:
        self.pacer.content(attempt.id)
        self._wake.set()

    def start_soon(self, task: Callable[[], Awaitable[Any]]) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(task)
