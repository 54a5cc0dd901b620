"""A message being told by a provider that is about to fail: what it has of it, and the ways in which it may break off.

Whether a client has seen what was sent before the break decides the outcome, and a socket makes no promise of it: two
frames that were sent apart may be read together. So before it breaks, a provider here waits until the client has seen what
it can have seen, which the client tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import attrs

from tests.e2e.catalogue.layout import Piece, Place, cut, shown
from tests.e2e.faults import Action, Cut, HalfClose, Head, Pause, Reset, Send, Until
from tests.e2e.upstream import RENDERINGS
from tests.e2e.wire import Message, Rendering, Wire

#: Longer than any patience in these tests, in seconds.
FOR_EVER_S = 3600.0


@attrs.frozen
class Telling:
    """One answer on its way. `seen` waits until the client has seen this text, and this many calls."""

    message: Message
    wire: Wire
    pieces: list[Piece]
    seen: Callable[[str, int], Until]
    shows_calls: bool

    @property
    def rendering(self) -> Rendering:
        return RENDERINGS[self.wire]

    @property
    def head(self) -> Head:
        """The head of a right answer."""
        return Head(200, (("content-type", self.rendering.stream_type),))

    @property
    def body(self) -> bytes:
        """The whole of a right stream."""
        return b"".join(piece.data for piece in self.pieces)

    def until(self, place: Place) -> Iterator[Action]:
        """A right answer as far as `place`, and seen."""
        yield self.head
        yield from self.body_until(place)

    def body_until(self, place: Place) -> Iterator[Action]:
        """The same without the head."""
        told = self.pieces[: cut(self.pieces, place)]
        yield from (Send(piece.data) for piece in told)
        begun = {piece.block for piece in told if piece.block >= 0 and not piece.says and piece.part != "start"}
        whole = [n for n in begun if sum(p.block == n for p in told) == sum(p.block == n for p in self.pieces)]
        calls = sum(self._is_call(number) for number in whole) if self.shows_calls else 0
        yield self.seen(shown(told), calls)

    def after(self, place: Place) -> Iterator[Action]:
        """What a right answer has behind `place`."""
        return (Send(piece.data) for piece in self.pieces[cut(self.pieces, place) :])

    def _is_call(self, number: int) -> bool:
        return hasattr(self.message.blocks[number], "input")


Way = Literal["end", "cut", "reset", "half-close", "stall", "overloaded", "failed", "half-frame", "junk"]
#: What each way is, for the page.
MEANS: Mapping[Way, str] = {
    "end": "the body ends in an orderly way",
    "cut": "the connection closes inside the body",
    "reset": "TCP reset",
    "half-close": "the provider closes its side and stays",
    "stall": "silence",
    "overloaded": "the wire's error, status 529",
    "failed": "the wire's error, status 500",
    "half-frame": "half a frame, and the body ends",
    "junk": "a frame that is not JSON, and the rest as if nothing were wrong",
}


def broken(told: Telling, place: Place, way: Way) -> Iterator[Action]:
    """Break at `place` in this way; what went before has been sent."""
    rest = [piece.data for piece in told.pieces[cut(told.pieces, place) :]]
    match way:
        case "cut":
            yield Cut()
        case "reset":
            yield Reset()
        case "half-close":
            yield HalfClose()
            yield Pause(FOR_EVER_S)
        case "stall":
            yield Pause(FOR_EVER_S)
        case "overloaded":
            yield Send(told.rendering.error_frame(529, "scripted overload"))
        case "failed":
            yield Send(told.rendering.error_frame(500, "scripted failure"))
        case "half-frame":
            yield Send(rest[0][: len(rest[0]) // 2])
        case "junk":
            yield Send(junk(told.wire))
            yield from map(Send, rest)


def junk(wire: Wire) -> bytes:
    """A frame whose data is not JSON."""
    return b'{"unfinished": \n' if wire == "ollama" else b'data: {"unfinished": \n\n'
