"""HTTP/1.1 as a client speaks it, without any I/O: the request, the response head, the body's framing.

The naive answer is h11 from end to end. For heads it is the right one, and it is used here: it validates what we send
and normalises what we receive. For bodies it hands out one event per chunk, so a read that brought fifty server-sent
events costs fifty trips through everything downstream. Here a body decoder is fed one socket read and returns what that
read held as one `bytes`; a proxy that is late coalesces, and so catches up.

Where h11 is lenient and leniency is how two parties come to disagree about where a message ends, this is strict:
folded header lines, malformed chunk sizes and trailers, and endless heads are refused. Faults are h11's own two
exceptions: `h11.LocalProtocolError` for what the caller asked to send, `h11.RemoteProtocolError` for what the peer sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

import attrs
import h11

#: Bytes of a response head, informational responses before it included. Node allows 16 KiB, curl 300 KiB in all.
MAX_HEAD: Final = 64 * 1024
#: Bytes of a chunk-size line with its extensions; nginx and Go allow 4 KiB.
MAX_CHUNK_LINE: Final = 4 * 1024
#: Bytes of all trailer lines together. They are validated and dropped.
MAX_TRAILERS: Final = 16 * 1024

DISCONNECTED: Final = "Server disconnected without sending a response"

_BLANK_LINE = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\n[ \t]")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


def cut(parts: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of `size` (the last may be shorter): small parts are joined, large ones sliced."""
    pending: list[memoryview] = []
    room = size
    for part in parts:
        view = memoryview(part)
        while view:
            pending.append(view[:room])
            view = view[room:]
            room -= len(pending[-1])
            if not room:
                yield b"".join(pending)
                pending, room = [], size
    if pending:
        yield b"".join(pending)


class Body(Protocol):
    """Where a response body ends, and what is inside.

    `complete` once its end has been seen; `surplus` if bytes came after that; `fault` if a read was good up to some
    point: what came before the fault was returned, and the next `feed` raises it.
    """

    complete: bool
    surplus: bool
    fault: h11.RemoteProtocolError | None

    def feed(self, data: bytes) -> bytes:
        """All body bytes in `data` (one non-empty socket read), joined. Raises `h11.RemoteProtocolError`."""

    def end(self) -> None:
        """The peer closed. Raises `h11.RemoteProtocolError` unless that is how this body ends."""


@attrs.define(eq=False)
class LengthBody:
    """A body of a length known beforehand; 0 for the responses that have none."""

    remaining: int
    complete: bool = attrs.field(init=False)
    surplus: bool = attrs.field(init=False, default=False)
    fault: h11.RemoteProtocolError | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.complete = self.remaining == 0

    def feed(self, data: bytes) -> bytes:
        left = self.remaining - len(data)
        if left > 0:
            self.remaining = left
            return data
        if left < 0:
            self.surplus = True
            data = data[: self.remaining]
        self.remaining = 0
        self.complete = True
        return data

    def end(self) -> None:
        if not self.complete:
            raise h11.RemoteProtocolError(f"peer closed with {self.remaining} bytes of the body missing")


@attrs.define(eq=False)
class UntilCloseBody:
    """A body that ends when the connection does. A cut one cannot be told from a whole one here."""

    complete: bool = attrs.field(init=False, default=False)
    surplus: bool = attrs.field(init=False, default=False)
    fault: h11.RemoteProtocolError | None = attrs.field(init=False, default=None)

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> None:
        self.complete = True


@attrs.define(eq=False)
class ChunkedBody:
    """`Transfer-Encoding: chunked`, decoded a whole read at a time."""

    complete: bool = attrs.field(init=False, default=False)
    surplus: bool = attrs.field(init=False, default=False)
    fault: h11.RemoteProtocolError | None = attrs.field(init=False, default=None)
    _remaining: int = attrs.field(init=False, default=0)  # of the chunk we are in
    _expect: str = attrs.field(init=False, default="size")  # size, data, end (the CRLF after data), trailer
    _held: bytes = attrs.field(init=False, default=b"")  # an incomplete line
    _trailers: int = attrs.field(init=False, default=0)

    def feed(self, data: bytes) -> bytes:
        if self.fault is not None:
            raise self.fault
        if self._held:
            data, self._held = self._held + data, b""
        parts: list[bytes] = []
        try:
            self._decode(data, parts)
        except h11.RemoteProtocolError as fault:
            self.fault = fault
            if not parts:
                raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def end(self) -> None:
        if not self.complete:
            raise h11.RemoteProtocolError("peer closed inside a chunked body (incomplete chunked read)")

    def _decode(self, data: bytes, parts: list[bytes]) -> None:
        position, size = 0, len(data)
        while position < size:
            if self._expect == "data":
                piece = data[position : position + self._remaining]
                parts.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                if self._remaining:
                    return
                self._expect = "end"
                if data.startswith(b"\r\n", position):  # the usual case, without a detour for an empty line
                    self._expect = "size"
                    position += 2
                continue
            if self.complete:
                self.surplus = True
                return
            limit = 0 if self._expect == "end" else MAX_CHUNK_LINE
            line_end = data.find(b"\r\n", position, position + limit + 2)
            if line_end < 0:
                # The last byte may be the CR of a line end still on its way.
                if size - position > limit + (data[-1:] == b"\r"):
                    raise h11.RemoteProtocolError(f"no line end where the chunked body needs one ({self._expect})")
                self._held = data[position:]
                return
            self._line(data[position:line_end])
            position = line_end + 2

    def _line(self, line: bytes) -> None:
        if self._expect == "end":
            self._expect = "size"
        elif self._expect == "size":
            match = _CHUNK_LINE.fullmatch(line)
            if match is None:
                raise h11.RemoteProtocolError(f"illegal chunk header: {line[:40]!r}")
            self._remaining = int(match[1], 16)
            self._expect = "data" if self._remaining else "trailer"
        elif not line:
            self.complete = True
        else:
            self._trailers += len(line)
            if self._trailers > MAX_TRAILERS or _TRAILER.fullmatch(line) is None:
                raise h11.RemoteProtocolError(f"illegal or too many trailers: {line[:40]!r}")


@attrs.frozen(eq=False)
class ResponseHead:
    """A final response (2xx to 5xx): what the caller sees of it, and how to read on.

    `rest` is what the same read brought after the head, not yet fed to `body`.
    """

    status: int
    reason: bytes
    http_version: bytes
    headers: list[tuple[bytes, bytes]]
    body: Body
    rest: bytes
    keep_alive: bool


class Exchange:
    """One request and the head of its response, as bytes.

    `head` is the request head, ready to send; `data` and `end` frame the request body; `feed` takes what was read until
    it returns a `ResponseHead`. Raises `h11.LocalProtocolError` for a request that must not be sent, and never quotes a
    header's value in it: the value may be a key.
    """

    def __init__(self, method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
        if method == b"CONNECT":
            raise h11.LocalProtocolError("CONNECT makes a tunnel, not an exchange")
        self.method = method
        self.answered = False  #: has the peer sent anything at all?
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._buffer = bytearray()
        self._searched = 0
        self._consumed = 0
        self.head: bytes = self._h11.send(_request(method, target, headers))

    def data(self, piece: bytes) -> list[bytes]:
        """A piece of the request body, framed; `piece` itself is passed through uncopied."""
        return self._h11.send_with_data_passthrough(h11.Data(data=piece)) or []

    def end(self) -> list[bytes]:
        """What follows the last piece. Raises if the body was shorter than its Content-Length said."""
        return self._h11.send_with_data_passthrough(h11.EndOfMessage()) or []

    def feed(self, data: bytes) -> ResponseHead | None:
        """Take one read (`b""`: the peer closed). The head once it is whole; informational ones are skipped.

        Raises `h11.RemoteProtocolError`.
        """
        if not data:
            raise h11.RemoteProtocolError("peer closed inside the response head" if self.answered else DISCONNECTED)
        self.answered = True
        buffer = self._buffer
        buffer += data
        while True:
            if not buffer.startswith(b"HTTP/"[: len(buffer)]):
                raise h11.RemoteProtocolError(f"illegal status line: {bytes(buffer[:40])!r}")
            found = _BLANK_LINE.search(buffer, self._searched)
            length = len(buffer) if found is None else found.end()
            if self._consumed + length > MAX_HEAD:
                raise h11.RemoteProtocolError(f"response head longer than {MAX_HEAD} bytes")
            if found is None:
                self._searched = max(0, length - 2)
                return None
            head = bytes(buffer[:length])
            del buffer[:length]
            self._searched = 0
            self._consumed += length
            event = self._parse(head)
            if isinstance(event, h11.Response):
                return self._final(event)

    def _parse(self, head: bytes) -> h11.Response | h11.InformationalResponse:
        if _FOLD.search(head):
            raise h11.RemoteProtocolError("folded header line in the response head")
        self._h11.receive_data(head)
        event = self._h11.next_event()
        if not isinstance(event, h11.Response | h11.InformationalResponse) or event.status_code == 101:
            raise h11.RemoteProtocolError("the peer changed the protocol")
        return event

    def _final(self, response: h11.Response) -> ResponseHead:
        # h11 has seen to it that each of the two is there once, and that the coding is "chunked" and nothing else.
        fields = dict(response.headers)
        chunked, length = b"transfer-encoding" in fields, fields.get(b"content-length")
        body: Body
        if self.method == b"HEAD" or response.status_code in (204, 304):
            body = LengthBody(0)
        elif chunked:
            body = ChunkedBody()
        elif length is not None:
            body = LengthBody(int(length))
        else:
            body = UntilCloseBody()
        # Both headers at once is how responses are smuggled: believe one, then never use the connection again.
        doubtful = isinstance(body, UntilCloseBody) or (chunked and length is not None)
        return ResponseHead(
            status=response.status_code,
            reason=response.reason,
            http_version=response.http_version,
            headers=response.headers.raw_items(),
            body=body,
            rest=bytes(self._buffer),
            keep_alive=self._h11.our_state is h11.DONE and not doubtful,
        )


def _request(method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> h11.Request:
    try:
        return h11.Request(method=method, target=target, headers=list(headers))
    except h11.LocalProtocolError:
        guilty = next((name for name, value in headers if not _sendable(name, value)), None)
        if guilty is None:
            raise
    # Outside the handler, because the original quotes the value and would follow this one as its context.
    raise h11.LocalProtocolError(f"illegal request header {guilty!r} (its value is not shown)")


def _sendable(name: bytes, value: bytes) -> bool:
    if name.lower() == b"host":
        return True
    try:
        h11.Request(method=b"GET", target=b"/", headers=[(b"Host", b"host"), (name, value)])
    except h11.LocalProtocolError:
        return False
    return True
