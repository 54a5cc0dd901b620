"""Thinking: what the client wishes for, as the exact fields of each host that the catalogue knows."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.config import Accent, Model, Settings, Switch, Thinking, ThinkingWish
from tests.transports.asks import ask, body
from tests.transports.chat.hosts import UNKNOWN, Body, Host, sent
from transports.chat import openai_chat

NONE: Body = {}
ADAPTIVE: Body = {"thinking": {"type": "adaptive", "display": "updates"}, "output_config": {"effort": "medium"}}
HIGH: Body = {**ADAPTIVE, "output_config": {"effort": "high"}}
MAX: Body = {**ADAPTIVE, "output_config": {"effort": "max"}}
BUDGET: Body = {"thinking": {"type": "enabled", "budget_tokens": 8000}}
OFF: Body = {"thinking": {"type": "disabled"}}

#: All fields that speak of thinking anywhere.
SPEAKING = (
    "thinking", "reasoning", "reasoning_effort", "chat_template_kwargs", "enable_thinking", "thinking_budget",
    "parse_reasoning", "include_reasoning", "reasoning_format", "reasoning_split", "tool_stream",
)  # fmt: skip
ON: Body = {"thinking": {"type": "enabled"}}
DISABLED: Body = {"thinking": {"type": "disabled"}}
KWARGS_ON: Body = {"chat_template_kwargs": {"thinking": True, "enable_thinking": True}}
KWARGS_OFF: Body = {"chat_template_kwargs": {"thinking": False, "enable_thinking": False}}
FRIENDLI: Body = {"parse_reasoning": True, "include_reasoning": True, "chat_template_kwargs": {"enable_thinking": True}}
GLM_ON: Body = {"tool_stream": True, "thinking": {"type": "enabled", "clear_thinking": False}}
GLM_OFF: Body = {"tool_stream": True, "thinking": {"type": "disabled"}}

#: Host, model, the client's wish, the fields.
TABLE: list[tuple[str, str, Body, Body]] = [
    (
        "nvidia_nim",
        "z-ai/glm-5.1",
        ADAPTIVE,
        {"chat_template_kwargs": {"enable_thinking": True, "clear_thinking": False}},
    ),
    ("nvidia_nim", "z-ai/glm-5.1", NONE, {"chat_template_kwargs": {"enable_thinking": False}}),
    ("nvidia_nim", "moonshotai/kimi-k2.6", ADAPTIVE, KWARGS_ON),
    ("nvidia_nim", "moonshotai/kimi-k2.6", OFF, KWARGS_OFF),
    ("nvidia_nim", "openai/gpt-oss-120b", MAX, {"reasoning_effort": "high"}),
    ("nvidia_nim", "openai/gpt-oss-120b", NONE, NONE),
    ("nvidia_nim", "qwen/qwen3-coder-480b-a35b-instruct", MAX, NONE),
    ("nvidia_nim", "minimaxai/minimax-m2.7", MAX, NONE),
    ("nvidia_nim", UNKNOWN, ADAPTIVE, KWARGS_ON),
    ("nvidia_nim", UNKNOWN, NONE, KWARGS_OFF),
    ("zen", "big-pickle", MAX, NONE),
    ("open_router", UNKNOWN, ADAPTIVE, {"reasoning": {"enabled": True, "effort": "medium"}}),
    ("open_router", UNKNOWN, MAX, {"reasoning": {"enabled": True, "effort": "xhigh"}}),
    ("open_router", UNKNOWN, BUDGET, {"reasoning": {"enabled": True, "max_tokens": 8000}}),
    ("open_router", UNKNOWN, NONE, {"reasoning": {"enabled": False}}),
    ("open_router", "openai/gpt-oss-120b:free", BUDGET, {"reasoning": {"enabled": True, "effort": "medium"}}),
    ("open_router", "openai/gpt-oss-120b:free", OFF, NONE),
    (
        "open_router",
        "nvidia/nemotron-3-super-120b-a12b:free",
        MAX,
        {"reasoning": {"enabled": True, "effort": "medium"}},
    ),
    ("open_router", "qwen/qwen3-coder:free", MAX, NONE),
    ("deepseek", "deepseek-v4-pro", ADAPTIVE, {**ON, "reasoning_effort": "high"}),
    ("deepseek", "deepseek-v4-pro", MAX, {**ON, "reasoning_effort": "max"}),
    ("deepseek", "deepseek-v4-pro", NONE, DISABLED),
    ("deepseek", "deepseek-chat", MAX, NONE),
    ("deepseek", "deepseek-reasoner", MAX, NONE),
    ("deepseek", UNKNOWN, HIGH, {**ON, "reasoning_effort": "high"}),
    ("kimi", "kimi-k2.6", HIGH, ON),
    ("kimi", "kimi-k2.6", NONE, DISABLED),
    ("kimi", "kimi-k2.7-code", NONE, NONE),
    ("kimi", "kimi-k3", HIGH, {**ON, "reasoning_effort": "high"}),
    ("kimi", "kimi-k3", OFF, DISABLED),
    ("zai", "glm-5.1", ADAPTIVE, GLM_ON),
    ("zai", "glm-5.1", NONE, GLM_OFF),
    ("zai", "glm-5.2", MAX, {**GLM_ON, "reasoning_effort": "max"}),
    ("minimax", "MiniMax-M3", MAX, {"reasoning_split": True}),
    ("qwen", "qwen3.7-max", ADAPTIVE, {"enable_thinking": True, "thinking_budget": 8192}),
    ("qwen", "qwen3.7-max", BUDGET, {"enable_thinking": True, "thinking_budget": 8000}),
    ("qwen", "qwen3.7-max", NONE, {"enable_thinking": False}),
    ("qwen", "qwen3-coder-plus", MAX, NONE),
    ("fireworks", "accounts/fireworks/models/glm-5p2", HIGH, {"reasoning_effort": "high"}),
    ("fireworks", "accounts/fireworks/models/glm-5p2", NONE, {"reasoning_effort": "none"}),
    ("fireworks", "accounts/fireworks/models/kimi-k2p6", HIGH, NONE),
    ("fireworks", "accounts/fireworks/models/kimi-k2p6", NONE, {"reasoning_effort": "none"}),
    ("fireworks", "accounts/fireworks/models/minimax-m3", NONE, NONE),
    ("friendliai", UNKNOWN, ADAPTIVE, FRIENDLI),
    ("friendliai", UNKNOWN, NONE, {"chat_template_kwargs": {"enable_thinking": False}}),
    ("huggingface", UNKNOWN, MAX, NONE),
    ("openai", "gpt-5.5", MAX, {"reasoning_effort": "xhigh"}),
    ("openai", "gpt-5.6-sol", MAX, {"reasoning_effort": "max"}),
    ("openai", "gpt-5.5", NONE, {"reasoning_effort": "none"}),
    ("openai", "gpt-5", NONE, NONE),
    ("openai", "o3", MAX, {"reasoning_effort": "high"}),
    ("openai", "gpt-4.1", MAX, NONE),
    ("gemini", "gemini-3.5-flash", ADAPTIVE, {"reasoning_effort": "medium"}),
    ("gemini", "gemini-3.5-flash", MAX, {"reasoning_effort": "high"}),
    ("gemini", "gemini-3.5-flash", NONE, NONE),
    ("gemini", "gemini-2.5-flash", ADAPTIVE, {"reasoning_effort": "medium"}),
    ("gemini", "gemini-2.5-flash", NONE, {"reasoning_effort": "none"}),
    ("gemini", "gemini-2.5-pro", HIGH, {"reasoning_effort": "high"}),
    ("gemini", "gemini-2.5-pro", NONE, NONE),
    ("groq", "openai/gpt-oss-120b", ADAPTIVE, {"include_reasoning": True, "reasoning_effort": "medium"}),
    ("groq", "qwen/qwen3-32b", ADAPTIVE, {"reasoning_format": "parsed", "reasoning_effort": "default"}),
    ("groq", "qwen/qwen3-32b", NONE, {"reasoning_format": "parsed", "reasoning_effort": "none"}),
    ("groq", "llama-3.3-70b-versatile", MAX, NONE),
    ("cerebras", "zai-glm-4.7", MAX, NONE),
    ("cerebras", "zai-glm-4.7", NONE, {"reasoning_effort": "none"}),
    ("cerebras", "gpt-oss-120b", ADAPTIVE, {"reasoning_effort": "medium"}),
    ("together", "zai-org/GLM-5.2", HIGH, {"reasoning": {"enabled": True}}),
    ("together", "zai-org/GLM-5.2", NONE, {"reasoning": {"enabled": False}}),
    ("xai", "grok-4.3", MAX, {"reasoning_effort": "high"}),
    ("xai", "grok-4.3", NONE, {"reasoning_effort": "none"}),
    ("xai", "grok-4.20-0309-reasoning", MAX, NONE),
    ("xai", "grok-4.20-later", MAX, NONE),
    ("mistral", "mistral-medium-2604", ADAPTIVE, {"reasoning_effort": "high"}),
    ("mistral", "mistral-medium-2604", NONE, {"reasoning_effort": "none"}),
    ("mistral", "devstral-2512", MAX, NONE),
    ("mistral", "magistral-medium-latest", MAX, NONE),
    ("sambanova", UNKNOWN, MAX, NONE),
    ("vllm", UNKNOWN, ADAPTIVE, KWARGS_ON),
    ("vllm", UNKNOWN, NONE, KWARGS_OFF),
    ("vllm", "openai/gpt-oss-20b", MAX, {"reasoning_effort": "high"}),
    ("llamacpp", UNKNOWN, ADAPTIVE, {"chat_template_kwargs": {"enable_thinking": True}}),
    ("ollama", UNKNOWN, HIGH, {"reasoning_effort": "high"}),
    ("ollama", UNKNOWN, NONE, {"reasoning_effort": "none"}),
    ("lmstudio", UNKNOWN, MAX, {"reasoning_effort": "high"}),
    ("lmstudio", UNKNOWN, NONE, NONE),
    ("cliproxyapi", UNKNOWN, MAX, NONE),
    ("", UNKNOWN, MAX, NONE),
]


@pytest.mark.parametrize(("id", "model", "wish", "fields"), TABLE)
def test_a_wish_becomes_the_hosts_own_fields(id: str, model: str, wish: Body, fields: Body) -> None:
    """Those, and no other."""
    out = Host(id, model).sent(body(**wish))
    assert {name: out[name] for name in SPEAKING if name in out} == fields


EFFORT = Accent(switch=Switch(effort="reasoning_effort", efforts=("none", "low", "high")))
ON_PROVIDER = {"settings": Settings(thinking=ThinkingWish(budget=20_000))}


@pytest.mark.parametrize(
    ("wish", "more", "effort"),
    [
        (HIGH, {}, "high"),
        (HIGH, {"thinking": False}, "none"),
        (NONE, {"settings": Settings(thinking=ThinkingWish())}, "low"),
        (OFF, ON_PROVIDER, "high"),
        (HIGH, {"settings": Settings(thinking=ThinkingWish(enabled=False))}, "none"),
        (HIGH, {**ON_PROVIDER, "thinking": False}, "none"),
        ({"output_config": {"effort": "high"}}, {}, "none"),
        ({"thinking": {"type": "enabled"}, "output_config": {"effort": "max"}}, {}, "high"),
        ({"thinking": {"type": "adaptive"}}, {}, "low"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "later"}}, {}, "low"),
        ({"thinking": {"type": "later"}}, {}, "none"),
    ],
)
def test_who_decides(wish: Body, more: dict[str, Any], effort: str) -> None:
    """The twin, then the configuration, then the client; who does not speak of thinking wants none."""
    assert sent(body(**wish), accent=EFFORT, **more)["reasoning_effort"] == effort


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(1, "minimal"), (512, "minimal"), (1024, "low"), (8192, "medium"), (24_576, "high"), (24_577, "xhigh")],
)
def test_a_budget_stands_for_an_effort(budget: int, effort: str) -> None:
    """Where the host has no budgets."""
    efforts = ("minimal", "low", "medium", "high", "xhigh", "max")
    accent = Accent(switch=Switch(effort="e", efforts=efforts))
    fields = body(thinking={"type": "enabled", "budget_tokens": budget})
    assert sent(fields, accent=accent)["e"] == effort


@pytest.mark.parametrize(
    ("budget", "cap", "asked"),
    [(8000, 32_000, 8000), (31_999, 32_000, 31_999), (31_999, 8192, 4096), (31_999, 1, 1)],
)
def test_a_budget_is_within_the_answer(budget: int, cap: int, asked: int) -> None:
    """Which the model, or the configuration, may have made shorter than the client knows."""
    accent = Accent(switch=Switch(budget="thinking_budget"))
    fields = body(thinking={"type": "enabled", "budget_tokens": budget})
    assert sent(fields, accent=accent, settings=Settings(max_output_tokens=cap))["thinking_budget"] == asked


def test_some_thinking_is_never_asked_for_as_none() -> None:
    """Where the host knows no more of it than how to leave it."""
    known = Model(id="m", thinking=Thinking(efforts=("none",)))
    assert "reasoning_effort" not in sent(body(**HIGH), accent=EFFORT, known=known)
    assert sent(body(), accent=EFFORT, known=known)["reasoning_effort"] == "none"


@pytest.mark.parametrize(
    ("wish", "fields"),
    [
        (ThinkingWish(budget=2048), {"reasoning_effort": "medium"}),
        (ThinkingWish(), {"reasoning_effort": "medium"}),
        (ThinkingWish(enabled=False), {"reasoning_effort": "none"}),
        (None, {}),
    ],
)
def test_what_the_configuration_wants_of_a_host_of_ones_own_is_asked_in_openais_words(
    wish: ThinkingWish | None, fields: Body
) -> None:
    """Where the configuration is silent nothing is said: a gateway may know no such field."""
    asked = ask(body(**ADAPTIVE), wire="openai-chat", settings=Settings(thinking=wish))
    out = orjson.loads(openai_chat(asked).body)
    assert {name: out[name] for name in SPEAKING if name in out} == fields
