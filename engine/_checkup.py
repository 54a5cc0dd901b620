"""Asking a candidate whether it is well: by a request of our own, so that no client's has to find out.

Most health checks ask for a list of models or a page that is always there, and learn that a web server runs. Whether a model
answers is known only once it has. So the check is a real request, through the same gate, keys, transport and dialect as any
other: one short sentence, no tools, a few tokens. It is no client's: it stands in no count of requests, attempts, load or
latency, and what it costs is stated.

A check is made when somebody asks for it, or, where a provider's breaker says `probe_s`, when an ejected candidate's time
is over: then it leads in a client's place.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import attrs
import orjson
import trio

from engine._books import Books
from engine._breaker import EVERY
from engine._bus import EventBus, trace_of
from engine._events import HealthChecked, HealthCheckStarted, InternalError
from engine._failure import AttemptError, Failure
from engine._ports import Ask, Busy, Gate, Transport
from engine._relay import Relay
from engine._request import Request, need_of
from engine._settling import charged
from engine._stream import MalformedEvent
from engine.config import Config, Provider
from policies import VERDICTS, Candidate, FailureKind, Step, Unlimited

#: What a check may take in all, in seconds, where the candidate has no limit to first content of its own.
CHECK_S = 20.0
#: How often it is looked whether an ejected candidate's time is over, in seconds.
LOOK_S = 1.0
#: Enough for a word of a model that thinks little, and cheap at one that does not.
MAX_TOKENS = 32


@attrs.define(eq=False)
class Checkups:
    """Checks of candidates. `run` makes those that are due; `check` makes one."""

    config: Callable[[], Config]
    books: Books
    bus: EventBus
    gate: Gate
    transports: Callable[[Provider], Transport]
    _numbers: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))
    #: Provider -> when it was last asked because it was due.
    _asked: dict[str, float] = attrs.field(factory=dict)
    _running: set[str] = attrs.field(factory=set)

    async def run(self) -> None:
        """Make the checks that are due, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                now = trio.current_time()
                for candidate in self.due(now):
                    self._asked[candidate.provider] = now
                    self._running.add(candidate.provider)
                    nursery.start_soon(self._make, candidate)
                await trio.sleep(LOOK_S)

    def due(self, at: float) -> Iterator[Candidate]:
        """For each provider that is to be asked, one ejected candidate whose time is over."""
        config = self.config()
        for provider in config.providers.values():
            every_s = provider.breaker.probe_s if provider.breaker else None
            asked_for = provider.usable and self.books.stances.of(provider.id) == "enabled"
            if every_s is None or not asked_for or provider.id in self._running:
                continue
            if at - self._asked.get(provider.id, -math.inf) < every_s:
                continue
            ripe = (c for c in self._ejected(config, provider) if self.books.breakers.state(c, at)[0] == "half-open")
            if (candidate := next(ripe, None)) is not None:
                yield candidate

    def _ejected(self, config: Config, provider: Provider) -> list[Candidate]:
        """Those with a row of their own that is open; where the provider as a whole is out, also its others in chains."""
        out = self.books.breakers.ejected(provider.id)
        if Candidate(provider.id, EVERY) not in out:
            return out
        default = [Candidate(provider.id, provider.default_model)] if provider.default_model else []
        return [c for c in dict.fromkeys((*config.chained(provider.id), *default, *out)) if c.model != EVERY]

    async def _make(self, candidate: Candidate) -> None:
        try:
            if candidate.provider in self.config().providers:  # it may have gone in the tick since it was due
                await self.check(candidate, by="probe")
        except Exception as error:  # a fault of ours in one check must not end the server
            self.bus.emit(InternalError(at=trio.current_time(), where=f"check of {candidate}", trace=trace_of(error)))
        finally:
            self._running.discard(candidate.provider)

    async def check(self, candidate: Candidate, *, by: str, at_once: bool = False) -> HealthChecked | Busy:
        """Ask a candidate, and state what came of it; `Busy` where the gate lets nobody through.

        `at_once`: not only when its breaker's time is over. `candidate`'s provider is one of the configuration's.
        """
        provider = self.config().providers[candidate.provider].on(candidate.model)
        limit_s = provider.timeouts_for(candidate.model).first_content_s or CHECK_S
        step = Step(candidate=candidate, first_content_s=limit_s, last_resort=at_once)
        permit = await self.gate.acquire(step, len(provider.keys))
        if isinstance(permit, Busy):
            return permit
        began_at, request = trio.current_time(), _request(f"check_{next(self._numbers)}", candidate.model)
        self.bus.emit(HealthCheckStarted(at=began_at, request_id=request.id, candidate=candidate))
        relay, failure, ok = Relay(), None, False
        try:
            with trio.move_on_after(limit_s) as clock:
                failure = await self._ask(request, candidate, provider, permit.key, relay)
            ok = relay.producing or (failure is None and relay.finished)
            if clock.cancelled_caught and not ok:
                kind = FailureKind.FIRST_CONTENT_TIMEOUT
                failure = Failure(kind=kind, message=f"no content within {limit_s:g} s")
        except Exception as error:  # a fault of ours in one dialect says nothing of the candidate
            failure = Failure(kind=FailureKind.BUG, message=f"internal error ({type(error).__name__})")
        finally:
            permit.release(sent=True)
            at = trio.current_time()
            unlimited = isinstance(provider.scope, Unlimited)
            checked = HealthChecked(
                at=at,
                request_id=request.id,
                candidate=candidate,
                ok=ok,
                elapsed_s=at - began_at,
                failure=None if ok else failure,
                counts=not ok and failure is not None and VERDICTS[failure.kind].blames(unlimited=unlimited),
                bill=charged(
                    relay,
                    failure,
                    sent=True,
                    prompt=request.need.input_tokens,
                    provider=provider,
                    model=request.model,
                ),
                by=by,
            )
            self.bus.emit(checked)
        return checked

    async def _ask(
        self, request: Request, candidate: Candidate, provider: Provider, key: int, relay: Relay
    ) -> Failure | None:
        ask = Ask(
            request=request,
            candidate=candidate,
            provider=provider,
            key=provider.keys[key] if key >= 0 else None,
            learned=self.books.lessons.of(candidate),
            beside=True,  # no connection is kept for it, and none that is kept is used
        )
        try:
            async with self.transports(provider).open(ask) as upstream:
                while not relay.finished:
                    events = await upstream.read()
                    if events is None:
                        return Failure(kind=FailureKind.EMPTY, message="the answer ended without an end")
                    relay.feed(events)
                    if relay.error is not None:
                        return Failure(kind=FailureKind.ERROR_EVENT, message=str(relay.error.get("type", "error")))
                    if relay.malformed:
                        return Failure(kind=FailureKind.MALFORMED, message=relay.malformed)
        except AttemptError as error:
            return error.failure
        except MalformedEvent as error:
            return Failure(kind=FailureKind.MALFORMED, message=str(error))
        return None


def _request(id: str, model: str) -> Request:
    """One short sentence. Whoever answers it at all, be it with an end and nothing before it, is alive."""
    body = {
        "model": model,
        "max_tokens": MAX_TOKENS,
        "stream": True,
        "messages": [{"role": "user", "content": "Answer with the word ok."}],
    }
    raw = orjson.dumps(body)
    return Request(id=id, model=model, body=body, raw=raw, need=need_of(body, raw), accepted_at=trio.current_time())
