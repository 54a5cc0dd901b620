"""A transport that runs the web tools of Anthropic's servers for hosts that do not, and is else the one it stands around.

The race knows attempts, each with one exchange, and should not learn of tools. A loop around the race would search anew
for each candidate, and show the client several answers. So the loop stands below the race, in the transport: what opens
here is one exchange to those above, whose events are those of several below. Its rounds run in a task of their own, since
a search takes seconds in which the clocks above must see that somebody is at work; leaving the exchange cancels the task,
and with it whatever it has open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import attrs
import orjson
import trio

from engine import JSON, PROGRESS, Ask, AttemptError, Failure, Quota, StreamEvent, Transport, Upstream, need_of
from engine.config import WebTools
from policies import FailureKind
from transports.translate._served import SERVED_HERE
from transports.web_tools._blocks import Answered, Call, WebError, failed
from transports.web_tools._offer import Offer, runs_them_itself
from transports.web_tools._rounds import Rounds
from transports.web_tools._web import Web

#: How often a provider is asked for one message. In the last round it may call nothing more.
MAX_ROUNDS = 4
#: While a tool is at work, and while a later round has not begun, this is said so often, in seconds.
PROGRESS_S = 2.0


@attrs.define(eq=False)
class ServingWebTools:
    """`inner` with web tools. `settings` are those in force when an exchange is opened."""

    inner: Transport
    settings: Callable[[], WebTools]
    web: Web

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[Upstream]:
        settings = self.settings()
        offer = None
        if settings.enabled and not runs_them_itself(ask.provider):
            offer = Offer.of(ask.request.body, settings)
        if offer is None:
            opened = self.inner.open(ask)
            del ask  # it is let go of below as soon as it can be
            async with opened as upstream:
                yield upstream
            return
        session = Session(inner=self.inner, ask=ask, offer=offer, settings=settings, web=self.web)
        raised: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.run)
            try:
                await session.began.wait()
                session.check()
                yield session
            except Exception as error:  # bare, not in the nursery's group: those above look for its type
                raised = error
            nursery.cancel_scope.cancel()
        if raised is not None:
            raise raised


_Give: TypeAlias = trio.MemorySendChannel[list[StreamEvent]]
_Take: TypeAlias = trio.MemoryReceiveChannel[list[StreamEvent]]


@attrs.define(eq=False)
class Session:
    """The rounds of one exchange. `read` is for those above, `run` is its task."""

    inner: Transport
    ask: Ask
    offer: Offer
    settings: WebTools
    web: Web
    began: trio.Event = attrs.field(factory=trio.Event)
    via: str = ""  # of the round that was opened last
    quota: Quota = ()  # likewise
    _failure: Exception | None = None
    _working: bool = False
    _deadline: float | None = None  # when the tools' time is over, from their first use
    _pipe: tuple[_Give, _Take] = attrs.field(factory=lambda: trio.open_memory_channel[list[StreamEvent]](0))

    @property
    def _give(self) -> _Give:
        return self._pipe[0]

    async def read(self) -> list[StreamEvent] | None:
        while True:
            with trio.move_on_after(PROGRESS_S):
                try:
                    return await self._pipe[1].receive()
                except trio.EndOfChannel:
                    self.check()
                    return None
            if self._working:
                return [PROGRESS]

    def check(self) -> None:
        """Raise what has ended the rounds, if anything has."""
        if self._failure is not None:
            raise self._failure

    async def run(self) -> None:
        """All rounds. Raises nothing but Cancelled: a failure is raised where the exchange is read."""
        with self._give:
            try:
                await self._rounds()
            except Exception as error:
                self._failure = error
            finally:
                self.began.set()

    async def _rounds(self) -> None:
        rounds = Rounds(self.offer, f"{SERVED_HERE}{self.ask.request.id.removeprefix('req_')}_")
        for number in range(1, MAX_ROUNDS + 1):
            last = number == MAX_ROUNDS or self._time_is_over()
            await self._one(rounds, self._asked(rounds, last=last))
            if not rounds.over:
                return  # it broke off, and those above see that there is no end
            if not rounds.calls:
                break
            self._working = True
            await self._give.send([PROGRESS])
            rounds.answer(await self._answers(rounds, refuse=last))
            if rounds.must_finish:
                break
            if last:
                await self._give.send(rounds.finish(cut_off=True))
                return
            rounds.again()
        await self._give.send(rounds.finish())

    async def _one(self, rounds: Rounds, ask: Ask) -> None:
        """Ask once, and hand on what comes."""
        async with self.inner.open(ask) as upstream:
            self._working = False
            self.via, self.quota = upstream.via, upstream.quota
            self.began.set()
            while not rounds.over:
                events = await upstream.read()
                if events is None:
                    return
                if out := rounds.feed(events):
                    await self._give.send(out)

    def _asked(self, rounds: Rounds, *, last: bool) -> Ask:
        body: JSON = self.offer.body(self.ask.request.body, rounds.more, spent=rounds.spent, last=last)
        try:
            raw = orjson.dumps(body)
        except orjson.JSONEncodeError as error:
            failure = Failure(kind=FailureKind.CLIENT, message="the body is nested too deeply", status=400)
            raise AttemptError(failure) from error
        request = attrs.evolve(self.ask.request, body=body, raw=raw, need=need_of(body, raw))
        return attrs.evolve(self.ask, request=request)

    # The tools.

    async def _answers(self, rounds: Rounds, *, refuse: bool) -> list[Answered]:
        """What each call of a round brings, side by side, within what is left of uses and time."""
        if self._deadline is None:
            self._deadline = trio.current_time() + self.settings.total_s
        out: dict[int, Answered] = {}
        uses = dict(rounds.used)
        with trio.move_on_at(self._deadline):
            async with trio.open_nursery() as nursery:
                for number, call in enumerate(rounds.calls):
                    uses[call.name] = uses.get(call.name, 0) + 1
                    if refuse or uses[call.name] > self.offer.tools[call.name].max_uses:
                        error = WebError("max_uses_exceeded", "no more uses in this message: answer with what is known")
                        out[number] = failed(call, error)
                    else:
                        nursery.start_soon(self._use, number, call, out)
        late = WebError("unavailable", f"not done within the {self.settings.total_s:g} s that the web tools have")
        return [out.get(number) or failed(call, late) for number, call in enumerate(rounds.calls)]

    async def _use(self, number: int, call: Call, out: dict[int, Answered]) -> None:
        try:
            out[number] = await self.web.use(call, self.offer.tools[call.name], self.settings)
        except Exception as error:  # a page that a reader falls over costs this use and not the turn
            out[number] = failed(call, WebError("unavailable", f"internal error ({type(error).__name__})"))

    def _time_is_over(self) -> bool:
        return self._deadline is not None and trio.current_time() >= self._deadline
