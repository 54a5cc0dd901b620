"""Which models rest, and how long."""

from __future__ import annotations

import pytest

from engine._rests import RESTS_S, RestBook
from policies import Candidate, FailureKind
from tests.engine.said import A, B, failed, told, won

GONE = FailureKind.GONE


def test_a_model_that_is_gone_rests_alone() -> None:
    """The provider's other models are asked as before."""
    book = RestBook()
    told(book.fold, failed(10.0, A, GONE), won(11.0, A))
    assert book.gone_wait_s(A, 11.0) == RESTS_S[GONE] - 1
    assert book.gone_wait_s(A, 10.0 + RESTS_S[GONE]) == 0.0
    assert (book.gone_wait_s(Candidate("a", "other"), 11.0), book.gone_wait_s(B, 11.0)) == (0.0, 0.0)


@pytest.mark.parametrize("kind", [k for k in FailureKind if k is not GONE])
def test_other_failures_put_no_model_out(kind: FailureKind) -> None:
    """Health is the breaker's affair."""
    book = RestBook()
    told(book.fold, failed(0.0, A, kind))
    assert book.gone_wait_s(A, 0.0) == 0.0


def test_a_recorded_log_folds_to_the_same_rests() -> None:
    """Twice the same facts."""
    log = [failed(2.0, A, GONE), failed(3.0, B, GONE)]
    one, two = RestBook(), RestBook()
    told(one.fold, *log)
    told(two.fold, *log)
    assert one._candidates == two._candidates != {}
