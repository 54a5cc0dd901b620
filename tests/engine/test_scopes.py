"""What a provider allows: a window that slides, slots, and the rest it asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._events import EngineEvent, ScopeBlocked
from engine._growing import FIRST_BLOCK_S, LAST_BLOCK_S, MAX_BLOCK_S
from engine._ports import Busy
from engine._scopes import ScopeBook, Slot
from policies import SLOT_WAIT_S, Concurrency, FailureKind, Scope, Unlimited, Window
from tests.engine.said import A, B, abandoned, refused_key, told, won
from tests.engine.stage import left

RATE = FailureKind.RATE_LIMITED


def book(scope: Scope) -> ScopeBook:
    return ScopeBook(lambda provider: scope)


def take(made: ScopeBook, at: float, key: int = 0, *, lifted: bool = False) -> str:
    taken = made.take("a", key, at, lifted=lifted)
    return taken.reason if isinstance(taken, Busy) else "taken"


def slot(made: ScopeBook, at: float, **rest: Any) -> Slot:
    """One that is had."""
    taken = made.take("a", 0, at, **rest)
    assert isinstance(taken, Slot)
    return taken


class TestWindow:
    """At most so many within any so many seconds."""

    def test_it_slides(self) -> None:
        """No counter that is reset: twice the limit never gets through around a reset."""
        made = book(Window(requests=2, per_s=10))
        assert [take(made, at) for at in (0.0, 9.0, 9.5)] == ["taken", "taken", "rate window full"]
        assert made.take("a", 0, 9.5) == Busy(by="scope", reason="rate window full", wait_s=0.5)
        assert [take(made, at) for at in (10.0, 10.5, 19.0)] == ["taken", "rate window full", "taken"]

    def test_it_tells_wait_and_headroom(self) -> None:
        """For policies to order by."""
        made = book(Window(requests=4, per_s=10))
        assert left(made, "a", 0.0) == (0.0, 1.0)
        take(made, 0.0)
        assert left(made, "a", 1.0) == (0.0, 0.75)
        for at in (1.0, 2.0, 3.0):
            take(made, at)
        assert left(made, "a", 4.0) == (6.0, 0.0)
        assert left(made, "a", 12.0) == (0.0, 0.75)

    def test_a_request_that_was_not_sent_gives_its_entry_back(self) -> None:
        """One that was sent keeps it, though it is over."""
        made = book(Window(requests=1, per_s=10, concurrency=5))
        made.give_back(slot(made, 1.0), sent=False)
        made.give_back(slot(made, 2.0), sent=True)
        assert take(made, 3.0) == "rate window full"
        assert made.free_slots("a", 0) == 5

    def test_lifted_requests_overlook_it_and_are_counted(self) -> None:
        """Others wait for them too."""
        made = book(Window(requests=1, per_s=10))
        assert [take(made, at, lifted=True) for at in (0.0, 5.0)] == ["taken", "taken"]
        assert left(made, "a", 6.0) == (9.0, 0.0)

    @given(
        requests=st.integers(1, 4),
        per_s=st.sampled_from([1.0, 10.0, 60.0]),
        steps=st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=60),
    )
    def test_no_window_ever_holds_more(self, requests: int, per_s: float, steps: list[tuple[float, bool]]) -> None:
        """Whoever comes when; and whoever waits as long as told is let in."""
        made = book(Window(requests=requests, per_s=per_s))
        at, sent = 0.0, list[float]()
        for after_s, waits in steps:
            at += after_s
            taken = made.take("a", 0, at)
            if isinstance(taken, Busy) and waits:
                at += taken.wait_s + 1e-9
                taken = made.take("a", 0, at)
                assert isinstance(taken, Slot)
            if isinstance(taken, Slot):
                sent.append(at)
        for first in sent:
            assert sum(first <= other < first + per_s - 1e-6 for other in sent) <= requests


class TestSlots:
    """At most so many at once."""

    @pytest.mark.parametrize("scope", [Concurrency(limit=2), Window(requests=99, per_s=1, concurrency=2)])
    def test_they_are_taken_and_given_back(self, scope: Scope) -> None:
        """Lifted or not: concurrency is what the provider can bear."""
        made = book(scope)
        assert made.free_slots("a", 0) == 2
        first = slot(made, 0.0)
        assert take(made, 0.0, lifted=True) == "taken"
        assert made.take("a", 0, 0.0) == Busy(by="scope", reason="no free concurrency slot", wait_s=SLOT_WAIT_S)
        assert take(made, 0.0, lifted=True) == "no free concurrency slot"
        assert (made.free_slots("a", 0), made.total_in_flight()) == (0, 2)
        made.give_back(first, sent=True)
        assert take(made, 0.0) == "taken"

    def test_a_refusal_takes_nothing(self) -> None:
        """Neither slot nor entry."""
        made = book(Window(requests=3, per_s=10, concurrency=1))
        take(made, 0.0)
        for _ in range(9):
            take(made, 0.0)
        assert made.total_in_flight() == 1
        assert left(made, "a", 0.0)[1] == pytest.approx(2 / 3)

    @pytest.mark.parametrize("scope", [Unlimited(), Window(requests=9, per_s=1)])
    def test_without_a_bound_there_is_none(self, scope: Scope) -> None:
        """None, not a large number."""
        assert book(scope).free_slots("a", 0) is None

    @given(st.lists(st.booleans(), max_size=60), st.integers(1, 5))
    def test_slots_are_neither_lost_nor_made(self, takes: list[bool], limit: int) -> None:
        """In flight is what was taken less what came back."""
        made, held = book(Concurrency(limit=limit)), list[Slot]()
        for takes_one in takes:
            if takes_one:
                if isinstance(taken := made.take("a", 0, 0.0), Slot):
                    held.append(taken)
            elif held:
                made.give_back(held.pop(), sent=True)
            assert made.total_in_flight() == len(held) <= limit
            assert made.free_slots("a", 0) == limit - len(held)


class TestBlocks:
    """The rest that a provider asked for."""

    def test_a_rate_limit_blocks_until_its_time(self) -> None:
        """Everybody who asks that provider; nobody else."""
        made = book(Concurrency())
        (stated,) = told(made.fold, refused_key(5.0, A, RATE, retry_after_s=12.0))
        assert stated == ScopeBlocked(at=5.0, provider="a", key=0, for_s=12.0, reason="rate limited")
        assert made.block_wait_s("a", 0, 7.0) == (10.0, "rate limited")
        assert made.take("a", 0, 7.0) == Busy(by="scope", reason="rate limited", wait_s=10.0)
        assert made.block_wait_s("b", 0, 7.0) == (0.0, "")
        assert take(made, 17.0) == "taken"
        assert made.block_wait_s("a", 0, 17.0) == (0.0, "")

    def test_the_longer_of_two_stands(self) -> None:
        """A shorter one that comes later takes nothing back."""
        made = book(Concurrency())
        told(made.fold, refused_key(0.0, A, RATE, retry_after_s=60.0))
        assert told(made.fold, refused_key(1.0, A, RATE, retry_after_s=5.0)) == []
        assert made.block_wait_s("a", 0, 1.0)[0] == 59.0
        told(made.fold, refused_key(2.0, A, RATE, retry_after_s=90.0))
        assert made.block_wait_s("a", 0, 2.0)[0] == 90.0

    def test_a_hostile_wish_is_capped(self) -> None:
        """Five minutes are believed."""
        made = book(Concurrency())
        told(made.fold, refused_key(0.0, A, RATE, retry_after_s=1e9))
        assert made.block_wait_s("a", 0, 0.0)[0] == MAX_BLOCK_S == 300.0

    def test_without_a_wish_it_doubles(self) -> None:
        """From five seconds to a minute, and from the beginning after a whole answer."""
        made, at, waits = book(Concurrency()), 0.0, []
        for _ in range(6):
            told(made.fold, refused_key(at, A, RATE))
            waits.append(made.block_wait_s("a", 0, at)[0])
            at += waits[-1]
        assert waits == [FIRST_BLOCK_S, 10.0, 20.0, 40.0, LAST_BLOCK_S, LAST_BLOCK_S]
        told(made.fold, won(at), refused_key(at, A, RATE))
        assert made.block_wait_s("a", 0, at)[0] == FIRST_BLOCK_S

    def test_an_overload_blocks_only_when_it_names_a_time(self) -> None:
        """Else it is a matter for the breaker."""
        made = book(Concurrency())
        assert told(made.fold, refused_key(0.0, A, FailureKind.OVERLOADED)) == []
        assert made.block_wait_s("a", 0, 0.0)[0] == 0.0
        told(made.fold, refused_key(0.0, A, FailureKind.OVERLOADED, retry_after_s=3.0))
        assert made.block_wait_s("a", 0, 0.0) == (3.0, "overloaded")

    @pytest.mark.parametrize("kind", [k for k in FailureKind if k not in (RATE, FailureKind.OVERLOADED)])
    def test_nothing_else_blocks(self, kind: FailureKind) -> None:
        """Whatever wait it names."""
        made = book(Concurrency())
        assert told(made.fold, refused_key(0.0, A, kind, retry_after_s=60.0), abandoned(0.0)) == []
        assert take(made, 0.0) == "taken"

    def test_an_unlimited_scope_is_never_blocked(self) -> None:
        """Not by a refusal, nor is one stated."""
        made = book(Unlimited())
        assert told(made.fold, refused_key(0.0, A, RATE, retry_after_s=60.0)) == []
        assert made.block_wait_s("a", 0, 1.0) == (0.0, "")
        assert take(made, 1.0) == "taken"

    def test_lifted_requests_overlook_a_block(self) -> None:
        """That is what the policy asks for."""
        made = book(Concurrency())
        told(made.fold, refused_key(0.0, A, RATE, retry_after_s=60.0))
        assert [take(made, 1.0), take(made, 1.0, lifted=True)] == ["rate limited", "taken"]

    @pytest.mark.parametrize(("per", "others"), [("key", "taken"), ("provider", "rate limited")])
    def test_a_key_may_have_a_scope_of_its_own(self, per: str, others: str) -> None:
        """Where the provider counts by key."""
        made = book(Concurrency(limit=1, per="key" if per == "key" else "provider"))
        told(made.fold, refused_key(0.0, A, RATE, retry_after_s=60.0, key=1))
        assert [take(made, 1.0, key=1), take(made, 1.0, key=0)] == ["rate limited", others]

    def test_a_keyless_provider_has_one_scope(self) -> None:
        """Its permits say -1, the plan asks for 0."""
        made = book(Concurrency(limit=1, per="key"))
        told(made.fold, refused_key(0.0, A, RATE, retry_after_s=60.0, key=-1))
        assert take(made, 1.0, key=0) == "rate limited"


_facts: list[Callable[[float], EngineEvent]] = [
    lambda at: refused_key(at, A, RATE),
    lambda at: refused_key(at, A, RATE, retry_after_s=20.0),
    lambda at: refused_key(at, B, RATE),
    lambda at: refused_key(at, A, FailureKind.OVERLOADED, retry_after_s=1.0),
    won,
]


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, len(_facts) - 1)), max_size=30))
def test_a_recorded_log_folds_to_the_same_blocks(log: list[tuple[float, int]]) -> None:
    """And no fact ever shortens one."""
    books, at, stated = (book(Concurrency()), book(Concurrency())), 0.0, list[list[EngineEvent]]([[], []])
    for after_s, which in log:
        at += after_s
        before = books[0].block_wait_s("a", 0, at)[0]
        for made, said in zip(books, stated, strict=True):
            said += told(made.fold, _facts[which](at))
        assert books[0].block_wait_s("a", 0, at)[0] >= before
    assert stated[0] == stated[1]
    assert books[0].block_wait_s("a", 0, at) == books[1].block_wait_s("a", 0, at)


@pytest.mark.parametrize(("before", "after"), [("provider", "key"), ("key", "provider")])
def test_a_slot_goes_back_where_it_was_taken_whatever_a_reload_has_changed(
    before: Literal["key", "provider"], after: Literal["key", "provider"]
) -> None:
    """Else one row would have a slot less for ever, and the other one too many."""
    scope: list[Scope] = [Concurrency(limit=2, per=before)]
    made = ScopeBook(lambda provider: scope[0])
    taken = made.take("a", 1, 0.0)
    assert isinstance(taken, Slot)
    scope[0] = Concurrency(limit=2, per=after)
    made.give_back(taken, sent=True)
    for scope[0] in (Concurrency(limit=2, per=before), Concurrency(limit=2, per=after)):
        assert [made.free_slots("a", key) for key in (0, 1)] == [2, 2]
