"""What the books hold is bounded, whatever names clients make up."""

from __future__ import annotations

import pytest

from engine._books import Books
from engine._breaker import BreakerBook
from engine._kept import KEPT, keep
from engine._scopes import ScopeBook
from policies import Breaker, Candidate, FailureKind, Unlimited
from tests.engine.said import content, failed, started, told, won


def test_what_was_written_to_last_stays() -> None:
    """An old row that is written to again is a new one."""
    rows: dict[int, int] = {}
    for n in range(KEPT):
        keep(rows, n, n)
    keep(rows, 0, 7)
    keep(rows, KEPT, 1)
    assert len(rows) == KEPT
    assert rows[0] == 7
    assert 1 not in rows


@pytest.mark.parametrize("book", ["load", "latency", "breakers", "rests"])
def test_names_that_clients_make_up_take_no_memory_without_end(book: str) -> None:
    """A client may ask a provider for any model; the last ones are remembered, in flight or not."""
    books = Books(breakers=BreakerBook(lambda _: Breaker()), scopes=ScopeBook(lambda _: Unlimited()))
    folding = getattr(books, book)
    for n in range(KEPT + 50):
        who = Candidate("a", f"m{n}")
        told(folding.fold, started(n, who), content(n, 1.0, who), won(n, who))
        for kind in (FailureKind.SERVER, FailureKind.GONE):
            told(folding.fold, started(n, who), failed(n, who, kind))
    held = [rows for name in type(folding).__slots__ if isinstance(rows := getattr(folding, name, None), dict)]
    assert held
    assert max(map(len, held)) <= KEPT
