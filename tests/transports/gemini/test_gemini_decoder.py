"""Gemini's answers, one habit at a time."""

from __future__ import annotations

import pytest

from engine import Kind
from tests.transports.chat.streams import ids_of, kinds, read_events
from tests.transports.gemini.speech import (
    TOOLS,
    call,
    chunk,
    decoded,
    decoder,
    frame,
    read_all,
    refusal_of,
    stream,
    thought,
)
from transports._anthropic import StreamError
from transports.gemini._chunk import FAILED, STOPS


class TestStreams:
    """What flows."""

    def test_thinking_and_text_are_blocks_of_their_own(self) -> None:
        """Parts are deltas; a change of kind is a change of block."""
        found = read_all(chunk(thought("I ")), chunk(thought("see."), "So "), chunk("be it."), chunk("", finish="STOP"))
        assert kinds(found) == ["thinking", "text"]
        assert (found.thinking, found.text, found.stop_reason) == ("I see.", "So be it.", "end_turn")

    def test_a_call_ends_a_turn_that_says_stop(self) -> None:
        """`STOP` is said of calls as well; no id is needed, and empty arguments are an object."""
        found = read_all(chunk("I look."), chunk(call(args={}), call("ls", {"a": "é"})), chunk(finish="STOP"))
        assert found.tools == [("read", {}), ("ls", {"a": "é"})]
        assert found.stop_reason == "tool_use"
        assert len(set(ids_of(found))) == 2

    def test_a_call_without_arguments(self) -> None:
        """`args` may be missing."""
        assert read_all(chunk({"functionCall": {"name": "ls"}}, finish="STOP")).tools == [("ls", {})]

    def test_an_id_of_the_hosts_is_kept(self) -> None:
        """So that the result can name it."""
        assert ids_of(read_all(chunk(call(id="8hd01vsf"), finish="STOP"))) == ["8hd01vsf"]

    def test_arguments_that_come_as_values_at_paths(self) -> None:
        """Vertex streams them: texts in fragments, at any depth, until the call is closed."""
        parts = [
            {"functionCall": {"name": "read", "willContinue": True}},
            {"functionCall": {"partialArgs": [{"jsonPath": "$.a.b[0]", "stringValue": "x", "willContinue": True}],
                              "willContinue": True}},
            {"functionCall": {"partialArgs": [{"jsonPath": "$.a.b[0]", "stringValue": "y"},
                                              {"jsonPath": "$['c d']", "numberValue": 2}], "willContinue": True}},
            {"functionCall": {"partialArgs": [{"jsonPath": "$.e", "boolValue": False},
                                              {"jsonPath": "$.f", "nullValue": "NULL_VALUE"}], "willContinue": True}},
            {"functionCall": {}},
            call("ls", {}),
        ]  # fmt: skip
        found = read_all(*map(chunk, parts), chunk(finish="STOP"))
        assert found.tools == [("read", {"a": {"b": ["xy"]}, "c d": 2, "e": False, "f": None}), ("ls", {})]

    def test_what_the_hosts_own_tools_did_is_left_out(self) -> None:
        """It is never asked for; the words around it are one text."""
        code = {"executableCode": {"language": "PYTHON", "code": "1"}}
        found = read_all(
            chunk("One"), chunk(code, {"codeExecutionResult": {"outcome": "OUTCOME_OK"}}), chunk(".", finish="STOP")
        )
        assert (found.text, kinds(found)) == ("One.", ["text"])

    def test_a_picture_is_told_of(self) -> None:
        """Messages has no block for one in an answer."""
        found = read_all(chunk({"inlineData": {"mimeType": "image/png", "data": "AA"}}, finish="STOP"))
        assert found.text == "[image/png stood here; it is not shown]"

    def test_of_several_candidates_the_first_counts(self) -> None:
        """One was asked for."""
        one = chunk("a", finish="STOP")
        one["candidates"].append({"content": {"parts": [{"text": "b"}]}, "index": 1})
        assert read_all(one).text == "a"

    def test_counts_are_split_as_anthropic_splits_them(self) -> None:
        """The cached part stands apart; thoughts are output, what its own tools fed to the model is left out."""
        usage = {"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 3, "thoughtsTokenCount": 2,
                 "toolUsePromptTokenCount": 5, "totalTokenCount": 20}  # fmt: skip
        found = read_all(chunk("a", usage={"promptTokenCount": 10}), chunk(finish="STOP", usage=usage))
        assert found.usage == {"input_tokens": 6, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0,
                               "output_tokens": 5}  # fmt: skip

    def test_the_first_count_of_input_is_no_zero(self) -> None:
        """Where the host has not said it yet, it is estimated."""
        (start, *_) = decoded([stream(chunk("a"), chunk(finish="STOP"))], estimate=77)
        assert start.payload["message"]["usage"]["input_tokens"] == 77
        assert start.estimated

    def test_a_tool_name_that_gemini_does_not_take_comes_back(self) -> None:
        """It went out with a `_` in front."""
        from tests.transports.chat.streams import toolbox

        found = read_all(chunk(call("_9lives", {}), call("_-x", {}), finish="STOP"), toolbox=toolbox("9lives", "-x"))
        assert found.tools == [("9lives", {}), ("-x", {})]


class TestEnds:
    """How an answer is over."""

    @pytest.mark.parametrize(("reason", "stop"), sorted(STOPS.items()))
    def test_reasons(self, reason: str, stop: str) -> None:
        """Cut, or withheld."""
        assert read_all(chunk("a"), chunk(finish=reason)).stop_reason == stop

    @pytest.mark.parametrize(("number", "stop"), [(1, "end_turn"), (2, "max_tokens"), (3, "refusal"), (99, "end_turn")])
    def test_reasons_as_numbers(self, number: int, stop: str) -> None:
        """As some gateways pass them on."""
        assert read_all(chunk("a", finish=number)).stop_reason == stop

    def test_the_cap_was_used_up_by_thinking(self) -> None:
        """There is no text at all."""
        found = read_all(chunk(finish="MAX_TOKENS", usage={"promptTokenCount": 3, "thoughtsTokenCount": 9}))
        assert (found.stop_reason, found.blocks, found.usage["output_tokens"]) == ("max_tokens", [], 9)

    @pytest.mark.parametrize("reason", sorted(FAILED))
    def test_failures(self, reason: str) -> None:
        """What the model wrote was no call: nothing of it is shown, calls before it included."""
        one = decoder()
        events = one.feed(stream(chunk(call()), chunk(finish=reason, finishMessage="no such call"))) + one.finish()
        assert [event.kind for event in events if event.kind is not Kind.PROGRESS] == [Kind.ERROR]
        assert events[-1].payload["error"]["message"] == "no such call"
        assert not one.complete

    def test_a_failure_after_a_text_is_an_error(self) -> None:
        """Nothing looks finished."""
        found = read_events(decoded([stream(chunk("a"), chunk(finish="MALFORMED_FUNCTION_CALL"))]))
        assert found.error == {"type": "api_error", "message": "the answer broke off: MALFORMED_FUNCTION_CALL"}

    def test_a_refused_prompt(self) -> None:
        """It says why."""
        found = read_all({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}})
        assert (found.stop_reason, found.text) == ("refusal", "[the provider refused the prompt: SAFETY]")

    def test_a_withheld_answer(self) -> None:
        """It says why, where there is nothing else."""
        found = read_all(chunk(finish="PROHIBITED_CONTENT"))
        assert (found.stop_reason, found.text) == ("refusal", "[the provider withheld the answer: PROHIBITED_CONTENT]")

    def test_an_error_in_the_stream(self) -> None:
        """The host's own object is kept for those who judge it."""
        error = {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}
        (event,) = decoded([frame({"error": error})])
        assert (event.kind, event.payload["upstream"]) == (Kind.ERROR, error)

    @pytest.mark.parametrize("sent", [[chunk("a")], [chunk("a"), b"data: [DONE]\n\n"], [chunk(call())], []])
    def test_without_a_reason_it_was_cut(self, sent: list[object]) -> None:
        """Whatever came; `[DONE]` of a gateway is no reason."""
        one = decoder()
        events = one.feed(stream(*sent)) + one.finish()
        assert Kind.MESSAGE_STOP not in {event.kind for event in events}
        assert not one.complete

    def test_a_reason_with_each_piece(self) -> None:
        """As Gemini 1.5 gives it: only the end of the stream is the end."""
        assert read_all(chunk("a", finish="STOP"), chunk("b", finish="STOP")).text == "ab"
        one = decoder()
        one.feed(stream(chunk("a", finish="STOP")))
        assert (one.ended, one.settled) == (True, False)
        one.feed(stream(chunk(finish="STOP")))
        assert one.settled

    @pytest.mark.parametrize(
        ("parts", "because"),
        [
            ([call(name=None)], "a tool call without a name"),
            ([call(name="x" * 300)], "a tool's name of more than 256 characters"),
            ([call(args=[1])], "the arguments of a call of read are not an object"),
            ([call()] * 129, "more than 128 tool calls in one answer"),
            ([{"functionCall": {"name": "ls", "willContinue": True}}], "an answer that ends within a tool call"),
            ([{"functionCall": {"name": "ls", "partialArgs": [{"jsonPath": "a", "boolValue": True}]}}],
             "arguments of a tool call at a place that is none"),
            ([{"functionCall": {"name": "ls", "partialArgs": [{"jsonPath": "$.a[7]", "boolValue": True}]}}],
             "arguments of a tool call at a place that is none"),
        ],
    )  # fmt: skip
    def test_no_calls(self, parts: list[object], because: str) -> None:
        """What cannot be run is not shown."""
        assert refusal_of(chunk(*parts, finish="STOP")) == because

    def test_no_chunks(self) -> None:
        """Neither is what is not JSON, or no object."""
        assert refusal_of(b"data: {\n\n") == "a chunk that is not JSON"
        assert refusal_of(b"data: 5\n\n") == "a chunk that is not an object"

    def test_several_chunks_in_one_frame(self) -> None:
        """A list of them is each of them."""
        assert read_all([chunk("a"), chunk("b", finish="STOP")]).text == "ab"


class TestWhole:
    """An answer that was not streamed."""

    def test_it_says_the_same(self) -> None:
        """As a stream of one chunk."""
        one = decoder()
        found = read_events(one.whole(chunk(thought("h"), "a", call(), finish="STOP")))
        assert (found.thinking, found.text, found.tools, found.stop_reason) == (
            "h",
            "a",
            [("read", {"a": 1})],
            "tool_use",
        )
        assert one.complete

    @pytest.mark.parametrize("answer", [{}, {"totalTokens": 4}, {"candidates": []}, {"choices": []}])
    def test_what_is_no_answer(self, answer: dict[str, object]) -> None:
        """It is refused."""
        with pytest.raises(StreamError):
            decoder(toolbox=TOOLS).whole(answer)
