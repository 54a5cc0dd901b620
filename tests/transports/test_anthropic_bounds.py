"""What is no frame of a stream, what is too much of one, and whole messages: hosts on the anthropic wire that send neither."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine._stream import LEAST_SIZE
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, payloads, pieces, reading
from tests.transports.anthropic_frames import (
    END,
    START,
    STOP,
    WHOLE_TURN,
    decoded,
    delta,
    frame,
    raw_of,
    start,
    stop,
    stream,
)
from transports._anthropic import (
    MAX_ENDING_FIELDS,
    MAX_UNKNOWN_BYTES,
    MAX_WAITING_BLOCKS,
    MAX_WAITING_BYTES,
    AnthropicDecoder,
    StreamError,
)
from transports._sse import SSEError


def read_all(*parts: dict[str, Any]) -> Reading:
    """What a stream of these events reads as, found free of faults at every cutting."""
    body = stream(*parts)
    found = [reading(raw_of(decoded(pieces(body, cut)))) for cut in CUTS]
    assert [one.faults for one in found] == [[]] * len(CUTS)
    assert all(one == found[0] for one in found)
    return found[0]


class TestStrangeFrames:
    """Events nobody knows, and bytes that are none."""

    def test_unknown_events_and_deltas_pass(self) -> None:
        """A later version may mean something by them."""
        odd = {"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", "content": "c"}}
        body = stream(START, {"type": "later"}, start(0, "later_block"), odd, stop(0), {"type": "later"}, END, STOP)
        for cut in CUTS:
            assert raw_of(decoded(pieces(body, cut))) == body

    def test_the_event_line_and_the_type_agree(self) -> None:
        """One client goes by the event line, another by the type."""
        body = stream(START, start(0), delta(0, "a"), stop(0), END, STOP)
        for odd in (
            body.replace(b"event: content_block_delta", b"event: message"),
            b"".join(part.partition(b"\n")[2] + b"\n\n" for part in body.split(b"\n\n") if part),
            body.replace(b'"type":"content_block_delta",', b""),
        ):
            for cut in CUTS:
                assert reading(raw_of(decoded(pieces(odd, cut)))).text == "a"

    def test_crlf_is_put_right(self) -> None:
        """The plain form goes out."""
        body = WHOLE_TURN
        assert reading(raw_of(decoded([body.replace(b"\n\n", b"\r\n\r\n")]))).faults == []
        found = [reading(raw_of(decoded(pieces(body.replace(b"\n", b"\r\n"), cut)))) for cut in CUTS]
        assert all(one == reading(body) for one in found)

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"not json", "not JSON"),
            (b'{"type":"content_block_delta","index":0,', "not JSON"),
            (b"[1]", "not an object"),
            (b'{"type":7}', "not a string"),
            (b'{"type":"x\\ndata: {}\\n\\nevent: message_start"}', "not a name"),
            (b'{"type":"x y"}', "not a name"),
            (b'{"type":"\xc3\xa9"}', "not a name"),
            (b'{"type":"message_start"}', "malformed message_start"),
            (b'{"type":"message_start","message":"hi"}', "malformed message_start"),
            (b'{"type":"content_block_start","index":0}', "malformed content_block_start"),
            (b'{"type":"content_block_start","index":"0","content_block":{}}', "malformed content_block_start"),
            (b'{"type":"content_block_start","index":0,"content_block":"text"}', "malformed content_block_start"),
            (b'{"type":"content_block_delta","index":0}', "malformed content_block_delta"),
            (b'{"type":"content_block_delta","index":0,"delta":[]}', "malformed content_block_delta"),
            (
                b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":7}}',
                "malformed content_block",
            ),
            (b'{"type":"content_block_stop"}', "malformed content_block_stop"),
            (b'{"type":"message_delta","delta":"end"}', "malformed message_delta"),
        ],
    )
    def test_what_cannot_be_read_is_an_error(self, data: bytes, why: str) -> None:
        """One exception for all of it, and the data is not quoted."""
        with pytest.raises(StreamError, match=why):
            decoded([b"data: " + data + b"\n\n"])

    @pytest.mark.parametrize("name", ["later", "message_delta"])
    def test_what_is_nested_too_deeply_is_an_error(self, name: str) -> None:
        """It was read, and cannot be written again; also where it is written last of all."""
        deep = b'{"type":"%s","delta":{"stop_reason":"end_turn"},"x":%s%s}' % (name.encode(), b"[" * 300, b"]" * 300)
        with pytest.raises(StreamError, match=f"malformed {name}"):
            decoded([stream(START), b"data: " + deep + b"\n\n"])

    @pytest.mark.parametrize(
        "bad",
        [
            b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"\n\n',
            b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}\n\n',
        ],
    )
    def test_a_delta_that_does_not_close_is_no_run(self, bad: bytes) -> None:
        """Alone or among others: a client would fail on it."""
        for body in (b"%s", b"%s" + frame(delta(0, "c")), frame(delta(0, "c")) + b"%s"):
            decoder = AnthropicDecoder()
            decoder.feed(stream(START, start(0), delta(0, "a")))
            with pytest.raises(StreamError, match="not JSON"):
                decoder.feed(body.replace(b"%s", b"event: content_block_delta\ndata: " + bad))

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.binary(max_size=40) | st.sampled_from([b"data: ", b"\n\n", b'{"type":"ping"}']), max_size=12))
    def test_no_bytes_bring_another_exception(self, chunks: list[bytes]) -> None:
        """StreamError and SSEError are all a caller has to know."""
        try:
            decoded(chunks)
        except (StreamError, SSEError):
            return


class TestWhole:
    """A JSON message where a stream was asked for."""

    MESSAGE: ClassVar[dict[str, Any]] = {
        **START["message"],
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "eA=="},
            {"type": "text", "text": "see", "citations": [{"type": "char_location", "cited_text": "x"}]},
            {"type": "text", "text": "also"},
            {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {"path": "a\u2028b"}},
            {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 20},
    }

    def test_it_becomes_a_strict_stream(self) -> None:
        """Every block with a start, what fills it, and a stop."""
        found = reading(raw_of(AnthropicDecoder().whole(self.MESSAGE)))
        assert found.faults == []
        assert (found.thinking, found.text, found.stop_reason) == ("hm", "seealso", "tool_use")
        assert found.tools == [("read", {"path": "a\u2028b"}), ("now", {})]
        assert found.usage == {"input_tokens": 3, "output_tokens": 20}

    def test_signatures_and_citations_come_along(self) -> None:
        """As deltas of their own."""
        given_deltas = [
            payload["delta"]
            for payload in payloads(raw_of(AnthropicDecoder().whole(self.MESSAGE)))
            if payload["type"] == "content_block_delta"
        ]
        assert {"type": "signature_delta", "signature": "c2ln"} in given_deltas
        assert {
            "type": "citations_delta",
            "citation": {"type": "char_location", "cited_text": "x"},
        } in given_deltas

    @pytest.mark.parametrize(
        "message",
        [{}, {"type": "completion"}, {"type": "message"}, {"type": "message", "content": "hi"},
         {"type": "message", "content": ["hi"]}],
    )  # fmt: skip
    def test_another_object_is_an_error(self, message: dict[str, Any]) -> None:
        """An OpenAI answer, for one."""
        with pytest.raises(StreamError):
            AnthropicDecoder().whole(message)

    @pytest.mark.parametrize(
        "fields",
        [
            {"usage": [1]},
            {"usage": "many"},
            {"content": [{"type": "text", "text": None}]},
            {"content": [{"type": "text", "text": 7}]},
            {"content": [{"type": "text", "text": "a", "citations": 5}]},
            {"content": [{"type": "thinking", "thinking": "a", "signature": 7}]},
            {"content": [[]]},
        ],
    )
    def test_fields_of_another_type_are_an_error(self, fields: dict[str, Any]) -> None:
        """The same one, whatever Python would say to them."""
        with pytest.raises(StreamError, match="malformed"):
            AnthropicDecoder().whole({**self.MESSAGE, **fields})


class TestBounds:
    """A host that never ends what it begins."""

    def test_what_waits_is_bounded_in_bytes(self) -> None:
        """Large pieces behind an open call."""
        decoder = AnthropicDecoder()
        decoder.feed(stream(START, start(0, "tool_use"), start(1)))
        piece = frame(delta(1, "x" * 1024 * 1024))
        for _ in range(MAX_WAITING_BYTES // len(piece)):
            assert decoder.feed(piece) == []
        with pytest.raises(StreamError, match="waits behind"):
            decoder.feed(piece)

    def test_what_waits_is_bounded_in_number(self) -> None:
        """Small pieces are charged what the objects around them take."""
        decoder = AnthropicDecoder()
        decoder.feed(stream(START, start(0, "tool_use"), start(1)))
        many = frame(delta(1, "x")) * 1024
        for _ in range(MAX_WAITING_BYTES // LEAST_SIZE // 1024 - 1):
            assert decoder.feed(many) == []
        with pytest.raises(StreamError, match="waits behind"):
            decoder.feed(many)

    def test_waiting_blocks_are_bounded(self) -> None:
        """Each of them is searched for at every event."""
        body = stream(START, *(start(index, "tool_use") for index in range(MAX_WAITING_BLOCKS + 1)))
        decoder = AnthropicDecoder()
        decoder.feed(body)
        with pytest.raises(StreamError, match="waits behind"):
            decoder.feed(frame(start(MAX_WAITING_BLOCKS + 1, "tool_use")))
        stops = [stop(index) for index in reversed(range(MAX_WAITING_BLOCKS + 1))]
        assert len(reading(raw_of(decoded([body, stream(*stops, END, STOP)]))).blocks) == MAX_WAITING_BLOCKS + 1

    def test_what_was_shown_waits_no_more(self) -> None:
        """The bound is on what is held, not on what has come."""
        decoder = AnthropicDecoder()
        decoder.feed(frame(START))
        piece = "x" * (MAX_WAITING_BYTES // 2)
        for index in range(0, 8, 2):
            waiting = stream(start(index, "tool_use"), start(index + 1), delta(index + 1, piece))
            assert len(decoder.feed(waiting)) == (1 if index == 0 else 2)
            assert len(decoder.feed(frame(stop(index)))) == 3

    def test_unknown_events_before_content_are_bounded(self) -> None:
        """Somebody has to hold them until then; afterwards they pass."""
        later = frame({"type": "later"})
        decoder = AnthropicDecoder()
        decoder.feed(stream(START, start(0), delta(0, "")))
        many = MAX_UNKNOWN_BYTES // LEAST_SIZE
        assert len(decoder.feed(later * (many + 1000))) == many
        assert decoder.feed(later) == []
        assert len(decoder.feed(frame(delta(0, "a")) + later)) == 2

    def test_the_ending_is_bounded(self) -> None:
        """Counts on the way are many, fields are not."""
        decoder = AnthropicDecoder()
        decoder.feed(stream(START, *[{**END, "delta": {}}] * 2000))
        with pytest.raises(StreamError, match="without end"):
            decoder.feed(stream(*({**END, f"field{number}": 1} for number in range(MAX_ENDING_FIELDS))))
        decoder = AnthropicDecoder()
        decoder.feed(frame(START))
        large = frame({**END, "field": "x" * 1024 * 1024})
        for _ in range(MAX_WAITING_BYTES // len(large) + 1):
            assert decoder.feed(large) == []
        with pytest.raises(StreamError, match="without end"):
            decoder.feed(large)
