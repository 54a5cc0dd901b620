"""How a host speaks chat completions: every way in which hosts differ, as one value.

The same wire is spoken by forty hosts, and each has refused something that another demands. A class per host hides what
they have in common and grows a method for each difference; here a host is a row of plain data, a model may override it,
and the dialect asks the row. Whatever a row does not say is what OpenAI's own description of the wire says.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs

_NOTHING: Mapping[str, Any] = MappingProxyType({})

CapField = Literal["max_tokens", "max_completion_tokens"]
#: Where a host wants its own earlier reasoning back. `tags` is `<think>` in the text, `parts` a content part of Mistral's.
Replay = Literal["", "reasoning_content", "reasoning", "reasoning_details", "parts", "tags"]
Choice = Literal["auto", "none", "required", "named"]
SchemaProfile = Literal["", "gemini", "mfjs", "nim", "ollama", "xai"]

#: Levels of effort from least to most, as the hosts' documentation names them.
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@attrs.frozen(kw_only=True)
class Switch:
    """How thinking is turned on, off and up. `on` and `off` are merged into the body; paths are dotted.

    An effort goes to `effort` as the nearest of `efforts`, a budget in tokens to `budget`, where there is such a path.
    """

    on: Mapping[str, Any] = _NOTHING
    off: Mapping[str, Any] = _NOTHING
    effort: str = ""
    efforts: tuple[str, ...] = ("low", "medium", "high")
    budget: str = ""


@attrs.frozen(kw_only=True)
class Accent:
    """One host's, or one model's, way with the wire `openai-chat`.

    `extra` is merged into every body, `drop` names what never goes out. `switch` is None where nothing is known of how
    thinking is turned on: then nothing is said of it, unless the configuration asks for it.
    """

    cap: CapField = "max_tokens"
    system_role: Literal["system", "developer"] = "system"
    usage_option: bool = True  #: `stream_options.include_usage`; False: usage comes unasked, and asking is refused
    extra: Mapping[str, Any] = _NOTHING
    drop: frozenset[str] = frozenset()
    switch: Switch | None = None
    replay: Replay = ""
    replay_on: Literal["tool-turns", "every-turn"] = "tool-turns"
    choices: frozenset[Choice] = frozenset(("auto", "none", "required", "named"))
    required: Literal["required", "any"] = "required"  #: the word for "some tool must be called"
    no_forced_while_thinking: bool = False
    parallel: bool = True  #: knows `parallel_tool_calls`
    tool_ids: Literal["any", "alnum9", "kimi"] = "any"
    schema: SchemaProfile = ""
    stops: int | None = 4  #: stop sequences taken; None: any number
    temperature_min: float = 0.0
    temperature_max: float = 2.0
    top_k: bool = False
    images: Literal["any", "base64"] = "any"
    files: bool = False  #: takes a PDF as a `file` part
    format: Literal["json_schema", "json_object", "prompt"] = "json_schema"
    text_after_results: Literal["user", "fold"] = (
        "user"  #: `fold`: a text behind tool results belongs to the last of them
    )
    bridge: bool = False  #: a user may not follow a tool: a short assistant turn goes between
    null_content: bool = True  #: an assistant turn of calls alone has `content: null`; False: an empty string
    prefill: Literal["instruct", "keep", "prefix", "partial"] = "instruct"
    session: str = ""  #: the field that takes a name for the session, so that its requests meet a warm cache
    think_tags: Literal["leading", "implied", "off"] = "leading"
    reasoning_beside: bool = False  #: `completion_tokens` leaves reasoning out
    thought_signatures: bool = False  #: a call carries a signature that must come back with it (Gemini 3)


#: How a `reasoning` object asks for thinking, by OpenAI's description: an effort, and a summary of it to be shown.
REASONING = Switch(
    on=MappingProxyType({"reasoning": MappingProxyType({"summary": "auto"})}),
    effort="reasoning.effort",
    efforts=EFFORTS,
)


@attrs.frozen(kw_only=True)
class ResponsesAccent:
    """One host's, or one model's, way with the wire `openai-responses`.

    `extra` is merged into every body, `drop` names what never goes out. What a host takes of schemas is said once, in
    `Accent.schema`.
    """

    system: Literal["instructions", "system"] = "instructions"  #: a field of its own, or a message of this role
    extra: Mapping[str, Any] = _NOTHING
    drop: frozenset[str] = frozenset()
    switch: Switch | None = REASONING
    encrypted: bool = True  #: gives its reasoning encrypted, to be sent back: `include`
    open_reasoning: bool = False  #: takes the text of its reasoning back, where that is not encrypted
    item_ids: bool = False  #: wants its own reasoning back under the item's id
    stateless: bool = True  #: knows `store`, which is to be false
    session: str = "prompt_cache_key"  #: the field that takes a name for the session
    choices: frozenset[Choice] = frozenset(("auto", "none", "required", "named"))
    parallel: bool = True  #: knows `parallel_tool_calls`
    images: Literal["any", "base64"] = "any"
    files: bool = False  #: takes a PDF as an `input_file` part
    shown_results: bool = False  #: a call's output may hold images and files; else it is a text
    temperature_max: float = 2.0
    format: Literal["json_schema", "json_object", "prompt"] = "json_schema"


@attrs.frozen(kw_only=True)
class Thinking:
    """What is known of one model's thinking: whether it can be switched, takes a budget, and at which efforts it runs.

    Of a model that never thinks, all of it is false.
    """

    always: bool = False  #: it cannot be helped
    toggle: bool = False
    budget: bool = False
    efforts: tuple[str, ...] = ()
    replay: bool = False  #: its own reasoning must come back with a history of tool calls

    @property
    def thinks(self) -> bool:
        """Whether it ever does."""
        return self.always or self.toggle or self.budget or bool(self.efforts)


@attrs.frozen(kw_only=True)
class ThinkingWish:
    """`thinking = { enabled, budget }` of a configuration: it stands above what the client asks for."""

    enabled: bool = True
    budget: int | None = None


def nearest_effort(wanted: str, known: tuple[str, ...]) -> str:
    """The host's word for an effort: the strongest of `known` that is not above `wanted`, else the weakest of them.

    `none` is off, and never the answer to a wish for some thinking; where nothing else is known it stands.
    """
    some = [effort for effort in EFFORTS if effort in known and effort != "none"] or list(known)
    rank = EFFORTS.index(wanted) if wanted in EFFORTS else EFFORTS.index("medium")
    below = [effort for effort in some if effort in EFFORTS and EFFORTS.index(effort) <= rank]
    return below[-1] if below else some[0] if some else ""


#: Tokens of thinking that each effort stands for, and the thresholds back (as used by CLIProxyAPI).
EFFORT_BUDGET: Mapping[str, int] = MappingProxyType(
    {"minimal": 512, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 32_768, "max": 128_000}
)


def effort_of(budget: int) -> str:
    """The effort that a budget of thinking tokens stands for."""
    return next((effort for effort in ("minimal", "low", "medium", "high") if budget <= EFFORT_BUDGET[effort]), "xhigh")
