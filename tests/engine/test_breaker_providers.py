"""A provider as a whole: out when its models fail together or it cannot be reached, never for one model's sake."""

from __future__ import annotations

from typing import Any

import pytest

from engine._breaker import EVERY, BreakerBook
from engine._breaker_row import PROBE_WAIT_S
from engine._events import AttemptEnded, BreakerChanged
from policies import Breaker, Candidate, FailureKind
from tests.engine.said import content, failed, started, told, won

ONE, TWO, THREE = (Candidate("a", model) for model in ("one", "two", "three"))
ALL = Candidate("a", EVERY)


def book() -> BreakerBook:
    return BreakerBook(lambda provider: Breaker())


def states(made: BreakerBook, at: float) -> str:
    return " ".join(made.state(who, at)[0] for who in (ONE, TWO, THREE))


def unreachable(at: float = 0.0, who: Candidate = ONE, **rest: Any) -> AttemptEnded:
    return failed(at, who, FailureKind.CONNECT, **rest)


@pytest.mark.parametrize("kind", [FailureKind.CONNECT, FailureKind.CONNECT_TIMEOUT])
def test_whoever_cannot_be_reached_is_out_with_all_models(kind: FailureKind) -> None:
    """After four, whichever models they were for; a model that nobody has asked yet is out as well, and the reason says it."""
    made = book()
    (change,) = told(made.fold, *[failed(0.0, who, kind) for who in (ONE, TWO, ONE, ONE)])
    assert isinstance(change, BreakerChanged)
    assert (change.candidate, change.after) == (ALL, "open")
    assert states(made, 0.0) == "open open open"
    assert made.standing(THREE, 0.0).reason == f"a as a whole: 4 failures in a row, last: {kind.value}"


def test_one_models_fault_leaves_its_siblings() -> None:
    """However long its row is."""
    made = book()
    for at in range(300):
        told(made.fold, failed(float(at), ONE))
    assert states(made, 10.0) == "open closed closed"


def test_one_stray_failure_of_a_sibling_beside_it_changes_nothing() -> None:
    """Half of what ejects has to be somebody else's."""
    made = book()
    told(made.fold, *[failed(0.0, ONE)] * 4, failed(0.0, TWO))
    assert states(made, 0.0) == "open closed closed"


def test_models_that_fail_together_take_the_provider_out() -> None:
    """Four failures of two models, with no good answer of any in between."""
    made = book()
    told(made.fold, *[failed(0.0, who) for who in (ONE, TWO, ONE, TWO)])
    assert states(made, 0.0) == "open open open"
    made = book()
    told(made.fold, *[failed(0.0, who) for who in (ONE, TWO, ONE)], won(0.0, THREE), failed(0.0, TWO))
    assert states(made, 0.0) == "closed closed closed"


def test_one_request_leads_for_all_models() -> None:
    """Its first content brings all of them back, but for those that were out for themselves."""
    made = book()
    told(made.fold, *[failed(0.0, ONE)] * 4, *[unreachable()] * 4)
    assert made.admit(TWO, 30.0) == 0.0
    told(made.fold, started(30.0, TWO))
    assert made.admit(THREE, 30.0) == made.admit(ONE, 30.0) == PROBE_WAIT_S
    told(made.fold, content(31.0, 1.0, TWO))
    assert states(made, 31.0) == "half-open closed closed"
    assert made.standing(THREE, 31.0).ramp < 1


def test_a_leader_that_cannot_connect_keeps_everybody_out() -> None:
    """For longer than before; its model is free when the provider is."""
    made = book()
    told(made.fold, *[unreachable()] * 4, started(30.0, ONE), unreachable(31.0, elapsed_s=1.0))
    assert [made.state(who, 31.0) for who in (ONE, TWO, ALL)] == [("open", 60.0)] * 3
    assert made.state(ONE, 91.0) == ("half-open", 0.0)


def test_a_leader_whose_model_fails_leaves_the_place_to_another_model() -> None:
    """It was connected: a broken model at the head of a chain must not keep its siblings out for ever."""
    made = book()
    told(made.fold, *[unreachable()] * 4, started(30.0, ONE), failed(31.0, ONE, elapsed_s=1.0))
    assert made.state(ONE, 31.0) == ("open", 30.0)
    assert made.admit(TWO, 31.0) == 0.0
    told(made.fold, started(31.0, TWO), content(32.0, 1.0, TWO))
    assert states(made, 32.0) == "open closed closed"


def test_a_good_answer_of_any_model_brings_the_provider_back() -> None:
    """Also one that was under way."""
    made = book()
    told(made.fold, *[unreachable()] * 4, won(5.0, THREE, elapsed_s=60.0))
    assert states(made, 5.0) == "closed closed closed"
