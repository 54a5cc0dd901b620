"""The list of models, as Claude Code's picker and other clients want it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import orjson

from engine import NO_THINKING, PICKER, resolve
from engine.config import Chain, Config, Provider, Route
from policies import Candidate
from routes._models import listing

CONFIG = Config(
    providers=MappingProxyType(
        {
            "zen": Provider(id="zen"),
            "desk": Provider(id="desk"),
            "bare": Provider(id="bare", unusable_because="BARE_KEY is not set"),
        }
    ),
    chains=MappingProxyType(
        {
            "coding": Chain(name="coding", candidates=(Candidate("zen", "org/glm:free"), Candidate("bare", "m"))),
            "quick": Chain(
                name="quick",
                candidates=(Candidate("desk", "*"), Candidate("zen", "org/glm:free"), Candidate("desk", "q")),
            ),
        }
    ),
    routes=(Route(match="*", chain="coding"),),
)


def listed(config: Config = CONFIG) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(listing(config))
    return found


def test_chains_candidates_and_twins_are_listed_once() -> None:
    """Those that can be asked: no provider without a key, no name that is passed through."""
    assert [(entry["id"], entry["display_name"]) for entry in listed()["data"]] == [
        ("anthropic/coding", "coding (chain)"),
        ("anthropic/quick", "quick (chain)"),
        ("anthropic/zen/org/glm:free", "zen/org/glm:free"),
        ("claude-3-hedgerow-no-thinking/zen/org/glm:free", "zen/org/glm:free (no thinking)"),
        ("anthropic/desk/q", "desk/q"),
        ("claude-3-hedgerow-no-thinking/desk/q", "desk/q (no thinking)"),
    ]


def test_claude_code_keeps_every_id() -> None:
    """It drops without a word what has neither word in it."""
    assert all("claude" in entry["id"] or "anthropic" in entry["id"] for entry in listed()["data"])


def test_both_families_of_clients_find_their_fields() -> None:
    """Anthropic's beside OpenAI's."""
    found = listed()
    assert (found["object"], found["has_more"]) == ("list", False)
    assert (found["first_id"], found["last_id"]) == (found["data"][0]["id"], found["data"][-1]["id"])
    for entry in found["data"]:
        assert (entry["type"], entry["object"], entry["owned_by"]) == ("model", "model", "hedgerow")
        assert entry["created_at"].endswith("Z")
        assert type(entry["created"]) is int


def test_every_id_leads_where_it_says() -> None:
    """What is picked is what is asked."""
    for entry in listed()["data"]:
        found = resolve(CONFIG, entry["id"])
        if entry["display_name"].endswith("(chain)"):
            assert found.chain.name == entry["id"].removeprefix(PICKER)
        else:
            thinking = False if entry["id"].startswith(NO_THINKING) else None
            name = entry["id"].removeprefix(NO_THINKING).removeprefix(PICKER)
            provider, _, model = name.partition("/")
            assert found.candidates == (Candidate(provider, model, thinking),)


def test_nothing_to_list_is_an_empty_list() -> None:
    """With no first and no last."""
    nobody = Config(providers=MappingProxyType({}), chains=MappingProxyType({}), routes=())
    found = listed(nobody)
    assert (found["data"], found["first_id"], found["last_id"]) == ([], None, None)
