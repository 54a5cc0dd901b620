"""What goes out on Ollama's own wire."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine import Ask, Learned
from engine.config import Model, Settings, Thinking, ThinkingWish
from policies import Capabilities
from tests.e2e.ollama_rules import ollama_breaches
from tests.transports.asks import ask, body
from tests.transports.chat.hosts import said
from transports import DIALECTS
from transports._envelope import seal
from transports.ollama import ollama
from transports.ollama._encoder import OPTIONAL

PATHS = {"messages": "/api/chat"}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
LINK = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}
READ = {
    "name": "Read",
    "description": "Reads.",
    "input_schema": {"type": "object", "properties": {"p": {"type": "string"}}},
}
BASH = {"name": "Bash", "input_schema": {"type": "object", "properties": {}}}


def asked(fields: Any = None, *, model: str = "m", **more: Any) -> Ask:
    """A request for a model of a host on this wire."""
    return ask(fields or body(), model=model, **{"wire": "ollama", "paths": PATHS, "auth": "bearer", **more})


def sent(fields: Any = None, **more: Any) -> Any:
    """The body that goes out, found right by the rules of the wire."""
    parsed = orjson.loads(ollama(asked(fields, **more)).body)
    assert ollama_breaches(parsed) == []
    return parsed


def used(id: str, name: str = "Read", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": given}


def result(id: str, content: Any = "done", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


class TestTheWhole:
    """Head, address and what is always said."""

    def test_the_dialect_is_that_of_its_wire(self) -> None:
        """The stream is asked for by its own name."""
        turn = DIALECTS["ollama"](asked(key="key-of-nobody"))
        head = dict(turn.headers)
        assert turn.url == "http://host.test/api/chat"
        assert (head[b"accept"], head[b"authorization"]) == (
            b"application/x-ndjson, application/json",
            b"Bearer key-of-nobody",
        )
        assert turn.stream_type == "application/x-ndjson"

    def test_nothing_is_lost_without_a_word(self) -> None:
        """Neither of a prompt beyond the window, nor of one that the answer pushes out."""
        found = sent()
        assert (found["truncate"], found["shift"], found["stream"]) == (False, False, True)
        assert found["messages"] == [{"role": "user", "content": "hi"}]

    def test_the_window_and_the_time_are_as_configured(self) -> None:
        """The model's word stands; without any the host's own hold."""
        own = Model(id="m", settings=Settings(num_ctx=8192, keep_alive=-1), capabilities=Capabilities(context=8192))
        settings = Settings(num_ctx=65_536, keep_alive="30m")
        assert sent(settings=settings)["options"]["num_ctx"] == 65_536
        assert sent(settings=settings)["keep_alive"] == "30m"
        found = sent(settings=settings, models={"m": own})
        assert (found["options"]["num_ctx"], found["keep_alive"]) == (8192, -1)
        assert sent().keys() & {"keep_alive", "format", "tools"} == set()
        assert "num_ctx" not in sent()["options"]

    def test_an_answer_is_asked_for_within_the_window(self) -> None:
        """What the prompt leaves of it."""
        assert sent(settings=Settings(num_ctx=4096))["options"]["num_predict"] < 4096
        assert sent()["options"]["num_predict"] == 32_000

    def test_sampling_goes_into_the_options(self) -> None:
        """What is no number, or no text, stays out; so does all of it where the model takes none."""
        wish = {"temperature": 5, "top_p": 0.5, "top_k": 40, "stop_sequences": ["a", " ", 3, "b", "c", "d", "e"]}
        options = sent(body(**wish))["options"]
        assert options == {"num_predict": 32_000, "temperature": 2.0, "top_p": 0.5, "top_k": 40, "stop": list("abcde")}
        odd = {"temperature": True, "top_p": "1", "top_k": 2**40, "stop_sequences": "x"}
        assert sent(body(**odd))["options"] == {"num_predict": 32_000}
        fixed = {"m": Model(id="m", temperature=False)}
        assert sent(body(**wish), models=fixed)["options"].keys() == {"num_predict", "stop"}


class TestThinking:
    """`think`: yes or no, and a level for gpt-oss."""

    @pytest.mark.parametrize(
        ("model", "wish", "think"),
        [
            ("qwen3", {}, False),
            ("qwen3", {"thinking": {"type": "adaptive"}}, True),
            ("qwen3", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, True),
            ("qwen3", {"thinking": {"type": "disabled"}}, False),
            ("gpt-oss:20b", {}, "low"),
            ("gpt-oss:120b-cloud", {"thinking": {"type": "adaptive"}}, "medium"),
            ("gpt-oss", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "high"),
            ("gpt-oss", {"thinking": {"type": "enabled", "budget_tokens": 600}}, "low"),
        ],
    )
    def test_what_is_wanted_is_asked_for(self, model: str, wish: Any, think: Any) -> None:
        """Nothing said means none: these models think unless they are told not to."""
        assert sent(body(**wish), model=model)["think"] == think

    def test_the_configuration_and_the_twin_stand_above_the_client(self) -> None:
        """As on every wire."""
        fields = body(thinking={"type": "adaptive"})
        assert sent(fields, settings=Settings(thinking=ThinkingWish(enabled=False)))["think"] is False
        assert sent(fields, thinking=False)["think"] is False
        assert sent(settings=Settings(thinking=ThinkingWish()))["think"] is True

    def test_a_model_that_never_thinks_is_told_nothing(self) -> None:
        """Nor is one that was found to refuse it."""
        fields = body(thinking={"type": "adaptive"})
        assert "think" not in sent(fields, models={"m": Model(id="m", thinking=Thinking())})
        assert "think" not in sent(fields, learned=Learned(without=frozenset(["think"])))
        assert ollama(asked(fields)).optional == {"think"}

    def test_its_own_thinking_goes_back_within_a_loop(self) -> None:
        """Nobody else's does, none of a turn without calls, and none where thinking is off."""
        own = {"type": "thinking", "thinking": "mine", "signature": seal("host/m")}
        other = {"type": "thinking", "thinking": "theirs", "signature": "EqQB"}
        told = said("a", (own, other, used("t1")), [result("t1")], (own, {"type": "text", "text": "b"}), "c")
        messages = sent({**told, "thinking": {"type": "adaptive"}})["messages"]
        assert [message.get("thinking") for message in messages] == [None, "mine", None, None, None]
        assert all("thinking" not in message for message in sent(told)["messages"])


class TestTools:
    """What is offered, and how it is to be chosen."""

    def test_tools_are_functions(self) -> None:
        """With the keywords that the host keeps."""
        schema = {
            "type": "object",
            "$defs": {"level": {"enum": ["a", "b"], "type": "string"}},
            "properties": {"n": {"type": "integer", "minimum": 1, "default": 3}, "l": {"$ref": "#/$defs/level"}},
            "required": ["n", "gone"],
            "additionalProperties": False,
        }
        (tool,) = sent(body(tools=[{"name": "T", "input_schema": schema}]))["tools"]
        assert tool["function"]["parameters"] == {
            "type": "object",
            "properties": {
                "n": {"type": "integer", "description": "(default: 3; minimum: 1)"},
                "l": {"type": "string", "enum": ["a", "b"]},
            },
            "required": ["n"],
        }

    @pytest.mark.parametrize(
        ("choice", "names", "words"),
        [
            ({"type": "auto"}, ["Read", "Bash"], None),
            ({"type": "any"}, ["Read", "Bash"], "Answer by calling one of the tools."),
            ({"type": "tool", "name": "Bash"}, ["Bash"], "Call the tool Bash now."),
            ({"type": "tool", "name": "Gone"}, ["Read", "Bash"], None),
            ({"type": "none"}, [], None),
            ("any", ["Read", "Bash"], None),
        ],
    )
    def test_a_choice_is_said_in_words(self, choice: Any, names: list[str], words: str | None) -> None:
        """And by what is offered: there is no field for it."""
        found = sent(body(tools=[READ, BASH], tool_choice=choice))
        assert [tool["function"]["name"] for tool in found.get("tools", ())] == names
        system = [message["content"] for message in found["messages"] if message["role"] == "system"]
        assert system == ([words] if words else [])

    def test_a_schema_for_the_answer_is_its_format(self) -> None:
        """In words where the host was found to refuse it."""
        schema = {"type": "object", "properties": {"title": {"type": "string"}}}
        fields = body(output_config={"format": {"type": "json_schema", "schema": schema}})
        assert sent(fields)["format"] == schema
        without = sent(fields, learned=Learned(without=frozenset(["format"])))
        assert "format" not in without
        assert '"title"' in without["messages"][0]["content"]
        assert frozenset(["format", "think"]) == OPTIONAL

    def test_beside_tools_a_schema_for_the_answer_is_words(self) -> None:
        """A form that every word must fit leaves no room for a call."""
        fields = {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "title": "t"}}}}
        found = sent(body(tools=[READ], **fields))
        assert "format" not in found
        assert '"title":"t"' in found["messages"][0]["content"]
        assert "format" in sent(body(tools=[READ], tool_choice={"type": "none"}, **fields))


class TestTheConversation:
    """Messages of Ollama's."""

    def test_a_loop(self) -> None:
        """Calls with objects, results in their order with the tools' names, then the user's own words."""
        told = said(
            "go",
            ({"type": "text", "text": "both"}, used("t1", p="a"), used("t2", "Bash")),
            [
                {"type": "text", "text": "now?"},
                result("t2", "two", is_error=True),
                result("t1", [{"type": "text", "text": "one"}]),
            ],
        )
        messages = sent({**told, "system": [{"type": "text", "text": "Be brief."}], "tools": [READ, BASH]})["messages"]
        assert messages == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "go"},
            {
                "role": "assistant",
                "content": "both",
                "tool_calls": [
                    {"id": "t1", "function": {"name": "Read", "arguments": {"p": "a"}}},
                    {"id": "t2", "function": {"name": "Bash", "arguments": {}}},
                ],
            },
            {"role": "tool", "tool_name": "Read", "tool_call_id": "t1", "content": "one"},
            {"role": "tool", "tool_name": "Bash", "tool_call_id": "t2", "content": "Error: two"},
            {"role": "user", "content": "now?"},
        ]

    def test_what_has_no_counterpart(self) -> None:
        """A result without a call is the user's words; a call without a result was interrupted; input is an object."""
        messages = sent(said("a", (used("t1"),), [result("t9", "late")], (used("t2") | {"input": [1]},)))["messages"]
        assert [message["content"] for message in messages[2:4]] == [
            "(interrupted: there is no result)",
            "[result of an earlier tool call]\nlate",
        ]
        assert messages[4]["tool_calls"][0]["function"]["arguments"] == {"value": [1]}
        assert messages[5]["content"] == "(interrupted: there is no result)"

    def test_pictures_are_base64_beside_the_text(self) -> None:
        """Others are words; those in a result follow it, where a user speaks."""
        messages = sent(said([PNG, {"type": "text", "text": "see"}, LINK], (used("t1"),), [result("t1", [PNG])]))[
            "messages"
        ]
        assert messages[0]["images"] == ["AAAA"]
        assert messages[0]["content"] == "see\n\n[an image stood here, at https://x.test/a.png; this host fetches none]"
        assert messages[2]["content"] == "[image 1 of result 1, shown below]"
        assert messages[3] == {"role": "user", "content": "[what tool result 1 shows]", "images": ["AAAA"]}

    def test_a_model_that_cannot_see_is_told(self) -> None:
        """That something stood there."""
        blind = {"m": Model(id="m", capabilities=Capabilities(images=False))}
        (message,) = sent(said([PNG]), models=blind)["messages"]
        assert message == {"role": "user", "content": "[an image stood here; this model cannot see images]"}

    def test_papers_are_their_text(self) -> None:
        """Or a sentence about them."""
        paper = {"type": "document", "title": "T", "source": {"type": "text", "data": "words"}}
        pdf = {"type": "document", "source": {"type": "base64", "data": "AA=="}}
        (message,) = sent(said([paper, pdf]))["messages"]
        assert message["content"] == "[document 'T']\nwords\n\n[a document stood here; this host cannot read it]"

    @pytest.mark.parametrize(
        ("told", "roles"),
        [
            ([("user", "a"), ("user", "b")], ["user"]),
            ([("system", "s"), ("user", "a")], ["user"]),
            ([("assistant", "b"), ("user", "a")], ["user", "assistant", "user"]),
            ([("user", "a"), ("assistant", "b")], ["user", "assistant", "user"]),
            ([("user", " ")], ["user"]),
        ],
    )
    def test_turns_take_turns(self, told: Any, roles: list[str]) -> None:
        """From the user to the user."""
        messages = sent(body(messages=[{"role": role, "content": content} for role, content in told]))["messages"]
        assert [message["role"] for message in messages] == roles
