"""The catalogue's data: complete, consistent, and cheap to read."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from engine.config import WIRES, Catalogue, Listing, Model, Thinking, load
from engine.config._catalogue import WIRE_PATHS
from engine.config._provider import QUIRKS, Auth
from policies import Capabilities, Price, Unlimited, Window
from transports._catalogue import load_catalogue

CATALOGUE = load_catalogue()
ROWS = list(CATALOGUE.providers.values())
REAL = [row for row in ROWS if row.id != "rehearsal"]
each_row = pytest.mark.parametrize("row", REAL, ids=lambda row: row.id)


def test_every_way_to_the_same_place_is_one_name() -> None:
    """Ids and aliases are distinct, and none holds a separator of candidates or addresses."""
    names = [*CATALOGUE.providers, *CATALOGUE.aliases]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert sum(len(row.aliases) for row in ROWS) == len(CATALOGUE.aliases)
    assert all(re.fullmatch(r"[a-z0-9_-]+", name) for name in names)


def test_vendors_lead_to_providers() -> None:
    """The table for whole model names."""
    assert set(CATALOGUE.vendors.values()) <= CATALOGUE.providers.keys()
    assert CATALOGUE.vendors["nvidia"] == CATALOGUE.vendors["meta"] == "nvidia_nim"
    assert {CATALOGUE.vendors[v] for v in ("stepfun", "qwen", "mistralai", "x-ai", "deepseek", "google")} == {
        "open_router"
    }


@each_row
def test_a_row_speaks_of_wires_and_ways_there_are(row: Listing) -> None:
    """Known wires, known paths, known ways to send a key, absolute base URLs without a slash at the end."""
    for wires in (row.wires, *row.regions.values()):
        assert wires
        for wire, endpoint in wires.items():
            assert wire in WIRES
            assert endpoint.auth in get_args(Auth)
            assert endpoint.paths.keys() <= WIRE_PATHS[wire].keys()
            assert re.fullmatch(r"https?://[^/ ]+(/[^ ?#]*[^/ ?#])?", endpoint.base)
            assert wire != "anthropic" or row.unsupported or not endpoint.base.endswith("/v1"), "the wire appends it"
            assert row.local == endpoint.base.startswith("http://localhost:")
    assert set(row.wire_by_model.values()) <= row.wires.keys()
    assert not row.wire_by_model or list(row.wire_by_model)[-1] == "*"


@each_row
def test_a_row_can_be_used_or_says_why_not(row: Listing) -> None:
    """A hosted provider has a variable for its key; placeholders are filled; quirks are known words."""
    assert row.local or row.env or row.unsupported or row.id == "zed"
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", v) for v in (*row.env, *row.base_url_env, *row.fill.values()))
    endpoints = [endpoint for wires in (row.wires, *row.regions.values()) for endpoint in wires.values()]
    addresses = [text for endpoint in endpoints for text in (endpoint.base, *endpoint.paths.values())]
    holes = {hole for text in addresses for hole in re.findall(r"\{(\w+)\}", text)} - {"model"}
    assert row.unsupported or holes == row.fill.keys()
    assert row.quirks <= QUIRKS.keys()
    assert row.auth_by_env.keys() <= set(row.env)


@each_row
def test_a_default_is_a_model_with_a_row(row: Listing) -> None:
    """A coding model takes tools and a prompt worth the name."""
    if row.default is not None:
        model = row.models[row.default]
        assert model.capabilities.tools
        assert (model.capabilities.context or 0) >= 100_000


@each_row
def test_a_list_of_models_at_another_door_is_the_chat_doors(row: Listing) -> None:
    """Where a wire has no list of its own, its row gives the address of the list that takes a bearer, whole."""
    for wires in (row.wires, *row.regions.values()):
        for endpoint in wires.values():
            elsewhere = endpoint.paths.get("models", "")
            if elsewhere.startswith("http") and not row.unsupported:
                chat = wires["openai-chat"]
                assert (elsewhere, chat.auth) == (f"{chat.base}/models", "bearer")


@each_row
def test_numbers_make_sense(row: Listing) -> None:
    """An answer fits into its window, what is read from a cache costs no more than what is not, and free is free."""
    for model in row.models.values():
        can, price = model.capabilities, model.price
        assert can.context is None or can.context >= 100_000, model.id
        assert can.max_output is None or can.context is None or 4_096 <= can.max_output <= can.context, model.id
        assert not (model.free and price)
        if price is not None:
            assert 0 < price.input <= price.output, model.id
            assert price.cache_read is None or price.cache_read <= price.input, model.id
            assert not price.cache_write or price.cache_write >= (price.cache_read or 0), model.id


def test_what_reaches_each_wire() -> None:
    """Hosts for every wire that there is a dialect for, now or later, so that none of them is without a provider."""
    reached = {wire: [row.id for row in REAL if wire in row.wires and not row.unsupported] for wire in WIRES}
    assert {wire for wire, rows in reached.items() if not rows} == {"rehearsal"}
    assert reached["gemini"] == ["cliproxyapi", "zen", "gemini"]
    assert reached["ollama"] == ["ollama", "ollama_cloud"]


def test_whoever_has_models_has_a_default() -> None:
    """Otherwise a key for it would be of no use to the built-in chain."""
    assert [row.id for row in REAL if row.models and row.default is None] == []


def test_model_lines_are_read_column_by_column() -> None:
    """Known and unknown, no and none, a price and no price."""
    assert CATALOGUE.providers["anthropic"].models["claude-haiku-4-5"] == Model(
        id="claude-haiku-4-5",
        capabilities=Capabilities(context=200_000, max_output=64_000, tools=True, images=True, documents=True),
        price=Price(input=1, output=5, cache_read=0.1, cache_write=1.25),
        thinking=Thinking(budget=True),
    )
    free = CATALOGUE.providers["zen"].models["big-pickle"]
    assert (free.free, free.price, free.capabilities.images) == (True, None, False)
    unknown = CATALOGUE.providers["deepseek"].models["deepseek-flash"]
    assert (unknown.capabilities.documents, unknown.price) == (None, Price(input=0.15, output=0.6, cache_read=0.003))
    assert CATALOGUE.providers["openai"].models["gpt-5.5"].capabilities.context == 922_000


def test_the_catalogue_holds_what_the_design_counts_on() -> None:
    """Scopes, hosts that take everything, hosts that refuse things, variables that mean other things elsewhere."""
    rows = CATALOGUE.providers
    assert rows["zen"].scope == Unlimited()
    assert rows["nvidia_nim"].scope == Window(requests=40, per_s=60, concurrency=5)
    assert [row.id for row in REAL if row.open_lists] == ["anthropic", "foundry"]
    assert {"redacted_thinking", "document", "mcp_servers"} <= rows["deepseek"].drop
    assert {"anthropic", "huggingface", "github_models", "bedrock"} <= {row.id for row in ROWS if row.only_named}
    assert CATALOGUE.shared() == {
        "opencode_go": ("OPENCODE_API_KEY", "zen"),
        "kimi_code": ("KIMI_API_KEY", "kimi"),
        "ollama_cloud": ("OLLAMA_API_KEY", "ollama"),
    }
    assert {row.id for row in ROWS if row.unsupported} == {"github_models", "github_copilot", "bedrock", "vertex"}


MESSAGES = {
    "anthropic": "https://api.anthropic.com/v1/messages",
    "open_router": "https://openrouter.ai/api/v1/messages",
    "deepseek": "https://api.deepseek.com/anthropic/v1/messages",
    "kimi": "https://api.moonshot.ai/anthropic/v1/messages",
    "kimi_code": "https://api.kimi.com/coding/v1/messages",
    "zai": "https://api.z.ai/api/anthropic/v1/messages",
    "minimax": "https://api.minimax.io/anthropic/v1/messages",
    "qwen": "https://dashscope-intl.aliyuncs.com/apps/anthropic/v1/messages",
    "fireworks": "https://api.fireworks.ai/inference/v1/messages",
    "friendliai": "https://api.friendli.ai/serverless/v1/messages",
    "huggingface": "https://router.huggingface.co/v1/messages",
    "zen": "https://opencode.ai/zen/v1/messages",
    "opencode_go": "https://opencode.ai/zen/go/v1/messages",
    "lmstudio": "http://localhost:1234/v1/messages",
    "llamacpp": "http://localhost:8080/v1/messages",
    "ollama": "http://localhost:11434/v1/messages",
    "vllm": "http://localhost:8000/v1/messages",
    "cliproxyapi": "http://localhost:8317/v1/messages",
}


@pytest.mark.parametrize(("id", "url"), MESSAGES.items())
def test_native_hosts_are_asked_at_their_documented_address(id: str, url: str) -> None:
    """As their own documentation gives it, whole."""
    text = f'[providers.{id}]\nwire = "anthropic"'
    provider = load(text, file="", catalogue=CATALOGUE, environ={}).providers[id]
    assert (provider.wire, provider.url("messages")) == ("anthropic", url)


@pytest.mark.parametrize(
    ("id", "model", "wire", "url", "auth"),
    [
        ("zen", "claude-sonnet-5", "anthropic", "https://opencode.ai/zen/v1/messages", "x-api-key"),
        ("zen", "big-pickle", "openai-chat", "https://opencode.ai/zen/v1/chat/completions", "bearer"),
        ("zen", "gpt-5.2", "openai-responses", "https://opencode.ai/zen/v1/responses", "bearer"),
        (
            "zen",
            "gemini-3.5-flash",
            "gemini",
            "https://opencode.ai/zen/v1/models/gemini-3.5-flash:streamGenerateContent?alt=sse",
            "x-goog-api-key",
        ),
        ("opencode_go", "minimax-m3", "anthropic", "https://opencode.ai/zen/go/v1/messages", "x-api-key"),
        ("opencode_go", "glm-5.2", "openai-chat", "https://opencode.ai/zen/go/v1/chat/completions", "bearer"),
    ],
)
def test_a_host_with_a_wire_for_each_model_is_asked_on_it(id: str, model: str, wire: str, url: str, auth: str) -> None:
    """Address and head go with the wire."""
    environ = {"OPENCODE_API_KEY": "k"}
    provider = load(f"[providers.{id}]", file="", catalogue=CATALOGUE, environ=environ).providers[id]
    asked = provider.on(model)
    assert provider.unusable_for(model) == ""
    assert (asked.wire, asked.url("messages", model), asked.auth) == (wire, url, auth)


PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text("utf-8")


@each_row
def test_a_row_stands_in_the_documentation(row: Listing) -> None:
    """By its id; with its variables and regions, where it can be used and a key is needed."""
    said = [row.id]
    if not (row.unsupported or row.local):
        said += [*row.env, *row.regions, *row.fill.values()]
    said = [word for word in said if word != "ANTHROPIC_FOUNDRY_API_KEY"]  # azure's key under another name
    assert [word for word in said if f"`{word}`" not in PAGE] == []


def test_the_catalogue_is_a_value() -> None:
    """Each reading is a new one, equal to the last, so a test may have its own."""
    again = load_catalogue()
    assert again == CATALOGUE
    assert again is not CATALOGUE
    assert isinstance(again, Catalogue)


def test_a_model_of_nvidias_may_be_named_without_its_vendor() -> None:
    """Each of them comes to its own id, and so does one that the catalogue does not have, by its family."""
    made = load("", file="c.toml", catalogue=CATALOGUE, environ={}).providers["nvidia_nim"]
    assert made.models
    assert {made.whole(id.rpartition("/")[2]) for id in made.models} == set(made.models)
    assert made.whole("glm-9") == "z-ai/glm-9"
    assert made.whole("deepseek-v9") == "deepseek-ai/deepseek-v9"
    assert made.whole("unheard-of") == "unheard-of"
    assert all("/" in id for id in made.models)


@pytest.mark.parametrize(
    ("text", "wire", "url"),
    [
        ("", "gemini",
         "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse"),
        ('wire = "openai-chat"', "openai-chat", "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"),
    ],
)  # fmt: skip
def test_gemini_is_asked_on_its_own_wire_unless_the_file_says_otherwise(text: str, wire: str, url: str) -> None:
    """By the address that Google documents, with its own key header."""
    environ = {"GEMINI_API_KEY": "k"}
    provider = load(f"[providers.gemini]\n{text}", file="", catalogue=CATALOGUE, environ=environ).providers["gemini"]
    assert (provider.wire, provider.url("messages", "gemini-3.5-flash")) == (wire, url)
    assert provider.auth == ("x-goog-api-key" if wire == "gemini" else "bearer")
