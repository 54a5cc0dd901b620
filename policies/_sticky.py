"""Sticky: a conversation stays where its beginning has been read, for as long as that pays.

Every turn sends the whole conversation again, and a host that has just read it reads it from its cache: at a tenth of the
price, and in a moment. The two easy policies both waste that. Sending each turn to whoever is fastest pays for the whole
history at nearly every turn; tying the conversation to one host waits out that host's worst minutes. So the two are weighed
against each other, in seconds. The conversation stays while

    expected wait here  <  expected wait there + price of reading there what is warm here

and the price has three parts: the time to read it, its money at what an hour of waiting is worth, and a fixed part for what a
move loses beside (the thinking in the history is signed for the host that thought it, and others cannot read it).

An order decides who is asked first, and cannot bring back whom a select policy has passed over. So where the candidate is
blocked or ejected just now, this turn goes elsewhere at once, and the next comes back: by then it is the warmest still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from policies._checks import seconds_from_0
from policies._facts import Candidate, Facts, View
from policies._order import Order, ramp, usual
from policies._plan import Plan, Step
from policies._policy import PolicyError
from policies._select import waits

#: Until so many samples a candidate's median says less than its last times.
MEASURED = 5


@attrs.frozen(kw_only=True)
class Reckoning:
    """What a turn at one candidate comes to. `wait_s` is the expected wait, `cold_tokens` what it must read although the
    warmest candidate need not, `usd` what that costs more than there, and `move_s` the fixed part."""

    candidate: Candidate
    wait_s: float
    cold_tokens: int
    usd: float
    reread_s: float
    move_s: float

    @property
    def total_s(self) -> float:
        """All of it in seconds."""
        return self.wait_s + self.reread_s + self.move_s


@attrs.frozen
class Sticky(Order):
    """The candidate that a turn of this conversation costs least, in seconds; nothing where the client names no session.

    `usd_per_hour` is what an hour of waiting is worth: 60 dollars, about what an hour of a developer's costs, make a second
    worth 1.7 cents. `reread_s` is how long a host takes to read 1,000 tokens that it does not have in its cache: 0.25 s for a
    hosted model; a local one may take 2 s and more. `move_s` is what any move costs beside. Candidates that know nothing of
    the conversation are left to the order policies after this one.
    """

    usd_per_hour: float = attrs.field(default=60.0)
    reread_s: float = attrs.field(default=0.25, validator=seconds_from_0)
    move_s: float = attrs.field(default=3.0, validator=seconds_from_0)

    @usd_per_hour.validator
    def _worth_something(self, _: object, value: float) -> None:
        if not value > 0:
            raise PolicyError(
                f"expected more than 0 dollars, got {value:g} (a large number makes money count for nothing)"
            )

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        known = {s.candidate for s in plan.steps if _knows(s.candidate, view)}
        costs = self.reckoned([s.candidate for s in plan.steps], plan, view)
        of = {each.candidate: each.total_s for each in costs}
        # Those that know nothing of the conversation stand together, where the best of them belongs.
        strangers = min((total_s for who, total_s in of.items() if who not in known), default=0.0)

        return lambda step: of[step.candidate] if step.candidate in known else strangers

    def say(self, candidate: Candidate, plan: Plan, view: View) -> str:
        if not any(_knows(step.candidate, view) for step in plan.steps):
            return "nobody here knows the conversation"
        costs = self.reckoned([step.candidate for step in plan.steps], plan, view)
        own = next(each for each in costs if each.candidate == candidate)
        parts = [f"{own.wait_s:.1f} s to first content"]
        if own.cold_tokens:
            money = f" and ${own.usd:.3f}" if own.usd else ""
            parts.append(f"{own.reread_s:.1f} s for {own.cold_tokens} tokens to read again{money}")
        if own.move_s:
            parts.append(f"{own.move_s:g} s for the move")
        home = "at home: " if candidate.name == view.affinity else "" if _knows(candidate, view) else "a stranger: "
        return f"{home}{own.total_s:.1f} s = {' + '.join(parts)}"

    def reckoned(self, candidates: Sequence[Candidate], plan: Plan, view: View) -> tuple[Reckoning, ...]:
        """What this turn comes to at each of some candidates, whether or not they are in the plan's steps."""
        facts = [view.of(candidate) for candidate in candidates]
        usual_s = usual(map(_first_content_s, facts))
        # The warmest is the measure; of equals the one whose cached tokens are cheapest.
        warmest = max(facts, key=lambda f: (f.warm_tokens, -_read_usd(f)), default=_NOBODY)
        return tuple(
            self._reckoned(candidate, view, warmest, usual_s, lifted=candidate.provider in plan.lifted)
            for candidate in candidates
        )

    def _reckoned(self, candidate: Candidate, view: View, warmest: Facts, usual_s: float, *, lifted: bool) -> Reckoning:
        facts = view.of(candidate)
        cold = max(0, warmest.warm_tokens - facts.warm_tokens)
        usd = cold * max(0.0, _write_usd(facts) - _read_usd(warmest)) / 1e6
        return Reckoning(
            candidate=candidate,
            wait_s=wait_for_s(facts, usual_s, lifted=lifted),
            cold_tokens=cold,
            usd=usd,
            reread_s=cold / 1000 * self.reread_s + usd / self.usd_per_hour * 3600,
            move_s=self.move_s if view.affinity and candidate.name != view.affinity else 0.0,
        )


_NOBODY = Facts()


def _knows(candidate: Candidate, view: View) -> bool:
    return candidate.name == view.affinity or view.of(candidate).warm_tokens > 0


def wait_for_s(facts: Facts, usual_s: float, *, lifted: bool = False) -> float:
    """How long until first content, in seconds: until the candidate may be asked, and what it then takes.

    What it takes is its median for prompts of this size, which one slow answer does not move; without one its last times, and
    of somebody never measured `usual_s`. It takes up to twice as long with all its slots in use, and after an outage as many
    times as long as its share of its usual traffic is smaller: who has most to read elsewhere comes back first.
    """
    held_s = max((wait_s for wait_s, _ in waits(facts, lifted=lifted)), default=0.0)
    own_s = _first_content_s(facts)
    slots = facts.in_flight + (facts.free_slots or 0)
    load = 0.0 if facts.free_slots is None or not slots else facts.in_flight / slots
    return held_s + (usual_s if own_s is None else own_s) * (1 + load) / ramp(facts)


def _first_content_s(facts: Facts) -> float | None:
    if facts.latency is not None and facts.latency.samples >= MEASURED:
        return facts.latency.quantile(50)
    return facts.ttfc_s


def _write_usd(facts: Facts) -> float:
    """Dollars a million tokens of a prompt that is not in the cache. Nothing where nothing is known or to be paid."""
    price = facts.price
    return 0.0 if price is None else price.writing


def _read_usd(facts: Facts) -> float:
    price = facts.price
    return 0.0 if price is None else price.reading
