"""Frames out of bytes: every line ending, every way of cutting, and what the standard says of the rest."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transports._sse import Frame, SSEDecoder, SSEError, split

Plain = tuple[bytes, bytes]


def decoded(chunks: Iterable[bytes]) -> list[Plain]:
    """What a decoder makes of these reads, the end included."""
    decoder = SSEDecoder()
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)] + decoder.finish()
    return [(frame.event, frame.data) for frame in frames]


def by_byte(body: bytes) -> list[bytes]:
    return [body[i : i + 1] for i in range(len(body))]


ENDINGS = [b"\n", b"\r\n", b"\r"]


@pytest.mark.parametrize("ending", ENDINGS, ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("cut", [list, by_byte], ids=["whole", "bytes"])
def test_every_line_ending_ends_lines_and_frames(ending: bytes, cut: object) -> None:
    """Two frames, whichever line ending the peer uses."""
    body = ending.join([b"event: a", b"data: 1", b"", b"event: b", b"data: 2", b"", b""])
    chunks = by_byte(body) if cut is by_byte else [body]
    assert decoded(chunks) == [(b"a", b"1"), (b"b", b"2")]


@pytest.mark.parametrize(
    ("first", "second"),
    [(a, b) for a in ENDINGS for b in ENDINGS if a + b != b"\r\n"],  # CR LF is one line ending, not two
)
def test_line_endings_may_be_mixed(first: bytes, second: bytes) -> None:
    """A line that ends one way and a blank line that ends another are still the end of a frame."""
    body = b"data: 1" + first + second + b"data: 2" + second + second
    assert decoded([body]) == decoded(by_byte(body)) == [(b"", b"1"), (b"", b"2")]


def test_half_a_crlf_does_not_end_a_frame_twice() -> None:
    """A read may end between CR and LF: the LF belongs to the line that is over."""
    decoder = SSEDecoder()
    assert decoder.feed(b"data: 1\r\n\r") == []
    assert [f.data for f in decoder.feed(b"\ndata: 2\r\n\r\n")] == [b"1", b"2"]


def test_a_frame_is_given_as_soon_as_its_blank_line_is_there() -> None:
    """Nothing is held back for a next event."""
    decoder = SSEDecoder()
    assert decoder.feed(b"event: a\ndata: 1\n") == []
    assert [f.data for f in decoder.feed(b"\n")] == [b"1"]
    assert [f.data for f in decoder.feed(b"data: 2\r\n\r\n")] == [b"2"]


@pytest.mark.parametrize("cut", [1, 2, 3, 100])
def test_a_byte_order_mark_is_dropped_once(cut: int) -> None:
    """At the very beginning it is no data; anywhere else it is."""
    body = b"\xef\xbb\xbfdata: 1\n\ndata: \xef\xbb\xbf2\n\n"
    assert decoded([body[:cut], body[cut:]]) == [(b"", b"1"), (b"", b"\xef\xbb\xbf2")]


def test_comments_and_frames_without_data_vanish() -> None:
    """Keep-alive comments, retry times and events without data say nothing to us."""
    body = b": keep-alive\n\nretry: 10\nid: 3\n\nevent: a\n\n: note\nevent: b\n: note\ndata: 1\n\n"
    assert decoded([body]) == decoded(by_byte(body)) == [(b"b", b"1")]


def test_data_of_several_lines_is_joined_by_line_feeds() -> None:
    """One space after the colon belongs to the framing, a second one to the data; a bare `data` is an empty line."""
    assert decoded([b"data: {\ndata:  1\ndata\ndata:}\n\n"]) == [(b"", b"{\n 1\n\n}")]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_unicode_line_separators_are_data(separator: str) -> None:
    """What `str.splitlines` takes for a line ending may stand unescaped in JSON."""
    data = f'{{"text":"one{separator}two"}}'.encode()
    body = b"event: a\ndata: " + data + b"\n\n"
    assert decoded([body]) == decoded(by_byte(body)) == [(b"a", data)]


def test_a_last_frame_without_its_blank_line_counts() -> None:
    """Its data is there, and some hosts close without the last line feed."""
    for rest in (b"", b"\n", b"\r", b"\r\n"):
        assert decoded([b"data: 1\n\ndata: 2" + rest]) == [(b"", b"1"), (b"", b"2")]
    assert decoded([b"data: 1\n\n: bye"]) == [(b"", b"1")]
    assert decoded([b"data: 1\n\n\n\n"]) == [(b"", b"1")]


def test_a_plain_frame_keeps_its_bytes_and_another_does_not() -> None:
    """`raw` is what may be relayed as it came."""
    plain, multi, crlf = b"event: a\ndata: 1\n\n", b"event: a\ndata: 1\ndata: 2\n\n", b"event: a\r\ndata: 1\r\n\r\n"
    assert [frame.raw for frame in SSEDecoder().feed(plain + multi)] == [plain, None]
    assert [frame.raw for frame in SSEDecoder().feed(b"event: a\n: x\ndata: 1\n\n")] == [None]
    assert [frame.raw for frame in SSEDecoder().feed(plain + b"\n" + plain + b"\n\n\n" + plain)] == [plain] * 3
    (frame,) = SSEDecoder().feed(crlf)
    assert frame.raw in (None, plain)


def test_a_frame_without_end_is_refused_at_its_limit() -> None:
    """The limit is on what waits, not on what has come: many frames may be larger together."""
    decoder = SSEDecoder(max_frame_bytes=100)
    assert len(decoder.feed(b"data: 1\n\n" * 100)) == 100
    assert decoder.feed(b"data: " + b"x" * 94) == []
    with pytest.raises(SSEError, match="an event of more than"):
        decoder.feed(b"x")


@pytest.mark.parametrize("head", [b"event: a\ndata: ", b"event: a\r\ndata: "], ids=["LF", "CRLF"])
def test_a_frame_in_many_reads_costs_no_more_than_its_bytes(head: bytes) -> None:
    """Searching all that waits at every read takes ten seconds for these; the bound is far above what is needed."""
    decoder = SSEDecoder()
    decoder.feed(head)
    before = time.process_time()
    for _ in range(4 * 1024):
        assert decoder.feed(b"x" * 1024) == []
    assert time.process_time() - before < 1.5
    (frame,) = decoder.feed(b"\n\n")
    assert (frame.event, frame.data) == (b"a", b"x" * 4 * 1024 * 1024)


def test_take_gives_the_complete_frames_as_one_piece() -> None:
    """The bytes are neither changed nor parsed, and the unfinished rest is kept."""
    decoder = SSEDecoder()
    assert decoder.take(b"data: 1\n\ndata: 2\n\nda") == b"data: 1\n\ndata: 2\n\n"
    assert decoder.take(b"ta: 3") == b""
    assert decoder.take(b"\n\n") == b"data: 3\n\n"
    assert split(b"") == []


_LINES = st.sampled_from(
    [b"data: 1", b"data: \xe2\x80\xa8", b"data:", b"data", b"event: a", b": c", b"", b"", b"", b"id: 1", b"x\x85y"]
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Lines of every sort with every line ending, the last one perhaps without any; sometimes after a mark."""
    lines = draw(st.lists(st.tuples(_LINES, st.sampled_from(ENDINGS)), max_size=30))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + b"".join(a + b for a, b in lines) + draw(_LINES)


def by_the_standard(body: bytes) -> list[Plain]:
    """The standard's algorithm, line by line, for a whole body; the end of the body ends a frame too."""
    text = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    frames: list[Plain] = []
    event, data = b"", list[bytes]()
    for line in [*text.split(b"\n"), b""]:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                frames.append((event, b"\n".join(data)))
            event, data = b"", []
        elif name == b"event":
            event = value
        elif name == b"data":
            data.append(value)
    return frames


@settings(deadline=None)
@given(body=bodies(), cuts=st.lists(st.integers(0, 300), max_size=12))
@example(body=b"data: 1\r\r\ndata: 2\n\r\n\r", cuts=[8, 9, 10])
@example(body=b"\xef\xbb\xbfdata: 1\n\n", cuts=[1, 2, 3])
def test_any_cutting_gives_the_frames_of_the_standard(body: bytes, cuts: list[int]) -> None:
    """Where the reads end changes nothing, for any line endings."""
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    expected = by_the_standard(body)
    assert decoded(body[a:b] for a, b in pairwise(places)) == expected
    assert decoded([body]) == expected
    assert decoded(by_byte(body)) == expected


@settings(deadline=None)
@given(st.lists(st.text(), max_size=8))
def test_json_in_data_comes_back_as_it_was(texts: list[str]) -> None:
    """Any text, as JSON on one line, survives."""
    body = b"".join(b"event: t\ndata: " + orjson.dumps(text) + b"\n\n" for text in texts)
    found = [Frame(b"t", data).data for _, data in decoded([body])]
    assert [orjson.loads(data) for data in found] == texts
