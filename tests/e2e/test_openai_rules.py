"""The checker of chat-completions bodies refuses what it is there to refuse, by name, and nothing that is right."""

from __future__ import annotations

from copy import deepcopy
from functools import reduce
from typing import Any

import pytest

from .openai_rules import breaches, head_breaches

BASH = {
    "type": "function",
    "function": {"name": "Bash", "description": "Run", "parameters": {"type": "object", "properties": {}}},
}


def call(id: str) -> dict[str, Any]:
    """A call of Bash."""
    return {"id": id, "type": "function", "function": {"name": "Bash", "arguments": '{"command": "ls"}'}}


def good() -> dict[str, Any]:
    """A right body with something of everything: 0 system, 1 user, 2 assistant, 3-4 tool, 5 user."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "auto"}}
    paper = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}}
    schema = {"type": "object", "properties": {"cache_control": {"type": "string"}}}
    return {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Look."}, picture, paper]},
            {"role": "assistant", "content": None, "tool_calls": [call("call_1"), call("call_2")]},
            {"role": "tool", "tool_call_id": "call_2", "content": "two"},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "one"}]},
            {"role": "user", "content": "And?"},
        ],
        "max_tokens": 100,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [BASH],
        "tool_choice": {"type": "function", "function": {"name": "Bash"}},
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "stop": ["end"],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}},
        "reasoning_effort": "high",
        "metadata": {"team": "search"},
    }


def test_a_right_body_is_right() -> None:
    """Also where a schema of the user's own has a property of a telling name."""
    assert breaches(good()) == []
    assert breaches({"model": "m", "messages": [{"role": "user", "content": "hello"}]}) == []


@pytest.mark.parametrize(
    "field",
    ["system", "thinking", "output_config", "context_management", "safeguards", "betas", "stop_sequences", "top_k"],
)
def test_a_field_of_another_wire_is_refused(field: str) -> None:
    """At the top level, where most of them leak."""
    assert breaches({**good(), field: {}}) == [f"{field}: no such field"]


MISSING = object()


@pytest.mark.parametrize(
    ("place", "value", "breach"),
    [
        # Fields of Anthropic's further down.
        ("messages.1.content.0.cache_control", {"type": "ephemeral"}, "cache_control: no such field"),
        ("messages.0.cache_control", {"type": "ephemeral"}, "messages[0].cache_control: no such field"),
        ("messages.2.reasoning_content", "hm", "messages[2].reasoning_content: no such field"),
        ("messages.2.signature", "x", "messages[2].signature: no such field"),
        ("messages.3.is_error", True, "messages[3].is_error: no such field"),
        ("messages.3.tool_use_id", "call_2", "messages[3].tool_use_id: no such field"),
        ("messages.5.tool_call_id", "call_2", "messages[5].tool_call_id: no such field"),
        ("messages.4.content.0", {"type": "tool_reference", "tool_name": "x"}, "messages[4].content"),
        ("messages.1.content.1", {"type": "image", "source": {}}, "'image' is none of"),
        ("messages.1.content.1.image_url.url", "AA==", "messages[1].content[1].image_url.url"),
        ("messages.1.role", "human", "messages[1].role: 'human' is none of"),
        ("tools.0.input_schema", {}, "tools[0].input_schema: no such field"),
        ("tools.0.function.defer_loading", True, "tools[0].function.defer_loading: no such field"),
        ("tool_choice", {"type": "any"}, "tool_choice"),
        ("metadata", {"user_id": "{}"}, "metadata.user_id: Anthropic's"),
        ("stream_options.include_obfuscation", True, "stream_options.include_obfuscation: no such field"),
        # Values.
        ("model", "", "model: empty"),
        ("model", MISSING, "model: missing"),
        ("messages", [], "messages: 0 of them"),
        ("max_tokens", 0, "max_tokens: 0 is not from 1"),
        ("max_tokens", 1.5, "max_tokens: not a whole number"),
        ("max_tokens", True, "max_tokens: not a whole number"),
        ("stream", 1, "stream: '1' is none of"),
        ("temperature", 3, "temperature: 3 is not from 0 to 2"),
        ("stop", [], "stop: 0 of them"),
        ("stop", ["a", "b", "c", "d", "e"], "stop: 5 of them"),
        ("reasoning_effort", "lots", "reasoning_effort: 'lots' is none of"),
        ("response_format.json_schema.name", "my answer", "response_format.json_schema.name"),
        ("response_format", {"type": "json_schema", "schema": {}}, "response_format.json_schema: missing"),
        ("metadata", {"deep": {}}, "metadata: not at most 16 texts"),
        # Emptiness.
        ("messages.0.content", "", "messages[0].content: empty"),
        ("messages.1.content", [], "messages[1].content: 0 of them"),
        ("messages.1.content.0.text", " ", "messages[1].content[0].text: empty"),
        ("messages.3.content", "", "messages[3].content: empty"),
        ("messages.5.content", None, "messages[5].content: not a text"),
        ("messages.5", {"role": "assistant", "content": ""}, "messages[5].content: empty"),
        ("messages.5", {"role": "assistant"}, "messages[5].content: missing"),
        # Tools and calls.
        ("tools", [], "tools: 0 of them"),
        ("tools.0.function.name", "mcp.server/tool", "tools[0].function.name"),
        ("tools.0.function.name", "x" * 65, "tools[0].function.name"),
        ("tools.0.function.parameters", {"type": "array"}, "parameters.type: 'array' is not 'object'"),
        ("tools", [BASH, BASH], "tools: two of one name"),
        ("tool_choice.function.name", "Read", "tool_choice: 'Read' is none of the tools"),
        ("messages.2.tool_calls", [], "messages[2].tool_calls: 0 of them"),
        ("messages.2.tool_calls.0.function.arguments", {}, "arguments: not the JSON of an object"),
        ("messages.2.tool_calls.0.function.arguments", "", "arguments: not the JSON of an object"),
        ("messages.2.tool_calls.0.function.arguments", "[1]", "arguments: not the JSON of an object"),
        ("messages.2.tool_calls.0.function.name", "a b", "messages[2].tool_calls[0].function.name"),
        ("messages.2.tool_calls.0.id", "x" * 41, "messages[2].tool_calls[0].id"),
        ("messages.2.tool_calls.0.type", "tool_use", "messages[2].tool_calls[0].type"),
        # Who follows whom.
        ("messages.2.tool_calls.1.id", "call_1", "two of one id"),
        ("messages.3", MISSING, "comes before the result of call 'call_2'"),
        ("messages.3", {"role": "user", "content": "wait"}, "messages[3]: comes before the result of call 'call_1'"),
        ("messages.3.tool_call_id", "call_1", "messages[4].tool_call_id: 'call_1' is none of the calls that wait"),
        ("messages.5", {"role": "tool", "tool_call_id": "call_1", "content": "x"}, "is none of the calls that wait"),
        ("messages.5", {"role": "assistant", "content": "", "tool_calls": [call("a")]}, "messages: end before"),
        # What stands beside what.
        ("max_completion_tokens", 9, "max_tokens: beside max_completion_tokens"),
        ("stream", False, "stream_options: without stream"),
        ("tools", MISSING, "parallel_tool_calls: without tools"),
        # What hides in texts.
        ("messages.0.content", "x-anthropic-billing-header: cc_version=1;", "messages[0].content: Claude Code's"),
        ("messages.5.content", "hedgerow.a/b.e30=", "messages[5].content: the proxy's own signature"),
    ],
)
def test_a_bad_body_is_refused_with_the_place(place: str, value: Any, breach: str) -> None:
    """One change to the right body, and words that say which rule it breaks and where."""
    body = deepcopy(good())
    way: list[Any] = [int(step) if step.isdecimal() else step for step in place.split(".")]
    last = way.pop()
    holder: Any = reduce(lambda inner, step: inner[step], way, body)
    if value is MISSING:
        del holder[last]
    else:
        holder[last] = value
    found = breaches(body)
    assert any(breach in text for text in found), found


def test_what_is_no_object_is_refused() -> None:
    """At the top and as a message."""
    assert breaches([]) == ["body: not an object"]
    assert breaches({"model": "m", "messages": ["hi"]}) != []


def test_heads_of_others_are_refused() -> None:
    """Anthropic's, the client's, and the client's own key."""
    right = {"host": "h", "content-type": "application/json", "authorization": "Bearer provider", "accept": "*/*"}
    assert head_breaches(right) == []
    wrong = {"anthropic-beta": "x", "x-claude-code-session-id": "1", "x-app": "cli", "authorization": "Bearer scripted"}
    assert [text.partition(":")[0] for text in head_breaches(wrong)] == [f"header {name}" for name in wrong]
