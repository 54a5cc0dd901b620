"""What holds of every policy and every plan, whichever the arguments, the chain and the moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import tomllib
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import attrs
import cattrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import (
    JSON_DEADLINE_S,
    KINDS,
    Candidate,
    Limits,
    Phase,
    Plan,
    Policy,
    UnlimitedScope,
    View,
    arguments,
    compose,
    effective,
    policy_class,
    to_toml,
)
from tests.strategies import BY_CLASS, Situation, chains, plans, policies, situations, views

ROOT = Path(__file__).parents[2]

#: What a policy of each phase may touch. Pace may also raise a limit, since a race needs room, and writes on a skip whether
#: who comes back later may be a hedge.
TOUCHES = {
    Phase.LIFT: {"lifted"},
    Phase.SELECT: {"steps", "skipped"},
    Phase.ORDER: {"steps"},
    Phase.PACE: {"steps", "limits", "skipped"},
    Phase.LIMITS: {"limits"},
    Phase.OUTCOME: {"outcome"},
}


@attrs.frozen
class Turn:
    """One policy about to be applied to a plan on its way."""

    policy: Policy
    plan: Plan
    view: View

    @property
    def after(self) -> Plan:
        return self.policy.apply(self.plan, self.view)


@st.composite
def turns(draw: st.DrawFn, *phases: Phase) -> Turn:
    chain = draw(chains())
    return Turn(draw(policies(*phases)), draw(plans(chain)), draw(views(chain)))


def everybody(plan: Plan) -> Counter[Candidate]:
    """How often each candidate occurs in steps and skipped together."""
    return Counter([s.candidate for s in plan.steps] + [s.candidate for s in plan.skipped])


def test_every_built_in_policy_is_under_these_laws() -> None:
    """A policy added to the registry needs a strategy here before anything passes."""
    assert set(BY_CLASS) == set(KINDS.values())
    assert set(TOUCHES) == set(Phase)


@given(situations())
def test_a_plan_accounts_for_every_candidate_exactly_once(situation: Situation) -> None:
    """Who came in is either asked or passed over, never both, never lost, never invented."""
    assert everybody(situation.plan) == Counter(set(situation.chain))
    assert situation.plan.chain == tuple(dict.fromkeys(situation.chain))


@given(turns())
def test_a_single_policy_accounts_for_every_candidate_exactly_once(turn: Turn) -> None:
    """The same for each policy by itself, so that no later one can hide what an earlier one lost."""
    assert everybody(turn.after) == everybody(turn.plan)


@given(turns())
def test_a_policy_touches_only_what_its_phase_decides(turn: Turn) -> None:
    """Folding by phase is sound only if a limit cannot reorder and an order cannot skip."""
    changed = {field.name for field in attrs.fields(Plan) if _differs(field.name, turn)}
    assert changed <= TOUCHES[turn.policy.phase]


def _differs(field: str, turn: Turn) -> bool:
    return bool(getattr(turn.after, field) != getattr(turn.plan, field))


@given(turns(Phase.SELECT))
def test_select_keeps_the_order_of_those_it_keeps(turn: Turn) -> None:
    """The steps left are a subsequence of the steps before, each unchanged."""
    kept = set(turn.after.steps)
    assert turn.after.steps == tuple(step for step in turn.plan.steps if step in kept)


@given(turns(Phase.ORDER))
def test_order_only_permutes(turn: Turn) -> None:
    """The same steps, field for field, in another order."""
    assert Counter(turn.after.steps) == Counter(turn.plan.steps)


@given(turns(Phase.PACE))
def test_pace_keeps_the_order(turn: Turn) -> None:
    """When the next starts has no say in who is next."""
    assert [s.candidate for s in turn.after.steps] == [s.candidate for s in turn.plan.steps]


@given(situations())
def test_nobody_loses_patience_with_a_candidate_that_a_connection_waits_for(situation: Situation) -> None:
    """Whichever pace a chain has."""
    assert all(step.patience_s is None for step in situation.plan.steps if situation.view.of(step.candidate).sticky)


@given(turns(Phase.ORDER))
def test_order_is_stable(turn: Turn) -> None:
    """Candidates that an order policy cannot tell apart stay as they were.

    Bare in-order, turns and lots tell everybody apart; and so does the lot by which a returning candidate gets its share.
    """
    named = {name for group in getattr(turn.policy, "priority", ()) for name in group}
    named |= {turn.view.affinity} if isinstance(turn.policy, KINDS["sticky"]) else set()
    if turn.policy == KINDS["in-order"]() or turn.policy.kind() in (
        "round-robin",
        "weighted",
        "random",
        "power-of-two",
    ):
        return
    before = [s.candidate for s in turn.plan.steps]
    after = [s.candidate for s in turn.after.steps]
    for first, second in combinations(before, 2):
        facts_alike = turn.view.of(first) == turn.view.of(second)
        names_alike = first.provider == second.provider and not {first.name, second.name} & named
        if facts_alike and names_alike and turn.view.of(first).ramp == 1:
            assert after.index(first) < after.index(second)


@given(turns())
def test_every_policy_is_idempotent(turn: Turn) -> None:
    """Said twice is said once, in every phase."""
    assert turn.policy.apply(turn.after, turn.view) == turn.after


@given(situations())
def test_the_first_written_order_policy_decides(situation: Situation) -> None:
    """Applied to the finished plan it finds nothing left to sort: the others have broken its ties only.

    Those who have just come back and stand behind the others are sorted among themselves.
    """
    first = next((p for p in situation.policies if p.phase is Phase.ORDER), None)
    if first is not None:
        plan = situation.plan
        usual = [step for step in plan.steps if not step.behind]
        behind = [step for step in plan.steps if step.behind]
        assert list(plan.steps) == usual + behind
        for part in (usual, behind):
            alone = attrs.evolve(plan, steps=tuple(part))
            assert first.apply(alone, situation.view).steps == alone.steps


@given(situations())
def test_a_chain_does_not_eject_itself_empty(situation: Situation) -> None:
    """Nobody is planned only where somebody's health is not the reason: were nobody ejected, nobody would be planned either."""
    plan, view = situation.plan, situation.view
    if not plan.steps:
        well = {name: attrs.evolve(facts, breaker="closed", breaker_wait_s=0.0) for name, facts in view.facts.items()}
        pardoned = compose(situation.policies, situation.chain, attrs.evolve(view, facts=well))
        assert all(step.not_before_s > 0 for step in pardoned.steps)


@given(situations())
def test_a_last_resort_is_one_and_only_where_everybody_is_out_for_too_long(situation: Situation) -> None:
    """Nobody's breaker is overruled while another candidate can be asked, or waiting for it would do."""
    plan, view = situation.plan, situation.view
    if any(step.last_resort for step in plan.steps):
        assert sum(step.last_resort for step in plan.steps) == 1
        assert all(view.of(step.candidate).breaker == "open" for step in plan.steps)
        assert all(view.of(step.candidate).breaker_wait_s > plan.limits.max_wait_s for step in plan.steps)


@settings(max_examples=60)
@given(situations(), st.data())
def test_file_order_matters_only_among_order_policies(situation: Situation, data: st.DataObject) -> None:
    """Any shuffle that leaves the order policies among themselves as they are gives the same plan, skips and all."""
    shuffled = list(data.draw(st.permutations(situation.policies)))
    orders = iter([p for p in situation.policies if p.phase is Phase.ORDER])
    shuffled = [next(orders) if p.phase is Phase.ORDER else p for p in shuffled]
    assert compose(shuffled, situation.chain, situation.view) == situation.plan


@given(situations())
def test_policies_fold_by_phase(situation: Situation) -> None:
    """The effective order is a permutation of the file's, never back to an earlier phase, order policies reversed."""
    ordered = effective(situation.policies)
    assert Counter(ordered) == Counter(situation.policies)
    assert [p.phase for p in ordered] == sorted(p.phase for p in ordered)
    written = [p for p in situation.policies if p.phase is Phase.ORDER]
    assert [p for p in ordered if p.phase is Phase.ORDER] == written[::-1]


@given(situations())
def test_an_incapable_or_unusable_candidate_is_never_asked(situation: Situation) -> None:
    """A hard skip stands, also where everybody else is merely busy and the earliest of them is held."""
    incapable = KINDS["require-capability"]
    for step in situation.plan.steps:
        assert situation.view.of(step.candidate).usable
        if any(isinstance(p, incapable) for p in situation.policies):
            alone = compose([incapable()], (step.candidate,), situation.view)
            assert not alone.skipped


@given(situations())
def test_a_held_step_is_alone_and_within_max_wait(situation: Situation) -> None:
    """Nobody waits while somebody can be asked, and nobody waits longer than the limit."""
    plan = situation.plan
    if any(step.not_before_s > 0 for step in plan.steps):
        assert len(plan.steps) == 1
        assert plan.steps[0].not_before_s <= plan.limits.max_wait_s


@given(situations())
def test_each_limit_is_the_smallest_that_was_given_or_the_default(situation: Situation) -> None:
    """Also where the given is larger than the default; races and JSON requests have their own say on two of them."""
    given_limits: dict[str, list[float]] = {}
    for policy in situation.policies:
        if policy.phase is Phase.LIMITS:
            alone = policy.apply(Plan(), situation.view).limits
            for name in alone.given:
                given_limits.setdefault(name, []).append(getattr(alone, name))
    expected = {f.name: getattr(Limits(), f.name) for f in attrs.fields(Limits) if f.name != "given"}
    width = max((getattr(p, "width", 0) for p in situation.policies), default=0)
    expected["max_in_flight"] = max(expected["max_in_flight"], width)
    expected |= {name: min(values) for name, values in given_limits.items()}
    if not situation.view.need.stream:
        expected["deadline_s"] = min(expected["deadline_s"], JSON_DEADLINE_S)
    limits = situation.plan.limits
    assert {name: getattr(limits, name) for name in expected} == expected
    assert limits.given == given_limits.keys()


@given(situations())
def test_steps_carry_what_limits_and_lifts_say(situation: Situation) -> None:
    """The first attempt has the long first-content time, every later one the short; lifted providers are marked."""
    plan = situation.plan
    lifted = {name for p in situation.policies if isinstance(p, UnlimitedScope) for name in p.for_}
    for i, step in enumerate(plan.steps):
        assert step.first_content_s == (plan.limits.fallback_first_content_s if i else plan.limits.first_content_s)
        assert step.unlimited == (step.candidate.provider in lifted)


@given(situations())
def test_a_plan_does_not_depend_on_how_facts_were_gathered(situation: Situation) -> None:
    """The same facts in another insertion order fold to the same plan."""
    backwards = dict(reversed(list(situation.view.facts.items())))
    assert compose(situation.policies, situation.chain, attrs.evolve(situation.view, facts=backwards)) == situation.plan


@given(situations())
def test_a_stored_view_folds_to_the_same_plan(situation: Situation) -> None:
    """A view survives JSON without loss, infinities and other non-JSON excluded, and so does the decision."""
    stored = json.dumps(cattrs.unstructure(situation.view), allow_nan=False)
    restored = cattrs.structure(json.loads(stored), View)
    assert restored == situation.view
    assert compose(situation.policies, situation.chain, restored) == situation.plan


@given(situations())
def test_plans_are_values(situation: Situation) -> None:
    """Frozen through and through: equal plans have equal hashes."""
    assert hash(situation.plan) == hash(situation.plan)


def rebuilt(text: str) -> Policy:
    """The policy that a TOML value describes, by way of the registry."""
    value = tomllib.loads(f"policy = {text}")["policy"]
    table = {"kind": value} if isinstance(value, str) else dict(value)
    cls = policy_class(table.pop("kind"))
    known = arguments(cls)
    policy = cls(**{str(known[name].alias): _as_tuples(given) for name, given in table.items()})
    assert isinstance(policy, Policy)
    return policy


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(v) for v in value) if isinstance(value, list) else value


@given(policies())
def test_a_policy_round_trips_through_toml(policy: Policy) -> None:
    """Object -> TOML -> object, and TOML -> object -> TOML; `str` is the TOML."""
    text = to_toml(policy)
    assert str(policy) == text
    assert rebuilt(text) == policy
    assert to_toml(rebuilt(text)) == text


@given(policies(), st.data())
def test_policies_are_frozen_and_hashable(policy: Policy, data: st.DataObject) -> None:
    """Equal policies are one member of a set, and none can be changed."""
    assert len({policy, attrs.evolve(policy)}) == 1
    name = data.draw(st.sampled_from([f.name for f in attrs.fields(type(policy))] or ["anything"]))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(policy, name, None)


#: Prints plans of a few moments, and a line that must differ with the seed of the hash, or nothing was tested.
_UNDER_A_HASH_SEED = """
    from policies import *
    from random import Random

    chain = tuple(Candidate(f"p{i}", "m") for i in range(9))
    policies = (
        UnlimitedScope(for_=("p1", "p2", "p3")), UnlimitedScope(for_=("p3", "p4")), SilentSkip(), RequireCapability(),
        Except(names=("p0",)), SpendCap(usd=5), During(hours="09:00-18:00", names=("p1", "p2")),
        InOrder(priority=(("p8", "p7", "p6"), ("p5/m", "p4"))), FewestToolErrors(), Cheapest(),
        Weighted(weights={"p8": 3, "p7": 1, "p6": 1}), LeastLoaded(), Race(width=3), CommitAt(at="tool"),
        OnFailure(of="server-error", next="stop"), OnFailure(of="bad-request", next="next"),
        MaxWait(s=90), Deadline(s=300), FirstContentTimeout(s=30), MaxAttempts(n=4),
    )
    for seed in range(25):
        draw = Random(seed)
        facts = {
            c.name: Facts(
                ttfc_s=draw.choice([None, 1.0, 2.0]),
                in_flight=draw.randrange(3),
                block_wait_s=draw.choice([0.0, 40.0]),
                free_slots=draw.choice([None, 0]),
                capabilities=Capabilities(tools=draw.choice([None, False])),
            )
            for c in chain
        }
        plan = compose(policies, chain, View(need=Need(tools=True), facts=facts, seed=seed))
        print(plan.chain, plan.steps, plan.skipped, plan.outcome, sorted(plan.lifted), sorted(plan.limits.given))
        print({name: getattr(plan.limits, name) for name in Limits.__slots__ if name not in ("given", "__weakref__")})
    print(*policies, *effective(policies))
    import sys
    print(hash("hedgerow"), file=sys.stderr)
"""


def test_plans_do_not_depend_on_the_hash_seed() -> None:
    """Three processes with different string hashes plan alike, to the byte of their repr."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(_UNDER_A_HASH_SEED)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        for seed in ("0", "1", "4711")
    ]
    assert len({run.stderr for run in runs}) == 3
    assert len({run.stdout for run in runs}) == 1
    assert runs[0].stdout.count("Step(") > 25
