"""Identical requests under way share one turn.

A client that sends the same request twice, because its own patience or that of something between ran out, pays for two
answers and gets one. The easy remedy keys on the session and serialises it, which stops Claude Code's title request behind
its first turn; or it lets the second request listen to the first one's connection, and dies with that. Here the key is
everything that makes the answer, session and agent and every byte of the body among it, and the shared turn belongs to
nobody's connection: it runs in a task of the server's own, keeps what it has said for whoever joins later, and lives while
anybody listens.

What is kept for late ones is bounded: beyond `REPLAY_BYTES` nobody joins any more, and the slowest listener holds the
provider up, as a single client would.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import blake2b

import attrs
import trio

from engine._bus import EventBus, trace_of
from engine._events import InternalError, RequestAccepted, RequestFinished, RequestShared
from engine._ports import Refusal, Reply, Winner
from engine._request import Request
from engine._router import Router
from engine._stream import StreamEvent
from engine.config import Config
from policies import Candidate

#: What one shared turn keeps for those who join, and how far its slowest listener may be behind. A turn of Claude Code
#: seldom reaches a tenth of it.
REPLAY_BYTES = 4 * 1024 * 1024
#: Headers that say nothing of the answer: they belong to the connection, or tell what software sends.
_OF_THE_CONNECTION = frozenset(
    [b"host", b"connection", b"content-length", b"transfer-encoding", b"accept", b"accept-encoding", b"user-agent"]
)
_OF_THE_SDK = b"x-stainless-"


def key_of(request: Request) -> bytes | None:
    """What two requests must have in common to be one; None for a request without a session, which is never shared.

    Credentials are among the headers: two clients with different ones never share.
    """
    if not request.session:
        return None
    headers = sorted(
        (name, value)
        for name, value in request.headers
        if name not in _OF_THE_CONNECTION and not name.startswith(_OF_THE_SDK)
    )
    above = "" if request.above is None else f"{request.above.by} {request.above.name}"
    said = [request.session, request.agent, request.model, above, *map(str, request.policies)]
    digest = blake2b(digest_size=16)
    for part in (*(text.encode() for text in said), request.query, *(b for pair in headers for b in pair), request.raw):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


@attrs.frozen
class _Said:
    """One thing the turn has said: how to tell it to a reply, and the bytes said up to and with it."""

    tell: Callable[[Reply], Awaitable[None]]
    upto: int


@attrs.define(eq=False)
class _Listener:
    """How far somebody has heard."""

    heard: int = 0
    upto: int = 0


@attrs.define(eq=False)
class SharedTurn:
    """The reply of a turn that several listen to. What is said is kept, and told to each at its own pace."""

    request_id: str
    stream: bool
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    visible: bool = False
    over: bool = False
    winner: Candidate | None = None
    outcome: str = ""
    status: int | None = None
    _said: list[_Said] = attrs.field(factory=list)
    _forgotten: int = 0  # how many of the first are no longer kept
    _upto: int = 0
    _listeners: set[_Listener] = attrs.field(factory=set)
    _stirred: trio.Event = attrs.field(factory=trio.Event)

    @property
    def open(self) -> bool:
        """Whether somebody may still join: all that was said is kept, and somebody listens."""
        return not self.scope.cancel_called and not self.over and self._upto <= REPLAY_BYTES

    # What the router says.

    async def begin(self, winner: Winner) -> None:
        self.winner = winner.candidate
        self._say(lambda reply: reply.begin(winner))

    async def send(self, events: Sequence[StreamEvent]) -> None:
        kept = tuple(events)
        if not self.stream:
            _look_into(kept)
        self.visible |= self.stream and bool(kept)
        self._say(lambda reply: reply.send(kept), sum(e.size for e in kept))
        await self._keep_pace()

    async def finish(self) -> None:
        self.outcome, self.status = "answered", 200
        self._say(lambda reply: reply.finish())

    async def refuse(self, refusal: Refusal) -> None:
        self.outcome, self.status = ("broken", 200) if self.visible else ("refused", refusal.status)
        self._say(lambda reply: reply.refuse(refusal))

    async def reset(self) -> None:
        self.outcome, self.status = "broken", 200
        self._say(lambda reply: reply.reset())

    def discard(self) -> None:
        async def discard(reply: Reply) -> None:
            reply.discard()

        self._say(discard)

    def _say(self, tell: Callable[[Reply], Awaitable[None]], size: int = 0) -> None:
        self._upto += size
        self._said.append(_Said(tell, self._upto))
        self._stir()

    async def _keep_pace(self) -> None:
        """Wait until the slowest listener is near enough; who leaves is no listener any more."""
        while self._listeners and self._upto - min(one.upto for one in self._listeners) > REPLAY_BYTES:
            await self._stirred.wait()

    def end(self) -> None:
        """Nothing more will be said."""
        self.over = True
        self._stir()

    # Who listens.

    async def listen(self, reply: Reply) -> None:
        """Tell `reply` everything from the beginning to the end. The last to leave early ends the turn."""
        me = _Listener()
        self._listeners.add(me)
        try:
            while True:
                while me.heard < self._forgotten + len(self._said):
                    said = self._said[me.heard - self._forgotten]
                    await said.tell(reply)
                    me.heard, me.upto = me.heard + 1, said.upto
                    self._forget()
                    self._stir()
                if self.over:
                    return
                await self._stirred.wait()
        finally:
            self._listeners.discard(me)
            if self._listeners:
                self._forget()
                self._stir()
            elif not self.over:
                self.scope.cancel()

    def _forget(self) -> None:
        """Drop what all have heard, once nobody can join."""
        if self.open:
            return
        heard = min((one.heard for one in self._listeners), default=self._forgotten) - self._forgotten
        if heard > 0:
            del self._said[:heard]
            self._forgotten += heard

    def _stir(self) -> None:
        self._stirred.set()
        self._stirred = trio.Event()


def _look_into(events: Iterable[StreamEvent]) -> None:
    """A JSON reply looks into what is relayed unread, and will do so in its listener's task, where nobody is left to ask.

    Raises MalformedEvent here, where the attempt that brought it is to blame, and the next candidate is asked.
    """
    for item in events:
        for _ in item.payloads():
            pass


@attrs.define(eq=False)
class Sharing:
    """In front of the router: a request is served by a turn of its own, or joins an identical one.

    Nothing is shared before `run` has a nursery, that is, in an application that somebody else serves.
    """

    router: Router
    bus: EventBus
    config: Callable[[], Config]
    _turns: dict[bytes, SharedTurn] = attrs.field(factory=dict)
    _nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Own the shared turns. Runs until it is cancelled, and ends them then."""
        async with trio.open_nursery() as self._nursery:
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def serve(self, request: Request, reply: Reply) -> None:
        """As `Router.serve`."""
        mode = self.config().server.duplicates
        shares = mode == "all" or (mode != "off" and not request.stream)
        key = key_of(request) if shares and self._nursery is not None else None
        if key is None or self._nursery is None:
            alone = self.router.serve(request, reply)
            del request  # the turn lets go of its body before its end
            await alone
            return
        turn = self._turns.get(key)
        if turn is not None and turn.open:
            joined = self._join(turn, request, reply)
            del request
            await joined
            return
        turn = self._turns[key] = SharedTurn(request.id, request.stream)
        self._nursery.start_soon(self._own, turn, key, request)
        del request  # as above
        await self._listen(turn, reply)

    async def _own(self, turn: SharedTurn, key: bytes, request: Request) -> None:
        serving = self.router.serve(request, turn)
        del request
        try:
            with turn.scope:
                await serving
        except Exception as error:  # a fault of ours is one turn's, not the server's
            at, trace = trio.current_time(), trace_of(error)
            self.bus.emit(InternalError(at=at, request_id=turn.request_id, where="shared turn", trace=trace))
        finally:
            turn.end()
            if self._turns.get(key) is turn:
                del self._turns[key]

    async def _listen(self, turn: SharedTurn, reply: Reply) -> None:
        await turn.listen(reply)
        if not turn.outcome:
            raise RuntimeError("a shared turn ended without an ending")

    async def _join(self, turn: SharedTurn, request: Request, reply: Reply) -> None:
        """The joiner is a request like any other to those who watch: accepted once, finished once, without attempts."""
        at, leader, id, accepted_at = trio.current_time(), turn.request_id, request.id, request.accepted_at
        self.bus.emit(
            RequestAccepted(
                at=at,
                request_id=id,
                model=request.model,
                chain="",
                how=f"shares the answer of {leader}",
                need=request.need,
                session=request.session,
                agent=request.agent,
            )
        )
        self.bus.emit(RequestShared(at=at, request_id=id, leader=leader))
        del request  # another is asked with its own
        heard = False
        try:
            await self._listen(turn, reply)
            heard = True
        finally:
            at = trio.current_time()
            self.bus.emit(
                RequestFinished(
                    at=at,
                    request_id=id,
                    outcome=turn.outcome if heard else "abandoned",  # type: ignore[arg-type]
                    candidate=turn.winner,
                    elapsed_s=at - accepted_at,
                    status=turn.status if heard else None,
                )
            )
