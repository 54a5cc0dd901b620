"""The request as it goes out: its fields, its tools, its history, and what is left out of it."""

from __future__ import annotations

from typing import Any

import pytest

from engine import Learned
from engine.config import Model, ResponsesAccent, Thinking
from policies import Capabilities
from tests.e2e.responses_rules import breaches
from tests.e2e.wire import SIGNATURE
from tests.transports.asks import body
from tests.transports.chat.hosts import said
from tests.transports.responses.asked import Host, asked, sent, thought
from transports._envelope import seal
from transports.responses import body_of, openai_responses, toolbox_of
from transports.responses._encoder import LEAST_CAP

TOOL = {"name": "Read", "description": "Read a file", "input_schema": {"type": "object", "properties": {}}}
ENCRYPTED = {"type": "reasoning", "encrypted_content": SIGNATURE}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 8000}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a"}}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
PDF = {
    "type": "document",
    "title": "a.pdf",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
}


def result(content: Any, id: str = "toolu_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


def items(*messages: Any, **settings: Any) -> list[dict[str, Any]]:
    """The input that goes out, found free of breaches."""
    fields = said(*messages, tools=[TOOL], **THINKING)
    out = sent(fields, **settings)
    assert breaches(out) == []
    found: list[dict[str, Any]] = out["input"]
    return found


class TestFields:
    def test_the_least_of_a_request(self) -> None:
        """Nothing is stored, and everything is streamed."""
        assert sent() == {
            "model": "m",
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            "max_output_tokens": 32_000,
            "stream": True,
            "store": False,
        }

    def test_the_body_is_there_as_an_object(self) -> None:
        """For whoever sends it another way."""
        one = asked(body(system="be brief"))
        assert body_of(one, toolbox_of(one)) == sent(body(system="be brief"))

    def test_system_is_instructions(self) -> None:
        """Its texts, without the line that is for Anthropic; a message where the host has no such field."""
        system = [{"type": "text", "text": "x-anthropic-billing-header: a"}, {"type": "text", "text": "be brief"}]
        assert sent(body(system=system))["instructions"] == "be brief"
        for out in (
            sent(body(system=system), accent=ResponsesAccent(system="system")),
            sent(body(system=system), without=("instructions",)),
        ):
            assert "instructions" not in out
            text = {"type": "input_text", "text": "be brief"}
            assert out["input"][0] == {"type": "message", "role": "system", "content": [text]}

    def test_tools_are_flat_and_not_strict(self) -> None:
        """Strict is what this wire takes a tool for where nothing is said."""
        (tool,) = sent(body(tools=[TOOL]))["tools"]
        parameters = {"type": "object", "properties": {}}
        about = {"type": "function", "name": "Read", "description": "Read a file"}
        assert tool == {**about, "parameters": parameters, "strict": False}

    @pytest.mark.parametrize(
        ("given", "choice"),
        [
            ({"type": "auto"}, "auto"),
            ({"type": "any"}, "required"),
            ({"type": "none"}, "none"),
            ({"type": "tool", "name": "Read"}, {"type": "function", "name": "Read"}),
        ],
    )
    def test_the_choice_of_a_tool(self, given: Any, choice: Any) -> None:
        """Each of the four, and two calls at once where they are not wanted."""
        out = sent(body(tools=[TOOL], tool_choice={**given, "disable_parallel_tool_use": True}))
        assert (out["tool_choice"], out["parallel_tool_calls"]) == (choice, False)

    def test_a_choice_that_a_host_has_no_word_for_is_said_otherwise(self) -> None:
        """The one tool alone, or in words."""
        wish = body(tools=[TOOL, {**TOOL, "name": "Bash"}], tool_choice={"type": "tool", "name": "Read"})
        some = sent(wish, accent=ResponsesAccent(choices=frozenset(["required"])))
        assert ([tool["name"] for tool in some["tools"]], some["tool_choice"]) == (["Read"], "required")
        none = sent(wish, accent=ResponsesAccent(choices=frozenset(), parallel=False))
        assert none["instructions"] == "Call the tool Read now."

    def test_a_wanted_form(self) -> None:
        """As the text's format; in words where the host takes none."""
        schema = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
        wish = body(output_config={"format": {"type": "json_schema", "schema": schema}})
        described = {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}
        assert sent(wish)["text"] == {"format": described}
        for out in (sent(wish, without=("text",)), sent(wish, accent=ResponsesAccent(format="prompt"))):
            assert "text" not in out
            assert "JSON schema" in out["instructions"]
        assert sent(wish, accent=ResponsesAccent(format="json_object"))["text"] == {"format": {"type": "json_object"}}

    def test_sampling_only_where_the_model_takes_it(self) -> None:
        """Stop sequences and `top_k` do not exist on this wire."""
        wish = body(temperature=1.5, top_p=0.5, top_k=3, stop_sequences=["a"])
        assert {"temperature": 1.5, "top_p": 0.5}.items() <= sent(wish).items()
        assert not {"temperature", "top_p"} & sent(wish, known=Model(id="m", temperature=False)).keys()
        assert not {"top_k", "stop", "stop_sequences"} & sent(wish).keys()

    def test_a_session_has_a_name_that_tells_nobody(self) -> None:
        """The same for the same session."""
        one, two = (sent(session=session)["prompt_cache_key"] for session in ("a", "b"))
        assert (len(one), one != two, one) == (32, True, sent(session="a")["prompt_cache_key"])
        assert "prompt_cache_key" not in sent(session="a", accent=ResponsesAccent(session=""))

    def test_the_cap_is_never_below_what_the_wire_takes(self) -> None:
        """Sixteen tokens, whatever was asked for; and never above what is known of the model."""
        assert sent(body(max_tokens=1))["max_output_tokens"] == LEAST_CAP
        assert sent(learned=Learned(cap=500))["max_output_tokens"] == 500
        known = Model(id="m", capabilities=Capabilities(max_output=900))
        assert sent(known=known)["max_output_tokens"] == 900


class TestThinking:
    def test_an_effort_and_a_summary(self) -> None:
        """And the reasoning itself, encrypted, to be sent back."""
        out = sent(body(thinking={"type": "adaptive"}, output_config={"effort": "high"}))
        assert out["reasoning"] == {"summary": "auto", "effort": "high"}
        assert out["include"] == ["reasoning.encrypted_content"]

    def test_without_thinking_nothing_is_said(self) -> None:
        """Of a model that nothing is known of; one that is known to take it is told to leave it."""
        assert not {"reasoning", "include"} & sent().keys()
        known = Model(id="m", thinking=Thinking(efforts=("none", "low")))
        assert sent(known=known)["reasoning"] == {"effort": "none"}

    def test_an_effort_that_the_model_has(self) -> None:
        """The strongest that is not above the wish; of an unknown model only those that all have."""
        wish = body(thinking={"type": "adaptive"}, output_config={"effort": "max"})
        assert sent(wish)["reasoning"]["effort"] == "high"
        known = Model(id="m", thinking=Thinking(efforts=("low", "xhigh")))
        assert sent(wish, known=known)["reasoning"]["effort"] == "xhigh"

    def test_a_model_that_never_thinks_is_not_asked_to(self) -> None:
        """Nor for what it does not have."""
        out = sent(body(**THINKING), known=Model(id="m", thinking=Thinking()))
        assert not {"reasoning", "include"} & out.keys()

    def test_openai_is_asked_in_its_own_words(self) -> None:
        """A model of the catalogue: no temperature, thinking off and on."""
        host = Host("openai", "gpt-5.4-mini")
        off, on = host.sent(body(temperature=0.3)), host.sent(body(**THINKING))
        assert (off["reasoning"], "temperature" in off) == ({"effort": "none"}, False)
        assert on["reasoning"] == {"summary": "auto", "effort": "medium"}
        assert host.breaches(off) == host.breaches(on) == []


class TestHistory:
    def test_a_tool_loop(self) -> None:
        """Words, a call, its output, words."""
        found = items(
            "go", ({"type": "text", "text": "I look"}, CALL), [result("found"), {"type": "text", "text": "and?"}]
        )
        assert found[1:] == [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look"}]},
            {"type": "function_call", "call_id": "toolu_1", "name": "Read", "arguments": '{"path":"a"}'},
            {"type": "function_call_output", "call_id": "toolu_1", "output": "found"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and?"}]},
        ]

    def test_outputs_come_in_the_order_of_the_calls(self) -> None:
        """One for each: a result that is missing is said to be, one that is nobody's is the user's words."""
        two = {**CALL, "id": "toolu_2"}
        found = items("go", (CALL, two), [result("lost", "toolu_9"), result("second", "toolu_2")])
        assert [(one["call_id"], one["output"]) for one in found if one["type"] == "function_call_output"] == [
            ("toolu_1", "(interrupted: there is no result)"),
            ("toolu_2", "second"),
        ]
        assert [part["text"] for part in found[-1]["content"]] == ["[result of an earlier tool call]", "lost"]

    def test_an_error_is_said_in_the_text(self) -> None:
        """Once."""
        for text, told in (("broken", "Error: broken"), ("Error: broken", "Error: broken"), ("", "Error: (no output)")):
            assert items("go", (CALL,), [result(text, is_error=True)])[-1]["output"] == told

    def test_pictures_of_a_result_stay_in_it_where_the_host_takes_them(self) -> None:
        """As parts of the output; else behind all outputs, by name."""
        parts = [{"type": "text", "text": "see"}, PNG]
        image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
        shown = items("go", (CALL,), [result(parts, is_error=True)], accent=ResponsesAccent(shown_results=True))
        assert shown[-1]["output"] == [{"type": "input_text", "text": "Error: see"}, image]
        *_, output, below = items("go", (CALL,), [result(parts)])
        assert output["output"] == "see\n[image 1 of result 1, shown below]"
        assert below["content"] == [{"type": "input_text", "text": "[what tool result 1 shows]"}, image]

    def test_papers(self) -> None:
        """As files where the host takes them, else in words."""
        (one,) = items([PDF], accent=ResponsesAccent(files=True))
        file = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}
        assert one["content"] == [file]
        assert "cannot read it" in items([PDF])[0]["content"][0]["text"]

    def test_long_names_and_ids_fit(self) -> None:
        """And are the same ones for the call and its output."""
        call = {**CALL, "name": "a.b" * 40, "id": "x" * 100}
        called, output = items("go", (call,), [result("ok", "x" * 100)])[1:]
        assert len(called["name"]) <= 64
        assert len(called["call_id"]) <= 64
        assert called["call_id"] == output["call_id"]

    def test_a_beginning_is_to_be_continued(self) -> None:
        """In words, since this wire has no other way; and an answer does not come first."""
        found = items("go", ({"type": "text", "text": "So far"},))
        assert found[-1]["content"][0]["text"].startswith("Continue exactly")
        assert items(({"type": "text", "text": "Hello"},), "hi")[0]["role"] == "user"

    def test_entries_in_the_middle_of_role_system_are_the_users(self) -> None:
        """Where they stand."""
        found = items("go", {"role": "system", "content": "mind the gap"})
        assert [part["text"] for part in found[0]["content"]] == ["go", "mind the gap"]


class TestReasoning:
    def test_its_own_reasoning_goes_back_whole(self) -> None:
        """In its place before what came of it, with the parts of its summary and without its id."""
        found = items("go", (thought("a|b"), {"type": "text", "text": "I look"}, thought(""), CALL), [result("x")])
        summary = [{"type": "summary_text", "text": text} for text in "ab"]
        assert found[1] == {**ENCRYPTED, "summary": summary}
        assert found[3] == {**ENCRYPTED, "summary": []}
        assert [one["type"] for one in found[1:5]] == ["reasoning", "message", "reasoning", "function_call"]

    def test_the_id_goes_back_where_the_host_wants_it(self) -> None:
        """And what else it gave with the item."""
        accent = ResponsesAccent(item_ids=True)
        fields = said("go", (thought("a", format="f"), CALL), [result("x")], **THINKING)
        assert {"id": "rs_1", "format": "f"}.items() <= sent(fields, accent=accent)["input"][1].items()

    @pytest.mark.parametrize(
        "block",
        [
            thought(author="other/m"),
            thought("", author="other/m"),
            {"type": "thinking", "thinking": "x", "signature": "EqQBCg"},
            {"type": "thinking", "thinking": "x", "signature": seal("host/m")},
            {"type": "thinking", "thinking": "x", "signature": seal("host/m", {"reasoning": {"summary": [1]}})},
            {"type": "thinking", "thinking": "x", "signature": seal("host/m", {"reasoning": {"item": 5}})},
            {"type": "redacted_thinking", "data": "gAAAA"},
        ],
    )
    def test_other_thinking_is_left_out(self, block: Any) -> None:
        """Somebody else's, and what holds nothing to be sent back."""
        assert [one["type"] for one in items("go", (block, CALL), [result("x")])][1:] == [
            "function_call",
            "function_call_output",
        ]

    def test_reasoning_that_led_to_nothing_is_left_out(self) -> None:
        """It would be refused."""
        assert len(items("go", ({"type": "text", "text": "said"}, thought()), "on")) == 3

    def test_a_text_that_was_changed_is_left_out(self) -> None:
        """The encrypted reasoning still stands for it."""
        changed = {**thought("why not"), "thinking": "why"}
        assert items("go", (changed, CALL), [result("x")])[1] == {**ENCRYPTED, "summary": []}

    def test_text_of_reasoning_goes_back_to_hosts_of_open_models(self) -> None:
        """Where it is not encrypted."""
        block = {"type": "thinking", "thinking": "why", "signature": seal("host/m", {"reasoning": {"content": [3]}})}
        fields = said("go", (block, CALL), [result("x")], **THINKING)
        back = sent(fields, accent=ResponsesAccent(open_reasoning=True, encrypted=False))
        content = [{"type": "reasoning_text", "text": "why"}]
        assert back["input"][1] == {"type": "reasoning", "summary": [], "content": content}
        assert "include" not in back
        assert "reasoning" not in [one["type"] for one in sent(fields)["input"]]

    def test_without_thinking_none_goes_back(self) -> None:
        """A twin that does not think has no use for it."""
        fields = said("go", (thought(), CALL), [result("x")])
        assert "reasoning" not in [one["type"] for one in sent(fields)["input"]]

    def test_reasoning_that_the_host_could_not_verify_is_not_sent_again(self) -> None:
        """Under another account's key, for one."""
        fields = said("go", (thought(), CALL), [result("x")], **THINKING)
        assert "encrypted_content" in openai_responses(asked(fields)).optional
        out = sent(fields, without=("encrypted_content",))
        assert "reasoning" not in [one["type"] for one in out["input"]]


class TestLearned:
    def test_a_part_of_a_field_is_left_out_alone(self) -> None:
        """The summary, the effort, or both: then there is no field left."""
        wish = body(thinking={"type": "adaptive"})
        assert sent(wish, without=("reasoning.summary",))["reasoning"] == {"effort": "medium"}
        assert sent(wish, without=("reasoning.effort",))["reasoning"] == {"summary": "auto"}
        assert "reasoning" not in sent(wish, without=("reasoning.summary", "reasoning.effort"))

    def test_what_may_be_refused_is_named(self) -> None:
        """All that is sent and can be done without."""
        wish = body(
            tools=[TOOL], thinking={"type": "adaptive"}, system="s", tool_choice={"type": "auto"}, temperature=1
        )
        assert openai_responses(asked(wish, session="s")).optional == {
            "include", "instructions", "max_output_tokens", "prompt_cache_key", "reasoning", "reasoning.effort",
            "reasoning.summary", "store", "strict", "temperature", "tool_choice",
        }  # fmt: skip

    def test_the_turn_says_where_and_how_long(self) -> None:
        """The address of the wire and the cap that was asked for."""
        turn = openai_responses(asked(body(max_tokens=1)))
        assert (turn.url, turn.max_tokens) == ("http://host.test/v1/responses", LEAST_CAP)
