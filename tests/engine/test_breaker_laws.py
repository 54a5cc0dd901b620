"""What holds of the breakers whatever happens: a machine that is told anything, and two promises, counted."""

from __future__ import annotations

import heapq
import random
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine._breaker import EVERY, BreakerBook
from engine._events import BreakerChanged, EngineEvent
from policies import Breaker, Candidate, FailureKind
from tests.engine.said import abandoned, content, failed, lost, reset, started, told, won

SPEC = Breaker()
WHO = tuple(Candidate(provider, model) for provider in "ab" for model in ("one", "two"))
COUNTING = (FailureKind.SERVER, FailureKind.CONNECT, FailureKind.EMPTY)
HARMLESS = (FailureKind.CLIENT, FailureKind.RATE_LIMITED, FailureKind.AUTH, FailureKind.TOO_LONG)


@attrs.define
class Running:
    """An attempt under way. `led` are the rows whose leader it is."""

    candidate: Candidate
    number: int
    began_at: float
    session: str
    led: frozenset[str] = frozenset()
    shown: bool = False


class Breakers(RuleBasedStateMachine):
    """Requests that ask to go, start, answer, fail, are cancelled or never start, in any order and at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.book = BreakerBook(lambda provider: SPEC)
        self.log: list[EngineEvent] = []
        self.running: list[Running] = []
        self.states = dict.fromkeys(self.names, "closed")
        self.at = 0.0
        self.numbers = 0

    @property
    def names(self) -> list[str]:
        return [who.name for who in WHO] + [f"{provider}/{EVERY}" for provider in "ab"]

    def opened(self, name: str) -> bool:
        row = self.book._rows.get(name)
        return row is not None and row.is_open

    def tell(self, event: EngineEvent) -> None:
        """Fold it, and hold what the book states against what it is: a change is stated exactly where there is one."""
        self.log.append(event)
        for change in told(self.book.fold, event):
            assert isinstance(change, BreakerChanged)
            name = change.candidate.name
            assert change.before in ({"closed"} if self.states[name] == "closed" else {"open", "half-open"})
            self.states[name] = change.after
        assert self.states == {name: "open" if self.opened(name) else "closed" for name in self.names}

    @rule(by=st.sampled_from([0.0, 0.5, 1.0, 5.0, 29.0, 30.0, 61.0, 400.0]))
    def time_goes_by(self, by: float) -> None:
        self.at += by

    @rule(who=st.sampled_from(WHO), session=st.sampled_from("PQ"), last=st.booleans(), starts=st.booleans())
    def somebody_asks_to_go(self, who: Candidate, session: str, last: bool, starts: bool) -> None:
        """Who goes through an open row leads there, and nobody else does until that is over."""
        permit = object()
        before = self.snapshot()
        if self.book.admit(who, self.at, permit, last_resort=last) > 0:
            assert self.snapshot() == before
            return
        led = frozenset(name for name in (who.name, f"{who.provider}/{EVERY}") if self.opened(name))
        assert not any(led & other.led for other in self.running)
        if not starts:
            assert not led or self.book.admit(who, self.at, object()) > 0
            self.book.release(who, permit)
            assert self.snapshot() == before
            return
        self.numbers += 1
        attempt = Running(who, self.numbers, self.at, session, led)
        self.tell(started(self.at, who, attempt=attempt.number))
        self.running.append(attempt)

    @rule(n=st.integers(0, 9), how=st.sampled_from(["lost", "abandoned", *HARMLESS]))
    def one_ends_that_is_nobodys_failure(self, n: int, how: str | FailureKind) -> None:
        """A loser, a client that left, a client's mistake: the book is as it was before that attempt had started."""
        if not self.running:
            return
        attempt = self.running.pop(n % len(self.running))
        before = self.snapshot(without=attempt)
        elapsed_s = self.at - attempt.began_at
        if how == "lost":
            self.tell(lost(self.at, elapsed_s, attempt.candidate, attempt=attempt.number))
        elif how == "abandoned":
            self.tell(abandoned(self.at, attempt.candidate, attempt=attempt.number, elapsed_s=elapsed_s))
        else:
            assert isinstance(how, FailureKind)
            self.tell(failed(self.at, attempt.candidate, how, attempt=attempt.number, elapsed_s=elapsed_s))
        assert self.snapshot() == before

    @rule(n=st.integers(0, 9))
    def one_shows_content(self, n: int) -> None:
        """A leader's closes what it leads; anybody else's changes nothing."""
        if not self.running or self.running[n % len(self.running)].shown:
            return
        attempt = self.running[n % len(self.running)]
        attempt.shown, led = True, {name for name in attempt.led if self.leads(attempt, name)}
        states = dict(self.states)
        event = content(self.at, self.at - attempt.began_at, attempt.candidate)
        self.tell(attrs.evolve(event, attempt=attempt.number))
        assert self.states == states | dict.fromkeys(led, "closed")

    @rule(n=st.integers(0, 9))
    def one_answers_whole(self, n: int) -> None:
        """It clears everywhere: nothing is in a row any more, and open is left, but for an ejection that had counted it."""
        if not self.running:
            return
        attempt = self.running.pop(n % len(self.running))
        names = (attempt.candidate.name, f"{attempt.candidate.provider}/{EVERY}")
        counted = {
            name
            for name in names
            if self.opened(name) and self.book._rows[name].by_rate and attempt.began_at < self.book._rows[name].since
        }
        self.end(attempt, "won")
        for name in set(names) - counted:
            assert not self.opened(name)
            assert self.book._rows[name].evidence.in_a_row == 0

    @rule(n=st.integers(0, 9), kind=st.sampled_from(COUNTING), times=st.integers(1, 5))
    def some_fail(self, n: int, kind: FailureKind, times: int) -> None:
        """A failure never closes anything."""
        for _ in range(min(times, len(self.running))):
            was = {name for name in self.names if self.opened(name)}
            self.end(self.running.pop(n % len(self.running)), "failed", kind)
            assert was <= {name for name in self.names if self.opened(name)}

    @rule(provider=st.sampled_from("ab"))
    def somebody_resets(self, provider: str) -> None:
        self.tell(reset(self.at, provider))
        assert not any(self.opened(name) for name in self.names if name.startswith(provider))

    def end(self, attempt: Running, how: str, kind: FailureKind = FailureKind.SERVER) -> None:
        rest: dict[str, Any] = {
            "attempt": attempt.number,
            "elapsed_s": self.at - attempt.began_at,
            "session": attempt.session,
        }
        made = (
            won(self.at, attempt.candidate, **rest)
            if how == "won"
            else failed(self.at, attempt.candidate, kind, **rest)
        )
        self.tell(made)

    def leads(self, attempt: Running, name: str) -> bool:
        row = self.book._rows.get(name)
        return row is not None and row.leader == ("", attempt.number)

    def snapshot(self, without: Running | None = None) -> dict[str, dict[str, Any]]:
        """The book as a value, as if this attempt led nowhere."""
        rows = {name: attrs.asdict(row) for name, row in self.book._rows.items()}
        for row in rows.values():
            if without is not None and row["leader"] == ("", without.number):
                row["leader"] = None
        return rows

    @invariant()
    def there_is_never_more_than_one_leader(self) -> None:
        for name in self.names:
            assert sum(self.leads(attempt, name) for attempt in self.running) <= 1

    @invariant()
    def open_is_left_by_time_at_the_latest(self) -> None:
        """Whoever is ejected may be asked within the longest time, or somebody leads."""
        for who in WHO:
            standing = self.book.standing(who, self.at)
            assert 0 <= standing.wait_s <= SPEC.max_open_s
            assert 0 < standing.ramp <= 1
            assert (standing.state == "closed") == (not standing.reason)

    def teardown(self) -> None:
        """The recorded log folds to the same book: what permits had reserved is no part of it."""
        again = BreakerBook(lambda provider: SPEC)
        told(again.fold, *self.log)
        assert again._rows == self.book._rows


TestBreakers = Breakers.TestCase
TestBreakers.settings = settings(max_examples=25, stateful_step_count=40)


def ejections(seed: int, requests: int, *, errors: float, at_once: int, callers: int) -> int:
    """How often a candidate is ejected that fails this share of its requests, each after a time of its own."""
    draw, book, opened = random.Random(seed), BreakerBook(lambda provider: SPEC), 0
    running: list[tuple[float, int, float]] = []
    at = 0.0
    for number in range(requests):
        at += draw.expovariate(at_once / 2.0)
        heapq.heappush(running, (at + draw.expovariate(1 / 2.0), number, at))
        while running and (running[0][0] <= at or number == requests - 1):
            over_at, which, began_at = heapq.heappop(running)
            rest: dict[str, Any] = {"elapsed_s": over_at - began_at, "session": f"s{which % callers}"}
            ending = failed(over_at, **rest) if draw.random() < errors else won(over_at, **rest)
            opened += sum(
                1 for change in book.fold(ending) if isinstance(change, BreakerChanged) and change.after == "open"
            )
    return opened


@pytest.mark.long
@pytest.mark.parametrize(("requests", "at_once", "callers"), [(100_000, 300, 40), (20_000, 1, 1), (20_000, 300, 1)])
def test_a_healthy_candidate_is_never_ejected(requests: int, at_once: int, callers: int) -> None:
    """One error in a hundred, for each of twenty seeds; one after the other or hundreds at once, of one caller or of many."""
    for seed in range(20):
        assert ejections(seed, requests, errors=0.01, at_once=at_once, callers=callers) == 0


def test_a_busy_healthy_candidate_stays() -> None:
    """The same, shorter."""
    assert ejections(1, 5_000, errors=0.01, at_once=300, callers=40) == 0


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if failed(kind=kind).counts])
@pytest.mark.parametrize("sessions", [1, 2, 4])
def test_whoever_fails_fast_is_out_after_four_requests(kind: FailureKind, sessions: int) -> None:
    """Of one user or of several, whichever way it fails."""
    book = BreakerBook(lambda provider: SPEC)
    asked = 0
    while book.admit(WHO[0], 0.1 * asked) == 0:
        asked += 1
        told(book.fold, failed(0.1 * asked, WHO[0], kind, elapsed_s=0.0, session=f"s{asked % sessions}"))
    assert asked == 4
