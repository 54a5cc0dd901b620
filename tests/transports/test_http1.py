"""HTTP/1.1 without I/O: where messages begin and end, however the bytes arrive."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports._http1 import (
    DISCONNECTED,
    MAX_CHUNK_LINE,
    MAX_HEAD,
    MAX_TRAILERS,
    Body,
    ChunkedBody,
    Exchange,
    LengthBody,
    ResponseHead,
    UntilCloseBody,
    cut,
)

HOST = [(b"Host", b"h")]
SEPARATORS = "data: \u2028 \u2029 \x85 \r \x0b\x0c\x1c".encode()


def ask(method: bytes = b"GET", headers: list[tuple[bytes, bytes]] = HOST) -> Exchange:
    exchange = Exchange(method, b"/", headers)
    exchange.end()
    return exchange


def receive(reads: list[bytes], method: bytes = b"GET") -> tuple[ResponseHead, bytes, bool]:
    """The head, the body bytes, and whether there was a surplus, of a response that arrives in these reads."""
    exchange = ask(method)
    queue = list(reads)
    head = None
    while head is None:
        head = exchange.feed(queue.pop(0) if queue else b"")
    body = head.body
    read = head.body.feed(head.rest) if head.rest else b""
    for data in queue:
        read += body.feed(data)
    return head, read, body.surplus


def one_by_one(wire: bytes) -> list[bytes]:
    return [wire[i : i + 1] for i in range(len(wire))]


OK = b"HTTP/1.1 200 OK\r\n"
OLD = b"HTTP/1.0 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
INFORMATIONAL = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n\r\n"

# (what it shows, method, wire, body, may the connection be used again)
FRAMED = [
    ("length", b"GET", OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    ("no body", b"GET", OK + b"Content-Length: 0\r\n\r\n", b"", True),
    ("same length twice", b"GET", OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    ("chunked", b"GET", CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", True),
    ("chunk of 26", b"GET", CHUNKED + b"01A\r\n" + b"\r\n" * 13 + b"\r\n0\r\n\r\n", b"\r\n" * 13, True),
    ("extensions", b"GET", CHUNKED + b'2 ;a="b;c"\r\nok\r\n0 \r\n\r\n', b"ok", True),
    ("trailers", b"GET", CHUNKED + b"2\r\nok\r\n0\r\nA: b\r\nC:\r\n\r\n", b"ok", True),
    ("coding in capitals", b"GET", CHUNKED.replace(b"chunked", b"CHUNKED") + b"0\r\n\r\n", b"", True),
    ("separators", b"GET", OK + b"Content-Length: %d\r\n\r\n" % len(SEPARATORS) + SEPARATORS, SEPARATORS, True),
    ("informational", b"GET", INFORMATIONAL + OK + b"Content-Length: 2\r\n\r\nok", b"ok", True),
    ("close", b"GET", OK + b"Connection: x, Close\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    ("1.0", b"GET", OLD + b"Content-Length: 2\r\n\r\nok", b"ok", False),
    ("1.0 keep-alive", b"GET", OLD + b"Connection: keep-alive\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    ("both framings", b"GET", OK + b"Content-Length: 9\r\n" + CHUNKED[len(OK) :] + b"0\r\n\r\n", b"", False),
    ("head", b"HEAD", OK + b"Content-Length: 5\r\n\r\n", b"", True),
    ("head, chunked", b"HEAD", CHUNKED, b"", True),
    ("204", b"DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    ("304", b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"", True),
    ("no reason", b"GET", b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    ("bare line feeds", b"GET", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", b"ok", True),
]
FRAMED_CASES = pytest.mark.parametrize(
    ("method", "wire", "body", "keep_alive"), [pytest.param(*row[1:], id=row[0]) for row in FRAMED]
)


@FRAMED_CASES
def test_a_response_ends_where_its_framing_says_in_one_read(
    method: bytes, wire: bytes, body: bytes, keep_alive: bool
) -> None:
    """The whole response in one read: complete, nothing over."""
    head, read, surplus = receive([wire], method)
    assert (read, head.body.complete, surplus, head.keep_alive) == (body, True, False, keep_alive)


@FRAMED_CASES
def test_a_response_ends_where_its_framing_says_byte_by_byte(
    method: bytes, wire: bytes, body: bytes, keep_alive: bool
) -> None:
    """The same response, a byte at a time: complete with its last byte and not before."""
    exchange = ask(method)
    head: ResponseHead | None = None
    read = b""
    for byte in one_by_one(wire):
        assert head is None or not head.body.complete
        if head is None:
            head = exchange.feed(byte)
        else:
            read += head.body.feed(byte)
    assert head is not None
    assert (read, head.body.complete, head.keep_alive) == (body, True, keep_alive)


@FRAMED_CASES
@pytest.mark.parametrize("slicing", [lambda wire: [wire], one_by_one], ids=["whole", "bytes"])
def test_what_follows_a_response_is_surplus_and_no_part_of_it(
    method: bytes, wire: bytes, body: bytes, keep_alive: bool, slicing: object
) -> None:
    """A second response behind the first leaves the first as it is and is noticed."""
    assert callable(slicing)
    head, read, surplus = receive(slicing(wire + b"HTTP/1.1 200 OK\r\n\r\n"), method)
    assert (read, head.body.complete, surplus) == (body, True, True)


def test_a_body_without_framing_ends_with_the_connection() -> None:
    """Everything is body, it is complete only at the end of the stream, and the connection is spent."""
    head, read, surplus = receive([b"HTTP/1.1 200 OK\r\n\r\nab", b"0\r\n\r\n"])
    assert (read, head.body.complete, surplus, head.keep_alive) == (b"ab0\r\n\r\n", False, False, False)
    head.body.end()
    assert head.body.complete


def test_the_head_is_given_as_it_was_sent() -> None:
    """Status, reason, version, and the headers in their order and spelling."""
    head, _, _ = receive(
        [b"HTTP/1.1 429 Slow  Down\r\nRetry-After: 1\r\nx-A: 1\r\nX-a:\t2 \r\nContent-Length: 0\r\n\r\n"]
    )
    assert (head.status, head.reason, head.http_version) == (429, b"Slow  Down", b"1.1")
    assert head.headers == [(b"Retry-After", b"1"), (b"x-A", b"1"), (b"X-a", b"2"), (b"Content-Length", b"0")]


def test_a_request_that_asks_to_close_spends_its_connection() -> None:
    """`Connection: close` binds whoever says it."""
    head = ask(headers=[*HOST, (b"Connection", b"close")]).feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert head is not None
    assert not head.keep_alive


REFUSED_HEADS = {
    "not http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "tls alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "bad status": b"HTTP/1.1 2x0 OK\r\n\r\n",
    "empty line first": b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    "folded at once": b"HTTP/1.1 200 OK\r\n\tA: b\r\n\r\n",
    "space before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nwhatever\r\n\r\n",
    "nul": b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n",
    "bare cr": b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
    "other coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "coding twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "upgraded": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "endless": b"HTTP/1.1 200 OK\r\nA: " + b"b" * MAX_HEAD,
    "too long though whole": b"HTTP/1.1 200 OK\r\nA: " + b"b" * MAX_HEAD + b"\r\n\r\n",
    "endless informational": b"HTTP/1.1 102 Processing\r\n\r\n" * 3000,
}


@pytest.mark.parametrize("wire", REFUSED_HEADS.values(), ids=REFUSED_HEADS.keys())
@pytest.mark.parametrize("slicing", [lambda wire: [wire], one_by_one], ids=["whole", "bytes"])
def test_a_head_that_could_be_read_two_ways_is_refused(wire: bytes, slicing: object) -> None:
    """However it arrives."""
    assert callable(slicing)
    exchange = ask()
    reads: list[bytes] = slicing(wire)
    with pytest.raises(h11.RemoteProtocolError):
        assert [exchange.feed(read) for read in reads] == []


def test_an_upgrade_is_refused_even_if_it_was_asked_for() -> None:
    """There is no exchange behind it that this transport could read."""
    exchange = ask(headers=[*HOST, (b"Connection", b"upgrade"), (b"Upgrade", b"websocket")])
    with pytest.raises(h11.RemoteProtocolError, match="changed the protocol"):
        exchange.feed(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")


def test_a_head_just_within_the_limit_is_taken() -> None:
    """The limit is on the head, not on the read that brings it."""
    start, end = b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\nA: ", b"\r\n\r\n"
    wire = start + b"b" * (MAX_HEAD - len(start) - len(end)) + end
    head, read, _ = receive([wire + b"x" * 70000])
    assert (head.body.complete, len(read)) == (True, 70000)


def test_an_early_end_says_how_early() -> None:
    """Nothing at all and half a head are different failures: after the first a fresh connection may help."""
    silent, cut_off = ask(), ask()
    with pytest.raises(h11.RemoteProtocolError, match=DISCONNECTED):
        silent.feed(b"")
    cut_off.feed(b"HTTP/1.1 2")
    with pytest.raises(h11.RemoteProtocolError, match="inside the response head"):
        cut_off.feed(b"")
    assert (silent.answered, cut_off.answered) == (False, True)


REFUSED_CHUNKS = {
    "not hex": b"zz\r\n",
    "empty size": b"\r\n",
    "sign": b"+2\r\nok\r\n",
    "prefix": b"0x2\r\nok\r\n",
    "underscore": b"1_0\r\n",
    "space first": b" 2\r\nok\r\n",
    "huge": b"1" * 17 + b"\r\n",
    "bare line feed": b"2\nok\r\n0\r\n\r\n",
    "line feed in extension": b"2;a\nb\r\nok\r\n",
    "endless size line": b"2;" + b"a" * MAX_CHUNK_LINE,
    "data too long": b"2\r\nokk\r\n",
    "half a line end": b"2\r\nok\rx",
    "folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "trailer without colon": b"0\r\nwhatever\r\n\r\n",
    "endless trailers": b"0\r\n" + b"A: b\r\n" * MAX_TRAILERS,
    "endless trailer": b"0\r\nA: " + b"b" * MAX_TRAILERS,
}


def drain(body: Body, reads: list[bytes]) -> tuple[bytes, bool]:
    """The bytes a body gave before its end or fault, and whether there was a fault."""
    read = b""
    try:
        for data in reads:
            read += body.feed(data)
        if body.fault is not None:
            body.feed(b"")
    except h11.RemoteProtocolError:
        return read, True
    return read, False


@pytest.mark.parametrize("wire", REFUSED_CHUNKS.values(), ids=REFUSED_CHUNKS.keys())
@pytest.mark.parametrize("slicing", [lambda wire: [wire], one_by_one], ids=["whole", "bytes"])
def test_a_malformed_chunk_is_refused_and_what_came_before_it_is_kept(wire: bytes, slicing: object) -> None:
    """The good chunk in the same read is not lost with the bad one."""
    assert callable(slicing)
    read, faulty = drain(ChunkedBody(), slicing(b"3\r\nyes\r\n" + wire))
    assert faulty
    assert read.startswith(b"yes")
    assert read in (b"yes", b"yesok")


@pytest.mark.parametrize("body", [LengthBody(5), ChunkedBody()], ids=["length", "chunked"])
def test_an_end_inside_a_framed_body_is_a_fault(body: Body) -> None:
    """A cut body never passes for a whole one."""
    body.feed(b"5\r\n")
    with pytest.raises(h11.RemoteProtocolError, match="body"):
        body.end()
    assert not body.complete


def test_one_read_of_many_chunks_is_one_bytes() -> None:
    """Fifty events that arrived together leave together."""
    events = [b"event: ping\ndata: %d\n\n" % i for i in range(50)]
    body = ChunkedBody()
    assert body.feed(b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)) == b"".join(events)


def test_a_read_of_known_length_is_passed_through_uncopied() -> None:
    """The decoder costs nothing where there is nothing to decode."""
    data = b"x" * 1000
    assert LengthBody(5000).feed(data) is data
    assert UntilCloseBody().feed(data) is data


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    tail=st.sampled_from([b"0\r\n\r\n", b"0;x\r\nA: b\r\n\r\n", b"zz\r\n", b"1\r\nab\r\n", b""]),
    cuts=st.lists(st.integers(min_value=0, max_value=400), max_size=20),
)
def test_chunked_decoding_does_not_depend_on_how_the_bytes_were_cut(
    chunks: list[bytes], tail: bytes, cuts: list[int]
) -> None:
    """Law: same body, same verdict, for every way of cutting the same bytes into reads."""
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + tail
    edges = sorted({0, len(wire), *(c for c in cuts if c < len(wire))})
    reads = [wire[a:b] for a, b in pairwise(edges)]
    whole, cut_up = ChunkedBody(), ChunkedBody()
    expected = drain(whole, [wire] if wire else [])
    assert drain(cut_up, reads) == expected
    assert expected[0].startswith(b"".join(chunks))
    assert cut_up.complete == whole.complete == tail.startswith(b"0")


def test_the_request_head_is_what_the_caller_gave() -> None:
    """Order and spelling of headers survive."""
    exchange = Exchange(
        b"POST", b"/v1/messages?beta=true", [*HOST, (b"x-B", b"2"), (b"X-a", b"1"), (b"content-length", b"2")]
    )
    assert (
        exchange.head
        == b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: h\r\nx-B: 2\r\nX-a: 1\r\ncontent-length: 2\r\n\r\n"
    )
    body = b"{}"
    assert exchange.data(body)[0] is body
    assert exchange.end() == []


def test_a_body_of_unknown_length_is_chunked() -> None:
    """One chunk per piece; an empty piece is no chunk, for that would be the end."""
    exchange = Exchange(b"POST", b"/", [*HOST, (b"Transfer-Encoding", b"chunked")])
    sent = b"".join([*exchange.data(b"ab"), *exchange.data(b""), *exchange.data(b"c" * 16), *exchange.end()])
    assert sent == b"2\r\nab\r\n10\r\n" + b"c" * 16 + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        (b"GET", b"/", (b"x-key", b"secret\r\nInjected: yes")),
        (b"GET", b"/", (b"x-key", b"secret\nInjected: yes")),
        (b"GET", b"/", (b"x-key", b"secret\x00")),
        (b"GET", b"/", (b"x-secret\r\nInjected", b"yes")),
        (b"GET", b"/ HTTP/1.1\r\nInjected: yes", (b"a", b"b")),
        (b"GET\r\nInjected: yes", b"/", (b"a", b"b")),
        (b"CONNECT", b"h:443", (b"a", b"b")),
    ],
)
def test_a_request_that_would_become_two_is_refused(method: bytes, target: bytes, header: tuple[bytes, bytes]) -> None:
    """Line breaks in a method, target, name or value never reach the wire, and a value never reaches a message."""
    with pytest.raises(h11.LocalProtocolError) as caught:
        Exchange(method, target, [*HOST, header])
    assert "secret" not in str(caught.value).replace("x-secret", "")
    assert caught.value.__context__ is None


@pytest.mark.parametrize("pieces", [[b"abc"], [b"a", b"bc"], [b"a"], []])
def test_a_body_of_another_length_than_announced_is_refused(pieces: list[bytes]) -> None:
    """Too long is caught at the piece, too short at the end."""
    exchange = Exchange(b"POST", b"/", [*HOST, (b"Content-Length", b"2")])
    with pytest.raises(h11.LocalProtocolError):
        assert [*map(exchange.data, pieces), exchange.end()] == []


@given(parts=st.lists(st.binary(max_size=30), max_size=10), size=st.integers(min_value=1, max_value=20))
def test_cutting_changes_no_byte(parts: list[bytes], size: int) -> None:
    """Law: the same bytes, every piece but the last of exactly the size asked for."""
    pieces = list(cut(parts, size))
    assert b"".join(pieces) == b"".join(parts)
    assert all(len(piece) == size for piece in pieces[:-1])
    assert all(0 < len(piece) <= size for piece in pieces)
