"""Calls put together from fragments, in every way in which hosts are known to break them up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.transports.chat.streams import call
from transports.chat._calls import MAX_CALLS, MAX_NAME, BadCalls, Calls

KNOWN = frozenset(["read", "read_file", "write", "ls", "go", "gogo"])


def put_together(*deltas: Any) -> Calls:
    """The calls of these deltas; each is one entry or a list of them."""
    calls = Calls(KNOWN)
    for delta in deltas:
        calls.take(delta if isinstance(delta, list) else [delta])
    return calls


def made(*deltas: Any) -> list[tuple[str, str]]:
    return [(one.name, one.arguments) for one in put_together(*deltas).finished()]


ONE = '{"a":1}'
TWO = '{"b":2}'

#: What a host sends, and the calls it means.
MEANINGS: dict[str, tuple[list[Any], list[tuple[str, str]]]] = {
    "as described": (
        [call("", name="read", id="call_one", index=0), call('{"a"', index=0), call(":1}", index=0)],
        [("read", ONE)],
    ),
    "two, one after the other": (
        [call("", name="read", id="call_one", index=0), call(ONE, index=0),
         call("", name="ls", id="call_two", index=1), call(TWO, index=1)],
        [("read", ONE), ("ls", TWO)],
    ),
    "two, taking turns": (
        [call(name="read", id="call_one", index=0), call(name="ls", id="call_two", index=1), call('{"a"', index=0),
         call('{"b"', index=1), call(":1}", index=0), call(":2}", index=1)],
        [("read", ONE), ("ls", TWO)],
    ),
    "two, taking turns by id": (
        [call(name="read", id="call_one"), call(name="ls", id="call_two"), call('{"a"', id="call_one"),
         call('{"b"', id="call_two"), call(":1}", id="call_one"), call(":2}", id="call_two")],
        [("read", ONE), ("ls", TWO)],
    ),
    "two in one delta": (
        [[call(ONE, name="read", id="call_one", index=0), call(TWO, name="ls", id="call_two", index=1)]],
        [("read", ONE), ("ls", TWO)],
    ),
    "two in one delta, without anything": ([[call(ONE, name="read"), call(TWO, name="read")]], [("read", ONE), ("read", TWO)]),
    "two in one delta, both 0, empty": (
        [[call("", name="read", index=0), call("", name="read", index=0)]], [("read", ""), ("read", "")],
    ),
    "index always 0, ids that differ": (
        [call(ONE, name="read", id="call_one", index=0), call(TWO, name="ls", id="call_two", index=0)],
        [("read", ONE), ("ls", TWO)],
    ),
    "index always 0, names late": (
        [call("{}", id="call_one", index=0, name="ls"), call(id="call_two", index=0), call(name="read", index=0),
         call(ONE, index=0)],
        [("ls", "{}"), ("read", ONE)],
    ),
    "index always 0, no ids": (
        [call(ONE, name="read", index=0), call(TWO, name="read", index=0), call("", name="ls", index=0)],
        [("read", ONE), ("read", TWO), ("ls", "")],
    ),
    "index always 0, no ids, no arguments": (
        [call("", name="read", index=0), call("", name="ls", index=0)], [("read", ""), ("ls", "")],
    ),
    "sparse indexes": (
        [call(ONE, name="read", id="call_one", index=3), call(TWO, name="ls", id="call_two", index=7)],
        [("read", ONE), ("ls", TWO)],
    ),
    "indexes as texts": (
        [call(name="read", index="0"), call(name="ls", index="1"), call(ONE, index="0"), call(TWO, index="1")],
        [("read", ONE), ("ls", TWO)],
    ),
    "index in the first fragment alone": (
        [call("", name="read", id="call_one", index=0), call('{"a"'), call(":1}"), call("", name="ls", index=1), call(TWO)],
        [("read", ONE), ("ls", TWO)],
    ),
    "index from the second fragment on": (
        [call("", name="read", id="call_one"), call('{"a"', index=0), call(":1}", index=0)], [("read", ONE)],
    ),
    "neither index nor id": (
        [call('{"a"', name="read"), call(":1}"), call('{"b"', name="ls"), call(":2}")], [("read", ONE), ("ls", TWO)],
    ),
    "neither, and one tool twice without arguments": (
        [call("{}", name="read"), call({}, name="read"), call("{}", name="read")], [("read", "{}")] * 3,
    ),
    "neither, and one tool twice": (
        [call(ONE, name="read"), call("", name="read"), call('{"b"'), call(":2}"), call("", name="read")],
        [("read", ONE), ("read", TWO)],
    ),
    "neither, and no arguments": ([call(name="read"), call(name="ls"), call("", name="write")],
                                  [("read", ""), ("ls", ""), ("write", "")]),
    "whole calls with ids": (
        [call(ONE, name="read", id="call_one"), call(TWO, name="ls", id="call_two")], [("read", ONE), ("ls", TWO)],
    ),
    "whole calls under one id": (
        [call(ONE, name="read", id="call"), call(TWO, name="ls", id="call")], [("read", ONE), ("ls", TWO)],
    ),
    "one id, two indexes": (
        [call(ONE, name="read", id="call", index=0), call(TWO, name="ls", id="call", index=1)],
        [("read", ONE), ("ls", TWO)],
    ),
    "id late": (
        [call('{"a"', name="read", index=0), call(":1}", id="call_one", index=0)], [("read", ONE)],
    ),
    "id late, no index": ([call('{"a"', name="read"), call(":1}", id="call_one")], [("read", ONE)]),
    "another id with each fragment": (
        [call("", name="read", id="call_one", index=0), call('{"a"', id="call_two", index=0),
         call(":1}", id="call_three", index=0)],
        [("read", ONE)],
    ),
    "another id with each fragment, no index": (
        [call('{"a"', name="read", id="call_one"), call(":", id="call_two"), call("1}", id="call_three")], [("read", ONE)],
    ),
    "arguments before the name": (
        [call('{"a"', id="call_one", index=0), call(":1}", index=0), call(name="read", index=0)], [("read", ONE)],
    ),
    "name empty later on": (
        [call("", name="read", index=0), call('{"a"', name="", index=0), call(":1}", name="", index=0)], [("read", ONE)],
    ),
    "name again with each fragment": (
        [call("", name="read", id="call_one", index=0), call('{"a"', name="read", id="call_one", index=0),
         call(":1}", name="read", id="call_one", index=0), call("", name="read", id="call_one", index=0)],
        [("read", ONE)],
    ),
    "name again with each fragment, without anything": (
        [call("", name="read"), call('{"a"', name="read"), call(":1}", name="read"), call("", name="read")],
        [("read", ONE)],
    ),
    "name in pieces": (
        [call(name="re", index=0), call(name="ad", index=0), call(name="_file", index=0), call(ONE, index=0)],
        [("read_file", ONE)],
    ),
    "name in pieces, no index": ([call(name="re"), call(name="ad"), call(ONE)], [("read", ONE)]),
    "name in pieces that are alike": ([call(name="go", index=0), call(ONE, index=0)], [("go", ONE)]),
    "name that grows": (
        [call(name="r", index=0), call(name="rea", index=0), call(name="read", index=0), call(ONE, name="read", index=0)],
        [("read", ONE)],
    ),
    "unknown name in pieces": ([call(name="dr", index=0), call(name="aw", index=0), call(ONE, index=0)], [("draw", ONE)]),
    "unknown name again": ([call(name="draw", index=0), call(ONE, name="draw", index=0)], [("draw", ONE)]),
    "arguments as an object": ([call({"a": 1}, name="read", index=0)], [("read", ONE)]),
    "an empty object, then the arguments": (
        [call({}, name="read", index=0), call('{"a"', index=0), call(":1}", index=0)], [("read", ONE)],
    ),
    "empty braces, then the arguments": (
        [call("{}", name="read", index=0), call('{"a"', index=0), call(":1}", index=0)], [("read", ONE)],
    ),
    "the arguments, then an empty object": (
        [call('{"a":1}', name="read", index=0), call({}, index=0)], [("read", ONE)],
    ),
    "all of it once more at the end": (
        [call("", name="read", id="call_one", index=0), call('{"a"', index=0), call(":1}", index=0),
         call(ONE, name="read", id="call_one", index=0)],
        [("read", ONE)],
    ),
    "the arguments once more at the end": (
        [call("", name="read", index=0), call('{"a"', index=0), call(":1}", index=0), call(ONE, index=0)],
        [("read", ONE)],
    ),
    "null arguments": (
        [{"index": 0, "function": {"name": "read", "arguments": None}}, call(ONE, index=0)], [("read", ONE)],
    ),
    "a flat entry": ([{"index": 0, "name": "read", "arguments": ONE}], [("read", ONE)]),
    "an entry of nothing": ([{"index": 0}, {}, call(ONE, name="read", index=0)], [("read", ONE)]),
    "an entry of an id": ([call(id="call_one", index=0)], []),
    "a custom call": (
        [{"index": 0, "id": "call_one", "type": "custom", "custom": {"name": "ls", "input": "a "}},
         {"index": 0, "custom": {"input": 'b"'}}, {"index": 0, "custom": {"input": 'b"'}}],
        [("ls", '{"input":"a b\\"b\\""}')],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MEANINGS)
def test_a_host_means_its_calls(case: str) -> None:
    """Names, arguments, order; nothing lost and nothing run together."""
    deltas, meant = MEANINGS[case]
    assert made(*deltas) == meant


@pytest.mark.parametrize("pieces", [["go", "go"], ["gog", "o"], ["g", "o", "g", "o"]])
def test_a_known_name_settles_what_is_a_repetition(pieces: list[str]) -> None:
    """`go` twice is `go` where there is such a tool, and `gogo` where there is only that."""
    calls = Calls(frozenset(["gogo"]))
    for piece in pieces:
        calls.take([call(name=piece, index=0)])
    assert calls.made[0].name == "gogo"
    assert made(call(name="go", index=0), call(name="go", index=0)) == [("go", "")]


@pytest.mark.parametrize("id", [7, 0, -1, True, 1.5, None, [], {}])
def test_ids_of_any_type(id: Any) -> None:
    """A number is an id, if none that goes out; whatever else is none."""
    (one,) = put_together({"index": 0, "id": id, "function": {"name": "read", "arguments": ONE}}).finished()
    assert one.id == (str(id) if type(id) is int else "")


@pytest.mark.parametrize("wrong", [[], "x", 7, {"name": 7}, {"name": ["read"]}, {"arguments": 7}, {"arguments": [1]}])
@pytest.mark.parametrize("index", [0, None, "x", True, 1.0, [], -1])
def test_fields_of_other_types_are_nothing(wrong: Any, index: Any) -> None:
    """They belong to no call, and raise nothing."""
    assert put_together({"index": index, "function": wrong}).finished() == []


class TestBounds:
    """What a host may cost."""

    def test_calls_are_counted(self) -> None:
        """One more than there can be is no answer."""
        entries = [call(ONE, name="read", index=at) for at in range(MAX_CALLS + 1)]
        assert len(put_together(*entries[:-1]).made) == MAX_CALLS
        with pytest.raises(BadCalls):
            put_together(*entries)

    def test_names_have_a_length(self) -> None:
        """However they come."""
        with pytest.raises(BadCalls):
            put_together(call(name="x" * (MAX_NAME + 1)))
        with pytest.raises(BadCalls):
            put_together(*[call(name=f"x{at}", index=0) for at in range(MAX_NAME)])

    def test_depth_is_refused(self) -> None:
        """An object that could not be written again."""
        deep: Any = {}
        for _ in range(300):
            deep = {"a": deep}
        with pytest.raises(BadCalls):
            put_together(call(deep, name="read"))
        with pytest.raises(BadCalls):
            put_together({**call(ONE, name="read"), "extra_content": deep})

    def test_everything_that_is_kept_counts(self) -> None:
        """Arguments in pieces and as objects, ids, and what comes with a call."""
        entry = {**call(ONE, name="read", id="call_one"), "extra_content": {"x": "y"}}
        assert put_together(entry).size == len(ONE) + len("call_one") + len('{"x":"y"}')
        assert put_together(call({"a": 1}, name="read")).size == len(ONE)

    @pytest.mark.parametrize(
        "fragment",
        [call("x", index=0), call("x"), call("}", name="read"), call('"', name="read", index=0),
         call("x", id="call_one"), call("}", name="read", id="call_one")],
    )  # fmt: skip
    def test_fragments_in_any_number_make_no_more_calls_than_there_may_be(self, fragment: dict[str, Any]) -> None:
        """Each is looked at once."""
        calls = put_together(call('{"a":"', name="read", id="call_one", index=0))
        try:
            for _ in range(20_000):
                calls.take([fragment])
        except BadCalls:
            pass
        assert len(calls.made) <= MAX_CALLS

    def test_another_id_with_each_of_many_fragments(self) -> None:
        """It is the same call, and is not read again from its beginning each time."""
        calls = put_together(call('{"a":"', name="read", id="call_one", index=0))
        for number in range(20_000):
            calls.take([call("x", id=f"call_{number}", index=0)])
        assert len(calls.made) == 1


class TestIds:
    """The id of a call."""

    def test_one_that_changed_says_nothing(self) -> None:
        """Which of them would the host know?"""
        calls = put_together(call("{", name="read", id="call_one1", index=0), call("}", id="call_two2", index=0))
        assert [one.renamed for one in calls.made] == [True]
