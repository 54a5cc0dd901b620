"""What the attempts of one request share, and what each may ask for: its request, its provider, its keys, the client.

An attempt that is given the whole race can reach the other attempts, and one that is given a copy of what it needs works on
with what was true when it began. So there is this one place. It knows the request as it is asked just now, the part of the
message that is being written, and the configuration in force when the turn began; who else is running it does not know.

A body may be megabytes, and is let go as soon as nobody can be asked any more.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from engine._attempt import Attempt
from engine._books import Books
from engine._bus import EventBus
from engine._events import EngineEvent, KeyRotated, PassedKey
from engine._failure import Failure
from engine._lessons import Learned
from engine._ports import Gate, Reply, Transport
from engine._relay import Relay
from engine._request import Request
from engine._rescue import can_continue, continuation
from engine._shown import Seen, Shown
from engine._splice import Splice
from engine._stream import StreamEvent
from engine.config import Config, Provider
from policies import Candidate, Limits, Outcome, Plan, Step


@attrs.define(eq=False, kw_only=True)
class Hosting:
    """`cause` says why the request as a whole was given up (`client`, `deadline`, `shutdown`), for attempts that neither won,
    failed nor lost. `shown` is what the client has seen of the message, whoever wrote it.
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
    shown: Shown = attrs.field(factory=Shown)
    part: int = attrs.field(default=0, init=False)  #: as in `AttemptStarted`
    seen: Seen | None = attrs.field(default=None, init=False)  #: what is being gone on from
    _asked: Request = attrs.field(init=False)  # as the client asked it
    _needed: bool = attrs.field(init=False)  # the body of the request; one for JSON is until the end

    def __attrs_post_init__(self) -> None:
        self._asked, self._needed = self.request, self.request.stream
        self.shown.keeping = self.outcome.rescue != "off" and can_continue(self.request)

    @property
    def limits(self) -> Limits:
        return self.plan.limits

    @property
    def outcome(self) -> Outcome:
        return self.plan.outcome

    def emit(self, event: EngineEvent) -> None:
        self.bus.emit(event)

    # Whom it asks.

    def transport(self, provider: Provider) -> Transport:
        return self.transports(provider)

    def provider(self, step: Step) -> Provider:
        return self.config.providers[step.candidate.provider].on(step.candidate.model)

    def learned(self, step: Step) -> Learned:
        return self.books.lessons.of(step.candidate)

    def window(self, candidate: Candidate) -> int | None:
        """The candidate's window in tokens, as learned or as the catalogue has it; None where nobody knows."""
        learned = self.books.lessons.of(candidate).window
        return learned or self.config.providers[candidate.provider].model(candidate.model).capabilities.context

    def length(self) -> tuple[int, int]:
        """The prompt as estimated, and the largest window of the chain's candidates, in tokens."""
        windows = [self.window(candidate) or 0 for candidate in self.plan.chain]
        return self.request.need.input_tokens, max(windows, default=0)

    def next_key(self, attempt: Attempt, why: Failure) -> int | None:
        """Another key of the same provider that may be used now and was not yet used by this attempt."""
        found = attempt.permit.another(frozenset(attempt.keys_used))
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
        passed = attempt.permit.passed
        return tuple(PassedKey(key=keys[n].source, reason=reason, wait_s=wait_s) for n, reason, wait_s in passed)

    # What it asks for.

    def request_for(self, step: Step) -> Request:
        """The request with the prompt's length as this candidate counts."""
        request = self.request
        if request.estimate is None:
            return request
        tokens = self.books.estimates.tokens(request.estimate, step.candidate)
        if tokens == request.need.input_tokens:
            return request
        return attrs.evolve(request, need=attrs.evolve(request.need, input_tokens=tokens))

    def goes_on_from(self, seen: Seen) -> None:
        """From now on the rest of the message is asked for."""
        self.seen, self.part = seen, self.part + 1
        self.request = continuation(self._asked, seen)

    # What becomes of the answer.

    def relay(self) -> Relay:
        """What a try's answer goes through. The client of a continuation has seen content: no later point is waited for."""
        tools = self.request.body.get("tools")
        if self.seen is not None:
            return Relay(tools=tools)
        return Relay(self.outcome.commit_at, live=self.outcome.rescue == "off", tools=tools)

    def splice(self) -> Splice | None:
        return None if self.seen is None else Splice(self.seen)

    async def show(self, events: list[StreamEvent]) -> None:
        """To the client. What was asked to be written counts as seen.

        Once it has seen what nobody else can go on from, nobody else will be asked, and the body is let go.
        """
        self.shown.note(events)
        if self._needed and not self.shown.keeping:
            self._needed = False
            self.request = self._asked = self._asked.without_body()
        await self.reply.send(events)
