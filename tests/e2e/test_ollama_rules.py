"""The checker of Ollama's bodies refuses what it is there to refuse, by name, and nothing that is right."""

from __future__ import annotations

from copy import deepcopy
from functools import reduce
from typing import Any

import pytest

from .ollama_rules import ollama_breaches

BASH = {
    "type": "function",
    "function": {"name": "Bash", "parameters": {"type": "object", "properties": {"c": {"type": "string"}}}},
}


def call(id: str, name: str = "Bash") -> dict[str, Any]:
    """A call."""
    return {"id": id, "function": {"name": name, "arguments": {"command": "ls"}}}


def answer(id: str, name: str = "Bash") -> dict[str, Any]:
    return {"role": "tool", "tool_name": name, "tool_call_id": id, "content": "x"}


def good() -> dict[str, Any]:
    """A right body with something of everything: 0 system, 1 user, 2 assistant, 3-4 tool, 5 user."""
    return {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "", "images": ["AAAA"]},
            {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [call("c1"), call("c2", "Read")]},
            answer("c1"),
            answer("c2", "Read"),
            {"role": "user", "content": "And?"},
        ],
        "stream": True,
        "truncate": False,
        "shift": False,
        "think": "low",
        "keep_alive": "1h30m",
        "format": {"type": "object"},
        "tools": [BASH],
        "options": {"num_ctx": 4096, "num_predict": 100, "temperature": 0.5, "top_p": 1, "top_k": 40, "stop": ["end"]},
    }


def test_a_right_body_is_right() -> None:
    """With much and with little in it."""
    assert ollama_breaches(good()) == []
    little = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "truncate": False, "shift": False}
    assert ollama_breaches(little) == []


@pytest.mark.parametrize(
    ("place", "value", "breach"),
    [
        (("max_tokens",), 1, "max_tokens: no such field"),
        (("tool_choice",), "auto", "tool_choice: no such field"),
        (("messages", 1, "cache_control"), {}, "messages[1].cache_control: no such field"),
        (("messages", 1, "content"), [], "messages[1].content: not a text"),
        (("messages", 1, "images"), ["https://x"], "messages[1].images[0]: not base64"),
        (("messages", 2, "tool_calls", 0, "function", "arguments"), "{}",
         "messages[2].tool_calls[0].function.arguments: not an object"),
        (("messages", 3, "tool_name"), "Read", "messages[3]: answers none of the calls that wait, ('Read', 'c1')"),
        (("messages", 5, "content"), " ", "messages[5]: says nothing"),
        (("options", "num_ctx"), "4096", "options.num_ctx: not a whole number"),
        (("options", "max"), 1, "options.max: no such field"),
        (("think",), "xhigh", "think: 'xhigh' is none of (True, False, 'low', 'medium', 'high', 'max')"),
        (("truncate",), True, "truncate: not false"),
        (("tools", 0, "function", "parameters", "additionalProperties"), False,
         "tools[0].function.parameters.additionalProperties: no such keyword"),
        (("tools", 0, "function", "parameters", "properties", "c"), True,
         "tools[0].function.parameters.properties.c: not an object"),
        (("messages", 5, "content"), "x-anthropic-billing-header: x", "messages[5].content: Claude Code's attribution"),
        (("messages", 2, "thinking"), "hedgerow.a/b.", "messages[2].thinking: the proxy's own signature"),
    ],
)  # fmt: skip
def test_a_breach_is_named(place: tuple[Any, ...], value: Any, breach: str) -> None:
    """With its place."""
    body = deepcopy(good())
    *parents, last = place
    reduce(lambda inner, part: inner[part], parents, body)[last] = value
    assert breach in ollama_breaches(body)


@pytest.mark.parametrize(
    ("at", "messages", "breach"),
    [
        (3, [], "messages[3]: answers none of the calls that wait, ('Read', 'c2')"),
        (4, [], "messages[4]: comes before the result of ('Read', 'c2')"),
        (5, [{"role": "assistant", "content": "so"}], "messages: end with an answer"),
        (5, [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "messages[6]: user after user"),
        (5, [{"role": "system", "content": "s"}], "messages[5]: a system prompt in the middle"),
        (5, [{"role": "developer", "content": "s"}],
         "messages[5].role: 'developer' is none of ('system', 'user', 'assistant', 'tool')"),
    ],
)  # fmt: skip
def test_the_order_is_kept(at: int, messages: list[Any], breach: str) -> None:
    """What may follow what."""
    body = good()
    body["messages"][at : at + 1] = messages
    assert breach in ollama_breaches(body)
