"""Thinking between tags: found at the beginning and nowhere else, wherever the pieces end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.translate._think import TAGS, ThinkSplitter


def split(texts: list[str], *, implied: bool = False) -> tuple[str, str]:
    """Thinking and text, each joined."""
    splitter = ThinkSplitter(implied=implied)
    said = [one for text in texts for one in splitter.feed(text)] + splitter.finish()
    return "".join(t for kind, t in said if kind == "thinking"), "".join(t for kind, t in said if kind == "text")


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    ("text", "thinking", "said"),
    [
        ("<think>hm</think>hi", "hm", "hi"),
        ("<think>\nhm\n</think>\n\nhi", "hm\n", "hi"),
        ("\n <think>hm</think> hi", "hm", "hi"),
        ("<thinking>hm</thinking>hi", "hm", "hi"),
        ("<thought>hm</thought>hi", "hm", "hi"),
        ("[THINK]hm[/THINK]hi", "hm", "hi"),
        ("<think>a</thinking>b</think>c", "a</thinking>b", "c"),
        ("<think>a < b </thin k></think>c", "a < b </thin k>", "c"),
        ("</think>\n\nhi", "", "hi"),  # a template's leftover
        ("<think></think>hi", "", "hi"),
        ("<think>cut in the mid", "cut in the mid", ""),
        ("<think>cut in the tag</thi", "cut in the tag</thi", ""),
        ("a <think>b</think>", "", "a <think>b</think>"),
        ("`<think>` is a tag", "", "`<think>` is a tag"),
        ("<thin", "", "<thin"),
        ("<thinly>", "", "<thinly>"),
        ("  hi", "", "  hi"),
        ("<think>hm</think>hi<think>no</think>", "hm", "hi<think>no</think>"),
        ("<think>", "", "<think>"),  # opened on nothing: perhaps it was none
        ("", "", ""),
    ],
)
def test_a_tag_counts_at_the_beginning(text: str, thinking: str, said: str, size: int) -> None:
    """In pieces of any size, as whole."""
    assert split([text[at : at + size] for at in range(0, len(text), size)]) == (thinking, said)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "thinking", "said"),
    [
        ("hm</think>hi", "hm", "hi"),
        ("<think>\nhm</think>hi", "hm", "hi"),  # the model opens it once more
        ("</think>hi", "", "hi"),
        ("hm", "hm", ""),
        ("<", "<", ""),
        ("<b>hm</b></think>hi", "<b>hm</b>", "hi"),
    ],
)
def test_a_template_may_have_opened_it(text: str, thinking: str, said: str, size: int) -> None:
    """Then the answer begins inside."""
    assert split([text[at : at + size] for at in range(0, len(text), size)], implied=True) == (thinking, said)


TRICKY = st.lists(
    st.sampled_from(["a", " ", "\n", "<", "/", ">", "think", "</", "hm", *(tag for pair in TAGS for tag in pair)]),
    max_size=12,
).map("".join)


@given(TRICKY, st.booleans(), st.data())
def test_where_the_pieces_end_changes_nothing(text: str, implied: bool, data: st.DataObject) -> None:
    """What is one tag in one piece is one tag in two."""
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    cut = [text[a:b] for a, b in pairwise(sorted({0, len(text), *places}))]
    assert split(cut, implied=implied) == split([text], implied=implied)


@given(st.text(alphabet="ab <>/think\n", max_size=30))
def test_text_without_a_tag_at_its_beginning_is_left_as_it_is(text: str) -> None:
    """To the letter."""
    if not text.lstrip().startswith(tuple(tag for pair in TAGS for tag in pair)):
        assert split([text]) == ("", text)


@pytest.mark.parametrize("piece", [" ", "<", "</think", "x"])
@pytest.mark.parametrize("opened", [True, False])
def test_what_waits_is_bounded(piece: str, opened: bool) -> None:
    """However many pieces come: white space in front, or a tag that never closes."""
    splitter = ThinkSplitter()
    splitter.feed("<think>" if opened else "")
    for _ in range(50_000):
        splitter.feed(piece)
    assert len(splitter._held) < 512
