"""Strict streams out of whatever hosts on the chat wire send: each oddity by itself, at every cutting.

What a call, a chunk, a thinking tag may look like is tested where it is taken apart. Here stands what becomes of it: the
blocks, their order, the stop reason, the counts, and what is held back until when.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine import Kind
from engine.config import Accent
from tests.recordings import CUTS, pieces
from tests.transports.chat.streams import (
    ONE,
    body,
    call,
    calls,
    chunk,
    decoded,
    decoder,
    frame,
    kinds,
    raw_of,
    read_all,
    read_events,
    refusal_of,
    signatures,
    usage,
)
from transports._anthropic import StreamError
from transports._envelope import opened
from transports._sse import SSEError


class TestFraming:
    """The event stream around the chunks."""

    @pytest.mark.parametrize(
        "sent",
        [
            body(chunk(content="hi"), chunk("stop")),
            body(chunk(content="hi"), chunk("stop")).replace(b"data: ", b"data:"),
            body(chunk(content="hi"), chunk("stop")).replace(b"\n", b"\r\n"),
            body(chunk(content="hi"), chunk("stop")).replace(b"\n", b"\r"),
            body(b": PROCESSING\n\n", chunk(content="hi"), b": keep-alive\n\n\n\n", chunk("stop"), b":\n\n"),
            body(b"data:\n\n", chunk(content="hi"), b"data: \n\n", chunk("stop")),
            body(b"event: ping\ndata: {}\n\n", chunk(content="hi"), b'data: {"type":"ping"}\n\n', chunk("stop")),
            body(chunk(content="hi"), chunk("stop"), b"data:   [DONE]  \n\n", done=False),
            body(chunk(content="hi"), chunk("stop"))[:-2],
            body(chunk(content="hi"), chunk("stop"))[:-1],
            body(chunk(content="hi"), chunk("stop"), done=False),
            body(chunk(content="hi"), chunk("stop"), done=False)[:-2],
            body(chunk(content="hi"), chunk("stop"))[:-5],  # cut in the `[DONE]`
            body(chunk(content="hi"), chunk("stop"), frame(usage())[:-9], done=False),  # cut in the count
            body(chunk(content="hi")),
            body(chunk(content="hi"), chunk("stop")) + b"data: {not JSON\n\ndata: [DONE]\n\n",
            body(chunk(content="hi"), chunk("stop")) + frame(chunk(content="more")) + b"data: \xff",
            b"\xef\xbb\xbf" + body(chunk(content="hi"), chunk("stop")),
            b"\n\n" + body(chunk(content="hi"), chunk("stop")),
            body(chunk(content="hi"), chunk("stop")).replace(b"data: {", b"event: message\nid: 7\nretry: 9\ndata: {"),
        ],
    )  # fmt: skip
    def test_what_is_legal_or_nearly(self, sent: bytes) -> None:
        """A complete answer, and nothing behind it."""
        for cut in CUTS:
            one = decoder()
            events = [event for piece in pieces(sent, cut) for event in one.feed(piece)] + one.finish()
            found = read_events(events)
            assert (found.faults, found.text, found.stop_reason, one.complete) == ([], "hi", "end_turn", True)

    @pytest.mark.parametrize(
        "noise", [b"data: {\n\n", b"data: 7\n\n", b"data: []\n\n", b"data: null\n\n", b"data: oops\n\n"]
    )
    def test_what_is_no_chunk(self, noise: bytes) -> None:
        """It is not passed over: who knows what it was."""
        assert "a chunk that is not" in refusal_of(chunk(content="hi"), noise, chunk("stop"))

    def test_a_frame_without_end(self) -> None:
        """Nobody waits for it for ever."""
        one = decoder()
        for _ in range(16):
            one.feed(b"x" * (1 << 20))
        with pytest.raises(SSEError):
            one.feed(b"x")

    def test_nothing_is_kept_of_what_follows_the_end(self) -> None:
        """A host that goes on talks to nobody."""
        one = decoder()
        one.feed(body(chunk(content="hi")))
        for _ in range(20):
            assert one.feed(b"x" * (1 << 20)) == []
        assert one.finish() == []

    @pytest.mark.parametrize(
        "sent",
        [b"", b"\n", b": only a comment\n\n", body(chunk(role="assistant", content=""), done=False),
         body(chunk(content="half an ans"), done=False), body(calls(call(ONE, name="read")), done=False),
         body(chunk(reasoning="hm"), done=False), body(usage(), done=False)],
    )  # fmt: skip
    def test_an_end_without_a_reason_is_no_end(self, sent: bytes) -> None:
        """The connection was closed, cleanly or not."""
        for cut in CUTS:
            one = decoder()
            events = [event for piece in pieces(sent, cut) for event in one.feed(piece)] + one.finish()
            assert not {event.kind for event in events} & {Kind.MESSAGE_STOP, Kind.MESSAGE_DELTA, Kind.BLOCK_STOP}
            assert not one.complete

    def test_an_answer_of_nothing_is_not_complete(self) -> None:
        """It ends, in the grammar, and somebody else is asked."""
        one = decoder()
        found = read_events(one.feed(body(chunk(role="assistant", content=""), chunk("stop"))))
        assert (found.faults, found.blocks, found.stop_reason, one.complete) == ([], [], "end_turn", False)


class TestHead:
    """`message_start`."""

    def test_it_comes_with_the_first_block(self) -> None:
        """Until then another provider may still be asked."""
        one = decoder(model="asked", message_id="msg_7", estimate=42)
        assert one.feed(frame(chunk(role="assistant", content=""))) == []
        began = one.began
        start = one.feed(frame(chunk(content="hi")))[0]
        assert (began, one.began) == (False, True)
        assert start.estimated
        assert start.payload["message"] == {
            "id": "msg_7", "type": "message", "role": "assistant", "model": "asked", "content": [], "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": 42, "output_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            },
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("first", "shown", "estimated"),
        [
            ({"usage": {"prompt_tokens": 9, "completion_tokens": 3}}, (9, 0, 1), False),
            ({"usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 9}}}, (0, 9, 0), False),
            ({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}, (42, 0, 0), True),
            ({"usage": None}, (42, 0, 0), True),
        ],
    )
    def test_it_has_the_best_count_there_is(self, first: Any, shown: tuple[int, int, int], estimated: bool) -> None:
        """The host's, where it counts from the beginning; never zero."""
        start = decoder(estimate=42).feed(frame({**chunk(content="hi"), **first}))[0]
        counts = start.payload["message"]["usage"]
        assert (counts["input_tokens"], counts["cache_read_input_tokens"], counts["output_tokens"]) == shown
        assert start.estimated is estimated

    def test_an_estimate_of_nothing_is_one(self) -> None:
        """Zero breaks the client's meter."""
        start = decoder(estimate=0).feed(frame(chunk(content="hi")))[0]
        assert start.payload["message"]["usage"]["input_tokens"] == 1


class TestText:
    """Text and thinking, as they come."""

    @pytest.mark.parametrize("content", [None, "", [], {}, 7, [{"type": "text", "text": ""}], [None]])
    def test_content_of_nothing(self, content: Any) -> None:
        """Null, empty, of another type, absent."""
        assert (
            read_all(chunk(content=content), chunk(content="hi"), chunk(), chunk("stop", content=content)).text == "hi"
        )

    def test_content_of_parts(self) -> None:
        """Mistral's: thinking first, then text."""
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
        found = read_all(chunk(content=[thought]), chunk(content=[thought, {"type": "text", "text": "a"}]),
                         chunk(content="b"), chunk("stop"))  # fmt: skip
        assert (kinds(found), found.thinking, found.text) == (["thinking", "text"], "hmhm", "ab")

    def test_tags_in_a_part_are_tags(self) -> None:
        """A text is a text, however it is given."""
        found = read_all(
            chunk(content=[{"type": "text", "text": "<thi"}]), chunk(content="nk>hm</think>hi"), chunk("stop")
        )
        assert (found.thinking, found.text) == ("hm", "hi")

    @pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_text"])
    def test_reasoning_is_thinking(self, field: str) -> None:
        """Under any of its names; in one chunk with text it comes first."""
        found = read_all(chunk(**{field: "h"}), chunk(**{field: "m"}, content="hi"), chunk("stop"))
        assert (kinds(found), found.thinking, found.text) == (["thinking", "text"], "hm", "hi")

    def test_two_fields_with_the_same_text_are_one(self) -> None:
        """Some hosts are polite to everybody."""
        details = [{"type": "reasoning.text", "text": "hm"}]
        both = chunk(reasoning="hm", reasoning_content="hm", reasoning_details=details)
        assert read_all(both, chunk("stop")).thinking == "hm"

    def test_an_answer_of_thinking_alone(self) -> None:
        """Is one, and no text is made up for it."""
        one = decoder()
        found = read_events(one.feed(body(chunk(reasoning="hm"), chunk("stop"))))
        assert (kinds(found), found.stop_reason, one.complete) == (["thinking"], "end_turn", True)

    def test_thinking_between_texts(self) -> None:
        """Each change is a block."""
        parts = [chunk(content="a"), chunk(reasoning="b"), chunk(content="c"), chunk(reasoning="d"), chunk("stop")]
        assert kinds(read_all(*parts)) == ["text", "thinking", "text", "thinking"]

    def test_white_space_makes_no_block(self) -> None:
        """It waits for what follows, and belongs to it; a block of it would be refused in history."""
        found = read_all(
            chunk(content="\n"), chunk(reasoning=" "), chunk(reasoning="hm"), chunk(content=" "), chunk(reasoning="m"),
            chunk(content="\n"), chunk(content="hi"), chunk(content="\n"), chunk(reasoning="\n"), chunk(content="you"),
            chunk(reasoning=" "), calls(call(ONE, name="read")), chunk(content="\n"), chunk("stop"),
        )  # fmt: skip
        assert [block.get("thinking") or block.get("text") for block in found.blocks[:2]] == [" hmm", "\n \nhi\nyou"]
        assert kinds(found) == ["thinking", "text", "tool_use"]

    def test_white_space_that_waits_is_bounded(self) -> None:
        """A host that says nothing at length costs nothing."""
        one = decoder()
        for _ in range(300):
            assert one.feed(frame(chunk(content=" " * 1024))) == []
        found = read_events(one.feed(body(chunk(content="hi"), chunk("stop"))))
        assert found.text.strip() == "hi"
        assert len(found.text) <= 66 * 1024

    @pytest.mark.parametrize(
        ("tags", "said", "thinking", "text"),
        [
            ("leading", "<think>hm</think>hi", "hm", "hi"),
            ("implied", "hm</think>hi", "hm", "hi"),
            ("off", "<think>hm</think>hi", "", "<think>hm</think>hi"),
        ],
    )
    def test_tags_as_the_accent_has_them(self, tags: Any, said: str, thinking: str, text: str) -> None:
        """Letter by letter."""
        found = read_all(*[chunk(content=letter) for letter in said], chunk("stop"), accent=Accent(think_tags=tags))
        assert (found.thinking, found.text) == (thinking, text)

    def test_what_a_read_brings_is_one_delta(self) -> None:
        """And is content; a read of other things is not."""
        one = decoder()
        events = one.feed(body(chunk(content="a"), chunk(content="b"), chunk(content="c"), done=False))
        assert [event.kind for event in events] == [Kind.MESSAGE_START, Kind.BLOCK_START, Kind.DELTAS]
        assert [event.content for event in events] == [False, False, True]
        assert [payload["delta"]["text"] for payload in events[-1].payloads()] == ["abc"]

    def test_what_looks_like_framing_is_text(self) -> None:
        """It is written as JSON."""
        odd = 'a"}}\n\nevent: error\ndata: {"x":1}\n\n\u2028\x00 [DONE] \\'
        assert read_all(chunk(content=odd), chunk(reasoning=odd), chunk("stop")).text == odd

    def test_another_choice_is_another_answer(self) -> None:
        """And one in two halves is one."""
        second = chunk("length", {"index": 1}, content="no")
        assert read_all(chunk(content="hi"), second, chunk("stop"), second).stop_reason == "end_turn"
        halves = {"choices": [*chunk(content="hi")["choices"], *calls(call(ONE, name="read"))["choices"]]}
        found = read_all(halves, chunk("tool_calls"))
        assert (found.text, found.tools) == ("hi", [("read", {"a": 1})])


class TestSignatures:
    """What a thinking block is signed with."""

    def test_it_is_signed_by_its_author(self) -> None:
        """At its end."""
        (only,) = signatures(decoded([body(chunk(reasoning="hm"), chunk("stop"))], author="host/org/m-1.5"))
        sealed = opened(only)
        assert sealed is not None
        assert (sealed.author, sealed.state) == ("host/org/m-1.5", {})

    def test_details_are_in_the_envelope(self) -> None:
        """Without the text that the block holds, with everything else; white space in front belongs to both."""
        details: list[Any] = [
            {"type": "reasoning.text", "text": "\n"},
            {"type": "reasoning.text", "text": "hm"},
            {"type": "reasoning.text", "signature": "s"},
            {"type": "reasoning.encrypted", "data": "x"},
        ]
        parts = [chunk(reasoning=one.get("text"), reasoning_details=[one]) for one in details]
        sent = body(*parts, chunk(content="hi"), chunk("stop"))
        for cut in CUTS:
            (only,) = signatures(decoded(pieces(sent, cut), accent=Accent(replay="reasoning_details")))
            sealed = opened(only)
            assert sealed is not None
            assert sealed.state == {"details": [{"type": "reasoning.text", "signature": "s"}, details[3]]}

    def test_what_no_thinking_block_holds_has_one_of_its_own(self) -> None:
        """Encrypted reasoning beside a call, and the signature of the call."""
        signed = {**call(ONE, name="read"), "extra_content": {"google": {"thought_signature": "s"}}}
        parts = [chunk(reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}]), calls(signed), chunk("stop")]
        accent = Accent(replay="reasoning_details", thought_signatures=True)
        assert kinds(read_all(*parts, accent=accent)) == ["redacted_thinking", "tool_use"]
        events = decoded([body(*parts)], accent=accent)
        (only,) = signatures(events)
        sealed = opened(only)
        assert sealed is not None
        assert sealed.state == {
            "details": [{"type": "reasoning.encrypted", "data": "x"}],
            "calls": {"0": {"google": {"thought_signature": "s"}}},
        }
        assert [event.content for event in events if event.kind is Kind.BLOCK_START] == [True, False]

    def test_none_is_made_where_nobody_wants_them(self) -> None:
        """They would only make the next request larger."""
        signed = {**call(ONE, name="read"), "extra_content": {"google": {"thought_signature": "s"}}}
        parts = [chunk(reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}]), calls(signed), chunk("stop")]
        assert kinds(read_all(*parts)) == ["tool_use"]


class TestUsage:
    """Counts, wherever and whenever they come."""

    COUNTS: tuple[list[Any], ...] = (
        [chunk(content="hi"), chunk("stop"), usage(10, 5)],
        [chunk(content="hi"), {**chunk("stop"), "usage": {"prompt_tokens": 10, "completion_tokens": 5}}],
        [{**chunk(content="h"), "usage": {"prompt_tokens": 10, "completion_tokens": 1}},
         {**chunk(content="i"), "usage": {"prompt_tokens": 10, "completion_tokens": 5}}, chunk("stop")],
        [{**chunk(content="hi"), "usage": None}, chunk("stop"), usage(10, 5), {"choices": [], "usage": None}],
        [chunk(content="hi"), chunk("stop", {"usage": {"prompt_tokens": 10, "completion_tokens": 5}})],
        [chunk(content="hi"), {**chunk("stop"), "x_groq": {"id": "r", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}}],
        [usage(10, 5), chunk(content="hi"), chunk("stop")],
    )  # fmt: skip

    @pytest.mark.parametrize("parts", COUNTS)
    def test_the_last_that_is_something(self, parts: list[Any]) -> None:
        """Reading goes on after the finish reason."""
        found = read_all(*parts)
        assert (found.usage["input_tokens"], found.usage["output_tokens"]) == (10, 5)
        last = decoded([body(*parts)])[-2]
        assert not last.estimated

    def test_the_prompt_is_parted(self) -> None:
        """Into what was read from a cache, written to one, and the rest."""
        details = {"prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}}
        found = read_all(chunk(content="hi"), chunk("stop"), usage(10, 5, **details))
        assert found.usage == {
            "input_tokens": 3, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3, "output_tokens": 5,
        }  # fmt: skip

    def test_reasoning_beside_the_output(self) -> None:
        """As the accent says."""
        more: Any = {"completion_tokens_details": {"reasoning_tokens": 7}}
        parts = [chunk(content="hi"), chunk("stop"), usage(10, 5, **more)]
        assert read_all(*parts, accent=Accent(reasoning_beside=True)).usage["output_tokens"] == 12
        assert read_all(*parts).usage["output_tokens"] == 5

    @pytest.mark.parametrize(
        ("parts", "counted"),
        [
            ([], (42, 4)),
            ([{"choices": [], "usage": None}], (42, 4)),
            ([usage(0, 0)], (42, 4)),
            ([usage(10, 0)], (10, 4)),
            ([usage(0, 5)], (42, 5)),
        ],
    )
    def test_what_nobody_counted_is_estimated(self, parts: list[Any], counted: tuple[int, int]) -> None:
        """And said to be."""
        said = [
            chunk(reasoning="four"),
            chunk(content="four"),
            calls(call('{"a":12}', name="read")),
            chunk("stop"),
            *parts,
        ]
        found = read_all(*said, estimate=42)
        assert (found.usage["input_tokens"], found.usage["output_tokens"]) == counted
        assert decoded([body(*said)])[-2].estimated


class TestWhole:
    """A JSON answer where a stream was asked for."""

    @staticmethod
    def answer(message: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
        return {"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5}, **more}  # fmt: skip

    def test_everything_at_once(self) -> None:
        """Thinking, text, calls, counts."""
        message = {
            "role": "assistant",
            "content": "hi",
            "reasoning_content": "hm",
            "tool_calls": [call(ONE, name="read")],
        }
        one = decoder()
        found = read_events(one.whole(self.answer(message, "tool_calls")))
        assert (found.faults, kinds(found)) == ([], ["thinking", "text", "tool_use"])
        assert (found.stop_reason, found.usage["input_tokens"], one.complete) == ("tool_use", 10, True)

    def test_it_is_whole_without_a_reason(self) -> None:
        """It cannot have been cut and still be JSON; so what is certain is mended."""
        message = {"content": "<think>hm</think>", "tool_calls": [call('{"a": "b"', name="read")]}
        found = read_events(decoder().whole(self.answer(message, None)))
        assert (found.faults, found.thinking, found.tools, found.stop_reason) == (
            [],
            "hm",
            [("read", {"a": "b"})],
            "tool_use",
        )

    @pytest.mark.parametrize(
        "answer",
        [{}, {"choices": []}, {"choices": [{"text": "hi"}]}, {"choices": [{"index": 1, "message": {}}]},
         {"type": "message", "content": []}, {"choices": [{"message": "hi"}]}],
    )  # fmt: skip
    def test_what_is_no_completion(self, answer: Any) -> None:
        """It is refused."""
        with pytest.raises(StreamError):
            decoder().whole(answer)

    @pytest.mark.parametrize(
        "answer", [{"error": "busy"}, {"choices": [], "error": {"message": "busy"}}, {"detail": "busy"}]
    )
    def test_an_error(self, answer: Any) -> None:
        """It is told as one."""
        assert read_events(decoder().whole(answer)).error == {"type": "api_error", "message": "busy"}

    def test_one_of_nothing_is_not_complete(self) -> None:
        """As a stream of nothing."""
        one = decoder()
        assert raw_of(one.whole(self.answer({"content": None}))).endswith(b'message_stop"}\n\n')
        assert not one.complete

    @pytest.mark.parametrize("cut", CUTS)
    def test_one_in_a_frame(self, cut: int | None) -> None:
        """A host that streams only in name."""
        sent = body(self.answer({"content": "hi"}))
        assert read_events(decoded(pieces(sent, cut))).text == "hi"
