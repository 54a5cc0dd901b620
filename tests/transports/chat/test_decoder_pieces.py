"""A text that comes in pieces: what it is, and where it ends, told from its pieces."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.translate._pieces import Pieces

STRINGS = st.text(alphabet='a"\\\\{}[], \n', max_size=6)
VALUES = st.recursive(STRINGS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3))
OBJECTS = st.dictionaries(STRINGS, VALUES, max_size=3)


@given(OBJECTS, st.integers(1, 5), st.booleans())
def test_an_object_is_closed_at_its_end_and_not_before(value: dict[str, Any], size: int, spaced: bool) -> None:
    """Brackets in strings are no brackets."""
    pieces, text = Pieces(), json.dumps(value, indent=1 if spaced else None)
    for at in range(0, len(text), size):
        assert not pieces.closed
        pieces.add(text[at : at + size])
    assert pieces.closed
    assert (pieces.text, pieces.length) == (text, len(text))


@pytest.mark.parametrize(
    ("text", "closed"),
    [("", False), (" ", False), ("{", False), ('{"a":1,}', True), ("}", False), ('"a"', True), ('"a', False), ("nul", False),
     ("null", True), ("```json\n{", False), ("x", False), ("{}}", False)],
)  # fmt: skip
def test_it_goes_by_brackets(text: str, closed: bool) -> None:
    """Nothing is no arguments yet, nor is what stands before them."""
    pieces = Pieces()
    pieces.add(text)
    assert pieces.closed is closed


@pytest.mark.parametrize("asked", [1, 700, 5000, 100_000])
def test_many_pieces_are_one_text(asked: int) -> None:
    """However often it is asked for its end: the same answer, in time and room in proportion."""
    pieces = Pieces()
    text = '{"a":"' + "x}" * 25_000 + '"}'
    began = time.perf_counter()
    tracemalloc.start()
    for at, letter in enumerate(text, start=1):
        pieces.add(letter)
        if at % asked == 0:
            assert pieces.closed is (at == len(text))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pieces.closed
    assert pieces.text == text
    assert held < 8 * len(text)
    assert time.perf_counter() - began < 3
