"""The idle pool: constant work per request, nothing kept too long, nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports._pool import IdlePool, Origin

HERE = Origin("https", "here", 443)
THERE = Origin("https", "there", 443)


def fine(_: object) -> bool:
    return False


def test_the_connection_used_last_is_taken_first() -> None:
    """Last in, first out: few connections stay warm, the others age."""
    pool: IdlePool[str] = IdlePool(30.0, 32)
    for name in "abc":
        pool.put(HERE, name, 0.0)
    assert [pool.take(HERE, 1.0, fine)[0] for _ in range(4)] == ["c", "b", "a", None]
    assert len(pool) == 0


@pytest.mark.parametrize("other", [Origin("http", "here", 443), Origin("https", "here", 8443), THERE])
def test_a_connection_serves_its_own_origin_only(other: Origin) -> None:
    """Scheme, host and port must all be the same."""
    pool: IdlePool[str] = IdlePool(30.0, 32)
    pool.put(HERE, "a", 0.0)
    assert pool.take(other, 0.0, fine) == (None, [])
    assert pool.take(HERE, 0.0, fine) == ("a", [])


def test_only_the_connection_about_to_be_taken_is_looked_at() -> None:
    """150 idle connections cost a request one look, and a dead one costs one more, once."""
    pool: IdlePool[int] = IdlePool(30.0, 200)
    for number in range(150):
        pool.put(HERE, number, 0.0)
    looked_at: list[int] = []

    def dead(number: int) -> bool:
        looked_at.append(number)
        return number in (149, 148)

    assert pool.take(HERE, 0.0, dead) == (147, [149, 148])
    assert looked_at == [149, 148, 147]
    assert pool.take(HERE, 0.0, dead) == (146, [])
    assert len(pool) == 146


def test_an_expired_connection_is_given_up_without_a_look() -> None:
    """It expires at the very second, and when the newest has, all have."""
    pool: IdlePool[str] = IdlePool(30.0, 32)
    pool.put(HERE, "a", 0.0)
    pool.put(HERE, "b", 1.0)

    def never(_: str) -> bool:
        raise AssertionError("looked at an expired connection")

    assert pool.take(HERE, 31.0, never) == (None, ["b", "a"])


def test_a_full_origin_gives_up_its_oldest() -> None:
    """The limit is per origin."""
    pool: IdlePool[str] = IdlePool(30.0, 2)
    assert [pool.put(HERE, name, 0.0) for name in "abc"] == [[], [], ["a"]]
    assert pool.put(THERE, "d", 0.0) == []
    assert len(pool) == 3


def test_a_pool_that_may_keep_nothing_gives_everything_back() -> None:
    """A limit of 0 switches reuse off."""
    pool: IdlePool[str] = IdlePool(30.0, 0)
    assert pool.put(HERE, "a", 0.0) == ["a"]
    assert pool.take(HERE, 0.0, fine) == (None, [])


def test_traffic_at_one_origin_sweeps_the_others() -> None:
    """A provider that is no longer asked does not keep its sockets; sweeping happens once per expiry time."""
    pool: IdlePool[str] = IdlePool(30.0, 32)
    pool.put(THERE, "old", 0.0)
    pool.put(THERE, "young", 10.0)
    assert pool.put(HERE, "a", 29.0) == []
    assert pool.put(HERE, "b", 30.0) == ["old"]
    assert pool.put(HERE, "c", 59.0) == []
    assert pool.put(HERE, "d", 60.0) == ["young", "a", "b"]
    assert len(pool) == 2


def test_drain_gives_up_everything() -> None:
    """At the end nothing is left."""
    pool: IdlePool[str] = IdlePool(30.0, 32)
    pool.put(HERE, "a", 0.0)
    pool.put(THERE, "b", 0.0)
    assert sorted(pool.drain()) == ["a", "b"]
    assert len(pool) == 0
    assert pool.drain() == []


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["put", "take", "take dead", "sweep"]), st.sampled_from([HERE, THERE]), st.floats(0, 20)),
    max_size=60,
)


@given(operations=OPERATIONS, limit=st.integers(0, 4))
def test_every_connection_leaves_the_pool_exactly_once(operations: list[tuple[str, Origin, float]], limit: int) -> None:
    """Law: what went in is in the pool or came out once; nothing taken is expired; the count is the truth."""
    pool: IdlePool[tuple[int, Origin, float]] = IdlePool(30.0, limit)
    now_s, inside, out = 0.0, 0, []
    for number, (operation, origin, pause_s) in enumerate(operations):
        now_s += pause_s
        taken = None
        if operation == "put":
            inside += 1
            gone = pool.put(origin, (number, origin, now_s), now_s)
        elif operation == "sweep":
            gone = pool.sweep(now_s)
        else:
            taken, gone = pool.take(origin, now_s, lambda _, dead=operation == "take dead": dead)  # type: ignore[misc]
        if taken is not None:
            assert taken[1] == origin
            assert now_s - taken[2] < 30.0
            gone = [*gone, taken]
        out += gone
        assert len(pool) == inside - len(out) <= 2 * limit
    out += pool.drain()
    assert sorted(number for number, _, _ in out) == [n for n, (op, _, _) in enumerate(operations) if op == "put"]
