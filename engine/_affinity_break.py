"""What it cost, or saved, that a turn was not answered at its conversation's home.

"The cache was lost" is noticed on the bill at the end of the month. Here each turn that went elsewhere says so at once: why,
what was expected of either place when the plan was made, and how much had to be read again. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine._events import AffinityBroken
from engine._ports import Fault
from policies import Candidate, Plan, Policy, Skip, Sticky, View


def broken(
    plan: Plan,
    view: View,
    policies: Iterable[Policy],
    winner: Candidate,
    *,
    faults: Iterable[Fault],
    skips: Iterable[Skip],
    hedged: bool,
    session: str,
    agent: str,
    request_id: str,
    at: float,
) -> AffinityBroken | None:
    """The event for a turn that `winner` answered, or None where that was at home, or nobody keeps to one.

    `faults` and `skips` are those of the race, `hedged` says that the winner was started beside somebody.
    """
    sticky = next((policy for policy in policies if isinstance(policy, Sticky)), None)
    home = next((c for c in plan.chain if c.name == view.affinity), None)
    if sticky is None or home is None or winner.name == home.name:
        return None
    here, there = sticky.reckoned((home, winner), plan, view)
    return AffinityBroken(
        at=at,
        request_id=request_id,
        session=session,
        agent=agent,
        home=home.name,
        instead=winner.name,
        reason=_reason(home, plan.skipped, skips, faults, hedged=hedged),
        wait_here_s=here.wait_s,
        wait_there_s=there.wait_s,
        warm_tokens_lost=there.cold_tokens,
        usd=there.usd,
        price_s=there.reread_s + there.move_s,
    )


def _reason(
    home: Candidate, planned: Iterable[Skip], at_launch: Iterable[Skip], faults: Iterable[Fault], *, hedged: bool
) -> str:
    skip = next((s for s in (*planned, *at_launch) if s.candidate.name == home.name), None)
    if skip is not None:
        return f"passed over: {skip.reason}"
    fault = next((f for f in faults if f.candidate.name == home.name), None)
    if fault is not None:
        return f"failed: {fault.failure.kind.value}"
    return "another answered first" if hedged else "it costs less there"
