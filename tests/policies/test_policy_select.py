"""Who is passed over, with which words and for how long, and who is held when nobody is left."""

from __future__ import annotations

from itertools import permutations

import attrs
import pytest

from policies import (
    Candidate,
    Capabilities,
    Facts,
    MaxWait,
    Need,
    Policy,
    RequireCapability,
    SilentSkip,
    UnlimitedScope,
    compose,
)
from tests.policies.builders import ABC, A, B, C, asked, planned, said, view

BLOCKED = Facts(block_wait_s=7.0, block_reason="429")


@pytest.mark.parametrize(
    ("facts", "reason", "wait_s"),
    [
        (Facts(breaker="open", breaker_wait_s=12.0), "breaker open", 12.0),
        (BLOCKED, "429", 7.0),
        (Facts(block_wait_s=7.0), "rate limited", 7.0),
        (Facts(window_wait_s=3.5), "rate window full", 3.5),
        (Facts(free_slots=0), "no free concurrency slot", 1.0),
        (Facts(window_wait_s=3.5, free_slots=0), "rate window full; no free concurrency slot", 3.5),
        (
            Facts(breaker="open", breaker_wait_s=2.0, block_wait_s=8.0, window_wait_s=4.0, free_slots=0),
            "breaker open; rate limited; rate window full; no free concurrency slot",
            8.0,
        ),
    ],
)
def test_silent_skip_says_why_and_until_when(facts: Facts, reason: str, wait_s: float) -> None:
    """Every reason is named, and the longest of their waits counts."""
    plan = planned(SilentSkip(), facts={A: facts})
    assert asked(plan) == "bc"
    assert said(plan) == {"a": ("silent-skip", reason, wait_s)}
    assert plan.skipped[0].soft


@pytest.mark.parametrize(
    "facts",
    [
        Facts(),
        Facts(breaker="half-open", breaker_wait_s=12.0),
        Facts(breaker="closed", breaker_wait_s=12.0),
        Facts(free_slots=1),
        Facts(headroom=0.0, in_flight=99, ttfc_s=60.0),
    ],
)
def test_silent_skip_lets_pass_who_may_be_asked(facts: Facts) -> None:
    """Neither a probe that is due, nor load, nor a nearly spent window is a reason to pass anybody over."""
    assert asked(planned(SilentSkip(), facts={A: facts})) == "abc"


def test_without_silent_skip_the_busy_are_asked() -> None:
    """Passing over is a policy, not a habit of the engine."""
    assert asked(planned(facts={A: BLOCKED, B: Facts(free_slots=0)})) == "abc"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_unlimited_scope_lifts_windows_and_blocks_whatever_the_file_order(order: tuple[int, ...]) -> None:
    """Lifting is folded before selecting; providers that are not named keep their limits."""
    written: list[Policy] = [SilentSkip(), UnlimitedScope(for_=("a",)), UnlimitedScope(for_=("c",))]
    full = Facts(block_wait_s=7.0, window_wait_s=3.0)
    plan = planned(*(written[i] for i in order), facts=dict.fromkeys(ABC, full))
    assert asked(plan) == "ac"
    assert said(plan) == {"b": ("silent-skip", "rate limited; rate window full", 7.0)}
    assert [step.unlimited for step in plan.steps] == [True, True]
    assert plan.lifted == {"a", "c"}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (Facts(breaker="open", breaker_wait_s=5.0, block_wait_s=9.0), "breaker open"),
    ],
)
def test_unlimited_scope_lifts_nothing_else(facts: Facts, reason: str) -> None:
    """Health and refused keys still count, and the wait is theirs alone."""
    plan = planned(SilentSkip(), UnlimitedScope(for_=("a",)), facts={A: facts})
    assert said(plan) == {"a": ("silent-skip", reason, 5.0)}


@pytest.mark.parametrize(
    ("facts", "reason", "status"),
    [
        (Facts(key_wait_s=9.0), "every key was refused, tried again in 9 s", 401),
        (Facts(key_wait_s=9.0, key_status=402), "every key is out of quota, tried again in 9 s", 402),
        (Facts(gone_wait_s=3600.0, key_wait_s=9.0), "model not found there, tried again in 3600 s", 404),
    ],
)
@pytest.mark.parametrize("lifted", [False, True])
def test_what_a_person_has_to_mend_is_never_waited_for(facts: Facts, reason: str, status: int, lifted: bool) -> None:
    """A hard skip with the status that tells the cause, whatever limits are lifted and whatever else is the matter."""
    policies = [SilentSkip(), *([UnlimitedScope(for_=("a",))] if lifted else [])]
    plan = planned(*policies, facts={A: attrs.evolve(facts, breaker="open", breaker_wait_s=1.0, window_wait_s=2.0)})
    assert asked(plan) == "bc"
    (skip,) = plan.skipped
    assert (skip.reason, skip.status, skip.wait_s) == (reason, status, None)


def test_unlimited_scope_needs_a_provider() -> None:
    """Lifting for nobody is a mistake in the file."""
    with pytest.raises(ValueError, match="for_"):
        UnlimitedScope(for_=())


def test_the_soonest_soft_skip_is_held() -> None:
    """With nobody left, whoever is back first becomes the only step, and stands no longer among the skipped."""
    facts = {A: Facts(block_wait_s=30.0), B: Facts(window_wait_s=4.5), C: Facts(breaker="open", breaker_wait_s=20.0)}
    plan = planned(SilentSkip(), facts=facts)
    (held,) = plan.steps
    assert held.candidate == B
    assert held.not_before_s == 4.5
    assert held.first_content_s == 60.0
    assert said(plan) == {"a": ("silent-skip", "rate limited", 30.0), "c": ("silent-skip", "breaker open", 20.0)}


def test_of_two_that_are_back_together_the_first_listed_is_held() -> None:
    """A tie is broken by the file."""
    assert asked(planned(SilentSkip(), facts=dict.fromkeys(ABC, Facts(window_wait_s=4.5)))) == "a"


def test_nobody_is_held_while_somebody_can_be_asked() -> None:
    """One candidate that is free is enough."""
    plan = planned(SilentSkip(), facts={A: BLOCKED, B: BLOCKED})
    assert [(step.candidate, step.not_before_s) for step in plan.steps] == [(C, 0.0)]


@pytest.mark.parametrize(
    ("wait_s", "policies", "held"),
    [
        (120.0, [], True),
        (120.001, [], False),
        (4.0, [MaxWait(s=5.0)], True),
        (5.5, [MaxWait(s=5.0)], False),
        (150.0, [MaxWait(s=180.0)], True),
        (0.001, [MaxWait(s=0.0)], False),
    ],
)
def test_nobody_is_held_longer_than_max_wait(wait_s: float, policies: list[Policy], held: bool) -> None:
    """A wait within the limit is a held step; a longer one is no step, so that the answer comes at once."""
    plan = compose([SilentSkip(), *policies], (A,), view({A: Facts(block_wait_s=wait_s)}))
    assert [step.not_before_s for step in plan.steps] == ([wait_s] if held else [])
    assert [(skip.by, skip.wait_s) for skip in plan.skipped] == ([] if held else [("max-wait", wait_s)])


def test_the_limit_that_cut_a_wait_is_named() -> None:
    """The operator reads what cut the wait short, and beside it, once, how long it would have been."""
    plan = compose([SilentSkip(), MaxWait(s=5.0)], (A,), view({A: Facts(block_wait_s=7.25)}))
    assert plan.skipped[0].reason.endswith(", for longer than max-wait (5 s) allows")
    assert plan.skipped[0].wait_s == 7.25


def test_who_is_cut_by_max_wait_keeps_its_first_reason() -> None:
    """That a wait is too long does not explain why there is one."""
    plan = compose([SilentSkip(), MaxWait(s=5.0)], (A,), view({A: BLOCKED}))
    assert "429" in plan.skipped[0].reason


@pytest.mark.parametrize(
    ("need", "lacking", "reason"),
    [
        (Need(tools=True), Capabilities(tools=False), "no tools"),
        (Need(images=True), Capabilities(images=False), "no images"),
        (Need(documents=True), Capabilities(documents=False), "no documents"),
        (Need(input_tokens=8_001), Capabilities(context=8_000), "no room for the prompt"),
        (
            Need(tools=True, images=True, input_tokens=9),
            Capabilities(tools=False, images=False, documents=False, context=8),
            "no tools, no images, no room for the prompt",
        ),
    ],
)
def test_require_capability_names_what_is_missing(need: Need, lacking: Capabilities, reason: str) -> None:
    """A hard skip: no wait will teach the model."""
    plan = planned(RequireCapability(), facts={B: Facts(capabilities=lacking)}, need=need)
    assert asked(plan) == "ac"
    assert said(plan) == {"b": ("require-capability", reason, None)}
    assert not plan.skipped[0].soft


@pytest.mark.parametrize(
    ("need", "capabilities"),
    [
        (Need(tools=True, images=True, documents=True, input_tokens=10**6), Capabilities()),
        (Need(), Capabilities(tools=False, images=False, documents=False)),
        (Need(tools=True), Capabilities(tools=True)),
        (Need(input_tokens=8_000), Capabilities(context=8_000)),
    ],
)
def test_require_capability_passes_nobody_over_on_a_guess(need: Need, capabilities: Capabilities) -> None:
    """What is unknown, not needed, or just enough is no reason."""
    assert (
        asked(planned(RequireCapability(), facts=dict.fromkeys(ABC, Facts(capabilities=capabilities)), need=need))
        == "abc"
    )


@pytest.mark.parametrize("written", [(SilentSkip(), RequireCapability()), (RequireCapability(), SilentSkip())])
def test_who_is_both_busy_and_incapable_is_not_held(written: tuple[Policy, ...]) -> None:
    """Waiting for a model that cannot do it anyway is the worst of both, whichever policy the file names first."""
    facts = {
        A: Facts(block_wait_s=1.0, capabilities=Capabilities(tools=False)),
        B: Facts(block_wait_s=9.0),
        C: Facts(capabilities=Capabilities(tools=False)),
    }
    plan = planned(*written, facts=facts, need=Need(tools=True))
    assert [(step.candidate, step.not_before_s) for step in plan.steps] == [(B, 9.0)]
    assert {skip.candidate: skip.soft for skip in plan.skipped} == {A: False, C: False}


@pytest.mark.parametrize("written", [(SilentSkip(), RequireCapability()), (RequireCapability(), SilentSkip())])
def test_skips_stand_in_the_order_of_the_chain(written: tuple[Policy, ...]) -> None:
    """Not in that of the policies: the explanation reads the same whichever the file names first."""
    incapable = Facts(capabilities=Capabilities(tools=False))
    chain = (*ABC, Candidate("d", "m"))
    plan = compose(written, chain, view({A: incapable, B: BLOCKED, C: incapable}, need=Need(tools=True)))
    assert asked(plan) == "d"
    assert [skip.candidate for skip in plan.skipped] == [A, B, C]
    assert [skip.by for skip in plan.skipped] == ["require-capability", "silent-skip", "require-capability"]


@pytest.mark.parametrize("policies", [(), (SilentSkip(),), (UnlimitedScope(for_=("a",)), RequireCapability())])
def test_an_unusable_provider_is_unconfigured_in_every_chain(policies: tuple[Policy, ...]) -> None:
    """Whichever policies it has; also a blocked one is not held, since no wait brings it a key."""
    facts = {A: Facts(usable=False, unusable_because="ZEN_API_KEY is empty", block_wait_s=1.0), B: Facts(usable=False)}
    plan = planned(*policies, facts=facts)
    assert asked(plan) == "c"
    assert said(plan) == {
        "a": ("unconfigured", "ZEN_API_KEY is empty", None),
        "b": ("unconfigured", "not usable", None),
    }


def test_where_nobody_is_usable_there_is_no_step() -> None:
    """Nothing soft to wait for: the plan is empty and says why for each."""
    plan = planned(SilentSkip(), facts=dict.fromkeys(ABC, Facts(usable=False, block_wait_s=1.0)))
    assert plan.steps == ()
    assert [skip.by for skip in plan.skipped] == ["unconfigured"] * 3


def test_a_candidate_listed_twice_counts_once() -> None:
    """And its no-thinking twin is another candidate, about which the same is known."""
    twin = Candidate("a", "m", thinking=False)
    assert [s.candidate for s in compose([], (B, A, B, twin, A), view()).steps] == [B, A, twin]
    plan = compose([SilentSkip()], (B, A, twin), view({A: BLOCKED}))
    assert asked(plan) == "b"
    assert [skip.candidate for skip in plan.skipped] == [A, twin]
