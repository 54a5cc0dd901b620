"""What a provider's socket does for the faults that are no break at a place.

Each is a function from what is due to a script: answers that are none, framing, order and doubles, encoding, time and size.
"""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator

from tests.e2e.catalogue.layout import NoSuchPlaceError, Place, cut
from tests.e2e.catalogue.outcomes import WIRE_NAMES
from tests.e2e.catalogue.telling import FOR_EVER_S, Telling
from tests.e2e.faults import Action, Cut, Head, Pause, Raw, Send, refusal
from tests.e2e.wire import Block, ToolUse

Script = Callable[[Telling], Iterator[Action]]
IN_TEXT = Place("middle", 0)
_HEADERS = (("content-type", "application/json"),)


# Before there is an answer.


def raw(data: bytes, *then: Action) -> Script:
    def script(told: Telling) -> Iterator[Action]:
        if data:
            yield Raw(data)
        yield from then

    return script


def status(status: int, text: str = "scripted refusal") -> Script:
    def script(told: Telling) -> Iterator[Action]:
        try:
            answer = list(refusal(status, text, told.message, told.rendering))
        except KeyError:  # a status that this wire's own error object has no word for
            page = b"<html><body><h1>" + text.encode() + b"</h1></body></html>"
            answer = [Head(status, (("content-type", "text/html"),)), Send(page)]
        yield from answer

    return script


def answer(kind: str, body: bytes, status: int = 200) -> Script:
    def script(told: Telling) -> Iterator[Action]:
        yield Head(status, (("content-type", kind),))
        if body:
            yield Send(body)

    return script


def error_with_200(told: Telling) -> Iterator[Action]:
    yield Head(200, _HEADERS)
    yield Send(json.dumps(told.rendering.error(500, "scripted failure")).encode())


def whole_json(told: Telling) -> Iterator[Action]:
    yield Head(200, _HEADERS)
    yield Send(json.dumps(told.rendering.whole(told.message)).encode())


def half_json(told: Telling) -> Iterator[Action]:
    body = json.dumps(told.rendering.whole(told.message)).encode()
    yield Head(200, _HEADERS)
    yield Send(body[: len(body) // 2])


def no_type(told: Telling) -> Iterator[Action]:
    yield Head(200, ())
    yield from told.body_until(Place("done"))


def no_length(told: Telling) -> Iterator[Action]:
    yield Head(200, (*told.head.headers, ("content-length", "0")))


def compressed(cut_short: bool) -> Script:
    def script(told: Telling) -> Iterator[Action]:
        body = gzip.compress(told.body)
        yield Head(200, (*told.head.headers, ("content-encoding", "gzip")))
        yield Send(body[: len(body) // 2] if cut_short else body)
        if cut_short:
            yield Cut()

    return script


# Framing.


def short_length(told: Telling) -> Iterator[Action]:
    yield Head(200, (*told.head.headers, ("content-length", str(len(told.body)))))
    yield from told.body_until(IN_TEXT)
    yield Cut()


def raw_in_text(data: bytes) -> Script:
    def script(told: Telling) -> Iterator[Action]:
        yield from told.until(IN_TEXT)
        yield Raw(data)
        yield Pause(FOR_EVER_S)

    return script


def no_chunk(told: Telling) -> Iterator[Action]:
    yield told.head
    yield Raw(b"what is this\r\n")
    yield Pause(FOR_EVER_S)


def until_close(told: Telling) -> Iterator[Action]:
    kind = told.rendering.stream_type
    yield Raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: " + kind.encode() + b"\r\n\r\n" + told.body)
    yield Cut()


def until_close_in_text(told: Telling) -> Iterator[Action]:
    kind = told.rendering.stream_type
    yield Raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: " + kind.encode() + b"\r\n\r\n")
    for action in told.body_until(IN_TEXT):
        yield Raw(action.data) if isinstance(action, Send) else action
    yield Cut()


# Frames that are due are sent, changed or in another order.


def frames(change: Callable[[Telling], list[bytes]]) -> Script:
    def script(told: Telling) -> Iterator[Action]:
        yield told.head
        yield from map(Send, change(told))

    return script


def data(told: Telling) -> list[bytes]:
    return [piece.data for piece in told.pieces]


def begun_twice(told: Telling) -> list[bytes]:
    opening = told.pieces[: cut(told.pieces, Place("opening"))]
    return [piece.data for piece in (*opening, *told.pieces)]


def begun_again_in_text(told: Telling) -> list[bytes]:
    at = cut(told.pieces, IN_TEXT)
    opening = told.pieces[: cut(told.pieces, Place("opening"))]
    return [piece.data for piece in (*told.pieces[:at], *opening, *told.pieces[at:])]


def block_begun_twice(told: Telling) -> list[bytes]:
    at = cut(told.pieces, Place("start", 0))
    starts = [piece.data for piece in told.pieces[:at] if piece.part == "start"]
    return [*data(told)[:at], *starts, *data(told)[at:]]


def without(*parts: str) -> Callable[[Telling], list[bytes]]:
    def change(told: Telling) -> list[bytes]:
        kept = [piece.data for piece in told.pieces if piece.part not in parts]
        if len(kept) == len(told.pieces):
            raise NoSuchPlaceError("there is no such frame")
        return kept

    return change


def replaced(old: bytes, new: bytes) -> Callable[[Telling], list[bytes]]:
    def change(told: Telling) -> list[bytes]:
        changed = [data.replace(old, new) for data in data(told)]
        assert changed != data(told), "nothing was changed"
        return changed

    return change


def by_wire(**changes: Callable[[Telling], list[bytes]]) -> Callable[[Telling], list[bytes]]:
    named = {WIRE_NAMES[name]: change for name, change in changes.items()}
    return lambda told: named[told.wire](told)


def frame_by_frame(size: int) -> Script:
    def script(told: Telling) -> Iterator[Action]:
        body = told.body
        yield told.head
        yield from (Send(body[at : at + size]) for at in range(0, len(body), size))

    return script


def split_letters(told: Telling) -> Iterator[Action]:
    """Each write ends inside a letter, wherever there is one of two bytes."""
    body = told.body
    edges = [0, *(at for at, byte in enumerate(body) if byte & 0xC0 == 0x80), len(body)]
    yield told.head
    yield from (Send(body[a:b]) for a, b in itertools.pairwise(edges))


def at_once(told: Telling) -> Iterator[Action]:
    yield told.head
    yield Send(told.body)


def crlf(told: Telling) -> list[bytes]:
    return [data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for data in data(told)]


def with_between(filler: bytes) -> Callable[[Telling], list[bytes]]:
    return lambda told: [part for data in data(told) for part in (filler, data)]


def marked(told: Telling) -> list[bytes]:
    return [b"\xef\xbb\xbf", *data(told)]


def extra(told: Telling) -> Iterator[Action]:
    """Another answer on the same connection, which nobody has asked for."""
    yield from told.until(Place("done"))
    yield Raw(b"0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
    yield Cut()


# Time.


def flood(place: Place, filler: Callable[[Telling], bytes]) -> Script:
    def script(told: Telling) -> Iterator[Action]:
        yield from told.until(place)
        while True:
            yield Send(filler(told))
            yield Pause(7)

    return script


def paused(told: Telling) -> Iterator[Action]:
    yield from told.until(IN_TEXT)
    yield Pause(30)
    yield from told.after(IN_TEXT)


def giant(place: Place) -> Script:
    """A frame without an end, larger than any that is waited for."""

    def script(told: Telling) -> Iterator[Action]:
        yield from told.until(place)
        yield Send(b"{" if told.wire == "ollama" else b"data: {")
        for _ in range(17):
            yield Send(b" " * 2**20)
        yield Pause(FOR_EVER_S)

    return script


def comment(told: Telling) -> bytes:
    return b"\n" if told.wire == "ollama" else b": still here\n\n"


# Messages that say nothing, or nonsense.


def as_told(told: Telling) -> Iterator[Action]:
    return told.until(Place("done"))


def stated(status: int, text: str) -> Script:
    def script(told: Telling) -> Iterator[Action]:
        yield told.head
        yield Send(told.rendering.error_frame(status, text))

    return script


def no_object(told: Telling) -> Iterator[Action]:
    yield from told.until(IN_TEXT)
    yield Send(b'["error"]\n' if told.wire == "ollama" else b'data: ["error"]\n\n')
    yield from told.after(IN_TEXT)


def arguments(text: str) -> Callable[[Telling], list[bytes]]:
    """The call's arguments, replaced by this text."""

    def change(told: Telling) -> list[bytes]:
        written = json.dumps(text)[1:-1].encode()
        out, done = [], False
        for piece in told.pieces:
            call = piece.block >= 0 and isinstance(told.message.blocks[piece.block], ToolUse)
            if call and piece.part == "delta":
                if not done:
                    out.append(with_arguments(piece.data, written))
                done = True
            elif call and piece.part == "stop" and told.wire == "openai-responses":
                out.append(piece.data.replace(quoted(told.message.blocks[piece.block]), b'"' + written + b'"'))
            else:
                out.append(piece.data)
        return out

    return change


def quoted(call: Block) -> bytes:
    """A call's arguments as a string in JSON."""
    assert isinstance(call, ToolUse)
    return json.dumps(json.dumps(dict(call.input), ensure_ascii=False), ensure_ascii=False).encode()


def with_arguments(data: bytes, written: bytes) -> bytes:
    for key in (b'"partial_json":"', b'"arguments":"', b'"delta":"'):
        before, found, rest = data.partition(key)
        if found:
            end = next(at for at, byte in enumerate(rest) if byte == 0x22 and rest[at - 1] != 0x5C)
            return before + found + written + rest[end:]
    raise AssertionError(f"no arguments in {data!r}")
