"""What each attempt is charged for, however it ended, and that a request's total is the sum of its attempts."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._bill import NO_TOTALS, Bill, Totals
from engine._events import AttemptEnded, AttemptStarted, EngineEvent, RequestFinished
from engine._failure import Failure
from engine._ledger import REFUSALS, RULES, SILENCES, Spent, billed
from engine._stream import NO_USAGE, Usage
from engine._tally import TallyBook
from engine.config import Model
from engine.testing import HANG, Scenario, Script, answer, failing, head, provider, script, text
from policies import Candidate, FailureKind, Policy, Price, Sequence
from tests.engine.said import A, failed, won
from tests.engine.stage import MakeScenario, hedge, virtual
from tests.engine.test_race_laws import cases

#: A dollar a thousand tokens and so on, so that costs can be read: 1,000 nano-dollars a token are a dollar a million.
PRICE = Price(input=1.0, output=10.0, cache_read=0.1, cache_write=1.25)
SAID = Usage(input=100, output=20, cache_read=1000, cache_write=10, reported=True)


def spent(kind: FailureKind | None = None, *, status: int | None = None, **fields: Any) -> Spent:
    failure = None if kind is None else Failure(kind=kind, message="said", status=status)
    return Spent(**{"sent": True, "failure": failure, "prompt": 400, **fields})


def bill(of: Spent, price: Price | None = PRICE, *, free: bool = False) -> Bill:
    return billed(of, price, free=free)


def kinds(made: Bill) -> tuple[int, int, int, int, int]:
    """input, output, read, write, and how many of them are estimated."""
    return made.input, made.output, made.cache_read, made.cache_write, made.estimated


CASES: dict[str, tuple[Spent, str, tuple[int, int, int, int, int], int, int]] = {
    "never connected": (spent(FailureKind.CONNECT, sent=False), "not sent", (0, 0, 0, 0, 0), 0, 0),
    "cancelled before it was sent": (spent(sent=False), "not sent", (0, 0, 0, 0, 0), 0, 0),
    "whole and reported": (
        spent(started=True, counted=True, usage=SAID, answer=25),
        "reported",
        (100, 20, 1000, 10, 0),
        100 * 1000 + 20 * 10_000 + 1000 * 100 + 10 * 1250,
        0,
    ),
    "whole, and nothing reported": (
        spent(started=True, counted=True, usage=NO_USAGE, answer=25),
        "not reported",
        (400, 25, 0, 0, 425),
        650_000,
        650_000,
    ),
    "whole, the prompt reported and the answer counted as none": (
        spent(started=True, counted=True, usage=Usage(input=100, reported=True), answer=25),
        "reported",
        (100, 25, 0, 0, 25),
        350_000,
        250_000,
    ),
    "our own estimate passed on by a dialect": (
        spent(started=True, counted=True, usage=Usage(input=390, output=20), answer=15),
        "not reported",
        (390, 20, 0, 0, 410),
        590_000,
        590_000,
    ),
    "a loser that had begun": (
        spent(started=True, usage=Usage(input=100, output=1, cache_read=1000, reported=True), answer=25),
        "cut off",
        (100, 25, 1000, 0, 25),
        100_000 + 100_000 + 250_000,
        250_000,
    ),
    "cut off, with an error in the stream": (
        spent(FailureKind.ERROR_EVENT, started=True, usage=Usage(input=100, output=1, reported=True)),
        "cut off",
        (100, 1, 0, 0, 1),
        110_000,
        10_000,
    ),
    "a loser that had said nothing": (spent(), "unanswered", (400, 0, 0, 0, 400), 400_000, 400_000),
    "no first content in time": (
        spent(FailureKind.FIRST_CONTENT_TIMEOUT),
        "unanswered",
        (400, 0, 0, 0, 400),
        400_000,
        400_000,
    ),
    "rate limited": (spent(FailureKind.RATE_LIMITED, status=429), "refused", (0, 0, 0, 0, 0), 0, 0),
    "the client's mistake": (spent(FailureKind.CLIENT, status=400), "refused", (0, 0, 0, 0, 0), 0, 0),
    "reset, with a status": (spent(FailureKind.RESET, status=502), "refused", (0, 0, 0, 0, 0), 0, 0),
    "an error as the first event": (spent(FailureKind.ERROR_EVENT), "refused", (0, 0, 0, 0, 0), 0, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_each_ending_is_charged_by_its_rule(case: str) -> None:
    """Tokens by kind, how many are estimated, the cost in billionths, and the part of that which is estimated."""
    given_, rule, tokens, cost, guessed = CASES[case]
    made = bill(given_)
    assert (made.rule, kinds(made), made.nano_usd, made.estimated_nano_usd) == (rule, tokens, cost, guessed)


def test_every_kind_of_failure_is_either_a_refusal_or_a_silence() -> None:
    """A new kind must be judged by somebody."""
    assert set(FailureKind) == REFUSALS | SILENCES
    assert not REFUSALS & SILENCES
    assert {rule.name for rule in RULES} == {rule for _, rule, *_ in CASES.values()}


def test_an_unknown_price_is_none_and_no_price_is_nothing() -> None:
    """Unknown is never 0; what was refused costs nothing, whatever the price would have been."""
    whole = spent(started=True, counted=True, usage=SAID)
    assert (bill(whole, None).nano_usd, bill(whole, None).usd) == (None, None)
    assert (bill(whole, None, free=True).nano_usd, bill(whole, free=True).usd) == (0, 0.0)
    assert bill(spent(FailureKind.AUTH, status=401), None).nano_usd == 0
    total = Totals.of(bill(whole, None), chosen=True) + Totals.of(bill(whole), chosen=True)
    assert (total.usd, total.nano_usd, total.unpriced) == (None, bill(whole).nano_usd, 1)


def test_a_cached_prefix_without_a_price_of_its_own_is_charged_as_usual_and_marked() -> None:
    """The count is the provider's, what it costs is assumed."""
    made = bill(spent(started=True, counted=True, usage=SAID), Price(input=1.0, output=10.0))
    assert made.nano_usd == (100 + 1000 + 10) * 1000 + 20 * 10_000
    assert (made.estimated, made.estimated_nano_usd) == (0, 1010 * 1000)


def test_fractions_of_a_billionth_are_rounded_once_per_attempt() -> None:
    """0.0036 dollars a million are 3.6 billionths a token: three tokens are 10.8 of them, and so 11."""
    price = Price(input=0.0036, output=0.0)
    made = bill(spent(started=True, counted=True, usage=Usage(input=3, output=1, reported=True)), price)
    assert made.nano_usd == 11


@pytest.mark.parametrize("count", [-500, "500", 1e9, True, 2**60, None, [5]])
def test_what_is_no_count_is_not_charged_for(count: object) -> None:
    """A negative one would pay back what others have spent, under any `spend-cap`; the estimates stand in."""
    usage = Usage.of({"input_tokens": count, "output_tokens": count, "cache_read_input_tokens": count})
    made = bill(spent(started=True, counted=True, usage=usage, answer=25), Price(input=1.0, output=10.0))
    assert (made.input, made.output, made.cache_read) == (400, 25, 0)
    assert made.estimated == 425


def test_a_hedge_s_loser_is_paid_for_and_counts_as_waste(scenario: MakeScenario) -> None:
    """The request's total holds both; what went to the loser is estimated, and wasted."""
    paid = {id: provider(id, "key", models={"m": Model(id="m", price=PRICE)}) for id in "ab"}
    it = scenario(
        {"a": script(HANG), "b": script(answer("hello"))}, attrs.evolve(hedge(2.0), paid=True), providers=paid
    )

    async def run() -> None:
        await it.serve()

    virtual(run)
    lost, won_ = sorted(it.events(AttemptEnded), key=lambda e: e.attempt)
    (end,) = it.events(RequestFinished)
    need = won_.need.input_tokens
    assert (lost.ending, lost.bill.rule, kinds(lost.bill)) == ("lost", "unanswered", (need, 0, 0, 0, need))
    assert (won_.ending, won_.bill.rule, kinds(won_.bill)) == ("won", "reported", (10, 5, 0, 0, 0))
    assert end.totals.nano_usd == need * 1000 + 10 * 1000 + 5 * 10_000
    assert (end.totals.wasted, end.totals.wasted_nano_usd, end.totals.estimated) == (need, need * 1000, need)
    assert end.totals.usd == pytest.approx((need + 60) / 1e6)


def test_an_answer_that_breaks_off_is_charged_for_what_had_come(scenario: MakeScenario) -> None:
    """By its bytes, a held tool call included; the prompt as its first event has counted it."""
    it = scenario({"a": script([head(), *text("x" * 400, whole=False)], 1.0, failing(FailureKind.RESET))}, Sequence())

    async def run() -> None:
        await it.serve()

    virtual(run)
    (ended,) = it.events(AttemptEnded)
    assert (ended.bill.rule, kinds(ended.bill)) == ("cut off", (10, 100, 0, 0, 100))
    assert (ended.bill.nano_usd, it.events(RequestFinished)[0].totals.wasted) == (0, 0)


def test_the_parts_of_an_answer_that_was_gone_on_with_are_attempts_of_their_own(scenario: MakeScenario) -> None:
    """And nothing of them is wasted: the client has seen both."""
    broken = script([head(input_tokens=90), *text("x" * 400, whole=False)], 1.0, failing(FailureKind.RESET))
    it = scenario({"a": broken, "b": script(answer("the rest"))})

    async def run() -> None:
        assert (await it.serve()).ending == "finish"

    virtual(run)
    first, second = (event.bill for event in it.events(AttemptEnded))
    assert (kinds(first), kinds(second)) == ((90, 100, 0, 0, 100), (10, 5, 0, 0, 0))
    (end,) = it.events(RequestFinished)
    assert (end.totals.input, end.totals.output, end.totals.attempts, end.totals.wasted) == (100, 105, 2, 0)


@given(cases())
def test_whatever_happens_a_request_s_total_is_the_sum_of_its_attempts(
    case: tuple[Mapping[str, Script], tuple[Policy, ...], bool, float, int],
) -> None:
    """Through the real engine: races, losers, broken answers, second races; with prices and without."""
    made, policies, stream, _, seed = case
    prices = [PRICE, Price(input=0.0036, output=0.0171), None]
    priced = {id: provider(id, "key", models={"m": Model(id="m", price=prices[n % 3])}) for n, id in enumerate(made)}
    it = Scenario.of(made, *policies, providers=priced)

    async def run() -> None:
        await it.serve(it.request(stream=stream))

    virtual(run, seed=seed)
    assert sums(it.events(AttemptEnded)) == [event.totals for event in it.events(RequestFinished)]
    assert len(it.events(AttemptStarted)) == it.events(RequestFinished)[0].totals.attempts
    assert not len(it.books.tally)


def sums(ended: list[AttemptEnded]) -> list[Totals]:
    """By hand, field by field: what one request's attempts come to."""
    bills = [event.bill for event in ended]
    idle = [event.bill for event in ended if not event.committed]
    return [
        Totals(
            attempts=len(bills),
            input=sum(b.input for b in bills),
            output=sum(b.output for b in bills),
            cache_read=sum(b.cache_read for b in bills),
            cache_write=sum(b.cache_write for b in bills),
            estimated=sum(b.estimated for b in bills),
            wasted=sum(b.input + b.output + b.cache_read + b.cache_write for b in idle),
            nano_usd=sum(b.nano_usd or 0 for b in bills),
            estimated_nano_usd=sum(b.estimated_nano_usd for b in bills),
            wasted_nano_usd=sum(b.nano_usd or 0 for b in idle),
            unpriced=sum(b.nano_usd is None for b in bills),
        )
    ]


counts = st.integers(0, 2_000_000)
spents = st.builds(
    Spent,
    sent=st.booleans(),
    started=st.booleans(),
    counted=st.booleans(),
    failure=st.none() | st.builds(lambda kind: Failure(kind=kind, message=""), st.sampled_from(FailureKind)),
    usage=st.builds(Usage, input=counts, output=counts, cache_read=counts, cache_write=counts, reported=st.booleans()),
    prompt=counts,
    answer=counts,
)
dollars = st.floats(0, 1000).map(lambda value: round(value, 6))
prices = st.none() | st.builds(
    Price, input=dollars, output=dollars, cache_read=st.none() | dollars, cache_write=st.none() | dollars
)
bills = st.builds(lambda s, price, free: billed(s, price, free=free), spents, prices, st.booleans())


@given(bills)
def test_no_bill_is_estimated_beyond_what_it_says(made: Bill) -> None:
    """Estimates are a part of the tokens and of the cost; who is not charged owes nothing."""
    assert 0 <= made.estimated <= made.tokens
    assert 0 <= made.estimated_nano_usd <= (made.nano_usd or 0)
    assert made.tokens or made.nano_usd == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.tuples(bills, st.booleans())), max_size=30), st.randoms())
def test_over_any_log_totals_are_sums_in_whatever_order(
    log: list[tuple[int, tuple[Bill, bool] | None]], draw: Any
) -> None:
    """Requests intertwined: each one's total is the sum of its own attempts since it began, and a finished one is gone."""
    book, expected = TallyBook(), dict[str, list[Totals]]()
    for number, what in log:
        id = f"req_{number}"
        event: EngineEvent
        if what is None:
            event = RequestFinished(at=0.0, request_id=id, outcome="answered")
            expected.pop(id, None)
        else:
            made, committed = what
            event = won(0.0, A, request_id=id, bill=made, committed=committed)
            expected.setdefault(id, []).append(Totals.of(made, chosen=committed))
        book.fold(event)
        for each in (f"req_{n}" for n in range(4)):
            parts = list(expected.get(each, ()))
            draw.shuffle(parts)
            assert book.totals(each) == functools.reduce(operator.add, parts, NO_TOTALS)
    assert len(book) == len(expected)


def test_who_sends_no_bill_is_free() -> None:
    """A free model, a local host, one that is sent no key; but not a client's own credential that is passed on."""
    known = Model(id="m", price=PRICE)
    assert provider("a").free("m")
    assert provider("a", "key", models={"m": Model(id="m", free=True)}).free("m")
    assert provider("a", "key", local=True).free("m")
    assert not provider("a", "key").free("m")
    assert not provider("a", models={"m": known}).free("m")
    assert not provider("a", "key", models={"m": known}).free("m")


def test_a_failure_without_a_bill_adds_nothing() -> None:
    """The fold needs no special case for it."""
    book = TallyBook()
    book.fold(failed(1.0, Candidate("a", "m"), request_id="req_1"))
    assert book.totals("req_1") == Totals(attempts=1)
