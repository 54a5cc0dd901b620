"""Server-Sent Events, from bytes to frames and no further.

Line iterators of HTTP libraries follow `str.splitlines` and tear a JSON payload at U+2028; decoding to text first costs a
copy and fails inside a multi-byte character. The format is defined on bytes: lines end with CR, LF or CRLF, a blank line
ends a frame, everything else is data. So this works on bytes, in whatever pieces they come.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import re

import attrs

#: The largest frame that is waited for. Anthropic's largest events, whole search results, are far below it.
MAX_FRAME_BYTES = 16 * 1024 * 1024


class SSEError(ValueError):
    """Not an event stream, or one whose frames have no end."""


@attrs.define(eq=False)
class Frame:
    """One event. `raw` is set where the bytes as received are in the plain form `event: ...\\ndata: ...\\n\\n`."""

    event: bytes
    data: bytes
    raw: bytes | None = None


_PLAIN = re.compile(rb"event: ?([^\r\n]*)\ndata: ?([^\r\n]*)\n\n\Z")
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n|\r\n\r(?!\n)|\n\r(?!\n)|\r\r\n")
_LINE = re.compile(rb"\r\n|\n|\r")
#: The end of a frame is at most four bytes long, so at most three of them can have come with earlier reads.
_OVERLAP = 3
_BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """`feed` bytes, get the frames they complete; `finish` gives what an unterminated last frame held."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._rest = bytearray()  # holds no end of a frame, except one that may be half a CRLF
        self._begun = False
        self._max = max_frame_bytes

    def take(self, chunk: bytes) -> bytes:
        """The complete frames, as one piece of bytes, that are there after `chunk`; the rest stays.

        For callers that can relay a run of frames without looking into each. The other line endings take the slow way.
        Of what stayed only the last bytes are searched again, so a frame that comes in many reads costs no more.
        """
        if self._begun and not self._rest and chunk.endswith(b"\n\n") and b"\r" not in chunk:
            return chunk  # whole frames, as most reads are
        searched = max(0, len(self._rest) - _OVERLAP)
        self._rest += chunk
        if not self._begun and self._rest:
            if len(self._rest) < len(_BOM) and _BOM.startswith(self._rest):
                return b""
            self._begun = True
            if self._rest.startswith(_BOM):
                del self._rest[: len(_BOM)]
        end = _last_end(self._rest, searched)
        piece = bytes(self._rest[:end])
        del self._rest[:end]
        if len(self._rest) > self._max:
            raise SSEError(f"an event of more than {self._max >> 20} MiB")
        return piece

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes. Raises SSEError for a frame without end."""
        return split(self.take(chunk))

    def finish(self) -> list[Frame]:
        """The stream is over: a last frame that lacks its blank line counts, since its data is there."""
        rest = bytes(self._rest)
        self._rest.clear()
        return split(rest + b"\n\n") if rest.strip() else []


def _last_end(text: bytearray, start: int) -> int:
    """Where the last complete frame ends, 0 for nowhere. Before `start` no end begins."""
    if text.find(b"\r", start) < 0:
        return text.rfind(b"\n\n", start) + 2 if text.find(b"\n\n", start) >= 0 else 0
    end = 0
    for match in _END.finditer(text, start):
        if match.end() == len(text) and text.endswith(b"\r"):
            break  # perhaps half a CRLF: wait for the next byte
        end = match.end()
    return end


def split(piece: bytes) -> list[Frame]:
    """Complete frames, one by one. Comments and frames without data vanish, as the standard says."""
    if b"\r" not in piece:
        return [
            frame
            for text in piece.split(b"\n\n")
            if text
            and (frame := Frame(b"", text[6:]) if text.startswith(b"data: ") and b"\n" not in text else _frame(text))
            is not None
        ]
    return [frame for text in _END.split(piece) if text and (frame := _frame(text)) is not None]


def _frame(text: bytes) -> Frame | None:
    whole = text.lstrip(b"\n") + b"\n\n"  # a blank line too many ends no frame and begins none
    plain = _PLAIN.match(whole)
    if plain is not None:
        return Frame(plain[1], plain[2], whole)
    event, data = b"", []
    for line in _LINE.split(text):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            event = value
        elif name == b"data":
            data.append(value)
    return Frame(event, b"\n".join(data)) if data else None
