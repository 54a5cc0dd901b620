"""A decision as it is kept: what a plan was folded from, as JSON, and the way back.

What is shown to people is rounded and leaves out what is usual, and a plan folded from that is another plan. So the exact
form stands beside it: every number as it was (JSON's shortest form of a double reads back as the same double), what is at
its default left out, each policy as its TOML. It is read by the strict loader that reads configurations, and folds to the
same plan on another day and another machine, as long as the policies are the same.
"""

from __future__ import annotations

import tomllib
from typing import Any

import attrs
import orjson
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn

from engine._events import PlanMade
from engine._stream import JSON
from engine.config import policy_of
from policies import OWN, Candidate, Plan, Policy, View, compose, to_toml


class NotRestored(Exception):
    """A stored decision cannot be folded here. The text says what is missing."""


@attrs.frozen(kw_only=True)
class Decision:
    """Everything that a plan follows from."""

    policies: tuple[Policy, ...]
    candidates: tuple[Candidate, ...]
    view: View

    def plan(self) -> Plan:
        return compose(self.policies, self.candidates, self.view)


def _compact() -> Converter:
    """Leaves out what is at its default: a healthy idle candidate is an empty object."""
    made = Converter()
    made.register_unstructure_hook_factory(
        attrs.has, lambda cls: make_dict_unstructure_fn(cls, made, _cattrs_omit_if_default=True)
    )
    made.register_unstructure_hook_func(
        lambda kind: getattr(kind, "__origin__", None) is tuple, lambda value: [made.unstructure(one) for one in value]
    )
    return made


_CONVERTER = _compact()


def decision_of(made: PlanMade) -> Decision:
    """What an event's plan was folded from."""
    return Decision(policies=made.policies, candidates=made.plan.chain, view=made.view)


def stored(decision: Decision) -> JSON:
    """As JSON, exactly."""
    kept = {
        "candidates": _CONVERTER.unstructure(decision.candidates),
        "policies": [to_toml(policy) for policy in decision.policies],
        "view": _CONVERTER.unstructure(decision.view),
    }
    plain: JSON = orjson.loads(orjson.dumps(kept))
    return plain


def restored(value: JSON) -> Decision:
    """Back from JSON. Raises NotRestored where a policy is not to be had here, or the form is not that of `stored`."""
    try:
        return Decision(
            policies=tuple(map(_policy, value["policies"])),
            candidates=_CONVERTER.structure(value["candidates"], tuple[Candidate, ...]),
            view=_CONVERTER.structure(value["view"], View),
        )
    except Exception as error:  # a policy of somebody's own may fail to load in any way
        raise NotRestored(f"the stored decision cannot be read here: {error}") from error


def _policy(toml: str) -> Policy:
    value: Any = tomllib.loads(f"policy = {toml}")["policy"]
    return OWN[value]() if isinstance(value, str) and value in OWN else policy_of(value)
