"""Whose failures they are: one caller's poisoned request ejects nobody for the others, and a lone caller is enough."""

from __future__ import annotations

import attrs
import pytest

from engine._breaker import BreakerBook
from engine._events import AttemptEnded, BreakerChanged
from engine._prompt import Prompt
from engine._size import Estimate
from policies import Breaker, FailureKind
from tests.engine.said import A, failed, told, won


def book(**settings: int) -> BreakerBook:
    return BreakerBook(lambda provider: Breaker(**settings))


def state(made: BreakerBook, at: float) -> str:
    return made.state(A, at)[0]


def test_one_sessions_poison_ejects_nobody_while_others_are_answered() -> None:
    """However often it is sent, in a row or as a share of all: fifty times between two good answers."""
    made = book()
    for at in range(40):
        told(made.fold, *[failed(float(at), session="poison")] * 50, won(float(at), session=f"good {at % 3}"))
    assert state(made, 40.0) == "closed"


@pytest.mark.parametrize("session", ["one", ""])
def test_a_lone_caller_is_enough(session: str) -> None:
    """Its own good answers before do not excuse it; nor do those of callers that nothing tells apart."""
    made = book()
    told(made.fold, won(0.0, session=session), *[failed(1.0, session=session)] * 3)
    assert state(made, 1.0) == "closed"
    told(made.fold, failed(1.0, session=session))
    assert state(made, 1.0) == "open"


def test_others_speak_for_a_candidate_only_for_a_while() -> None:
    """Within the window. After it, the lone caller is the only one who knows."""
    made = book()
    told(made.fold, won(0.0, session="other"), *[failed(30.0, session="one")] * 9)
    assert state(made, 30.0) == "closed"
    told(made.fold, failed(30.1, session="one"))
    assert state(made, 30.1) == "open"


def test_two_callers_are_enough() -> None:
    """Each counts for at most half, so both have to have failed; as many callers as failures take no more than those."""
    made = book()
    told(made.fold, won(0.0, session="other"), *[failed(1.0, session="one")] * 9, failed(1.0, session="two"))
    assert state(made, 1.0) == "closed"
    told(made.fold, failed(1.0, session="two"))
    assert state(made, 1.0) == "open"
    made = book()
    told(made.fold, won(0.0, session="other"), *[failed(1.0, session=f"s{n}") for n in range(4)])
    assert state(made, 1.0) == "open"


def test_a_threshold_of_one_takes_two_callers_where_others_are_answered() -> None:
    """Half of one failure is not enough."""
    made = book(failures=1)
    told(made.fold, won(0.0, session="other"), *[failed(1.0, session="one")] * 3)
    assert state(made, 1.0) == "closed"
    told(made.fold, failed(1.0, session="two"))
    assert state(made, 1.0) == "open"


def test_the_rate_has_to_hold_without_the_one_who_failed_most() -> None:
    """While others are answered; a candidate that fails everybody two times of three is out."""
    made = book()
    ends = [(failed, failed, won)[n % 3](n / 10, session=f"s{n % 7}") for n in range(60)]
    (change, *_) = told(made.fold, *ends)
    assert isinstance(change, BreakerChanged)
    assert change.reason == "14 of 20 requests failed within 30 s, last: server error"
    made = book()
    ends = [(failed, failed, won)[n % 3](n / 10, session="one" if n % 3 < 2 else "two") for n in range(60)]
    assert told(made.fold, *ends) == []


def test_no_connection_is_nobodys_poison() -> None:
    """Nothing of the request was sent."""
    made = book()
    told(made.fold, won(0.0, session="other"), *[failed(1.0, kind=FailureKind.CONNECT, session="one")] * 4)
    assert state(made, 1.0) == "open"


def test_callers_without_a_session_are_told_apart_by_their_conversations() -> None:
    """By how it begins, as far as the prompt was measured."""

    def of(head: int, event: AttemptEnded) -> AttemptEnded:
        estimate = Estimate(conversation=("", "", head), prompt=Prompt(text=1.0, size=4))
        return attrs.evolve(event, estimate=estimate)

    made = book()
    told(made.fold, of(1, won(0.0)), *[of(2, failed(1.0))] * 9)
    assert state(made, 1.0) == "closed"
    told(made.fold, *[of(3, failed(1.0))] * 2)
    assert state(made, 1.0) == "open"
