"""The book of keys: which is taken, which rests and how long, how it comes back, how much of it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._events import EngineEvent, TryEnded
from engine._failure import Failure
from engine._keys import GROWN_S, MAX_REST_S, RESTS_S, KeyBook
from engine.config import KeyLimit
from policies import FailureKind
from tests.engine.said import A, B, content, failed, refused_key, told, won

AUTH, QUOTA = FailureKind.AUTH, FailureKind.QUOTA


def ended(at: float, failure: Failure | None = None, *, key: int = 0) -> TryEnded:
    return TryEnded(at=at, attempt=1, candidate=A, number=1, key=key, failure=failure)


def wait_s(book: KeyBook, at: float, key: int = 0) -> float:
    return book.standing("a", key, at).wait_s


class TestOrder:
    """Which key is taken first."""

    def test_a_session_keeps_its_key(self) -> None:
        """Prompt caches belong to an account; load and rests change nothing in the order, only in who is free."""
        book = KeyBook()
        before = book.order("a", 5, 0.0, "s1")
        book.take("a", before[0], 0.0)
        told(book.fold, refused_key(0.0, A, QUOTA, key=before[1]))
        assert book.order("a", 5, 9.0, "s1") == before

    def test_sessions_are_spread(self) -> None:
        """Each key is the first of its share of them."""
        firsts = Counter(KeyBook().order("a", 4, 0.0, f"session-{n}")[0] for n in range(400))
        assert set(firsts) == {0, 1, 2, 3}
        assert min(firsts.values()) > 60

    def test_one_more_key_moves_only_those_that_go_to_it(self) -> None:
        """Rendezvous hashing: nobody else loses a cache."""
        for n in range(100):
            three, four = (KeyBook().order("a", count, 0.0, f"s{n}") for count in (3, 4))
            assert [key for key in four if key != 3] == three

    def test_without_a_session_the_idlest_is_taken(self) -> None:
        """Fewest under way, then the one longest unused."""
        book, taken = KeyBook(), []
        for at in range(3):
            taken.append(book.order("a", 3, float(at))[0])
            book.take("a", taken[-1], float(at))
        assert taken == [0, 1, 2]
        book.give_back("a", 2)
        book.give_back("a", 1)
        assert book.order("a", 3, 9.0) == [1, 2, 0]

    def test_a_keyless_provider_has_one_place(self) -> None:
        """And nothing is kept of it."""
        book = KeyBook()
        book.take("a", -1, 0.0)
        told(book.fold, refused_key(0.0, A, AUTH, key=-1), content(1.0, 0.1, key=-1))
        assert book.order("a", 0, 0.0, "s") == [0]
        assert book.best("a", 0, 0.0).free
        assert book._rows == {}


class TestRests:
    """A refused key is out for a time, and never for good."""

    @pytest.mark.parametrize("kind", [AUTH, QUOTA])
    def test_a_refused_key_rests_and_comes_back(self, kind: FailureKind) -> None:
        """A plan is paid, a typo at the provider's end is mended."""
        book = KeyBook()
        told(book.fold, refused_key(10.0, A, kind))
        standing = book.standing("a", 0, 11.0)
        assert (standing.state, standing.wait_s, standing.reason) == ("resting", RESTS_S[kind] - 1, kind.value)
        assert book.standing("a", 0, 10.0 + RESTS_S[kind]).free
        assert book.standing("a", 1, 11.0).free

    def test_the_provider_may_name_the_time(self) -> None:
        """Up to a day, and the longer of two rests stands."""
        book = KeyBook()
        told(book.fold, refused_key(0.0, A, QUOTA, retry_after_s=20.0))
        assert wait_s(book, 0.0) == 20.0
        told(book.fold, refused_key(0.0, A, QUOTA, retry_after_s=1e9), refused_key(1.0, A, AUTH))
        assert wait_s(book, 0.0) == MAX_REST_S

    @pytest.mark.parametrize("kind", [AUTH, QUOTA])
    def test_rests_grow_while_it_goes_on_failing(self, kind: FailureKind) -> None:
        """Doubled with each refusal after a rest, to a bound; a success brings back full standing."""
        book, at, waits = KeyBook(), 0.0, []
        for _ in range(8):
            told(book.fold, refused_key(at, A, kind))
            waits.append(wait_s(book, at))
            at += waits[-1]
        assert waits == [min(RESTS_S[kind] * 2**n, GROWN_S[kind]) for n in range(8)]
        told(book.fold, content(at + 1, 0.5, key=0))
        assert book.standing("a", 0, at + 1).state == "fresh"
        told(book.fold, refused_key(at + 2, A, kind))
        assert wait_s(book, at + 2) == RESTS_S[kind]

    def test_those_that_were_under_way_together_are_one_refusal(self) -> None:
        """Ten requests that meet the same 402 are no reason for a rest a thousand times as long."""
        book = KeyBook()
        told(book.fold, *(refused_key(0.1 * n, A, AUTH) for n in range(10)))
        assert wait_s(book, 0.9) == RESTS_S[AUTH]

    def test_what_began_before_a_refusal_does_not_end_its_rest(self) -> None:
        """Its first content says nothing of the time after it."""
        book = KeyBook()
        told(book.fold, refused_key(0.0, A, QUOTA), content(1.0, 5.0, key=0), won(2.0))
        assert book.standing("a", 0, 3.0).state == "resting"

    def test_a_key_that_is_back_is_tried_by_one_request(self) -> None:
        """Half-open: the others take another key, until it has answered."""
        book = KeyBook()
        told(book.fold, refused_key(0.0, A, AUTH))
        assert book.standing("a", 0, 300.0).state == "half-open"
        book.take("a", 0, 300.0)
        standing = book.standing("a", 0, 300.0)
        assert (standing.free, standing.trying, standing.status) == (False, True, None)
        told(book.fold, content(301.0, 1.0, key=0))
        assert (book.standing("a", 0, 301.0).state, book.standing("a", 0, 301.0).free) == ("fresh", True)

    def test_a_trial_that_ends_without_a_word_lets_the_next_try(self) -> None:
        """A client that left has found nothing out."""
        book = KeyBook()
        told(book.fold, refused_key(0.0, A, AUTH))
        book.take("a", 0, 300.0)
        book.give_back("a", 0)
        assert book.standing("a", 0, 300.0).free

    @pytest.mark.parametrize("kind", [k for k in FailureKind if k not in (AUTH, QUOTA)])
    def test_other_failures_cost_no_key(self, kind: FailureKind) -> None:
        """Nor does the end of an attempt, whose tries have been counted; a 5xx says nothing of a key."""
        book = KeyBook()
        told(book.fold, refused_key(0.0, A, kind), failed(0.0, A, AUTH), refused_key(0.0, B, AUTH))
        assert book.standing("a", 0, 0.0).free

    def test_the_best_is_the_first_to_come_back(self) -> None:
        """With the reason for its rest."""
        book = KeyBook()
        told(book.fold, refused_key(0.0, A, QUOTA, key=0))
        assert book.best("a", 2, 0.0).free
        told(book.fold, refused_key(0.0, A, AUTH, key=1))
        assert (book.best("a", 2, 0.0).wait_s, book.best("a", 2, 0.0).status) == (300.0, 401)


class TestUse:
    """A limit of requests per key, which comes back with its window."""

    def book(self, requests: int = 2) -> KeyBook:
        return KeyBook(lambda _: KeyLimit(requests=requests, per_s=100.0))

    def test_a_key_is_used_up_and_comes_back(self) -> None:
        """Not lost until a restart."""
        book = self.book()
        told(book.fold, ended(0.0), ended(10.0))
        standing = book.standing("a", 0, 20.0)
        assert (standing.state, standing.used, standing.wait_s, standing.status) == ("used up", 2, 80.0, 429)
        assert book.standing("a", 1, 20.0).free
        assert (book.standing("a", 0, 100.0).free, book.standing("a", 0, 100.0).used) == (True, 1)

    @pytest.mark.parametrize(
        ("failure", "used"),
        [
            (None, 1),
            (Failure(kind=FailureKind.RESET, message=""), 1),
            (Failure(kind=FailureKind.ERROR_EVENT, message="", status=200), 1),
            (Failure(kind=FailureKind.CONNECT, message=""), 0),
            (Failure(kind=FailureKind.RATE_LIMITED, message="", status=429), 0),
            (Failure(kind=FailureKind.SERVER, message="", status=500), 0),
            (Failure(kind=FailureKind.AUTH, message="", status=401), 0),
        ],
    )
    def test_what_the_host_took_counts(self, failure: Failure | None, used: int) -> None:
        """A loser, too; not what it refused."""
        book = self.book()
        told(book.fold, ended(0.0, failure))
        assert book.standing("a", 0, 1.0).used == used

    def test_those_under_way_are_counted_before_they_end(self) -> None:
        """Or a burst would go over it; whether they count is known in a moment."""
        book = self.book()
        book.take("a", 0, 0.0)
        told(book.fold, ended(0.0))
        assert (book.standing("a", 0, 0.0).free, book.standing("a", 0, 0.0).wait_s) == (False, 1.0)

    def test_without_a_limit_nothing_is_kept(self) -> None:
        """And nothing grows."""
        book = KeyBook()
        told(book.fold, *(ended(float(n)) for n in range(50)))
        assert not book._row("a", 0).used


_FACTS: list[Callable[[float, int], EngineEvent]] = [
    lambda at, key: refused_key(at, A, AUTH, key=key),
    lambda at, key: refused_key(at, A, QUOTA, key=key, retry_after_s=40.0),
    lambda at, key: refused_key(at, A, QUOTA, key=key),
    lambda at, key: ended(at, key=key),
    lambda at, key: content(at, 0.1, key=key),
    lambda at, key: won(at, key=key),
]
_STEPS = st.lists(
    st.tuples(st.floats(0, 400), st.integers(0, len(_FACTS) - 1), st.integers(0, 2), st.booleans()), max_size=60
)


@given(_STEPS, st.sampled_from([None, KeyLimit(requests=2, per_s=500.0)]))
def test_no_key_is_ever_lost_and_no_fact_shortens_a_rest(
    steps: list[tuple[float, int, int, bool]], limit: KeyLimit | None
) -> None:
    """The longer of two rests stands; in flight is what was taken; and in a day everything is free again."""
    one, two = KeyBook(lambda _: limit), KeyBook(lambda _: limit)
    at, out = 0.0, list[int]()
    for after_s, which, key, takes in steps:
        at += after_s
        if takes and one.standing("a", key, at).free:
            for book in (one, two):
                book.take("a", key, at)
            out.append(key)
            if one.standing("a", key, at).state == "half-open":
                assert out.count(key) == 1
            if limit is not None:
                assert one.standing("a", key, at).used + out.count(key) <= limit.requests
        elif takes and out:
            back = out.pop()
            for book in (one, two):
                book.give_back("a", back)
        else:
            resting = {k: s.wait_s for k in range(3) if (s := one.standing("a", k, at)).state == "resting"}
            fact = _FACTS[which](at, key)
            assert told(one.fold, fact) == told(two.fold, fact) == []
            assert all(wait_s(one, at, k) >= before for k, before in resting.items())
        for k in range(3):
            assert one.standing("a", k, at) == two.standing("a", k, at)
            assert one.standing("a", k, at).in_flight == out.count(k)
            assert one.standing("a", k, at).wait_s <= MAX_REST_S
    for key in out:
        one.give_back("a", key)
    assert all(one.standing("a", key, at + MAX_REST_S).free for key in range(3))
