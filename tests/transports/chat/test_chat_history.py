"""Conversations: what may follow what, where a chat host is stricter than what Claude Code sends."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from engine.config import Accent, Model
from policies import Capabilities
from tests.transports.asks import body
from tests.transports.chat.hosts import Body, said, sent
from tests.transports.chat.rules import faults

GONE = "(interrupted: there is no result)"
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}


def text(words: str) -> Body:
    return {"type": "text", "text": words}


def use(id: Any, name: str = "Read", **given: Any) -> Body:
    return {"type": "tool_use", "id": id, "name": name, "input": given}


def result(id: Any, content: Any = "ok", **more: Any) -> Body:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


def system(content: Any) -> Body:
    return {"role": "system", "content": content}


def call(id: str, name: str = "Read", arguments: str = "{}") -> Body:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*of: Body, content: Any = None) -> Body:
    return {"role": "assistant", "content": content, "tool_calls": list(of)}


def tool(id: str, content: str = "ok") -> Body:
    return {"role": "tool", "tool_call_id": id, "content": content}


def user(content: Any) -> Body:
    return {"role": "user", "content": content}


def answer(content: Any) -> Body:
    return {"role": "assistant", "content": content}


def chat(*messages: Any, accent: Accent | None = None, known: Model | None = None) -> list[Body]:
    """The messages that go out, by the rules of a strict host."""
    out = sent(said(*messages), accent=accent, known=known)
    assert faults(out, accent or Accent()) == []
    found: list[Body] = out["messages"]
    return found


#: What is sent, and what becomes of it.
TURNS: dict[str, tuple[tuple[Any, ...], list[Body]]] = {
    "a text": (("hi",), [user("hi")]),
    "texts of one message are one": (([text("a"), text("b")],), [user("a\n\nb")]),
    "users in a row are one": (("a", "b", [text("c")]), [user("a\n\nb\n\nc")]),
    "answers in a row are one": (("a", (text("b"),), (text("c"),), "d"), [user("a"), answer("b\n\nc"), user("d")]),
    "a system entry is the user's": (("a", system("b")), [user("a\n\nb")]),
    "a system entry at the beginning": ((system([text("a")]), "b"), [user("a\n\nb")]),
    "a system entry between": ((system("a"), (text("b"),), system("c")), [user("a"), answer("b"), user("c")]),
    "an empty system entry": (("a", (text("b"),), system([]), system(""), "c"), [user("a"), answer("b"), user("c")]),
    "an entry of a role to come": ((({"role": "later", "content": "a"}), "b"), [user("a\n\nb")]),
    "blank texts are nothing": (([text(" "), text("a"), text("\n")],), [user("a")]),
    "a blank answer is no turn": (("a", (text(" "),), "b"), [user("a\n\nb")]),
    "nothing at all": (("", [text(" ")], system([])), [user("…")]),
    "thinking alone is no turn": (("a", ({"type": "thinking", "thinking": "t"},), "b"), [user("a\n\nb")]),
    "what only Anthropic reads is no turn": (("a", ({"type": "container_upload", "file_id": "f"},), "b"), [user("a\n\nb")]),
    "an answer without a question": (((text("a"),), "b"), [user("(the conversation begins with an answer)"), answer("a"),
        user("b")]),
    "a call and its result": (("a", (use("t1", path="x"),), [result("t1")]), [
        user("a"), calls(call("t1", arguments='{"path":"x"}')), tool("t1")]),
    "an answer with a call": (("a", (text("b"), use("t1")), [result("t1")]), [
        user("a"), calls(call("t1"), content="b"), tool("t1")]),
    "text behind a call stands before it": (("a", (text("b"), use("t1"), text("c")), [result("t1")]), [
        user("a"), calls(call("t1"), content="b\n\nc"), tool("t1")]),
    "results before text": (("a", (use("t1"),), [text("b"), result("t1"), text("c")]), [
        user("a"), calls(call("t1")), tool("t1"), user("b\n\nc")]),
    "a system entry behind a result": (("a", (use("t1"),), [result("t1")], system("typed")), [
        user("a"), calls(call("t1")), tool("t1"), user("typed")]),
    "a system entry before a result": (("a", (use("t1"),), system("typed"), [result("t1")]), [
        user("a"), calls(call("t1")), tool("t1"), user("typed")]),
    "results in the order of the calls": (("a", (use("t1"), use("t2"), use("t3")), [
        result("t3", "3"), result("t1", "1")], [result("t2", "2")]), [
        user("a"), calls(call("t1"), call("t2"), call("t3")), tool("t1", "1"), tool("t2", "2"), tool("t3", "3")]),
    "a missing result": (("a", (use("t1"), use("t2")), [result("t2")], "b"), [
        user("a"), calls(call("t1"), call("t2")), tool("t1", GONE), tool("t2"), user("b")]),
    "a call that was the last": (("a", (use("t1"),)), [user("a"), calls(call("t1")), tool("t1", GONE)]),
    "calls of two messages": (("a", (use("t1"),), (use("t2"),), [result("t2", "2"), result("t1", "1")]), [
        user("a"), calls(call("t1"), call("t2")), tool("t1", "1"), tool("t2", "2")]),
    "an orphan": (([result("t9", "old"), text("a")],), [user("[result of an earlier tool call]\nold\n\na")]),
    "a result that comes too late": (("a", (use("t1"),), "b", (text("c"),), [result("t1", "late")]), [
        user("a"), calls(call("t1")), tool("t1", GONE), user("b"), answer("c"),
        user("[result of an earlier tool call]\nlate")]),
    "a second result of one call": (("a", (use("t1"),), [result("t1", "1"), result("t1", "2")]), [
        user("a"), calls(call("t1")), tool("t1", "1"), user("[result of an earlier tool call]\n2")]),
    "an id used again later": (("a", (use("t1"),), [result("t1", "1")], (use("t1"),), [result("t1", "2")]), [
        user("a"), calls(call("t1")), tool("t1", "1"), calls(call("t1")), tool("t1", "2")]),
    "an error": (("a", (use("t1"), use("t2"), use("t3")), [
        result("t1", "boom", is_error=True), result("t2", "Error: x", is_error=True), result("t3", [], is_error=True)]), [
        user("a"), calls(call("t1"), call("t2"), call("t3")), tool("t1", "Error: boom"), tool("t2", "Error: x"),
        tool("t3", "Error: (no output)")]),
    "results of nothing": (("a", (use("1"), use("2"), use("3"), use("4")), [
        result("1", ""), result("2", []), result("3", None), {"type": "tool_result", "tool_use_id": "4"}]), [
        user("a"), calls(call("1"), call("2"), call("3"), call("4")), *(tool(str(n), "(no output)") for n in range(1, 5))]),
    "a result of blocks": (("a", (use("t1"),), [result("t1", [
        text("b"), {"type": "tool_reference", "tool_name": "Grep"}, text(" "), {"type": "later", "n": 1}])]), [
        user("a"), calls(call("t1")), tool("t1", 'b\n[tool available: Grep]\n[later] {"n":1}')]),
    "a result of one block": (("a", (use("t1"),), [result("t1", text("b"))]), [user("a"), calls(call("t1")), tool("t1", "b")]),
    "pictures in results": (("a", (use("t1"), use("t2")), [
        result("t2", [text("b"), PICTURE]), text("c"), result("t1", [PICTURE, PICTURE])]), [
        user("a"), calls(call("t1"), call("t2")),
        tool("t1", "[image 1 of result 1, shown below]\n[image 2 of result 1, shown below]"),
        tool("t2", "b\n[image 1 of result 2, shown below]"),
        user([text("[what tool result 1 shows]"), SHOWN, SHOWN, text("[what tool result 2 shows]"), SHOWN, text("c")])]),
    "a picture in an orphan": (([result("t1", [PICTURE])],), [user([
        text("[result of an earlier tool call]\n[image 1 of result 1, shown below]"), SHOWN])]),
    "a document in a result": (("a", (use("t1"),), [result("t1", [
        {"type": "document", "title": "T", "source": {"type": "text", "data": "words"}}])]), [
        user("a"), calls(call("t1")), tool("t1", "[document 'T']\nwords")]),
    "no object for input": (("a", ({"type": "tool_use", "id": "t", "name": "Read", "input": [1]},), [result("t")]), [
        user("a"), calls(call("t", arguments='{"value":[1]}')), tool("t")]),
    "a picture of the assistant's": (("a", (PICTURE,), "b"), [user("a"), answer("[an image stood here]"), user("b")]),
    "a server's tool": (("a", ({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},), "b"), [
        user("a"), answer("[searched the web for: q]"), user("b")]),
}  # fmt: skip


@pytest.mark.parametrize("name", TURNS)
def test_a_conversation_goes_out_in_turns(name: str) -> None:
    """Each call answered right behind it, nothing else between, and nothing lost."""
    messages, out = TURNS[name]
    assert chat(*messages) == out


def test_two_calls_of_one_id_have_a_result_each() -> None:
    """In the order in which they came; on the wire their ids differ, however the client's look."""
    for ids in (["t", "t"], ["t#1", "t", "t"], ["t", "t", "t#1"], ["", "", ""]):
        results = [result(id, f"r{n}") for n, id in enumerate(ids)]
        _, made, *answers = chat("a", tuple(use(id) for id in ids), results)
        assert [one["tool_call_id"] for one in answers] == [one["id"] for one in made["tool_calls"]]
        expected = [f"r{n}" for n in range(len(ids))]
        assert [one["content"] for one in answers if one["role"] == "tool"] == expected


class TestIds:
    """The form of a call's id, the same for the call and its result, and the same every time."""

    @pytest.mark.parametrize("id", ["toolu_01AbC", "x" * 40, "a-b_c"])
    def test_a_usual_id_stays(self, id: str) -> None:
        """So that the host's cache meets what it has seen."""
        assert chat("a", (use(id),), [result(id)])[-1]["tool_call_id"] == id

    @pytest.mark.parametrize("id", ["x" * 41, "fc_1|call_2", "é", "", "functions.Read:0", 7])
    def test_another_becomes_one(self, id: Any) -> None:
        """Always the same."""
        found = chat("a", (use(id),), [result(id)])[-1]["tool_call_id"]
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", found)
        assert found == chat("b", (use(id),), [result(id)])[-1]["tool_call_id"]

    def test_nine_letters_and_digits(self) -> None:
        """Mistral's own, of which two ids give two."""
        accent = Accent(tool_ids="alnum9")
        _, made, first, second = chat("a", (use("t1"), use("t2")), [result("t2"), result("t1")], accent=accent)
        assert [one["id"] for one in made["tool_calls"]] == [first["tool_call_id"], second["tool_call_id"]]
        assert first["tool_call_id"] != second["tool_call_id"]
        assert re.fullmatch(r"[a-zA-Z0-9]{9}", first["tool_call_id"])
        assert chat("z", (use("t2"),), [result("t2")], accent=accent)[-1]["tool_call_id"] == second["tool_call_id"]

    def test_a_name_and_a_number(self) -> None:
        """Kimi's, counted over the whole conversation."""
        out = chat("a", (use("1"), use("2", "Bash")), [result("1"), result("2")], (use("3"),), [result("3")],
                   accent=Accent(tool_ids="kimi"))  # fmt: skip
        ids = [m["tool_call_id"] for m in out if m["role"] == "tool"]
        assert ids == ["functions.Read:0", "functions.Bash:1", "functions.Read:2"]


class TestAccents:
    """What hosts want otherwise."""

    def test_text_behind_results_belongs_to_the_last(self) -> None:
        """Where a user's word would end the model's chain of thought; a picture cannot be folded."""
        accent = Accent(text_after_results="fold")
        messages = ("a", (use("t1"), use("t2")), [text("b"), result("t1"), result("t2"), PICTURE], system("c"))
        assert chat(*messages, accent=accent)[2:] == [tool("t1"), tool("t2", "ok\n\nb\n\nc"), user([SHOWN])]
        assert chat("a", (text("b"),), "c", accent=accent)[2:] == [user("c")]

    def test_a_short_answer_goes_between_a_tool_and_the_user(self) -> None:
        """And nowhere else."""
        accent = Accent(bridge=True)
        out = chat("a", (use("t1"),), [result("t1"), text("b")], (use("t2"),), [result("t2")], accent=accent)
        assert [m["role"] for m in out] == ["user", "assistant", "tool", "assistant", "user", "assistant", "tool"]
        assert out[3] == answer("Understood.")

    def test_content_is_null_or_empty(self) -> None:
        """Beside calls alone."""
        assert chat("a", (use("t1"),))[1]["content"] is None
        assert chat("a", (use("t1"),), accent=Accent(null_content=False))[1]["content"] == ""

    @pytest.mark.parametrize(
        ("accent", "end"),
        [
            (
                Accent(),
                [answer("b"), user("Continue exactly where your last message stopped. Do not repeat any of it.")],
            ),
            (Accent(prefill="keep"), [answer("b")]),
            (Accent(prefill="prefix"), [{**answer("b"), "prefix": True}]),
            (Accent(prefill="partial"), [{**answer("b"), "partial": True}]),
        ],
    )
    def test_an_answer_at_the_end_is_to_be_continued(self, accent: Accent, end: list[Body]) -> None:
        """By a flag, by an instruction, or because the host does so anyway."""
        assert chat("a", (text("b"),), accent=accent)[1:] == end

    def test_a_flag_is_only_for_the_end(self) -> None:
        """Not for answers that were complete, nor for calls."""
        accent = Accent(prefill="prefix")
        assert chat("a", (text("b"),), "c", accent=accent)[1] == answer("b")
        assert "prefix" not in orjson.dumps(chat("a", (use("t"),), accent=accent)).decode()

    def test_a_model_that_sees_nothing_is_told_so(self) -> None:
        """Also in the results of tools."""
        known = Model(id="m", capabilities=Capabilities(images=False))
        out = chat([PICTURE], (use("t1"),), [result("t1", [PICTURE])], known=known)
        note = "[an image stood here; this model cannot see images]"
        assert out == [user(note), calls(call("t1")), tool("t1", note)]


def test_the_body_of_the_client_stays_as_it_is() -> None:
    """Other attempts send it as well."""
    fields = body(messages=[{"role": "user", "content": "a"}, {"role": "system", "content": [text("b")]}])
    before = orjson.dumps(fields)
    sent(fields, accent=Accent(text_after_results="fold"))
    assert orjson.dumps(fields) == before
