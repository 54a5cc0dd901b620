"""What a provider says is left: counted down, believed for a while, and followed where it is sure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from engine._events import QuotaTold
from engine._ports import Busy
from engine._quota import MAX_NAMES, MAX_QUOTA_S, Allowance, QuotaRow
from engine._scopes import ScopeBook
from engine.testing import Scenario, answer, failing, provider, script
from policies import Adaptive, Concurrency, FailureKind, Scope, SilentSkip, Unlimited, Window
from tests.engine.said import A, told
from tests.engine.stage import MakeScenario


def requests(remaining: float, reset_s: float | None = 12.0, limit: float | None = None, **rest: bool) -> Allowance:
    return Allowance(name="requests", unit="requests", remaining=remaining, limit=limit, reset_s=reset_s, **rest)


def row(*quota: Allowance) -> QuotaRow:
    made = QuotaRow()
    made.tell(quota, 100.0)
    return made


def test_who_has_none_left_is_left_alone_until_the_reset() -> None:
    """And not a moment longer."""
    made = row(requests(0))
    assert made.room(100.0)[:2] == (12.0, 1.0)
    assert made.room(111.0)[0] == 1.0
    assert made.room(112.0)[0] == 0.0


def test_requests_are_counted_down_from_what_was_told() -> None:
    """Two were left, two have begun since; one that was not sent gives its place back."""
    made = row(requests(2, limit=10))
    made.take()
    assert made.room(101.0)[:2] == pytest.approx((0.0, 0.1))
    made.take()
    assert made.room(101.0)[0] == 11.0
    made.give_back(101.0)
    assert made.room(101.0)[0] == 0.0


def test_what_comes_back_bit_by_bit_is_waited_for_until_there_is_one() -> None:
    """Sixty a minute: one a second, and not the whole minute."""
    made = row(requests(0, reset_s=60.0, limit=60, gradual=True))
    assert made.room(100.0)[0] == pytest.approx(1.0)
    assert made.room(101.0)[0] == 0.0


def test_of_tokens_only_what_is_as_good_as_gone_counts() -> None:
    """How a host counts a cached prompt, nobody here knows."""
    few = Allowance(name="tokens", unit="tokens", remaining=2_000, limit=100_000, reset_s=12.0)
    gone = Allowance(name="tokens", unit="tokens", remaining=0, limit=100_000, reset_s=12.0)
    assert row(few).room(100.0)[:2] == pytest.approx((0.0, 0.02))
    assert row(gone).room(100.0)[0] == 12.0


def test_nothing_is_believed_for_longer_than_a_retry_after() -> None:
    """A quota of the day is asked after every five minutes; one without a reset holds nobody back."""
    assert row(requests(0, reset_s=40_000.0)).room(100.0)[0] == MAX_QUOTA_S
    assert row(requests(0, reset_s=40_000.0)).room(100.0 + MAX_QUOTA_S)[0] == 0.0
    assert row(requests(0, reset_s=None)).room(100.0)[0] == 0.0


def test_a_host_that_makes_up_names_is_not_kept_for_ever() -> None:
    """So many and no more."""
    made = row(*(Allowance(name=f"n{n}", unit="requests", remaining=0, reset_s=1.0) for n in range(99)))
    assert len(made._told) == MAX_NAMES


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e15),
            st.none() | st.floats(0, 1e7),
            st.none() | st.floats(0, 1e15),
            st.booleans(),
            st.sampled_from(["requests", "tokens"]),
            st.floats(0, 1e4),
            st.integers(0, 3),
        ),
        max_size=20,
    )
)
def test_whatever_is_told_the_wait_is_bounded_and_the_share_is_one(
    tellings: list[tuple[float, float | None, float | None, bool, str, float, int]],
) -> None:
    """Between nothing and five minutes, between nothing and all."""
    made, at = QuotaRow(), 0.0
    for remaining, reset_s, limit, gradual, unit, after_s, taken in tellings:
        at += after_s
        word = Allowance(
            name=unit,
            unit="tokens" if unit == "tokens" else "requests",
            remaining=remaining,
            reset_s=reset_s,
            limit=limit,
            gradual=gradual,
        )
        made.tell((word,), at)
        for _ in range(taken):
            made.take()
        wait_s, share, _ = made.room(at)
        assert 0.0 <= wait_s <= MAX_QUOTA_S
        assert share >= 0.0


@pytest.mark.parametrize(
    ("scope", "wait_s"),
    [(Adaptive(), 12.0), (Concurrency(), 12.0), (Window(requests=9, per_s=1.0), 12.0), (Unlimited(), 0.0)],
)
def test_every_scope_but_the_unlimited_one_heeds_it(scope: Scope, wait_s: float) -> None:
    """A provider that says that it is full is known to be full."""
    made = ScopeBook(lambda provider: scope)
    told(made.fold, QuotaTold(at=0.0, candidate=A, quota=(requests(0),), key=0))
    assert made.room("a", 0, 0.0).wait_s == wait_s
    assert isinstance(made.take("a", 0, 0.0), Busy) is (wait_s > 0)


async def test_a_provider_that_says_it_is_full_is_skipped_before_it_refuses(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Told with an answer, and with a refusal; after the reset it is first again."""
    it: Scenario = scenario(
        {"a": script(answer("a")), "b": script(answer("b"))}, SilentSkip(), providers={"a": provider("a")}
    )
    it.transport.told["a"] = (requests(0),)
    assert (await it.serve()).said == "a"
    it.transport.told.clear()
    assert (await it.serve()).said == "b"
    autojump_clock.jump(12.0)
    assert (await it.serve()).said == "a"


async def test_a_refusal_tells_as_well(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Its own wait is shorter; the longer of the two holds."""
    no = failing(FailureKind.RATE_LIMITED, retry_after_s=1.0, quota=(requests(0, reset_s=30.0),))
    it = scenario({"a": [script(asking=[no]), script(answer("a"))], "b": script(answer("b"))}, SilentSkip())
    assert (await it.serve()).said == "b"
    assert it.books.scopes.room("a", 0, 0.0).wait_s == 30.0
