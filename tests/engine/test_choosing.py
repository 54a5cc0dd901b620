"""What the order and select policies do with what was measured: whole requests, and many of them."""

from __future__ import annotations

from collections import Counter
from random import Random

import attrs
import pytest
from trio.testing import MockClock

from engine._books import Books
from engine._bus import EventBus
from engine._events import AttemptEnded, PlanMade
from engine._stream import block_stop
from engine.config import Model
from engine.testing import answer, config, failing, head, provider, script, tail, text, tool
from policies import (
    FailureKind,
    FewestToolErrors,
    HighestThroughput,
    Need,
    OnFailure,
    Price,
    RoundRobin,
    Sequence,
    SpendCap,
    compose,
)
from tests.engine.said import started, won
from tests.engine.stage import MakeScenario, refusal_of

READ = {"name": "Read", "input_schema": {"type": "object", "required": ["path"], "properties": {}}}
CALLING = Need(tools=True, input_tokens=100)


def tool_traffic(seed: int, *, requests: int = 150, every_s: float) -> list[str]:
    """Whom each of many requests with tools asks first: `a` spoils a fifth of its calls, `b` one in a hundred."""
    draw, rates = Random(seed), {"a": 0.2, "b": 0.01}
    settings = config([provider("a"), provider("b")], FewestToolErrors())
    books, bus = Books.of(lambda: settings), EventBus()
    books.register(bus)
    chain = settings.chains["coding"]
    asked = []
    for n in range(requests):
        at = n * every_s
        seen = books.view(settings, chain.candidates, CALLING, at=at, wall_s=at, seed=str(n))
        first = compose(chain.policies, chain.candidates, seen).steps[0].candidate
        bus.emit(started(at, first))
        bus.emit(won(at + 1, first, tool_calls=1, tool_errors=int(draw.random() < rates[first.provider])))
        asked.append(first.provider)
    return asked


@pytest.mark.parametrize("every_s", [1.0, 10.0, 60.0])
def test_who_spoils_a_fifth_of_its_tool_calls_loses_nine_tenths_of_the_tool_traffic_within_fifty_requests(
    every_s: float,
) -> None:
    """After fifty requests the first in the file has less than a tenth of the traffic, with each of eight seeds.

    At a call a minute as well, where its counts fade while it is shunned, and it is tried again now and then.
    """
    after = [Counter(tool_traffic(seed, every_s=every_s)[50:])["a"] / 100 for seed in range(8)]
    assert sum(after) / len(after) <= 0.06
    assert max(after) <= 0.10


async def test_bad_calls_move_the_tool_traffic_and_no_other(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Through the whole engine: eight calls without their required field, and the next request with tools goes elsewhere."""
    wrong = script([head(), *tool("{}"), *tail("tool_use")])
    good = script([head(), *tool('{"path": "a"}'), *tail("tool_use")])
    it = scenario({"a": wrong, "b": good}, FewestToolErrors(), Sequence())
    for _ in range(10):
        await it.serve(it.request(tools=[READ]))
    await it.serve(it.request())
    assert "".join(who for _, who in it.asked) == "aaaaaaaabba"


async def test_round_robin_takes_turns_by_request(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """One further with each; a hedge or a fallback takes no turn."""
    it = scenario({"a": script(answer("a")), "b": script(answer("b")), "c": script(answer("c"))}, RoundRobin())
    for _ in range(4):
        await it.serve()
    assert "".join(who for _, who in it.asked) == "abca"


async def test_the_faster_writer_is_asked_once_both_are_known(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """A hundred tokens in ten seconds and in two. Until both are measured the file decides, or a failure."""
    slow = script([head(), *text("a", whole=False)], 10.0, [block_stop(0), *tail(output_tokens=100)])
    quick = script([head(), *text("b", whole=False)], 2.0, [block_stop(0), *tail(output_tokens=100)])
    refused = script(asking=[failing(FailureKind.CONNECT)])
    it = scenario({"a": [slow, refused, slow], "b": quick}, HighestThroughput(), Sequence())
    for _ in range(3):
        await it.serve()
    assert "".join(who for _, who in it.asked) == "aabb"
    seen = it.events(PlanMade)[-1].view
    assert {name: facts.throughput for name, facts in seen.facts.items()} == {"a/m": 10.0, "b/m": 50.0}


PAID = {"m": Model(id="m", price=Price(input=1_000.0, output=2_000.0))}


async def test_a_spend_cap_holds_before_the_request_is_sent(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Ten tokens in and five out cost 0.02 dollars here: the third request would find 0.04 of 0.03 spent."""
    providers = {"a": provider("a", models=PAID)}
    it = scenario({"a": script(answer("a")), "b": script(answer("b"))}, SpendCap(usd=0.03), providers=providers)
    for _ in range(3):
        await it.serve()
    assert "".join(who for _, who in it.asked) == "aab"
    (skip,) = it.events(PlanMade)[-1].plan.skipped
    assert (skip.by, skip.reason, skip.wait_s) == ("spend-cap", "0.04 of 0.03 USD spent at a this day", None)


async def test_where_the_cap_leaves_nobody_the_refusal_says_so(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """And the client is told not to try again: a cap is lifted by a person, or by the end of the day."""
    it = scenario({"a": script(answer("a"))}, SpendCap(usd=0.01), providers={"a": provider("a", models=PAID)})
    await it.serve()
    refused = refusal_of(await it.serve())
    assert (refused.status, refused.should_retry) == (503, False)
    assert "spend-cap" in refused.message or "USD spent at a this day" in refused.message


SERVER = script(asking=[failing(FailureKind.SERVER, status=500)])
CLIENT = script(asking=[failing(FailureKind.CLIENT, status=400, body=b"{}")])


async def test_a_failure_that_stops_asks_nobody_else(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """And is not held against the candidate, where the row says so."""
    row = OnFailure(of="server-error", next="stop", counts=False)
    it = scenario({"a": SERVER, "b": script(answer("b"))}, row)
    assert refusal_of(await it.serve()).status == 503
    (end,) = it.events(AttemptEnded)
    assert (end.candidate.provider, end.counts) == ("a", False)
    assert end.verdict is not None
    assert end.verdict == row.row()


async def test_a_bad_request_may_be_somebody_elses_good_one(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """For a gateway that says 400 for anything; where everybody says it, the client is told what was said first."""
    row = OnFailure(of="bad-request", next="next", counts=True)
    it = scenario({"a": CLIENT, "b": script(answer("b"))}, row)
    assert (await it.serve()).said == "b"
    assert [end.counts for end in it.events(AttemptEnded)] == [True, False]
    it = scenario({"a": CLIENT, "b": CLIENT}, row)
    assert refusal_of(await it.serve()).status == 400


async def test_a_prompt_that_is_too_long_may_go_to_anybody(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Also to a window that is no bigger; who nobody took is told so in the words that make a client compact."""
    long = script(asking=[failing(FailureKind.TOO_LONG, status=400)])
    small = attrs.evolve(PAID["m"], price=None)
    row = OnFailure(of="prompt-too-long", next="next")
    it = scenario({"a": long, "b": script(answer("b"))}, row, providers={"a": provider("a", models={"m": small})})
    assert (await it.serve()).said == "b"
    it = scenario({"a": long, "b": long}, row)
    assert refusal_of(await it.serve()).message.startswith("prompt is too long: ")


@pytest.mark.parametrize(("again", "asked"), [(True, "aab"), (False, "ab")])
async def test_the_second_try_can_be_given_up(
    again: bool, asked: str, scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """A stale connection is worth one more try, unless the chain would rather move on."""
    stale = script(asking=[failing(FailureKind.RESET, stale=True)])
    row = OnFailure(of="reset", counts=True, again=again)
    it = scenario({"a": stale, "b": script([head(), *text("b"), *tail()])}, row)
    await it.serve()
    assert "".join(who for _, who in it.asked) == asked
