"""Who is ejected, by which failures, and how they come back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._breaker import PROBE_WAIT_S, BreakerBook
from engine._events import BreakerChanged, EngineEvent
from policies import Breaker, FailureKind
from tests.engine.said import A, B, abandoned, content, failed, lost, started, told, won

SPEC = Breaker(failures=4, rate=0.5, volume=20, window_s=30.0, open_s=30.0)


def book(spec: Breaker | None = SPEC) -> BreakerBook:
    return BreakerBook(lambda provider: spec)


def opened(at: float = 0.0) -> BreakerBook:
    """A book in which A was ejected at that time."""
    made = book()
    told(made.fold, *[failed(at)] * SPEC.failures)
    assert made.state(A, at) == ("open", SPEC.open_s)
    return made


def probing(at: float = 30.0) -> BreakerBook:
    """A book in which A's probe is under way."""
    made = opened(at - SPEC.open_s)
    assert made.admit(A, at) == 0
    return made


def changes(stated: list[EngineEvent]) -> list[tuple[str, str]]:
    return [(event.before, event.after) for event in stated if isinstance(event, BreakerChanged)]


def test_some_failures_in_a_row_open_it() -> None:
    """Four by default, not three; the reason says how it came to it."""
    made = book()
    assert told(made.fold, *[failed(1.0)] * 3) == []
    assert made.state(A, 1.0) == ("closed", 0.0)
    (change,) = told(made.fold, failed(2.0, kind=FailureKind.EMPTY))
    assert isinstance(change, BreakerChanged)
    assert (change.before, change.after, change.candidate, change.at) == ("closed", "open", A, 2.0)
    assert change.reason == made.reason(A) == "4 failures in a row, last: empty answer"
    assert made.failures(A) == 4
    assert made.state(A, 12.0) == ("open", 20.0)
    assert made.state(B, 12.0) == ("closed", 0.0)


def test_a_whole_answer_clears_the_row() -> None:
    """In a row means in a row."""
    made = book()
    assert told(made.fold, *[failed(0)] * 3, won(0), *[failed(0)] * 3) == []
    assert made.failures(A) == 3


@pytest.mark.parametrize(
    "harmless",
    [
        lost(0, 9.0),
        abandoned(0),
        started(0),
        failed(0, kind=FailureKind.RATE_LIMITED),
        failed(0, kind=FailureKind.CLIENT),
        failed(0, kind=FailureKind.AUTH),
        failed(0, kind=FailureKind.TOO_LONG),
        failed(0, kind=FailureKind.BUG),
    ],
    ids=lambda event: f"{type(event).__name__} {getattr(event, 'ending', '')}",
)
def test_what_is_nobodys_failure_does_not_count(harmless: EngineEvent) -> None:
    """Losers, clients that left, clients' mistakes, rates and keys."""
    made = book()
    assert told(made.fold, *[harmless] * 50) == []
    assert (made.state(A, 0), made.failures(A)) == (("closed", 0.0), 0)


def test_a_rate_limit_counts_where_the_scope_is_unlimited() -> None:
    """Nothing else would hold such a candidate back."""
    made = book()
    told(made.fold, *[failed(0, kind=FailureKind.RATE_LIMITED, unlimited=True)] * 4)
    assert made.state(A, 0)[0] == "open"


def test_a_rate_of_failures_opens_it_once_there_is_volume() -> None:
    """Ten of twenty within thirty seconds, never four in a row."""
    made = book()
    outcomes = [e for i in range(10) for e in (failed(float(i)), won(float(i)))]
    assert told(made.fold, *outcomes[:19]) == []
    made = book()
    (change,) = told(made.fold, *outcomes, failed(10.0))
    assert isinstance(change, BreakerChanged)
    assert change.reason == "11 of 21 requests failed within 30 s, last: server error"


def test_what_has_left_the_window_is_forgotten() -> None:
    """The same rate spread over minutes opens nothing; and of the past no more is kept than the window."""
    made = book()
    assert told(made.fold, *[e for i in range(100) for e in (failed(4.0 * i), won(4.0 * i))]) == []
    told(made.fold, *[won(1_000.0 + i) for i in range(1_000)])
    assert len(made._rows[A.name].outcomes) <= 32


def test_one_probe_is_let_in_when_the_time_is_over() -> None:
    """And only one."""
    made = opened()
    assert made.admit(A, 29.5) == 0.5
    assert made.state(A, 30.0) == ("half-open", 0.0)
    assert made.admit(A, 30.0) == 0.0
    assert made.admit(A, 30.0) == PROBE_WAIT_S
    assert made.state(A, 30.0) == ("open", PROBE_WAIT_S)


@pytest.mark.parametrize("ends", [None, lost(31, 1.0), abandoned(31), failed(31, kind=FailureKind.CLIENT)])
def test_a_probe_without_a_verdict_leaves_its_place(ends: EngineEvent | None) -> None:
    """Not sent after all, cancelled, or somebody else's fault."""
    made = probing()
    if ends is None:
        made.release(A)
    else:
        assert told(made.fold, ends) == []
    assert made.state(A, 31.0) == ("half-open", 0.0)
    assert made.admit(A, 31.0) == 0.0


def test_the_probes_first_content_closes_it() -> None:
    """Yet one more failure opens it again at once, until an answer was whole."""
    made = probing()
    assert changes(told(made.fold, content(31.0, 1.0))) == [("half-open", "closed")]
    assert made.admit(A, 31.0) == 0.0
    assert changes(told(made.fold, failed(32.0))) == [("closed", "open")]
    made = probing()
    assert changes(told(made.fold, content(31.0, 1.0), won(32.0), *[failed(33.0)] * 3)) == [("half-open", "closed")]


def test_a_failed_probe_opens_it_for_the_whole_time_again() -> None:
    """One is enough."""
    made = probing()
    (change,) = told(made.fold, failed(35.0))
    assert isinstance(change, BreakerChanged)
    assert change.reason == "the probe failed, last: server error"
    assert made.state(A, 36.0) == ("open", 29.0)


def test_late_failures_do_not_prolong_it() -> None:
    """Attempts that were under way when it opened tell nothing new."""
    made = opened()
    assert told(made.fold, *[failed(10.0)] * 9) == []
    assert made.state(A, 10.0) == ("open", 20.0)


def test_a_late_whole_answer_closes_it() -> None:
    """The candidate evidently works."""
    made = opened()
    assert changes(told(made.fold, won(10.0))) == [("open", "closed")]
    assert made.state(A, 10.0) == ("closed", 0.0)


def test_a_breaker_that_is_off_never_opens() -> None:
    """Nor does one that was switched off while it was open keep anybody out."""
    made = book(None)
    assert told(made.fold, *[failed(0)] * 99) == []
    assert made.state(A, 0) == ("closed", 0.0)
    spec: list[Breaker | None] = [SPEC]
    made = BreakerBook(lambda provider: spec[0])
    told(made.fold, *[failed(0)] * 4)
    spec[0] = None
    assert made.admit(A, 0) == 0.0


_facts: list[Callable[[float], EngineEvent]] = [
    failed,
    failed,
    lambda at: failed(at, kind=FailureKind.CLIENT),
    won,
    lambda at: content(at, 0.1),
    lambda at: lost(at, 0.1),
    abandoned,
]


@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from(range(len(_facts))), st.booleans()), max_size=60))
def test_any_log_folds_twice_to_the_same_and_keeps_the_rules(log: list[tuple[float, int, bool]]) -> None:
    """States follow each other as they may, and while half-open there is one probe."""
    books, at, stated = (book(), book()), 0.0, list[list[EngineEvent]]([[], []])
    for after_s, which, asks in log:
        at += after_s
        for made, said in zip(books, stated, strict=True):
            if asks and made.admit(A, at) == 0 and made._rows.get(A.name) and made._rows[A.name].probing:
                assert made.admit(A, at) > 0
            said += told(made.fold, _facts[which](at))
    assert stated[0] == stated[1]
    assert books[0].state(A, at) == books[1].state(A, at)
    state = "closed"
    for before, after in changes(stated[0]):
        assert before == state or (state, before) == ("open", "half-open")
        assert (before, after) in {
            ("closed", "open"),
            ("half-open", "closed"),
            ("half-open", "open"),
            ("open", "closed"),
        }
        state = after
