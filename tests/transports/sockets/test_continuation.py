"""What is left to tell a host that keeps the state of a conversation."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.sockets.host import called, spoken
from transports._continuation import History, Seen


def asked(text: str = "hi") -> dict[str, Any]:
    """A message of the user."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def said(text: str = "hello") -> dict[str, Any]:
    """A message of the assistant, as history has it."""
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def call(arguments: str = '{"path":"a"}', id: str = "call_1", name: str = "Read") -> dict[str, Any]:
    """A call, as history has it."""
    return {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}


def result(text: str = "done", id: str = "call_1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": id, "output": text}


def history(*items: Any, model: str = "m") -> History:
    return History.of({"model": model, "input": list(items)})


def seen(sent: list[Any], output: list[Any], id: object = "resp_1") -> Seen | None:
    return history(*sent).answered(id, output)


THOUGHT = {"type": "reasoning", "summary": [], "encrypted_content": "x"}


@pytest.mark.parametrize(
    ("output", "back"),
    [
        ([spoken()], [said()]),
        ([spoken(" hello\n")], [said("hello")]),
        ([spoken("hel"), spoken("lo")], [said()]),
        ([called()], [call()]),
        ([called(arguments='{"a": 1, "b": [2]}')], [call('{"b":[2],"a":1}')]),
        ([called(arguments="not json")], [call("not json")]),
        ([spoken(), called(), called(call_id="call_2")], [said(), call(), call(id="call_2")]),
        ([THOUGHT, spoken(), THOUGHT, called()], [said(), THOUGHT, call()]),
        ([THOUGHT, called()], [THOUGHT, call()]),
        ([called(), THOUGHT], [call(), THOUGHT]),
    ],
)
def test_an_answer_that_came_back_is_not_sent_again(output: list[Any], back: list[Any]) -> None:
    """Whichever way it is cut, spaced or keyed; of reasoning the host has its own."""
    known = seen([asked()], output)
    assert known is not None
    assert history(asked(), *back, result()).news(known) == [result()]


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("another first message", [asked("ho"), call(), result()]),
        ("another call", [asked(), call(id="call_9"), result()]),
        ("other arguments", [asked(), call('{"path":"b"}'), result()]),
        ("another tool", [asked(), call(name="Write"), result()]),
        ("the answer left out", [asked(), result()]),
        ("something before it", [asked("x"), asked(), call(), result()]),
        ("something between", [asked(), asked("x"), call(), result()]),
        ("a text that was not said", [asked(), said("x"), call(), result()]),
        ("nothing new", [asked(), call()]),
        ("nothing new but reasoning", [asked(), call(), THOUGHT]),
        ("less than was known", [asked()]),
        ("nothing", []),
    ],
)
def test_whatever_is_no_strict_extension_is_told_in_full(name: str, items: list[Any]) -> None:
    """A fork, an edit, a compaction: the host's state is that of another conversation."""
    known = seen([asked()], [called()])
    assert known is not None
    assert history(*items).news(known) is None


def test_another_model_is_told_in_full() -> None:
    """Reasoning that one model encrypted is nothing to another."""
    known = seen([asked()], [called()])
    assert history(asked(), call(), result(), model="other").news(known) is None
    assert history(asked(), call(), result()).news(known) == [result()]


@pytest.mark.parametrize(
    ("sent", "output", "id"),
    [
        ([asked()], [called()], None),
        ([asked()], [called()], ""),
        ([asked()], [called()], 7),
        ([asked()], [], "resp_1"),
        ([asked()], [THOUGHT], "resp_1"),
        ([asked(), said("begin")], [spoken()], "resp_1"),
        ([], [spoken()], "resp_1"),
    ],
)
def test_some_answers_cannot_be_gone_on_from(sent: list[Any], output: list[Any], id: object) -> None:
    """One without a name, one without content, and one that runs together with the words before it."""
    assert seen(sent, output, id) is None


def test_a_second_turn_goes_on_from_the_first() -> None:
    """What is known grows by what was sent and what was answered."""
    first = [asked(), call(), result()]
    known = seen(first, [called(call_id="call_2")], "resp_2")
    assert known is not None
    assert history(*first, call(id="call_2"), result(id="call_2"), asked("go")).news(known) == [
        result(id="call_2"),
        asked("go"),
    ]


ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {},
            optional={
                name: inner | st.sampled_from(["message", "reasoning", "function_call", "assistant", "output_text"])
                for name in ("type", "role", "content", "text", "call_id", "name", "arguments", "x")
            },
        )
    ),
    max_leaves=8,
)
PLAIN = st.sampled_from([asked(), asked("b"), said(), said("b"), call(), call(id="call_2"), result(), THOUGHT])


@given(st.lists(PLAIN | ITEMS, max_size=6), st.lists(PLAIN | ITEMS, max_size=4), st.lists(PLAIN | ITEMS, max_size=4))
def test_news_are_always_the_end_of_the_input(sent: list[Any], output: list[Any], more: list[Any]) -> None:
    """Of any values whatever: what is not sent again has been sent or answered before, in this order."""
    known = history(*sent).answered("resp_1", output)
    whole = [*sent, *output, *more]
    news = history(*whole).news(known)
    if news is not None:
        assert news
        assert whole[len(whole) - len(news) :] == news
        assert len(whole) - len(news) >= len(sent)
        assert known is not None


@given(st.lists(PLAIN, min_size=1, max_size=8), st.lists(PLAIN, min_size=1, max_size=4), st.integers(0, 7))
def test_a_changed_item_is_noticed(sent: list[Any], output: list[Any], where: int) -> None:
    """Every item but reasoning counts."""
    known = history(*sent).answered("resp_1", output)
    changed = [*sent]
    at = where % len(sent)
    changed[at] = asked("changed")
    if known is not None and sent[at] != THOUGHT:
        assert history(*changed, *output, asked("more")).news(known) is None


def test_depth_is_no_danger() -> None:
    """An item nested deeper than is written is like nothing, not even like itself."""
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    with pytest.raises(orjson.JSONEncodeError):
        orjson.dumps(deep)
    history({"type": "x", "deep": deep}, asked())
