"""Tools that are deferred: offered once the conversation has found them."""

from __future__ import annotations

from typing import Any

import pytest

from transports._deferred import offered

SEARCH = {"name": "ToolSearch", "input_schema": {}}
FETCH = {"name": "WebFetch", "input_schema": {}, "defer_loading": True}
EDIT = {"name": "NotebookEdit", "input_schema": {}, "defer_loading": True}
REFERENCE = {"type": "tool_reference", "tool_name": "WebFetch"}


def names(*messages: Any) -> list[str]:
    return [tool["name"] for tool in offered({"tools": [SEARCH, FETCH, EDIT], "messages": list(messages)})]


def test_what_nobody_has_found_is_not_offered() -> None:
    """It would fill the window."""
    assert names({"role": "user", "content": "hi"}) == ["ToolSearch"]


def test_what_a_search_has_named_is_offered_from_then_on() -> None:
    """Claude Code marks it as deferred ever after; the reference in its history is what tells."""
    result = {"type": "tool_result", "tool_use_id": "t", "content": [REFERENCE, {"type": "text", "text": "found"}]}
    assert names({"role": "user", "content": [result]}, {"role": "user", "content": "go"}) == ["ToolSearch", "WebFetch"]
    assert names({"role": "user", "content": [REFERENCE]}) == ["ToolSearch", "WebFetch"]


@pytest.mark.parametrize("tools", [None, 7, "x", [], [7]])
def test_what_is_no_list_of_tools_has_none(tools: Any) -> None:
    """Whatever a client sends."""
    assert offered({"tools": tools}) == []
    assert (
        offered({"tools": [FETCH], "messages": [7, {"content": [None, {"type": "tool_result", "content": 3}]}]}) == []
    )
