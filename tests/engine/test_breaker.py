"""Who is ejected, by which failures, and how they come back."""

from __future__ import annotations

import pytest

from engine._breaker import BreakerBook
from engine._breaker_row import FIRST_SHARE, LAST_RESORT_S, PROBE_WAIT_S
from engine._events import BreakerChanged, EngineEvent
from engine._evidence import MOST_OUTCOMES
from policies import Breaker, FailureKind
from tests.engine.said import A, B, abandoned, content, failed, lost, reset, started, told, won

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
    told(made.fold, started(at))
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


def test_a_busy_candidate_is_out_for_a_row_that_would_make_up_the_rate() -> None:
    """Four failures among hundreds of good answers are a hiccup; ten in a row are not."""
    made = book()
    told(made.fold, *[won(1.0)] * 300, *[failed(2.0)] * 9)
    assert made.state(A, 2.0)[0] == "closed"
    (change,) = told(made.fold, failed(2.0))
    assert isinstance(change, BreakerChanged)
    assert change.reason == "10 failures in a row, last: server error"


def test_what_has_left_the_window_is_forgotten() -> None:
    """The same rate spread over minutes opens nothing; and of the past no more is kept than the window, nor than a bound."""
    made = book()
    assert told(made.fold, *[e for i in range(100) for e in (failed(4.0 * i), won(4.0 * i))]) == []
    told(made.fold, *[won(1_000.0 + i) for i in range(1_000)])
    assert len(made._rows[A.name].evidence._outcomes) <= 32
    told(made.fold, *[won(5_000.0, session=f"s{i}") for i in range(MOST_OUTCOMES + 100)])
    evidence = made._rows[A.name].evidence
    assert len(evidence._outcomes) == len(evidence._of) == MOST_OUTCOMES


def test_one_probe_is_let_in_when_the_time_is_over() -> None:
    """And only one."""
    made = opened()
    assert made.admit(A, 29.5) == 0.5
    assert made.state(A, 30.0) == ("half-open", 0.0)
    assert made.admit(A, 30.0) == 0.0
    assert made.admit(A, 30.0) == PROBE_WAIT_S
    assert made.state(A, 30.0) == ("open", PROBE_WAIT_S)


@pytest.mark.parametrize("ends", [lost(31, 1.0), abandoned(31), failed(31, kind=FailureKind.CLIENT)])
def test_a_probe_without_a_verdict_leaves_its_place(ends: EngineEvent) -> None:
    """Cancelled, given up, or somebody else's fault: the next may lead."""
    made = probing()
    assert told(made.fold, ends) == []
    assert made.state(A, 31.0) == ("half-open", 0.0)
    assert made.admit(A, 31.0) == 0.0


def test_only_who_leads_can_give_the_place_back() -> None:
    """An attempt from before the opening that ends without a verdict frees nothing, nor does a permit that reserved nothing."""
    made = probing()
    told(made.fold, lost(31, 9.0, attempt=7))
    made.release(A, "somebody else")
    assert made.admit(A, 31.0) == PROBE_WAIT_S


def test_a_permit_that_was_not_used_leaves_its_place() -> None:
    """Who was admitted and never started."""
    made = opened()
    assert made.admit(A, 30.0, "first") == 0.0
    assert made.admit(A, 30.0, "second") == PROBE_WAIT_S
    made.release(A, "second")
    assert made.admit(A, 30.0, "second") == PROBE_WAIT_S
    made.release(A, "first")
    assert made.admit(A, 30.0, "second") == 0.0


def test_the_probes_first_content_closes_it() -> None:
    """Yet one more failure opens it again at once, until an answer was whole."""
    made = probing()
    assert changes(told(made.fold, content(31.0, 1.0))) == [("half-open", "closed")]
    assert made.admit(A, 31.0) == 0.0
    assert changes(told(made.fold, failed(32.0))) == [("closed", "open")]
    assert made.reason(A) == "it failed again before an answer was whole, last: server error"
    made = probing()
    assert changes(told(made.fold, content(31.0, 1.0), won(32.0), *[failed(33.0)] * 3)) == [("half-open", "closed")]


def test_a_failed_probe_opens_it_for_twice_the_time() -> None:
    """One is enough; and the time grows up to its bound."""
    made = probing()
    (change,) = told(made.fold, failed(35.0))
    assert isinstance(change, BreakerChanged)
    assert (change.reason, change.for_s) == ("the probe failed, last: server error", 60.0)
    assert made.state(A, 36.0) == ("open", 59.0)
    told(made.fold, started(95.0), failed(95.5))
    assert (made.state(A, 95.5), made.trips(A)) == (("open", 60.0), 3)


def test_a_trip_soon_after_the_last_is_a_further_one_and_later_it_is_a_first() -> None:
    """Whoever flaps is left alone for longer; whoever was well for a minute begins anew."""
    for after_s, for_s in ((50.0, 60.0), (61.0, 30.0)):
        made = probing()
        told(made.fold, content(31.0, 1.0), won(31.0), *[failed(31.0 + after_s)] * 4)
        assert made.state(A, 31.0 + after_s) == ("open", for_s)


def test_late_failures_do_not_prolong_it() -> None:
    """Attempts that were under way when it opened tell nothing new, not even after it has closed."""
    made = opened()
    assert told(made.fold, *[failed(10.0)] * 9) == []
    assert made.state(A, 10.0) == ("open", 20.0)
    told(made.fold, started(30.0), content(31.0, 1.0), won(31.0))
    assert told(made.fold, *[failed(50.0, elapsed_s=50.5)] * 99) == []
    assert (made.state(A, 50.0), made.failures(A)) == (("closed", 0.0), 0)


def test_a_late_whole_answer_closes_it() -> None:
    """The candidate evidently works."""
    made = opened()
    assert changes(told(made.fold, won(10.0, elapsed_s=20.0))) == [("open", "closed")]
    assert made.state(A, 10.0) == ("closed", 0.0)


def test_a_late_whole_answer_leaves_an_ejection_for_the_rate() -> None:
    """Half of the answers were whole: one more that was under way is no recovery, and would let it flap."""
    made = book()
    told(made.fold, *[e for _ in range(11) for e in (won(1.0), failed(1.0))][:-2], failed(1.0))
    assert made.state(A, 1.0)[0] == "open"
    assert told(made.fold, won(2.0, elapsed_s=1.5)) == []
    assert made.state(A, 2.0) == ("open", 29.0)


def test_what_comes_back_has_a_growing_share() -> None:
    """From a tenth to all within fifteen seconds; not while it is open, and not where nothing had happened."""
    made = probing()
    assert made.standing(A, 30.0).ramp == made.standing(B, 30.0).ramp == 1.0
    told(made.fold, content(40.0, 1.0))
    shares = [made.standing(A, at).ramp for at in (40.0, 47.5, 54.9, 55.0)]
    assert shares == pytest.approx([FIRST_SHARE, (1 + FIRST_SHARE) / 2, 0.994, 1.0])
    plain = probing()
    plain.spec = lambda _: Breaker(ramp_s=0)
    told(plain.fold, content(40.0, 1.0))
    assert plain.standing(A, 40.0).ramp == 1.0


def test_a_last_resort_goes_before_the_time() -> None:
    """One at once, and not sooner than some seconds after it was last found wanting."""
    made = opened()
    assert made.admit(A, 1.0, last_resort=True) == LAST_RESORT_S - 1
    assert made.admit(A, 6.0, last_resort=True) == 0.0
    assert made.admit(A, 6.0, "another", last_resort=True) == PROBE_WAIT_S
    told(made.fold, started(6.0), failed(7.0))
    assert made.admit(A, 8.0, last_resort=True) == LAST_RESORT_S - 1


def test_a_reset_forgets_everything() -> None:
    """Closed at once, with all of its traffic; failures from before it count no more, and later ones begin anew."""
    made = opened()
    (change,) = told(made.fold, reset(5.0, "a"))
    assert isinstance(change, BreakerChanged)
    assert (change.before, change.after, change.by, change.reason) == (
        "open",
        "closed",
        "operator",
        "reset by operator",
    )
    assert (made.standing(A, 5.0).ramp, made.trips(A)) == (1.0, 0)
    assert told(made.fold, *[failed(5.2)] * 9, *[failed(6.0)] * 3) == []
    assert changes(told(made.fold, failed(6.0))) == [("closed", "open")]


def test_a_reset_is_of_one_provider() -> None:
    """The others' rows stay as they are."""
    made = opened()
    told(made.fold, *[failed(0, B)] * 4)
    told(made.fold, reset(5.0, "a"))
    assert (made.state(A, 5.0)[0], made.state(B, 5.0)[0]) == ("closed", "open")


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


@pytest.mark.parametrize("ending", [won(31.0), failed(31.0), lost(31.0, 1.0)], ids=["won", "failed", "lost"])
def test_a_leader_whose_breaker_is_switched_off_meanwhile_leaves_its_place(ending: EngineEvent) -> None:
    """A reload takes the breaker away and the next one brings it back: somebody else may lead then."""
    spec: list[Breaker | None] = [SPEC]
    made = BreakerBook(lambda provider: spec[0])
    told(made.fold, *[failed(0.0)] * SPEC.failures)
    assert made.admit(A, 30.0) == 0
    told(made.fold, started(30.0))
    spec[0] = None
    told(made.fold, ending)
    spec[0] = SPEC
    assert made.state(A, 1000.0) == ("half-open", 0.0)
