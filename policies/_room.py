"""Whether there is room for a hedge: asked of the world as it is when the hedge is due.

A plan is made of a photograph, and a hedge is due seconds later. Meanwhile its target may have refused somebody, or filled
up. An attempt that is needed takes its chance all the same; one that is merely wished for should not be what fills the last
slot, or what a provider that has asked for quiet gets to see. So gRPC stops hedging on a server's push-back (A6), and Envoy
stops retrying above a share of what is active. Pure, as policies are: the engine makes the view.
"""

from __future__ import annotations

from collections.abc import Sequence

from policies._facts import Candidate, Facts, View

#: Above this share of slots in use nobody is hedged: a queue grows with 1 / (1 - load), and copies of requests would be
#: what pushes it over. For one provider it is what a hedge leaves to those who come first.
FULL = 0.8


def no_room_in(chain: Sequence[Candidate], view: View) -> str:
    """Why no hedge should be sent to anybody; empty where one may be.

    The load of a pool is the share of its slots that are taken, over the providers of the chain that are in service. One
    without a bound makes it boundless.
    """
    used, slots = 0, 0
    serving = [c for c in dict.fromkeys(chain) if _serves(view.of(c))]
    for provider in dict.fromkeys(c.provider for c in serving):
        facts = [view.of(c) for c in serving if c.provider == provider]
        free = [f.free_slots for f in facts if f.free_slots is not None]
        if len(free) < len(facts):
            return ""
        running = sum(f.in_flight for f in facts)
        used, slots = used + running, slots + running + min(free)
    if slots and used > FULL * slots:
        return f"the chain is busy: {used} of {slots} slots are taken"
    return ""


def no_room_at(candidate: Candidate, view: View) -> str:
    """Why no hedge should be sent to this candidate; empty where one may be. An idle one has room for one, however small."""
    facts = view.of(candidate)
    if facts.pushback_s > 0:
        return f"it asked to be left alone for {facts.pushback_s:.0f} s more"
    if facts.free_slots is None or facts.in_flight == 0:
        return ""
    slots = facts.in_flight + facts.free_slots
    if facts.in_flight + 1 > FULL * slots:
        return f"it is busy: {facts.in_flight} of its {slots} slots are taken"
    return ""


def _serves(facts: Facts) -> bool:
    return facts.usable and facts.breaker != "open" and facts.block_wait_s <= 0
