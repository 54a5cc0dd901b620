"""How long a hedge waits, what it is charged, and where it is never sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import QUANTILES, Charge, Facts, Hedge, Latency, Need, Plan, PolicyError, Price, Skip
from policies._facts import prompt_usd
from tests.policies.builders import A, B, C, measured, planned, view
from tests.strategies import facts

PAID = Price(input=3.0, output=15.0)


def pace(plan: Plan) -> list[tuple[float | None, Charge]]:
    """Patience and charge of each step."""
    return [(step.patience_s, step.charge) for step in plan.steps]


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
        (measured(1.0, 3.0, samples=30), 3.0),
    ],
)
def test_a_hedge_starts_cold(latency: Latency | None, delay_s: float) -> None:
    """Four seconds, until thirty samples make a quantile worth something."""
    assert Hedge().delay_s(Facts(latency=latency)) == delay_s


@pytest.mark.parametrize(
    ("p50", "p92", "hedge", "delay_s"),
    [
        (1.0, 3.0, Hedge(), 3.0),
        (1.0, 1.5, Hedge(), 1.75),
        (1.0, 4.5, Hedge(), 4.0),
        (1.0, 4.5, Hedge(at_most="5x-median"), 4.5),
        (1.0, 4.5, Hedge(at_least="6x-median"), 6.0),
        (1.0, 1.5, Hedge(at_least="1x-median"), 1.5),
        (1.0, 1.5, Hedge(at_least="3.5x-median"), 3.5),
        (0.05, 0.2, Hedge(), 0.3),
        (0.15, 0.2, Hedge(), 0.3),
        (0.18, 0.2, Hedge(), 0.315),
        (0.18, 0.2, Hedge(floor_s=0.01, at_least="1x-median"), 0.2),
        (4.0, 14.9, Hedge(), 14.9),
        (4.0, 15.1, Hedge(), 15.0),
        (4.0, 15.1, Hedge(ceiling_s=20.0), 15.1),
        (9.0, 9.0, Hedge(), 15.0),
    ],
)
def test_a_learned_delay_is_the_quantile_within_bounds(p50: float, p92: float, hedge: Hedge, delay_s: float) -> None:
    """p92, between 1.75 and 4 times the median, never under 0.3 s nor over 15 s; all of that as the file says."""
    assert hedge.delay_s(Facts(latency=measured(p50, p92))) == pytest.approx(delay_s)


@pytest.mark.parametrize("percent", QUANTILES)
def test_a_hedge_follows_the_quantile_it_names(percent: int) -> None:
    """Each of those a view carries."""
    latency = Latency(samples=30, at=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    hedge = Hedge(after=f"p{percent}", at_least="1x-median", at_most="9x-median")
    assert hedge.delay_s(Facts(latency=latency)) == 1.0 + QUANTILES.index(percent)


@pytest.mark.parametrize("hedge", [Hedge(), Hedge(after_s=9.0)])
@pytest.mark.parametrize("leader", [Facts(breaker="half-open"), Facts(free_slots=0)])
def test_a_probing_or_saturated_leader_is_not_waited_for(hedge: Hedge, leader: Facts) -> None:
    """Patience 0, whatever the delay; the others keep theirs."""
    plan = planned(hedge, facts={A: leader, B: Facts(breaker="closed", free_slots=1)})
    usual_s = hedge.after_s or 4.0
    assert [step.patience_s for step in plan.steps] == [0.0, usual_s, usual_s]


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
        ({"at_most": "4"}, "expected a factor"),
        ({"floor_s": 0.0}, "expected more than 0, got 0"),
        ({"cold_s": float("nan")}, "expected more than 0, got nan"),
        ({"floor_s": 20.0}, "ceiling_s = 15 is less than floor_s = 20"),
        ({"second_usd": -1.0}, "expected more than 0, got -1"),
        ({"warm": "never"}, "expected 'hedge' or 'wait', got 'never'"),
    ],
)
def test_a_hedge_refuses_arguments_without_meaning(arguments: dict[str, object], message: str) -> None:
    """With words for whoever wrote them."""
    with pytest.raises(PolicyError, match=message):
        Hedge(**arguments)  # type: ignore[arg-type]


@given(facts(), st.sampled_from([Hedge(), Hedge(floor_s=0.05, ceiling_s=2.0, cold_s=9.0), Hedge(after="p50")]))
def test_no_learned_delay_leaves_its_bounds(known: Facts, hedge: Hedge) -> None:
    """Whatever is known: none at all, nought, or between floor and ceiling; only a cold start is as the file says."""
    delay_s = hedge.delay_s(known)
    if delay_s:
        assert hedge.floor_s <= delay_s <= max(hedge.ceiling_s, hedge.cold_s)


@pytest.mark.parametrize(
    ("known", "delay_s"),
    [
        (Latency(samples=0, at=(1.0,) * 6, smaller=(1.0,) * 6), 4.0),
        (Latency(samples=29, at=(1.0,) * 6, smaller=(4.0,) * 6), 7.0),
        (Latency(samples=0, at=(1.0,) * 6, larger=(1.0,) * 6), 1.75),
        (Latency(samples=0, at=(1.0,) * 6, larger=(4.0,) * 6), 4.0),
        (Latency(samples=29, at=(1.0,) * 6, smaller=(1.0,) * 6, larger=(2.0,) * 6), 3.5),
        (Latency(samples=30, at=(1.0,) * 6, smaller=(4.0,) * 6), 1.75),
    ],
)
def test_a_young_size_class_is_bounded_by_its_neighbours(known: Latency, delay_s: float) -> None:
    """No less than smaller prompts take, no more than larger ones; an old one goes by itself."""
    assert Hedge().delay_s(Facts(latency=known)) == pytest.approx(delay_s)


@pytest.mark.parametrize(("ramp", "delay_s"), [(1.0, 4.0), (0.5, 2.0), (0.01, 0.3), (0.0, 0.3)])
def test_who_has_just_recovered_is_waited_for_less(ramp: float, delay_s: float) -> None:
    """By the share of its traffic that it has back; never below the floor, which is kept for the probe."""
    assert Hedge().delay_s(Facts(ramp=ramp)) == delay_s
    assert Hedge(after_s=0.1).delay_s(Facts(ramp=ramp)) == 0.1


class TestMoney:
    """A loser is paid for, too."""

    def test_a_plan_says_why_somebody_is_never_a_hedge(self) -> None:
        """In the step, and in the skip of who may come back later."""
        plan = planned(Hedge(), facts={B: Facts(price=PAID), C: Facts()})
        assert [step.denied for step in plan.steps] == ["", "it costs money, and paid = false", ""]
        before = Plan(chain=(A, B), steps=plan.steps[:1], skipped=(Skip(candidate=B, by="x", reason="r", wait_s=1.0),))
        after = Hedge().apply(before, view({B: Facts(price=PAID)}))
        assert after.skipped[0].denied == "it costs money, and paid = false"

    def test_a_second_has_a_price(self) -> None:
        """100,000 tokens at 3 dollars a million are 0.30 dollars: at 5 cents a second that is 6 s more to wait."""
        known = {A: Facts(latency=measured(1.0, 2.0)), B: Facts(price=PAID)}
        need = Need(input_tokens=100_000)
        assert planned(Hedge(paid=True), facts=known, need=need).steps[0].patience_s == 2.0
        patient = planned(Hedge(paid=True, second_usd=0.05), facts=known, need=need)
        assert patient.steps[0].patience_s == pytest.approx(8.0)
        assert patient.steps[1].charge is Charge.BUDGET

    def test_a_warm_target_is_the_cheaper_one(self) -> None:
        """What is in its cache is read at the price of that."""
        cached = Price(input=3.0, output=15.0, cache_read=0.3)
        assert prompt_usd(Facts(price=cached, warm_tokens=80_000), 100_000) == pytest.approx(0.084)
        assert prompt_usd(Facts(price=PAID, warm_tokens=80_000), 100_000) == pytest.approx(0.3)
        assert prompt_usd(Facts(price=cached, warm_tokens=999_999), 100_000) == pytest.approx(0.03)
        assert prompt_usd(Facts(), 100_000) == 0.0

    def test_a_hedge_that_is_not_worth_it_is_denied(self) -> None:
        """Where the prompt costs more than the longest wait; the patience is then for the next who may be started."""
        known = {A: Facts(latency=measured(1.0, 2.0)), B: Facts(price=PAID)}
        plan = planned(Hedge(paid=True, second_usd=0.01), facts=known, need=Need(input_tokens=100_000))
        assert plan.steps[1].denied == "reading the prompt there costs $0.300, more than the $0.150 that 15 s are worth"
        assert (plan.steps[0].patience_s, plan.steps[1].charge) == (2.0, Charge.NEVER)

    def test_a_price_of_a_second_needs_leave_to_pay(self) -> None:
        """Else it is a remark."""
        assert list(Hedge(second_usd=0.01).warnings()) == [
            "second_usd says nothing without paid = true: nobody who costs money is hedged to"
        ]
        assert list(Hedge(second_usd=0.01, paid=True).warnings()) == []

    def test_what_is_not_read_beside_a_fixed_delay_is_remarked_on(self) -> None:
        """A chain with both has a delay that somebody did not mean."""
        assert list(Hedge(after_s=4.0, after="p99").warnings()) == [
            "after_s is taken as written: after beside it says nothing"
        ]
        assert list(Hedge(after_s=4.0, at_least="2x-median", cold_s=1.0).warnings()) == [
            "after_s is taken as written: at_least, cold_s beside it say nothing"
        ]
        assert list(Hedge(after_s=4.0).warnings()) == []


class TestWarm:
    """What a conversation has in a candidate's prompt cache."""

    def test_a_warm_leader_may_be_waited_for(self) -> None:
        """When told to, and until it fails; a cold one is hedged as ever."""
        known = {A: Facts(warm_tokens=60_000)}
        plan = planned(Hedge(warm="wait"), facts=known)
        assert [step.denies for step in plan.steps] == [
            "60,000 tokens of this conversation are in a/m's prompt cache", "", "",
        ]  # fmt: skip
        assert plan.steps[0].patience_s == 4.0
        assert not any(step.denies for step in planned(Hedge(), facts=known).steps)

    @pytest.mark.parametrize(("tokens", "waits"), [(60_000, True), (120_000, True), (120_001, False)])
    def test_half_of_the_prompt_is_worth_a_wait(self, tokens: int, waits: bool) -> None:
        """A system prompt that is still warm after a long history was cut is not."""
        plan = planned(Hedge(warm="wait"), facts={A: Facts(warm_tokens=60_000)}, need=Need(input_tokens=tokens))
        assert bool(plan.steps[0].denies) is waits
