"""The doors by which an operator takes care of a provider, and what turns make of what was said there."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from engine import BreakerChanged, EngineEvent, ProviderReset, ProviderStance
from engine.config import REHEARSAL, Provider
from policies import Breaker, Candidate, Unlimited
from server import Built, build
from tests.routes.asgi_driver import CLOSED_SERVER, OPEN_SERVER, ask, rehearsing, turn

STANCES = {"drain": "draining", "disable": "disabled"}
BAD, GOOD = "echo?fault=500", "echo?words=1&gap_ms=0"


def two(model: str = BAD, server: Any = OPEN_SERVER) -> tuple[Built, list[EngineEvent]]:
    """A chain of two rehearsals, the first with a breaker; and what is stated."""
    config = rehearsing(server=server)
    first = Provider(id="first", wire="rehearsal", scope=Unlimited(), breaker=Breaker(), named=True)
    chain = attrs.evolve(config.chains["main"], candidates=(Candidate("first", model), Candidate(REHEARSAL, GOOD)))
    built = build(
        attrs.evolve(config, providers={**config.providers, "first": first}, chains={**config.chains, "main": chain})
    )
    stated: list[EngineEvent] = []
    built.bus.add(stated.append)
    return built, stated


async def winner(built: Built) -> str | None:
    reply = await ask(built.app, "POST", "/v1/messages", turn())
    assert reply.status == 200
    return reply.header("x-hedgerow-candidate")


async def eject(built: Built) -> None:
    for _ in range(4):
        await winner(built)
    assert (await ask(built.app, "GET", "/providers")).json["providers"]["first"]["models"][BAD]["breaker"] == "open"


async def test_a_reset_closes_at_once_and_says_by_whom(autojump_clock: MockClock) -> None:
    """The answer is the provider's row as it is now."""
    built, stated = two()
    await eject(built)
    reply = await ask(built.app, "POST", "/providers/first/reset")
    row = reply.json["models"][BAD]
    assert (reply.status, row["breaker"], row["failures_in_a_row"], row["ramp"]) == (200, "closed", 0, 1.0)
    (reset,) = [event for event in stated if isinstance(event, ProviderReset)]
    assert (reset.provider, reset.by, reset.request_id) == ("first", "operator", reply.header("request-id"))
    changes = [(e.after, e.by) for e in stated if isinstance(e, BreakerChanged)]
    assert changes == [("open", ""), ("closed", "operator")]


async def test_what_passes_names_through_is_no_model(autojump_clock: MockClock) -> None:
    """`first/*` in a chain: it is in no list of models, its provider's failures are counted once, and no test asks for `*`."""
    built, _ = two()
    passing = attrs.evolve(built.config.chains["main"], name="any", candidates=(Candidate("first", "*"),))
    built.config = attrs.evolve(built.config, chains={"any": passing, **built.config.chains})
    await eject(built)
    row = (await ask(built.app, "GET", "/providers")).json["providers"]["first"]
    assert (list(row["models"]), row["failures"]) == ([BAD], 4)
    await ask(built.app, "POST", "/providers/first/reset")
    assert (await ask(built.app, "POST", "/providers/first/test")).json["candidate"] == f"first/{BAD}"


async def test_the_list_says_why_and_until_when(autojump_clock: MockClock) -> None:
    """For each model and for the provider as a whole."""
    built, _ = two()
    await eject(built)
    row = (await ask(built.app, "GET", "/providers")).json["providers"]["first"]
    told = row["models"][BAD]
    assert (told["reason"], told["back_in_s"], told["trips"]) == ("4 failures in a row, last: server error", 30.0, 1)
    assert (row["as_a_whole"]["breaker"], row["failures"], row["healthy"]) == ("closed", 4, False)


@pytest.mark.parametrize("verb", STANCES)
async def test_what_is_left_alone_is_passed_over_until_it_is_enabled(autojump_clock: MockClock, verb: str) -> None:
    """By new turns, with the reason in the plan; the file is not touched."""
    built, stated = two(GOOD)
    assert await winner(built) == f"first/{GOOD}"
    reply = await ask(built.app, "POST", f"/providers/first/{verb}")
    assert (reply.json["stance"], reply.json["healthy"]) == (STANCES[verb], False)
    assert await winner(built) == f"{REHEARSAL}/{GOOD}"
    asked = (await ask(built.app, "GET", "/api/requests")).json["requests"][0]["id"]
    (skip,) = (await ask(built.app, "GET", f"/api/requests/{asked}")).json["plan"]["skipped"]
    assert (skip["kind"], skip["reason"].split(" (")[1]) == ("hard", "by operator)")
    reply = await ask(built.app, "POST", "/providers/first/enable")
    assert (reply.json["stance"], reply.json["healthy"]) == ("enabled", True)
    assert await winner(built) == f"first/{GOOD}"
    assert [e.stance for e in stated if isinstance(e, ProviderStance)] == [STANCES[verb], "enabled"]


async def test_turns_under_way_go_on(autojump_clock: MockClock) -> None:
    """Nobody's answer is cut by it."""
    built, _ = two("echo?words=5&gap_ms=1000")
    async with trio.open_nursery() as nursery:

        async def one() -> None:
            assert (await winner(built) or "").startswith("first/")

        nursery.start_soon(one)
        await trio.sleep(2)
        await ask(built.app, "POST", "/providers/first/disable")


async def test_a_test_asks_one_model_and_tells_what_came_of_it(autojump_clock: MockClock) -> None:
    """The chain's first where none is named; an open breaker is closed by it."""
    built, _ = two()
    told = (await ask(built.app, "POST", "/providers/first/test")).json
    assert (told["candidate"], told["ok"], told["failure"]) == (
        f"first/{BAD}",
        False,
        "server error (500): rehearsed fault '500'",
    )
    told = (await ask(built.app, "POST", "/providers/first/test?model=echo")).json
    assert (told["ok"], told["failure"]) == (True, None)
    assert told["cost"]["output"] > 0
    assert (await ask(built.app, "GET", "/api/requests")).json["requests"] == []


async def test_a_test_that_cannot_be_made_says_why(autojump_clock: MockClock) -> None:
    """No model to ask, nobody to ask, or not within seconds of a failure."""
    built, _ = two()
    bare = Provider(id="bare", wire="rehearsal", named=True)
    unset = Provider(id="unset", named=True, unusable_because="UNSET_API_KEY is not set", default_model="m")
    built.config = attrs.evolve(built.config, providers={**built.config.providers, "bare": bare, "unset": unset})
    reply = await ask(built.app, "POST", "/providers/bare/test")
    assert (reply.status, "?model=NAME" in reply.error[1]) == (400, True)
    reply = await ask(built.app, "POST", "/providers/unset/test")
    assert (reply.status, "UNSET_API_KEY is not set" in reply.error[1]) == (503, True)
    await eject(built)
    reply = await ask(built.app, "POST", "/providers/first/test")
    assert (reply.status, "breaker open (4 failures in a row" in reply.error[1]) == (503, True)


@pytest.mark.parametrize("verb", ["reset", "test", "drain", "disable", "enable"])
async def test_an_unknown_provider_is_named(verb: str) -> None:
    """404, and where they are listed."""
    built, stated = two()
    reply = await ask(built.app, "POST", f"/providers/nobody/{verb}")
    assert (reply.status, reply.error[0]) == (404, "not_found_error")
    assert "no provider 'nobody' is configured" in reply.error[1]
    assert stated == []


@pytest.mark.parametrize("verb", ["reset", "test", "drain", "disable", "enable"])
async def test_nobody_writes_from_elsewhere_or_without_the_token(verb: str) -> None:
    """A page of another origin, with the token or without one; a GET; whoever lacks the token."""
    for server, status in ((OPEN_SERVER, 403), (CLOSED_SERVER, 401)):
        built, stated = two(server=server)
        reply = await ask(built.app, "POST", f"/providers/first/{verb}", headers=[("origin", "http://evil.example")])
        assert (reply.status, stated) == (status, [])
    built, stated = two()
    assert (await ask(built.app, "GET", f"/providers/first/{verb}")).status == 405
    assert stated == []
