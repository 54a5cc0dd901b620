"""Order by one thing that was measured or is known: speed, room, soundness of tool calls, price.

One composite score with weights for all of these is what is usually offered, and nobody can say afterwards which part of it
decided. Here each is a policy of its own; several in a row are a lexicographic order, which a person can follow by hand. What
is not known of a candidate is said for each: it must neither banish it before it was ever tried nor make it the favourite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs

from policies._facts import Candidate, Facts, Need, View, prompt_usd
from policies._order import Order, nearly_spent, ramp, rests, time_in_words, to_first_content_s, usual_throughput
from policies._plan import Plan, Step
from policies._policy import PolicyError

#: A share of bad tool calls up to this is the noise of any model, and nobody is preferred for having less.
TOLERATED = 0.02


@attrs.frozen
class Fastest(Order):
    """The shortest time to first content first (peak EWMA), whatever is under way there.

    For one person at one keyboard. With many requests at once all of them follow the fastest, and slow it down: there
    `least-loaded` is better. A candidate never measured is taken for the middle one of those that were.
    """

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        time_s = to_first_content_s(plan, view)
        return lambda step: (nearly_spent(step.candidate, plan, view), time_s(step))

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        return time_in_words(candidate, plan, view)


@attrs.frozen
class HighestThroughput(Order):
    """The most output tokens a second after first content first.

    For long answers, where the whole turn counts and not its beginning. A candidate not measured within half an hour is
    taken for the middle one of those that were.
    """

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        usual = usual_throughput(plan, view)

        def place(step: Step) -> tuple[bool, float]:
            facts = view.of(step.candidate)
            rate = usual if facts.throughput is None else facts.throughput
            return nearly_spent(step.candidate, plan, view), -rate * ramp(facts)

        return place

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        rate = view.of(candidate).throughput
        return "not measured" if rate is None else f"{rate:.3g} tokens a second"


@attrs.frozen
class MostHeadroom(Order):
    """The most of its rate window left first.

    For several free allowances that are to last through the day: none is run dry while another is untouched. A provider
    without a window, or whose window the chain ignores, has all of it left.
    """

    spares: ClassVar[bool] = False

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        def spent(step: Step) -> float:
            facts = view.of(step.candidate)
            left = 1.0 if step.candidate.provider in plan.lifted else facts.headroom
            return -left * ramp(facts)

        return spent

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        return f"{1.0 if candidate.provider in plan.lifted else view.of(candidate).headroom:.0%} of its window left"


@attrs.frozen
class FewestToolErrors(Order):
    """For requests with tools: the smallest share of bad tool calls first. Without tools it is indifferent.

    Bad is a call that is not JSON, of a tool that is not on offer, or whose arguments lack a required field or have one of
    another type. The share fades within hours and needs eight calls to be believed; until then, and up to 2 %, a candidate
    counts as faultless. Put `least-loaded` behind it: rate windows are not its concern.
    """

    spares: ClassVar[bool] = False

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        def share(step: Step) -> tuple[bool, float]:
            errors = view.of(step.candidate).tool_errors or 0.0
            return rests(view, step.candidate), errors if errors > TOLERATED else 0.0

        return share if view.need.tools else lambda _: 0

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        errors = view.of(candidate).tool_errors
        if not view.need.tools:
            return "indifferent: no tools in this request"
        return "too few calls to tell" if errors is None else f"{errors:.1%} of its calls were bad"


@attrs.frozen
class Cheapest(Order):
    """The smallest expected price of this request first: free, then by price, then those whose price is not known.

    The price is that of the prompt as estimated, of what the candidate's cache still holds of it at the price of reading
    that, and of an answer of `output_tokens` tokens, or of `max_tokens` where the request allows less. Rate windows are not its
    concern: what is free stays first until it is used up.
    """

    spares: ClassVar[bool] = False

    output_tokens: int = attrs.field(default=500)

    @output_tokens.validator
    def _plausible(self, _: object, value: int) -> None:
        if not 0 <= value <= 1_000_000:
            raise PolicyError(f"expected from 0 to 1000000 tokens, got {value}")

    def key(self, plan: Plan, view: View) -> Callable[[Step], Any]:
        def price(step: Step) -> tuple[bool, int, float]:
            facts = view.of(step.candidate)
            usd = expected_usd(facts, view.need, self.output_tokens)
            return rests(view, step.candidate), 2 if usd is None else usd > 0, usd or 0.0

        return price

    def words(self, candidate: Candidate, plan: Plan, view: View) -> str:
        usd = expected_usd(view.of(candidate), view.need, self.output_tokens)
        return "price not known" if usd is None else f"about {usd:.3g} US dollars" if usd else "free"


def expected_usd(facts: Facts, need: Need, output_tokens: int) -> float | None:
    """What a request will probably cost at a candidate, in US dollars; None where its price is not known."""
    if facts.free:
        return 0.0
    if facts.price is None:
        return None
    answer = min(output_tokens, need.max_tokens) if need.max_tokens else output_tokens
    return prompt_usd(facts, need.input_tokens) + answer * facts.price.output / 1e6
