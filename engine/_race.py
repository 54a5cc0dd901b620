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
from engine._bus import trace_of
from engine._events import (
    AttemptStarted,
    CandidateSkipped,
    Committed,
    HedgeDenied,
    InternalError,
    LessonLearned,
    Rescued,
)
from engine._failure import Failure
from engine._growing import MAX_BLOCK_S
from engine._hosting import Hosting
from engine._pacer import Deny, Launch, Over, Pacer, Pause, Wait
from engine._ports import Asker, Busy, Fault, Permit
from engine._scopes import expected_tokens, used_tokens
from engine._settling import ended, fitting, measured, verdict_on
from engine._stream import StreamEvent
from policies import VERDICTS, Candidate, FailureKind, Next, Skip, Step, Verdict, no_room_at, no_room_in

#: When a request that finds too many others waiting may come again, in seconds: as long as some of them will have taken.
CROWDED_S = 5.0


@attrs.define(eq=False, kw_only=True)
class Race(Hosting):
    """The attempts of one request. Run it, then look at `winner` and `faults`.

    `empty` keeps a whole but empty message, for want of anything better. `broken` is the last winner that broke.
    """

    pacer: Pacer
    winner: Attempt | None = None
    broken: Attempt | None = None
    faults: list[Fault] = attrs.field(factory=list)
    empty: tuple[Candidate, list[StreamEvent]] | None = None
    running: dict[int, Attempt] = attrs.field(factory=dict)
    asker: Asker = attrs.field(init=False)
    _skips: dict[tuple[Candidate, str, str], Skip] = attrs.field(factory=dict)
    _losers: tuple[Step, ...] = ()
    _ids: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))
    _wake: trio.Event = attrs.field(factory=trio.Event)
    _nursery: trio.Nursery | None = None

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.asker = Asker(session=self.request.session, tokens=expected_tokens(self.request.need))

    @property
    def launched(self) -> int:
        return self.pacer.launched

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
        self.goes_on_from(attrs.evolve(seen, calling=calling))
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
            permit=permit,
            started_at=now,
            scope=trio.CancelScope(),
            relay=self.relay(),
            splice=self.splice(),
            part=self.part,
            hedge=launch.charged,
            beside=launch.beside,
        )
        self.running[attempt.id] = attempt
        self.pacer.started(attempt.id, launch.step, now)
        self.emit(
            AttemptStarted(
                at=now,
                request_id=self.request.id,
                attempt=attempt.id,
                candidate=launch.step.candidate,
                hedge=launch.charged,
                beside=launch.beside,
                part=self.part,
            )
        )
        self._nursery.start_soon(self._attempt, attempt)

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
            self.books.retries.refund(self.chain)

    # One attempt's task.

    async def _attempt(self, attempt: Attempt) -> None:
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
            attempt.permit.release(sent=attempt.sent, tokens=used_tokens(attempt.relay.usage, attempt.failure))
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

    def _note_rescue(self, attempt: Attempt) -> None:
        if self.seen is None or self.broken is None:
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
                shown_chars=len(self.seen.text),
                state=self.seen.state,
            )
        )

    # An attempt's end.

    def _settle(self, attempt: Attempt) -> None:
        """Exactly one `AttemptEnded`, whatever happened, and the launcher learns of it."""
        del self.running[attempt.id]
        if attempt is self.winner and not attempt.whole:
            self.broken = attempt
        verdict = verdict_on(attempt, self.outcome)
        event = ended(
            attempt,
            verdict,
            request=self.request,
            prompt=self.request_for(attempt.step).need.input_tokens,
            provider=self.provider(attempt.step),
            cause=self.cause(),
            at=trio.current_time(),
        )
        if attempt.failure and verdict:
            self._note_fault(attempt, attempt.failure, verdict)
        else:
            self.pacer.ended(attempt.id)
        self.emit(event)
        self._wake.set()

    def _note_fault(self, attempt: Attempt, failure: Failure, verdict: Verdict) -> None:
        candidate, now = attempt.step.candidate, trio.current_time()
        prompt, window = self.request.need.input_tokens, self.window(candidate)
        if VERDICTS[failure.kind].next is Next.BIGGER:
            if failure.window is not None and failure.window != window:
                self.emit(LessonLearned(at=now, request_id=self.request.id, candidate=candidate, window=failure.window))
                window = self.window(candidate)
            failure = attempt.failure = measured(failure, prompt, window)
        self.faults.append(Fault(candidate=candidate, failure=failure))
        if failure.kind is FailureKind.EMPTY and attempt.relay.finished and not attempt.part:
            self.empty = (candidate, attempt.held)
        fits = fitting(failure, prompt, window, lambda step: self.window(step.candidate))
        again_at = (now, min(failure.retry_after_s or 0.0, MAX_BLOCK_S))
        worth_it = failure.may_pass and not attempt.part
        self.pacer.failed(attempt.id, verdict.next, fits, again_at=again_at if worth_it else None)

    # What an attempt asks of its race, beside what it is hosted with.

    def showed_content(self, attempt: Attempt) -> None:
        self.pacer.content(attempt.id)
        self._wake.set()

    def start_soon(self, task: Callable[[], Awaitable[Any]]) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(task)
