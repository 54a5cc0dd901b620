"""What comes behind the end of an answer and cannot be read, and what must not be let through before it."""

from __future__ import annotations

import pytest

from tests.recordings import CUTS, pieces, reading
from tests.transports.anthropic_frames import END, START, STOP, decoded, delta, raw_of, start, stop, stream
from tests.transports.chat.streams import body, chunk
from tests.transports.chat.streams import decoded as decoded_chat
from transports._anthropic import AnthropicDecoder, StreamError

JUNK = (b'data: {"unfinished": \n\n', b'event: message_stop\ndata: {"type":"mess', b"data: [1]\n\n")
TEXT = stream(START, start(0), delta(0, "all of it"), stop(0))


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("cut", CUTS)
def test_a_message_that_is_over_stays_whole(junk: bytes, cut: int | None) -> None:
    """The reason was given and every block has ended: at any cutting the client gets all of it, and its end."""
    found = reading(raw_of(decoded(pieces(TEXT + stream(END) + junk, cut))))
    assert (found.faults, found.text, found.stop_reason) == ([], "all of it", "end_turn")


@pytest.mark.parametrize("junk", JUNK[::2])
def test_before_its_end_it_is_an_error(junk: bytes) -> None:
    """The same in a message without a reason, or with a block that is open."""
    for begun in (TEXT, stream(START, start(0), delta(0, "half"), END)):
        with pytest.raises(StreamError):
            decoded([begun + junk])


@pytest.mark.parametrize("junk", [JUNK[0], JUNK[2], b'data: {"id": "chatcm'])
def test_so_does_an_answer_on_the_chat_wire(junk: bytes) -> None:
    """Where its finish reason came in a chunk of its own; with a piece of text it may be given with every piece."""
    parts = body(chunk(content="all of it"), chunk("stop")).removesuffix(b"data: [DONE]\n\n")
    found = reading(raw_of(decoded_chat([parts + junk])))
    assert (found.faults, found.text, found.stop_reason) == ([], "all of it", "end_turn")
    with pytest.raises(StreamError):
        decoded_chat([body(chunk("stop", content="more?")).removesuffix(b"data: [DONE]\n\n") + JUNK[0]])


@pytest.mark.parametrize("name", [b'"name":"",', b'"name":null,', b""])
def test_a_call_of_nothing_is_an_error(name: bytes) -> None:
    """Nobody can run it, and in the history it is a 400 for ever after."""
    begun = (
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use",%s"id":"a","input":{}}}\n\n'
    )
    with pytest.raises(StreamError, match="without a name"):
        decoded([stream(START) + begun % name])


def test_a_run_that_is_no_text_is_an_error() -> None:
    """Relayed unread, it would kill clients that decode strictly."""
    decoder = AnthropicDecoder()
    decoder.feed(stream(START, start(0), delta(0, "a"), delta(0, "größer")))
    assert decoder.feed(stream(delta(0, "größer"), delta(0, "b")))
    with pytest.raises(StreamError, match="not JSON"):
        decoder.feed(stream(delta(0, "groesser"), delta(0, "b")).replace(b"oe", b"\xff"))


def test_the_end_comes_once() -> None:
    """Junk between the reason and `message_stop` leaves the one that was sent."""
    whole = TEXT + stream(END) + JUNK[0] + stream(STOP)
    assert raw_of(decoded([whole])) == TEXT + stream(END, STOP)
