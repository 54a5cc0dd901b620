"""The strict host of Gemini's wire: what it must refuse, and that it takes what is right."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from .gemini_rules import CORRUPTED, MISSING, NONE, breaches, signature

CALL = {"functionCall": {"name": "read", "args": {}, "id": "a"}, "thoughtSignature": signature("a")}
RESPONSE = {"functionResponse": {"name": "read", "id": "a", "response": {"result": "x"}}}
SECOND = {"functionCall": {"name": "ls", "args": {}, "id": "b"}}
GOOD: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "sys"}]},
    "contents": [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [{"text": "I look."}, CALL]},
        {"role": "user", "parts": [RESPONSE, {"text": "on"}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "read", "parametersJsonSchema": {"type": "object"}}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["read"]}},
    "generationConfig": {"maxOutputTokens": 9, "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "low"}},
}


def with_(path: str, value: Any) -> dict[str, Any]:
    """The good body with one thing in it changed."""
    body: Any = deepcopy(GOOD)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    at = body
    for part in parents:
        at = at[part]
    at[last] = value
    return dict(body)


def test_what_is_right_is_taken() -> None:
    """Signed by this host, or by Google's word for doing without."""
    assert breaches(GOOD) == []
    assert breaches(with_("contents.1.parts.1.thoughtSignature", NONE)) == []


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("model", "m", 'Unknown name "model": Cannot find field.'),
        ("generationConfig.max_tokens", 5, "Unknown name \"max_tokens\" at 'generation_config': Cannot find field."),
        (
            "generationConfig.thinkingConfig.thinkingBudget",
            5,
            "only set only one of thinking budget and thinking level",
        ),
        ("generationConfig.maxOutputTokens", 0, "max_output_tokens must be positive"),
        ("generationConfig.stopSequences", list("abcdef"), "at most 5"),
        ("generationConfig.responseMimeType", "application/json", "'application/json' is unsupported"),
        ("contents.0.parts.0.cache_control", {}, "Unknown name \"cache_control\" at 'contents[0].parts[0]'"),
        ("contents.0.parts.0.text", "", "Invalid value at 'contents[0].parts[0].text'"),
        ("contents.0.parts", [], "contents.parts must not be empty"),
        (
            "contents.0.parts.0",
            {"inlineData": {"mimeType": "image/gif", "data": ""}},
            "Unsupported MIME type: image/gif",
        ),
        ("contents.0.role", "model", "alternate between user and model"),
        ("contents.1.role", "assistant", "alternate between user and model"),
        ("contents.1.parts.1.functionCall.args", "{}", "function_call.args"),
        ("contents.1.parts.1.functionCall.type", "x", 'Unknown name "type"'),
        ("contents.1.parts.1.thoughtSignature", "", MISSING),
        ("contents.1.parts.1.thoughtSignature", "EqQBCg", CORRUPTED),
        ("contents.1.parts.1.functionCall.id", "c", "out of the order of their calls"),
        ("contents.1.parts", [CALL, SECOND], "number of function response parts is equal"),
        ("contents.2.parts", [{"text": "on"}], "number of function response parts is equal"),
        ("contents.2.parts", [{"text": "on"}, RESPONSE], "come immediately after the function call turn"),
        ("contents.2.parts.0.functionResponse.response", "x", "function_response.response"),
        ("contents.2.parts.0.functionResponse.name", "ls", "out of the order of their calls"),
        ("tools.0.functionDeclarations.0.input_schema", {}, 'Unknown name "input_schema"'),
        ("tools.0.functionDeclarations.0.name", "9", "Must start with a letter"),
        ("tools.0.functionDeclarations.0.parameters", {"type": "object", "properties": {"a": {"$ref": "#"}}}, '"$ref"'),
        ("tools.0.functionDeclarations.0.parameters", {"type": "object"}, "should be non-empty for OBJECT type"),
        ("toolConfig.functionCallingConfig.allowedFunctionNames", ["gone"], "allowed_function_names"),
    ],
)
def test_what_is_wrong_is_refused_in_googles_words(path: str, value: Any, text: str) -> None:
    """Each by itself."""
    assert any(text in breach for breach in breaches(with_(path, value))), breaches(with_(path, value))
