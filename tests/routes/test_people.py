"""The doors for people: what runs, who is usable and why not, and why a request went where it went."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator
from typing import Any, cast

import attrs
import pytest
import trio
from quart import request
from quart_trio import QuartTrio

from engine import Books, Failure, Router, TryEnded
from engine._stored import restored
from engine.config import REHEARSAL, Config, KeyLimit, Provider, Secret
from engine.observers.recent import Recent
from policies import Candidate, Concurrency, FailureKind, Unlimited, Window
from routes import App, Desk, people
from server import Built, build
from tests.routes.asgi_driver import Exchange, ask, http, rehearsing, turn, under_way

KEY = "sk-planted-0123456789abcdef"
#: 2026-11-20 12:00:00 UTC.
NOON_S = 1_795_176_000.0


def providers(**more: Provider) -> Config:
    """The rehearsal's configuration with more providers beside it."""
    config = rehearsing("echo?fault=529", "echo?words=1")
    return attrs.evolve(config, providers={**config.providers, **more})


ZEN = Provider(id="zen", base_url="https://zen.example/v1", scope=Unlimited(), named=True)
KEYED = Provider(
    id="keyed", keys_env=("KEYED_API_KEY",), keys=(Secret(KEY, source="KEYED_API_KEY"),), base_url="https://k.example"
)
EMPTY = Provider(id="empty", keys_env=("EMPTY_API_KEY",), named=True, unusable_because="EMPTY_API_KEY is not set")
ABSENT = Provider(id="absent", local=True, unusable_because="nothing answers on its port")
ALL = {p.id: p for p in (ZEN, KEYED, EMPTY, ABSENT)}


async def get(built: Built, target: str) -> Exchange:
    return await ask(built.app, "GET", target)


class TestRoot:
    async def test_says_what_this_is(self) -> None:
        """Name, version, status and the time of day, which comes from outside."""
        told = (await get(build(rehearsing(), wall_s=lambda: NOON_S), "/")).json
        assert (told["name"], told["status"], told["timestamp"]) == ("hedgerow", "ok", "2026-11-20T12:00:00+00:00")
        assert told["version"] == importlib.metadata.version("hedgerow")
        assert "/v1/messages" in told["endpoints"]

    async def test_health_is_alive(self) -> None:
        """And says no more: nothing is asked of anybody."""
        assert (await get(build(rehearsing()), "/health")).json == {"status": "ok"}


class TestReady:
    async def test_tells_who_is_usable_and_why_the_others_are_not(self) -> None:
        """Local runtimes that do not answer are nobody's mistake, so they are not listed unless they were named."""
        told = (await get(build(providers(**ALL)), "/ready")).json
        assert told["status"] == "ok"
        assert told["usable"] == ["zen", "keyed"]
        assert told["not_usable"] == {"empty": "EMPTY_API_KEY is not set"}

    async def test_says_that_only_the_rehearsal_answers(self) -> None:
        """A machine without a key works, and does not pretend."""
        told = (await get(build(rehearsing()), "/ready")).json
        assert (told["status"], told["usable"]) == ("rehearsal", [])

    async def test_counts_the_turns_under_way(self, autojump_clock: trio.testing.MockClock) -> None:
        """While they run."""
        built = build(rehearsing("echo?words=1&after_s=5"))
        exchange = http("POST", "/v1/messages")
        exchange.put(turn())
        async with under_way(built.app, exchange):
            await trio.sleep(1)
            assert (await get(built, "/ready")).json["live_turns"] == 1
        assert (await get(built, "/ready")).json["live_turns"] == 0


class TestProviders:
    async def test_a_scope_is_told_in_the_words_of_the_file(self) -> None:
        """Its kind and its numbers, and nothing of how it is kept here."""
        window = Provider(id="w", named=True, scope=Window(requests=40, per_s=60.0, concurrency=5, per="key"))
        rows = (await get(build(providers(zen=ZEN, w=window)), "/providers")).json["providers"]
        assert rows["zen"]["scope"] == {"kind": "unlimited", "queue": 100, "per": "provider"}
        given = {"kind": "window", "requests": 40, "per_s": 60.0, "concurrency": 5, "queue": 100, "per": "key"}
        assert rows["w"]["scope"] == given

    async def test_lists_the_usable_and_the_named(self) -> None:
        """How many, how many of them healthy, and a row each."""
        told = (await get(build(providers(**ALL)), "/providers")).json
        assert set(told["providers"]) == {REHEARSAL, "zen", "keyed", "empty"}
        assert (told["total"], told["healthy"]) == (4, 3)
        zen = told["providers"]["zen"]
        assert (zen["type"], zen["base_url"], zen["usable"]) == ("anthropic", "https://zen.example/v1", True)
        assert told["providers"]["empty"]["why_not"] == "EMPTY_API_KEY is not set"

    async def test_counts_keys_and_shows_none(self) -> None:
        """On none of these doors."""
        built = build(providers(**ALL))
        for target in ("/", "/ready", "/providers", "/api/requests"):
            assert KEY.encode() not in (await get(built, target)).body
        assert (await get(built, "/providers")).json["providers"]["keyed"]["keys"] == 1

    async def test_tells_how_each_key_stands(self, autojump_clock: trio.testing.MockClock) -> None:
        """By its variable: fresh, resting and until when, blocked, its use and the limit."""
        keys = tuple(Secret(f"{KEY}{n}", source=f"KEYED_API_KEYS[{n}]") for n in (1, 2, 3))
        scope = Concurrency(per="key")
        pool = attrs.evolve(KEYED, keys=keys, scope=scope, key_limit=KeyLimit(requests=9))
        built = build(providers(keyed=pool))
        told: dict[str, Any] = {"request_id": "r", "attempt": 1, "candidate": Candidate("keyed", "m"), "number": 1}
        for number, kind in enumerate((FailureKind.AUTH, FailureKind.RATE_LIMITED)):
            failure = Failure(kind=kind, message="", status=400, retry_after_s=30.0)
            built.bus.emit(TryEnded(at=trio.current_time(), key=number, failure=failure, **told))
        built.bus.emit(TryEnded(at=trio.current_time(), key=2, **told))
        await trio.sleep(10.0)
        answer = await get(built, "/providers")
        assert KEY.encode() not in answer.body
        row = answer.json["providers"]["keyed"]
        assert [
            (k["key"], k["state"], k["back_in_s"], k["reason"], k["used"], k["limit"]) for k in row["key_states"]
        ] == [
            ("KEYED_API_KEYS[1]", "resting", 20.0, "key refused", 0, 9),
            ("KEYED_API_KEYS[2]", "blocked", 20.0, "rate limited", 0, 9),
            ("KEYED_API_KEYS[3]", "fresh", 0.0, "", 1, 9),
        ]
        assert row["blocked_s"] == 0.0

    async def test_tells_the_health_of_each_model(self, autojump_clock: trio.testing.MockClock) -> None:
        """Failures in a row, the breaker, and the time to first content where there was one."""
        config = rehearsing("echo?fault=500", "echo?words=1&gap_ms=500")
        rehearsal = attrs.evolve(config.providers[REHEARSAL], breaker=Provider(id="x").breaker)
        built = build(attrs.evolve(config, providers={REHEARSAL: rehearsal}))
        for _ in range(5):
            assert (await ask(built.app, "POST", "/v1/messages", turn())).status == 200
        told = (await get(built, "/providers")).json
        row = told["providers"][REHEARSAL]
        broken, sound = row["models"]["echo?fault=500"], row["models"]["echo?words=1&gap_ms=500"]
        assert (broken["breaker"], broken["failures_in_a_row"]) == ("open", 4)
        assert 0 < broken["back_in_s"] <= 30
        assert broken["last_ejection"]
        assert (sound["breaker"], sound["failures_in_a_row"], sound["in_flight"]) == ("closed", 0, 0)
        assert sound["time_to_first_content_s"] == pytest.approx(1.0, abs=0.05)
        assert (row["healthy"], told["healthy"]) == (False, 0)


class TestRequests:
    async def test_explains_where_a_request_went(self, autojump_clock: trio.testing.MockClock) -> None:
        """The id is the one the client was given; the story names the failure and the winner."""
        built = build(providers())
        reply = await ask(built.app, "POST", "/v1/messages", turn())
        told = await get(built, f"/api/requests/{reply.header('request-id')}")
        assert told.status == 200
        assert [a["outcome"] for a in told.json["attempts"]] == ["failed", "won"]
        assert "echo?fault=529" in told.json["attempts"][0]["candidate"]

    async def test_tells_every_verdict_and_what_the_plan_follows_from(
        self, autojump_clock: trio.testing.MockClock
    ) -> None:
        """What is told under `stored` folds to the plan that is told, in any process that has it."""
        built = build(providers())
        reply = await ask(built.app, "POST", "/v1/messages", turn())
        told = (await get(built, f"/api/requests/{reply.header('request-id')}")).json
        assert told["refolds"] is True
        chain = [f"{c['provider']}/{c['model']}" for c in told["stored"]["candidates"]]
        assert all([r["candidate"] for r in stage["candidates"]] == chain for stage in told["stages"])
        plan = restored(told["stored"]).plan()
        assert [str(step.candidate) for step in plan.steps] == [step["candidate"] for step in told["plan"]["steps"]]

    async def test_lists_the_newest_first(self, autojump_clock: trio.testing.MockClock) -> None:
        """As many as are asked for, between 1 and 500."""
        built = build(providers())
        asked = [(await ask(built.app, "POST", "/v1/messages", turn())).header("request-id") for _ in range(3)]

        async def ids(query: str) -> list[str]:
            return [row["id"] for row in (await get(built, f"/api/requests{query}")).json["requests"]]

        assert await ids("") == asked[::-1]
        assert await ids("?limit=2") == asked[:0:-1]
        assert await ids("?limit=0") == asked[:1:-1]
        assert await ids("?limit=-5") == asked[:1:-1]
        assert await ids("?limit=many") == asked[::-1]
        assert await ids("?limit=999999999999999999999") == asked[::-1]

    async def test_holds_no_prompt(self, autojump_clock: trio.testing.MockClock) -> None:
        """The account of a request is about its way, not about what was said."""
        built = build(rehearsing("echo"))
        said: dict[str, Any] = {"messages": [{"role": "user", "content": "PLANTED"}], "system": "PLANTED"}
        reply = await ask(built.app, "POST", "/v1/messages", turn(**said))
        assert b"PLANTED" in reply.body  # the rehearsal repeats it
        told = await get(built, f"/api/requests/{reply.header('request-id')}")
        assert told.status == 200
        assert b"PLANTED" not in told.body

    async def test_says_when_it_knows_nothing_of_one(self) -> None:
        """And how far back it remembers."""
        reply = await get(build(rehearsing()), "/api/requests/req_unknown")
        assert (reply.status, reply.error[0]) == (404, "not_found_error")
        assert "500" in reply.error[1]


def quart_app() -> QuartTrio:
    """The Quart application by itself."""
    config = rehearsing()
    return people(
        Desk(
            version="1",
            config=lambda: config,
            books=Books.of(lambda: config),
            router=cast(Router, object()),
            recent=Recent(),
            wall_s=lambda: NOON_S,
            at=trio.current_time,
        )
    )


class TestQuartsLimits:
    """They are the front's affair; Quart's own would cut answers silently, after 60 s and at 16 MB."""

    async def test_a_stream_may_take_longer_than_a_minute(self, autojump_clock: trio.testing.MockClock) -> None:
        """Seventy seconds, and whole."""
        app = quart_app()

        @app.get("/slow")
        async def slow() -> AsyncIterator[bytes]:
            async def pieces() -> AsyncIterator[bytes]:
                for _ in range(7):
                    await trio.sleep(10)
                    yield b"x"

            return pieces()

        reply = await ask(cast(App, app), "GET", "/slow")
        assert (reply.body, reply.ended) == (b"x" * 7, True)
        assert reply.arrivals[-1][0] == pytest.approx(70)

    async def test_a_body_may_be_slow_and_large(self, autojump_clock: trio.testing.MockClock) -> None:
        """Seventy seconds and 17 MB."""
        app = quart_app()

        @app.post("/upload")
        async def upload() -> str:
            return str(len(await request.get_data()))

        exchange = http("POST", "/upload")
        async with under_way(cast(App, app), exchange):
            await trio.sleep(70)
            for _ in range(17):
                exchange.put(bytes(1_000_000), more=True)
            exchange.put(b"")
        assert (exchange.status, exchange.body) == (200, b"17000000")

    async def test_a_bug_in_a_door_is_an_error_object(self, caplog: pytest.LogCaptureFixture) -> None:
        """Without a word of the cause."""
        app = quart_app()

        @app.get("/bug")
        async def bug() -> str:
            raise ValueError("PLANTED")

        reply = await ask(cast(App, app), "GET", "/bug", headers=[("x-hedgerow-request-id", "req_1")])
        assert reply.status == 500
        assert reply.json == {
            "type": "error",
            "error": {"type": "api_error", "message": "GET /bug: internal server error"},
            "request_id": "req_1",
        }


async def test_a_candidate_that_passes_the_name_through_is_no_obstacle() -> None:
    """A chain may hold `provider/*`, which is no model anybody has asked for."""
    config = providers(zen=ZEN)
    chain = attrs.evolve(config.chains["main"], candidates=(Candidate("zen", "*"),))
    built = build(attrs.evolve(config, chains={**config.chains, "main": chain}))
    assert (await get(built, "/providers")).json["providers"]["zen"]["healthy"] is True
