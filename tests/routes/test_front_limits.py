"""The entrance: what is counted and given back, who has left, and what the log does not hold."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
import trio

from cli.logs import log_access, log_event
from engine import EngineEvent, Request, RequestFinished
from engine.config import Server
from routes import Access, App
from server import build
from tests.routes.asgi_driver import (
    CLOSED_SERVER,
    TOKEN,
    ask,
    house,
    http,
    rehearsing,
    turn,
    under_way,
)

MESSAGES = "/v1/messages"
SMALL = Server(max_body_bytes=1000, max_total_body_bytes=2500, body_s=5.0)


class TestBodies:
    """All bodies in flight together are bounded: 2500 bytes here, and each is given back when its request ends."""

    def slow(self) -> App:
        return house("echo?after_s=30&words=1", server=SMALL).app

    async def test_one_too_many_is_told_to_come_back(self, autojump_clock: trio.testing.MockClock) -> None:
        """Two of 1000 bytes wait for their answers; a third does not fit, and fits when they are done."""
        app = self.slow()
        big, length = turn().ljust(1000), [("content-length", "1000")]
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                exchange = http("POST", MESSAGES, headers=length)
                exchange.put(big)
                nursery.start_soon(exchange.run, app)
            await trio.sleep(1)
            third = await ask(app, "POST", MESSAGES, big, headers=length)
            assert (third.status, third.error[0]) == (503, "api_error")
            assert third.header("retry-after") == "1"
            assert (await ask(app, "POST", MESSAGES, turn(), headers=[("content-length", "200")])).status == 200
        assert (await ask(app, "POST", MESSAGES, big, headers=length)).status == 200

    async def test_those_still_arriving_are_counted_too(self, autojump_clock: trio.testing.MockClock) -> None:
        """Three that fit one by one do not fit together, whether their lengths were declared or not."""
        app = self.slow()
        exchanges = [http("POST", MESSAGES) for _ in range(3)]
        async with trio.open_nursery() as nursery:
            for exchange in exchanges:
                nursery.start_soon(exchange.run, app)
            await trio.sleep(1)
            for exchange in exchanges:
                exchange.put(b" " * 900, more=True)
                await trio.sleep(0.1)
            assert [e.status for e in exchanges] == [0, 0, 503]
            for exchange in exchanges[:2]:
                exchange.put(turn()[:100])
        assert [e.status for e in exchanges] == [400, 400, 503]

    @pytest.mark.parametrize("end", ["answered", "400", "408", "413", "left", "left in mid-body", "count"])
    async def test_are_given_back_however_a_request_ends(
        self, end: str, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Ten in a row, each of which would fill a third of the room."""
        app = house("echo?words=1", server=SMALL).app
        for _ in range(10):
            exchange = http("POST", MESSAGES + ("/count_tokens" if end == "count" else ""))
            match end:
                case "answered" | "count":
                    exchange.put(turn().ljust(900))
                case "400":
                    exchange.put(b"x" * 900)
                case "408":
                    exchange.put(b"x" * 900, more=True)
                case "413":
                    exchange.put(b"x" * 1001)
                case "left":
                    exchange.put(turn().ljust(900))
                    exchange.leave()
                case _:
                    exchange.put(b"x" * 900, more=True)
                    exchange.leave()
            await exchange.run(app)
            assert exchange.status in (200, 400, 408, 413, 0)
        last = await ask(app, "POST", MESSAGES, turn().ljust(1000))
        assert last.status == 200


class TestDisconnects:
    @pytest.mark.parametrize(
        ("method", "target", "body"),
        [
            ("GET", "/health", b""),
            ("GET", "/nothing", b""),
            ("GET", "/v1/models", b""),
            ("HEAD", "/", b""),
            ("POST", "/v1/messages/count_tokens", turn()),
            ("POST", MESSAGES, turn()),
            ("POST", MESSAGES, turn(stream=False)),
            ("POST", MESSAGES, b"{"),
        ],
    )
    async def test_that_follow_our_own_last_byte_interrupt_nothing(
        self, method: str, target: str, body: bytes, autojump_clock: trio.testing.MockClock
    ) -> None:
        """The server queues one while it is still busy with our last message; cancelling then would break its clean-up."""
        reply = await ask(house().app, method, target, body)
        assert (reply.ended, reply.interrupted) == (True, False)

    async def test_of_a_client_that_leaves_end_the_turn_at_once(self, autojump_clock: trio.testing.MockClock) -> None:
        """In the middle of a stream: the handler ends, and the turn is on nobody's account."""
        lines: list[Access] = []
        built = build(rehearsing("echo?words=100&gap_ms=1000"), log=lines.append)
        stated: list[EngineEvent] = []
        built.bus.add(stated.append)
        exchange = http("POST", MESSAGES)
        exchange.put(turn())
        async with under_way(built.app, exchange):
            await trio.sleep(30.5)
            exchange.leave()
        assert trio.current_time() == pytest.approx(30.5)
        assert lines[0].status == 499
        (finished,) = [e for e in stated if isinstance(e, RequestFinished)]
        assert finished.outcome == "abandoned"

    async def test_before_the_body_is_complete_end_the_request(self) -> None:
        """Nobody is there to be answered."""
        lines: list[Access] = []
        exchange = http("POST", MESSAGES)
        exchange.put(b'{"mod', more=True)
        exchange.leave()
        await exchange.run(build(rehearsing(), log=lines.append).app)
        assert (exchange.status, lines[0].status) == (0, 499)


@pytest.fixture
def printed() -> Iterator[io.StringIO]:
    """What the real log functions print, one JSON object a line."""
    out = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    yield out
    structlog.reset_defaults()


class TestLog:
    async def test_has_one_line_a_request(self, autojump_clock: trio.testing.MockClock) -> None:
        """With its id, method, path, status and the seconds to the last byte."""
        lines: list[Access] = []
        app = build(rehearsing("echo?after_s=2&words=1&gap_ms=0"), log=lines.append).app
        reply = await ask(app, "POST", MESSAGES + "?beta=true", turn())
        await ask(app, "GET", "/health")
        first, second = lines
        assert (first.request_id, first.method, first.path) == (reply.header("request-id"), "POST", MESSAGES)
        assert first.status == 200
        assert first.elapsed_s == pytest.approx(2.01)
        assert (second.method, second.path, second.status) == ("GET", "/health", 200)

    async def test_holds_no_body_no_token_and_no_query(
        self, printed: io.StringIO, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Planted in each place a client can put one, over answers, refusals and failures."""
        built = build(rehearsing("echo?fault=529", "echo", server=CLOSED_SERVER), log=log_access)
        built.bus.add(log_event)
        said: dict[str, Any] = {"messages": [{"role": "user", "content": "PLANTED-PROMPT"}]}
        secret: list[tuple[str, str]] = [("x-other", "PLANTED-HEADER")]
        for token in (TOKEN, "PLANTED-WRONG"):
            for body in (turn(**said), turn(**said, stream=False), turn("PLANTED-PROMPT " * 9, **said)[:-2], b"{}"):
                target = MESSAGES + "?key=PLANTED-QUERY"
                await ask(built.app, "POST", target, body, token=token, headers=secret)
            await ask(built.app, "GET", "/providers?key=PLANTED-QUERY", token=token)
        logged = printed.getvalue()
        records = [json.loads(line) for line in logged.splitlines()]
        assert [r["status"] for r in records if r["event"] == "request"] == [200, 200, 400, 400, 200, *[401] * 5]
        assert [r["event"] for r in records].count("attempt failed") == 2
        for leak in ("PLANTED", TOKEN, "key="):
            assert leak not in logged


@pytest.mark.long
async def test_a_body_is_forgotten_when_its_turn_is_over(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing keeps past requests: neither the books nor the records of the last ones."""

    def kept() -> int:
        gc.collect()
        return len({id(found.raw) for found in gc.get_objects() if type(found) is Request})

    app = house("echo?words=1&after_s=5").app
    before = kept()
    exchange = http("POST", MESSAGES)
    exchange.put(turn())
    async with under_way(app, exchange):
        await trio.sleep(1)
        assert kept() == before + 1
    assert kept() == before
