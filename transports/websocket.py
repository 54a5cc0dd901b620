"""The wire `openai-responses` over a WebSocket that stays open for a whole conversation; over HTTP where there is none.

The naive socket per provider has one answer in flight, so a second turn waits behind the first; and the naive pool hands
out any free socket, and with it a conversation that is not its own. Here a turn gets the socket that knows its
conversation and is told only what is new, or else a new socket and everything; see `Shelf` and `History`. A session's first
turn opens one, and turns at the same time each have their own. A request without a session has nothing to go on from
later, and an upgrade only costs it time: it goes over HTTP.

A socket is an offer, never a condition. Whatever keeps it from being had, or from bringing a first frame, sends the same
turn over HTTP at once, and unless that was a passing refusal the host is not asked for one again for a while. After a first
frame a break is a break, as on HTTP. A turn that is given up closes its socket, since that is the only way to make the
host stop; so an attempt that is started beside another goes over HTTP, and policies start nobody beside a candidate that a
socket waits for (`Facts.sticky`).

The sockets' tasks live in `run`, which the server starts. Where nobody does, everything goes over HTTP.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import attrs
import orjson
import trio

from engine import Ask, AttemptError, Failure, Request, Transport, Upstream
from engine.config import Provider
from policies import FailureKind
from transports import _socket_turn
from transports._connection import Connect, Connection, client_context, connect, open_tcp
from transports._continuation import History
from transports._dialect import Turn
from transports._keys import Keys
from transports._pool import Origin
from transports._shelf import Owner, Shelf
from transports._socket import Address, Refused, Socket
from transports._socket_turn import LimitReached, NothingCame, SocketTurn, TooLarge

#: How long a host is not asked for a socket after it had none to give, in seconds: a turn pays for the question at most once
#: in this time, and a host that merely was restarted has its sockets back within a coffee.
HTTP_ONLY_S: Final = 600.0
#: Refusals that speak of the key or of the moment, not of sockets. The same turn over HTTP is told the rest.
_PASSING: Final = frozenset([401, 402, 408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529])
#: Hosts remembered as without sockets.
_REMEMBERED: Final = 256
#: Fields of a head that belong to a request with a body, or to what is upgraded.
_NOT_FOR_UPGRADES: Final = frozenset([b"content-type", b"accept", b"accept-encoding"])
#: Fields that mean nothing on a socket, where every answer is a stream.
_NOT_IN_FRAMES: Final = ("stream", "stream_options", "background")
_PORTS: Final = {"http": 80, "https": 443}


class OverHTTP(Transport, Protocol):
    """The same wire over HTTP; it writes the requests for both."""

    async def turn(self, ask: Ask) -> Turn:
        """The request, written, and a `FrameDecoder` of its answer. Raises AttemptError."""


@attrs.define(eq=False)
class WebSocketTransport:
    """The transport of one wire: over sockets, and by `http` where there is none. TCP is opened by `network`."""

    http: OverHTTP
    wall_s: Callable[[], float]
    network: Connect = open_tcp
    context: Callable[[], ssl.SSLContext] = client_context
    shelf: Shelf = attrs.field(factory=Shelf)
    _nursery: trio.Nursery | None = None
    _http_only: dict[tuple[Origin, str], float] = attrs.field(factory=dict)
    _shared_context: ssl.SSLContext | None = None

    async def run(self) -> None:
        """Own the sockets until cancelled; then all of them are closed."""
        async with trio.open_nursery() as self._nursery:
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def holds(self, request: Request, provider: Provider, model: str) -> bool:
        """Whether a socket waits for this session's next turn with this model."""
        return _wants_sockets(provider) and self.shelf.knows(_owner(request, provider), model)

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[Upstream]:
        """Send the request and await the beginning of the answer. Raises AttemptError."""
        turn = await self._over_a_socket(ask)
        # No checkpoint from here to the `try`: a socket without an owner would never be closed.
        if turn is None:
            async with self.http.open(ask) as exchange:
                yield exchange
            return
        try:
            yield turn
        finally:
            self._over_with(ask, turn)

    # Over a socket, or not.

    async def _over_a_socket(self, ask: Ask) -> SocketTurn | None:
        """The turn, its answer begun; None where it is to go over HTTP."""
        nursery = self._nursery
        if nursery is None or ask.beside or not ask.request.session or not _wants_sockets(ask.provider):
            return None
        written = await self.http.turn(ask)
        try:
            address = _address(written)
        except ValueError:
            return None  # HTTP has the words for an address that is none
        if self._knows_better(address):
            return None
        body = orjson.loads(written.body)
        for name in _NOT_IN_FRAMES:
            body.pop(name, None)
        try:
            return await self._begun(nursery, ask, written, address, body)
        except (Refused, NothingCame) as error:
            if not (isinstance(error, Refused) and error.status in _PASSING):
                self._remember(address)
            return None

    async def _begun(
        self, nursery: trio.Nursery, ask: Ask, written: Turn, address: Address, body: dict[str, Any]
    ) -> SocketTurn | None:
        history = History.of(body)
        found = self.shelf.take(_owner(ask.request, ask.provider), _digest(address), history)
        if found is None and len(written.body) > _socket_turn.MAX_SENT:
            return None
        while True:
            socket, news = found or (await self._new(nursery, ask, address), None)
            turn = SocketTurn(ask, written, socket, body, history, news, Keys.of(ask), self.wall_s)
            try:
                await turn.begin()
                return turn
            except TooLarge:
                socket.close()
                return None
            except LimitReached:
                socket.break_off()
                if found is None:
                    raise AttemptError(
                        Failure(kind=FailureKind.RESET, message="the host allows no more sockets")
                    ) from None
                found = None
            except BaseException:
                socket.break_off()
                raise

    async def _new(self, nursery: trio.Nursery, ask: Ask, address: Address) -> Socket:
        """A socket of its own. Raises Refused, the deadline for connecting included; that covers the upgrade as well."""
        limits = ask.provider.timeouts_for(ask.candidate.model)
        socket = Socket(address, trio.current_time())
        with trio.move_on_after(float("inf") if limits.connect_s is None else limits.connect_s) as scope:
            await nursery.start(socket.run, lambda: self._connect(address.origin), limits.write_s)
        if scope.cancelled_caught:
            raise Refused(f"no socket within {limits.connect_s:g} s")
        return socket

    async def _connect(self, origin: Origin) -> Connection:
        return await connect(origin, self.network, self._tls)

    def _tls(self) -> ssl.SSLContext:
        if self._shared_context is None:
            self._shared_context = self.context()
        return self._shared_context

    def _over_with(self, ask: Ask, turn: SocketTurn) -> None:
        """The turn is over: a socket whose answer came to its end rests, any other is broken off."""
        if turn.ended:
            turn.socket.seen = turn.seen()
            self.shelf.put(
                _owner(ask.request, ask.provider), _digest(turn.socket.address), turn.socket, trio.current_time()
            )
        else:
            turn.socket.break_off()

    def _knows_better(self, address: Address) -> bool:
        return self._http_only.get((address.origin, address.path), 0.0) > trio.current_time()

    def _remember(self, address: Address) -> None:
        now = trio.current_time()
        kept = [(where, until) for where, until in self._http_only.items() if until > now]
        self._http_only = dict([*kept[-_REMEMBERED + 1 :], ((address.origin, address.path), now + HTTP_ONLY_S)])


def _wants_sockets(provider: Provider) -> bool:
    """Whether it is configured so. Through a proxy httpx sends, which speaks HTTP alone."""
    return provider.websocket and provider.proxy is None


def _owner(request: Request, provider: Provider) -> Owner:
    return Owner(request.session, request.agent, provider.id)


def _address(turn: Turn) -> Address:
    """Raises ValueError for an address that is none."""
    parts = urlsplit(turn.url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("not an http address")
    origin = Origin(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = tuple((name, value) for name, value in turn.headers if name.lower() not in _NOT_FOR_UPGRADES)
    return Address(origin=origin, path=path, headers=headers)


def _digest(address: Address) -> bytes:
    """Address and head, the key among it, as what tells sockets apart."""
    whole = blake2b(digest_size=16)
    where = (str(part).encode() for part in (*address.origin, address.path))
    for data in (*where, *(part for field in address.headers for part in field)):
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.digest()
