"""The client's wish for thinking, as the host's own switch.

Claude Code says "adaptive, with medium effort" to everybody. Hosts have a switch, a level, a budget, several of these or
none, under a dozen names; a field that a host does not know is a 400. What each takes is data (`Switch`, and the model's
own `Thinking`); what is wanted is settled here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from engine import JSON
from engine.config import EFFORT_BUDGET, Switch, Thinking, ThinkingWish, effort_of, nearest_effort


@attrs.frozen
class Wanted:
    """How much thinking: whether any, the effort, and the budget in tokens where one was named."""

    on: bool
    effort: str = "medium"
    budget: int | None = None


def wanted(body: JSON, *, twin: bool | None, configured: ThinkingWish | None) -> Wanted:
    """What is wanted of one request. A no-thinking twin stands above the configuration, and that above the client.

    A request that does not speak of thinking wants none: so Anthropic reads it.
    """
    output = body.get("output_config")
    effort = output.get("effort") if isinstance(output, dict) else None
    effort = effort if isinstance(effort, str) else "medium"
    if twin is False:
        return Wanted(False)
    if configured is not None:
        if configured.budget is not None:
            effort = effort_of(configured.budget)
        return Wanted(configured.enabled, effort, configured.budget)
    thinking = body.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if isinstance(thinking, dict) and kind == "enabled":
        budget = thinking.get("budget_tokens")
        if type(budget) is int and budget > 0:
            return Wanted(True, effort_of(budget), budget)
        return Wanted(True, effort)
    return Wanted(kind == "adaptive" or twin is True, effort)


#: How thinking is asked for where the host's way is not known and the configuration wants it: OpenAI's own field.
USUAL_SWITCH = Switch(off={"reasoning_effort": "none"}, effort="reasoning_effort")


def switched(want: Wanted, switch: Switch | None, model: Thinking | None, *, cap: int) -> JSON:
    """The fields that ask this host for it; nothing where it has no switch, or the model has none for that.

    `model` is None where nothing is known of the model: then it is taken to have what its host has. Thinking is part of
    an answer, so a budget that the answer's `cap` cannot hold becomes half of that.
    """
    if switch is None or (model is not None and not (model.toggle or model.budget or model.efforts)):
        return {}
    out: JSON = {}
    efforts = tuple(e for e in switch.efforts if model is None or not model.efforts or e in model.efforts)
    efforts = efforts or switch.efforts
    if not want.on:
        if switch.off and (model is None or model.toggle or not switch.effort):
            return merge(out, switch.off)
        if switch.effort and "none" in switch.efforts and _can_be_off(model):
            _put(out, switch.effort, "none")
        return out
    merge(out, switch.on)
    takes_budget = switch.budget and (model is None or model.budget)
    budget = EFFORT_BUDGET.get(want.effort, EFFORT_BUDGET["medium"]) if want.budget is None else want.budget
    if takes_budget and (want.budget is not None or not switch.effort):
        _put(out, switch.budget, budget if budget < cap else max(1, cap // 2))
    elif (
        switch.effort
        and (model is None or model.efforts or not model.toggle or model.budget)
        and (effort := nearest_effort(want.effort, efforts)) != "none"
    ):
        _put(out, switch.effort, effort)
    return out


def _can_be_off(model: Thinking | None) -> bool:
    return model is None or model.toggle or not model.efforts or "none" in model.efforts


def thinks(want: Wanted, model: Thinking | None) -> bool:
    """Whether a model thinks: where that is wanted, and where it cannot be helped."""
    if model is None:
        return want.on
    if want.on:
        return model.thinks
    return model.thinks and not (model.toggle or "none" in model.efforts)


def _put(out: JSON, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        out = out.setdefault(name, {})
    out[last] = value


def merge(out: JSON, more: Mapping[str, Any]) -> JSON:
    """`out` with `more` written over it, tables in tables."""
    for name, value in more.items():
        if isinstance(value, Mapping):
            merge(out.setdefault(name, {}), value)
        else:
            out[name] = value
    return out
