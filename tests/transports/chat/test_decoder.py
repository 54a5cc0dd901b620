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
    DONE,
    body,
    call,
    calls,
    chunk,
    decoded,
    decoder,
    frame,
    ids_of,
    raw_of,
    read_all,
    read_events,
    refusal_of,
    signatures,
    toolbox,
    usage,
)
from transports._anthropic import StreamError
from transports._envelope import opened
from transports._sse import SSEError
from transports.chat._calls import MAX_CALLS

ONE = '{"a":1}'


def kinds(found: Any) -> list[str]:
    return [block["type"] for block in found.blocks]


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


class TestTools:
    """Calls: held until the end, checked, shown whole."""

    def test_they_are_held_until_the_end(self) -> None:
        """All that is said meanwhile is that there is progress."""
        one = decoder()
        events = one.feed(body(chunk(content="hi"), calls(call(ONE, name="read", index=0)), done=False))
        events += one.feed(body(calls(call("", index=0)), calls(call("", index=0)), chunk("tool_calls"), done=False))
        assert [event.kind for event in events].count(Kind.PROGRESS) == 2
        assert not any(event.raw for event in events if event.kind is Kind.PROGRESS)
        assert [event.kind for event in events].count(Kind.BLOCK_STOP) == 1  # of the text: it is finished with the call
        found = read_events(events + one.feed(DONE))
        assert (found.faults, found.text, found.tools) == ([], "hi", [("read", {"a": 1})])

    def test_a_call_that_waits_begins_no_message(self) -> None:
        """Until it is whole another provider may still be asked."""
        one = decoder()
        assert [event.kind for event in one.feed(frame(calls(call(ONE, name="read"))))] == [Kind.PROGRESS]
        assert not one.began

    def test_text_behind_a_call_stands_before_it(self) -> None:
        """It is shown as it comes."""
        found = read_all(
            chunk(content="a"), calls(call(ONE, name="read", index=0)), chunk(content="b"), chunk("tool_calls")
        )
        assert (kinds(found), found.text) == (["text", "text", "tool_use"], "ab")

    def test_parallel_calls_come_in_the_order_of_their_beginnings(self) -> None:
        """However they took turns."""
        found = read_all(
            calls(call("", name="ls", id="call_one1", index=1)), calls(call("", name="read", id="call_two2", index=0)),
            calls(call(ONE, index=0), call('{"b"', index=1)), calls(call(":2}", index=1)), chunk("tool_calls"),
        )  # fmt: skip
        assert found.tools == [("ls", {"b": 2}), ("read", {"a": 1})]
        assert ids_of(found) == ["call_one1", "call_two2"]

    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            (None, {}), ("", {}), (" ", {}), ("null", {}), ("{}", {}), ({}, {}), ({"a": [1]}, {"a": [1]}), (ONE, {"a": 1}),
            ('{"a": 1,}', {"a": 1}), ("{'a': None}", {"a": None}), ('"{\\"a\\": 1}"', {"a": 1}),
            ('```json\n{"a": 1}\n```', {"a": 1}), ('{"a": {"b": "c"}', {"a": {"b": "c"}}),
        ],
    )  # fmt: skip
    def test_arguments(self, given: Any, meant: Any) -> None:
        """As an object, as none, mended where that is certain."""
        assert read_all(calls(call(given, name="read")), chunk("tool_calls")).tools == [("read", meant)]

    def test_arguments_that_are_right_pass_to_the_letter(self) -> None:
        """Numbers longer than a float holds, spaces, an order of keys."""
        given = '{ "b": 123456789012345678901234567890, "a": 1.10, "c": "\\u00e9\\/" }'
        events = decoded([body(calls(call(given, name="read")), chunk("tool_calls"))])
        deltas = [payload["delta"] for event in events if event.kind is Kind.DELTAS for payload in event.payloads()]
        assert [delta["partial_json"] for delta in deltas] == [given]

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [
            ('{"a": "rm -rf /ho', "not JSON"), ("ls -la", "not JSON"), ("[1]", "not JSON"), ('{"a": 1', "not JSON"),
            ('{"a":' * 300 + "1" + "}" * 300, "nested too deeply"), ('{"a":' * 250 + "1" + "}" * 250, "nested too deeply"),
            ('{"a":' * 5000, "not JSON"),
        ],
    )  # fmt: skip
    def test_arguments_beyond_repair(self, given: str, complaint: str) -> None:
        """The answer is broken, and nothing of its calls is shown."""
        said = refusal_of(chunk(content="hi"), calls(call(given, name="read")), chunk("tool_calls"))
        assert complaint in said
        assert "rm -rf" not in said

    def test_what_was_mended_must_fit(self) -> None:
        """The schema of the tool, under the client's names."""
        strict = toolbox("read", schema={"type": "object", "properties": {"a": {"type": "string"}}})
        parts = [calls(call('{"a": 1,}', name="read")), chunk("tool_calls")]
        assert "schema" in refusal_of(*parts, toolbox=strict)
        assert read_all(calls(call(ONE, name="read")), chunk("tool_calls"), toolbox=strict).tools == [
            ("read", {"a": 1})
        ]

    def test_without_a_reason_for_the_end_nothing_is_mended(self) -> None:
        """A gateway closes cleanly what broke off behind it."""
        assert "not JSON" in refusal_of(calls(call('{"a": "b"', name="read")))
        assert read_all(calls(call(ONE, name="read"))).tools == [("read", {"a": 1})]

    def test_a_call_without_a_name(self) -> None:
        """Nobody knows what to run."""
        assert refusal_of(calls(call(ONE, index=0)), chunk("tool_calls")) == "a tool call without a name"

    def test_a_name_nobody_knows(self) -> None:
        """Is the client's to refuse, but in letters that every wire takes: it stays in history."""
        found = read_all(calls(call(ONE, name="draw")), chunk("tool_calls"))
        assert found.tools == [("draw", {"a": 1})]
        ((name, _),) = read_all(calls(call(ONE, name="web.search ü")), chunk("tool_calls")).tools
        assert name.startswith("web_search")
        assert name.replace("_", "").isalnum()

    def test_long_names_come_back_as_the_client_has_them(self) -> None:
        """They went out shortened."""
        long = "mcp__" + "x" * 100
        box = toolbox(long)
        (sent_as,) = box.names
        assert read_all(calls(call(ONE, name=sent_as)), chunk("stop"), toolbox=box).tools == [(long, {"a": 1})]

    def test_the_older_way(self) -> None:
        """One call, in pieces."""
        parts = [chunk(function_call={"name": "read", "arguments": ""}), chunk(function_call={"arguments": '{"a"'}),
                 chunk(function_call={"arguments": ":1}"}), chunk("function_call")]  # fmt: skip
        found = read_all(*parts)
        assert (found.tools, found.stop_reason) == ([("read", {"a": 1})], "tool_use")

    def test_ids_are_new_to_the_conversation(self) -> None:
        """The host's where they are, else ours, named after the message."""
        parts = [calls(call(ONE, name="read", id="call_taken", index=0)), calls(call(ONE, name="ls", id="call_free", index=1)),
                 calls(call(ONE, name="ls", id=7, index=2)), chunk("tool_calls")]  # fmt: skip
        settings: Any = {"message_id": "msg_0123456789abcdef01234567", "taken": lambda: {"call_taken"}}
        assert ids_of(read_all(*parts, **settings)) == [
            "toolu_0123456789abcdef01234567_0", "call_free", "toolu_0123456789abcdef01234567_2",
        ]  # fmt: skip
        odd = read_all(calls(call(ONE, name="read")), chunk("stop"), message_id="msg_a.b/c")
        assert ids_of(odd) == ["toolu_abc_0"]

    def test_too_many_and_too_large(self) -> None:
        """There is an end to what is held."""
        many = [calls(call(ONE, name="read", index=at)) for at in range(MAX_CALLS + 1)]
        assert "more than 128 tool calls" in refusal_of(*many, chunk("tool_calls"))
        one = decoder()
        for _ in range(32):
            one.feed(frame(calls(call("x" * (1 << 20), name="read", index=0))))
        with pytest.raises(StreamError, match="32 MiB"):
            one.feed(frame(calls(call("x", index=0))))


class TestEnds:
    """Stop reasons."""

    @pytest.mark.parametrize(
        ("finish", "reason"),
        [
            *[(word, "end_turn") for word in ("stop", "end", "eos", "end_turn", "completed", "STOP", "never heard of")],
            *[
                (word, "max_tokens")
                for word in ("length", "max_tokens", "max_output_tokens", "model_length", "MAX_TOKENS")
            ],
            *[(word, "refusal") for word in ("content_filter", "sensitive", "safety", "refusal", "SAFETY")],
            ("model_context_window_exceeded", "model_context_window_exceeded"),
        ],
    )
    def test_a_text_ends(self, finish: str, reason: str) -> None:
        """As the table says; what nobody knows is a natural end."""
        found = read_all(chunk(content="hi"), chunk(finish))
        assert (found.text, found.stop_reason) == ("hi", reason)

    @pytest.mark.parametrize(
        ("finish", "reason"),
        [("stop", "tool_use"), ("tool_calls", "tool_use"), ("eos", "tool_use"), ("never heard of", "tool_use"),
         ("stop_sequence", "tool_use"), ("length", "max_tokens"), ("content_filter", "refusal"),
         ("model_context_window_exceeded", "model_context_window_exceeded")],
    )  # fmt: skip
    def test_calls_end(self, finish: str, reason: str) -> None:
        """In `tool_use`, unless the answer was cut or refused."""
        found = read_all(calls(call(ONE, name="read")), chunk(finish))
        assert (found.tools, found.stop_reason) == ([("read", {"a": 1})], reason)

    def test_calls_without_any_reason_end_in_tool_use(self) -> None:
        """`[DONE]` alone."""
        assert read_all(calls(call(ONE, name="read"))).stop_reason == "tool_use"

    @pytest.mark.parametrize("finish", ["length", "model_context_window_exceeded", "content_filter"])
    @pytest.mark.parametrize("half", ['{"a": "rm -rf /ho', '{"a": "b"', '{"a": ["b"]', '{"a": 1,', "", None])
    def test_a_call_that_was_cut_is_left_out(self, half: str | None, finish: str) -> None:
        """Neither mended nor run; one that was cut right behind its name would run without its arguments."""
        parts = [chunk(content="hi"), calls(call(ONE, name="read", index=0)), calls(call(half, name="ls", index=1))]
        schema = {"type": "object", "properties": {"a": {}}, "required": ["a"]}
        found = read_all(*parts, chunk(finish), toolbox=toolbox("read", "ls", schema=schema))
        assert found.tools == [("read", {"a": 1})]
        assert found.stop_reason in ("max_tokens", "model_context_window_exceeded", "refusal")

    def test_a_call_that_needs_no_arguments_is_whole_with_its_name(self) -> None:
        """Of a tool that is known, and takes none."""
        parts = [chunk(content="hi"), calls(call("", name="ls", index=0)), chunk("length")]
        none, some = {"type": "object", "properties": {}}, {"type": "object", "properties": {"force": {}}}
        assert read_all(*parts, toolbox=toolbox("ls", schema=none)).tools == [("ls", {})]
        assert read_all(*parts, toolbox=toolbox("ls", schema=some)).tools == []
        assert read_all(*parts, toolbox=toolbox("who", schema=none)).tools == []

    @pytest.mark.parametrize("finish", ["tool_calls", "function_call"])
    def test_calls_that_are_said_and_not_there_are_a_failure(self, finish: str) -> None:
        """An agent that is told of an end would stop in the middle of its work."""
        assert "without one" in refusal_of(chunk(content="let me"), chunk(finish))

    def test_a_natural_end_does_not_take_back_a_cut(self) -> None:
        """Some hosts say both, one after the other."""
        assert read_all(chunk(content="half"), chunk("length"), chunk("stop")).stop_reason == "max_tokens"

    def test_a_count_of_nothing_does_not_take_back_a_count(self) -> None:
        """A last chunk of zeros."""
        counted = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
        nothing = {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 15}}
        usage = read_all(chunk(content="hi"), chunk("stop"), counted, nothing).usage
        assert (usage["input_tokens"], usage["output_tokens"]) == (10, 5)

    def test_calls_that_took_turns_were_all_cut(self) -> None:
        """Not the last alone."""
        halves = [calls(call('{"a": "', name="read", index=0)), calls(call('{"b": "', name="ls", index=1))]
        found = read_all(chunk(content="hi"), *halves, chunk("length"))
        assert (found.tools, found.stop_reason) == ([], "max_tokens")

    def test_a_call_cut_before_its_name(self) -> None:
        """Its arguments came first."""
        found = read_all(chunk(content="hi"), calls(call(ONE, index=0)), chunk("length"))
        assert (found.tools, found.stop_reason) == ([], "max_tokens")

    def test_a_cut_that_is_hidden(self) -> None:
        """OpenRouter calls it `tool_calls`."""
        cut = chunk("tool_calls", {"native_finish_reason": "MAX_TOKENS"})
        found = read_all(chunk(content="hi"), calls(call('{"a": ["b"', name="read")), cut)
        assert (found.tools, found.stop_reason) == ([], "max_tokens")

    def test_a_refusal_is_text(self) -> None:
        """And a stop reason, also of a host that calls it a stop."""
        found = read_all(chunk(refusal="I "), chunk(refusal="won't", content=None), chunk("stop"))
        assert (found.text, found.stop_reason) == ("I won't", "refusal")
        assert read_all(chunk(refusal="no"), chunk("length")).stop_reason == "max_tokens"
        assert read_all(chunk(refusal="no"), chunk("tool_calls")).stop_reason == "refusal"
        assert read_all(chunk(refusal="no"), calls(call(ONE, name="read")), chunk("stop")).stop_reason == "refusal"
        assert read_all(chunk(refusal=None, content="hi"), chunk("stop")).stop_reason == "end_turn"

    def test_the_sequence_that_ended_it(self) -> None:
        """vLLM says which."""
        events = decoded([body(chunk(content="hi"), chunk("stop", {"stop_reason": "\n\nHuman"}))])
        (last,) = [event.payload for event in events if event.kind is Kind.MESSAGE_DELTA]
        assert last["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "\n\nHuman"}
        for nothing in (None, 128009, "stop", "end_turn"):
            found = read_all(chunk(content="hi"), chunk("stop", {"stop_reason": nothing}))
            assert found.stop_reason == "end_turn"

    def test_what_comes_after_the_reason_counts(self) -> None:
        """Text, a call, another reason."""
        found = read_all(
            chunk("stop", content="a"), chunk(content="b"), calls(call(ONE, name="read")), chunk("tool_calls")
        )
        assert (found.text, found.tools, found.stop_reason) == ("ab", [("read", {"a": 1})], "tool_use")


class TestErrors:
    """Errors in a stream that began with 200."""

    SHAPES: tuple[tuple[Any, str], ...] = (
        ({"error": {"message": "busy", "type": "server_error", "code": 503}}, "busy"),
        ({"error": "busy"}, "busy"),
        ({"error": {"message": "busy", "code": "x"}, "status_code": 429}, "busy"),
        ({"x_groq": {"error": "busy"}, "choices": []}, "busy"),
        ({"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "busy"}}]}, "busy"),
        (
            {
                "error": {"message": "busy"},
                "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
            },
            "busy",
        ),
        ({"object": "error", "message": "busy", "code": 500}, "busy"),
        ({"detail": "busy"}, "busy"),
        ({"base_resp": {"status_code": 1002, "status_msg": "busy"}}, "busy"),
        ({"error": {"deep": [[[[[[]]]]]]}}, "an error without a text"),
        (chunk("error"), "the answer broke off: error"),
        (chunk("network_error"), "the answer broke off: network_error"),
        (chunk("insufficient_system_resource"), "the answer broke off: insufficient_system_resource"),
        (chunk("abort"), "the answer broke off: abort"),
        (b'event: error\ndata: {"message":"busy","type":"x"}\n\n', "busy"),
        (b'event: error\ndata: {"error":{"message":"busy"}}\n\n', "busy"),
        (b"event: error\ndata: busy\n\n", "busy"),
        (b'event: error\ndata: "busy"\n\n', "busy"),
        (b'data: [{"error":{"message":"busy","status":"UNAVAILABLE"}}]\n\n', "busy"),
    )

    @pytest.mark.parametrize(("error", "message"), SHAPES)
    @pytest.mark.parametrize(
        "before",
        [[], [chunk(content="hi")], [chunk(reasoning="hm")], [calls(call(ONE, name="read"))],
         [chunk(content="hi"), chunk("stop")], [calls(call(ONE, name="read")), chunk("tool_calls"), usage()]],
    )  # fmt: skip
    def test_an_error_ends_it(self, before: list[Any], error: Any, message: str) -> None:
        """Before content, in it, and after the finish reason: the error is the last thing said, and nothing looks whole."""
        found = read_all(*before, error, chunk(content="more"), chunk("stop"))
        assert found.error == {"type": "api_error", "message": message}
        assert (found.tools, found.stop_reason) == ([], None)

    @pytest.mark.parametrize(("error", "message"), SHAPES)
    def test_the_provider_s_own_words_are_kept(self, error: Any, message: str) -> None:
        """For those who judge them; the client is told the text alone."""
        one = decoder()
        (event,) = one.feed(body(error))
        assert event.kind is Kind.ERROR
        assert event.payload["upstream"]["message"] == message
        assert b"upstream" not in event.raw
        assert not one.complete

    def test_one_too_deep_to_be_written_is_kept_in_short(self) -> None:
        """Somebody else writes it down."""
        deep = b'{"error":{"message":"busy","x":' + b"[" * 400 + b"]" * 400 + b"}}"
        (event,) = decoder().feed(b"data: " + deep + b"\n\n")
        assert event.payload["upstream"] == {"message": "busy"}


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
