"""One verdict per policy per candidate, and whether the stored decision still folds to the plan that was run.

Made when somebody asks and not before: a request pays for its plan, never for the explanation of it.
"""

from __future__ import annotations

import enum
from typing import Any

import attrs

from engine._events import PlanMade
from engine._stored import NotRestored, decision_of, restored, stored
from engine._stream import JSON
from policies import Change, Ruling, Stage, explain


def verdicts(made: PlanMade) -> JSON:
    """`stages`, `stored` and `refolds` of one plan; where it does not refold, `refolds_not_because` says why."""
    decision = decision_of(made)
    explained = explain(decision.policies, decision.candidates, decision.view)
    kept = stored(decision)
    why = _difference(made, kept)
    told: JSON = {"stages": [_stage(stage) for stage in explained.stages], "stored": kept, "refolds": not why}
    return {**told, "refolds_not_because": why} if why else told


def _difference(made: PlanMade, kept: JSON) -> str:
    """Why the stored decision, read again, does not give the plan that was run. Empty where it does."""
    try:
        plan = restored(kept).plan()
    except NotRestored as error:
        return str(error)
    fields = (field.name for field in attrs.fields(type(plan)))
    changed = [name for name in fields if getattr(plan, name) != getattr(made.plan, name)]
    return f"the plan of the stored view has other {', '.join(changed)}" if changed else ""


def _stage(stage: Stage) -> JSON:
    return {
        "by": stage.by,
        "policy": stage.toml,
        "phase": stage.phase,
        "changes": _changes(stage.changes),
        "candidates": [_ruling(ruling) for ruling in stage.rulings],
    }


def _ruling(ruling: Ruling) -> JSON:
    told: JSON = {"candidate": str(ruling.candidate), "verdict": ruling.what, "from": ruling.before, "to": ruling.place}
    if ruling.skip is not None and ruling.what in ("skipped", "out"):
        told |= {
            "by": ruling.skip.by,
            "reason": ruling.skip.reason,
            "kind": "soft" if ruling.skip.soft else "hard",
            "wait_s": ruling.skip.wait_s,
        }
    told |= {"overruled": True} if ruling.overruled else {}
    told |= {"says": ruling.says} if ruling.says else {}
    told |= {"changes": changes} if (changes := _changes(ruling.changes)) else {}
    return told


def _changes(changes: tuple[Change, ...]) -> JSON:
    """Name -> what it was and what it is."""
    return {change.name: [_plain(change.before), _plain(change.after)] for change in changes}


def _plain(value: Any) -> Any:
    """As JSON has it, whatever a policy of somebody's own may have put there."""
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if attrs.has(type(value)):
        return {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, tuple | list | frozenset | set):
        return [_plain(item) for item in (sorted(value, key=str) if isinstance(value, frozenset | set) else value)]
    return str(value)
