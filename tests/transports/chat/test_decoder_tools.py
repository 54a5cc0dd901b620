"""Tool calls out of whatever hosts on the chat wire send: gathered, checked, and shown whole behind the text.

How one call is pieced together and how its arguments are mended is tested where that is done. Here stands which calls
a client gets to see, in which order, and which ones make the answer a failure.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine import Kind
from tests.transports.chat.streams import (
    DONE,
    ONE,
    body,
    call,
    calls,
    chunk,
    decoded,
    decoder,
    frame,
    ids_of,
    kinds,
    read_all,
    read_events,
    refusal_of,
    toolbox,
)
from transports._anthropic import StreamError
from transports.chat._calls import MAX_CALLS


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
