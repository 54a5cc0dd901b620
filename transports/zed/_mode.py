"""Whether a request is worth the dearer mode with the larger window.

Asked for always it costs more than it gives, and asked for never it ends long work in the middle. What speaks for it are
named triggers, each a question to the request; what speaks against it is the price of the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from engine import Request
from engine.config import ThreadSettings, Trigger
from policies import Price

#: Efforts of thinking that stand for an analysis in several steps.
_HARD = frozenset(["high", "xhigh", "max"])
#: A budget of thinking that does, in tokens.
_HARD_BUDGET = 16_000


@attrs.frozen
class _Work:
    request: Request
    settings: ThreadSettings
    tokens: int
    calls: int


def _long_context(work: _Work) -> bool:
    """The prompt fills more than half of the usual window."""
    return work.tokens > work.settings.max_context_tokens / 2


def _complex_coding_task(work: _Work) -> bool:
    """The user's prompt has taken nearly as many tool calls as one may."""
    return work.request.need.tools and work.calls >= 0.8 * work.settings.calls_per_prompt


def _multi_step_analysis(work: _Work) -> bool:
    """Much thinking was asked for."""
    thinking, output = work.request.body.get("thinking"), work.request.body.get("output_config")
    effort = output.get("effort") if isinstance(output, dict) else None
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    hard = effort in _HARD if isinstance(effort, str) else type(budget) is int and budget >= _HARD_BUDGET
    return work.request.need.thinking and hard


_TRIGGERS: Mapping[Trigger, Callable[[_Work], bool]] = {
    "long_context": _long_context,
    "complex_coding_task": _complex_coding_task,
    "multi_step_analysis": _multi_step_analysis,
}


def burns(request: Request, settings: ThreadSettings, *, tokens: int, calls: int, price: Price | None) -> bool:
    """Whether to ask for the dearer mode. `tokens` is the prompt, `calls` the tool calls since the user's last one."""
    if settings.mode != "auto":
        return settings.mode == "burn"
    cost = None if price is None else tokens * price.input / 1e6
    if cost is not None and settings.burn_max_usd is not None and cost > settings.burn_max_usd:
        return False
    work = _Work(request, settings, tokens, calls)
    return any(_TRIGGERS[name](work) for name in settings.auto_burn_mode_triggers)
