"""A Messages request as a chat-completions request.

Sent field by field to a host that has not heard of one of them, a request is refused whole. So nothing goes out but what
OpenAI's description has and what the host's row adds; what a host was found to refuse is left out from then on; and what
cannot be said on this wire is said in words.
"""

from __future__ import annotations

from hashlib import blake2b

import attrs

from engine import JSON, Ask
from engine.config import Accent, CapField, Choice, Thinking
from transports.chat._history import History
from transports.translate._cap import cap_of
from transports.translate._choice import chosen, one_at_a_time
from transports.translate._effort import USUAL_SWITCH, Wanted, merge, switched, thinks, wanted
from transports.translate._formats import in_words, is_strict, schema_wanted
from transports.translate._texts import system_text
from transports.translate._tools import Toolbox


def body_of(ask: Ask, toolbox: Toolbox) -> JSON:
    """The body. `ask.learned.without` names what this candidate was found to refuse."""
    body, without = ask.request.body, ask.learned.without
    accent = _less(toolbox.accent, without)
    model, cap = ask.provider.model(ask.candidate.model), cap_of(ask)
    configured = ask.provider.thinking_for(ask.candidate.model)
    want = wanted(body, twin=ask.candidate.thinking, configured=configured)
    switch = USUAL_SWITCH if accent.switch is None and configured is not None else accent.switch
    thinking = switched(want, switch, model.thinking, cap=cap)
    replays = _replays(accent, model.thinking, want)
    history = History(accent, model.capabilities, toolbox, ask.candidate.name, replays=replays)
    words, form = _format(body, accent.format)
    forced = thinks(want, model.thinking) and accent.no_forced_while_thinking
    tools, choice, more_words = _tools(body, toolbox, accent.choices - ({"required", "named"} if forced else set()))
    system = "\n\n".join(filter(None, (system_text(body.get("system")), words, more_words)))
    messages = [{"role": accent.system_role, "content": system}] if system else []
    out: JSON = {"model": ask.candidate.model, "messages": [*messages, *history.messages(body["messages"])]}
    out[accent.cap] = cap
    out["stream"] = True
    if accent.usage_option:
        out["stream_options"] = {"include_usage": True}
    out |= tools | choice | form | _sampling(body, accent, fixed=not model.temperature)
    if accent.session and ask.request.session:
        out[accent.session] = blake2b(ask.request.session.encode(), digest_size=16).hexdigest()
    merge(out, accent.extra)
    merge(out, thinking)
    return {name: value for name, value in out.items() if name not in accent.drop and name not in without}


#: What it can be without, or say otherwise, where a host refuses it: fields of the body, and of messages in it.
OPTIONAL = frozenset(
    [
        "chat_template_kwargs", "clear_thinking", "enable_thinking", "extra_content", "include_reasoning",
        "max_completion_tokens", "max_tokens", "parallel_tool_calls", "parse_reasoning", "prefix", "partial",
        "prompt_cache_key", "reasoning", "reasoning_content", "reasoning_details", "reasoning_effort", "reasoning_format",
        "reasoning_split", "response_format", "stop", "stream_options", "temperature", "thinking", "thinking_budget",
        "tool_choice", "tool_stream", "top_k", "top_p",
    ]
)  # fmt: skip


def _less(accent: Accent, without: frozenset[str]) -> Accent:
    """The accent of a host that was found to refuse some of it: what can be said otherwise is."""
    if not without:
        return accent
    return attrs.evolve(
        accent,
        cap=_cap_field(accent.cap, without),
        system_role="system" if {"developer", "role"} & without else accent.system_role,
        replay="" if accent.replay in without else accent.replay,
        choices=frozenset[Choice]() if "tool_choice" in without else accent.choices,
        prefill="instruct" if accent.prefill in without else accent.prefill,
        format="prompt" if "response_format" in without else accent.format,
        thought_signatures=accent.thought_signatures and "extra_content" not in without,
    )


def _replays(accent: Accent, thinking: Thinking | None, want: Wanted) -> bool:
    """Whether a host gets its own earlier reasoning back. A model that does not think now has no use for it.

    Of a model that nothing is known of, what was asked for is all there is to go by; and content parts, which a host
    cannot refuse by a name, go only to models that are known to take them.
    """
    if not accent.replay or not (want.on if thinking is None else thinks(want, thinking)):
        return False
    if thinking is None and accent.replay == "parts":
        return False
    return accent.replay != "reasoning_content" or thinking is None or thinking.replay


def _cap_field(usual: CapField, without: frozenset[str]) -> CapField:
    """The name of the cap: the host's, or the other one where it has refused that."""
    other: CapField = "max_completion_tokens" if usual == "max_tokens" else "max_tokens"
    return other if usual in without and other not in without else usual


def _sampling(body: JSON, accent: Accent, *, fixed: bool) -> JSON:
    out: JSON = {}
    if not fixed:
        temperature = body.get("temperature")
        if isinstance(temperature, int | float) and not isinstance(temperature, bool):
            out["temperature"] = max(accent.temperature_min, min(float(temperature), accent.temperature_max))
        if type(body.get("top_p")) in (int, float):
            out["top_p"] = body["top_p"]
        if accent.top_k and type(body.get("top_k")) is int:
            out["top_k"] = body["top_k"]
    stops = body.get("stop_sequences")
    if isinstance(stops, list) and (some := [s for s in stops if isinstance(s, str) and s.strip()]):
        out["stop"] = some[: accent.stops]
    return out


def _format(body: JSON, form: str) -> tuple[str, JSON]:
    """Structured output: as the host's own field, and in words where that field does not hold the schema."""
    schema = schema_wanted(body)
    if schema is None:
        return "", {}
    if form == "json_schema":
        described = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
        return "", {"response_format": {"type": "json_schema", "json_schema": described}}
    words = in_words(schema)
    return words, {"response_format": {"type": "json_object"}} if form == "json_object" else {}


def _tools(body: JSON, toolbox: Toolbox, allowed: frozenset[Choice]) -> tuple[JSON, JSON, str]:
    """The tools, how they are to be chosen, and in words what the host has no field for."""
    accent = toolbox.accent
    tools = list(toolbox.encoded())
    if not tools:
        return {}, {}, ""
    told = chosen(body, toolbox.names, allowed)
    if told.none:
        return {}, {}, ""
    if told.alone:
        tools = [tool for tool in tools if tool["function"]["name"] == told.name]
    choice: JSON = {}
    match told.how:
        case "named":
            choice["tool_choice"] = {"type": "function", "function": {"name": told.name}}
        case "required":
            choice["tool_choice"] = accent.required
        case "auto" | "none":
            choice["tool_choice"] = told.how
    if accent.parallel and one_at_a_time(body):
        choice["parallel_tool_calls"] = False
    return {"tools": tools}, choice, told.words
