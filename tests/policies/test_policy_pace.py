"""When the next step starts beside the running one, and what that costs."""

from __future__ import annotations

from typing import Any

import pytest

from policies import Charge, Facts, Hedge, MaxInFlight, Plan, Policy, PolicyError, Price, Race, Sequence, View
from tests.policies.builders import A, B, C, limits, planned

PAID = Price(input=3.0, output=15.0)


def pace(plan: Plan) -> list[tuple[float | None, Charge]]:
    """Patience and charge of each step."""
    return [(step.patience_s, step.charge) for step in plan.steps]


@pytest.mark.parametrize("policies", [(), (Sequence(),)])
def test_a_sequence_waits_for_a_failure(policies: tuple[Policy, ...]) -> None:
    """The default pace too: no patience ends, nothing starts beside a running attempt."""
    assert pace(planned(*policies)) == [(None, Charge.NEVER)] * 3


@pytest.mark.parametrize("policy", [Hedge(), Hedge(after_s=9.0), Race(), Race(width=3)])
@pytest.mark.parametrize("more", [{}, {"breaker": "half-open"}, {"free_slots": 0}])
def test_a_candidate_that_a_connection_waits_for_is_asked_alone(policy: Policy, more: dict[str, Any]) -> None:
    """Nobody is started beside it for want of patience, wherever it stands; charges and the others are as ever."""
    usual = planned(policy).steps
    for number, candidate in enumerate((A, B, C)):
        steps = planned(policy, facts={candidate: Facts(sticky=True, **more)}).steps
        assert (steps[number].patience_s, steps[number].alone) == (None, True)
        others = [at for at in range(3) if at != number]
        assert [steps[at] for at in others] == [usual[at] for at in others]
        assert [step.charge for step in steps] == [step.charge for step in usual]


def test_only_a_hedge_has_something_to_warn_of() -> None:
    """The other paces have nothing that could be hardly meant."""
    assert [list(policy.warnings()) for policy in (Sequence(), Race())] == [[], []]


@pytest.mark.parametrize(
    ("width", "patience", "charge"),
    [
        (2, [0.0, None, None], [Charge.FREE, Charge.FREE, Charge.NEVER]),
        (3, [0.0, 0.0, None], [Charge.FREE, Charge.FREE, Charge.FREE]),
        (7, [0.0, 0.0, 0.0], [Charge.FREE, Charge.FREE, Charge.FREE]),
    ],
)
def test_a_race_starts_its_width_at_once(width: int, patience: list[float | None], charge: list[Charge]) -> None:
    """No patience between the first `width`, free of charge; the rest wait for a failure."""
    plan = planned(Race(width=width))
    assert [step.patience_s for step in plan.steps] == patience
    assert [step.charge for step in plan.steps] == charge


def test_a_race_costs_money_where_its_candidates_do() -> None:
    """Whoever writes `race` has said so: a price changes nothing."""
    assert pace(planned(Race(), facts={B: Facts(price=PAID)})) == pace(planned(Race()))


def test_a_race_of_one_is_no_race() -> None:
    """The message says what is meant instead."""
    with pytest.raises(PolicyError, match=r"expected at least 2, got 1 .*'sequence'"):
        Race(width=1)


@pytest.mark.parametrize(
    ("policies", "max_in_flight"),
    [
        ((Race(),), 2),
        ((Race(width=4),), 4),
        ((Race(width=4), MaxInFlight(n=3)), 3),
        ((MaxInFlight(n=3), Race(width=4)), 3),
        ((Race(width=2), MaxInFlight(n=5)), 5),
        ((Hedge(),), 2),
        ((Sequence(),), 2),
    ],
)
def test_a_race_raises_max_in_flight_unless_that_is_set(policies: tuple[Policy, ...], max_in_flight: int) -> None:
    """Whatever the file order."""
    assert limits(*policies).max_in_flight == max_in_flight


def test_a_race_by_itself_respects_a_limit_already_given() -> None:
    """Also outside the fold, where a plan comes with its limits."""
    plan = MaxInFlight(n=1).apply(Plan.of((A, B, C)), View())
    assert Race(width=3).apply(plan, View()).limits.max_in_flight == 1
