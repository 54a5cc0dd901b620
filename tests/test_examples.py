"""Whatever is printed as a configuration loads as one: the shipped file, the examples, and every block in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import Config, load
from transports._catalogue import load_catalogue

ROOT = Path(__file__).parent.parent
CATALOGUE = load_catalogue()
FILES = [ROOT / "config.toml", *sorted((ROOT / "examples").glob("*.toml"))]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def loaded(text: str, name: str) -> Config:
    """On a machine where nothing is set."""
    return load(text, file=name, catalogue=CATALOGUE, environ={})


def blocks() -> Iterator[tuple[str, str]]:
    """Every TOML block of every page, each with the page and line where it begins."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            yield f"{page.relative_to(ROOT)}:{text[: match.start()].count(chr(10)) + 1}", match[1]


BLOCKS = list(blocks())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_we_ship_loads_without_a_remark(path: Path) -> None:
    """On a bare machine, with no warning either."""
    config = loaded(path.read_text("utf-8"), path.name)
    assert config.warnings == ()


@pytest.mark.parametrize(("place", "text"), BLOCKS, ids=[place for place, _ in BLOCKS])
def test_every_block_of_the_documentation_loads(place: str, text: str) -> None:
    """As a whole file, so that a reader may paste it."""
    loaded(text, place)


def test_the_shipped_file_names_no_provider_and_answers_on_a_bare_machine() -> None:
    """Everything goes to the built-in chain; three more stand on the rehearsal."""
    config = loaded((ROOT / "config.toml").read_text("utf-8"), "config.toml")
    assert not any(provider.named for provider in config.providers.values())
    assert [(route.match, route.chain) for route in config.routes] == [("*", "auto")]
    assert list(config.chains) == ["sequenced", "hedged", "raced", "auto"]
    assert {c.provider for chain in config.chains.values() for c in chain.candidates} == {"rehearsal"}


def test_the_shipped_file_uses_a_key_that_is_set() -> None:
    """Nothing but the environment changes."""
    text = (ROOT / "config.toml").read_text("utf-8")
    config = load(text, file="config.toml", catalogue=CATALOGUE, environ={"DEEPSEEK_API_KEY": "k"})
    assert [c.name for c in config.chains["auto"].candidates] == ["deepseek/deepseek-v4-pro"]


def test_candidates_beside_the_rehearsal_could_stand_in_its_place() -> None:
    """What a comment offers loads too."""
    text = (ROOT / "config.toml").read_text("utf-8")
    swapped, count = re.subn(r'"rehearsal/[^"]*",\s+# ("[^"]+")', r"\1,", text)
    assert count == 7
    config = loaded(swapped, "config.toml")
    models = {
        (c.provider, c.model) for name in ("sequenced", "hedged", "raced") for c in config.chains[name].candidates
    }
    assert all(model in CATALOGUE.providers[provider].models for provider, model in models)


@pytest.mark.parametrize("path", FILES[1:], ids=lambda path: path.name)
def test_examples_name_models_that_the_catalogue_knows(path: Path) -> None:
    """Except where they are the reader's own."""
    config = loaded(path.read_text("utf-8"), path.name)
    for chain in config.chains.values():
        for candidate in chain.candidates:
            provider = config.providers[candidate.provider]
            assert candidate.model in provider.models or candidate.model in ("*", "echo")
