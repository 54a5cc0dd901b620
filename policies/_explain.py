"""What each policy did to each candidate, told from the fold itself.

The naive explanation is written beside the decision: every policy logs what it thinks it does, and in time the log says one
thing and the code another. A decision here is a fold over values, so it can be folded again, later and elsewhere, with
somebody looking on: what a policy did is the difference between the plan before it and the plan after it. So a policy of
anybody's is explained without knowing of it. Only the reason for a place in an order cannot be seen from outside; for that
a policy may have words of its own (`Policy.say`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import attrs

from policies._facts import Candidate, View
from policies._plan import Limits, Outcome, Plan, Skip, Step
from policies._policy import HELD, LAST_RESORT, LIMITS, SLOW_START, UNCONFIGURED, Phase, Policy, compose

#: What became of a candidate at one stage. `out`: somebody has passed it over before, and this stage has no say on it.
What = Literal["kept", "skipped", "moved", "held", "out"]


@attrs.frozen
class Change:
    """One value that a stage has changed."""

    name: str
    before: Any
    after: Any


@attrs.frozen(kw_only=True)
class Ruling:
    """What one stage made of one candidate.

    `place` and `before` count the candidates to be asked from 1, and are None for one that is not among them. `overruled`
    marks a skip in whose place a heavier one of another policy stands. `says` is the policy's own reason, often empty.
    """

    candidate: Candidate
    what: What
    before: int | None = None
    place: int | None = None
    skip: Skip | None = None
    overruled: bool = False
    changes: tuple[Change, ...] = ()
    says: str = ""


@attrs.frozen(kw_only=True)
class Stage:
    """One policy, or one of the stages that every chain has: `rulings` has each candidate of the chain, in its order."""

    by: str
    toml: str
    phase: str
    rulings: tuple[Ruling, ...]
    #: What it has changed for the request as a whole: limits, outcome, the providers that are lifted.
    changes: tuple[Change, ...] = ()


@attrs.frozen(kw_only=True)
class Explanation:
    """A plan and the stages that made it."""

    plan: Plan
    stages: tuple[Stage, ...]


#: When the stages that are no policies have their turn.
_BUILT_IN = {
    UNCONFIGURED: "before all",
    HELD: "after select",
    LAST_RESORT: "after select",
    SLOW_START: "after order",
    LIMITS: "after all",
}


def explain(policies: Sequence[Policy], candidates: tuple[Candidate, ...], view: View) -> Explanation:
    """Fold once more, and say of each stage what it did. The plan is the one that `compose` makes. Pure."""
    noted: list[tuple[Policy | str, Plan, Plan]] = []
    plan = compose(policies, candidates, view, lambda by, before, after: noted.append((by, before, after)))
    selected = _standing(noted)
    return Explanation(plan=plan, stages=tuple(_stage(*stage, view, selected) for stage in noted))


def _standing(noted: Sequence[tuple[Policy | str, Plan, Plan]]) -> frozenset[Skip]:
    """The skips with which the fold went on when all select policies had spoken: the plan before the stage after them."""
    rest = iter(noted)
    for by, _, _ in rest:
        if isinstance(by, Policy) and by.phase is Phase.SELECT:
            break
    after = next((before for by, before, _ in rest if not (isinstance(by, Policy) and by.phase is Phase.SELECT)), None)
    return frozenset(after.skipped if after else ())


def _stage(by: Policy | str, before: Plan, after: Plan, view: View, standing: frozenset[Skip]) -> Stage:
    rulings = tuple(_ruling(by, candidate, before, after, view, standing) for candidate in before.chain)
    name, toml, phase = (
        (by.kind(), str(by), by.phase.name.lower()) if isinstance(by, Policy) else (by, "", _BUILT_IN[by])
    )
    return Stage(by=name, toml=toml, phase=phase, rulings=rulings, changes=_whole(before, after))


def _ruling(
    by: Policy | str, candidate: Candidate, before: Plan, after: Plan, view: View, standing: frozenset[Skip]
) -> Ruling:
    was, now = _place(before, candidate), _place(after, candidate)
    skipped, skips = _skip(before, candidate), _skip(after, candidate)
    says = _said(by, candidate, before, view) if was is not None else ""
    if was is None:
        if now is not None:
            step = after.steps[now - 1]
            return Ruling(
                candidate=candidate,
                what="held",
                place=now,
                skip=skipped,
                changes=_differences(Step, _plain(step), step),
            )
        return Ruling(candidate=candidate, what="out", skip=skips, changes=_differences(Skip, skipped, skips))
    if now is None:
        overruled = isinstance(by, Policy) and by.phase is Phase.SELECT and skips not in standing
        return Ruling(candidate=candidate, what="skipped", before=was, skip=skips, overruled=overruled, says=says)
    return Ruling(
        candidate=candidate,
        what="kept" if _in_place(before, after, candidate) else "moved",
        before=was,
        place=now,
        changes=_differences(Step, before.steps[was - 1], after.steps[now - 1]),
        says=says,
    )


def _in_place(before: Plan, after: Plan, candidate: Candidate) -> bool:
    """Whether a candidate has kept its place among those that are still there: a gap that closes is no move."""
    left = {step.candidate for step in after.steps}
    order = [step.candidate for step in before.steps if step.candidate in left]
    return order.index(candidate) == [step.candidate for step in after.steps].index(candidate)


def _place(plan: Plan, candidate: Candidate) -> int | None:
    return next((place for place, step in enumerate(plan.steps, 1) if step.candidate == candidate), None)


def _skip(plan: Plan, candidate: Candidate) -> Skip | None:
    return next((skip for skip in plan.skipped if skip.candidate == candidate), None)


def _plain(step: Step) -> Step:
    return Step(candidate=step.candidate)


def _said(by: Policy | str, candidate: Candidate, plan: Plan, view: View) -> str:
    """A policy's own words. One that cannot find them has decided all the same, and that is what is told here."""
    if not isinstance(by, Policy):
        return ""
    try:
        return by.say(candidate, plan, view)
    except Exception as error:
        return f"(no reason: say() raised {type(error).__name__})"


def _differences(cls: type[attrs.AttrsInstance], before: Any, after: Any) -> tuple[Change, ...]:
    if before is None or after is None:
        return ()
    pairs = ((field.name, getattr(before, field.name), getattr(after, field.name)) for field in attrs.fields(cls))
    return tuple(Change(*pair) for pair in pairs if pair[1] != pair[2])


def _whole(before: Plan, after: Plan) -> tuple[Change, ...]:
    """What a stage has changed beside the candidates. Lifted providers are told in a fixed order."""
    changes = [
        *_differences(Limits, before.limits, after.limits),
        *_differences(Outcome, before.outcome, after.outcome),
    ]
    given = [change for change in changes if change.name != "given"]
    if before.lifted != after.lifted:
        given.append(Change("lifted", tuple(sorted(before.lifted)), tuple(sorted(after.lifted))))
    return tuple(given)
