"""How far a request may go, when its winner is chosen, and which policies exclude each other."""

from __future__ import annotations

from itertools import permutations
from typing import get_args

import pytest

from policies import (
    CommitAt,
    CommitPoint,
    Deadline,
    FirstContentTimeout,
    Hedge,
    IdleTimeout,
    InOrder,
    LeastLoaded,
    Limits,
    MaxAttempts,
    MaxInFlight,
    MaxWait,
    Need,
    Policy,
    PolicyError,
    Race,
    Retry,
    Sequence,
    SilentSkip,
    effective,
)
from tests.policies.builders import limits, planned


def test_the_defaults_are_those_of_the_design() -> None:
    """A chain without limits has these."""
    assert limits() == Limits(
        max_attempts=6,
        max_in_flight=2,
        max_wait_s=120.0,
        deadline_s=600.0,
        first_content_s=60.0,
        fallback_first_content_s=20.0,
        idle_s=60.0,
        retry_waits_s=(),
        given=frozenset(),
    )


@pytest.mark.parametrize(
    ("policy", "changed"),
    [
        (MaxAttempts(n=9), {"max_attempts": 9}),
        (MaxInFlight(n=1), {"max_in_flight": 1}),
        (MaxWait(s=90.0), {"max_wait_s": 90.0}),
        (Deadline(s=1200.0), {"deadline_s": 1200.0}),
        (IdleTimeout(s=300.0), {"idle_s": 300.0}),
        (FirstContentTimeout(s=120.0), {"first_content_s": 120.0, "fallback_first_content_s": 20.0}),
        (FirstContentTimeout(s=12.0), {"first_content_s": 12.0, "fallback_first_content_s": 12.0}),
        (FirstContentTimeout(s=90.0, fallback_s=45.0), {"first_content_s": 90.0, "fallback_first_content_s": 45.0}),
        (FirstContentTimeout(s=10.0, fallback_s=45.0), {"first_content_s": 10.0, "fallback_first_content_s": 45.0}),
    ],
)
def test_a_limit_replaces_its_default_and_no_other(policy: Policy, changed: dict[str, float]) -> None:
    """Also where it is larger than the default: a minimum with a default nobody wrote could never be raised."""
    assert limits(policy) == Limits(**changed, given=frozenset(changed))  # type: ignore[arg-type]


def test_the_smallest_of_those_given_holds() -> None:
    """In any file order, each of the two first-content times by itself."""
    written = [
        FirstContentTimeout(s=90.0, fallback_s=10.0),
        FirstContentTimeout(s=80.0, fallback_s=30.0),
        MaxWait(s=70.0),
    ]
    for order in permutations([*written, MaxWait(s=300.0), MaxWait(s=100.0)]):
        got = limits(*order)
        assert (got.first_content_s, got.fallback_first_content_s, got.max_wait_s) == (80.0, 10.0, 70.0)


def test_only_the_first_attempt_has_the_long_first_content_time() -> None:
    """Later ones fill in for somebody who has already used up the client's patience."""
    assert [s.first_content_s for s in planned().steps] == [60.0, 20.0, 20.0]
    plan = planned(FirstContentTimeout(s=30.0, fallback_s=5.0))
    assert [s.first_content_s for s in plan.steps] == [30.0, 5.0, 5.0]


@pytest.mark.parametrize(
    ("policies", "stream_s", "json_s"),
    [
        ((), 600.0, 280.0),
        ((Deadline(s=281.0),), 281.0, 280.0),
        ((Deadline(s=900.0),), 900.0, 280.0),
        ((Deadline(s=100.0),), 100.0, 100.0),
    ],
)
def test_a_json_answer_has_280_seconds_at_most(policies: tuple[Policy, ...], stream_s: float, json_s: float) -> None:
    """It has no pings, and the client leaves after 300 s of silence: raising the deadline does not help."""
    assert planned(*policies, need=Need(stream=True)).limits.deadline_s == stream_s
    assert planned(*policies, need=Need(stream=False)).limits.deadline_s == json_s


@pytest.mark.parametrize("cls", [MaxAttempts, MaxInFlight])
def test_counts_start_at_one(cls: type[MaxAttempts] | type[MaxInFlight]) -> None:
    """None at all would be a chain that never answers."""
    assert cls(n=1).n == 1
    for n in (0, -1):
        with pytest.raises(PolicyError, match=f"expected at least 1, got {n}"):
            cls(n=n)


@pytest.mark.parametrize("cls", [Deadline, FirstContentTimeout, IdleTimeout])
@pytest.mark.parametrize("s", [0.0, -1.0, 86_401.0, float("inf"), float("nan")])
def test_seconds_are_above_nothing_and_at_most_a_day(cls: type[Policy], s: float) -> None:
    """No timer takes an infinity, and a limit of nothing limits nothing useful."""
    with pytest.raises(PolicyError, match="expected seconds above 0 and at most a day"):
        cls(s)  # type: ignore[call-arg]


def test_max_wait_may_be_nothing() -> None:
    """0 means: answer at once. A negative wait means nothing."""
    assert MaxWait(s=0.0).s == 0.0
    for s in (-0.1, 86_401.0, float("nan")):
        with pytest.raises(PolicyError, match="expected 0 or more seconds and at most a day"):
            MaxWait(s=s)


def test_the_fallback_time_is_checked_as_well() -> None:
    """Left out it is derived, written it must be a time."""
    with pytest.raises(PolicyError, match="got 0"):
        FirstContentTimeout(s=30.0, fallback_s=0.0)


@pytest.mark.parametrize("at", get_args(CommitPoint))
def test_commit_at_is_the_outcome(at: CommitPoint) -> None:
    """Each of the four points; without the policy it is content."""
    assert planned(CommitAt(at=at)).outcome.commit_at == at
    assert planned().outcome.commit_at == "content"


def test_an_unknown_commit_point_is_refused() -> None:
    """With those there are."""
    with pytest.raises(PolicyError, match="expected one of content, block, tool, message, got 'byte'"):
        CommitAt(at="byte")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ((Hedge(), Race()), "'hedge' and 'race' exclude each other: a chain has at most one pace policy"),
        ((Race(), SilentSkip(), Sequence()), "'race' and 'sequence' exclude each other"),
        ((Hedge(), Hedge(after_s=1.0)), "'hedge' and 'hedge' exclude each other"),
        ((Sequence(), Hedge(), Race()), "'sequence' and 'hedge' and 'race' exclude each other"),
        ((CommitAt(), CommitAt(at="tool")), "'commit-at' and 'commit-at' .* at most one commit-at policy"),
    ],
)
def test_policies_that_exclude_each_other_are_refused(policies: tuple[Policy, ...], message: str) -> None:
    """By name, before any request."""
    with pytest.raises(PolicyError, match=message):
        effective(policies)


def test_other_policies_may_be_repeated() -> None:
    """Limits tighten, selects intersect, orders break ties."""
    repeated = (SilentSkip(), SilentSkip(), LeastLoaded(), InOrder(), InOrder(), MaxWait(), MaxWait(s=3.0))
    assert len(effective(repeated)) == len(repeated)


def test_the_effective_order_is_by_phase_with_order_policies_reversed() -> None:
    """What `hedgerow check` prints; stable sorts leave the first written in charge."""
    written = (MaxWait(), CommitAt(), LeastLoaded(), Hedge(), InOrder(), SilentSkip(), Deadline())
    assert [p.kind() for p in effective(written)] == [
        "silent-skip",
        "in-order",
        "least-loaded",
        "hedge",
        "max-wait",
        "deadline",
        "commit-at",
    ]


def test_a_first_wait_beyond_the_cap_is_remarked_on() -> None:
    """It is cut to the cap, which is hardly what was meant."""
    assert list(Retry(base_s=60.0).warnings()) == ["base_s = 60 is more than cap_s = 30: no wait is longer than cap_s"]
    assert list(Retry(base_s=60.0, cap_s=60.0).warnings()) == []
