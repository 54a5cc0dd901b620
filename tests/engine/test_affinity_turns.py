"""Sticky with the engine around it: turns of one conversation, what moves it, and what is said of that."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import trio

from engine._events import AffinityBroken, AffinityChanged, PlanMade
from engine._stream import StreamEvent, event
from engine.config import Model
from engine.observers.recent import Recent
from engine.testing import Scenario, Script, failing, provider, script, tail, text
from policies import FailureKind, LeastLoaded, Price, SilentSkip, Sticky
from tests.engine.stage import MakeScenario, hedge, virtual

SONNET = Price(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)
PROMPT = 40_000


def said(prompt: int = PROMPT) -> list[StreamEvent]:
    """An answer to a prompt of so many tokens."""
    usage = {"input_tokens": 0, "cache_creation_input_tokens": prompt, "cache_read_input_tokens": 0, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    return [event({"type": "message_start", "message": message}), *text("yes"), *tail(output_tokens=100)]


def well(after_s: float = 1.0) -> Script:
    return script(said(), asking=[after_s])


def ill(kind: FailureKind = FailureKind.SERVER, retry_after_s: float | None = None) -> Script:
    return script(asking=[0.5, failing(kind, retry_after_s=retry_after_s)])


async def turns(it: Scenario, *pauses_s: float, session: str = "s", agent: str = "") -> str:
    """Turns of one conversation, so many seconds apart; who answered each."""
    for pause_s in pauses_s:
        turn = it.request()
        need = attrs.evolve(turn.need, input_tokens=PROMPT + 500)
        await it.serve(attrs.evolve(turn, session=session, agent=agent, need=need))
        await trio.sleep(pause_s)
    return "".join(reply.winners[-1].candidate.provider for reply in it.replies[-len(pauses_s) :])


@pytest.fixture
def told(scenario: MakeScenario) -> Callable[..., tuple[Scenario, Recent]]:
    """A scenario of priced hosts, with the observer that explains."""

    def make(scripts: dict[str, list[Script]], *policies: object) -> tuple[Scenario, Recent]:
        priced = {id: provider(id, "key", models={"m": Model(id="m", price=SONNET)}) for id in scripts}
        chosen = policies or (SilentSkip(), Sticky(), LeastLoaded())
        it, recent = scenario(scripts, *chosen, providers=priced), Recent()  # type: ignore[arg-type]
        it.bus.add(recent.fold)
        return it, recent

    return make


Make = Callable[..., tuple[Scenario, Recent]]


def test_a_failure_sends_one_turn_elsewhere_and_the_next_comes_back(told: Make) -> None:
    """What the break cost is said with it: the waits, the tokens read again, their price in dollars and in seconds."""
    it, recent = told({"a": [well(), ill(), well()], "b": [well(3.0)]})

    async def run() -> None:
        assert await turns(it, 5.0, 5.0, 5.0, 5.0) == "abaa"

    virtual(run)
    (broken,) = it.events(AffinityBroken)
    assert (broken.home, broken.instead, broken.reason) == ("a/m", "b/m", "failed: server error")
    assert broken.warm_tokens_lost == PROMPT + 100
    assert broken.usd == pytest.approx(40_100 * 3.45 / 1e6)
    assert broken.price_s == pytest.approx(40.1 * 0.25 + broken.usd * 60 + 3)
    assert broken.saved_s == broken.wait_here_s - broken.wait_there_s - broken.price_s
    assert not it.events(AffinityChanged)
    found = recent.explain(broken.request_id)
    assert found is not None
    assert found["affinity"]["home"] == "a/m"
    assert found["affinity"]["broken"]["warm_tokens_lost"] == 40_100
    assert found["view"]["affinity"] == "a/m"
    assert found["view"]["candidates"]["a/m"]["warm_tokens"] == 40_100
    assert recent.explain("req_1")["affinity"] == {"home": None}  # type: ignore[index]
    assert recent.explain("req_3")["affinity"] == {"home": "a/m"}  # type: ignore[index]


def test_a_rate_limit_of_some_seconds_is_not_waited_for_and_not_moved_by(told: Make) -> None:
    """Turns while it lasts go elsewhere at once; the first after it comes back."""
    limited = ill(FailureKind.RATE_LIMITED, retry_after_s=12.0)
    it, _ = told({"a": [well(), limited, well()], "b": [well(3.0)]})

    async def run() -> None:
        assert await turns(it, 2.0, 1.0, 1.0, 6.0, 1.0) == "abbba"

    virtual(run)
    assert [e.reason for e in it.events(AffinityBroken)] == [
        "failed: rate limited",
        "passed over: rate limited",
        "passed over: rate limited",
    ]
    plans = [e.plan for e in it.events(PlanMade)]
    assert all(step.not_before_s == 0 for plan in plans for step in plan.steps)
    assert not it.events(AffinityChanged)


def test_a_longer_outage_moves_it_for_good(told: Make) -> None:
    """After a minute of turns elsewhere; when the old home is back, the conversation stays where it is now."""
    it, recent = told({"a": [well(), *[ill()] * 8, well()], "b": [well()]}, SilentSkip(), Sticky())

    async def run() -> None:
        assert await turns(it, *[12.0] * 7) == "abbbbbb"
        (moved,) = it.events(AffinityChanged)
        assert (moved.before, moved.after) == ("a/m", "b/m")
        explained = recent.explain(moved.request_id)
        assert explained is not None
        assert explained["affinity"]["moved_to"] == {"candidate": "b/m", "reason": moved.reason}
        assert await turns(it, *[12.0] * 10) == "b" * 10

    virtual(run)
    assert len(it.events(AffinityChanged)) == 1


def test_one_hedge_that_wins_leaves_it_at_home_and_the_second_moves_it(told: Make) -> None:
    """Two of the last three."""
    slow = well(9.0)
    paid = attrs.evolve(hedge(2.0), paid=True)
    it, _ = told({"a": [well(), slow, well(), slow], "b": [well(1.0)]}, SilentSkip(), Sticky(), paid)

    async def run() -> None:
        assert await turns(it, 5.0, 5.0, 5.0) == "aba"
        assert not it.events(AffinityChanged)
        assert await turns(it, 5.0, 5.0, 5.0) == "bbb"

    virtual(run)
    (moved,) = it.events(AffinityChanged)
    assert (moved.after, moved.reason) == ("b/m", "it answered 2 of the last 3 turns")
    assert [e.reason for e in it.events(AffinityBroken)] == ["another answered first"] * 2


def test_a_home_that_has_become_slow_is_left_when_that_pays(told: Make) -> None:
    """Without a failure and without a hedge: the expected wait has outgrown the price, and the plan says so."""
    it, _ = told({"a": [ill(), well(), well(50.0)], "b": [well()]}, SilentSkip(), Sticky())

    async def run() -> None:
        assert await turns(it, 5.0, session="another") == "b"
        assert await turns(it, 5.0, 5.0, 5.0) == "aab"

    virtual(run)
    (broken,) = it.events(AffinityBroken)
    assert broken.reason == "it costs less there"
    assert broken.saved_s > 0


def test_an_agent_begins_where_its_parent_is_and_keeps_its_own(told: Make) -> None:
    """Another conversation of another session begins with whom the file lists first."""
    it, _ = told({"a": [ill(), well()], "b": [well()]}, SilentSkip(), Sticky())

    async def run() -> None:
        assert await turns(it, 5.0) == "b"
        assert await turns(it, 5.0, agent="x") == "b"
        assert await turns(it, 5.0, session="t") == "a"
        assert it.books.affinity.home("s", "x", "any") == "b/m"

    virtual(run)


def test_without_a_session_there_is_no_affinity(told: Make) -> None:
    """As for curl, and for every client that says nothing of itself."""
    it, _ = told({"a": [ill(), well()], "b": [well()]}, SilentSkip(), Sticky())

    async def run() -> None:
        assert await turns(it, 5.0, 5.0, session="") == "ba"

    virtual(run)
    assert not it.events(AffinityBroken)
    assert len(it.books.affinity) == 0
