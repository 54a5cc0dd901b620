"""A Messages request as a Responses request.

Nothing goes out but what OpenAI's description has and what the host's row adds; what a host was found to refuse is left
out from then on; and what cannot be said on this wire is said in words. Nothing is stored at the host: the conversation
goes out whole each time, with the model's own reasoning in it, encrypted. Stop sequences and `top_k` do not exist here.
"""

from __future__ import annotations

from hashlib import blake2b

import attrs

from engine import JSON, Ask
from engine.config import Choice, ResponsesAccent, Switch, Thinking
from transports.responses._history import History, message
from transports.translate._cap import cap_of
from transports.translate._choice import chosen, one_at_a_time
from transports.translate._effort import Wanted, merge, switched, thinks, wanted
from transports.translate._formats import in_words, is_strict, schema_wanted
from transports.translate._texts import system_text
from transports.translate._tools import Toolbox

#: The least that may be asked for, in tokens (OpenAI: "integer below minimum value").
LEAST_CAP = 16
#: What it can be without, or say otherwise, where a host refuses it. A dotted name is one part of a field.
OPTIONAL = frozenset(
    [
        "chat_template_kwargs", "encrypted_content", "include", "instructions", "max_output_tokens", "parallel_tool_calls",
        "prompt_cache_key", "reasoning", "reasoning.effort", "reasoning.summary", "store", "strict", "temperature", "text",
        "tool_choice", "top_p",
    ]
)  # fmt: skip
#: Efforts that every model takes that thinks at all. Of others only a model's own row tells.
_USUAL = frozenset(["low", "medium", "high"])
_ENCRYPTED = "reasoning.encrypted_content"


def asked_cap(ask: Ask) -> int:
    """The longest answer to ask for, in tokens."""
    return max(LEAST_CAP, cap_of(ask))


def body_of(ask: Ask, toolbox: Toolbox) -> JSON:
    """The body. `ask.learned.without` names what this candidate was found to refuse."""
    body, without = ask.request.body, ask.learned.without
    accent = _less(ask.provider.responses_accent(ask.candidate.model), without)
    model = ask.provider.model(ask.candidate.model)
    cap = asked_cap(ask)
    configured = ask.provider.thinking_for(ask.candidate.model)
    want = wanted(body, twin=ask.candidate.thinking, configured=configured)
    replays = _may_think(want, model.thinking)
    history = History(
        accent,
        model.capabilities,
        toolbox,
        ask.candidate.name,
        replays=replays,
        encrypted="encrypted_content" not in without,
    )
    words, form = _format(body, accent.format)
    tools, choice, more_words = _tools(body, toolbox, accent)
    system = "\n\n".join(filter(None, (system_text(body.get("system")), words, more_words)))
    out: JSON = {"model": ask.candidate.model}
    items = history.items(body["messages"])
    if system and accent.system == "instructions":
        out["instructions"] = system
    elif system:
        items.insert(0, message(accent.system, system))
    out |= {"input": items, "max_output_tokens": cap, "stream": True}
    if accent.stateless:
        out["store"] = False
    if accent.encrypted and replays:
        out["include"] = [_ENCRYPTED]
    out |= tools | choice | form | _sampling(body, accent, fixed=not model.temperature)
    if accent.session and ask.request.session:
        out[accent.session] = blake2b(ask.request.session.encode(), digest_size=16).hexdigest()
    merge(out, accent.extra)
    merge(out, switched(want, _switch(accent.switch, model.thinking), model.thinking, cap=cap))
    return _without(out, accent.drop | without)


def optional_in(body: JSON) -> frozenset[str]:
    """What this body has that a host may refuse: its fields, parts of them, and what stands in its tools and input."""
    reasoning = body.get("reasoning")
    parts = {f"reasoning.{name}" for name in reasoning} if isinstance(reasoning, dict) else set()
    inside = {name for one in (*body["input"], *body.get("tools", ())) for name in one}
    return OPTIONAL & (body.keys() | parts | (inside & {"encrypted_content", "strict"}))


def _less(accent: ResponsesAccent, without: frozenset[str]) -> ResponsesAccent:
    """The accent of a host that was found to refuse some of it: what can be said otherwise is."""
    if not without:
        return accent
    return attrs.evolve(
        accent,
        system="system" if "instructions" in without else accent.system,
        choices=frozenset[Choice]() if "tool_choice" in without else accent.choices,
        format="prompt" if "text" in without else accent.format,
    )


def _without(out: JSON, names: frozenset[str]) -> JSON:
    """A body without these fields and parts of fields."""
    out = {name: value for name, value in out.items() if name not in names}
    if isinstance(reasoning := out.get("reasoning"), dict):
        kept = {name: value for name, value in reasoning.items() if f"reasoning.{name}" not in names}
        out |= {"reasoning": kept}
        if not kept:
            del out["reasoning"]
    if "strict" in names and "tools" in out:
        out["tools"] = [{k: v for k, v in tool.items() if k != "strict"} for tool in out["tools"]]
    return out


def _may_think(want: Wanted, thinking: Thinking | None) -> bool:
    """Whether reasoning is asked for and sent back. Of a model that nothing is known of, what is wanted is all there is."""
    return want.on if thinking is None else thinks(want, thinking)


def _switch(switch: Switch | None, thinking: Thinking | None) -> Switch | None:
    """The switch with the efforts that this model may be asked for."""
    if switch is None or (thinking is not None and thinking.efforts):
        return switch
    return attrs.evolve(switch, efforts=tuple(effort for effort in switch.efforts if effort in _USUAL))


def _sampling(body: JSON, accent: ResponsesAccent, *, fixed: bool) -> JSON:
    out: JSON = {}
    if not fixed:
        temperature = body.get("temperature")
        if isinstance(temperature, int | float) and not isinstance(temperature, bool):
            out["temperature"] = max(0.0, min(float(temperature), accent.temperature_max))
        if type(body.get("top_p")) in (int, float):
            out["top_p"] = body["top_p"]
    return out


def _format(body: JSON, form: str) -> tuple[str, JSON]:
    """Structured output: as the host's own field, and in words where that field does not hold the schema."""
    schema = schema_wanted(body)
    if schema is None:
        return "", {}
    if form == "json_schema":
        described = {"type": "json_schema", "name": "answer", "schema": schema, "strict": is_strict(schema)}
        return "", {"text": {"format": described}}
    return in_words(schema), {"text": {"format": {"type": "json_object"}}} if form == "json_object" else {}


def _tools(body: JSON, toolbox: Toolbox, accent: ResponsesAccent) -> tuple[JSON, JSON, str]:
    """The tools, how they are to be chosen, and in words what the host has no field for.

    Strict is what this wire takes a tool for where nothing is said, and most schemas are not.
    """
    tools = [_tool(tool["function"]) for tool in toolbox.encoded()]
    told = chosen(body, toolbox.names, accent.choices)
    if not tools or told.none:
        return {}, {}, ""
    if told.alone:
        tools = [tool for tool in tools if tool["name"] == told.name]
    choice: JSON = {}
    if told.how:
        choice["tool_choice"] = {"type": "function", "name": told.name} if told.how == "named" else told.how
    if accent.parallel and one_at_a_time(body):
        choice["parallel_tool_calls"] = False
    return {"tools": tools}, choice, told.words


def _tool(function: JSON) -> JSON:
    parameters = {"parameters": {"type": "object", "properties": {}}} if "parameters" not in function else {}
    return {"type": "function", **function, **parameters, "strict": False}
