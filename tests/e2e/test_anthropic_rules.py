"""The checkers of Messages bodies refuse what they are there to refuse, in the host's words, and nothing that is right."""

from __future__ import annotations

from copy import deepcopy
from functools import reduce
from typing import Any

import pytest

from .anthropic_rules import anthropic_breaches, reduced_breaches
from .wire import SIGNATURE


def used(id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "Bash", "input": {"command": "ls"}}


def result(id: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": "x"}]}


def good() -> dict[str, Any]:
    """A right body: 0 user, 1 assistant with thinking and two calls, 2 results, 3 system, 4 assistant, 5 user."""
    return {
        "model": "m",
        "max_tokens": 9000,
        "messages": [
            {"role": "user", "content": "Go."},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": SIGNATURE},
                    {"type": "redacted_thinking", "data": SIGNATURE},
                    used("toolu_1"),
                    used("toolu_2"),
                ],
            },
            {"role": "user", "content": [result("toolu_2"), result("toolu_1")]},
            {"role": "system", "content": "A word in between."},
            {"role": "assistant", "content": [{"type": "text", "text": "Done."}]},
            {"role": "user", "content": [{"type": "text", "text": "And?"}]},
        ],
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "a_field_of_next_week": True,
    }


def changed(path: str, value: Any) -> dict[str, Any]:
    """The right body with one place changed; None takes it out."""
    body = deepcopy(good())
    steps: list[Any] = [int(step) if step.isdecimal() else step for step in path.split(".")]
    last = steps.pop()
    at: Any = reduce(lambda inner, step: inner[step], steps, body)
    if value is None:
        del at[last]
    else:
        at[last] = value
    return body


def test_what_is_right_passes() -> None:
    """Unknown fields too: the list is open."""
    assert anthropic_breaches(good()) == []


WRONG: list[tuple[str, Any, str]] = [
    ("messages", [], "at least one message"),
    ("messages.0", None, "first message must use the user role"),
    ("messages.0.role", "tool", "unexpected role tool"),
    ("messages.0.content", "  ", "non-whitespace"),
    ("messages.5.content", [], "non-empty content"),
    ("messages.1.content.0.signature", "other", "Invalid `signature` in `thinking` block"),
    ("messages.1.content.1.data", "other", "Invalid `data` in `redacted_thinking` block"),
    ("messages.1.content.2.id", "functions.Bash:0", "should match pattern"),
    ("messages.1.content.3.id", "toolu_1", "must be unique"),
    ("messages.1.content.2.name", "a b", "tool_use.name"),
    ("messages.1.content.2.input", [], "valid dictionary"),
    ("messages.2.content.0", None, "without `tool_result` blocks immediately after: ['toolu_2']"),
    ("messages.2.content.0.tool_use_id", "toolu_9", "unexpected `tool_use_id` found in `tool_result` blocks: ['toolu_9']"),
    ("messages.2.content.0.tool_use_id", "toolu_1", "unexpected `tool_use_id`"),
    ("messages.2", None, "without `tool_result` blocks"),
    ("messages.5.content", [used("toolu_3")], "can only be in `assistant` messages"),
    ("messages.4.content", [used("toolu_3")], "Expected `thinking` or `redacted_thinking`, but found `tool_use`"),
    ("thinking.budget_tokens", 9000, "`max_tokens` must be greater"),
    ("thinking", {"type": "disabled"}, "requires `thinking` to be enabled or adaptive"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "words"), WRONG)
def test_what_is_wrong_is_named(path: str, value: Any, words: str) -> None:
    """In Anthropic's words, as far as they are known."""
    found = anthropic_breaches(changed(path, value))
    assert any(words in breach for breach in found), found


def test_thinking_may_not_be_joined_by_a_forced_tool() -> None:
    """Of either sort."""
    assert any("forces tool use" in one for one in anthropic_breaches({**good(), "tool_choice": {"type": "any"}}))


def test_a_host_that_merely_speaks_the_wire_takes_less() -> None:
    """No field and no block that it has not heard of, no third role; but any signature."""
    body = good()
    for name in ("context_management", "a_field_of_next_week"):
        del body[name]
    del body["messages"][3]
    body["messages"][1]["content"][0]["signature"] = ""
    assert reduced_breaches(body) == []
    wrong = deepcopy(good())
    wrong["tools"] = [{"type": "web_search_20250305", "name": "web_search"}]
    wrong["messages"][5]["content"].append({"type": "document", "source": {}})
    wrong["thinking"] = {"type": "adaptive"}
    found = "\n".join(reduced_breaches(wrong))
    for words in (
        "a_field_of_next_week: Extra inputs", "context_management: Extra inputs", "tools.0.type: Extra inputs",
        "tools.0.input_schema: Field required", "Input tag 'document'", "roles must alternate", "thinking.type",
    ):  # fmt: skip
        assert words in found
