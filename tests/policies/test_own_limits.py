"""Time limits that a candidate has of its own, and what a chain's policies make of them."""

from __future__ import annotations

import pytest

from policies import Candidate, Facts, FirstContentTimeout, IdleTimeout, Policy, SilentSkip, View, compose

SLOW, QUICK = Candidate("desk", "big"), Candidate("host", "m")


def steps(*policies: Policy, order: tuple[Candidate, ...] = (SLOW, QUICK)) -> list[tuple[float, float]]:
    """Both limits of each step, where one candidate has its own."""
    view = View(facts={SLOW.name: Facts(first_content_s=180.0, idle_s=120.0)})
    return [(step.first_content_s, step.idle_s) for step in compose(policies, order, view).steps]


def test_they_stand_in_place_of_the_defaults() -> None:
    """First or as a fallback: a local model reads a long prompt as slowly either way."""
    assert steps() == [(180.0, 120.0), (20.0, 60.0)]
    assert steps(order=(QUICK, SLOW)) == [(60.0, 60.0), (180.0, 120.0)]


def test_a_policy_is_a_limit_on_them() -> None:
    """Of two that are given the smaller holds."""
    assert steps(FirstContentTimeout(s=90.0, fallback_s=30.0), IdleTimeout(s=10.0)) == [(90.0, 10.0), (30.0, 10.0)]
    assert steps(FirstContentTimeout(s=300.0), IdleTimeout(s=300.0))[0] == (180.0, 120.0)


@pytest.mark.parametrize("wait_s", [5.0])
def test_a_candidate_that_is_busy_keeps_them_for_later(wait_s: float) -> None:
    """It may be asked after all, when its wait is over."""
    facts = Facts(first_content_s=180.0, block_wait_s=wait_s)
    plan = compose([SilentSkip()], (SLOW, QUICK), View(facts={SLOW.name: facts}))
    (skip,) = plan.skipped
    assert (skip.first_content_s, skip.idle_s) == (180.0, None)
