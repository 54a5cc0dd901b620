"""The composition root: argv, environment, files and signals come in here, and nowhere else.

Everything is built once, passed in, and closed; no other module keeps state of its own. hypercorn serves, but its main does
not suit: it handles no signals by itself, cuts streams when it drains, and turns a crash into exit code 0. So the main here
is our own. The server runs in one nursery with what it needs; a signal begins a drain in which live streams have time, and
those still running then get an honest ending; a second signal ends at once.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import attrs
import hypercorn.trio
import hypercorn.trio.run
import trio
from hypercorn.config import Config as Hypercorn
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.tcp_server import TCPServer

if sys.platform != "win32":
    import resource

from engine import Books, Checkups, EventBus, LocalGate, Router, Sharing, Transport
from engine.config import Config, Provider, check_exposure, load
from engine.observers.recent import Recent
from routes import Access, App, Care, Desk, Front, hide_late_disconnect, people
from transports import (
    DIALECTS,
    HTTPCounter,
    Proxied,
    Readable,
    Rehearsal,
    Script,
    ServingWebTools,
    StreamingTransport,
    TheWeb,
    WebSocketTransport,
    WireHTTP,
    ZedThreads,
    answering,
    load_catalogue,
)

#: A reader that takes nothing for this long (ms) is dropped by the kernel, zero window included, where it can (Linux).
USER_TIMEOUT_MS = 30_000
#: Room for connections that arrive together: an agent starts dozens.
BACKLOG = 2048
#: What a client must take within the write deadline to be kept: a large answer is one write, and takes as long as it takes.
SLICE_BYTES = 64 * 1024
#: What the kernel may hold of an answer that is not yet taken. Linux wakes a writer when a third of it is free, so with its
#: own 4 MB and more a reader would have to take a megabyte at a time to be seen taking anything.
SEND_BUFFER_BYTES = 256 * 1024
#: After the drain, time for endings to reach their clients, in seconds.
ENDINGS_S = 3.0


class StartError(Exception):
    """The server cannot start. The text is for the user: what, and what to do."""


def product_version() -> str:
    """The installed distribution's version."""
    try:
        return version("hedgerow")
    except PackageNotFoundError:
        return "unknown"


# Configuration.


def config_file(option: str | None, environ: Mapping[str, str]) -> Path | None:
    """The configuration's file: option, HEDGEROW_CONFIG, ./config.toml, ~/.config/hedgerow/config.toml, in this order.

    None where there is none: then the built-in chain is all there is. Raises StartError where a named file is missing.
    """
    named = option or environ.get("HEDGEROW_CONFIG")
    if named:
        if not Path(named).is_file():
            raise StartError(f"{named}: there is no such file (from {'--config' if option else 'HEDGEROW_CONFIG'})")
        return Path(named)
    homes = (Path("config.toml"), Path.home() / ".config" / "hedgerow" / "config.toml")
    return next((path for path in homes if path.is_file()), None)


def read_config(
    option: str | None, environ: Mapping[str, str], *, found: Mapping[str, str | None] | None = None
) -> Config:
    """The configuration in force. `found` are the local runtimes that answer. Raises ConfigError, StartError."""
    path = config_file(option, environ)
    try:
        text = path.read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{path}: cannot be read: {error}") from error
    name = str(path) if path else "built-in configuration"
    config = load(text, file=name, catalogue=load_catalogue(), environ=environ, answering=dict(found or {}))
    return attrs.evolve(config, warnings=(*config.warnings, *_unplayable(config)))


def _unplayable(config: Config) -> Iterator[str]:
    """Candidates on the rehearsal whose script cannot be played. A client may name any, so it is found when one is asked;
    but in a file it is a typo."""
    for chain in config.chains.values():
        for candidate in chain.candidates:
            if config.providers[candidate.provider].wire == "rehearsal":
                try:
                    Script.of(candidate.model)
                except ValueError as error:
                    yield f"{config.file}: chains.{chain.name}: '{candidate}' will be answered with 400: {error}"


async def find_local(config: Config) -> dict[str, str | None]:
    """The local runtimes that answer on this machine."""
    http = StreamingTransport()
    try:
        return await answering(http, config.providers.values())
    finally:
        await http.aclose()


# Building.


@attrs.define(eq=False)
class Built:
    """The parts of one server. `app` is the ASGI application; `config` may be replaced while it runs."""

    config: Config
    bus: EventBus
    books: Books
    router: Router
    checkups: Checkups
    recent: Recent
    http: StreamingTransport
    ways: Proxied
    sockets: WebSocketTransport
    sharing: Sharing
    app: App


def build(
    config: Config,
    *,
    log: Callable[[Access], None] = lambda _: None,
    wall_s: Callable[[], float] = time.time,  # noqa: TID251 - the one place where the wall clock comes in
) -> Built:
    """Everything, wired and not yet running. `log` takes the access log, `wall_s` gives the time of day."""
    http = StreamingTransport()
    ways = Proxied(http)
    readable = Readable()
    over_http: dict[str, WireHTTP] = {
        wire: WireHTTP(ways.to, wall_s, dialect, readable) for wire, dialect in DIALECTS.items()
    }
    sockets = WebSocketTransport(http=over_http["openai-responses"], wall_s=wall_s)
    the_web = TheWeb(http, wall_s)

    def with_web_tools(inner: Transport) -> Transport:
        return ServingWebTools(inner, lambda: current().web_tools, the_web)

    over_sockets = with_web_tools(sockets)
    transports: dict[str, Transport] = {
        **{wire: with_web_tools(transport) for wire, transport in over_http.items()},
        "zed": ZedThreads(WireHTTP(ways.to, wall_s, DIALECTS["anthropic"], readable), DIALECTS, trio.current_time),
        "rehearsal": Rehearsal(_advice(config)),
    }

    def current() -> Config:
        return built.config

    def transport(provider: Provider) -> Transport:
        return over_sockets if provider.websocket else transports[provider.wire]

    books = Books.of(current)
    recent = Recent()
    bus = EventBus()
    books.register(bus)
    bus.add(recent.fold)
    gate = LocalGate(books)
    router = Router(
        config=current,
        books=books,
        bus=bus,
        gate=gate,
        transports=transport,
        wall_s=wall_s,
        holds=sockets.holds,
        counter=HTTPCounter(ways.to),
    )
    sharing = Sharing(router, bus, current)
    checkups = Checkups(config=current, books=books, bus=bus, gate=gate, transports=transport)
    desk = Desk(
        version=product_version(),
        config=current,
        books=books,
        router=router,
        recent=recent,
        wall_s=wall_s,
        at=trio.current_time,
        care=Care(config=current, bus=bus, checkups=checkups),
    )
    people_app = hide_late_disconnect(cast(App, people(desk)))
    front = Front(config=current, router=router, turns=sharing, bus=bus, people=people_app, log=log)
    built = Built(
        config=config,
        bus=bus,
        books=books,
        router=router,
        checkups=checkups,
        recent=recent,
        http=http,
        ways=ways,
        sockets=sockets,
        sharing=sharing,
        app=front,
    )
    return built


def _advice(config: Config) -> str:
    """What somebody without a usable provider should do."""
    return (
        "To get real answers, set a provider's key in the environment, for example OPENROUTER_API_KEY, DEEPSEEK_API_KEY "
        "or ZAI_API_KEY, or start a local runtime such as llama.cpp or Ollama; then start hedgerow again. "
        "`hedgerow demo` shows what a chain does."
    )


def create_app() -> App:
    """The ASGI application for a hypercorn of one's own: `hypercorn -k trio "server:create_app()"`.

    Reads the environment and the configuration file like `serve`; local runtimes are used only where the file names them,
    and WebSockets to providers not at all: nobody is there to own them.
    """
    config = read_config(None, os.environ)
    return build(config).app


# Serving.


@attrs.define(eq=False)
class Writes:
    """The writes to clients that are under way, each slice with a deadline of `within_s` seconds."""

    within_s: float
    _scopes: set[trio.CancelScope] = attrs.field(factory=set)

    @contextmanager
    def one(self) -> Iterator[trio.CancelScope]:
        """A write that nothing interrupts but its deadline and `give_up`."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self.within_s) as scope:
            self._scopes.add(scope)
            try:
                yield scope
            finally:
                self._scopes.discard(scope)

    def give_up(self) -> None:
        """End the writes under way, and from now on let none wait."""
        self.within_s = 0.0
        for scope in self._scopes:
            scope.cancel()


class PatientTCPServer(TCPServer):
    """hypercorn's connection, with a deadline for writes, which each slice of a write has anew.

    hypercorn 0.18 writes inside a shielded scope without a deadline, so a client that stops reading can never be given up:
    it holds its provider open, and shutdown too. Tested against `hypercorn==0.18.*`, which is pinned for this.
    """

    def __init__(self, writes: Writes, *args: Any) -> None:
        super().__init__(*args)
        self.writes = writes

    async def protocol_send(self, event: Event) -> None:
        if not isinstance(event, RawData):
            if not (isinstance(event, Closed) and self._answering()):
                await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                broken = not await self._send_slices(memoryview(event.data))
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                broken = True  # busy: hypercorn closes without waiting for its own writes
        if broken:
            await trio.aclose_forcefully(self.stream)
            await self.protocol.handle(Closed())

    def _answering(self) -> bool:
        """Whether an answer is under way: its own end closes, and junk behind its request must not close before that."""
        http1: Any = self.protocol.protocol
        return getattr(http1, "stream", None) is not None and repr(http1.connection.our_state) == "SEND_BODY"

    async def _send_slices(self, data: memoryview) -> bool:
        """Whether all was taken, each slice within the deadline: one for the whole would cut a steady but slow reader."""
        for start in range(0, max(len(data), 1), SLICE_BYTES):
            with self.writes.one() as scope:
                await self.stream.send_all(data[start : start + SLICE_BYTES])
            if scope.cancelled_caught:
                return False
        return True


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, port 0 for a free one. Raises StartError naming what is in the way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except (OSError, TypeError, UnicodeError) as error:  # the last two: a name that cannot be encoded as a host's
        sock.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise StartError(
                f"port {port} on {host} is taken: stop what listens there, or choose another with --bind"
            ) from None
        raise StartError(f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}") from None
    sock.setblocking(False)
    return sock


def raise_file_limit() -> None:
    """Let this process open as many files as it may; each turn takes two or more. The usual soft limits are 256 and 1024."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):  # macOS says "unlimited" and means less
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def address(sock: socket.socket) -> str:
    """The URL of a listening socket, as a client on this machine should write it."""
    host, port = sock.getsockname()[:2]
    return url_of(host, port)


def url_of(host: str, port: int) -> str:
    """The URL of what listens there, as a client on this machine should write it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def hypercorn_config(config: Config, sock: socket.socket) -> Hypercorn:
    """hypercorn's settings, each for a reason measured (its default in brackets)."""
    settings = Hypercorn()
    settings.bind = [f"fd://{sock.detach()}"]
    settings.graceful_timeout = config.server.drain_s + ENDINGS_S + 2  # [3] cuts live streams; ours ends them before
    settings.keep_alive_timeout = 75  # [5] makes clients reconnect between turns
    settings.keep_alive_max_requests = 1_000_000  # [1000] closes a busy connection under its client
    settings.backlog = BACKLOG  # [100]
    settings.read_timeout = None  # [None] anything else kills a stream whose client only listens
    settings.alpn_protocols = ["http/1.1"]  # [h2 too] h2 has no back-pressure there
    settings.websocket_ping_interval = 20  # [None]
    settings.include_server_header = False  # [True]
    settings.accesslog = None  # the front keeps its own
    settings.loglevel = "WARNING"  # [INFO]
    return settings


async def serve(built: Built, sock: socket.socket, *, started: Callable[[], Any] = lambda: None) -> None:
    """Serve until a signal, then drain. Returns when all is closed; a crash of any part raises."""
    raise_file_limit()
    server = built.config.server
    writes = Writes(server.write_s)
    hypercorn.trio.run.TCPServer = partial(PatientTCPServer, writes)  # type: ignore[assignment, attr-defined]
    settings = hypercorn_config(built.config, sock)
    stop = trio.Event()
    try:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:

                async def on_signals() -> None:
                    async for _ in signals:
                        if stop.is_set():
                            writes.give_up()
                            nursery.cancel_scope.cancel()
                            return
                        stop.set()
                        nursery.start_soon(drain)

                async def drain() -> None:
                    """Those under way have their time; then each is ended, and who does not take its ending is dropped."""
                    built.router.refuse_new()
                    with trio.move_on_after(server.drain_s):
                        await built.router.idle()
                    built.router.shut_down()
                    await trio.sleep(ENDINGS_S)
                    writes.give_up()

                async def swept() -> None:
                    while True:
                        await trio.sleep(30)
                        await built.http.sweep()

                nursery.start_soon(on_signals)
                nursery.start_soon(swept)
                nursery.start_soon(built.sockets.run)
                nursery.start_soon(built.checkups.run)
                nursery.start_soon(built.sharing.run)
                started()
                await hypercorn.trio.serve(built.app, settings, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
                nursery.cancel_scope.cancel()
    finally:
        with trio.move_on_after(1, shield=True):
            await built.ways.aclose()


def bound(config: Config, bind: str | None) -> Config:
    """The configuration with `HOST:PORT` from the command line. Raises StartError where it is malformed or exposed."""
    if bind is not None:
        host, _, port = bind.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            raise StartError(f"--bind: expected HOST:PORT, for example 127.0.0.1:8082, got '{bind}'")
        server = attrs.evolve(config.server, host=host.strip("[]"), port=int(port))
        config = attrs.evolve(config, server=server)
    exposed = check_exposure(config.server)
    if exposed:
        raise StartError(exposed)
    return config


if __name__ == "__main__":
    from cli.main import main

    main(["serve", *sys.argv[1:]])
