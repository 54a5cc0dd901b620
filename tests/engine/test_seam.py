"""Where a text that broke off meets its continuation: what is repeated goes, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from engine import _seam as module
from engine._seam import STRONG, Seam

_PROSE = (
    "the file holds a list of names which nobody has read since March so I would like to check it first and then write "
    "a short note about every row that looks wrong before any test runs again tomorrow morning"
)
WORDS = _PROSE.split()


def joined(shown: str, *pieces: str) -> str:
    """What the client ends up with."""
    seam = Seam(shown)
    return shown + "".join([*map(seam.feed, pieces), seam.finish()])


@pytest.mark.parametrize(
    ("shown", "more", "whole"),
    [
        ("I will read", " the file.", "I will read the file."),
        ("I will read ", "the file.", "I will read the file."),
        ("I will read ", " the file.", "I will read the file."),
        ("I will read the fi", "le.", "I will read the file."),
        ("I will read the fi", "file.", "I will read the fifile."),  # two letters tell nothing
        ("I will open a connec", "connection.", "I will open a connection."),
        ("I will read the fi", "the file.", "I will read the file."),
        ("I will read the fi", "I will read the file.", "I will read the file."),
        ("Yes. I will read the fi", "I will read the file.", "Yes. I will read the file."),
        ("I will read the fi", "\n\nI will read the file.", "I will read the file."),
        ("I will read ", "I will read the file.", "I will read the file."),
        ("aa bb aa bb aa cc dd", "aa cc dd", "aa bb aa bb aa cc dd"),
        ("I can see the end ", "I can see the end ", "I can see the end "),
        ("I can see the end", "I can see the end\n", "I can see the end\n"),
        ("Done:\n\n", "\n\n- one", "Done:\n\n- one"),
        ("Done:\n\n", "\n- one", "Done:\n\n- one"),
        ("Done:\n", "\n\n- one", "Done:\n\n- one"),
        ("def f():\n    ", "\n    return 1", "def f():\n    return 1"),
        ("def f():\n    ", "return 1", "def f():\n    return 1"),
        ("It is very", " very good", "It is very very good"),
        ("Ha", "ha", "Haha"),
        ("ha", "ha", "haha"),
        ("---", "-----|", "--------|"),
        ("  }\n  }\n", "  }\n", "  }\n  }\n  }\n"),
        ("pi is 3.1", "41592", "pi is 3.141592"),
        ("x = 1", "1 + 1", "x = 11 + 1"),
        ("The end", ".", "The end."),
        ("The end", "", "The end"),
        ("The end", "\n", "The end\n"),
        ("The end ", " ", "The end "),
        ("I will", "Continuing: I will go", "I willContinuing: I will go"),
        (
            "\u4f60\u597d\u4e16\u754c\u5927\u5bb6",
            "\u4e16\u754c\u5927\u5bb6\u597d",
            "\u4f60\u597d\u4e16\u754c\u5927\u5bb6\u597d",
        ),
    ],
)
def test_by_example(shown: str, more: str, whole: str) -> None:
    """At once and letter by letter."""
    assert joined(shown, more) == whole
    assert joined(shown, *more) == whole


# Any text, any cut, any way of beginning again, any fragments.

FORMS: dict[str, Callable[[str, int], int]] = {
    "exactly": lambda text, cut: len(text[:cut].rstrip()),
    "the whole": lambda text, cut: 0,
    "the line": lambda text, cut: text.rfind("\n", 0, len(text[:cut].rstrip())) + 1,
    "the sentence": lambda text, cut: max(
        (found.end() for found in re.finditer(r"[.!?:] |\n", text[: len(text[:cut].rstrip())])), default=0
    ),
    "a few words": lambda text, cut: max(
        [found.start() for found in re.finditer(r"\S+", text[: len(text[:cut].rstrip())])][-6:-5] or [0]
    ),
}


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Prose, lists and code, in which nothing that says something stands twice."""
    words = draw(st.permutations(WORDS))[: draw(st.integers(4, len(WORDS)))]
    marks = st.sampled_from([" "] * 8 + [", ", ". ", ".\n\n", ":\n- ", "\n    ", "() {\n\t", " = 0x1f;\n"])
    return "".join(word + draw(marks) for word in dict.fromkeys(words))


def fragments(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.sets(st.integers(0, max(0, len(text))), max_size=12)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@st.composite
def seams(draw: st.DrawFn) -> tuple[str, str, str, list[str]]:
    """A text, what was shown of it, how it is begun again, in fragments."""
    text = draw(texts())
    cut = draw(st.integers(1, len(text)))
    form = draw(st.sampled_from(sorted(FORMS)))
    again = text[FORMS[form](text, cut) :]
    if form != "exactly":
        again = draw(st.sampled_from(["", "", "\n", "\n\n", " "])) + again
    return text, text[:cut], form, fragments(draw, again)


@given(seams())
def test_the_shown_text_is_the_text(seam: tuple[str, str, str, list[str]]) -> None:
    """Where enough is repeated to be told, and always where it goes on exactly."""
    text, shown, form, pieces = seam
    again = "".join(pieces)
    core = shown.rstrip()
    overlap = len(core) - (len(text) - len(again.lstrip()))
    told = core[len(core) - overlap :] if overlap > 0 else ""
    assume(form == "exactly" or sum(map(str.isalnum, told)) >= STRONG)
    assert joined(shown, *pieces) == text


@given(st.text(), st.lists(st.text(), max_size=8))
@example("a", ["a"])
@example("abc abc", [" abc"])
def test_nothing_is_lost_that_was_not_said_before(shown: str, pieces: list[str]) -> None:
    """Whatever is cut off stood at the end of what was shown, or is white space that did, or says again a part of it."""
    more, whole = "".join(pieces), joined(shown, *pieces)
    assert whole.startswith(shown)
    new = whole[len(shown) :]
    assert more.endswith(new)
    gone = more[: len(more) - len(new)].strip()
    assert gone in shown


@given(st.text("ab \n", max_size=30), st.text("ab \n", max_size=30), st.data())
def test_fragments_make_no_difference(shown: str, more: str, data: st.DataObject) -> None:
    """What is decided is decided of the text."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(more)), max_size=6)))
    pieces = [more[a:b] for a, b in zip([0, *cuts], [*cuts, len(more)], strict=True)]
    assert joined(shown, *pieces) == joined(shown, more)


@given(texts(), texts(), st.integers(1, 60))
def test_what_does_not_repeat_is_held_for_some_characters_only(shown: str, more: str, cut: int) -> None:
    """As long as it stands somewhere in what was shown."""
    seam, given_out = Seam(shown[:cut]), ""
    for n, letter in enumerate(more, 1):
        given_out += seam.feed(letter)
        if more[:n].strip() and more[:n].strip() not in shown[:cut]:
            assert seam.decided
            break


def test_a_text_that_says_one_thing_only_takes_no_time() -> None:
    """Each letter could begin a repetition at fifty thousand places."""
    seam = Seam("a " * 50_000)
    given_out = "".join(seam.feed(letter) for letter in "a " * 2_000)
    assert seam._work <= module.MAX_WORK + 50_000
    assert (given_out + seam.finish()).replace(" ", "") == "a" * 2_000


def test_the_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it, nothing is taken for a repetition."""
    monkeypatch.setattr(module, "MAX_WORK", 0)
    assert joined("I will read the fi", "I will read the file") == "I will read the fiI will read the file"


@pytest.mark.parametrize("shown", ["I will read ", "I will read the file which was named. \n"])
def test_endless_white_space_is_not_kept(shown: str) -> None:
    """At the beginning of a continuation, or behind a repetition: a host that sends nothing else fills no memory."""
    seam = Seam(shown)
    said = seam.feed("I will read the file which was named.") if "named" in shown else ""
    said += "".join(seam.feed(" " * 1000) for _ in range(100))
    assert not said
    assert len(seam._lead) + len(seam._rest or "") <= module.MAX_BLANK
    assert seam.feed("And then").strip() == "And then"
