"""What each event of the catalogue becomes, and in which order."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine import CALLING, PROGRESS, WORKING, Kind
from tests.transports.chat.streams import kinds, read_events, signatures
from tests.transports.responses.events import (
    added,
    body,
    call,
    completed,
    created,
    decoded,
    decoder,
    delta,
    done,
    failed,
    incomplete,
    message,
    read_all,
    reasoning,
    refusal_of,
    response,
    spoken,
)
from transports._anthropic import StreamError
from transports._envelope import opened
from transports.responses._items import Speech

LS = '{"a":1}'


def blocks(*events: Any) -> list[tuple[str, str]]:
    """Type and content of each block."""
    found = read_all(*events).blocks
    return [(b["type"], str(b.get("text", b.get("thinking", b.get("input", ""))))) for b in found]


class TestTexts:
    def test_a_message_is_a_text(self) -> None:
        """Words as they come, the whole of it once."""
        found = read_all(*created(), *spoken("hello from afar"), completed())
        assert (found.text, found.stop_reason) == ("hellofromafar", "end_turn")

    def test_each_part_and_each_message_is_a_block(self) -> None:
        """A message of two parts, then another message."""
        first = [delta("output_text", "a", content_index=0), delta("output_text", "b", content_index=1)]
        second = [delta("output_text", "c", 1, "msg_2")]
        events = [*first, done(message("a", "b")), *second, done(message("c", id="msg_2"), 1), completed()]
        assert blocks(*events) == [("text", "a"), ("text", "b"), ("text", "c")]

    @pytest.mark.parametrize(
        "events",
        [
            [{"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "whole"}],
            [
                {
                    "type": "response.content_part.done",
                    "content_index": 0,
                    "part": {"type": "output_text", "text": "whole"},
                }
            ],
            [done(message("whole"))],
            [added(message()), done(message("whole"))],
            [done({"type": "message", "content": "whole"})],
        ],
    )
    def test_the_last_word_stands_in_where_nothing_came(self, events: list[Any]) -> None:
        """Of a text, a part, an item."""
        assert read_all(*events, completed()).text == "whole"

    def test_the_finished_response_stands_in_where_no_item_came(self) -> None:
        """A host that streams nothing but the ends, and one that leaves its calls out."""
        item = call(arguments=LS)
        assert read_all(*created(), completed(output=[reasoning("r"), message("whole")])).blocks[1]["text"] == "whole"
        found = read_all(*spoken("said"), completed(output=[message("said again"), item]))
        assert (found.text, found.tools, found.stop_reason) == ("said", [("read", {"a": 1})], "tool_use")

    def test_what_was_said_is_not_said_again(self) -> None:
        """Though text, part, item and response repeat it, and the item comes twice."""
        events = [*spoken("once"), done(message("once")), completed(output=[message("once")])]
        assert read_all(*events).text == "once"

    def test_a_refusal_is_a_text_that_ends_as_one(self) -> None:
        """In pieces, or only at the end."""
        pieces = [delta("refusal", "I "), delta("refusal", "cannot"), done(message("I cannot", refusal=True))]
        for events in (pieces, [done(message("I cannot", refusal=True))]):
            found = read_all(*events, completed())
            assert (found.text, found.stop_reason) == ("I cannot", "refusal")

    def test_an_annotation_is_left_out(self) -> None:
        """And so is everything else that is not known."""
        noise = [
            {"type": "response.output_text.annotation.added", "annotation": {"type": "url_citation"}},
            {"type": "response.audio.delta", "delta": "AAAA"},
            {"type": "response.web_search_call.searching", "output_index": 3},
            {"type": "response.something.new", "delta": "x", "text": "y"},
            {"type": "keepalive"},
            {},
        ]
        assert read_all(*noise, *spoken("text"), *noise, completed()).text == "text"

    def test_items_of_the_hosts_own_tools_are_left_out(self) -> None:
        """A web search, a list of tools, a shell that the host wants run: nobody asked for them."""
        own = [{"type": kind, "id": f"x_{kind}"} for kind in ("web_search_call", "mcp_list_tools", "local_shell_call")]
        events = [one for n, item in enumerate(own) for one in (added(item, n), done(item, n))]
        assert blocks(*events, *spoken("after", 3), completed(output=own)) == [("text", "after")]


class TestReasoning:
    def test_the_parts_of_a_summary_are_one_block(self) -> None:
        """With nothing between them that the host has not said."""
        parts = [delta("reasoning_summary_text", text, summary_index=n) for n, text in ((0, "a"), (0, "b"), (1, "c"))]
        events = [added(reasoning()), *parts, done(reasoning("ab", "c")), *spoken("x", 1), completed()]
        assert blocks(*events) == [("thinking", "abc"), ("text", "x")]

    def test_reasoning_is_not_told_twice(self) -> None:
        """Where a host gives a summary and the text itself, what came first counts; the end repeats both."""
        item = reasoning("short", content=[{"type": "reasoning_text", "text": "long"}])
        first = [delta("reasoning_summary_text", "short"), delta("reasoning_text", "long")]
        assert blocks(*first, done(item), *spoken("x", 1), completed())[0] == ("thinking", "short")
        assert blocks(*reversed(first), done(item), *spoken("x", 1), completed())[0] == ("thinking", "long")
        assert blocks(done(item), *spoken("x", 1), completed())[0] == ("thinking", "short")

    def test_the_encrypted_content_of_the_end_is_sealed(self) -> None:
        """That of the beginning is only the beginning of it."""
        events = [
            added(reasoning(encrypted_content="early")),
            delta("reasoning_summary_text", "thought"),
            done(reasoning("thought", encrypted_content="whole", status="completed")),
            *spoken("x", 1),
            completed(),
        ]
        (signature,) = signatures(decoded([body(*events)]))
        sealed = opened(signature)
        assert sealed is not None
        assert sealed.author == "host/m"
        assert sealed.state == {"reasoning": {"item": {"id": "rs_1", "encrypted_content": "whole"}, "summary": [7]}}

    def test_reasoning_without_a_text_is_redacted_thinking(self) -> None:
        """Where there is something to send back; else there is nothing."""
        hidden = [done(reasoning(encrypted_content="e")), *spoken("x", 1), completed()]
        assert [block["type"] for block in read_all(*hidden).blocks] == ["redacted_thinking", "text"]
        assert kinds(read_all(done(reasoning()), *spoken("x", 1), completed())) == ["text"]

    def test_an_acknowledgement_is_no_beginning_of_an_answer(self) -> None:
        """Queued, created, in progress: the host has the request, and the wait for first content goes on. An item is more."""
        one = decoder()
        assert {id(event) for payload in created() for event in one.take(payload)} == {id(WORKING)}
        assert one.take(added(reasoning())) == [PROGRESS]
        assert one.take(added(call())) == [CALLING]

    def test_hidden_reasoning_is_content(self) -> None:
        """It tells that the host has begun, and it may be all there is before a call."""
        one = decoder()
        events = one.take(done(reasoning(encrypted_content="e")))
        assert any(event.content for event in events)


class TestCalls:
    def test_a_call_is_shown_whole_when_the_answer_is_over(self) -> None:
        """Its arguments come in pieces; meanwhile there is progress and nothing else."""
        one = decoder()
        pieces = [added(call()), *(delta("function_call_arguments", text, id="fc_1") for text in ('{"a"', ":1}"))]
        before = [event for payload in [*pieces, done(call(arguments=LS))] for event in one.take(payload)]
        assert {event.kind for event in before} == {Kind.PROGRESS}
        found = read_events(before + one.take(completed()))
        assert (found.tools, found.stop_reason) == ([("read", {"a": 1})], "tool_use")
        assert found.blocks[0]["id"] == "call_fc_1_abc"

    @pytest.mark.parametrize(
        "events",
        [
            [added(call()), {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": LS}],
            [done(call(arguments=LS))],
            [done(call(arguments={"a": 1}))],
            [added(call(arguments=LS))],
            [added(call()), delta("function_call_arguments", '{"a"'), done(call(arguments=LS))],
            [added(call(arguments="{}")), delta("function_call_arguments", LS)],
        ],
        ids=["done", "item", "object", "at the beginning", "half", "placeholder"],
    )
    def test_arguments_come_from_wherever_they_are_whole(self, events: list[Any]) -> None:
        """Pieces, their end, the item's beginning or its end."""
        assert read_all(*events, completed()).tools == [("read", {"a": 1})]

    def test_a_custom_call_has_its_free_text_for_input(self) -> None:
        """In pieces or whole."""
        item = {"type": "custom_tool_call", "id": "c", "call_id": "call_custom", "name": "read", "input": "SELECT"}
        pieces = [added({**item, "input": ""}), *(delta("custom_tool_call_input", text) for text in ("SEL", "ECT"))]
        for events in ([*pieces, done(item)], [done(item)]):
            assert read_all(*events, completed()).tools == [("read", {"input": "SELECT"})]

    def test_the_order_of_reasoning_and_calls_is_kept(self) -> None:
        """What each call came of stands before it, and everything behind the first waits for the end."""
        events: list[Any] = []
        for n, name in enumerate(("read", "write")):
            thought, called = reasoning(f"why {n}", id=f"rs_{n}"), call(name, LS, f"fc_{n}")
            events += [done(thought, 2 * n), done(called, 2 * n + 1)]
        found = read_all(*events, completed())
        assert kinds(found) == ["thinking", "tool_use", "thinking", "tool_use"]
        assert found.thinking == "why 0why 1"

    def test_items_that_take_turns_are_told_one_after_the_other(self) -> None:
        """By index, whichever began first."""
        events = [added(message(id="m0"), 0), added(message(id="m1"), 1)]
        events += [
            delta("output_text", text, place, f"m{place}") for place, text in ((1, "c"), (0, "a"), (1, "d"), (0, "b"))
        ]
        events += [done(message("cd", id="m1"), 1), done(message("ab", id="m0"), 0), completed()]
        assert blocks(*events) == [("text", "ab"), ("text", "cd")]

    def test_an_index_that_stays_zero_does_not_join_items(self) -> None:
        """An item that is over is not gone on with under another id."""
        events = [delta("output_text", "a", 0, "m0"), done(message("a", id="m0")), delta("output_text", "b", 0, "m1")]
        assert blocks(*events, done(message("b", id="m1")), completed()) == [("text", "a"), ("text", "b")]

    def test_ids_that_change_with_each_event_do_not_part_an_item(self) -> None:
        """GitHub's host gives every event an id of its own."""
        events = [added(message(id="x1")), delta("output_text", "a", id="x2"), delta("output_text", "b", id="x3")]
        assert blocks(*events, done(message("ab", id="x4")), completed()) == [("text", "ab")]

    def test_arguments_that_are_no_json_fail_the_answer(self) -> None:
        """The next candidate may do better; what is certain is mended."""
        assert read_all(done(call(arguments='{"a":1,}')), completed()).tools == [("read", {"a": 1})]
        assert "not JSON" in refusal_of(done(call(arguments='{"a":"x')), completed())
        assert "without a name" in refusal_of(done(call(name="", arguments=LS)), completed())

    def test_what_waits_letter_by_letter_is_not_an_object_for_each(self) -> None:
        """Its size is bounded in characters."""
        speech = Speech(0)
        for number in range(5000):
            speech.say(0 if number < 3000 else 1, "ab")
        assert len(speech.waiting) < 20
        assert "".join(piece or "|" for piece in speech.waiting) == "ab" * 3000 + "|" + "ab" * 2000

    def test_a_call_that_was_cut_is_left_out(self) -> None:
        """Half of one, and one that the host calls incomplete; what was whole before it stays."""
        cut = call("write", '{"a":', "fc_2", status="incomplete")
        found = read_all(done(call(arguments=LS)), done(cut, 1), incomplete())
        assert (found.tools, found.stop_reason) == ([("read", {"a": 1})], "max_tokens")

    def test_a_call_that_was_cut_in_an_answer_that_was_not_fails_it(self) -> None:
        """Its arguments may be JSON, and half of what was meant."""
        cut = call("write", LS, "fc_2", status="incomplete")
        assert "not whole" in refusal_of(*spoken("a"), done(cut, 1), completed())


class TestEnds:
    @pytest.mark.parametrize(
        ("reason", "stop"), [("max_output_tokens", "max_tokens"), ("content_filter", "refusal"), (None, "max_tokens")]
    )
    def test_an_incomplete_answer_says_why(self, reason: str | None, stop: str) -> None:
        """Without a reason it is cut all the same."""
        assert read_all(*spoken("half"), incomplete(reason)).stop_reason == stop

    def test_a_status_stands_above_the_event(self) -> None:
        """An answer that is called completed and is not."""
        details = {"reason": "max_output_tokens"}
        lying = {"type": "response.completed", "response": response("incomplete", incomplete_details=details)}
        assert read_all(*spoken("half"), lying).stop_reason == "max_tokens"

    def test_of_two_words_on_an_end_the_worse_counts(self) -> None:
        """What is called incomplete by the one was not completed."""
        lying = {**incomplete(), "response": response("completed")}
        assert read_all(*spoken("half"), lying).stop_reason == "max_tokens"

    @pytest.mark.parametrize(
        ("event", "text", "code"),
        [
            (failed("context_length_exceeded", "too long"), "too long", "context_length_exceeded"),
            ({"type": "error", "code": "server_is_overloaded", "message": "busy"}, "busy", "server_is_overloaded"),
            ({"type": "error", "error": {"code": "insufficient_quota", "message": "pay"}}, "pay", "insufficient_quota"),
            ({"type": "error", "status": 429, "error": {"code": "c", "message": "slow"}}, "slow", "c"),
            ({"error": {"message": "plain", "code": "c"}}, "plain", "c"),
        ],
    )
    def test_an_error_ends_the_stream_as_one(self, event: Any, text: str, code: str) -> None:
        """Before content nothing has begun, so that another candidate can be asked; the host's object is kept."""
        one = decoder()
        events = one.feed(body(*created(), event))
        assert [e.kind for e in events if e.kind is not Kind.PROGRESS] == [Kind.ERROR]
        assert (events[-1].payload["error"]["message"], events[-1].payload["upstream"]["code"]) == (text, code)
        assert (one.began, one.ended, one.complete) == (False, True, False)

    def test_an_error_in_the_middle_leaves_the_block_open(self) -> None:
        """Nothing looks finished."""
        found = read_all(delta("output_text", "half"), failed("server_error", "broke"))
        assert found.error == {"type": "api_error", "message": "broke"}
        assert [event.kind for event in decoded([body(delta("output_text", "half"), failed("c", "broke"))])] == [
            Kind.MESSAGE_START, Kind.BLOCK_START, Kind.DELTAS, Kind.ERROR,
        ]  # fmt: skip

    @pytest.mark.parametrize("last", [[], [b"data: [DONE]\n\n"], [done(call(arguments=LS), 1)]])
    def test_a_stream_without_a_terminal_event_is_broken(self, last: list[Any]) -> None:
        """`[DONE]` is none, nor is a finished item."""
        one = decoder()
        events = one.feed(body(*spoken("text"), *last)) + one.finish()
        assert Kind.MESSAGE_STOP not in {event.kind for event in events}
        assert not one.ended
        assert not one.complete

    def test_nothing_comes_after_the_end(self) -> None:
        """Neither a second end nor a late word."""
        one = decoder()
        first = one.feed(body(*spoken("text"), completed()))
        assert one.feed(body(completed(), *spoken("more", 1))) + one.finish() == []
        assert first[-1].kind is Kind.MESSAGE_STOP
        assert (one.ended, one.settled, one.complete) == (True, True, True)

    def test_an_answer_of_nothing_is_not_complete(self) -> None:
        """It ends in the grammar, and is empty."""
        one = decoder()
        events = one.feed(body(*created(), completed()))
        assert read_events(events).faults == []
        assert not one.complete

    def test_an_event_that_comes_twice_counts_once(self) -> None:
        """Where events are numbered; a word that is said twice is said twice."""
        words = [{**delta("output_text", text), "sequence_number": n} for n, text in ((1, "a"), (2, "b"), (3, "b"))]
        assert read_all(*words[:2], words[1], words[2], completed()).text == "abb"
        still = [{**delta("output_text", "b"), "sequence_number": 0} for _ in range(3)]
        assert read_all(*still, completed()).text == "bbb"

    def test_two_events_too_deep_to_be_compared_are_two(self) -> None:
        """More can be read than Python compares."""
        deep = orjson.loads(b"[" * 1010 + b"]" * 1010)
        other = orjson.loads(b"[" * 1010 + b"]" * 1010)
        one = decoder()
        for number, odd in ((1, None), (2, deep), (2, other)):
            one.take({"type": "response.odd", "sequence_number": number, "odd": odd})
        assert read_events(one.take(delta("output_text", "a")) + one.take(completed())).text == "a"

    def test_what_is_no_event_is_refused(self) -> None:
        """A text, a list, a number."""
        for data in (b"data: {\n\n", b"data: [1,2]\n\n", b"data: 5\n\n"):
            assert refusal_of(data)
        with pytest.raises(StreamError):
            decoder().take([])  # type: ignore[arg-type]


class TestCounts:
    def test_the_parts_of_the_prompt_add_up(self) -> None:
        """Read from the cache, written to it, and the rest."""
        details = {"cached_tokens": 60, "cache_write_tokens": 30}
        usage = {"input_tokens": 100, "input_tokens_details": details, "output_tokens": 7}
        assert read_all(*spoken("x"), completed(usage=usage)).usage == {
            "input_tokens": 10,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 30,
            "output_tokens": 7,
        }

    @pytest.mark.parametrize("usage", [None, {}, {"input_tokens": None}, {"input_tokens": 0, "output_tokens": 0}, "x"])
    def test_without_counts_there_are_estimates(self, usage: Any) -> None:
        """From the first event on, and said to be ours."""
        events = decoded([body(*created(), *spoken("some words"), completed(usage=usage))], estimate=77)
        start, end = (next(e for e in events if e.kind is kind) for kind in (Kind.MESSAGE_START, Kind.MESSAGE_DELTA))
        assert start.payload["message"]["usage"]["input_tokens"] == 77
        assert (end.payload["usage"]["input_tokens"], end.payload["usage"]["output_tokens"] > 0) == (77, True)
        assert start.estimated
        assert end.estimated

    def test_the_first_event_names_the_response(self) -> None:
        """For whoever goes on from it."""
        one = decoder()
        one.take(created()[0])
        assert one.response_id == "resp_1"


class TestWhole:
    def test_a_whole_answer_says_what_a_stream_says(self) -> None:
        """All of its items, in order."""
        output = [reasoning("why", encrypted_content="e"), message("text"), call(arguments=LS)]
        found = read_events(decoder().whole(response("completed", output=output)))
        assert kinds(found) == ["thinking", "text", "tool_use"]
        assert found.stop_reason == "tool_use"

    @pytest.mark.parametrize(
        "answer", [{}, {"id": "x"}, response("in_progress"), {"choices": []}, {"status": "queued"}]
    )
    def test_what_is_no_answer_is_refused(self, answer: Any) -> None:
        """Nor one that has not ended."""
        with pytest.raises(StreamError):
            decoder().whole(answer)

    def test_a_failed_answer_is_an_error(self) -> None:
        """With the host's words."""
        (event,) = decoder().whole(response("failed", error={"code": "server_error", "message": "broke"}))
        assert (event.kind, orjson.loads(event.raw.split(b"data: ")[1])["error"]["message"]) == (Kind.ERROR, "broke")
