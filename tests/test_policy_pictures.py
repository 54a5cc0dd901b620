"""The pictures of the pages about policies are of what the engine does now."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from docs.policies import make
from docs.policies._page import page
from policies import KINDS

pytestmark = pytest.mark.long


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_up_to_date(kind: str) -> None:
    """Arguments, defaults, prose and both pictures. Mended by `python -m docs.policies.make`."""
    files = make.made_for(kind)
    assert {name: (make.HERE / name).read_text("utf-8") for name in files} == files


def test_nothing_is_left_of_what_was() -> None:
    """A page or drawing that nothing makes any more."""
    assert make.stale() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_drawing_is_well_formed_and_serves_light_and_dark(kind: str) -> None:
    """It parses, has a title for those who do not see it, and reaches for nothing outside itself."""
    for name, text in make.made_for(kind).items():
        if name.endswith(".svg"):
            root = ElementTree.fromstring(text)
            assert root.findtext("{http://www.w3.org/2000/svg}title")
            assert "prefers-color-scheme: dark" in text
            assert "href" not in text
            assert "url(" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_page_says_of_events_is_seen(kind: str) -> None:
    """Each event that it names for its scenes was stated in one of them."""
    good, bad = make.played(kind)
    assert set(make.sources()[kind].events) <= good.events | bad.events


@pytest.mark.parametrize("kind", KINDS)
def test_every_scene_can_be_folded_again(kind: str) -> None:
    """Real requests of every policy: the stored view of each gives the plan that was run."""
    for played in make.played(kind):
        assert played.accounts
        assert all(account["refolds"] for account in played.accounts)


@pytest.mark.parametrize("kind", KINDS)
def test_no_picture_is_too_wide(kind: str) -> None:
    """So that it needs no scrolling."""
    for played in make.played(kind):
        assert max(map(len, played.picture)) <= 120


def test_a_stale_page_is_found() -> None:
    """The comparison is of the whole text."""
    made = page(KINDS["sequence"], make.sources()["sequence"], *make.played("sequence"))
    assert made != page(KINDS["sequence"], make.sources()["race"], *make.played("sequence"))
