"""What the explanation of a plan says, and that it is the plan's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import attrs
import pytest
from hypothesis import given, settings

from policies import (
    HELD,
    LAST_RESORT,
    LIMITS,
    SLOW_START,
    UNCONFIGURED,
    Candidate,
    Capabilities,
    Facts,
    Hedge,
    InOrder,
    LeastLoaded,
    MaxWait,
    Need,
    NoFallback,
    Phase,
    Plan,
    Policy,
    Ruling,
    Sequence,
    SilentSkip,
    Skip,
    Stage,
    UnlimitedScope,
    View,
    compose,
    effective,
    explain,
)
from policies import RequireCapability as Requires
from tests.policies.builders import ABC, A, B, C, view
from tests.strategies import Situation, situations


def stages(policies: Iterable[Policy], seen: View) -> dict[str, Stage]:
    """The stages over a, b, c by name, in their order."""
    return {stage.by: stage for stage in explain(tuple(policies), ABC, seen).stages}


def of(stage: Stage, candidate: Candidate) -> Ruling:
    (ruling,) = [ruling for ruling in stage.rulings if ruling.candidate == candidate]
    return ruling


@settings(max_examples=40)
@given(situations())
def test_an_explanation_is_of_the_plan_that_is_made(situation: Situation) -> None:
    """Looking on changes nothing."""
    explained = explain(situation.policies, situation.chain, situation.view)
    assert explained.plan == situation.plan


@settings(max_examples=40)
@given(situations())
def test_every_stage_rules_on_every_candidate_once(situation: Situation) -> None:
    """Policies in their effective order between the built-in stages; candidates in the chain's order."""
    explained = explain(situation.policies, situation.chain, situation.view)
    names = [stage.by for stage in explained.stages]
    assert names[0] == UNCONFIGURED
    assert names[-1] == LIMITS
    inner = [name for name in names[1:-1] if name not in (HELD, LAST_RESORT, SLOW_START)]
    assert inner == [policy.kind() for policy in effective(situation.policies)]
    for stage in explained.stages:
        assert tuple(ruling.candidate for ruling in stage.rulings) == situation.plan.chain


@settings(max_examples=40)
@given(situations())
def test_the_verdicts_add_up_to_the_plan(situation: Situation) -> None:
    """Who is asked and in which place, who is not and by whom, can be read off them alone."""
    explained = explain(situation.policies, situation.chain, situation.view)
    last = explained.stages[-1]
    asked = sorted((r.place, r.candidate) for r in last.rulings if r.place is not None)
    assert [candidate for _, candidate in asked] == [step.candidate for step in situation.plan.steps]
    skipped = {r.candidate: r.skip for r in last.rulings if r.place is None}
    assert skipped == {skip.candidate: skip for skip in situation.plan.skipped}
    for skip in situation.plan.skipped:
        of_it = [of(stage, skip.candidate) for stage in explained.stages if stage.by == skip.by]
        by_limit = of(last, skip.candidate).what == "skipped"
        assert by_limit or any(r.what == "skipped" and not r.overruled for r in of_it)


@settings(max_examples=40)
@given(situations())
def test_what_was_overruled_is_not_what_stands(situation: Situation) -> None:
    """Of several skips by select policies exactly the heaviest is not marked."""
    explained = explain(situation.policies, situation.chain, situation.view)
    selects = [stage for stage in explained.stages if stage.phase == "select"]
    for candidate in situation.plan.chain:
        said = [r for stage in selects if (r := of(stage, candidate)).what == "skipped"]
        standing = {r.skip for r in said if not r.overruled}
        assert len(standing) == (1 if said else 0)


def test_a_select_policy_judges_also_those_whom_another_has_passed_over() -> None:
    """So that mending the one reason does not reveal the next. The soft one is marked as overruled."""
    busy_and_blind = Facts(block_wait_s=5, block_reason="429", capabilities=Capabilities(images=False))
    told = stages([SilentSkip(), Requires()], view({A: busy_and_blind}, need=Need(images=True)))
    soft, hard = of(told["silent-skip"], A), of(told["require-capability"], A)
    assert (soft.what, soft.overruled, soft.skip) == (
        "skipped",
        True,
        Skip(candidate=A, by="silent-skip", reason="429", wait_s=5),
    )
    assert (hard.what, hard.overruled, hard.skip and hard.skip.reason) == ("skipped", False, "no images")
    assert of(told["limits"], A).what == "out"


def test_who_is_not_usable_is_ruled_out_before_all() -> None:
    """And no policy has a word on it."""
    told = stages([LeastLoaded()], view({B: Facts(usable=False, unusable_because="B_KEY is not set")}))
    assert of(told[UNCONFIGURED], B).skip == Skip(candidate=B, by=UNCONFIGURED, reason="B_KEY is not set")
    assert of(told["least-loaded"], B).what == "out"
    assert of(told["least-loaded"], B).says == ""


def test_an_order_says_from_where_to_where_and_why() -> None:
    """Load in figures; who was never measured is taken for the middle of the others."""
    told = stages([LeastLoaded()], view({A: Facts(ttfc_s=2.0, in_flight=1), B: Facts(ttfc_s=0.5, headroom=0.1)}))[
        "least-loaded"
    ]
    assert [(r.what, r.before, r.place, r.says) for r in told.rulings] == [
        ("moved", 1, 2, "(1 in flight + 1) x 2 s"),
        ("moved", 2, 3, "(0 in flight + 1) x 0.5 s; 10% of its window left"),
        ("moved", 3, 1, "(0 in flight + 1) x 0.5 s (not measured yet)"),
    ]


def test_groups_and_lines_are_told() -> None:
    """In-order by the file's lines, or by its groups."""
    assert [r.says for r in stages([InOrder()], view())["in-order"].rulings][2] == "line 3 of the chain"
    grouped = stages([InOrder(priority=(("c",), ("a/m",)))], view())["in-order"]
    assert [(r.place, r.says) for r in grouped.rulings] == [(2, "group 2"), (3, "in no group"), (1, "group 1")]


def test_a_gap_that_closes_is_no_move() -> None:
    """Those behind a skipped candidate keep their places among those left."""
    told = stages([SilentSkip()], view({A: Facts(breaker="open", breaker_wait_s=9)}))["silent-skip"]
    assert [(r.what, r.before, r.place) for r in told.rulings] == [("skipped", 1, None), ("kept", 2, 1), ("kept", 3, 2)]


def test_a_pace_tells_patience_and_charge() -> None:
    """Before and after."""
    (change, charge) = of(stages([Hedge(after_s=4.0)], view())["hedge"], A).changes
    assert (change.name, change.before, change.after) == ("patience_s", None, 4.0)
    assert charge.name == "charge"


def test_limits_and_lifts_are_changes_of_the_whole() -> None:
    """Of the request, not of a candidate."""
    told = stages([UnlimitedScope(for_=("b", "a")), MaxWait(s=5)], view())
    assert [(c.name, c.before, c.after) for c in told["unlimited-scope"].changes] == [("lifted", (), ("a", "b"))]
    assert [(c.name, c.before, c.after) for c in told["max-wait"].changes] == [("max_wait_s", 120.0, 5)]
    assert [(c.name, c.after) for c in of(told["limits"], A).changes] == [("unlimited", True)]


def test_who_is_waited_for_is_a_stage_of_its_own() -> None:
    """Everybody busy: the first back is held; too late for max-wait, it is passed over after all."""
    seen = view({c: Facts(block_wait_s=s, block_reason="429") for c, s in zip(ABC, (9, 5, 7), strict=True)})
    held = of(stages([SilentSkip()], seen)[HELD], B)
    assert (held.what, held.place, [(c.name, c.after) for c in held.changes]) == ("held", 1, [("not_before_s", 5)])
    late = of(stages([SilentSkip(), MaxWait(s=1)], seen)[LIMITS], B)
    assert (late.what, late.skip and late.skip.by) == ("skipped", "max-wait")


def test_a_requests_own_policy_is_told_like_any_other() -> None:
    """It makes soft skips hard: a change of somebody who is out."""
    told = stages([SilentSkip(), NoFallback()], view({A: Facts(block_wait_s=5)}))["no-fallback"]
    assert [r.what for r in told.rulings] == ["out", "kept", "skipped"]
    assert [(c.name, c.before, c.after) for c in of(told, A).changes] == [("wait_s", 5, None)]


@attrs.frozen
class Theirs(Policy):
    """Somebody else's: puts the last first, and cannot say why."""

    phase: ClassVar[Phase] = Phase.ORDER

    def apply(self, plan: Plan, view: View) -> Plan:
        return attrs.evolve(plan, steps=(*plan.steps[-1:], *plan.steps[:-1]))

    def say(self, candidate: Candidate, plan: Plan, view: View) -> str:
        raise KeyError("oops")


def test_a_policy_of_somebody_elses_is_explained_by_what_it_did() -> None:
    """Also where its own words fail."""
    told = stages([Theirs()], view())["theirs"]
    assert [(r.before, r.place) for r in told.rulings] == [(1, 2), (2, 3), (3, 1)]
    assert of(told, C).says == "(no reason: say() raised KeyError)"


def test_a_fold_that_nobody_notes_is_the_same_fold() -> None:
    """The note is told of stages and asked for nothing."""
    seen = view({A: Facts(ttfc_s=3.0)})
    noted: list[str] = []
    policies = (LeastLoaded(), Sequence())
    plan = compose(
        policies, ABC, seen, lambda by, before, after: noted.append(by if isinstance(by, str) else by.kind())
    )
    assert plan == compose(policies, ABC, seen)
    assert noted == [UNCONFIGURED, "least-loaded", "sequence", LIMITS]


@pytest.mark.parametrize("policy", [SilentSkip(), Hedge(after_s=4.0), Requires()])
def test_words_are_optional(policy: Policy) -> None:
    """A policy has none unless it says so."""
    assert policy.say(A, Plan.of(ABC), view()) == ""
