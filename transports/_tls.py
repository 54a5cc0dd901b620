"""TLS over any trio stream, for a client that streams.

The obvious choice, `trio.SSLStream`, costs this transport three things. It returns one TLS record per read, and
providers put every server-sent event into a record of its own, so a burst is handed on event by event however much one
socket read brought. It cannot be read any more once a write failed or was cancelled, and that is exactly when a server
answered 401 in the middle of our upload. And it keeps back the records behind the ones it returned: bytes after the end
of a response, which decide whether the connection may be used again. So this drives `ssl.SSLObject` itself: one socket
read, all its records, one `bytes`; reading and writing fail independently.

Only writes touch the wire on the way out. What reading makes OpenSSL want to say (the answer to a TLS 1.3 KeyUpdate)
goes out with the next write, as RFC 8446 section 4.6.3 allows; TLS 1.2 renegotiation is refused by the context.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Final

import trio

#: Bytes asked of the socket at once, and so the most one read of the transport returns.
RECEIVE_BYTES: Final = 64 * 1024


class TlsStream(trio.abc.Stream):
    """The client's side of TLS. `handshake` comes first.

    The end of the connection is an end of stream with and without `close_notify`, as in every HTTPS client: the body's
    framing tells a whole answer from a cut one. `aclose` closes the connection at once, without a farewell.
    """

    def __init__(self, raw: trio.abc.Stream, context: ssl.SSLContext, server_hostname: str) -> None:
        self.raw = raw
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self.ended = False  #: has the peer said that it will send no more?

    async def handshake(self) -> None:
        """Raises `ssl.SSLError`, `trio.BrokenResourceError`."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError:
                with suppress(trio.BrokenResourceError):
                    await self._flush()  # the alert that tells the peer why
                raise
            else:
                await self._flush()
                return

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Everything one socket read brought; `b""` at the end. `max_bytes` is not needed and not heeded."""
        while True:
            records: list[bytes] = []
            try:
                while record := self._tls.read(RECEIVE_BYTES):
                    records.append(record)
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                self.ended = True
            except ssl.SSLError as error:
                if not records:
                    raise trio.BrokenResourceError(f"TLS: {error.reason or error}") from error
            else:
                self.ended = True
            if records or self.ended:
                return records[0] if len(records) == 1 else b"".join(records)
            await self._fill()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with memoryview(data) as view:
            written = 0
            try:
                while written < len(view):
                    written += self._tls.write(view[written:])
            except ssl.SSLError as error:
                raise trio.BrokenResourceError(f"TLS: {error.reason or error}") from error
        await self._flush()

    async def wait_send_all_might_not_block(self) -> None:
        await self.raw.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.raw.aclose()

    async def _fill(self) -> None:
        data = await self.raw.receive_some(RECEIVE_BYTES)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        await self.raw.send_all(self._outgoing.read())
