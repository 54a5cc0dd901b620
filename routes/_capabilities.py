"""What a model can do, in the shape of Anthropic's list of models.

That shape has a yes or no for everything, and much is known of few models. Where nothing is known of a model there is no
object at all, which the shape allows; where something is, a single gap counts as yes, as it does wherever a request is
routed: a client that is told no does not try. For a chain whatever holds of all its candidates is told. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import JSON
from engine.config import ANY_MODEL, Config, Model, Thinking
from policies import Candidate

_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def can_think(config: Config, candidate: Candidate) -> bool:
    """Whether there is thinking to be left out; not known counts as yes."""
    thinking = config.providers[candidate.provider].model(candidate.model).thinking
    return thinking is None or thinking.thinks


def abilities(config: Config, candidates: Sequence[Candidate]) -> JSON:
    """`max_input_tokens`, `max_tokens` and `capabilities` of whoever of these may answer; null where it is not known."""
    usable = [c for c in candidates if c.model != ANY_MODEL and not config.providers[c.provider].unusable_for(c.model)]
    some = usable or [c for c in candidates if c.model != ANY_MODEL]
    rows = [config.providers[c.provider].models.get(c.model) for c in some]
    told = [
        _told(row) if c.thinking is not False else silenced(_told(row))
        for row, c in zip(rows, some, strict=True)
        if row is not None
    ]
    known = bool(told) and len(told) == len(some)
    return {
        "max_input_tokens": _least([row.capabilities.context if row else None for row in rows]),
        "max_tokens": _least([config.providers[c.provider].max_output(c.model) for c in some]),
        "capabilities": _all(told) if known else None,
    }


def _least(said: list[int | None]) -> int | None:
    known = [tokens for tokens in said if tokens is not None]
    return min(known) if known and len(known) == len(said) else None


def silenced(told: JSON) -> JSON:
    """The same of whoever is asked without thinking."""
    no = {"effort": dict.fromkeys(_EFFORTS, _is(False)), "thinking": {"types": _types(False, True)}}
    return {**told, **{name: {**_is(False), **more} for name, more in no.items()}}


def _told(model: Model) -> JSON:
    can, thinking = model.capabilities, model.thinking or Thinking(toggle=True)
    thinks, efforts = thinking.thinks, thinking.efforts
    return {
        "batch": _is(False),
        "citations": _is(False),
        "code_execution": _is(False),
        "context_management": _is(False),
        "effort": {**_is(bool(efforts)), **{effort: _is(effort in efforts) for effort in _EFFORTS}},
        "image_input": _is(can.images is not False),
        "pdf_input": _is(can.documents is not False),
        "server_tools": {**_is(False), "code_execution": _is(False), "web_search": _is(False)},
        "structured_outputs": _is(True),
        "thinking": {**_is(thinks), "types": _types(thinks, not thinking.always)},
    }


def _types(thinks: bool, may_not: bool) -> JSON:
    said = {"adaptive": thinks, "between_tools": False, "disabled": may_not, "enabled": thinks}
    return {name: _is(supported) for name, supported in said.items()}


def _is(supported: bool) -> JSON:
    return {"supported": supported}


def _all(told: list[JSON]) -> JSON:
    """What is true of each of them."""
    first, *others = told
    return {name: _both(value, [other[name] for other in others]) for name, value in first.items()}


def _both(value: Any, others: list[Any]) -> Any:
    if isinstance(value, dict):
        return {name: _both(inner, [other[name] for other in others]) for name, inner in value.items()}
    return value and all(others)
