"""A message as one wire's frames, each labelled with the part it plays: what "after the first call" means on any wire.

The scripted renderings give bytes, and bytes do not say where a block ends. Instead of looking into them, a message is
rendered with its first block, its first two and so on: what is added each time belongs to the block that was added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from tests.e2e.upstream import RENDERINGS
from tests.e2e.wire import Block, Message, Text, Thinking, ToolUse, Wire, words

Part = Literal["opening", "start", "delta", "stop", "end"]
#: Where in a block: behind its start, its first delta, its middle one, its last one, its end.
Spot = Literal["start", "first", "middle", "last", "stop"]


@attrs.frozen
class Piece:
    """One frame. `says` is what it adds to the visible text and thinking."""

    data: bytes
    part: Part
    block: int = -1
    says: str = ""


@attrs.frozen
class Place:
    """A place: at the `head`, behind the `opening`, in block number `block`, behind the `reason` for the end, when `done`."""

    spot: Spot | Literal["head", "opening", "reason", "done"]
    block: int = -1


class NoSuchPlaceError(ValueError):
    """This wire has nothing of the kind. The text says why."""


#: Frames at the end of a message, and for each kind of block those before and behind its deltas.
_ANATOMY: Mapping[Wire, tuple[int, Mapping[type[Block], tuple[int, int]]]] = {
    "anthropic": (2, {Text: (1, 1), Thinking: (1, 2), ToolUse: (1, 1)}),
    "openai-chat": (3, {Text: (0, 0), Thinking: (0, 0), ToolUse: (1, 0)}),
    "openai-responses": (1, {Text: (2, 3), Thinking: (2, 3), ToolUse: (1, 2)}),
    "gemini": (1, {Text: (0, 0), Thinking: (0, 0), ToolUse: (0, 0)}),
    "ollama": (1, {Text: (0, 0), Thinking: (0, 0), ToolUse: (0, 0)}),
}


def laid_out(message: Message, wire: Wire) -> list[Piece]:
    """The whole stream, frame by frame, labelled."""
    last, kinds = _ANATOMY[wire]
    if wire == "openai-chat" and not message.counted:
        last -= 1

    def rendered(blocks: int) -> list[bytes]:
        return list(RENDERINGS[wire].frames(attrs.evolve(message, blocks=message.blocks[:blocks])))

    until = [len(rendered(count)) - last for count in range(len(message.blocks) + 1)]
    frames = rendered(len(message.blocks))
    pieces = [Piece(data, "opening") for data in frames[: until[0]]]
    for number, block in enumerate(message.blocks):
        own = frames[until[number] : until[number + 1]]
        before, behind = kinds[type(block)]
        said = [] if isinstance(block, ToolUse) else words(block.text)
        for at, data in enumerate(own):
            part: Part = "start" if at < before else "stop" if at >= len(own) - behind else "delta"
            says = said[at - before] if part == "delta" and said else ""
            pieces.append(Piece(data, part, number, says))
    return pieces + [Piece(data, "end") for data in frames[until[-1] :]]


def cut(pieces: list[Piece], place: Place) -> int:
    """How many frames stand before `place`. Raises NoSuchPlaceError where this wire has no such place."""
    parts = [piece.part for piece in pieces]
    match place.spot:
        case "head":
            return 0
        case "opening":
            if "opening" not in parts:
                raise NoSuchPlaceError("the first frame has content already")
            return parts.count("opening")
        case "reason":
            if parts.count("end") == 1:
                raise NoSuchPlaceError("the end is one frame")
            return parts.index("end") + 1
        case "done":
            return len(pieces)
    own = [at for at, piece in enumerate(pieces) if piece.block == place.block]
    starts, deltas, stops = ([at for at in own if parts[at] == part] for part in ("start", "delta", "stop"))
    match place.spot:
        case "start":
            if not starts:
                raise NoSuchPlaceError("a block begins with its first delta")
            return starts[-1] + 1
        case "stop":
            if not stops:
                raise NoSuchPlaceError("nothing marks the end of a block")
            return stops[-1] + 1
    if len(deltas) == 1 and place.spot != "last":
        raise NoSuchPlaceError("a call comes in one piece")
    return deltas[{"first": 0, "middle": len(deltas) // 2, "last": -1}[place.spot]] + 1


def shown(pieces: list[Piece]) -> str:
    """The text and thinking in these frames."""
    return "".join(piece.says for piece in pieces)
