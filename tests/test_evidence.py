"""The evidence points at what exists: a renamed test file must not leave a claim without its proof."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "evidence" / "README.md").read_text("utf-8")
#: A test file, and what `-k` picks from it.
NAMED = sorted(set(re.findall(r"(tests/[\w/]+\.py)(?: -k \"?([\w ]+)\"?)?", PAGE)))


def test_the_page_names_tests() -> None:
    """Otherwise the test below says nothing."""
    assert len(NAMED) > 15


@pytest.mark.parametrize(("file", "picked"), NAMED)
def test_every_named_test_exists(file: str, picked: str) -> None:
    """The file is there, and each word of `-k` picks something from its names and parameters."""
    shared = (ROOT / file).parent / "conftest.py"
    source = "".join(path.read_text("utf-8").lower() for path in (ROOT / file, shared) if path.exists())
    assert (ROOT / file).exists()
    for word in picked.replace(" or ", " ").replace(" and ", " ").split():
        assert word.lower() in source, f"nothing in {file} is called {word}"
