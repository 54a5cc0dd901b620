"""What of a request goes out to a host that merely speaks Anthropic's wire: the common part, the rest in words."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
import pytest

from engine import Learned
from engine.config import Model, Thinking
from tests.transports.asks import ask, body
from tests.transports.outgoing import RICH, sent
from transports import _outgoing
from transports._reduced import FIELDS, reduced


class TestReduced:
    """To every other host."""

    def test_only_common_fields_are_left(self) -> None:
        """And of those none that the host refuses."""
        assert set(reduced(RICH, frozenset())) == FIELDS & RICH.keys()
        assert "metadata" not in reduced(RICH, frozenset({"metadata"}))

    def test_the_attribution_line_is_taken_from_the_system(self) -> None:
        """The rest of it, cache marks included, stays; a system that is a string stays as it is."""
        assert reduced(RICH, frozenset())["system"] == [RICH["system"][1]]
        assert reduced(body(system="be brief"), frozenset())["system"] == "be brief"

    @pytest.mark.parametrize(
        ("system", "left"),
        [
            ("x-anthropic-billing-header: cc_version=1;\nYou are careful.", "You are careful."),
            (
                [{"type": "text", "text": "x-anthropic-billing-header: a;\nBe brief."}],
                [{"type": "text", "text": "Be brief."}],
            ),
            ("x-anthropic-billing-header: a;", None),
        ],
    )
    def test_what_stands_behind_the_attribution_line_is_kept(self, system: Any, left: Any) -> None:
        """A line goes, and not the prompt that it heads."""
        assert reduced(body(system=system), frozenset()).get("system") == left

    def test_only_callable_tools_are_left(self) -> None:
        """Server tools and deferred ones go, and of the others the fields that all hosts know stay."""
        assert reduced(RICH, frozenset())["tools"] == [
            {"name": "Read", "description": "reads", "input_schema": {"type": "object"}}
        ]

    def test_a_choice_among_no_tools_goes_as_well(self) -> None:
        """A host answers 400 to it."""
        out = reduced(body(tools=[RICH["tools"][2]], tool_choice={"type": "auto"}), frozenset())
        assert out.keys().isdisjoint({"tools", "tool_choice"})

    @pytest.mark.parametrize(
        ("max_tokens", "thinking"),
        [
            (32_000, {"type": "enabled", "budget_tokens": 8192}),
            (8_192, {"type": "enabled", "budget_tokens": 4096}),
            (2_048, {"type": "enabled", "budget_tokens": 1024}),
            (2_047, {"type": "disabled"}),
            (1, {"type": "disabled"}),
        ],
    )
    def test_adaptive_thinking_becomes_a_budget(self, max_tokens: int, thinking: dict[str, Any]) -> None:
        """At least 1024, the least there is, and less than max_tokens; where that is impossible, none."""
        out = reduced(body(thinking={"type": "adaptive"}, max_tokens=max_tokens), frozenset())
        assert out["thinking"] == thinking

    @pytest.mark.parametrize("thinking", [{"type": "enabled", "budget_tokens": 2000}, {"type": "disabled"}])
    def test_other_thinking_is_sent_as_it_is(self, thinking: dict[str, Any]) -> None:
        """It is what these hosts know."""
        assert reduced(body(thinking=thinking), frozenset())["thinking"] == thinking

    def test_roles_take_turns(self) -> None:
        """System entries join the user's, neighbours of one role are one message, empty entries and blocks are gone."""
        messages = reduced(RICH, frozenset())["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant", "user"]
        assert messages[0]["content"] == [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
        assert [block["type"] for block in messages[1]["content"]] == ["tool_use", "text", "text"]
        assert [block["text"] for block in messages[1]["content"][1:]] == [
            "[searched the web for: ]",
            "[results of a web search]\n(nothing was found)",
        ]
        assert messages[2]["content"] == [
            {"type": "tool_result", "tool_use_id": "t1", "content": [
                {"type": "text", "text": "[tool available: Grep]"}, {"type": "text", "text": "three"}]},
            {"type": "tool_result", "tool_use_id": "t2", "content": "four"},
            {"type": "text", "text": "five"},
        ]  # fmt: skip

    def test_block_types_that_a_host_refuses_are_told_in_words(self) -> None:
        """Inside tool results too."""
        document = {"type": "document", "source": {"type": "text", "data": "the text"}}
        messages = [
            {"role": "user", "content": [document, {"type": "text", "text": "a"},
                                         {"type": "tool_result", "tool_use_id": "t", "content": [document]}]}
        ]  # fmt: skip
        out = reduced(body(messages=messages), frozenset({"document"}))["messages"]
        words = {"type": "text", "text": "[document]\nthe text"}
        assert out[0]["content"] == [
            words,
            {"type": "text", "text": "a"},
            {"type": "tool_result", "tool_use_id": "t", "content": [words]},
        ]
        assert reduced(body(messages=messages), frozenset())["messages"] == messages

    def test_an_effort_goes_to_a_host_that_reads_it(self) -> None:
        """As the nearest that the model has; not where thinking is off, was refused, or the host does not read it."""
        models = {"m": Model(id="m", thinking=Thinking(efforts=("low", "high")))}
        wish = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium", "format": {"type": "x"}}}
        host: dict[str, Any] = {
            "open_lists": False,
            "quirks": frozenset({"takes-effort"}),
            "models": models,
            "model": "m",
        }
        assert sent(ask(body(**wish), **host))["output_config"] == {"effort": "low"}
        assert sent(ask(body(**wish), **{**host, "models": {}}))["output_config"] == {"effort": "medium"}
        off = {**wish, "thinking": {"type": "disabled"}}
        refused = Learned(without=frozenset({"output_config"}))
        for asked in (
            ask(body(**off), **host),
            ask(body(**wish), **{**host, "quirks": frozenset()}),
            ask(body(**wish), learned=refused, **host),
        ):
            assert "output_config" not in sent(asked)

    def test_quirks_of_a_host_are_heeded(self) -> None:
        """No tool may be named while it thinks; results of tools go as text."""
        out = reduced(RICH, frozenset(), frozenset({"no-named-tool-choice", "tool-results-as-text"}))
        assert out["tool_choice"] == {"type": "auto"}
        assert [block.get("content") for block in out["messages"][2]["content"]] == [
            "[tool available: Grep]\nthree",
            "four",
            None,
        ]
        assert reduced(RICH, frozenset())["tool_choice"] == RICH["tool_choice"]

    def test_the_twin_goes_without_thinking(self) -> None:
        """As to Anthropic."""
        assert "thinking" not in sent(ask(RICH, thinking=False, open_lists=False))

    @pytest.mark.parametrize("open_lists", [True, False])
    def test_the_clients_body_is_never_changed(self, open_lists: bool) -> None:
        """Other attempts send it as well."""
        asked = ask(RICH, model="theirs", thinking=False, open_lists=open_lists, drop=frozenset({"metadata"}))
        before = deepcopy(asked.request.body)
        _outgoing.body(asked)
        reduced(asked.request.body, frozenset({"tool_use"}), frozenset({"tool-results-as-text"}))
        assert asked.request.body == before == RICH


def test_marks_for_a_cache_go_only_where_they_are_known() -> None:
    """A host whose row drops them sees none: not in the system, nor on tools, nor in what came out of a tool."""
    mark = {"cache_control": {"type": "ephemeral"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x", **mark}], **mark}
    marked = body(
        system=[{"type": "text", "text": "s", **mark}],
        tools=[{"name": "Read", "input_schema": {"properties": {"cache_control": {}}}, **mark}],
        messages=[{"role": "user", "content": [result, {"type": "text", "text": "y", **mark}]}],
    )
    assert orjson.dumps(reduced(marked, frozenset())).count(b'"cache_control":{"type"') == 5
    bare = reduced(marked, frozenset(["cache_control"]))
    assert b'"cache_control":{"type"' not in orjson.dumps(bare)
    assert bare["tools"][0]["input_schema"] == {"properties": {"cache_control": {}}}, "an argument may be called so"


@pytest.mark.parametrize("depth", [3, 500])
def test_blocks_within_blocks_are_looked_into_as_far_as_there_are_any(depth: int) -> None:
    """A message holds results, a result blocks; what is nested deeper is nobody's block, and costs nobody the turn."""
    odd: Any = {"type": "odd"}
    for _ in range(depth):
        odd = {"type": "odd", "content": [odd]}
    messages = [{"role": "user", "content": [odd]}]
    assert reduced(body(messages=messages), frozenset(["cache_control"]))["messages"][0]["content"][0] is not odd


@pytest.mark.parametrize("name", ["Grep", ["Grep"], orjson.loads(b"[" * 1000 + b"]" * 1000), None])
def test_a_reference_of_any_shape_is_words(name: Any) -> None:
    """However deep."""
    out = reduced(
        body(messages=[{"role": "user", "content": [{"type": "tool_reference", "tool_name": name}]}]), frozenset()
    )
    word = name if isinstance(name, str) else ""
    assert out["messages"][0]["content"] == [{"type": "text", "text": f"[tool available: {word}]"}]


def test_what_a_host_has_no_block_for_is_words() -> None:
    """Left out, the model would answer as if it had never been there."""
    found = {"type": "search_result", "title": "T", "source": "http://x", "content": [{"type": "text", "text": "said"}]}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [found]}
    paper = {"type": "document", "source": {"type": "text", "data": "a paper"}}
    sealed = {"type": "redacted_thinking", "data": "xyz"}
    out = reduced(
        body(messages=[{"role": "user", "content": [found, result, paper, sealed]}]),
        frozenset(["document", "redacted_thinking"]),
    )
    said = {"type": "text", "text": "[T http://x]\nsaid"}
    assert out["messages"][0]["content"] == [
        said,
        {**result, "content": [said]},
        {"type": "text", "text": "[document]\na paper"},
    ]


def test_a_choice_of_a_tool_that_is_not_there_goes() -> None:
    """A host answers 400 to it."""
    tools = [{"name": "Read", "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search"}]
    for name, kept in (("web_search", False), ("Read", True), (["Read"], False)):
        out = reduced(body(tools=tools, tool_choice={"type": "tool", "name": name}), frozenset())
        assert ("tool_choice" in out) is kept


def test_a_picture_elsewhere_is_told_to_a_host_that_fetches_none() -> None:
    """Such a host answers 400 to the address, and would never see the picture."""
    there = {"type": "image", "source": {"type": "url", "url": "https://pictures.example/1.png"}}
    here = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    asked = body(messages=[{"role": "user", "content": [there, here]}])
    assert reduced(asked, frozenset())["messages"][0]["content"] == [there, here]
    told, kept = reduced(asked, frozenset(), frozenset(["base64-images-only"]))["messages"][0]["content"]
    assert kept == here
    assert told == {
        "type": "text",
        "text": "[an image stood here, at https://pictures.example/1.png; this host fetches none]",
    }
