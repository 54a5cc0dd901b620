"""What Ollama's lines become: what streams, what a call becomes, how an answer ends and how it does not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine import Kind, StreamEvent
from engine.config import Accent
from tests.e2e.grammar import Reading
from tests.transports.chat.streams import ids_of, kinds, raw_of, read_events, signatures
from tests.transports.ollama.lines import (
    body,
    call,
    decoded,
    decoder,
    done,
    line,
    read_all,
    refusal_of,
    said,
    toolbox,
)
from transports._anthropic import MAX_WAITING_BYTES, BadArguments, StreamError
from transports._wire import failure_of
from transports.ollama._decoder import MAX_CALLS
from transports.ollama._lines import MAX_LINE_BYTES, Lines


class TestWhatIsSaid:
    """Texts, thinking and their blocks."""

    def test_text_streams_word_by_word(self) -> None:
        """Each line that comes is given out at once."""
        one = decoder()
        shown = [raw_of(one.feed(body(line(content=word)))) for word in ("one ", "two")]
        assert all(word in raw for word, raw in zip((b"one ", b"two"), shown, strict=True))

    def test_thinking_stands_before_text_and_is_signed_for_its_author(self) -> None:
        """As a block of its own."""
        events = decoded([body(line(thinking="hm"), line(thinking=" so"), line(content="yes"), done())])
        found = read_events(events)
        assert (found.thinking, found.text, kinds(found)) == ("hm so", "yes", ["thinking", "text"])
        assert signatures(events) == ["hedgerow.host/m."]

    def test_tags_of_older_models_are_thinking(self) -> None:
        """At the beginning; not where the row says that they are text."""
        lines = [line(content="<thi"), line(content="nk>hm</think>\n\nyes <think>"), done()]
        assert [(found.thinking, found.text) for found in (read_all(*lines),)] == [("hm", "yes <think>")]
        off = read_all(*lines, toolbox=toolbox(accent=Accent(think_tags="off")))
        assert (off.thinking, off.text) == ("", "<think>hm</think>\n\nyes <think>")

    def test_text_beside_the_end_is_text(self) -> None:
        """The last line may hold some."""
        assert read_all(line(content="a"), done(content="b")).text == "ab"

    @pytest.mark.parametrize("odd", [None, 3, {"a": 1}, ["x"], True])
    def test_what_is_no_text_says_nothing(self, odd: Any) -> None:
        """And costs nothing."""
        found = read_all(
            line(content=odd, thinking=odd), {"message": odd}, {"done": odd and None}, line(content="a"), done()
        )
        assert (found.text, found.thinking) == ("a", "")

    def test_nothing_but_white_space_is_no_block(self) -> None:
        """An empty answer is empty."""
        one = decoder()
        events = one.feed(body(line(content="  \n"), done()))
        assert kinds(read_events(events)) == []
        assert not one.complete


class TestCalls:
    """Whole, behind everything else, under ids of their own."""

    def test_a_call_is_a_block_and_the_stop_reason(self) -> None:
        """Although the host says `stop`."""
        found = read_all(line(content="so: "), line(tool_calls=[call("read", {"a": {"b": [1, "é"]}})]), done())
        assert (found.tools, found.stop_reason) == ([("read", {"a": {"b": [1, "é"]}})], "tool_use")
        assert kinds(found) == ["text", "tool_use"]

    def test_ids_are_made_up_and_unlike(self) -> None:
        """Those that were given and may stand are kept; one that the conversation has already is not."""
        calls = [
            call("read"),
            call("read"),
            call("ls", id="call_12345678"),
            call("ls", id="call_taken1234"),
            call("ls", id=7),
        ]
        events = decoded([body(line(tool_calls=calls), done())], taken=lambda: {"call_taken1234"}, message_id="msg_9")
        ids = ids_of(read_events(events))
        assert len(set(ids)) == 5
        assert ids[2] == "call_12345678"
        assert "call_taken1234" not in ids
        assert ids[0] == "toolu_9_0"

    def test_calls_of_several_lines_stand_in_order_behind_the_text(self) -> None:
        """Text that comes between them is text before them."""
        found = read_all(
            line(tool_calls=[call("read", {"a": 1})]), line(content="also"), line(tool_calls=[call("ls")]), done()
        )
        assert [name for name, _ in found.tools] == ["read", "ls"]
        assert kinds(found) == ["text", "tool_use", "tool_use"]

    def test_while_calls_are_gathered_there_is_progress(self) -> None:
        """The provider is not silent, though nothing is shown."""
        events = decoder().feed(body(line(tool_calls=[call("read")])))
        assert [event.kind for event in events] == [Kind.PROGRESS]

    def test_a_long_name_comes_back_under_its_own(self) -> None:
        """As it was shortened on the way out."""
        long = "mcp__server__" + "x" * 80
        box = toolbox(long)
        (sent,) = box.names
        assert len(sent) <= 64
        assert read_all(line(tool_calls=[call(sent, {"a": 1})]), done(), toolbox=box).tools == [(long, {"a": 1})]

    @pytest.mark.parametrize(("given", "shown"), [(None, {}), ({}, {}), ("", {}), ('{"a": 1}', {"a": 1}), ("null", {})])
    def test_arguments_are_an_object(self, given: Any, shown: Any) -> None:
        """Or the JSON of one, where a gateway has taken it for the other wire."""
        entry = {"function": {"name": "read", "arguments": given}}
        assert read_all(line(tool_calls=[entry]), done()).tools == [("read", shown)]

    @pytest.mark.parametrize(
        ("entry", "why"),
        [
            (call("read", [1]), "the arguments of a call of read are not an object"),
            (call("read", 3), "the arguments of a call of read are not an object"),
            (call("read", '{"a": '), "the arguments of a call of read are not JSON"),
            (call("read", "[1]"), "the arguments of a call of read are not JSON"),
            (call(""), "a tool call without a name"),
            (call(None), "a tool call without a name"),
            (call({"a": 1}), "a tool call without a name"),
            ({"function": "read"}, "a tool call without a name"),
            ("read", "a tool call without a name"),
        ],
    )
    def test_what_is_no_call_is_not_run(self, entry: Any, why: str) -> None:
        """The attempt has failed, and nothing was shown of it; where it was the call that was bad, that is said."""
        assert refusal_of(line(tool_calls=[entry]), done()) == why
        with pytest.raises(BadArguments) as caught:
            read_all(line(tool_calls=[entry]), done())
        assert failure_of(caught.value).bad_call
        assert not failure_of(StreamError("a line that is not JSON")).bad_call

    def test_arguments_that_cannot_be_written_again_are_refused(self) -> None:
        """Nested deeper than JSON is written."""
        deep = b'{"a":' * 260 + b"1" + b"}" * 260
        entry = b'{"message":{"tool_calls":[{"function":{"name":"read","arguments":%s}}]},"done":false}\n' % deep
        assert refusal_of(entry, done()) == "the arguments of a call of read are nested too deeply"

    def test_calls_without_end_are_not_gathered(self) -> None:
        """Beyond a bound."""
        one = decoder()
        many = body(line(tool_calls=[call("read", {"a": "x" * (1 << 20)})]))
        for _ in range((MAX_WAITING_BYTES >> 20) - 1):
            one.feed(many)
        with pytest.raises(StreamError, match="tool calls of more than"):
            one.feed(many * 2)

    def test_calls_of_nothing_without_end_are_not_gathered(self) -> None:
        """Each is a few bytes, and all are looked through for each."""
        one = decoder()
        one.feed(body(line(tool_calls=[call("read")] * MAX_CALLS)))
        with pytest.raises(StreamError, match="more than 128 tool calls"):
            one.feed(body(line(tool_calls=[call("read")])))


class TestEnds:
    """What ends an answer."""

    @pytest.mark.parametrize(
        ("reason", "stop"),
        [
            ("stop", "end_turn"),
            ("length", "max_tokens"),
            (None, "end_turn"),
            ("", "end_turn"),
            ("later", "end_turn"),
            (3, "end_turn"),
        ],
    )
    def test_the_reason_is_anthropics(self, reason: Any, stop: str) -> None:
        """What is not known is a natural end."""
        found = read_all(line(content="a"), done(reason))
        assert (found.stop_reason, found.text) == (stop, "a")

    def test_a_length_limit_stands_beside_whole_calls(self) -> None:
        """They are whole, and the client should know that more was to come."""
        found = read_all(line(tool_calls=[call("read", {"a": 1})]), done("length"))
        assert (found.tools, found.stop_reason) == ([("read", {"a": 1})], "max_tokens")

    @pytest.mark.parametrize("reason", ["load", "unload"])
    def test_a_model_that_was_loaded_has_not_answered(self, reason: str) -> None:
        """Nor has one that was put away; behind an answer it is nothing but its end."""
        assert refusal_of(done(reason)) == f"no answer: the model was {reason}ed"
        assert read_all(line(content="a"), done(reason)).stop_reason == "end_turn"

    def test_without_done_it_is_broken(self) -> None:
        """Wherever it breaks off, in a line or between two."""
        sent = body(line(content="a"), line(tool_calls=[call("read")]), done())
        for end in range(len(sent) - 2):
            one = decoder()
            events = [*one.feed(sent[:end]), *one.finish()]
            assert not {event.kind for event in events} & {Kind.MESSAGE_DELTA, Kind.MESSAGE_STOP}
            assert (one.complete, one.ended, one.settled) == (False, False, False)

    def test_the_last_line_needs_no_end(self) -> None:
        """Blank lines and carriage returns do not matter either."""
        sent = body(b"\n", line(content="a"), b"\r\n \n", done()).rstrip()
        events = decoded([sent])
        assert (read_events(events).text, events[-1].kind) == ("a", Kind.MESSAGE_STOP)

    def test_what_comes_behind_the_end_is_nothing(self) -> None:
        """Not even where it is no JSON."""
        one = decoder()
        events = [
            *one.feed(body(line(content="a"), done(), line(content="b"), b"<html>\n")),
            *one.feed(b"x\n"),
            *one.finish(),
        ]
        assert read_events(events).text == "a"
        assert (one.complete, one.ended, one.settled) == (True, True, True)

    def test_an_empty_answer_is_clean_and_not_complete(self) -> None:
        """The engine asks the next candidate."""
        one = decoder()
        found = read_events(one.feed(body(done())))
        assert (found.faults, found.blocks, one.complete) == ([], [], False)


class TestCounts:
    """`prompt_eval_count` and `eval_count`, which come at the end."""

    def test_the_head_has_our_estimate_and_the_end_the_hosts_count(self) -> None:
        """Never a zero, which would break the client's meter."""
        events = decoded([body(line(content="a"), done(prompt=7, output=3))], estimate=99)
        head, end = events[0], events[-2]
        assert (head.payload["message"]["usage"]["input_tokens"], head.estimated) == (99, True)
        assert (end.payload["usage"]["input_tokens"], end.payload["usage"]["output_tokens"]) == (7, 3)
        assert end.estimated is False

    @pytest.mark.parametrize("odd", [None, 0, -1, "7", True, 1e300, {}])
    def test_a_prompt_from_the_cache_is_estimated_and_marked(self, odd: Any) -> None:
        """The host counts only what it has read; what is no count is none."""
        events = decoded([body(line(content="a"), done(prompt=odd))], estimate=99)
        assert (events[-2].payload["usage"]["input_tokens"], events[-2].estimated) == (99, True)

    def test_an_answer_that_is_not_counted_is_estimated(self) -> None:
        """By its length."""
        events = decoded([body(line(content="a" * 40), done(output=None))])
        assert (events[-2].payload["usage"]["output_tokens"], events[-2].estimated) == (10, True)


class TestFailures:
    """A line with an error in it, under status 200."""

    @pytest.mark.parametrize(
        ("error", "text", "upstream"),
        [
            ({"error": "boom"}, "boom", {"message": "boom"}),
            ({"error": {"message": "boom", "code": "x"}}, "boom", {"message": "boom", "code": "x"}),
            ({"error": "busy", "status_code": 503}, "busy", {"message": "busy", "status_code": 503}),
            ({"error": "busy", "StatusCode": 429}, "busy", {"message": "busy", "status_code": 429}),
            ({"error": {"x": 1}}, "an error without a text", {"message": "an error without a text"}),
            ({"error": 7}, "an error without a text", {"message": "an error without a text"}),
        ],
    )
    def test_it_ends_the_answer(self, error: Any, text: str, upstream: Any) -> None:
        """With the host's words for the client and all of it for those who judge."""
        one = decoder()
        events = [*one.feed(body(line(content="a"), error, line(content="b"), done())), *one.finish()]
        found = read_events(events)
        assert found.error == {"type": "api_error", "message": text}
        assert (found.text, one.complete) == ("a", False)
        assert Kind.BLOCK_STOP not in {event.kind for event in events}  # nothing looks finished
        assert events[-1].payload["upstream"] == upstream

    @pytest.mark.parametrize("nothing", [None, "", {}, False, 0])
    def test_no_error_is_none(self, nothing: Any) -> None:
        """Some gateways send the field with each line."""
        assert read_all({**line(content="a"), "error": nothing}, {**done(), "error": nothing}).text == "a"

    @pytest.mark.parametrize(
        ("bad", "why"),
        [
            (b"<html>\n", "a line that is not JSON"),
            (b"data: {}\n", "a line that is not JSON"),
            (b"\xff\xfe\n", "a line that is not JSON"),
            (b"[1]\n", "a line that is not an object"),
            (b"null\n", "a line that is not an object"),
        ],
    )
    def test_what_is_no_line_is_refused(self, bad: bytes, why: str) -> None:
        """A portal's page, another wire, half of something."""
        assert refusal_of(line(content="a"), bad, done()) == why


class TestWhole:
    """An answer given whole."""

    def whole(self, answer: Any) -> tuple[Reading, list[StreamEvent], bool]:
        one = decoder()
        events = one.whole(answer)
        return read_events(events), events, one.complete

    def test_it_says_the_same(self) -> None:
        """Thinking, text, calls, counts."""
        answer = done(thinking="hm", content="yes", tool_calls=[call("read", {"a": 1})])
        found, _, complete = self.whole(answer)
        assert (found.thinking, found.text, found.tools) == ("hm", "yes", [("read", {"a": 1})])
        assert (found.stop_reason, found.usage["input_tokens"], complete) == ("tool_use", 10, True)

    def test_one_without_a_word_on_its_end_is_over(self) -> None:
        """There is nothing more of it."""
        assert self.whole({"message": said(content="a")})[0].text == "a"

    @pytest.mark.parametrize("answer", [{}, {"message": "x"}, {"choices": []}, {"done": True}, line(content="a")])
    def test_what_is_no_answer_is_refused(self, answer: Any) -> None:
        """Nor is a single line of a stream."""
        with pytest.raises(StreamError, match="a JSON answer that is not"):
            self.whole(answer)

    def test_an_error_is_one(self) -> None:
        """Whatever stands beside it."""
        _, events, complete = self.whole({"error": "boom"})
        assert ([event.kind for event in events], complete) == ([Kind.ERROR], False)


class TestLines:
    """Bytes to lines."""

    def test_a_line_has_a_largest_size(self) -> None:
        """One without an end is not waited for."""
        lines = Lines(max_line_bytes=1 << 20)
        assert lines.feed(b"x" * (1 << 20)) == []
        with pytest.raises(StreamError, match="a line of more than 1 MiB"):
            lines.feed(b"x")
        assert MAX_LINE_BYTES == 16 << 20

    def test_only_a_line_feed_ends_a_line(self) -> None:
        """U+2028 and a carriage return are text."""
        text = orjson.dumps(line(content="a\u2028b\x85c"))
        lines = Lines()
        assert lines.feed(text + b"\n" + text[:5]) == [text]
        assert lines.finish() == text[:5]
        assert lines.finish() == b""
