"""A Messages request as a request of Ollama's own wire.

What the wire has no field for is either lost or said in words: there is no `tool_choice`, so a tool that must be called is
the only one that is offered, and is asked for in the system prompt. And what the wire does by itself unless it is told
not to, it is told not to: `truncate` and `shift` drop the oldest part of a conversation, the system prompt and the tools
first, and say nothing of it.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from engine import JSON, Ask
from engine.config import Switch
from transports.ollama._history import History
from transports.translate._cap import cap_of
from transports.translate._choice import chosen
from transports.translate._effort import switched, thinks, wanted
from transports.translate._formats import in_words, schema_wanted
from transports.translate._texts import system_text
from transports.translate._tools import Toolbox

#: How thinking is asked for, by glob of the model's name; the first match holds. gpt-oss thinks at some level, always.
_SWITCHES: tuple[tuple[str, Switch], ...] = (
    ("*gpt-oss*", Switch(off={"think": "low"}, effort="think")),
    ("*", Switch(on={"think": True}, off={"think": False})),
)
#: What a request can be without, or say otherwise, where a host refuses it.
OPTIONAL = frozenset(["format", "think"])


def body_of(ask: Ask, toolbox: Toolbox) -> JSON:
    """The body. `ask.learned.without` names what this candidate was found to refuse."""
    body, without, name = ask.request.body, ask.learned.without, ask.candidate.model
    provider, cap = ask.provider, cap_of(ask)
    model = provider.model(name)
    want = wanted(body, twin=ask.candidate.thinking, configured=provider.thinking_for(name))
    switch = next(switch for glob, switch in _SWITCHES if fnmatchcase(name.lower(), glob))
    thinking = switched(want, switch, model.thinking, cap=cap)
    replays = thinks(want, model.thinking) and "think" not in without
    schema = schema_wanted(body)
    tools, choice = _tools(body, toolbox)
    # A form holds for every word of the answer, so that none could be a call.
    by_field = schema is not None and not tools and "format" not in without
    words = in_words(schema) if schema is not None and not by_field else ""
    system = "\n\n".join(filter(None, (system_text(body.get("system")), words, choice)))
    history = History(model.capabilities, toolbox, ask.candidate.name, replays=replays)
    messages = history.messages(body["messages"])
    out: JSON = {
        "model": name,
        "messages": [{"role": "system", "content": system}, *messages] if system else messages,
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": _options(body, cap, provider.num_ctx_for(name), fixed=not model.temperature),
    }
    if tools:
        out["tools"] = tools
    if by_field:
        out["format"] = schema
    if (alive := provider.keep_alive_for(name)) is not None:
        out["keep_alive"] = alive
    out |= thinking
    return {field: value for field, value in out.items() if field not in without or field not in OPTIONAL}


def _options(body: JSON, cap: int, window: int | None, *, fixed: bool) -> JSON:
    out: JSON = {"num_predict": cap}
    if window is not None:
        out["num_ctx"] = window
    if not fixed:
        temperature, top_p, top_k = body.get("temperature"), body.get("top_p"), body.get("top_k")
        if type(temperature) in (int, float):
            out["temperature"] = max(0.0, min(float(temperature), 2.0))  # type: ignore[arg-type]
        if type(top_p) in (int, float):
            out["top_p"] = top_p
        if type(top_k) is int and 0 < top_k < 2**31:
            out["top_k"] = top_k
    stops = body.get("stop_sequences")
    if isinstance(stops, list) and (some := [stop for stop in stops if isinstance(stop, str) and stop.strip()]):
        out["stop"] = some
    return out


def _tools(body: JSON, toolbox: Toolbox) -> tuple[list[JSON], str]:
    """The tools that are offered, and in words how they are to be chosen."""
    tools = list(toolbox.encoded())
    told = chosen(body, toolbox.names, frozenset())
    if told.none or not tools:
        return [], ""
    if told.alone:
        tools = [tool for tool in tools if tool["function"]["name"] == told.name]
    return tools, told.words
