"""Strict streams out of whatever hosts on the anthropic wire send: each fault by itself, at every cutting.

A decoder that is tested on good streams passes, and hosts send bad ones. What each of these tests sends was seen in the
wild or made a client fail. The laws that hold for all mixtures of them are in `test_anthropic_laws.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine import Kind, StreamEvent
from engine._stream import LEAST_SIZE, MalformedEvent
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
    AnthropicDecoder,
    StreamError,
)


def read_all(*parts: dict[str, Any]) -> Reading:
    """What a stream of these events reads as, found free of faults at every cutting."""
    body = stream(*parts)
    found = [reading(raw_of(decoded(pieces(body, cut)))) for cut in CUTS]
    assert [one.faults for one in found] == [[]] * len(CUTS)
    assert all(one == found[0] for one in found)
    return found[0]


class TestWellFormed:
    """What is right already is not touched."""

    BODY = WHOLE_TURN

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
