"""The ways in which a provider fails, as a table from a name to what its socket does.

A fault is written `name` or `name:number` (`silence:30`, `429-retry-after:120`, `dribble:7`). It turns the right answer
into a sequence of actions, lazily, so that an answer may also never end. Nothing here touches a socket, and nothing knows
a wire; the same table serves a fault named by URL prefix, by model name or by server, and both wires.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Literal

import attrs

from .wire import Message, Rendering


@attrs.frozen
class Head:
    """Status line and headers; the framing is chunked, as providers do it, unless a `content-length` is among them."""

    status: int
    headers: tuple[tuple[str, str], ...]


@attrs.frozen
class Send:
    """Body bytes, written to the socket at once and by themselves."""

    data: bytes


@attrs.frozen
class Raw:
    """Bytes put on the socket as they are, beside all framing."""

    data: bytes


@attrs.frozen
class Pause:
    """Seconds of silence."""

    seconds: float


@attrs.frozen
class Until:
    """Silence until something has happened elsewhere."""

    happened: Callable[[], Awaitable[object]]


@attrs.frozen
class HalfClose:
    """Say on the socket that no more will come, and go on listening to it."""


@attrs.frozen
class Reset:
    """Drop the connection with a TCP reset."""


@attrs.frozen
class Cut:
    """Close the connection in an orderly way where more was due."""


Action = Head | Send | Raw | Pause | Until | HalfClose | Reset | Cut


@attrs.frozen
class Due:
    """What is due: the right answer, on which wire, whether as a stream, and the fault's number (None: not given)."""

    message: Message
    wire: Rendering
    stream: bool
    number: float | None = None

    def seconds(self, default: float) -> float:
        """The fault's number, or `default`."""
        return default if self.number is None else self.number

    @property
    def head(self) -> Head:
        """The head of a right answer."""
        kind = self.wire.stream_type if self.stream else "application/json"
        return Head(200, (("content-type", kind), (self.wire.id_header, f"req_{self.message.id}")))

    @property
    def pieces(self) -> list[bytes]:
        """The body of a right answer: frame by frame, or JSON in two halves."""
        if self.stream:
            return list(self.wire.frames(self.message))
        body = json.dumps(self.wire.whole(self.message)).encode()
        return [body[: len(body) // 2], body[len(body) // 2 :]]

    def split(self, kind: Literal["text", "tool"]) -> tuple[list[bytes], list[bytes]]:
        """The body cut after the middle one of its deltas of this kind; without any the second part is empty."""
        pieces = self.pieces
        if not self.stream:
            return pieces[:1], pieces[1:]
        mark = self.wire.text_mark if kind == "text" else self.wire.tool_mark
        places = [at for at, piece in enumerate(pieces) if mark in piece]
        at = places[len(places) // 2] + 1 if places else len(pieces)
        return pieces[:at], pieces[at:]


def parse(fault: str) -> tuple[str, float | None]:
    """`silence:30` -> ("silence", 30.0). Raises ValueError when no such fault exists or the number is none."""
    name, _, number = fault.partition(":")
    if name not in _FAULTS:
        raise ValueError(f"no fault named {name!r}; there are {', '.join(NAMES)}")
    return name, float(number) if number else None


def is_fault(text: str) -> bool:
    """Whether `text` names a fault."""
    return text.partition(":")[0] in _FAULTS


def actions(fault: str, message: Message, wire: Rendering, *, stream: bool) -> Iterator[Action]:
    """What the socket does for `fault` ("" or "healthy": the right answer) where `message` is due on `wire`."""
    name, number = parse(fault or "healthy")
    return _FAULTS[name](Due(message, wire, stream, number))


def _healthy(due: Due) -> Iterator[Action]:
    yield due.head
    yield from map(Send, due.pieces)


def refusal(status: int, text: str, message: Message, wire: Rendering) -> Iterator[Action]:
    """A status with this text for its error."""
    yield Head(status, (("content-type", "application/json"), (wire.id_header, f"req_{message.id}")))
    yield Send(json.dumps(wire.error(status, text)).encode())


def _error(status: int, *, retry_after: float | None = None) -> Callable[[Due], Iterator[Action]]:
    def answer(due: Due) -> Iterator[Action]:
        for action in refusal(status, f"scripted {status}", due.message, due.wire):
            if isinstance(action, Head) and retry_after is not None:
                action = attrs.evolve(
                    action, headers=(*action.headers, ("retry-after", f"{due.seconds(retry_after):g}"))
                )
            yield action

    return answer


def _reset(due: Due) -> Iterator[Action]:
    yield Reset()


def _close(due: Due) -> Iterator[Action]:
    yield Cut()


def _html(due: Due) -> Iterator[Action]:
    yield Head(200, (("content-type", "text/html"),))
    yield Send(b"<!doctype html><title>Sign in</title><p>Please sign in to the hotel network.")


def _empty(due: Due) -> Iterator[Action]:
    yield due.head


def _error_event(due: Due) -> Iterator[Action]:
    yield due.head
    yield from map(Send, due.wire.opening(due.message))
    yield Send(due.wire.error_frame(529, "scripted error event"))


def _error_midway(due: Due) -> Iterator[Action]:
    before, _ = due.split("text")
    yield due.head
    yield from map(Send, before)
    yield Send(due.wire.error_frame(500, "scripted error event after text"))


def _hollow(due: Due) -> Iterator[Action]:
    yield due.head
    yield from map(Send, due.wire.opening(due.message))


def _silence(due: Due) -> Iterator[Action]:
    yield Pause(due.seconds(30))
    yield from _healthy(due)


def _silent_end(due: Due) -> Iterator[Action]:
    yield due.head
    yield from map(Send, due.wire.opening(due.message))
    yield Pause(due.seconds(30))


def _slow(due: Due) -> Iterator[Action]:
    pieces = due.pieces
    yield due.head
    yield Send(pieces[0])
    yield Pause(due.seconds(2))
    yield from map(Send, pieces[1:])


def _stall(kind: Literal["text", "tool"]) -> Callable[[Due], Iterator[Action]]:
    def answer(due: Due) -> Iterator[Action]:
        before, after = due.split(kind)
        yield due.head
        yield from map(Send, before)
        yield Pause(due.seconds(30))
        yield from map(Send, after)

    return answer


def _endless(due: Due) -> Iterator[Action]:
    yield due.head
    yield from map(Send, due.wire.opening(due.message))
    for number in itertools.count():
        yield from map(Send, due.wire.tick(due.message, number))
        yield Pause(due.seconds(0.02))


def _broken(kind: Literal["text", "tool"], how: Reset | Cut) -> Callable[[Due], Iterator[Action]]:
    def answer(due: Due) -> Iterator[Action]:
        before, after = due.split(kind)
        yield due.head
        yield from map(Send, before)
        if after:
            yield how

    return answer


def _overlap(due: Due) -> Iterator[Action]:
    if not due.stream:
        yield from _healthy(due)
        return
    yield due.head
    yield from map(Send, due.wire.overlap(due.message))


def _dribble(due: Due) -> Iterator[Action]:
    body, size = b"".join(due.pieces), int(due.seconds(1))
    yield due.head
    yield from (Send(body[at : at + size]) for at in range(0, len(body), size))


_FAULTS: Mapping[str, Callable[[Due], Iterator[Action]]] = {
    "healthy": _healthy,
    "401": _error(401),
    "403": _error(403),
    "404": _error(404),
    "429": _error(429),
    "429-retry-after": _error(429, retry_after=2),
    "500": _error(500),
    "529": _error(529),
    "close": _close,
    "cut-text": _broken("text", Cut()),
    "cut-tool": _broken("tool", Cut()),
    "dribble": _dribble,
    "empty": _empty,
    "endless": _endless,
    "error-event": _error_event,
    "error-midway": _error_midway,
    "hollow": _hollow,
    "html": _html,
    "overlap": _overlap,
    "reset": _reset,
    "reset-text": _broken("text", Reset()),
    "reset-tool": _broken("tool", Reset()),
    "silence": _silence,
    "silent-end": _silent_end,
    "slow": _slow,
    "stall": _stall("text"),
    "stall-tool": _stall("tool"),
}

NAMES = tuple(sorted(_FAULTS))
