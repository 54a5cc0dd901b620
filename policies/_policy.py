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
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import attrs

from policies._facts import Candidate, View
from policies._names import Weights
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
    #: An order policy that gives those who have just come back their growing share (`Facts.ramp`) itself.
    eases: ClassVar[bool] = False

    @classmethod
    def kind(cls) -> str:
        """The name in TOML."""
        return kebab(cls.__name__)

    @property
    def rivalry(self) -> str | None:
        """What a chain may hold one of: its `exclusive` policy, unless a policy's arguments have a say in it."""
        return f"{self.exclusive} policy" if self.exclusive else None

    @abstractmethod
    def apply(self, plan: Plan, view: View) -> Plan:
        """The plan after this policy. Pure: no clock, no draw but from `view.seed`, no checkpoint."""

    def warnings(self) -> Iterable[str]:
        """What is allowed and yet hardly meant."""
        return ()

    def say(self, candidate: Candidate, plan: Plan, view: View) -> str:
        """Why this candidate of `plan`, in a few words for the operator: `3 in flight x 0.8 s`. Asked only to explain."""
        return ""

    def __str__(self) -> str:
        return to_toml(self)


def arguments(policy: type[Policy]) -> dict[str, attrs.Attribute[object]]:
    """TOML argument name -> attribute. A trailing underscore is dropped: `for_` is written `for`."""
    return {field.name.removesuffix("_"): field for field in attrs.fields(policy)}


def to_toml(policy: Policy, kind: str = "") -> str:
    """The policy as a TOML value: a bare name with all defaults, else an inline table of what differs from them.

    `kind` stands in the place of its own name, where that is not the one by which it is found.
    """
    kind = kind or _written(type(policy))
    given = {
        name: getattr(policy, field.name)
        for name, field in arguments(type(policy)).items()
        if getattr(policy, field.name) != field.default
    }
    if not given:
        return _literal(kind)
    pairs = ", ".join(f"{name} = {_literal(value)}" for name, value in {"kind": kind, **given}.items())
    return f"{{ {pairs} }}"


def _written(cls: type[Policy]) -> str:
    """The name that a file may hold: somebody else's class by its module, unless it says itself what it is called."""
    ours = cls.__module__.partition(".")[0] == "policies"
    named = getattr(cls.kind, "__func__", None) is not getattr(Policy.kind, "__func__", None)
    return cls.kind() if ours or named else f"{cls.__module__}:{cls.__qualname__}"


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML escapes as JSON does, and DEL
    if isinstance(value, Weights):
        return "{ " + ", ".join(f"{_literal(name)} = {_literal(weight)}" for name, weight in value) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(_literal(v) for v in value) + "]"
    return repr(value)


def effective(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """The policies in the order in which they are applied.

    By phase; among order policies last written first, so that stable sorts leave the first written in charge.
    Raises PolicyError where two policies exclude each other.
    """
    for group in dict.fromkeys(p.rivalry for p in policies if p.rivalry):
        rivals = [p for p in policies if p.rivalry == group]
        if len(rivals) > 1:
            names = " and ".join(f"'{p.kind()}'" for p in rivals)
            raise PolicyError(f"{names} exclude each other: a chain has at most one {group}")
    ordered = sorted(policies, key=lambda p: p.phase)
    orders = [p for p in ordered if p.phase is Phase.ORDER]
    return (
        *(p for p in ordered if p.phase < Phase.ORDER),
        *reversed(orders),
        *(p for p in ordered if p.phase > Phase.ORDER),
    )


#: Takes each stage of a fold: a policy, or the name of a built-in one, and the plan before and after it.
Note = Callable[["Policy | str", Plan, Plan], None]

#: The stages that every chain has: who is not usable; who is waited for if nobody is left, or asked at once since waiting
#: would take too long; who has just come back and stands behind; what the limits say in the end.
UNCONFIGURED, HELD, LAST_RESORT, SLOW_START, LIMITS = (
    "unconfigured",
    "first-back",
    "last-resort",
    "slow-start",
    "limits",
)


def _unnoted(by: Policy | str, before: Plan, after: Plan) -> None:
    pass


def compose(policies: Sequence[Policy], candidates: tuple[Candidate, ...], view: View, note: Note = _unnoted) -> Plan:
    """Fold a chain's policies over its candidates.

    A candidate whose provider is not usable is passed over whichever policies the chain has. `note` is told of each stage;
    select policies all have the same plan before them. Pure; raises nothing for policies that `effective` accepts.
    """
    before = Plan.of(candidates)
    plan = before.skipping(
        *(
            Skip(candidate=s.candidate, by=UNCONFIGURED, reason=view.of(s.candidate).unusable_because or "not usable")
            for s in before.steps
            if not view.of(s.candidate).usable
        )
    )
    note(UNCONFIGURED, before, plan)
    ordered = effective(policies)
    for policy in (p for p in ordered if p.phase < Phase.SELECT):
        before, plan = plan, policy.apply(plan, view)
        note(policy, before, plan)
    selects = [p for p in ordered if p.phase is Phase.SELECT]
    selected = _selected(plan, selects, view, note)
    held = None if selected.steps else _first_back(selected)
    noted: list[tuple[Policy | str, Plan, Plan]] = []
    start = selected if held is None else _restored(selected, held, held.wait_s or 0.0)
    made = _completed(start, ordered, view, held, lambda *stage: noted.append(stage))
    last = None if made.steps else _soonest_to_recover(plan, selects, view)
    skip = next((s for s in selected.skipped if s.candidate == last), None)
    if skip is not None:
        start = _restored(selected, skip, 0.0)
        note(LAST_RESORT, selected, start)
        return _completed(start, ordered, view, None, note)
    if held is not None:
        note(HELD, selected, start)
    for stage in noted:
        note(*stage)
    return made


def _restored(plan: Plan, skip: Skip, wait_s: float) -> Plan:
    """The plan with somebody who was passed over as its only step, held for so long."""
    step = Step(candidate=skip.candidate, not_before_s=wait_s)
    return attrs.evolve(plan, steps=(step,), skipped=tuple(s for s in plan.skipped if s is not skip))


def _completed(plan: Plan, ordered: Sequence[Policy], view: View, held: Skip | None, note: Note) -> Plan:
    """What comes after selecting: order, slow start, pace, limits, outcome."""
    for policy in (p for p in ordered if p.phase is Phase.ORDER):
        before, plan = plan, policy.apply(plan, view)
        note(policy, before, plan)
    if not any(policy.eases for policy in ordered):
        before, plan = plan, eased(plan, view)
        if plan is not before:
            note(SLOW_START, before, plan)
    for policy in (p for p in ordered if p.phase > Phase.ORDER):
        before, plan = plan, policy.apply(plan, view)
        note(policy, before, plan)
    before, plan = plan, _finished(plan, view, held)
    note(LIMITS, before, plan)
    return plan


def _selected(plan: Plan, selects: Iterable[Policy], view: View, note: Note) -> Plan:
    """The intersection: each select policy judges the same candidates, so that none hides another's reason.

    Of several skips of one candidate the heaviest stands: a hard one before a soft one, then the longest wait.
    """

    def weight(skip: Skip) -> tuple[bool, float, str, str]:
        return skip.wait_s is None, skip.wait_s or 0.0, skip.by, skip.reason

    heaviest: dict[Candidate, Skip] = {}
    for policy in selects:
        judged = policy.apply(plan, view)
        note(policy, plan, judged)
        for skip in judged.skipped[len(plan.skipped) :]:
            heaviest[skip.candidate] = max(heaviest.get(skip.candidate, skip), skip, key=weight)
    return plan.skipping(*(heaviest[c] for c in plan.chain if c in heaviest))


def _first_back(plan: Plan) -> Skip | None:
    """The soft skip with the shortest wait; of equals the one that the file lists first."""
    soft = [skip for skip in plan.skipped if skip.wait_s is not None]
    return min(soft, key=lambda skip: (skip.wait_s, plan.position(skip.candidate)), default=None)


def _soonest_to_recover(plan: Plan, selects: Iterable[Policy], view: View) -> Candidate | None:
    """Of those that would be asked were nobody ejected, the one whose breaker lets a request through first."""
    well = {name: attrs.evolve(facts, breaker="closed", breaker_wait_s=0.0) for name, facts in view.facts.items()}
    merely_out = _selected(plan, selects, attrs.evolve(view, facts=well), _unnoted).steps
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
            reason=f"{held.reason}, for longer than max-wait ({limits.max_wait_s:g} s) allows",
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
