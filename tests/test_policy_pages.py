"""The pages about policies: one for each, complete, and no claim in them that the code does not make good."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

import engine
from docs.policies import make
from docs.policies._page import PHASES, index, type_words
from engine.config import load
from policies import KINDS, Phase, arguments
from transports import load_catalogue

SOURCES = make.sources()
ROOT = Path(__file__).parents[1]
CATALOGUE = load_catalogue()


def test_every_policy_has_a_page() -> None:
    """And every page a policy; the index names all of them."""
    there = {path.stem for path in make.HERE.glob("*.md")} - {"README"}
    assert there == set(KINDS) == set(SOURCES)
    names = {path.stem.replace("_", "-") for path in (make.HERE / "sources").glob("*.py")}
    assert names == set(KINDS)


def test_the_index_is_up_to_date() -> None:
    """The other pages are compared whole where there is time for their pictures."""
    made = index((KINDS[kind], it) for kind, it in SOURCES.items())
    assert (make.HERE / "README.md").read_text("utf-8") == made
    assert set(PHASES) == set(Phase)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_tells_of_every_argument_and_of_no_other(kind: str) -> None:
    """With the default that the class has, in words that a writer of TOML knows."""
    fields = arguments(attrs.resolve_types(KINDS[kind]))
    assert set(SOURCES[kind].fields) == set(fields)
    text = (make.HERE / f"{kind}.md").read_text("utf-8")
    for name, field in fields.items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
        assert type_words(field.type) in row
        assert ("required" in row) == (field.default is attrs.NOTHING)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_shows_its_policy_in_a_chain_that_loads(kind: str) -> None:
    """Those of its pictures are loaded where they are played."""
    config = load(SOURCES[kind].toml, file=kind, catalogue=CATALOGUE, environ={})
    assert any(policy.kind() == kind for chain in config.chains.values() for policy in chain.policies)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_leads_somewhere(kind: str) -> None:
    """To policies and pages that are there."""
    it = SOURCES[kind]
    assert it.see
    for name in it.see:
        assert name in KINDS or (make.HERE / name).resolve().is_file()
    for event in (*it.events, *it.rarer):
        assert issubclass(getattr(engine, event), engine.EngineEvent)
