"""A whole router over scripted providers, and the questions a test asks of it.

Whether a race left something behind is easily asked of what one test happens to look at. Here the engine's events and the
exchanges go into one log, in the order in which they happened, and one question at the end covers all of it.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import attrs
import orjson
import trio

from engine._books import Books
from engine._bus import EventBus
from engine._events import (
    AttemptEnded,
    AttemptStarted,
    CandidateSkipped,
    Committed,
    EngineEvent,
    FirstContent,
    HedgeDenied,
    InternalError,
    RequestAccepted,
    RequestFinished,
    TryEnded,
    TryStarted,
)
from engine._gate import LocalGate
from engine._ports import Transport
from engine._request import Request, need_of
from engine._router import Router
from engine.config import AUTO, Chain, Config, Provider, Route, Secret
from engine.testing._client import RecordingReply
from engine.testing._script import Exchange, Script, ScriptedTransport
from policies import Candidate, Policy

E = TypeVar("E", bound=EngineEvent)


def provider(id: str, *keys: str, **rest: Any) -> Provider:
    """A usable provider, keyless unless keys are given. `rest` are fields of `Provider`."""
    variable = f"{id.upper()}_KEY"
    secrets = tuple(Secret(key, f"{variable}[{n}]") for n, key in enumerate(keys, start=1))
    rest = {"base_url": f"https://{id}.test", "keys": secrets, "keys_env": (variable,) if keys else (), **rest}
    return Provider(id=id, auth="x-api-key" if keys else "none", **rest)


def config(providers: Iterable[Provider], *policies: Policy, chain: str = "coding") -> Config:
    """One chain over `ID/m` of each provider, in order, to which every name leads."""
    by_id = {p.id: p for p in providers}
    made = Chain(name=chain, candidates=tuple(Candidate(id, "m") for id in by_id), policies=policies)
    return Config(
        providers=by_id,
        chains={chain: made, AUTO: attrs.evolve(made, name=AUTO)},
        routes=(Route(match="*", chain=chain),),
        digest="scripted",
    )


def request(id: str = "req_1", *, stream: bool = True, model: str = "any", **fields: Any) -> Request:
    """A turn that arrives now. `fields` are fields of its body."""
    turn = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}], "stream": stream}
    body = {**turn, **fields}
    raw = orjson.dumps(body)
    return Request(id=id, model=model, body=body, raw=raw, need=need_of(body, raw), accepted_at=trio.current_time())


def wired(settings: Config, transport: Transport) -> Router:
    """A router with books and a bus of its own, all of whose providers are asked through one transport."""
    books, bus = Books.of(lambda: settings), EventBus()
    books.register(bus)
    return Router(
        config=lambda: settings,
        books=books,
        bus=bus,
        gate=LocalGate(books),
        transports=lambda _: transport,
        wall_s=lambda: 0.0,
    )


@attrs.define(eq=False)
class Scenario:
    """A router over scripted providers. `log` holds the engine's events and the exchanges, in the order they happened."""

    config: Config
    transport: ScriptedTransport
    books: Books
    bus: EventBus
    router: Router
    replies: list[RecordingReply] = attrs.field(factory=list)
    _numbers: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))

    @classmethod
    def of(
        cls,
        scripts: Mapping[str, Script | Sequence[Script]],
        *policies: Policy,
        providers: Mapping[str, Provider] = MappingProxyType({}),
    ) -> Scenario:
        """Scripts by provider id, in the order of the chain. `providers` replaces some of the plain, keyless ones."""
        settings = config([providers.get(id) or provider(id) for id in scripts], *policies)
        transport = ScriptedTransport({id: [s] if isinstance(s, Script) else s for id, s in scripts.items()})
        router = wired(settings, transport)
        router.bus.add(transport.log.append)
        return cls(config=settings, transport=transport, books=router.books, bus=router.bus, router=router)

    @property
    def log(self) -> list[EngineEvent | Exchange]:
        return self.transport.log

    def request(self, **fields: Any) -> Request:
        """A turn with an id of its own. `fields` as for `request`."""
        return request(f"req_{next(self._numbers)}", **fields)

    async def serve(self, turn: Request | None = None, reply: RecordingReply | None = None) -> RecordingReply:
        """Serve one turn to its end; the client's record of it."""
        turn = turn or self.request()
        reply = reply or RecordingReply(stream=turn.stream)
        self.replies.append(reply)
        await self.router.serve(turn, reply)
        return reply

    def events(self, kind: type[E]) -> list[E]:
        """Those of one kind."""
        return [entry for entry in self.log if isinstance(entry, kind)]

    @property
    def asked(self) -> list[tuple[float, str]]:
        """When which provider was asked."""
        return [(exchange.opened_at, exchange.provider) for exchange in self.transport.exchanges]

    @property
    def story(self) -> list[str]:
        """What happened, one line each: `2 b starts as hedge`. Times in seconds, providers by id."""
        return [line for entry in self.log if isinstance(entry, EngineEvent) and (line := _told(entry))]

    def left(self) -> list[str]:
        """All that is wrong once every turn is over: what is still held or open, and what was not stated exactly once."""
        return [*self._held(), *self._unstated(), *(f"reply: {text}" for r in self.replies for text in r.misuse)]

    def assert_nothing_left(self) -> None:
        """Raises AssertionError listing `left()`."""
        left = self.left()
        assert not left, "; ".join(left)

    def _held(self) -> Iterator[str]:
        for exchange in self.transport.exchanges:
            if exchange.closed_at is None:
                yield f"{exchange.provider}: the exchange opened at {exchange.opened_at:g} is open"
        for candidate in self.config.chains[AUTO].candidates:
            if running := self.books.load.in_flight(candidate.name):
                yield f"{candidate}: {running} in flight"
            if self.books.breakers.state(candidate, math.inf)[1]:
                yield f"{candidate}: a probe is out"
        if slots := self.books.scopes.total_in_flight():
            yield f"{slots} permits are out"
        if self.router.live:
            yield f"{self.router.live} turns are live"

    def _unstated(self) -> Iterator[str]:
        """Pairs that are not pairs, ends before starts, seconds winners, askers after a commit, and faults of ours."""
        started: Counter[object] = Counter()
        winners: dict[str, int] = {}
        for entry in self.log:
            match entry:
                case Exchange() if entry.ask.request.id in winners:
                    yield f"{entry.provider} was asked after the commit"
                case Committed():
                    if entry.request_id in winners:
                        yield f"{entry.request_id} has two winners"
                    winners[entry.request_id] = entry.attempt
                case RequestAccepted():
                    started[entry.request_id] += 1
                case AttemptStarted():
                    started[entry.request_id, entry.attempt] += 1
                case TryStarted():
                    started[entry.request_id, entry.attempt, entry.number] += 1
                case RequestFinished():
                    yield from _ended(started, entry.request_id)
                case AttemptEnded():
                    yield from _ended(started, (entry.request_id, entry.attempt))
                    if winners.get(entry.request_id) == entry.attempt:
                        del winners[entry.request_id]
                case TryEnded():
                    yield from _ended(started, (entry.request_id, entry.attempt, entry.number))
                case InternalError():
                    yield f"internal error in {entry.where}: {entry.trace}"
        yield from (f"{what} has not ended" for what, count in started.items() if count)


def _ended(started: Counter[object], what: object) -> Iterator[str]:
    started[what] -= 1
    if started[what] < 0:
        yield f"{what} ended without a start"


def _told(entry: EngineEvent) -> str:
    at = f"{entry.at:g}"
    match entry:
        case AttemptStarted():
            how = " as hedge" if entry.hedge else " beside" if entry.beside else ""
            return f"{at} {entry.candidate.provider} starts{how}"
        case TryStarted() if entry.number > 1:
            return f"{at} {entry.candidate.provider} tries again"
        case FirstContent():
            return f"{at} {entry.candidate.provider} content"
        case Committed():
            return f"{at} {entry.candidate.provider} commits"
        case AttemptEnded():
            why = f": {entry.failure.kind.value}" if entry.failure else f" by {entry.by}" if entry.by else ""
            return f"{at} {entry.candidate.provider} {entry.ending}{why}"
        case CandidateSkipped():
            return f"{at} {entry.skip.candidate.provider} busy"
        case HedgeDenied():
            return f"{at} {entry.candidate.provider} denied"
        case RequestFinished():
            return f"{at} {entry.outcome}"
    return ""
