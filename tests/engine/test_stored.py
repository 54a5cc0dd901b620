"""A stored decision folds to the same plan, bit for bit."""

from __future__ import annotations

import json
from typing import ClassVar

import attrs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine._books import Books
from engine._events import PlanMade
from engine._stored import Decision, NotRestored, decision_of, restored, stored
from engine._stream import JSON
from engine.config import Model
from engine.observers._verdicts import verdicts
from engine.testing import config, provider
from policies import (
    Candidate,
    Capabilities,
    Need,
    NoFallback,
    NoHedge,
    Phase,
    Plan,
    Policy,
    Price,
    SilentSkip,
    View,
    compose,
)
from tests.engine.said import content, started, won
from tests.strategies import Situation, situations

OWN = st.sets(st.sampled_from([NoFallback(), NoHedge()])).map(tuple)


@attrs.frozen
class LastFirst(Policy):
    """A policy from a user's file."""

    phase: ClassVar[Phase] = Phase.ORDER

    times: int = 1

    def apply(self, plan: Plan, view: View) -> Plan:
        return attrs.evolve(plan, steps=plan.steps[::-1] if self.times % 2 else plan.steps)


def made(policies: tuple[Policy, ...], chain: tuple[Candidate, ...], view: View) -> PlanMade:
    return PlanMade(at=0.0, chain="c", plan=compose(policies, chain, view), view=view, policies=policies)


def through_json(value: JSON) -> JSON:
    """Written by one library and read by another."""
    back: JSON = json.loads(orjson.dumps(value))
    return back


def exact(plan: Plan) -> str:
    """A plan to the last bit: 1 is not 1.0 here, nor is 0.1 the float next to it."""
    given = sorted(plan.limits.given)
    return repr(
        (plan.chain, plan.steps, plan.skipped, attrs.evolve(plan.limits, given=frozenset()), given, plan.outcome)
    )


@given(situations(), OWN)
def test_what_is_stored_folds_to_the_same_plan_bit_for_bit(situation: Situation, own: tuple[Policy, ...]) -> None:
    """Through JSON text: policies, candidates and view come back equal, and so does the plan, to the bit."""
    event = made((*situation.policies, *own), situation.chain, situation.view)
    decision = restored(through_json(stored(decision_of(event))))
    assert decision == decision_of(event)
    assert decision.plan() == event.plan
    assert exact(decision.plan()) == exact(event.plan)


@settings(max_examples=30)
@given(situations())
def test_the_account_says_that_it_refolds(situation: Situation) -> None:
    """And is JSON as it stands."""
    told = verdicts(made(situation.policies, situation.chain, situation.view))
    assert told["refolds"] is True
    assert through_json(told) == told
    assert all(len(stage["candidates"]) == len(set(situation.chain)) for stage in told["stages"])


@settings(max_examples=30)
@given(situations())
def test_a_plan_that_was_not_made_so_is_found_out(situation: Situation) -> None:
    """The check can fail: a limit or a seat that is another one is named."""
    event = made(situation.policies, situation.chain, situation.view)
    limits = attrs.evolve(event.plan.limits, idle_s=event.plan.limits.idle_s + 0.001)
    told = verdicts(attrs.evolve(event, plan=attrs.evolve(event.plan, limits=limits)))
    assert told["refolds"] is False
    assert told["refolds_not_because"] == "the plan of the stored view has other limits"


def test_a_policy_of_a_users_own_is_stored_by_the_name_it_is_found_by() -> None:
    """`module:Class`, with its arguments."""
    event = made((SilentSkip(), LastFirst(times=3)), (Candidate("a", "m"), Candidate("b", "m")), View())
    kept = stored(decision_of(event))
    assert kept["policies"][1] == f'{{ kind = "{__name__}:LastFirst", times = 3 }}'
    assert restored(through_json(kept)).plan() == event.plan


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"policies": ['"nobodys:Policy"']}, "policy 'nobodys:Policy' cannot be loaded"),
        ({"policies": ['{ kind = "hedge", after_s = -1 }']}, "expected more than 0 seconds"),
        ({"policies": ["{"]}, "cannot be read here"),
        ({"view": {"facts": {"a/m": {"in_flight": "many"}}}}, "cannot be read here"),
    ],
)
def test_what_cannot_be_restored_says_why(change: JSON, text: str) -> None:
    """One clear reason, whatever is missing here."""
    kept = stored(decision_of(made((), (Candidate("a", "m"),), View())))
    with pytest.raises(NotRestored, match="the stored decision cannot be read here") as caught:
        restored({**kept, **change})
    assert text in str(caught.value)


def test_a_policy_that_is_nowhere_to_be_found_is_no_failure_of_the_account() -> None:
    """`refolds` is false, and the reason is told."""

    @attrs.frozen
    class Nowhere(LastFirst):
        pass

    told = verdicts(made((Nowhere(),), (Candidate("a", "m"), Candidate("b", "m")), View()))
    assert told["refolds"] is False
    assert "Nowhere" in told["refolds_not_because"]
    assert [c["to"] for c in told["stages"][1]["candidates"]] == [2, 1]


def test_usual_is_not_stored() -> None:
    """A candidate of whom nothing is known but that it is there takes no room."""
    kept = stored(Decision(policies=(), candidates=(Candidate("a", "m"),), view=View(seed=3)))
    assert kept == {"candidates": [{"provider": "a", "model": "m"}], "policies": [], "view": {"seed": 3}}


#: Names as long as they usually are.
USUAL = (("open_router", "qwen/qwen3-coder:free"), ("nvidia_nim", "z-ai/glm4.7"), ("zen", "minimax-m2.5-free"))


def photographed(busy: int) -> View:
    """The view of a usual chain from the books themselves, after `busy` requests to each of its candidates."""
    model = Model(
        id="m",
        capabilities=Capabilities(tools=True, images=False, documents=False, context=204_800, max_output=131_072),
        price=Price(input=0.3, output=1.2, cache_read=0.03),
    )
    made_of = [provider(id, models={name: attrs.evolve(model, id=name)}) for id, name in USUAL]
    usual = config(made_of)
    books = Books.of(lambda: usual)
    chain = tuple(Candidate(id, name) for id, name in USUAL)
    need = Need(input_tokens=41_234, max_tokens=32_000, tools=True, thinking=True)
    for number in range(busy):
        for place, who in enumerate(chain):
            at, took_s = number * 1.7, 0.7 + 0.1379 * place + 0.03117 * (number % 11)
            books.load.fold(started(at, who))
            books.load.fold(content(at + took_s, took_s, who, need=need))
            books.latency.fold(content(at + took_s, took_s, who, need=need))
            books.load.fold(won(at + 2.3, who, need=need, first_content_s=took_s))
    return books.view(usual, chain, need, at=busy * 1.7 + 3.1, wall_s=1_800_000_000.123456, seed="req_1")


def test_a_usual_view_takes_at_most_two_kilobytes() -> None:
    """Three candidates with capabilities, prices and latencies that the books have measured."""
    kept = stored(Decision(policies=(), candidates=(), view=photographed(60)))["view"]
    assert all("latency" in facts and "ttfc_s" in facts for facts in kept["facts"].values())
    assert len(orjson.dumps(kept)) <= 2048
