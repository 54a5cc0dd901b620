"""What a policy is, and how a chain's policies become one plan.

The naive composition is a pipeline in file order, which makes a configuration a program: move a line and a filter runs
after the sort it should have fed. Here policies fold by phase, whatever the order in the file, and within a phase the
order matters only among order policies, where the first written decides and later ones break its ties.

Selection is a property of the moment, so it may leave nobody. Then the candidate that is back first becomes the only
step, held until that moment: the request waits, holding nothing, rather than fail while somebody will be free in a second.
Where that is later than it may wait, and somebody is out for his health alone, the soonest to recover of those is asked at
once: a chain does not eject itself empty.
"""

from __future__ import annotations

import enum
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import attrs

from policies._facts import Candidate, View
from policies._plan import Limits, Plan, Skip, Step
from policies._slow_start import eased

#: A JSON answer has no pings to keep the client patient: Claude Code gives up on one after 300 s without a byte.
JSON_DEADLINE_S = 280.0


class Phase(enum.IntEnum):
    """When a policy has its say. Lifting comes before selecting, so that no selection is made on a limit that is lifted."""

    LIFT = 0
    SELECT = 1
    ORDER = 2
    PACE = 3
    LIMITS = 4
    OUTCOME = 5


class PolicyError(ValueError):
    """A policy's arguments, or a chain's set of policies, make no sense. The text is for the user."""


def kebab(name: str) -> str:
    """`LeastLoaded` -> `least-loaded`: how a class is called in TOML."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


@attrs.frozen
class Policy(ABC):
    """A frozen value with one pure method. Subclasses are attrs classes whose fields are their TOML arguments."""

    phase: ClassVar[Phase]
    #: Policies that share such a name exclude each other in one chain: two paces have no meaning together.
    exclusive: ClassVar[str | None] = None

    @classmethod
    def kind(cls) -> str:
        """The name in TOML."""
        return kebab(cls.__name__)

    @abstractmethod
    def apply(self, plan: Plan, view: View) -> Plan:
        """The plan after this policy. Pure: no clock, no draw but from `view.seed`, no checkpoint."""

    def warnings(self) -> Iterable[str]:
        """What is allowed and yet hardly meant."""
        return ()

    def __str__(self) -> str:
        return to_toml(self)


def arguments(policy: type[Policy]) -> dict[str, attrs.Attribute[object]]:
    """TOML argument name -> attribute. A trailing underscore is dropped: `for_` is written `for`."""
    return {field.name.removesuffix("_"): field for field in attrs.fields(policy)}


def to_toml(policy: Policy) -> str:
    """The policy as a TOML value: a bare name with all defaults, else an inline table of what differs from them."""
    given = {
        name: getattr(policy, field.name)
        for name, field in arguments(type(policy)).items()
        if getattr(policy, field.name) != field.default
    }
    if not given:
        return f'"{policy.kind()}"'
    pairs = ", ".join(f"{name} = {_literal(value)}" for name, value in {"kind": policy.kind(), **given}.items())
    return f"{{ {pairs} }}"


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML escapes as JSON does, and DEL
    if isinstance(value, tuple):
        return "[" + ", ".join(_literal(v) for v in value) + "]"
    return repr(value)


def effective(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """The policies in the order in which they are applied.

    By phase; among order policies last written first, so that stable sorts leave the first written in charge.
    Raises PolicyError where two policies exclude each other.
    """
    for group in dict.fromkeys(p.exclusive for p in policies if p.exclusive):
        rivals = [p for p in policies if p.exclusive == group]
        if len(rivals) > 1:
            names = " and ".join(f"'{p.kind()}'" for p in rivals)
            raise PolicyError(f"{names} exclude each other: a chain has at most one {group} policy")
    ordered = sorted(policies, key=lambda p: p.phase)
    orders = [p for p in ordered if p.phase is Phase.ORDER]
    return (
        *(p for p in ordered if p.phase < Phase.ORDER),
        *reversed(orders),
        *(p for p in ordered if p.phase > Phase.ORDER),
    )


def compose(policies: Sequence[Policy], candidates: tuple[Candidate, ...], view: View) -> Plan:
    """Fold a chain's policies over its candidates.

    A candidate whose provider is not usable is passed over whichever policies the chain has. Pure; raises nothing for
    policies that `effective` accepts.
    """
    plan = Plan.of(candidates)
    plan = plan.skipping(
        *(
            Skip(candidate=s.candidate, by="unconfigured", reason=view.of(s.candidate).unusable_because or "not usable")
            for s in plan.steps
            if not view.of(s.candidate).usable
        )
    )
    ordered = effective(policies)
    for policy in (p for p in ordered if p.phase < Phase.SELECT):
        plan = policy.apply(plan, view)
    selects = [p for p in ordered if p.phase is Phase.SELECT]
    selected = _selected(plan, selects, view)
    held = None if selected.steps else _first_back(selected)
    made = _completed(selected if held is None else _restored(selected, held), ordered, view, held)
    if made.steps:
        return made
    last = _soonest_to_recover(plan, selects, view)
    skip = next((s for s in selected.skipped if s.candidate == last), None)
    return made if skip is None else _completed(_restored(selected, skip, wait_s=0.0), ordered, view, None)


def _restored(plan: Plan, skip: Skip, wait_s: float | None = None) -> Plan:
    """The plan with somebody who was passed over as its only step, held until he is back."""
    step = Step(candidate=skip.candidate, not_before_s=(skip.wait_s or 0.0) if wait_s is None else wait_s)
    return attrs.evolve(plan, steps=(step,), skipped=tuple(s for s in plan.skipped if s is not skip))


def _completed(plan: Plan, ordered: Sequence[Policy], view: View, held: Skip | None) -> Plan:
    """What comes after selecting: order, slow start, pace, limits, outcome."""
    for policy in (p for p in ordered if p.phase is Phase.ORDER):
        plan = policy.apply(plan, view)
    plan = eased(plan, view)
    for policy in (p for p in ordered if p.phase > Phase.ORDER):
        plan = policy.apply(plan, view)
    return _finished(plan, view, held)


def _selected(plan: Plan, selects: Iterable[Policy], view: View) -> Plan:
    """The intersection: each select policy judges the same candidates, so that none hides another's reason.

    Of several skips of one candidate the heaviest stands: a hard one before a soft one, then the longest wait.
    """

    def weight(skip: Skip) -> tuple[bool, float, str, str]:
        return skip.wait_s is None, skip.wait_s or 0.0, skip.by, skip.reason

    heaviest: dict[Candidate, Skip] = {}
    for skip in (s for policy in selects for s in policy.apply(plan, view).skipped[len(plan.skipped) :]):
        heaviest[skip.candidate] = max(heaviest.get(skip.candidate, skip), skip, key=weight)
    return plan.skipping(*(heaviest[c] for c in plan.chain if c in heaviest))


def _first_back(plan: Plan) -> Skip | None:
    """The soft skip with the shortest wait; of equals the one that the file lists first."""
    soft = [skip for skip in plan.skipped if skip.wait_s is not None]
    return min(soft, key=lambda skip: (skip.wait_s, plan.position(skip.candidate)), default=None)


def _soonest_to_recover(plan: Plan, selects: Iterable[Policy], view: View) -> Candidate | None:
    """Of those that would be asked were nobody ejected, the one whose breaker lets a request through first."""
    well = {name: attrs.evolve(facts, breaker="closed", breaker_wait_s=0.0) for name, facts in view.facts.items()}
    merely_out = _selected(plan, selects, attrs.evolve(view, facts=well)).steps
    return min((s.candidate for s in merely_out), key=lambda c: view.of(c).breaker_wait_s, default=None)


#: The limits to first content: of the first attempt, and of every later one.
_TO_FIRST_CONTENT = ("first_content_s", "fallback_first_content_s")


def _with_own_limits(skip: Skip, view: View) -> Skip:
    facts = view.of(skip.candidate)
    if not skip.soft or (facts.first_content_s is None and facts.idle_s is None):
        return skip
    return attrs.evolve(skip, first_content_s=facts.first_content_s, idle_s=facts.idle_s)


def _finished(plan: Plan, view: View, held: Skip | None) -> Plan:
    """Write what the limits say into the steps, and give up at once on a wait longer than anybody would wait."""
    limits = plan.limits
    if not view.need.stream:
        limits = attrs.evolve(limits, deadline_s=min(limits.deadline_s, JSON_DEADLINE_S))
    steps = tuple(
        attrs.evolve(
            step,
            first_content_s=limits.within(view.of(step.candidate).first_content_s, _TO_FIRST_CONTENT[i > 0]),
            idle_s=limits.within(view.of(step.candidate).idle_s, "idle_s"),
            unlimited=step.candidate.provider in plan.lifted,
        )
        for i, step in enumerate(plan.steps)
    )
    skipped = tuple(_with_own_limits(skip, view) for skip in plan.skipped)
    plan = attrs.evolve(plan, limits=limits, steps=_with_last_resort(steps, limits, view), skipped=skipped)
    late = tuple(
        Skip(
            candidate=s.candidate,
            by="max-wait",
            reason=f"{held.reason}; back in {s.not_before_s:.1f} s, later than max-wait ({limits.max_wait_s:g} s) allows",
            wait_s=s.not_before_s,
        )
        for s in plan.steps
        if held and s.not_before_s > limits.max_wait_s
    )
    return plan.skipping(*late)


def _with_last_resort(steps: tuple[Step, ...], limits: Limits, view: View) -> tuple[Step, ...]:
    """Where everybody left is ejected for longer than the request may wait, the soonest to recover is asked now."""
    wait_s = {step: view.of(step.candidate).breaker_wait_s for step in steps}
    shut = [step for step in steps if view.of(step.candidate).breaker == "open" and wait_s[step] > limits.max_wait_s]
    if not steps or len(shut) < len(steps):
        return steps
    soonest = min(shut, key=lambda step: wait_s[step])
    return tuple(attrs.evolve(step, last_resort=True, not_before_s=0.0) if step is soonest else step for step in steps)
