"""How an answer on the chat wire ends: the finish reason, the cut that must not look whole, the error in the stream."""

from __future__ import annotations

from typing import Any

import pytest

from engine import Kind
from tests.transports.chat.streams import (
    ONE,
    body,
    call,
    calls,
    chunk,
    decoded,
    decoder,
    read_all,
    refusal_of,
    toolbox,
    usage,
)


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
