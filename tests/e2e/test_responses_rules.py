"""The checker of Responses bodies refuses what it is there to refuse, by name, and nothing that is right."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from .responses_asks import as_messages
from .responses_rules import breaches
from .scripts import Ask
from .wire import SIGNATURE

PICTURE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}


def text(kind: str, words: str) -> dict[str, Any]:
    return {"type": f"{kind}_text", "text": words}


def call(id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": id, "name": "Read", "arguments": '{"file_path": "a"}'}


def output(id: str, said: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": id, "output": said}


def good() -> dict[str, Any]:
    """A right body: 0 user, 1 reasoning, 2 assistant, 3-4 calls, 5-6 outputs, 7 user."""
    schema = {"type": "object", "properties": {"cache_control": {"type": "string"}}}
    thought = {"type": "reasoning", "summary": [text("summary", "why")], "encrypted_content": SIGNATURE}
    return {
        "model": "m",
        "instructions": "[[say not for you]]",
        "input": [
            {"type": "message", "role": "user", "content": [text("input", "[[look a]]"), PICTURE]},
            thought,
            {"type": "message", "role": "assistant", "content": [text("output", "so far")]},
            call("call_1"),
            call("call_2"),
            output("call_2", [text("input", "two"), PICTURE]),
            output("call_1", "one"),
            {"type": "message", "role": "user", "content": [PICTURE]},
        ],
        "max_output_tokens": 100,
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "high", "summary": "auto"},
        "tools": [{"type": "function", "name": "Read", "parameters": schema, "strict": False}],
        "tool_choice": {"type": "function", "name": "Read"},
        "parallel_tool_calls": False,
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}},
        "prompt_cache_key": "k",
    }


def test_a_right_body_is_right() -> None:
    """Everything that may be there."""
    assert breaches(good()) == []


@pytest.mark.parametrize(
    ("path", "value", "breach"),
    [
        (["stop"], ["a"], "stop: no such field"),
        (["top_k"], 5, "top_k: no such field"),
        (["messages"], [], "messages: no such field"),
        (["system"], "s", "system: no such field"),
        (["max_output_tokens"], 15, "max_output_tokens: 15 is not from 16"),
        (["metadata"], {"user_id": "u"}, "metadata.user_id: Anthropic's"),
        (["tools"], [], "tools: 0 of them"),
        (["tools", 0, "function"], {}, "tools[0].function: no such field"),
        (["tools", 0, "cache_control"], {}, "tools[0].cache_control: no such field"),
        (["tool_choice"], {"type": "function", "name": "Bash"}, "tool_choice: 'Bash' is none of the tools"),
        (["input", 0, "content"], [text("output", "x")], "input[0].content[0].type"),
        (["input", 1, "id"], "rs_1", "input[1].id: no such field"),
        (["input", 1, "encrypted_content"], "gAAAA", "input[1]: the encrypted content could not be verified"),
        (["input", 3, "call_id"], "x" * 65, "input[3].call_id"),
        (["input", 3, "call_id"], "call_2", "input[4].call_id: 'call_2' is another call's"),
        (["input", 3, "arguments"], "[]", "input[3].arguments: not the JSON of an object"),
        (["input", 6, "call_id"], "call_9", "input[6].call_id: no call 'call_9' waits"),
        (["input", 6], {"type": "message", "role": "user", "content": "hm"}, "input[6]: comes before the output"),
        (
            ["input", 2],
            {"type": "message", "role": "user", "content": "hm"},
            "input[1]: of type 'reasoning' was provided",
        ),
        (["input", 0, "content", 0, "text"], "x-anthropic-billing-header: a", "Claude Code's attribution"),
        (["prompt_cache_key"], "hedgerow.host/m.", "the proxy's own signature"),
    ],
)
def test_what_is_wrong_is_named(path: list[Any], value: Any, breach: str) -> None:
    """One change, and the breach that it makes."""
    body = deepcopy(good())
    inner: Any = body
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert any(breach in found for found in breaches(body)), breaches(body)


def test_what_was_asked_is_read_as_on_the_other_wires() -> None:
    """The newest script, its results with their pictures, the assistant's words, thinking with its signature."""
    seen = Ask(as_messages(good()))
    assert (seen.turn().name, seen.turn().argument, seen.said()) == ("look", "a", ("so far",))
    assert [(result.text, len(result.images)) for result in seen.turn().results] == [("two", 1), ("one", 1)]
    assert seen.tool_names == {"Read"}
    thoughts = [block for m in seen.body["messages"] for block in m["content"] if isinstance(block, dict)]
    assert [block["signature"] for block in thoughts if block["type"] == "thinking"] == [SIGNATURE]
