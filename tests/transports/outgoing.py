"""What Claude Code sends at its richest, and what of a request goes out over the anthropic wire."""

from __future__ import annotations

from typing import Any

import orjson

from engine import Ask
from tests.transports.asks import body
from transports import _outgoing

#: What Claude Code sends, with a block of every sort that somebody refuses.
RICH: dict[str, Any] = body(
    system=[
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.328.abc; cc_entrypoint=cli;"},
        {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
    ],
    tools=[
        {"name": "Read", "description": "reads", "input_schema": {"type": "object"}, "strict": True},
        {"name": "Later", "input_schema": {"type": "object"}, "defer_loading": True},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
    ],
    tool_choice={"type": "tool", "name": "Read"},
    thinking={"type": "adaptive", "display": "updates"},
    context_management={"edits": []},
    output_config={"effort": "high"},
    metadata={"user_id": "u"},
    safeguards={},
    messages=[
        {"role": "user", "content": "one"},
        {"role": "system", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": ""}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {}},
                                          {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                                          {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [
            {"type": "tool_reference", "tool_name": "Grep"}, {"type": "text", "text": "three"}]}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t2", "content": "four"}]},
        {"role": "system", "content": []},
        {"role": "user", "content": "five"},
    ],
)  # fmt: skip


def sent(asked: Ask) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(_outgoing.body(asked))
    return parsed
