"""What a host gave and wants to see again: its reasoning, in its own form, and the signatures of its calls."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config import Accent, Model, Switch, Thinking
from engine.config._accent import Replay
from tests.transports.chat.hosts import Body, said, sent
from tests.transports.chat.rules import faults
from transports._envelope import seal

ME, OTHER = "host/m", "other/m"
NONE = {"google": {"thought_signature": "skip_thought_signature_validator"}}


#: A model that always thinks, and wants all of it back.
THINKS = Thinking(always=True, replay=True)


def thought(text: str = "t", signature: Any = "EqQB") -> Body:
    return {"type": "thinking", "thinking": text, "signature": signature}


def text(words: str) -> Body:
    return {"type": "text", "text": words}


def use(id: str = "c1") -> Body:
    return {"type": "tool_use", "id": id, "name": "Read", "input": {}}


def result(id: str = "c1") -> Body:
    return {"type": "tool_result", "tool_use_id": id, "content": "ok"}


def answers(*messages: Any, accent: Accent, known: Thinking | None = None, wish: Body | None = None) -> list[Body]:
    """The assistant's messages, as they go out."""
    fields = {"thinking": wish or {"type": "adaptive"}}
    out = sent(said("a", *messages, **fields), accent=accent, known=Model(id="m", thinking=known))
    assert faults(out, accent) == []
    return [message for message in out["messages"] if message["role"] == "assistant"]


#: What becomes of a thought before a call, and of one before text.
FORMS: dict[str, tuple[Replay, Body, Any]] = {
    "nowhere": ("", {}, None),
    "beside, as content": ("reasoning_content", {"reasoning_content": "t"}, None),
    "beside": ("reasoning", {"reasoning": "t"}, None),
    "in parts": ("parts", {}, [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]),
    "in tags": ("tags", {}, "<think>\nt\n</think>\n\n"),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_thought_goes_back_in_the_hosts_form(name: str) -> None:
    """With the turns that call tools; whoever had the thought, and whatever it is signed with."""
    replay, fields, content = FORMS[name]
    for signature in ("EqQB", "", seal(ME), seal(OTHER, {"details": []})):
        first, last = answers((thought("t", signature), use()), [result()], (thought("t2"), text("b")), "c",
                              accent=Accent(replay=replay), known=THINKS)  # fmt: skip
        assert {k: v for k, v in first.items() if k not in ("role", "tool_calls")} == {"content": content, **fields}
        assert last == {"role": "assistant", "content": "b"}


def test_thoughts_and_text_stand_together() -> None:
    """Several thoughts are one; the text comes behind them."""
    blocks = (thought("t"), thought("u"), text("b"), use())
    assert answers(blocks, [result()], accent=Accent(replay="tags"))[0]["content"] == "<think>\nt\nu\n</think>\n\nb"
    assert answers(blocks, [result()], accent=Accent(replay="parts"), known=THINKS)[0]["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "t\nu"}]}, text("b")]  # fmt: skip


def test_parts_go_to_nobody_of_whom_nothing_is_known() -> None:
    """A host cannot refuse them by a name, so they could never be left out."""
    assert answers((thought(), text("b")), "c", accent=Accent(replay="parts"))[0]["content"] == "b"


def test_every_turn_has_its_reasoning_where_every_turn_must() -> None:
    """An empty one where there was none."""
    accent = Accent(replay="reasoning_content", replay_on="every-turn")
    found = answers((thought(), text("b")), "c", (text("d"),), "e", (use(),), [result()], accent=accent)
    assert [message["reasoning_content"] for message in found] == ["t", "", ""]


@pytest.mark.parametrize(
    ("thinking", "wish", "goes"),
    [
        (None, {"type": "adaptive"}, True),
        (Thinking(toggle=True, replay=True), {"type": "adaptive"}, True),
        (Thinking(toggle=True, replay=True), {"type": "disabled"}, False),
        (Thinking(efforts=("none", "high"), replay=True), {"type": "disabled"}, False),
        (Thinking(efforts=("low", "high"), replay=True), {"type": "disabled"}, True),
        (Thinking(always=True, replay=True), {"type": "disabled"}, True),
        (Thinking(toggle=True), {"type": "adaptive"}, False),
        (Thinking(), {"type": "adaptive"}, False),
    ],
)
def test_only_a_model_that_thinks_gets_it_back(thinking: Thinking | None, wish: Body, goes: bool) -> None:
    """And `reasoning_content` only one that is known to want it, or of which nothing is known."""
    accent = Accent(replay="reasoning_content", switch=Switch(on={"t": 1}, off={"t": 0}))
    (found,) = answers((thought(), use()), [result()], accent=accent, known=thinking, wish=wish)
    assert ("reasoning_content" in found) is goes


def test_a_model_that_never_thinks_is_shown_no_thoughts() -> None:
    """Those of others would be parts that it does not know."""
    for replay in ("parts", "tags", "reasoning"):
        accent = Accent(replay=replay)
        (found,) = answers((thought(), text("b"), use()), [result()], accent=accent, known=Thinking())
        assert found["content"] == "b"
        assert "reasoning" not in found


DETAILS = Accent(replay="reasoning_details")


STATE: Body = {
    "details": [
        {"type": "reasoning.text", "format": "f", "index": 0, "signature": "S"},
        {"type": "reasoning.encrypted", "data": "E", "index": 1},
    ]
}


class TestDetails:
    """Typed reasoning, which must come back unchanged."""

    def test_its_author_gets_it_back(self) -> None:
        """The text put in where it was taken out."""
        (found,) = answers((thought("words", seal(ME, STATE)), use()), [result()], accent=DETAILS)
        text, encrypted = STATE["details"]
        assert found["reasoning_details"] == [{**text, "text": "words"}, encrypted]

    def test_it_travels_in_redacted_thinking_too(self) -> None:
        """Where it came behind the thought."""
        blocks = (
            {"type": "redacted_thinking", "data": seal(ME, {"details": [{"type": "reasoning.encrypted"}]})},
            use(),
        )
        assert answers(blocks, [result()], accent=DETAILS)[0]["reasoning_details"] == [{"type": "reasoning.encrypted"}]

    @pytest.mark.parametrize(
        "signature",
        [seal(OTHER, STATE), seal(ME), seal("host/m.x", STATE), "EqQB", "", None, "hedgerow.host/m.!!!", seal(ME)[:-1]],
    )
    def test_nobody_else_does(self, signature: Any) -> None:
        """Another candidate, an empty envelope, one that was tampered with, a signature of somebody's."""
        (found,) = answers((thought("words", signature), use()), [result()], accent=DETAILS)
        assert "reasoning_details" not in found

    @pytest.mark.parametrize("state", [{"details": "x"}, {"details": ["x", 5]}, {"details": {}}, {"other": 1}])
    def test_what_was_changed_on_the_way_is_left_out(self, state: Body) -> None:
        """The client holds it, so it may be anything."""
        (found,) = answers((thought("words", seal(ME, state)), use()), [result()], accent=DETAILS)
        assert "reasoning_details" not in found


GEMINI = Accent(thought_signatures=True)
OWN = {"google": {"thought_signature": "S"}}


def sealed(calls: Any, author: str = ME) -> Body:
    return {"type": "redacted_thinking", "data": seal(author, {"calls": calls})}


def extras(*blocks: Body) -> list[Any]:
    ids = [block["id"] for block in blocks if block["type"] == "tool_use"]
    (found,) = answers(blocks, [result(id) for id in ids], accent=GEMINI)
    return [call.get("extra_content") for call in found["tool_calls"]]


class TestSignatures:
    """Gemini's calls carry a signature that must come back with them."""

    def test_each_comes_back_with_its_call(self) -> None:
        """Only the first of parallel calls has one."""
        assert extras(sealed({"0": OWN}), use("1"), use("2")) == [OWN, None]
        assert extras(sealed({"0": OWN, "1": {"x": 1}}), use("1"), use("2")) == [OWN, {"x": 1}]

    @pytest.mark.parametrize(
        "before",
        [[], [thought()], [sealed({"0": OWN}, OTHER)], [sealed("x")], [sealed({"x": OWN, "9": OWN, "0": "S"})]],
    )
    def test_a_call_from_elsewhere_says_that_it_has_none(self, before: list[Body]) -> None:
        """The first of a turn; the rest need none."""
        assert extras(*before, use("1"), use("2")) == [NONE, None]

    def test_turns_that_become_one_keep_theirs(self) -> None:
        """Numbers count from the envelope that names them."""
        assert extras(use("1"), sealed({"0": OWN}), use("2"), use("3")) == [None, OWN, None]

    def test_others_are_sent_none(self) -> None:
        """It is a field that they refuse."""
        (found,) = answers((sealed({"0": OWN}), use()), [result()], accent=Accent())
        assert "extra_content" not in found["tool_calls"][0]
