"""Strict streams out of whatever hosts on the anthropic wire send: each fault by itself, at every cutting.

A decoder that is tested on good streams passes, and hosts send bad ones. What each of these tests sends was seen in the
wild or made a client fail. The laws that hold for all mixtures of them are in `test_anthropic_laws.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Kind, StreamEvent
from engine._stream import LEAST_SIZE, MalformedEvent
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, payloads, pieces, reading
from tests.transports.anthropic_frames import END, START, STOP, decoded, delta, frame, raw_of, start, stop, stream
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


class TestWellFormed:
    """What is right already is not touched."""

    BODY = stream(
        START,
        start(0, "thinking"),
        delta(0, "hm", "thinking"),
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
        stop(0),
        start(1),
        *[delta(1, text) for text in ("The ", "quick", ' "index":0, ', "event: content_block_delta\n", "\u2028fox")],
        stop(1),
        start(2, "tool_use"),
        *[delta(2, text, "tool_use") for text in ("", '{"path": "', 'a/b"', "}")],
        stop(2),
        {**END, "delta": {"stop_reason": "tool_use", "stop_sequence": None}},
        STOP,
    )

    @pytest.mark.parametrize("cut", CUTS)
    def test_it_passes_byte_for_byte(self, cut: int | None) -> None:
        """However the reads are cut, what comes out is what came in."""
        assert raw_of(decoded(pieces(self.BODY, cut))) == self.BODY

    def test_padding_and_unknown_fields_pass_too(self) -> None:
        """Anthropic pads its events with spaces and adds fields when it likes."""
        body = (
            frame({**START, "message": {**START["message"], "container": None}})
            + frame(start(0, citations=None)).replace(b"}\n\n", b"}   \n\n")
            + frame(delta(0, "hi")).replace(b"}\n\n", b"    }\n\n")
            + frame(stop(0)).replace(b"}\n\n", b"      }\n\n")
            + frame({**END, "context_management": {"applied_edits": []}})
            + b'event: message_stop\ndata: {"type":"message_stop"    }\n\n'
        )
        for cut in CUTS:
            assert raw_of(decoded(pieces(body, cut))) == body

    def test_the_requested_model_is_the_one_shown(self) -> None:
        """The client sees the name it asked for, whoever answers."""
        (event,) = AnthropicDecoder(model="asked").feed(frame(START))
        assert event.payload["message"] == {**START["message"], "model": "asked"}
        assert b'"asked"' in event.raw

    def test_a_read_of_live_deltas_is_one_event(self) -> None:
        """That is the fast path: no frame of the run is looked into."""
        decoder = AnthropicDecoder()
        decoder.feed(stream(START, start(0), delta(0, "a")))
        run = stream(*[delta(0, text) for text in "bcd"])
        (event,) = decoder.feed(run)
        assert (event.kind, event.raw, event.content) == (Kind.DELTAS, run, True)
        assert [p["delta"]["text"] for p in event.payloads()] == ["b", "c", "d"]

    def test_an_index_within_a_delta_is_no_index_of_it(self) -> None:
        """A citation may hold one that is the live block's; the read is then looked into."""
        citation = {"type": "citations_delta", "citation": {"index": 0, "cited_text": "x"}}
        cites = {"type": "content_block_delta", "index": 1, "delta": citation}
        parts = [start(0, "tool_use"), start(1), delta(0, "{}", "tool_use"), cites, stop(0), stop(1), END, STOP]
        shown = list(payloads(raw_of(decoded(frame(part) for part in (START, *parts)))))
        assert shown.index(cites) > shown.index(start(1)) > shown.index(stop(0))

    def test_a_frame_with_more_lines_is_looked_into(self) -> None:
        """Only the plain form goes out."""
        odd = frame(delta(0, "b")).replace(b"}\n\n", b"}\nid: 7\n\n")
        body = [stream(START, start(0), delta(0, "a")), odd + frame(delta(0, "c")), stream(stop(0), END, STOP)]
        assert raw_of(decoded(body)) == b"".join(body).replace(b"\nid: 7", b"")

    def test_arguments_of_a_tool_are_no_content_by_themselves(self) -> None:
        """A run of them must not commit an attempt whose call is not whole."""
        decoder = AnthropicDecoder()
        decoder.feed(stream(START, start(0, "tool_use"), delta(0, "{", "tool_use")))
        assert [e.content for e in decoder.feed(stream(*[delta(0, " ", "tool_use")] * 3))] == [False]

    def test_content_is_flagged_where_it_begins(self) -> None:
        """Not with an empty block nor an empty delta, and at once with one that is whole in its start."""
        flags = [
            event.content
            for event in decoded(
                [
                    stream(START, start(0), delta(0, "")),
                    stream(delta(0, "x"), stop(0)),
                    stream(start(1, "redacted_thinking", data="eA=="), stop(1), start(2, "tool_use"), stop(2)),
                    stream(start(3, "web_search_tool_result", content=[{}]), stop(3), END, STOP),
                ]
            )
        ]
        assert flags == [False, False, False, True, False, True, False, False, False, True, False, False, False]


class TestHead:
    """`message_start`, there or not."""

    @pytest.mark.parametrize("missing", ["id", "usage", "model", "role", "content", "stop_reason"])
    def test_what_is_missing_is_filled_in(self, missing: str) -> None:
        """Clients take every field of it for granted."""
        message = {name: value for name, value in START["message"].items() if name != missing}
        decoder = AnthropicDecoder(message_id="msg_ours", estimate=11)
        (event,) = decoder.feed(frame({"type": "message_start", "message": message}))
        made = event.payload["message"]
        assert made.keys() == START["message"].keys()
        expected = {"id": "msg_ours", "model": "unknown"}.get(missing, START["message"][missing])
        assert made[missing] == ({"input_tokens": 11, "output_tokens": 0} if missing == "usage" else expected)

    @pytest.mark.parametrize(
        ("usage", "shown"),
        [
            (None, 11),
            ({"input_tokens": 0, "output_tokens": 0}, 11),
            ({"input_tokens": None, "output_tokens": 2}, 11),
            ({"input_tokens": 5, "output_tokens": 0}, 5),
            ({"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 9}, 0),
            ({"input_tokens": -5, "output_tokens": 0, "cache_read_input_tokens": -9}, 11),
            ({"input_tokens": "12", "output_tokens": 0}, 11),
            ({"input_tokens": 1e308, "output_tokens": True}, 11),
        ],
    )
    def test_an_input_count_of_nothing_is_estimated(self, usage: Any, shown: int) -> None:
        """Zero is what hosts say that do not count; zero beside a cache hit is a count."""
        decoder = AnthropicDecoder(estimate=11)
        (event,) = decoder.feed(frame({**START, "message": {**START["message"], "usage": usage}}))
        told = event.payload["message"]["usage"]
        assert told["input_tokens"] == shown
        assert {type(count) for count in told.values()} == {int}
        assert min(told.values()) >= 0

    @pytest.mark.parametrize("first", [start(0), delta(0, "hi"), END])
    def test_it_is_made_up_where_it_is_missing(self, first: dict[str, Any]) -> None:
        """The first event of the message brings it about."""
        events = AnthropicDecoder(model="m", message_id="msg_ours").feed(frame(first))
        assert events[0].kind is Kind.MESSAGE_START
        assert events[0].payload["message"]["id"] == "msg_ours"

    def test_a_second_one_is_dropped(self) -> None:
        """Claude Code would run the tools of both."""
        found = read_all(START, start(0), delta(0, "a"), START, delta(0, "b"), stop(0), END, STOP)
        assert found.text == "ab"

    def test_nothing_comes_of_what_stands_before_it(self) -> None:
        """A stop, a stray end or an unknown event before any message is nothing."""
        assert decoded([stream(stop(0), STOP, {"type": "later_version"})]) == []


class TestBlocks:
    """Blocks that overlap, gape, or have lost an end."""

    def test_overlapping_text_and_thinking_become_blocks_in_turn(self) -> None:
        """A block that begins while text is open ends it; what comes late for it goes into a block of its own."""
        found = read_all(
            START, start(0, "thinking"), delta(0, "a", "thinking"), start(1), delta(1, "b"), delta(0, "c", "thinking"),
            delta(1, "d"), stop(0), stop(1), END, STOP,
        )  # fmt: skip
        assert (found.thinking, found.text) == ("ac", "bd")

    def test_parallel_tools_are_told_apart(self) -> None:
        """Their pieces come interleaved; each call comes out whole, in the order of their starts."""
        found = read_all(
            START, start(0, "tool_use"), start(1, "tool_use"), delta(1, '{"b"', "tool_use"),
            delta(0, '{"a"', "tool_use"), delta(1, ":2}", "tool_use"), delta(0, ":1}", "tool_use"), stop(1), stop(0),
            END, STOP,
        )  # fmt: skip
        assert [block["input"] for block in found.blocks] == [{"a": 1}, {"b": 2}]
        assert [block["id"] for block in found.blocks] == ["toolu_0", "toolu_1"]

    def test_text_behind_an_open_tool_waits(self) -> None:
        """And a third block does not begin while that text, once it is shown, is open."""
        found = read_all(
            START, start(0, "tool_use"), delta(0, "{}", "tool_use"), start(1), delta(1, "one"),
            start(2, "tool_use"), delta(2, "{}", "tool_use"), stop(0), delta(1, " two"),
            start(3), delta(3, "three"), stop(2), stop(3), END, STOP,
        )  # fmt: skip
        assert found.text.replace("three", "") == "one two"
        assert "three" in found.text
        assert len(found.tools) == 2

    def test_indexes_are_counted_anew(self) -> None:
        """Gaps make the Python SDK fail."""
        found = read_all(START, start(3), delta(3, "a"), stop(3), start(7), delta(7, "b"), stop(7), END, STOP)
        assert [block["text"] for block in found.blocks] == ["a", "b"]

    @pytest.mark.parametrize("kind", ["text", "tool_use"])
    def test_an_index_used_twice_means_two_blocks(self, kind: str) -> None:
        """Some hosts number every block 0, and forget to stop the first; a run must not go into the wrong one."""
        first, second = ("a", "b") if kind == "text" else ('{"a":1}', '{"b":2}')
        found = read_all(
            START, start(0, kind), delta(0, "", kind), delta(0, first, kind), start(0, kind),
            *[delta(0, letter, kind) for letter in second], stop(0), END, STOP,
        )  # fmt: skip
        if kind == "text":
            assert [block["text"] for block in found.blocks] == ["a", "b"]
        else:
            assert [block["input"] for block in found.blocks] == [{"a": 1}, {"b": 2}]

    def test_missing_stops_are_made_up(self) -> None:
        """At the next start, or at the end."""
        found = read_all(START, start(0), delta(0, "a"), start(1, "tool_use"), delta(1, "{}", "tool_use"), END, STOP)
        assert [block["type"] for block in found.blocks] == ["text", "tool_use"]

    def test_a_delta_without_its_start_begins_a_block(self) -> None:
        """Text and thinking say what they are."""
        found = read_all(START, delta(0, "a", "thinking"), delta(1, "b"), stop(1), END, STOP)
        assert (found.thinking, found.text) == ("a", "b")

    def test_a_late_delta_without_text_is_nothing(self) -> None:
        """An empty piece or a signature for a block that is over starts no block."""
        signature = {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "x"}}
        found = read_all(START, start(0), delta(0, "a"), stop(0), delta(0, ""), signature, END, STOP)
        assert len(found.blocks) == 1

    def test_arguments_for_a_call_that_never_began_are_an_error(self) -> None:
        """Nobody knows whose they are, and dropping them would run a tool with half of its arguments."""
        with pytest.raises(StreamError, match="never began"):
            decoded([stream(START, delta(0, "{}", "tool_use"))])

    def test_arguments_in_the_start_alone_are_given_as_a_delta(self) -> None:
        """Claude Code reads them from deltas only."""
        found = read_all(START, start(0, "tool_use", input={"a": 1}), stop(0), END, STOP)
        assert found.tools == [("read", {"a": 1})]
        raw = raw_of(decoded([stream(START, start(0, "tool_use", input={"a": 1}), stop(0), END, STOP)]))
        assert [p["delta"] for p in payloads(raw) if p["type"] == "content_block_delta"] == [
            {"type": "input_json_delta", "partial_json": '{"a":1}'}
        ]

    def test_arguments_in_the_start_and_in_deltas_are_given_once(self) -> None:
        """The deltas stand, also where they come as a run."""
        body = [
            stream(START, start(0, "tool_use", input={"a": 1}), delta(0, "", "tool_use")),
            stream(delta(0, '{"a"', "tool_use"), delta(0, ":1}", "tool_use")),
            stream(stop(0), END, STOP),
        ]
        assert reading(raw_of(decoded(body))).tools == [("read", {"a": 1})]
        assert raw_of(decoded(body)) == b"".join(body)
        assert read_all(
            START, start(0, "tool_use", input={"a": 1}), delta(0, '{"a":1}', "tool_use"), stop(0), END, STOP
        )


class TestEnd:
    """How a message ends, and what comes after."""

    def test_done_after_the_end_is_dropped(self) -> None:
        """OpenAI's end marker, from hosts that speak both."""
        body = stream(START, start(0), delta(0, "a"), stop(0), END, STOP)
        assert raw_of(decoded([body + b"data: [DONE]\n\n", b": bye\n\n"])) == body
        assert raw_of(decoded([body[: -len(frame(STOP))] + b"data: [DONE]\n\n"])) == body

    def test_nothing_comes_after_the_end(self) -> None:
        """Whatever the host goes on to send."""
        body = stream(START, start(0), delta(0, "a"), stop(0), END, STOP)
        assert raw_of(decoded([body, stream(START, start(0), delta(0, "b"), END, STOP)])) == body

    def test_a_stop_reason_makes_up_for_a_missing_message_stop(self) -> None:
        """The host has said that it is done."""
        assert read_all(START, start(0), delta(0, "a"), stop(0), END).stop_reason == "end_turn"

    @pytest.mark.parametrize("last", [[], [{**END, "delta": {"stop_reason": None}}]], ids=["none", "null"])
    def test_without_a_stop_reason_the_message_stays_open(self, last: list[dict[str, Any]]) -> None:
        """A stream that merely stops is cut, and must not look finished."""
        events = decoded([stream(START, start(0), delta(0, "a"), stop(0), *last)])
        assert {Kind.MESSAGE_DELTA, Kind.MESSAGE_STOP}.isdisjoint(event.kind for event in events)

    def test_a_message_stop_without_a_reason_is_believed_after_a_call_only(self) -> None:
        """A finished call says why by itself; a text that ends so may be half of one, and no reason is made up for it."""
        found = read_all(START, start(0, "tool_use"), delta(0, "{}", "tool_use"), stop(0), STOP)
        assert (found.stop_reason, found.usage["output_tokens"]) == ("tool_use", 0)
        events = decoded([stream(START, start(0), delta(0, "half"), stop(0), STOP)])
        assert events[-1].kind is Kind.ERROR
        assert Kind.MESSAGE_STOP not in {event.kind for event in events}

    @pytest.mark.parametrize(
        "parts",
        [
            [start(0, "tool_use")],
            [start(0, "tool_use"), delta(0, "{}", "tool_use")],
            [start(0, "tool_use"), stop(0), start(1, "tool_use")],
            [start(0, "tool_use"), start(1, "tool_use"), stop(1)],
            [start(0, "tool_use"), stop(0), start(1), delta(1, "half")],
        ],
    )
    def test_a_call_counts_only_where_its_own_stop_came(self, parts: list[dict[str, Any]]) -> None:
        """Half of its arguments may be whole JSON, so no end is made up for it; and an open text is not over either."""
        for cut in CUTS:
            events = decoded(pieces(stream(START, *parts, STOP), cut))
            assert events[-1].kind is Kind.ERROR
            stopped = {event.payload["index"] for event in events if event.kind is Kind.BLOCK_STOP}
            assert stopped <= {part["index"] for part in parts if part["type"] == "content_block_stop"}
            assert Kind.MESSAGE_STOP not in {event.kind for event in events}

    def test_several_message_deltas_become_one(self) -> None:
        """Counts on the way, the reason, and a second count after it: the last values stand, and none becomes null."""
        found = read_all(
            START, start(0), delta(0, "a"), {**END, "delta": {"stop_reason": None}, "usage": {"output_tokens": 1}},
            delta(0, "b"), stop(0), {**END, "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 5}},
            {**END, "delta": {"stop_reason": None}, "usage": {"output_tokens": 9, "input_tokens": None}}, STOP,
        )  # fmt: skip
        assert (found.text, found.stop_reason) == ("ab", "max_tokens")
        assert found.usage == {"input_tokens": 3, "output_tokens": 9}
        assert len(found.blocks) == 1

    def test_content_after_the_message_delta_still_counts(self) -> None:
        """It is shown before it, where clients expect it."""
        assert read_all(START, start(0), delta(0, "a"), stop(0), END, start(1), delta(1, "b"), STOP).text == "ab"

    @pytest.mark.parametrize(
        "usage",
        [
            None,
            {},
            {"output_tokens": None},
            {"input_tokens": 4},
            *({"output_tokens": n} for n in (-3, "7", 1e9, 2**60)),
        ],
    )
    def test_usage_is_always_there(self, usage: Any) -> None:
        """The Python SDK fails without it; and it is a count, since clients add it up."""
        found = read_all(START, start(0), delta(0, "a"), stop(0), {**END, "usage": usage}, STOP)
        assert found.usage["output_tokens"] == 0

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            ({"type": "overloaded_error", "message": "busy"}, {"type": "overloaded_error", "message": "busy"}),
            ("busy", {"type": "api_error", "message": "busy"}),
            (None, {"type": "api_error", "message": ""}),
        ],
    )
    def test_an_error_ends_the_stream(self, error: Any, told: dict[str, str]) -> None:
        """In Anthropic's form, whatever form it had; nothing follows."""
        events = decoded([stream(START, {"type": "error", "error": error}, start(0), delta(0, "a"))])
        assert [event.kind for event in events] == [Kind.MESSAGE_START, Kind.ERROR]
        assert events[-1].payload["error"] == told

    def test_an_error_of_any_depth_is_an_error(self) -> None:
        """What is read deeper than Python prints is not printed."""
        deep = b"[" * 1000 + b"]" * 1000
        events = decoded([stream(START), b'event: error\ndata: {"type":"error","error":%s}\n\n' % deep])
        assert events[-1].kind is Kind.ERROR


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
        body = TestWellFormed.BODY
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


class TestEvents:
    """What a consumer of events may rely on."""

    def test_an_event_is_charged_a_least_size(self) -> None:
        """Whoever bounds what they hold counts objects as well as bytes."""
        assert StreamEvent(Kind.PING, b"x").size == LEAST_SIZE
        assert StreamEvent(Kind.PING, b"x" * 1000).size == 1000

    @pytest.mark.parametrize(
        "data",
        [b"{", b"[1]", b'{"index":0}', b'{"delta":1}', b'{"delta":{"partial_json":5}}', b'{"delta":{"text":[]}}'],
    )
    def test_a_run_that_holds_something_else_says_so(self, data: bytes) -> None:
        """With an exception of its own, in which nothing is quoted."""
        with pytest.raises(MalformedEvent, match="delta"):
            list(StreamEvent(Kind.DELTAS, b"event: content_block_delta\ndata: " + data + b"\n\n").payloads())
