"""A Messages request as a `generateContent` request.

Gemini knows every field or refuses the request, at any depth. So nothing goes out but what its description has and the
model's generation takes; what a host was found to refuse is left out from then on, or said otherwise: a schema in the
older form, thinking without its amount, structured output in words.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine import JSON, Ask
from transports.gemini._content import Reader
from transports.gemini._history import History
from transports.gemini._model import Generation
from transports.gemini._names import gemini_name
from transports.gemini._signatures import NONE
from transports.translate._cap import cap_of
from transports.translate._effort import wanted
from transports.translate._formats import in_words, schema_wanted
from transports.translate._schemas import fitted
from transports.translate._texts import system_text, word
from transports.translate._tools import Toolbox, sendable_name

#: Stop sequences that Gemini takes.
MAX_STOPS = 5
_MAX_TEMPERATURE = 2.0

#: What it can be without, or say otherwise, where a host refuses it. The dotted ones are fields whose own name is a word.
OPTIONAL = frozenset(
    [
        "functionCall.id", "functionResponse.parts", "includeThoughts", "parametersJsonSchema", "responseJsonSchema",
        "responseMimeType", "stopSequences", "temperature", "thinkingBudget", "thinkingConfig", "thinkingLevel",
        "thoughtSignature", "toolConfig", "topK", "topP",
    ]
)  # fmt: skip


def body_of(ask: Ask, toolbox: Toolbox) -> JSON:
    """The body. `ask.learned.without` names what this candidate was found to refuse."""
    body, without = ask.request.body, ask.learned.without
    generation = Generation.of(ask.candidate.model)
    history = History(
        Reader(ask.provider.model(ask.candidate.model).capabilities),
        ask.candidate.name,
        signs=generation.signs,
        signed="thoughtSignature" not in without,
        ids=generation.shows_results and "functionCall.id" not in without,
        shows=generation.shows_results and "functionResponse.parts" not in without,
    )
    tools = list(_declared(toolbox, json_schemas=generation.json_schemas and "parametersJsonSchema" not in without))
    words, form = _format(body, generation, without, tools=bool(tools))
    out: JSON = {"contents": history.contents(body["messages"])}
    if system := "\n\n".join(filter(None, (system_text(body.get("system")), words))):
        out["systemInstruction"] = {"parts": [{"text": system}]}
    if tools:
        out["tools"] = [{"functionDeclarations": tools}]
        if (choice := _choice(body, toolbox)) and "toolConfig" not in without:
            out["toolConfig"] = {"functionCallingConfig": choice}
    config = {"maxOutputTokens": cap_of(ask), **form, **_sampling(ask), **_thinking(ask, generation)}
    out["generationConfig"] = {name: value for name, value in config.items() if name not in without}
    return out


def optional_in(body: JSON) -> frozenset[str]:
    """What this body has that a host may refuse, under the names of `OPTIONAL`."""
    config = body["generationConfig"]
    found = {*body, *config, *config.get("thinkingConfig", ())}
    for tool in body.get("tools", ()):
        found.update(*tool["functionDeclarations"])
    for content in body["contents"]:
        for part in content["parts"]:
            found |= {"thoughtSignature"} if part.get("thoughtSignature", NONE) != NONE else set()
            found |= {"functionCall.id"} if "id" in part.get("functionCall", ()) else set()
            found |= {"functionResponse.parts"} if "parts" in part.get("functionResponse", ()) else set()
    return frozenset(found & OPTIONAL)


def _declared(toolbox: Toolbox, *, json_schemas: bool) -> Iterator[JSON]:
    for tool in toolbox.tools.values():
        function: JSON = {"name": gemini_name(tool.sent_as)}
        if tool.description:
            function["description"] = tool.description
        if json_schemas:
            function["parametersJsonSchema"] = fitted(tool.schema, "")
        elif (parameters := fitted(tool.schema, "gemini")) is not None:
            function["parameters"] = parameters
        yield function


def _choice(body: JSON, toolbox: Toolbox) -> JSON:
    given = body.get("tool_choice")
    given = given if isinstance(given, dict) else {}
    name = sendable_name(word(given.get("name")))
    match given.get("type"):
        case "tool" if name in toolbox.names:
            return {"mode": "ANY", "allowedFunctionNames": [gemini_name(name)]}
        case "any":
            return {"mode": "ANY"}
        case "none":
            return {"mode": "NONE"}
        case "auto":
            return {"mode": "AUTO"}
    return {}


def _sampling(ask: Ask) -> JSON:
    body = ask.request.body
    out: JSON = {}
    if ask.provider.model(ask.candidate.model).temperature:
        temperature = body.get("temperature")
        if isinstance(temperature, int | float) and not isinstance(temperature, bool):
            out["temperature"] = max(0.0, min(float(temperature), _MAX_TEMPERATURE))
        if type(body.get("top_p")) in (int, float):
            out["topP"] = body["top_p"]
        if type(body.get("top_k")) is int:
            out["topK"] = body["top_k"]
    stops = body.get("stop_sequences")
    if isinstance(stops, list) and (some := [s for s in stops if isinstance(s, str) and s.strip()]):
        out["stopSequences"] = some[:MAX_STOPS]
    return out


def _thinking(ask: Ask, generation: Generation) -> JSON:
    model, provider = ask.candidate.model, ask.provider
    want = wanted(ask.request.body, twin=ask.candidate.thinking, configured=provider.thinking_for(model))
    config = generation.thinking(want, provider.model(model).thinking, cap=cap_of(ask))
    config = {name: value for name, value in config.items() if name not in ask.learned.without}
    return {"thinkingConfig": config} if config else {}


def _format(body: JSON, generation: Generation, without: frozenset[str], *, tools: bool) -> tuple[str, JSON]:
    """Structured output: as Gemini's own fields, and in words where these do not hold the schema.

    With tools at hand an answer of JSON alone is refused, so there it is words.
    """
    schema = schema_wanted(body)
    if schema is None:
        return "", {}
    form = {} if tools or "responseMimeType" in without else {"responseMimeType": "application/json"}
    if form and generation.json_schemas and "responseJsonSchema" not in without:
        return "", {**form, "responseJsonSchema": schema}
    return in_words(schema), form
