"""The grammar checker finds what it is there to find."""

from __future__ import annotations

import pytest

from .grammar import read
from .wire import Message, Text, Thinking, ToolUse, frames, make_message


def good() -> list[bytes]:
    """The frames of a right answer with a block of each kind.

    0 message_start, 1 ping, 2-5 thinking (start, delta, signature, stop), 6-8 text, 9-12 tool, 13 delta, 14 stop.
    """
    blocks = (Thinking("hm"), Text("hello"), ToolUse("Read", {"file": "a.txt"}))
    message: Message = make_message("1", "m", blocks, input_tokens=9)
    return list(frames(message))


def test_a_right_stream_has_no_fault() -> None:
    """And is read in full."""
    reading = read(b"".join(good()))
    assert reading.faults == []
    assert (reading.thinking, reading.text, reading.tools) == ("hm", "hello", [("Read", {"file": "a.txt"})])
    assert (reading.stop_reason, reading.usage["input_tokens"], reading.pings) == ("tool_use", 9, 1)


def test_crlf_and_comments_are_no_faults() -> None:
    """Both are legal SSE."""
    stream = b": keepalive\n\n" + b"".join(good())
    assert read(stream.replace(b"\n", b"\r\n")).faults == []


@pytest.mark.parametrize("missing", [0, 2, 5, 6, 8, 9, 10, 12, 13, 14])
def test_a_missing_structural_frame_is_found(missing: int) -> None:
    """Each frame whose loss changes the structure (10: half of the tool's JSON)."""
    stream = good()
    del stream[missing]
    assert read(b"".join(stream)).faults != []


@pytest.mark.parametrize("doubled", [0, 2, 5, 6, 8, 9, 12, 13, 14])
def test_a_doubled_structural_frame_is_found(doubled: int) -> None:
    """A second message_start above all."""
    stream = good()
    stream.insert(doubled, stream[doubled])
    assert read(b"".join(stream)).faults != []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b'"index":1', b'"index":2', "index 2 for block 1"),
        (b'"type":"text_delta"', b'"type":"thinking_delta"', "thinking_delta in a text block"),
        (b"event: content_block_stop", b"event: content_block_end", "carries content_block_stop"),
        (b'"usage":{"output_tokens"', b'"usage":{"tokens"', "message_delta without usage"),
        (b'"stop_reason":"tool_use"', b'"stop_reason":null', "message_delta without stop_reason"),
        (b"event: ping", b"event: ping\ndata: [DONE]", "not a frame"),
    ],
)
def test_a_changed_frame_is_found(old: bytes, new: bytes, fault: str) -> None:
    """With words that say which rule it breaks."""
    stream = b"".join(good())
    assert old in stream
    assert any(fault in found for found in read(stream.replace(old, new)).faults)


def test_an_error_event_ends_the_stream_without_a_fault() -> None:
    """It is a legal end; what was read stays."""
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"no"}}\n\n'
    reading = read(b"".join(good()[:8]) + error)
    assert reading.faults == []
    assert reading.error == {"type": "overloaded_error", "message": "no"}
    assert reading.text == "hello"
