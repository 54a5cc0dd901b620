"""A text that comes in pieces, and whether it is a closed value yet.

Both questions have an answer that costs the whole text each time: join it, parse it. A host that sends a megabyte letter
by letter turns that into hours, and as one object for each letter into gigabytes. So pieces are joined by the thousand,
and each is looked at once.
"""

from __future__ import annotations

import re

import attrs

#: Pieces that are kept apart at most.
_APART = 1024
_PIECE = re.compile(r'["\\{}\[\]]|[^"\\{}\[\]\s]+')


@attrs.define(eq=False)
class _Extent:
    """How deep in brackets a text is so far, and whether in quotes."""

    _begun: bool = False
    _depth: int = 0
    _quoted: bool = False
    _escaped: bool = False

    @property
    def closed(self) -> bool:
        return self._begun and not self._depth and not self._quoted

    def add(self, text: str) -> None:
        for piece in _PIECE.findall(text):
            if self._escaped:
                self._escaped = False
            elif piece == "\\":
                self._escaped = self._quoted
            elif piece == '"':
                self._begun = True
                self._quoted = not self._quoted
            elif piece in "{[" and not self._quoted:
                self._begun = True
                self._depth += 1
            elif piece in "}]" and not self._quoted:
                self._depth -= 1


@attrs.define(eq=False)
class Pieces:
    """`add` pieces, ask for the `text` or whether it is `closed`."""

    length: int = 0
    _joined: list[str] = attrs.field(factory=list)
    _apart: list[str] = attrs.field(factory=list)
    _extent: _Extent = attrs.field(factory=_Extent)
    _seen: int = 0  # of those joined
    _seen_apart: int = 0

    @property
    def text(self) -> str:
        return "".join([*self._joined, *self._apart])

    @property
    def closed(self) -> bool:
        """Whether this is all there is of a value: an object, a list or a string, by its brackets and quotes, or null.

        Arguments with a comma too many have come to their end all the same.
        """
        for piece in self._joined[self._seen :]:
            self._extent.add(piece)
        self._seen = len(self._joined)
        self._look()
        return self._extent.closed or (self.length == len("null") and self.text == "null")

    def add(self, piece: str) -> None:
        self._apart.append(piece)
        self.length += len(piece)
        if len(self._apart) >= _APART:
            if self._seen_apart:
                self._look()
                self._seen += 1  # then all before it have been seen as well
            self._joined.append("".join(self._apart))
            self._apart.clear()
            self._seen_apart = 0

    def _look(self) -> None:
        for piece in self._apart[self._seen_apart :]:
            self._extent.add(piece)
        self._seen_apart = len(self._apart)
