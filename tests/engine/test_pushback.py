"""How long a provider asked to be left alone: by Retry-After, by growing guesses, by key and as a whole."""

from __future__ import annotations

import pytest

from engine._pushback import PushbackBook
from policies import FailureKind
from tests.engine.said import A, refused_key, reset, told, won


def refused(*kinds: FailureKind, key: int = 0, retry_after_s: float | None = None) -> PushbackBook:
    book = PushbackBook()
    told(book.fold, *[refused_key(0.0, A, kind, key=key, retry_after_s=retry_after_s) for kind in kinds])
    return book


@pytest.mark.parametrize("kind", [FailureKind.RATE_LIMITED, FailureKind.OVERLOADED])
@pytest.mark.parametrize(("wish_s", "kept_s"), [(7.0, 7.0), (9_999.0, 300.0), (None, 5.0)])
def test_its_wish_is_kept_and_capped(kind: FailureKind, wish_s: float | None, kept_s: float) -> None:
    """In seconds; without one it is five."""
    book = refused(kind, retry_after_s=wish_s)
    assert [book.left_s("a", 1, at) for at in (0.0, kept_s - 1, kept_s)] == [kept_s, 1.0, 0.0]


def test_guesses_double_to_a_minute_until_an_answer_is_whole() -> None:
    """As those of scopes do."""
    book = refused()
    left = []
    for _ in range(6):
        told(book.fold, refused_key(0.0, A, FailureKind.RATE_LIMITED))
        left.append(book.left_s("a", 1, 0.0))
    assert left == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    told(book.fold, won(100.0), refused_key(100.0, A, FailureKind.RATE_LIMITED))
    assert book.left_s("a", 1, 100.0) == 5.0


def test_the_longer_wish_stands() -> None:
    """A short one that comes after it ends nothing."""
    book = refused(FailureKind.RATE_LIMITED, retry_after_s=50.0)
    told(book.fold, refused_key(1.0, A, FailureKind.RATE_LIMITED, retry_after_s=2.0))
    assert book.left_s("a", 1, 1.0) == 49.0


def test_a_rate_is_of_a_key_and_an_overload_of_the_provider() -> None:
    """With another key that was not refused there is nothing to leave alone."""
    book = refused(FailureKind.RATE_LIMITED, key=0, retry_after_s=9.0)
    assert [book.left_s("a", keys, 0.0) for keys in (0, 1, 2)] == [9.0, 9.0, 0.0]
    book = refused(FailureKind.OVERLOADED, key=0, retry_after_s=9.0)
    assert [book.left_s("a", keys, 0.0) for keys in (0, 1, 2)] == [9.0, 9.0, 9.0]
    assert refused(FailureKind.RATE_LIMITED, key=-1, retry_after_s=9.0).left_s("a", 0, 0.0) == 9.0


@pytest.mark.parametrize("kind", [FailureKind.SERVER, FailureKind.AUTH, FailureKind.QUOTA, FailureKind.CONNECT])
def test_other_failures_wish_for_nothing(kind: FailureKind) -> None:
    """They are for breakers and keys."""
    assert refused(kind, retry_after_s=9.0).left_s("a", 1, 0.0) == 0.0


def test_a_reset_forgets_it() -> None:
    """Of that provider."""
    book = refused(FailureKind.RATE_LIMITED)
    told(book.fold, reset(1.0, "b"))
    assert book.left_s("a", 1, 1.0) == 4.0
    told(book.fold, reset(1.0, "a"))
    assert book.left_s("a", 1, 1.0) == 0.0
