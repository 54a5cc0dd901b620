"""When the next step starts beside the running one, and what that costs."""

from __future__ import annotations

from typing import Any

import pytest

from policies import (
    QUANTILES,
    Charge,
    Facts,
    Hedge,
    Latency,
    MaxInFlight,
    Plan,
    Policy,
    PolicyError,
    Price,
    Race,
    Sequence,
    View,
)
from tests.policies.builders import A, B, C, limits, measured, planned

PAID = Price(input=3.0, output=15.0)


def pace(plan: Plan) -> list[tuple[float | None, Charge]]:
    """Patience and charge of each step."""
    return [(step.patience_s, step.charge) for step in plan.steps]


@pytest.mark.parametrize("policies", [(), (Sequence(),)])
def test_a_sequence_waits_for_a_failure(policies: tuple[Policy, ...]) -> None:
    """The default pace too: no patience ends, nothing starts beside a running attempt."""
    assert pace(planned(*policies)) == [(None, Charge.NEVER)] * 3


def test_a_hedge_with_a_fixed_delay_takes_it_as_written() -> None:
    """Outside floor and ceiling too, cold or warm."""
    for after_s in (0.01, 2.5, 40.0):
        plan = planned(Hedge(after_s=after_s), facts={A: Facts(latency=measured(1.0, 1.5))})
        assert pace(plan) == [(after_s, Charge.BUDGET)] * 3


@pytest.mark.parametrize(
    ("latency", "delay_s"),
    [
        (None, 4.0),
        (measured(1.0, 9.0, samples=0), 4.0),
        (measured(1.0, 9.0, samples=29), 4.0),
        (measured(1.0, 9.0, samples=30), 9.0),
    ],
)
def test_a_hedge_starts_cold(latency: Latency | None, delay_s: float) -> None:
    """Four seconds, until thirty samples make a quantile worth something."""
    assert Hedge().delay_s(Facts(latency=latency)) == delay_s


@pytest.mark.parametrize(
    ("p50", "p92", "hedge", "delay_s"),
    [
        (1.0, 3.0, Hedge(), 3.0),
        (1.0, 1.5, Hedge(), 2.0),
        (1.0, 1.5, Hedge(at_least="1x-median"), 1.5),
        (1.0, 1.5, Hedge(at_least="3.5x-median"), 3.5),
        (0.05, 0.2, Hedge(), 0.3),
        (0.15, 0.2, Hedge(), 0.3),
        (0.16, 0.2, Hedge(), 0.32),
        (2.0, 14.9, Hedge(), 14.9),
        (2.0, 15.1, Hedge(), 15.0),
        (8.0, 9.0, Hedge(), 15.0),
    ],
)
def test_a_learned_delay_is_the_quantile_within_bounds(p50: float, p92: float, hedge: Hedge, delay_s: float) -> None:
    """p92, at least twice the median, never under 0.3 s nor over 15 s."""
    assert hedge.delay_s(Facts(latency=measured(p50, p92))) == delay_s


@pytest.mark.parametrize("percent", QUANTILES)
def test_a_hedge_follows_the_quantile_it_names(percent: int) -> None:
    """Each of those a view carries."""
    latency = Latency(samples=30, at=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    hedge = Hedge(after=f"p{percent}", at_least="1x-median")
    assert hedge.delay_s(Facts(latency=latency)) == 1.0 + QUANTILES.index(percent)


@pytest.mark.parametrize("hedge", [Hedge(), Hedge(after_s=9.0)])
@pytest.mark.parametrize("leader", [Facts(breaker="half-open"), Facts(free_slots=0)])
def test_a_probing_or_saturated_leader_is_not_waited_for(hedge: Hedge, leader: Facts) -> None:
    """Patience 0, whatever the delay; the others keep theirs."""
    plan = planned(hedge, facts={A: leader, B: Facts(breaker="closed", free_slots=1)})
    usual_s = hedge.after_s or 4.0
    assert [step.patience_s for step in plan.steps] == [0.0, usual_s, usual_s]


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


def test_each_step_has_the_patience_of_its_own_candidate() -> None:
    """A slow leader is given its time; the fast one after it is not."""
    facts = {A: Facts(latency=measured(2.0, 8.0)), B: Facts(latency=measured(0.5, 1.25))}
    assert [step.patience_s for step in planned(Hedge(), facts=facts).steps] == [8.0, 1.25, 4.0]


def test_nobody_is_hedged_to_for_money_unless_told() -> None:
    """A priced candidate starts only after a failure; with `paid` it is a hedge like any other."""
    facts = {B: Facts(price=PAID)}
    assert [s.charge for s in planned(Hedge(), facts=facts).steps] == [Charge.BUDGET, Charge.NEVER, Charge.BUDGET]
    assert [s.charge for s in planned(Hedge(paid=True), facts=facts).steps] == [Charge.BUDGET] * 3


def test_a_price_of_nothing_is_no_price() -> None:
    """A free model whose price is known to be 0 is hedged to like one without a price."""
    free = Facts(price=Price(input=0.0, output=0.0))
    assert [s.charge for s in planned(Hedge(), facts={B: free}).steps] == [Charge.BUDGET] * 3


@pytest.mark.parametrize(
    ("hedge", "said"),
    [
        (Hedge(), []),
        (Hedge(extra_load=0.079), ["extra_load = 0.079 is less than the 0.08 of requests that exceed 'p92'"]),
        (Hedge(after="p90"), ["extra_load = 0.08 is less than the 0.1 of requests that exceed 'p90'"]),
        (Hedge(after="p90", extra_load=0.1), []),
        (Hedge(after="p99"), []),
        (Hedge(after="p50", extra_load=0.25), ["extra_load = 0.25 is less than the 0.5 of requests that exceed 'p50'"]),
        (Hedge(after_s=1.0, extra_load=0.01), []),
    ],
)
def test_a_hedge_warns_of_a_budget_that_cannot_pay_for_it(hedge: Hedge, said: list[str]) -> None:
    """A quantile says how many exceed it; a fixed delay says nothing."""
    warnings = list(hedge.warnings())
    assert len(warnings) == len(said)
    assert all(text.startswith(start) for text, start in zip(warnings, said, strict=True))
    assert all(text.endswith("the budget will refuse some hedges") for text in warnings)


def test_only_a_hedge_has_something_to_warn_of() -> None:
    """The other paces have nothing that could be hardly meant."""
    assert [list(policy.warnings()) for policy in (Sequence(), Race())] == [[], []]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"after": "p93"}, "expected one of p50, p75, p90, p92, p95, p99, got 'p93'"),
        ({"after": "92"}, "expected one of p50"),
        ({"at_least": "twice"}, "expected a factor like '2x-median', got 'twice'"),
        ({"at_least": "-1x-median"}, "expected a factor"),
        ({"after_s": 0.0}, "expected more than 0 seconds, got 0 .*'race'"),
        ({"after_s": -1.0}, "expected more than 0 seconds, got -1"),
        ({"extra_load": 0.0}, "expected a share above 0 and at most 1, got 0"),
        ({"extra_load": 1.01}, "got 1.01"),
        ({"extra_load": float("nan")}, "got nan"),
    ],
)
def test_a_hedge_refuses_arguments_without_meaning(arguments: dict[str, object], message: str) -> None:
    """With words for whoever wrote them."""
    with pytest.raises(PolicyError, match=message):
        Hedge(**arguments)  # type: ignore[arg-type]


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
