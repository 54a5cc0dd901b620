"""What a `generateContent` request may hold, by Google's published description: everything else is refused as Google does.

A lenient fake hides the worst translation faults: Gemini refuses a field that it has not heard of at any depth, contents
out of turn, a call that is not answered or comes back unsigned, a keyword outside its part of OpenAPI. So there is no list of
what must not be there, but one of what may, down to the last part of a content, and on top of it the rules of the
conversation. A breach is the text of Google's own 400, since a proxy goes by that.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Generator, Iterator, Mapping
from typing import Any

NONE = "skip_thought_signature_validator"
MISSING = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly."
)
CORRUPTED = "Corrupted thought signature."

_SIGNED_BY_US = b"signed:"
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}", re.ASCII)
_MEDIA = frozenset(
    ["image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "application/pdf", "text/plain", "audio/wav"]
)
_TOP = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent"}
_CONFIG = {
    "maxOutputTokens", "temperature", "topP", "topK", "stopSequences", "responseMimeType", "responseJsonSchema",
    "responseSchema", "thinkingConfig", "candidateCount", "seed", "presencePenalty", "frequencyPenalty",
}  # fmt: skip
_THINKING = {"includeThoughts", "thinkingBudget", "thinkingLevel"}
_PART = {"text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "functionResponse"}
_DATA = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_DECLARATION = {"name", "description", "parameters", "parametersJsonSchema", "response", "behavior"}
_OPENAPI = {
    "type", "format", "title", "description", "nullable", "enum", "items", "properties", "required", "anyOf", "minItems",
    "maxItems", "minimum", "maximum", "minLength", "maxLength", "pattern", "default", "example", "propertyOrdering",
    "minProperties", "maxProperties",
}  # fmt: skip


def signature(of: str) -> str:
    """One of this host's own."""
    return base64.b64encode(_SIGNED_BY_US + of.encode()).decode()


def breaches(body: Any, *, signs: bool = True) -> list[str]:
    """Every breach in one body. `signs`: a model that checks thought signatures (Gemini 3)."""
    form = list(_form(body))
    return form or [*_conversation(body["contents"]), *(_signatures(body["contents"]) if signs else ())]


# Forms.


def _unknown(value: Mapping[str, Any], known: set[str], where: str) -> Iterator[str]:
    at = f" at '{where}'" if where else ""
    for name in value:
        if name not in known:
            yield f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'


def _form(body: Any) -> Iterator[str]:
    if not isinstance(body, dict):
        yield "Invalid JSON payload received."
        return
    yield from _unknown(body, _TOP, "")
    if "systemInstruction" in body:
        yield from _content(body["systemInstruction"], "system_instruction", texts_only=True)
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        yield "* GenerateContentRequest.contents: contents is not specified"
        return
    for number, content in enumerate(contents):
        yield from _content(content, f"contents[{number}]")
    names = yield from _tools(body.get("tools", []))
    yield from _choice(body.get("toolConfig"), names)
    yield from _config(body.get("generationConfig", {}))
    if names and body.get("generationConfig", {}).get("responseMimeType") == "application/json":
        yield "Function calling with a response mime type: 'application/json' is unsupported"


def _content(content: Any, where: str, *, texts_only: bool = False) -> Iterator[str]:
    yield from _unknown(content, {"role", "parts"} - ({"role"} if texts_only else set()), where)
    parts = content.get("parts")
    if not isinstance(parts, list) or not parts:
        yield f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty."
        return
    for number, part in enumerate(parts):
        yield from _part(part, f"{where}.parts[{number}]", texts_only=texts_only)


def _part(part: Any, where: str, *, texts_only: bool) -> Iterator[str]:
    yield from _unknown(part, _PART, where)
    if sum(name in part for name in _DATA) != 1 or (texts_only and "text" not in part):
        yield f"* GenerateContentRequest.{where}.data: required oneof field 'data' must have one initialized field"
        return
    if "text" in part and not (isinstance(part["text"], str) and (part["text"] or "thoughtSignature" in part)):
        yield f"Invalid value at '{where}.text'"
    if "inlineData" in part:
        yield from _data(part["inlineData"], where)
    if "functionCall" in part:
        call = part["functionCall"]
        yield from _unknown(call, {"id", "name", "args"}, f"{where}.function_call")
        yield from _named(call, f"{where}.function_call")
        if not isinstance(call.get("args"), dict):
            yield f"Invalid value at '{where}.function_call.args' (type.googleapis.com/google.protobuf.Struct)"
    if "functionResponse" in part:
        response = part["functionResponse"]
        yield from _unknown(response, {"id", "name", "response", "parts"}, f"{where}.function_response")
        yield from _named(response, f"{where}.function_response")
        if not isinstance(response.get("response"), dict):
            yield f"Invalid value at '{where}.function_response.response' (type.googleapis.com/google.protobuf.Struct)"
        for inner in response.get("parts", ()):
            yield from _unknown(inner, {"inlineData"}, f"{where}.function_response.parts")
            yield from _data(inner.get("inlineData"), where)


def _data(data: Any, where: str) -> Iterator[str]:
    if not isinstance(data, dict) or data.keys() != {"mimeType", "data"} or not isinstance(data["data"], str):
        yield f"Invalid value at '{where}.inline_data'"
    elif data["mimeType"] not in _MEDIA:
        yield f"Unsupported MIME type: {data['mimeType']}"


def _named(value: Mapping[str, Any], where: str) -> Iterator[str]:
    if not isinstance(value.get("name"), str) or not _NAME.fullmatch(value["name"]):
        yield f"Invalid function name at '{where}'. Must start with a letter or an underscore."
    if not isinstance(value.get("id", "x"), str):
        yield f"Invalid value at '{where}.id' (TYPE_STRING)"


def _tools(tools: Any) -> Generator[str, None, list[str]]:
    names: list[str] = []
    if not isinstance(tools, list):
        yield "Invalid value at 'tools'"
        return names
    for number, tool in enumerate(tools):
        yield from _unknown(tool, {"functionDeclarations"}, f"tools[{number}]")
        for place, one in enumerate(tool.get("functionDeclarations") or [{}]):
            where = f"tools[{number}].function_declarations[{place}]"
            yield from _unknown(one, _DECLARATION, where)
            yield from _named(one, where)
            names.append(one.get("name", ""))
            if "parameters" in one and "parametersJsonSchema" in one:
                yield f"{where}: parameters and parameters_json_schema are mutually exclusive"
            if "parameters" in one:
                yield from _openapi(one["parameters"], f"{where}.parameters")
            if "parametersJsonSchema" in one and one["parametersJsonSchema"].get("type") != "object":
                yield f"{where}.parameters_json_schema: should be of type object"
    if len(set(names)) < len(names):
        yield "Duplicate function declaration found"
    return names


def _openapi(schema: Any, where: str) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield f"Invalid value at '{where}'"
        return
    yield from _unknown(schema, _OPENAPI, where)
    if not isinstance(schema.get("type", ""), str):
        yield f"Proto field is not repeating, cannot start list at '{where}.type'"
    if "enum" in schema and (schema.get("type") != "string" or not all(isinstance(v, str) for v in schema["enum"])):
        yield f"{where}.enum: only allowed for STRING type"
    if schema.get("type") == "array" and "items" not in schema:
        yield f"{where}.items: missing field."
    if schema.get("type") == "object" and where.endswith("parameters") and not schema.get("properties"):
        yield f"{where}.properties: should be non-empty for OBJECT type"
    for name in schema.get("required", ()):
        if name not in schema.get("properties", {}):
            yield f"{where}.required: property is not defined"
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    for one in [*inner, *([schema["items"]] if "items" in schema else [])]:
        yield from _openapi(one, f"{where}.inner")


def _choice(config: Any, names: list[str]) -> Iterator[str]:
    if config is None:
        return
    yield from _unknown(config, {"functionCallingConfig"}, "tool_config")
    choice = config.get("functionCallingConfig", {})
    yield from _unknown(choice, {"mode", "allowedFunctionNames"}, "tool_config.function_calling_config")
    allowed = choice.get("allowedFunctionNames")
    if choice.get("mode") not in ("AUTO", "ANY", "NONE", "VALIDATED") or not names:
        yield "Invalid value at 'tool_config.function_calling_config.mode'"
    if allowed is not None and (choice.get("mode") != "ANY" or not allowed or not set(allowed) <= set(names)):
        yield "allowed_function_names should only be set when the mode is ANY, and name functions that are declared"


def _config(config: Any) -> Iterator[str]:
    yield from _unknown(config, _CONFIG, "generation_config")
    thinking = config.get("thinkingConfig", {"includeThoughts": True})
    yield from _unknown(thinking, _THINKING, "generation_config.thinking_config")
    if {"thinkingBudget", "thinkingLevel"} <= thinking.keys():
        yield "You can only set only one of thinking budget and thinking level."
    if not thinking or thinking.get("thinkingLevel", "low") not in ("minimal", "low", "medium", "high"):
        yield "Invalid value at 'generation_config.thinking_config.thinking_level'"
    if type(thinking.get("thinkingBudget", 0)) is not int or not -1 <= thinking.get("thinkingBudget", 0) <= 32_768:
        yield "The thinking budget is invalid. Please choose a value between 128 and 32768."
    cap = config.get("maxOutputTokens", 1)
    if type(cap) is not int or cap < 1:
        yield "max_output_tokens must be positive."
    stops = config.get("stopSequences", ["x"])
    if not isinstance(stops, list) or not 1 <= len(stops) <= 5 or not all(isinstance(s, str) and s for s in stops):
        yield "stop_sequences: at most 5, and none of them empty"
    if not 0 <= config.get("temperature", 0) <= 2:
        yield "temperature must be in the range [0, 2]"
    if "responseJsonSchema" in config and config.get("responseMimeType") != "application/json":
        yield "response_json_schema needs a response mime type of application/json"


# The conversation.


def _conversation(contents: list[Any]) -> Iterator[str]:
    roles = [content.get("role") for content in contents]
    if roles != [("user", "model")[n % 2] for n in range(len(roles))]:
        yield "Please ensure that multiturn requests alternate between user and model."
    if roles[-1] != "user":
        yield "Please ensure that multiturn requests end with a user role or a function response."
    called: list[Any] = []
    for number, content in enumerate(contents):
        answers = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        if len(answers) != len(called):
            yield (
                "Please ensure that the number of function response parts is equal to the number of function call parts "
                "of the function call turn."
            )
        elif [(one.get("id"), one["name"]) for one in answers] != [(one.get("id"), one["name"]) for one in called]:
            yield f"contents[{number}]: function responses out of the order of their calls"
        kinds = ["functionResponse" in part for part in content["parts"]]
        if kinds != sorted(kinds, reverse=True):
            yield f"contents[{number}]: function responses come immediately after the function call turn"
        if calls and content.get("role") != "model":
            yield "Please ensure that function call turns are the model's."
        ids = [call["id"] for call in calls if "id" in call]
        if len(set(ids)) < len(ids):
            yield f"contents[{number}]: function calls of one id"
        called = calls


def _signatures(contents: list[Any]) -> Iterator[str]:
    """In every turn, which is stricter than the host: where a turn begins is told by what cannot be told apart here."""
    for content in contents:
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and not calls[0].get("thoughtSignature"):
            yield MISSING
        for part in content["parts"]:
            given = part.get("thoughtSignature", NONE)
            if given != NONE and not _is_ours(given):
                yield CORRUPTED


def _is_ours(given: Any) -> bool:
    try:
        return base64.b64decode(given, validate=True).startswith(_SIGNED_BY_US)
    except (binascii.Error, TypeError, ValueError):
        return False
