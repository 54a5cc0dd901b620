"""Tools: which go out, under which names, how they are chosen, and how they come back."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any, get_args

import pytest

from engine.config import Accent, Choice, Model, Switch, Thinking
from tests.transports.asks import body
from tests.transports.chat.hosts import Body, said, sent
from tests.transports.chat.rules import faults
from transports.chat import Toolbox

READ = {
    "name": "Read",
    "description": "reads",
    "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}},
}
BASH = {"name": "Bash", "input_schema": {"type": "object"}}
LATER = {"name": "Later", "input_schema": {"type": "object"}, "defer_loading": True}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
EVERY = get_args(Choice)


def names(out: Body) -> list[str]:
    return [tool["function"]["name"] for tool in out.get("tools", ())]


def test_a_tool_is_a_function() -> None:
    """Name, description where there is one, parameters; nothing of Anthropic's."""
    custom = {**READ, "type": "custom", "strict": True, "cache_control": {"type": "ephemeral"}, "input_examples": []}
    assert sent(body(tools=[custom, BASH]))["tools"] == [
        {"type": "function", "function": {"name": "Read", "description": "reads", "parameters": READ["input_schema"]}},
        {"type": "function", "function": {"name": "Bash", "parameters": {"type": "object", "properties": {}}}},
    ]


def test_only_what_can_be_called_is_offered() -> None:
    """Neither what Anthropic's servers run nor what is deferred, nor one of them twice; nothing at all is no `tools`."""
    out = sent(body(tools=[LATER, READ, SEARCH, {**READ, "description": "again"}, {"name": "", "input_schema": {}}]))
    assert names(out) == ["Read"]
    out = sent(body(tools=[LATER, SEARCH], tool_choice={"type": "any", "disable_parallel_tool_use": True}))
    assert out.keys().isdisjoint({"tools", "tool_choice", "parallel_tool_calls"})


@pytest.mark.parametrize("name", ["x" * 65, "mcp__server.name__tool", "läs", "a b", "mcp__" + "long_" * 30])
def test_a_name_that_is_not_taken_goes_under_another(name: str) -> None:
    """In tools, choice and history alike, and comes back as it was."""
    fields = said(
        "a", ({"type": "tool_use", "id": "t", "name": name, "input": {}},),
        tools=[{**READ, "name": name}, BASH], tool_choice={"type": "tool", "name": name},
    )  # fmt: skip
    out = sent(fields)
    assert faults(out, Accent()) == []
    assert out["tool_choice"]["function"]["name"] == names(out)[0] != name
    assert out["messages"][1]["tool_calls"][0]["function"]["name"] == names(out)[0]
    assert Toolbox.of(fields, Accent()).name_of(names(out)[0]) == name


def test_two_long_names_stay_two() -> None:
    """They differ where they are cut."""
    tools = [{**READ, "name": "x" * 70 + end} for end in "ab"] + [{**READ, "name": name} for name in ("a.b", "a_b")]
    out = sent(body(tools=tools))
    assert len(set(names(out))) == 4
    box = Toolbox.of(body(tools=tools), Accent())
    assert [box.name_of(name) for name in names(out)] == [tool["name"] for tool in tools]
    assert (box.name_of("invented"), box.schema_of("invented")) == ("invented", None)


#: What the client chooses, and what it becomes by what the host has: the first that it has.
#: `tool_choice` ("-" for none), the tools that go out, words.
WISHES: dict[str, list[tuple[set[str], Any, list[str], str]]] = {
    "auto": [({"auto"}, "auto", ["Read", "Bash"], ""), (set(), "-", ["Read", "Bash"], "")],
    "any": [
        ({"required"}, "required", ["Read", "Bash"], ""),
        (set(), "-", ["Read", "Bash"], "Answer by calling one of the tools."),
    ],
    "tool": [
        ({"named"}, {"type": "function", "function": {"name": "Bash"}}, ["Read", "Bash"], ""),
        ({"required"}, "required", ["Bash"], ""),
        (set(), "-", ["Bash"], "Call the tool Bash now."),
    ],
    "none": [({"none"}, "none", ["Read", "Bash"], ""), (set(), "-", [], "")],
}
SETS = [frozenset(some) for some in chain.from_iterable(combinations(EVERY, n) for n in range(len(EVERY) + 1))]


@pytest.mark.parametrize("kind", WISHES)
@pytest.mark.parametrize("choices", SETS, ids=lambda choices: "+".join(sorted(choices)) or "nothing")
def test_a_choice_is_said_as_strongly_as_the_host_can(kind: str, choices: frozenset[Choice]) -> None:
    """By name, by leaving one tool, by demanding some, in words."""
    accent = Accent(choices=choices)
    out = sent(body(tools=[READ, BASH], tool_choice={"type": kind, "name": "Bash"}), accent=accent)
    assert faults(out, accent) == []
    found = next((choice, tools, words) for has, choice, tools, words in WISHES[kind] if has <= choices)
    system = [m["content"] for m in out["messages"] if m["role"] == "system"]
    assert (out.get("tool_choice", "-"), names(out), "".join(system)) == found


def test_a_host_may_have_its_own_word_for_required() -> None:
    """`any`, which it was before."""
    for kind in ("any", "tool"):
        accent = Accent(choices=frozenset(["auto", "required"]), required="any")
        assert (
            sent(body(tools=[READ], tool_choice={"type": kind, "name": "Read"}), accent=accent)["tool_choice"] == "any"
        )


@pytest.mark.parametrize("name", ["web_search", "Later", "Gone", None, 5])
def test_what_is_not_offered_cannot_be_chosen(name: Any) -> None:
    """A host answers 400 to that; the rest is offered as if nothing had been chosen."""
    out = sent(body(tools=[READ, SEARCH, LATER], tool_choice={"type": "tool", "name": name}))
    assert "tool_choice" not in out
    assert names(out) == ["Read"]


FORCED = {"type": "tool", "name": "Read"}
ADAPTIVE = {"type": "adaptive"}


@pytest.mark.parametrize(
    ("thinking", "known", "forced"),
    [
        (ADAPTIVE, None, False),
        (None, None, True),
        (None, Thinking(toggle=True), True),
        (None, Thinking(efforts=("none", "high")), True),
        (None, Thinking(always=True), False),
        (None, Thinking(efforts=("low", "high")), False),
        (ADAPTIVE, Thinking(), True),
        (ADAPTIVE, Thinking(toggle=True), False),
    ],
)
def test_where_it_may_not_be_forced_while_it_thinks(thinking: Any, known: Thinking | None, forced: bool) -> None:
    """Also while it thinks because it cannot do otherwise; what never thinks can always be forced."""
    accent = Accent(no_forced_while_thinking=True, switch=Switch(on={"thinking": True}, off={"thinking": False}))
    fields = body(tools=[READ, BASH], tool_choice=FORCED) | ({"thinking": thinking} if thinking else {})
    out = sent(fields, accent=accent, known=Model(id="m", thinking=known))
    assert faults(out, accent) == []
    assert ("tool_choice" in out) is forced
    assert out["messages"][0]["role"] == ("user" if forced else "system")


def test_one_call_at_a_time() -> None:
    """Where the host knows the field, and where it is wished for."""
    fields = body(tools=[READ], tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert sent(fields)["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in sent(fields, accent=Accent(parallel=False))
    assert "parallel_tool_calls" not in sent(body(tools=[READ]))


def test_a_history_of_calls_needs_no_tools() -> None:
    """It goes out as it is."""
    call = {"type": "tool_use", "id": "t", "name": "Gone", "input": {}}
    out = sent(said("a", (call,), [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]))
    assert faults(out, Accent()) == []
    assert out["messages"][1]["tool_calls"][0]["function"]["name"] == "Gone"
