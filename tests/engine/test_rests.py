"""Which keys and which models rest, how long, and which key is next."""

from __future__ import annotations

import pytest

from engine._rests import MAX_REST_S, RESTS_S, RestBook
from policies import Candidate, FailureKind
from tests.engine.said import A, B, failed, refused_key, told, won

AUTH, QUOTA, GONE = FailureKind.AUTH, FailureKind.QUOTA, FailureKind.GONE


def test_the_first_key_that_may_be_used_is() -> None:
    """Not the next in turn: prompt caches belong to an account."""
    book = RestBook()
    assert [book.key("a", 3, 0.0) for _ in range(3)] == [0, 0, 0]
    told(book.fold, refused_key(0.0, AUTH, key=0))
    assert book.key("a", 3, 1.0) == 1
    assert book.key("a", 3, 1.0, beside=frozenset({1})) == 2
    assert book.key("a", 3, 1.0, beside=frozenset({1, 2})) is None
    assert book.key("b", 3, 1.0) == 0


@pytest.mark.parametrize(("kind", "rest_s"), [(AUTH, 300.0), (QUOTA, 3600.0)])
def test_a_refused_key_rests_and_is_tried_again(kind: FailureKind, rest_s: float) -> None:
    """A plan is paid, a typo at the provider's end is mended."""
    book = RestBook()
    told(book.fold, refused_key(10.0, kind))
    assert rest_s == RESTS_S[kind]
    assert (book.key("a", 1, 11.0), book.key_wait_s("a", 1, 11.0)) == (None, rest_s - 1)
    assert (book.key("a", 1, 10.0 + rest_s), book.key_wait_s("a", 1, 10.0 + rest_s)) == (0, 0.0)


def test_the_provider_may_name_the_time() -> None:
    """Up to a day, and the longer of two rests stands."""
    book = RestBook()
    told(book.fold, refused_key(0.0, QUOTA, retry_after_s=20.0))
    assert book.key_wait_s("a", 1, 0.0) == 20.0
    told(book.fold, refused_key(0.0, QUOTA, retry_after_s=1e9), refused_key(1.0, AUTH))
    assert book.key_wait_s("a", 1, 0.0) == MAX_REST_S


def test_the_wait_is_for_the_first_key_to_come_back() -> None:
    """None, where one is free."""
    book = RestBook()
    told(book.fold, refused_key(0.0, QUOTA, key=0))
    assert book.key_wait_s("a", 2, 0.0) == 0.0
    told(book.fold, refused_key(0.0, AUTH, key=1))
    assert book.key_wait_s("a", 2, 0.0) == 300.0


def test_a_keyless_provider_loses_none() -> None:
    """A 401 of its puts out the attempt and nothing else."""
    book = RestBook()
    told(book.fold, refused_key(0.0, AUTH, key=-1))
    assert (book.key("a", 0, 0.0), book.key_wait_s("a", 0, 0.0)) == (0, 0.0)


@pytest.mark.parametrize("kind", [k for k in FailureKind if k not in (AUTH, QUOTA)])
def test_other_failures_cost_no_key(kind: FailureKind) -> None:
    """Nor does the end of an attempt, whose tries have been counted."""
    book = RestBook()
    told(book.fold, refused_key(0.0, kind), failed(0.0, A, AUTH))
    assert book.key("a", 1, 0.0) == 0


def test_a_model_that_is_gone_rests_alone() -> None:
    """The provider's other models are asked as before."""
    book = RestBook()
    told(book.fold, failed(10.0, A, GONE), won(11.0, A))
    assert book.gone_wait_s(A, 11.0) == RESTS_S[GONE] - 1
    assert book.gone_wait_s(A, 10.0 + RESTS_S[GONE]) == 0.0
    assert (book.gone_wait_s(Candidate("a", "other"), 11.0), book.gone_wait_s(B, 11.0)) == (0.0, 0.0)
    assert book.key("a", 1, 11.0) == 0


@pytest.mark.parametrize("kind", [k for k in FailureKind if k is not GONE])
def test_other_failures_put_no_model_out(kind: FailureKind) -> None:
    """Health is the breaker's affair."""
    book = RestBook()
    told(book.fold, failed(0.0, A, kind))
    assert book.gone_wait_s(A, 0.0) == 0.0


def test_a_recorded_log_folds_to_the_same_rests() -> None:
    """Twice the same facts."""
    log = [refused_key(0.0, AUTH), refused_key(1.0, QUOTA, key=1), failed(2.0, A, GONE), refused_key(3.0, AUTH, key=1)]
    one, two = RestBook(), RestBook()
    told(one.fold, *log)
    told(two.fold, *log)
    assert (one._keys, one._candidates) == (two._keys, two._candidates) != ({}, {})
