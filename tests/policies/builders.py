"""Short ways to say a chain, a view and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies import Candidate, Facts, Latency, Limits, Plan, Policy, View, compose

A, B, C = (Candidate.parse(f"{provider}/m") for provider in "abc")
ABC = (A, B, C)


def view(facts: Mapping[Candidate, Facts] | None = None, **rest: Any) -> View:
    """A view that knows these facts."""
    return View(facts={candidate.name: known for candidate, known in (facts or {}).items()}, **rest)


def planned(*policies: Policy, facts: Mapping[Candidate, Facts] | None = None, **rest: Any) -> Plan:
    """What becomes of the chain a, b, c."""
    return compose(policies, ABC, view(facts, **rest))


def asked(plan: Plan) -> str:
    """The providers of the steps, in order: `"bca"`."""
    return "".join(step.candidate.provider for step in plan.steps)


def said(plan: Plan) -> dict[str, tuple[str, str, float | None]]:
    """Provider -> (by, reason, wait) of each skip, in order."""
    return {skip.candidate.provider: (skip.by, skip.reason, skip.wait_s) for skip in plan.skipped}


def limits(*policies: Policy) -> Limits:
    """The limits that these policies leave."""
    return planned(*policies).limits


def measured(p50: float, p92: float, *, samples: int = 30) -> Latency:
    """A latency of which only the median and p92 matter: the quantiles below p92 are the median, above are twice it."""
    return Latency(samples=samples, at=(p50, p50, p50, p92, p92 * 2, p92 * 2))
