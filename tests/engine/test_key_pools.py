"""Several keys of one provider: who is asked with which, what a refusal changes, and what is told of it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from engine._events import AttemptEnded, KeyRotated, ScopeBlocked, TryStarted
from engine._request import Request
from engine.config import KeyLimit, Provider
from engine.observers.recent import Recent
from engine.testing import RecordingReply, Scenario, Script, answer, failing, provider, script
from policies import Concurrency, FailureKind, SilentSkip, Window
from tests.engine.stage import MakeScenario, refusal_of

AUTH, QUOTA, RATE, SERVER = FailureKind.AUTH, FailureKind.QUOTA, FailureKind.RATE_LIMITED, FailureKind.SERVER
OK = script(answer("yes"))


def no(kind: FailureKind, **rest: Any) -> Script:
    return script(asking=[failing(kind, **rest)])


def pool(*keys: str, **rest: Any) -> dict[str, Provider]:
    return {"a": provider("a", *(keys or ("k1", "k2", "k3")), **{"scope": Concurrency(per="key"), **rest})}


def said_by(it: Scenario, session: str) -> Request:
    return attrs.evolve(it.request(), session=session)


def keys_asked(it: Scenario) -> list[str]:
    return [each.key for each in it.events(TryStarted)]


class TestRotation:
    async def test_a_rate_limited_key_is_blocked_and_the_next_asked_at_once(
        self, scenario: MakeScenario, autojump_clock: MockClock
    ) -> None:
        """Where the provider counts by key: same attempt, no wait, and the first is back after its Retry-After."""
        it = scenario({"a": [no(RATE, retry_after_s=60.0), OK], "b": OK}, providers=pool())
        assert (await it.serve()).said == "yes"
        assert keys_asked(it) == ["A_KEY[1]", "A_KEY[2]"]
        assert it.asked == [(0.0, "a"), (0.0, "a")]
        (blocked,) = it.events(ScopeBlocked)
        assert (blocked.key, blocked.for_s) == (0, 60.0)
        assert it.books.scopes.block_wait_s("a", 0, 59.0)[0] == pytest.approx(1.0)
        assert it.books.scopes.block_wait_s("a", 1, 1.0)[0] == 0.0

    async def test_where_the_provider_counts_all_keys_together_the_next_candidate_is_asked(
        self, scenario: MakeScenario, autojump_clock: MockClock
    ) -> None:
        """Another key would be refused as well."""
        it = scenario({"a": no(RATE, retry_after_s=60.0), "b": OK}, providers=pool(scope=Concurrency()))
        await it.serve()
        assert keys_asked(it) == ["A_KEY[1]", ""]

    async def test_a_server_error_changes_no_key(self, scenario: MakeScenario, autojump_clock: MockClock) -> None:
        """Several keys are no reason to ask a host again that is down, nor not to ask the next candidate."""
        it = scenario({"a": [no(SERVER), OK], "b": OK}, providers=pool())
        await it.serve()
        assert keys_asked(it) == ["A_KEY[1]", ""]
        assert it.events(KeyRotated) == []
        assert [e.counts for e in it.events(AttemptEnded)] == [True, False]

    async def test_a_rotation_is_stated_with_both_keys_and_the_reason(
        self, scenario: MakeScenario, autojump_clock: MockClock
    ) -> None:
        """By variable and number."""
        it = scenario({"a": [no(QUOTA), no(AUTH), OK]}, providers=pool())
        await it.serve()
        told = [(e.before, e.after, e.reason) for e in it.events(KeyRotated)]
        assert told == [("A_KEY[1]", "A_KEY[2]", "out of quota"), ("A_KEY[2]", "A_KEY[3]", "key refused")]

    async def test_a_slot_moves_along_with_the_key(self, scenario: MakeScenario, autojump_clock: MockClock) -> None:
        """The refused key holds none while its attempt goes on with another."""
        it = scenario(
            {"a": [no(AUTH), script(5.0, answer("x"))]}, providers=pool(scope=Concurrency(limit=1, per="key"))
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.serve)
            await trio.sleep(1.0)
            assert [it.books.scopes.free_slots("a", n) for n in range(3)] == [1, 0, 1]
            assert [it.books.keys.standing("a", n, 1.0).in_flight for n in range(3)] == [0, 1, 0]

    async def test_a_key_without_room_is_no_next_key(self, scenario: MakeScenario, autojump_clock: MockClock) -> None:
        """Its window is full: the one after it is taken."""
        it = scenario({"a": [OK, no(AUTH), OK]}, providers=pool(scope=Window(requests=1, per_s=60, per="key")))
        await it.serve()
        await it.serve()
        assert keys_asked(it) == ["A_KEY[1]", "A_KEY[2]", "A_KEY[3]"]

    async def test_where_no_key_has_room_everything_stays_as_it_was(
        self, scenario: MakeScenario, autojump_clock: MockClock
    ) -> None:
        """The attempt fails, and its slot is given back once."""
        it = scenario(
            {"a": [OK, no(AUTH)], "b": OK}, providers=pool("k1", "k2", scope=Window(requests=1, per_s=60, per="key"))
        )
        await it.serve()
        await it.serve()
        assert keys_asked(it) == ["A_KEY[1]", "A_KEY[2]", ""]
        it.assert_nothing_left()


class TestSessions:
    async def test_a_session_keeps_its_key_and_others_take_theirs(
        self, scenario: MakeScenario, autojump_clock: MockClock
    ) -> None:
        """Turn after turn."""
        it = scenario({"a": OK}, providers=pool())
        for _ in range(3):
            for session in ("one", "two", "three", "four", "five", "six"):
                await it.serve(said_by(it, session))
        asked = keys_asked(it)
        assert asked[:6] == asked[6:12] == asked[12:]
        assert len(set(asked)) > 1

    async def test_it_moves_while_its_key_rests_and_returns(
        self, scenario: MakeScenario, autojump_clock: MockClock
    ) -> None:
        """To the same other key each time; after the rest its own is tried, and is back in full standing."""
        it = scenario({"a": [no(AUTH), OK]}, providers=pool())
        await it.serve(said_by(it, "s"))
        await it.serve(said_by(it, "s"))
        await trio.sleep(301.0)
        await it.serve(said_by(it, "s"))
        first, second, third, fourth = keys_asked(it)
        assert (second, fourth) == (third, first)
        assert second != first
        number = int(first[-2]) - 1
        assert it.books.keys.standing("a", number, trio.current_time()).state == "fresh"

    async def test_one_request_at_a_time_tries_a_key_that_is_back(
        self, scenario: MakeScenario, autojump_clock: MockClock
    ) -> None:
        """The other one of the same session takes the next key meanwhile, and is not held up."""
        slow = script(answer("x"), asking=[2.0])
        it = scenario({"a": [no(AUTH), OK, slow, OK]}, providers=pool())
        await it.serve(said_by(it, "s"))
        await trio.sleep(301.0)
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(it.serve, said_by(it, "s"))
                await trio.sleep(0.5)
        first, second, third, fourth = keys_asked(it)
        assert (third, fourth) == (first, second)

    async def test_a_lone_key_that_is_being_tried_is_waited_for(
        self, scenario: MakeScenario, autojump_clock: MockClock
    ) -> None:
        """Not refused as one that needs a person."""
        slow = script(answer("x"), asking=[2.0])
        it = scenario({"a": [no(AUTH), slow, OK]}, providers={"a": provider("a", "k1")})
        await it.serve()
        await trio.sleep(301.0)
        replies = [RecordingReply(), RecordingReply()]
        async with trio.open_nursery() as nursery:
            for reply in replies:
                nursery.start_soon(it.serve, None, reply)
                await trio.sleep(0.5)
        assert [reply.said for reply in replies] == ["x", "yes"]


class TestLimits:
    async def test_a_key_that_is_used_up_gives_way_to_the_next(
        self, scenario: MakeScenario, autojump_clock: MockClock
    ) -> None:
        """And returns with its window."""
        it = scenario({"a": OK, "b": OK}, providers=pool("k1", "k2", key_limit=KeyLimit(requests=2, per_s=100.0)))
        for _ in range(5):
            await it.serve(said_by(it, "s"))
        await trio.sleep(101.0)
        await it.serve(said_by(it, "s"))
        asked = keys_asked(it)
        assert asked[0] == asked[1] != asked[2] == asked[3]
        assert asked[4:] == ["", asked[0]]

    async def test_when_all_are_used_up_the_client_is_told(
        self, scenario: MakeScenario, autojump_clock: MockClock
    ) -> None:
        """429, and that no retry in the next minute will help."""
        it = scenario({"a": OK}, SilentSkip(), providers=pool("k1", key_limit=KeyLimit(requests=1)))
        await it.serve()
        refusal = refusal_of(await it.serve())
        assert (refusal.status, refusal.should_retry) == (429, False)
        assert "usage limit" in refusal.message

    @pytest.mark.parametrize("policies", [[SilentSkip()], []], ids=["planned", "at the gate"])
    async def test_keys_that_rest_for_different_reasons_are_told_one_by_one(
        self, scenario: MakeScenario, autojump_clock: MockClock, policies: list[SilentSkip]
    ) -> None:
        """Nobody is sent to mend a key that is merely used up; and no status tells both."""
        settings = pool("k1", "k2", key_limit=KeyLimit(requests=1))
        it = scenario({"a": [no(AUTH), OK]}, *policies, providers=settings)
        assert (await it.serve()).said == "yes"
        refusal = refusal_of(await it.serve())
        assert (refusal.status, refusal.type, refusal.should_retry) == (503, "api_error", False)
        assert "of 2 keys 1 was refused, 1 has reached its usage limit" in refusal.message

    async def test_a_burst_never_goes_over_it(self, scenario: MakeScenario, autojump_clock: MockClock) -> None:
        """Ten at once, two keys of three requests: six go through, the rest to the next candidate."""
        slow = script(answer("x"), asking=[1.0])
        it = scenario({"a": slow, "b": OK}, providers=pool("k1", "k2", key_limit=KeyLimit(requests=3)))
        async with trio.open_nursery() as nursery:
            for n in range(10):
                nursery.start_soon(it.serve, said_by(it, f"s{n}"))
        assert sum(name == "a" for _, name in it.asked) == 6


async def test_the_explanation_names_the_key_and_why_another_was_passed_over(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """By variable and number, and never the key itself: not in any event, error or account."""
    it = scenario({"a": [no(AUTH), OK]}, providers=pool("sk-planted-1", "sk-planted-2"))
    recent = Recent()
    it.bus.add(recent.fold)
    session = next(s for s in map(str, range(50)) if it.books.keys.order("a", 2, 0.0, s) == [0, 1])
    await it.serve(said_by(it, session))
    await trio.sleep(100.0)
    await it.serve(said_by(it, session))
    told = recent.explain("req_2")
    assert told is not None
    (tried,) = told["attempts"][0]["tries"]
    assert tried["key"] == "A_KEY[2]"
    assert tried["keys_passed_over"] == [{"key": "A_KEY[1]", "reason": "key refused", "wait_s": 200.0}]
    everything = repr(it.log) + repr(recent) + str(told) + repr(it.config) + repr(it.books.keys)
    assert "planted" not in everything
