"""What an operator has said of a provider: whom it keeps away, and until when."""

from __future__ import annotations

from typing import Any

import pytest

from engine._events import ProviderStance
from engine._stance import StanceBook
from tests.engine.said import told


def said(*stances: Any) -> StanceBook:
    book = StanceBook()
    told(book.fold, *[ProviderStance(at=0.0, provider="a", stance=stance, by="operator") for stance in stances])
    return book


@pytest.mark.parametrize(
    ("stances", "stance", "strangers", "known"),
    [
        ([], "enabled", "", ""),
        (["draining"], "draining", "it is being drained: no new conversations (by operator)", ""),
        (["disabled"], "disabled", *["it was switched off at the door (by operator)"] * 2),
        (["disabled", "draining"], "draining", "it is being drained: no new conversations (by operator)", ""),
        (["draining", "disabled", "enabled"], "enabled", "", ""),
    ],
)
def test_the_last_word_holds(stances: list[str], stance: str, strangers: str, known: str) -> None:
    """Draining lets go on what it holds something of; disabled nobody."""
    book = said(*stances)
    assert book.of("a") == stance
    assert (book.against("a", known=False), book.against("a", known=True)) == (strangers, known)
    assert (book.of("b"), book.against("b", known=False)) == ("enabled", "")
