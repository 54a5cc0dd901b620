"""A stream of lines, each a JSON object, in whatever pieces they come.

`splitlines` would tear a text at U+2028 and at a carriage return, and looking for the end of a line in all that waits
costs the square of its length. So only a new piece is searched, only for the one byte that ends a line, and a line without
an end is not waited for beyond a bound.
"""

from __future__ import annotations

from transports._anthropic import StreamError

#: The largest line that is waited for, in bytes. A whole file as the arguments of one call is far below it.
MAX_LINE_BYTES = 16 * 1024 * 1024


class Lines:
    """`feed` bytes, get the lines they complete, without blank ones; `finish` gives what the last one held."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._rest = bytearray()  # holds no end of a line
        self._max = max_line_bytes

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete after `chunk`. Raises StreamError for one without an end."""
        if b"\n" not in chunk:
            self._wait(chunk)
            return []
        self._rest += chunk[: chunk.rindex(b"\n")]
        lines = bytes(self._rest).split(b"\n")
        self._rest.clear()
        self._wait(chunk[chunk.rindex(b"\n") + 1 :])
        return [line for line in lines if line.strip()]

    def finish(self) -> bytes:
        """A last line that lacks its end, b"" where there is none."""
        rest = bytes(self._rest).strip()
        self._rest.clear()
        return rest

    def _wait(self, rest: bytes) -> None:
        self._rest += rest
        if len(self._rest) > self._max:
            raise StreamError(f"a line of more than {self._max >> 20} MiB")
