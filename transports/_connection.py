"""Connections: TCP with happy eyeballs, TLS over it, and what went wrong in words.

The naive answer reports a failed connect as whatever the library raised, which for TLS is an empty string and for TCP
"all attempts failed". An operator wants the reason, and the router wants to tell a name that does not exist from a
certificate that is not trusted: the message names the reason, and `__cause__` is the exception that has it.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final, TypeAlias

import attrs
import httpx
import trio

from transports._pool import Origin
from transports._tls import RECEIVE_BYTES as RECEIVE_BYTES
from transports._tls import TlsStream

#: Opens a byte stream to a host (a name, or an IPv4 or IPv6 literal without brackets) and a port. Raises OSError.
Connect: TypeAlias = Callable[[str, int], Awaitable[trio.abc.Stream]]

#: What `connect` raises. ValueError: a host name no resolver takes; OverflowError: a port beyond 65535.
CONNECT_FAILURES: Final = (OSError, ValueError, OverflowError, trio.BrokenResourceError)


async def open_tcp(host: str, port: int) -> trio.abc.Stream:
    """TCP to whichever of the host's addresses answers first (RFC 6555). Trio sets TCP_NODELAY."""
    stream = await trio.open_tcp_stream(host, port)
    # A model may think for minutes without a byte; a peer that vanished without a word is found out meanwhile.
    with suppress(OSError):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return stream


def client_context(context: ssl.SSLContext | None = None) -> ssl.SSLContext:
    """`context` (None: certifi's authorities, about 15 ms to build) made fit for this transport, in place.

    It offers HTTP/1.1 and nothing else, and refuses TLS 1.2 renegotiation.
    """
    if context is None:
        context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


@attrs.define(eq=False)
class Connection:
    """One connection to one origin, used by one exchange at a time."""

    origin: Origin
    stream: trio.abc.Stream
    reused: bool = False  #: has it carried an exchange before this one?

    def readable(self) -> bool:
        """Is there anything to read? On an idle connection that is a farewell, or something worse. One poll(2)."""
        raw = self.stream
        if isinstance(raw, TlsStream):
            if raw.ended:
                return True
            raw = raw.raw
        return isinstance(raw, trio.SocketStream) and raw.socket.is_readable()


async def connect(origin: Origin, network: Connect, context: Callable[[], ssl.SSLContext]) -> Connection:
    """A fresh connection, TLS done. Raises one of `CONNECT_FAILURES`; leaves nothing open then, nor when cancelled."""
    raw = await network(origin.host, origin.port)
    if origin.scheme == "http":
        return Connection(origin, raw)
    try:
        stream = TlsStream(raw, context(), origin.host)
        await stream.handshake()
    except BaseException:
        await close_now([raw])
        raise
    return Connection(origin, stream)


async def close_now(streams: Iterable[trio.abc.Stream]) -> None:
    """Close without a farewell and without waiting; not interrupted, and not needing to be, by a cancellation."""
    with trio.CancelScope(shield=True):
        for stream in streams:
            await trio.aclose_forcefully(stream)


def explain(error: BaseException, origin: Origin) -> tuple[str, BaseException]:
    """Why `connect` failed, in a sentence, and the exception that knows."""
    peer = f"[{origin.host}]:{origin.port}" if ":" in origin.host else f"{origin.host}:{origin.port}"
    group = error.__cause__
    if isinstance(group, ExceptionGroup):  # trio's "all attempts failed": one error per address
        reasons = dict.fromkeys(_plain(each) for each in group.exceptions)
        cause = group.exceptions[0] if len(group.exceptions) == 1 else error
        return f"cannot connect to {peer}: {', '.join(reasons)}", cause
    reason = next(text for kind, text in _REASONS.items() if isinstance(error, kind))
    return reason.format(peer=peer, host=origin.host, why=_plain(error)), error


#: First match wins: the more specific above the more general.
_REASONS: Final[dict[type[BaseException], str]] = {
    socket.gaierror: "cannot resolve {host}: {why}",
    ssl.SSLCertVerificationError: "TLS: the certificate of {host} is not accepted: {why}",
    ssl.SSLEOFError: "TLS: {peer} closed the connection during the handshake",
    ssl.SSLZeroReturnError: "TLS: {peer} closed the connection during the handshake",  # the same, by Python 3.11.2
    ssl.SSLError: "TLS: no handshake with {peer}: {why}",
    trio.BrokenResourceError: "TLS: the connection to {peer} broke during the handshake: {why}",
    OSError: "cannot connect to {peer}: {why}",
    BaseException: "cannot connect to {peer}: not a valid address: {why}",
}


def _plain(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
