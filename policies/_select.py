"""Select: who is out, and why.

A filter that merely drops a candidate leaves the operator guessing. Each of these records a skip with its reason; a soft
one also says when the candidate may be back. A skip is never a failure: nobody's health suffers for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import attrs

from policies._facts import Capabilities, Facts, Need, View
from policies._plan import Plan, Skip
from policies._policy import Phase, Policy


@attrs.frozen
class UnlimitedScope(Policy):
    """In this chain, rate windows and 429 blocks of these providers are ignored; health still counts."""

    phase: ClassVar[Phase] = Phase.LIFT

    for_: tuple[str, ...] = attrs.field(validator=attrs.validators.min_len(1))

    def apply(self, plan: Plan, view: View) -> Plan:
        return attrs.evolve(plan, lifted=plan.lifted | frozenset(self.for_))


@attrs.frozen
class SilentSkip(Policy):
    """Pass over who is blocked, full or ejected just now, with no failure recorded and no word to the client."""

    phase: ClassVar[Phase] = Phase.SELECT

    def apply(self, plan: Plan, view: View) -> Plan:
        skips = []
        for step in plan.steps:
            facts = view.of(step.candidate)
            status, why = _lasting(facts)
            if status is not None:
                skips.append(Skip(candidate=step.candidate, by=self.kind(), reason=why, status=status))
                continue
            reasons = waits(facts, lifted=step.candidate.provider in plan.lifted)
            if reasons:
                wait_s = max(wait for wait, _ in reasons)
                text = "; ".join(reason for _, reason in reasons)
                skips.append(Skip(candidate=step.candidate, by=self.kind(), reason=text, wait_s=wait_s))
        return plan.skipping(*skips)


def _lasting(facts: Facts) -> tuple[int | None, str]:
    """A reason that nobody should wait for: a person has to mend it. The candidate is tried again all the same, later."""
    if facts.gone_wait_s > 0:
        return 404, f"model not found there, tried again in {facts.gone_wait_s:.0f} s"
    if facts.key_wait_s > 0:
        why = facts.key_reason or _KEYS.get(facts.key_status, "no key may be used")
        return facts.key_status, f"{why}, tried again in {facts.key_wait_s:.0f} s"
    return None, ""


_KEYS = {
    401: "every key was refused",
    402: "every key is out of quota",
    429: "every key has reached its usage limit",
}


def waits(facts: Facts, *, lifted: bool) -> list[tuple[float, str]]:
    """Every reason to pass a candidate over just now, each with its wait in seconds."""
    rows = [
        (facts.breaker == "open", facts.breaker_wait_s, _ejected(facts)),
        (facts.block_wait_s > 0 and not lifted, facts.block_wait_s, facts.block_reason or "rate limited"),
        (facts.window_wait_s > 0 and not lifted, facts.window_wait_s, facts.window_reason or "rate window full"),
        (facts.free_slots == 0, SLOT_WAIT_S, "no free concurrency slot"),
    ]
    return [(wait, reason) for holds, wait, reason in rows if holds]


def _ejected(facts: Facts) -> str:
    return f"breaker open ({facts.breaker_reason})" if facts.breaker_reason else "breaker open"


#: When a slot comes free is not known. One second is a guess at the short side: the gate is asked again then.
SLOT_WAIT_S = 1.0


@attrs.frozen
class RequireCapability(Policy):
    """Pass over models known to lack what the request needs: tools, images, documents, or a large enough window."""

    phase: ClassVar[Phase] = Phase.SELECT

    def apply(self, plan: Plan, view: View) -> Plan:
        skips = []
        for step in plan.steps:
            missing = [text for test, text in _LACKS if test(view.need, view.of(step.candidate).capabilities)]
            if missing:
                reason = "no " + ", no ".join(missing)
                # 413 alone says that the prompt is at fault, so that the client may shorten it.
                status = 413 if missing == [_ROOM] else None
                skips.append(Skip(candidate=step.candidate, by=self.kind(), reason=reason, status=status))
        return plan.skipping(*skips)


def _window_too_small(need: Need, can: Capabilities) -> bool:
    return can.context is not None and need.input_tokens > can.context


_ROOM = "room for the prompt"
_LACKS: tuple[tuple[Callable[[Need, Capabilities], bool], str], ...] = (
    (lambda need, can: need.tools and can.tools is False, "tools"),
    (lambda need, can: need.images and can.images is False, "images"),
    (lambda need, can: need.documents and can.documents is False, "documents"),
    (_window_too_small, _ROOM),
)
