"""What goes out to Gemini: a request as it is written, one thing at a time."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.config import Model, Settings, Thinking, ThinkingWish
from policies import Capabilities
from tests.e2e.gemini_rules import NONE, breaches, signature
from tests.transports.asks import body
from tests.transports.chat.hosts import said
from tests.transports.gemini.speech import (
    AUTHOR,
    asked,
    call,
    chunk,
    decoded,
    named,
    said_back,
    sent,
    signed,
    stream,
    thought,
)
from transports._envelope import seal
from transports.gemini import count_in, count_request, gemini
from transports.gemini._names import gemini_name

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": ["string", "null"], "const": "x"}},
    "additionalProperties": False,
}
TOOL = {"name": "read", "description": "Reads.", "input_schema": SCHEMA}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
USE = {"type": "tool_use", "id": "t1", "name": "read", "input": {"a": "x"}}


def use(id: str, name: str = "read") -> dict[str, Any]:
    return {**USE, "id": id, "name": name}


def result(id: str, content: Any = "done", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


def contents(*messages: Any, **more: Any) -> Any:
    written = sent(said(*messages), **more)
    assert breaches(written, signs="3" in more.get("model", "3")) == []
    return written["contents"]


class TestTurns:
    """Contents in turn."""

    def test_turns_alternate_and_begin_with_the_user(self) -> None:
        """Neighbours are merged; a system entry is the user's; a beginning of the model's is continued."""
        given = contents(({"type": "text", "text": "I"},), "a", {"role": "system", "content": "b"}, "c",
                         ({"type": "text", "text": "so"},))  # fmt: skip
        assert [(one["role"], [part["text"] for part in one["parts"]]) for one in given] == [
            ("user", ["(the conversation begins with an answer)"]),
            ("model", ["I"]),
            ("user", ["a", "b", "c"]),
            ("model", ["so"]),
            ("user", ["Continue exactly where your last message stopped. Do not repeat any of it."]),
        ]

    def test_results_stand_together_in_the_order_of_the_calls(self) -> None:
        """Behind them what the user says; a missing one is told of, an orphan becomes words."""
        given = contents(
            "go", (use("t1"), use("t2", "ls"), use("t3")),
            [{"type": "text", "text": "and"}, result("t2", is_error=True), result("t1"), result("t9", "lost")],
        )  # fmt: skip
        parts = given[-1]["parts"]
        assert [(p["functionResponse"]["name"], p["functionResponse"]["response"]) for p in parts[:3]] == [
            ("read", {"result": "done"}),
            ("ls", {"error": "done"}),
            ("read", {"error": "(interrupted: there is no result)"}),
        ]
        assert [p["text"] for p in parts[3:]] == ["and", "[result of an earlier tool call]\nlost"]

    def test_calls_at_the_end_are_answered(self) -> None:
        """Whoever sends them has no results."""
        assert "functionResponse" in contents("go", (use("t1"),))[-1]["parts"][0]

    def test_pictures_of_a_result(self) -> None:
        """Inside it where the generation reads them there, else behind all results."""
        messages = ("go", (use("t1"), use("t2")), [result("t1", [PNG]), result("t2")])
        shown = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
        first, _ = contents(*messages)[-1]["parts"]
        assert first["functionResponse"]["response"] == {"result": "[image 1 of result 1]"}
        assert first["functionResponse"]["parts"] == [shown]
        for more in ({"model": "gemini-2.5-flash"}, {"without": ["functionResponse.parts"]}):
            parts = contents(*messages, **more)[-1]["parts"]
            assert ["functionResponse" in part for part in parts] == [True, True, False, False]
            assert parts[2:] == [{"text": "[what tool result 1 shows]"}, shown]

    def test_papers_and_pictures(self) -> None:
        """A PDF as it is, a picture as it is, and a sentence for what cannot be read."""
        pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"}}
        gif = {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "AA"}}
        far = {"type": "image", "source": {"type": "url", "url": "http://x/a.png"}}
        parts = contents([pdf, PNG, gif, far])[0]["parts"]
        assert [part["inlineData"]["mimeType"] for part in parts[:2]] == ["application/pdf", "image/png"]
        assert [part["text"] for part in parts[2:]] == [
            "[an image stood here, as image/gif, which this model cannot read]",
            "[an image stood here, at http://x/a.png; this host fetches none]",
        ]
        blind = Model(id="gemini-3-pro", capabilities=Capabilities(images=False, documents=False))
        assert all("text" in part for part in contents([pdf, PNG], known=blind)[0]["parts"])

    def test_calls_have_ids_where_the_generation_has_them(self) -> None:
        """And where they were not refused; the same on both sides."""
        messages = ("go", (use("t1"), use("é")), [result("t1"), result("é")])
        ids = [part["functionCall"]["id"] for part in contents(*messages)[1]["parts"]]
        assert ids == [part["functionResponse"]["id"] for part in contents(*messages)[2]["parts"]]
        assert ids[0] == "t1"
        assert "'id'" not in str(contents(*messages, model="gemini-2.5-pro"))
        assert "'id'" not in str(contents(*messages, without=["functionCall.id"]))


class TestSignatures:
    """What Gemini puts on a part, and must find there again."""

    SIG = staticmethod(signature)

    def back(self, *parts: Any, author: str = "host", **more: Any) -> Any:
        """An answer of these parts, sent back by the client to a candidate of `author`."""
        answer = said_back(decoded([stream(chunk(*parts, finish="STOP"))]))
        results = [result(block["id"]) for block in answer["content"] if block["type"] == "tool_use"]
        messages = [{"role": "user", "content": "go"}, answer, {"role": "user", "content": results or "more"}]
        return orjson.loads(gemini(named(asked(body(messages=messages), **more), author)).body)["contents"][1]["parts"]

    def test_each_returns_on_its_part(self) -> None:
        """On a thought, on the text right behind it, on a call, on an empty text at the end."""
        parts = [thought("I see", self.SIG("a")), signed("so", self.SIG("b")), call(signature=self.SIG("c")),
                 call("ls"), signed("", self.SIG("d"))]  # fmt: skip
        back = self.back(*parts)
        assert [part.get("thoughtSignature") for part in back] == [self.SIG(n) for n in "abd"] + [self.SIG("c"), None]
        assert [("text" in part, part.get("thought")) for part in back] == [
            (True, True), (True, None), (True, None), (False, None), (False, None),
        ]  # fmt: skip

    def test_a_later_call_keeps_its_own(self) -> None:
        """By place; the first then goes without, which is said."""
        back = self.back(call("ls"), call(signature=self.SIG("x")))
        assert [part["thoughtSignature"] for part in back] == [NONE, self.SIG("x")]

    def test_nobody_else_sees_them(self) -> None:
        """To another candidate the calls are calls from elsewhere, and the thought is none of its own."""
        back = self.back(thought("I see", self.SIG("a")), call(signature=self.SIG("c")), author="other")
        assert [part.get("thoughtSignature") for part in back] == [NONE]

    def test_what_others_signed_stays_here(self) -> None:
        """Thinking of Anthropic's, an envelope of another host, one that was tampered with."""
        for block in (
            {"type": "thinking", "thinking": "h", "signature": "EqQBCg"},
            {"type": "redacted_thinking", "data": seal("other/m", {"calls": {"0": "s"}})},
            {"type": "redacted_thinking", "data": f"hedgerow.{AUTHOR}.###"},
            {"type": "redacted_thinking", "data": seal(AUTHOR, {"calls": {"0": 5, "x": "s", "99": "s"}, "end": []})},
        ):
            (part,) = contents("go", (block, use("t1")), [result("t1")])[1]["parts"]
            assert part["thoughtSignature"] == NONE

    def test_a_generation_that_checks_none_is_told_none(self) -> None:
        """Google's word for doing without is no signature."""
        assert "thoughtSignature" not in str(contents("go", (use("t1"),), [result("t1")], model="gemini-2.5-flash"))

    def test_refused_once_they_are_left_out(self) -> None:
        """All of them, and the word stands where one must be; then there is nothing more to leave out."""
        parts = (thought("I see", self.SIG("a")), call(signature=self.SIG("c")))
        assert [p.get("thoughtSignature") for p in self.back(*parts, without=["thoughtSignature"])] == [NONE]
        answer = said_back(decoded([stream(chunk(*parts, finish="STOP"))]))
        fields = body(messages=[{"role": "user", "content": "go"}, answer])
        assert "thoughtSignature" in gemini(asked(fields)).optional
        assert "thoughtSignature" not in gemini(asked(fields, without=["thoughtSignature"])).optional


class TestTools:
    """Declarations and choices."""

    def test_a_schema_goes_as_it_is_to_those_that_take_it(self) -> None:
        """To older models, and where that was refused, in the words of OpenAPI."""
        (one,) = sent(body(tools=[TOOL]))["tools"][0]["functionDeclarations"]
        assert one == {"name": "read", "description": "Reads.", "parametersJsonSchema": SCHEMA}
        for more in ({"model": "gemini-2.0-flash"}, {"without": ["parametersJsonSchema"]}):
            (one,) = sent(body(tools=[TOOL]), **more)["tools"][0]["functionDeclarations"]
            assert one["parameters"]["properties"] == {"a": {"type": "string", "enum": ["x"]}}
            assert "parametersJsonSchema" not in one

    @pytest.mark.parametrize(
        ("given", "mode"),
        [
            ({"type": "auto"}, {"mode": "AUTO"}),
            ({"type": "any"}, {"mode": "ANY"}),
            ({"type": "none"}, {"mode": "NONE"}),
            ({"type": "tool", "name": "read"}, {"mode": "ANY", "allowedFunctionNames": ["read"]}),
            ({"type": "tool", "name": "gone"}, None),
            (None, None),
        ],
    )
    def test_choices(self, given: Any, mode: Any) -> None:
        """Each has a mode."""
        config = sent(body(tools=[TOOL], **({"tool_choice": given} if given else {}))).get("toolConfig")
        assert (config and config["functionCallingConfig"]) == mode

    def test_without_tools_there_is_no_choice(self) -> None:
        """Gemini refuses one."""
        assert "toolConfig" not in sent(body(tool_choice={"type": "any"}))

    @pytest.mark.parametrize("name", ["read", "mcp__a.b__c", "9lives", "-x", "", "é" * 70, "9" * 64, "a" * 65])
    def test_names(self, name: str) -> None:
        """They begin with a letter or `_`, have at most 64 characters, and are the same each time."""
        made = gemini_name(name)
        assert made[0].isalpha() or made[0] == "_"
        assert len(made) <= 64
        assert made.isascii()
        assert made == gemini_name(name)


#: Model, what its row knows, what the client wants, `thinkingConfig`. 32,000 tokens are asked for.
ON, OFF = {"thinking": {"type": "adaptive"}}, {"thinking": {"type": "disabled"}}
LOW = ON | {"output_config": {"effort": "low"}}
MAX = ON | {"output_config": {"effort": "max"}}
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 31_999}}
THINKING: list[tuple[str, Thinking | None, dict[str, Any], Any]] = [
    ("gemini-2.5-flash", None, ON, {"includeThoughts": True, "thinkingBudget": 8192}),
    ("gemini-2.5-flash", None, OFF, {"thinkingBudget": 0}),
    ("gemini-2.5-flash", None, {}, {"thinkingBudget": 0}),
    ("gemini-2.5-flash", None, BUDGET, {"includeThoughts": True, "thinkingBudget": 24_576}),
    ("gemini-2.5-flash", None, BUDGET | {"max_tokens": 1000}, {"includeThoughts": True, "thinkingBudget": 500}),
    ("gemini-2.5-flash-lite", None, BUDGET | {"max_tokens": 800}, {"includeThoughts": True, "thinkingBudget": 512}),
    ("gemini-2.5-pro", None, OFF, {"thinkingBudget": 128}),
    ("gemini-2.5-pro", Thinking(budget=True), OFF, {"thinkingBudget": 128}),
    ("gemini-2.5-pro", Thinking(budget=True), BUDGET, {"includeThoughts": True, "thinkingBudget": 31_999}),
    ("gemini-3-flash-preview", None, ON, {"includeThoughts": True, "thinkingLevel": "medium"}),
    ("gemini-3-flash-preview", None, OFF, {"thinkingLevel": "minimal"}),
    ("gemini-3-pro-preview", None, OFF, {"thinkingLevel": "low"}),
    ("gemini-3-pro-preview", None, MAX, {"includeThoughts": True, "thinkingLevel": "high"}),
    ("gemini-3.1-pro-preview", Thinking(efforts=("low", "medium", "high")), ON,
     {"includeThoughts": True, "thinkingLevel": "medium"}),
    ("models/gemini-3.5-flash", None, LOW, {"includeThoughts": True, "thinkingLevel": "low"}),
    ("gemini-2.0-flash", None, ON, None),
    ("gemini-2.0-flash", None, OFF, None),
    ("gemini-2.0-flash", Thinking(toggle=True), ON, {"includeThoughts": True}),
    ("gemma-3-27b-it", None, ON, None),
    ("gemini-2.0-flash", Thinking(), ON, None),
    ("gemma-3-27b-it", None, OFF, None),
]  # fmt: skip


class TestConfig:
    """How the answer is to be made."""

    @pytest.mark.parametrize(("model", "known", "wish", "config"), THINKING)
    def test_thinking(self, model: str, known: Thinking | None, wish: dict[str, Any], config: Any) -> None:
        """A budget or a level, never both, and never off where it cannot be."""
        row = Model(id=model, thinking=known) if known else None
        assert sent(body(**wish), model=model, known=row)["generationConfig"].get("thinkingConfig") == config

    def test_what_was_refused_of_thinking_is_left_out(self) -> None:
        """The amount alone, or all of it."""
        config = sent(body(**ON), without=["thinkingLevel"])["generationConfig"]
        assert config["thinkingConfig"] == {"includeThoughts": True}
        assert "thinkingConfig" not in sent(body(**ON), without=["thinkingConfig"])["generationConfig"]
        assert "thinkingConfig" not in sent(body(), without=["thinkingLevel"])["generationConfig"]

    def test_the_configuration_stands_above_the_client(self) -> None:
        """As on every wire."""
        wish = Settings(thinking=ThinkingWish(enabled=False))
        config = sent(body(**ON), model="gemini-2.5-flash", settings=wish)["generationConfig"]
        assert config["thinkingConfig"] == {"thinkingBudget": 0}

    def test_sampling(self) -> None:
        """Within bounds; at most five stop sequences, none of them blank; nothing for a model that takes none."""
        wish = {"temperature": 3, "top_p": 0.5, "top_k": 4, "stop_sequences": ["", *"abcdefg", " ", 3]}
        config = sent(body(**wish), model="gemini-2.0-flash")["generationConfig"]
        assert config == {
            "maxOutputTokens": 32_000,
            "temperature": 2.0,
            "topP": 0.5,
            "topK": 4,
            "stopSequences": list("abcde"),
        }
        fixed = Model(id="gemini-2.0-flash", temperature=False)
        config = sent(body(**wish), model="gemini-2.0-flash", known=fixed)["generationConfig"]
        assert config.keys() == {"maxOutputTokens", "stopSequences"}

    def test_structured_output(self) -> None:
        """By Gemini's own fields; in words where it has none, or where tools are offered."""
        wish = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
        made = sent(body(**wish))
        assert made["generationConfig"]["responseMimeType"] == "application/json"
        assert made["generationConfig"]["responseJsonSchema"] == SCHEMA
        for more in ({"model": "gemini-2.0-flash"}, {"without": ["responseJsonSchema"]}):
            made = sent(body(**wish), **more)
            assert made["generationConfig"]["responseMimeType"] == "application/json"
            assert "additionalProperties" in made["systemInstruction"]["parts"][0]["text"]
        made = sent(body(**wish, tools=[TOOL]))
        assert "responseMimeType" not in made["generationConfig"]
        assert breaches(made) == []

    def test_the_system_prompt_has_no_attribution(self) -> None:
        """That line is for Anthropic alone."""
        system = [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=1;"},
            {"type": "text", "text": "sys"},
        ]
        assert sent(body(system=system))["systemInstruction"] == {"parts": [{"text": "sys"}]}

    def test_the_answer_is_no_longer_than_the_model_gives(self) -> None:
        """Nor than what its window has left."""
        known = Model(id="gemini-3-pro", capabilities=Capabilities(max_output=4096))
        assert sent(body(), known=known)["generationConfig"]["maxOutputTokens"] == 4096


class TestAddress:
    """Where it goes."""

    @pytest.mark.parametrize(
        ("model", "part"),
        [
            ("gemini-3-pro", "gemini-3-pro"),
            ("models/gemini-3-pro", "gemini-3-pro"),
            ("google/gemini:free", "google%2Fgemini%3Afree"),
            ("a b?c#d", "a%20b%3Fc%23d"),
        ],
    )
    def test_the_model_is_one_part_of_the_path(self, model: str, part: str) -> None:
        """Whatever it holds."""
        assert gemini(asked(model=model)).url == f"http://host.test/models/{part}:streamGenerateContent?alt=sse"

    def test_a_count_is_asked_for_with_the_whole_prompt(self) -> None:
        """System prompt and tools are part of it."""
        url, raw = count_request(asked(body(system="sys", tools=[TOOL]), model="models/gemini-3-pro"))
        assert url == "http://host.test/models/gemini-3-pro:countTokens"
        request = orjson.loads(raw)["generateContentRequest"]
        assert request["model"] == "models/gemini-3-pro"
        assert request.keys() == {"model", "contents", "systemInstruction", "tools"}

    @pytest.mark.parametrize(("answer", "count"), [({"totalTokens": 8}, 8), ({}, None), ({"totalTokens": "8"}, None)])
    def test_a_count(self, answer: Any, count: int | None) -> None:
        """As it is said."""
        assert count_in(answer) == count
