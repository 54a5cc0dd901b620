"""The catalogue against what was found out about each host and model: the same, or different for a stated reason.

The facts are in `../shared/facts`, beside the repository; where that is absent, all of this is skipped. How hosts speak
chat completions is compared in `chat/test_chat_accents.py`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.config import Endpoint, Listing, Model, Wire
from engine.config._catalogue import WIRE_PATHS
from transports._catalogue import load_catalogue

FACTS = Path(__file__).parents[2].parent / "shared" / "facts" / "providers.toml"
pytestmark = pytest.mark.skipif(
    not FACTS.exists(), reason="needs ../shared/facts/providers.toml, beside the repository"
)
ROWS = load_catalogue().providers
Row = Mapping[str, Any]

#: The facts' names of wires, where ours is another.
WIRES: Mapping[str, Wire] = {"anthropic-messages": "anthropic", "gemini-native": "gemini", "ollama-native": "ollama"}
THEIRS = {ours: theirs for theirs, ours in WIRES.items()}

#: (row, fact) -> why the catalogue says otherwise.
DEPARTURES: Mapping[tuple[str, str], str] = {
    (
        "zen",
        "auth",
    ): "its keys go out as the SDK of each wire sends them, which the facts' text names and its table does not",
    ("opencode_go", "auth"): "as zen",
    ("minimax", "env"): "MINIMAX_CN_API_KEY belongs to the Chinese host: it is the key of region `cn`",
    ("azure", "wires"): "Claude on Foundry is another service with another key: it has a row of its own",
    ("azure", "path anthropic"): "as its wires",
    (
        "azure",
        "env",
    ): "Foundry's variable stands in Foundry's row, which the facts' text names; a token of Entra has one here",
    ("cliproxyapi", "auth"): "it takes any of the three: each wire sends the one of its own SDK",
    ("zen", "path gemini"): "the facts give the root of the model; the wire's own method stands behind it",
    ("zed", "env"): "the facts know no name for its token, and without one every machine would count as having it",
    ("bedrock", "path anthropic"): "not supported: its paths are never built",
    ("vertex", "path anthropic"): "not supported: its paths are never built",
    ("vertex", "path openai-chat"): "not supported: its paths are never built",
}
#: Kinds of credential that this version cannot make; a row that needs one is not supported.
UNMAKEABLE = {"oauth-bearer", "sigv4"}
#: Rows that the facts have no row for.
OF_OUR_OWN = {
    "foundry": "the facts have it as a wire of Azure's, though host and key are its own",
    "ollama_cloud": "the facts name its host and key in the row of Ollama, which is a runtime of this machine",
    "rehearsal": "it is built in",
}


def _facts(kind: str) -> list[Row]:
    rows: list[Row] = tomllib.loads(FACTS.read_text("utf-8"))[kind] if FACTS.exists() else []
    return rows


def _ours(name: str) -> Any:
    return WIRES.get(name, name)


def _doors(fact: Row) -> dict[str, set[str]]:
    """What the facts say: wire, `models` or `count_tokens` -> whole addresses."""
    known = {*(_ours(wire) for wire in fact["wires"]), "models", "count_tokens"}
    doors: dict[str, set[str]] = {}
    for name, path in fact["paths"].items():
        if _ours(name) in known:
            doors[_ours(name)] = {path if path.startswith("http") else fact["base_url"] + path}
    return doors


def _at(wire: Wire, endpoint: Endpoint, door: str) -> str | None:
    path = {**WIRE_PATHS[wire], **endpoint.paths}.get(door)
    return path if path is None or path.startswith("http") else endpoint.base + path


def _doors_of(row: Listing, wanted: set[str]) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = {}
    for name in wanted:
        if name in ("models", "count_tokens"):
            found[name] = {_at(wire, endpoint, name) for wire, endpoint in row.wires.items()}
        else:
            found[name] = {_at(wire, endpoint, "messages") for wire, endpoint in row.wires.items() if wire == name}
    return found


def _regions(fact: Row) -> dict[str, str]:
    return {
        name.removeprefix("base_url_"): base
        for name, base in fact.items()
        if name in ("base_url_cn", "base_url_coding")
    }


def _bases(row: Listing, region: str) -> set[str]:
    return {endpoint.base for endpoint in row.regions.get(region, {}).values()}


def _said(fact: Row, row: Listing) -> Iterator[tuple[str, bool, str]]:
    """Every fact about one row: its name, whether the catalogue agrees, and what it holds instead."""
    yield "wires", [_ours(wire) for wire in fact["wires"]] == list(row.wires), str(list(row.wires))
    yield "env", tuple(fact["env"]) == row.env, str(row.env)
    yield "name", fact["name"] == row.name, row.name
    yield "aliases", set(fact.get("aliases", ())) == set(row.aliases), str(row.aliases)
    yield "base_url_env", tuple(fact.get("base_url_env", ())) == row.base_url_env, str(row.base_url_env)
    yield "local", fact.get("local", False) == row.local, str(row.local)
    yield "unsupported", fact.get("facts_only", False) == bool(row.unsupported), row.unsupported
    yield "open_lists", fact.get("am_open_lists", False) == row.open_lists, str(row.open_lists)
    yield "count_tokens", fact.get("count_tokens") == row.counts_tokens, str(row.counts_tokens)
    yield "drop", set(fact.get("am_drop", ())) <= row.drop, str(row.drop)
    if "am_block_types" in fact:
        yield "block types", row.drop.isdisjoint(fact["am_block_types"]), str(row.drop)
    if "wire_by_model" in fact:
        globs = {glob: _ours(wire) for glob, wire in fact["wire_by_model"].items()}
        yield "wire_by_model", globs == dict(row.wire_by_model), str(row.wire_by_model)
    for name, quirk in _QUIRKS.items():
        if name in fact:
            yield name, quirk(fact[name]) <= row.quirks, str(row.quirks)
    for region, base in _regions(fact).items():
        yield f"region {region}", base in _bases(row, region), str(_bases(row, region))
    if "anthropic_url_cn" in fact:
        there = _at("anthropic", row.regions["cn"]["anthropic"], "messages")
        yield "anthropic_url_cn", fact["anthropic_url_cn"] == there, str(there)
    theirs = _doors(fact)
    ours = _doors_of(row, set(theirs))
    for door, addresses in theirs.items():
        yield f"path {door}", addresses <= ours[door], str(ours[door])
    if "rpm_hint" in fact:
        yield "rpm_hint", getattr(row.scope, "requests", None) == fact["rpm_hint"], str(row.scope)
    yield "auth", all(_sent_so(fact, wire, endpoint) for wire, endpoint in row.wires.items()), str(row.wires)


def _sent_so(fact: Row, wire: Wire, endpoint: Endpoint) -> bool:
    """The first way of the facts that sends anything: a runtime of this machine may want a key, and then it is sent."""
    ways = [way for way in fact["auth"] if way != "none"]
    first = fact.get("auth_by_wire", {}).get(THEIRS.get(wire, wire), ways[0])
    return first in UNMAKEABLE or first == endpoint.auth


_QUIRKS: Mapping[str, Callable[[Any], set[str]]] = {
    "am_trailing_done": lambda fact: {"trailing-done"} if fact else set(),
    "am_signature": lambda fact: {f"{'no' if fact == 'none' else fact}-signature"},
    "am_named_tool_choice": lambda fact: set() if fact else {"no-named-tool-choice"},
    "am_tool_result_string": lambda fact: {"tool-results-as-text"} if fact else set(),
    "am_merge_tool_results": lambda fact: {"merge-tool-results"} if fact else set(),
    "silent_truncation": lambda fact: {"truncates-silently"} if fact else set(),
    "images": lambda fact: {"base64-images-only"} if fact == "base64-only" else set(),
    "am_ignored": lambda fact: {
        f"ignores-{name.replace('_', '-')}" for name in fact if name in ("tool_choice", "thinking")
    },
}


def test_every_provider_of_the_facts_has_a_row_and_the_other_way_round() -> None:
    """None forgotten, none made up."""
    assert {fact["id"] for fact in _facts("provider")} == ROWS.keys() - OF_OUR_OWN.keys()


@pytest.mark.parametrize("fact", _facts("provider"), ids=lambda fact: fact["id"])
def test_a_row_says_what_the_facts_say(fact: Row) -> None:
    """Whatever was found out, except where there is a reason; and no reason outlives its difference."""
    differs = {name: ours for name, agrees, ours in _said(fact, ROWS[fact["id"]]) if not agrees}
    expected = {name for id, name in DEPARTURES if id == fact["id"]}
    assert differs.keys() == expected, {name: (fact.get(name), differs.get(name)) for name in differs.keys() ^ expected}


# Models.


def _price(model: Model) -> tuple[float | None, ...]:
    if model.free:
        return (0, 0, None, None)
    price = model.price
    return (price.input, price.output, price.cache_read, price.cache_write) if price else (None, None, None, None)


def test_every_model_of_the_facts_is_there_with_its_window_abilities_and_price() -> None:
    """Per provider and id, since the same model differs from host to host; an input limit of its own is the window."""
    wrong = {}
    for fact in _facts("model"):
        model = ROWS[fact["provider"]].models.get(fact["id"])
        if model is None:
            wrong[fact["provider"], fact["id"]] = "missing"
            continue
        can = model.capabilities
        ours = (can.context, can.max_output, can.tools, can.images, can.documents, *_price(model))
        window = fact.get("max_input", fact["context"])
        prices = [fact.get(f"price_{name}") for name in ("in", "out", "cache_read", "cache_write")]
        if not any(prices) and fact.get("price_in") == 0:
            prices[2:] = [None, None]
        theirs = (window, fact["max_output"], fact["tools"], fact["vision"], fact.get("pdf"), *prices)
        if ours != theirs:
            wrong[fact["provider"], fact["id"]] = f"{ours} instead of {theirs}"
    assert wrong == {}


def test_no_model_is_made_up() -> None:
    """Each row of ours is one of the facts, or the same model at a host that serves nothing else."""
    known = {(fact["provider"], fact["id"]) for fact in _facts("model")}
    ours = {(row.id, model) for row in ROWS.values() for model in row.models}
    assert ours - known == {("codestral", "codestral-latest")}
