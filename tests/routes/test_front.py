"""The entrance: who is let in, what is refused and how, what is counted and given back, and what the log does not hold."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.logs import log_access, log_event
from engine import EngineEvent, EventBus, InternalError, Request, RequestFinished
from engine.config import Server
from routes import Access, App, Front
from server import build
from tests.routes.asgi_driver import (
    CLOSED_SERVER,
    OPEN_SERVER,
    TOKEN,
    Exchange,
    ask,
    house,
    http,
    rehearsing,
    turn,
    under_way,
)

MESSAGES = "/v1/messages"
SMALL = Server(max_body_bytes=1000, max_total_body_bytes=2500, body_s=5.0)


class TestErrors:
    """Each is an Anthropic error object with the request's id; `Exchange.error` checks the form."""

    @pytest.mark.parametrize("given", [None, "wrong", TOKEN[:-1], TOKEN + "x", "", f"wrong:{TOKEN}"])
    @pytest.mark.parametrize("header", ["authorization", "x-api-key", "anthropic-auth-token"])
    async def test_401_names_the_variable_and_the_headers(self, given: str | None, header: str) -> None:
        """What is wrong, and where the right one goes; never what was sent."""
        value = f"Bearer {given}" if header == "authorization" else given
        headers = [] if value is None or given is None else [(header, value)]
        reply = await ask(house(server=CLOSED_SERVER).app, "POST", MESSAGES, turn(), headers=headers)
        kind, message = reply.error
        assert (reply.status, kind) == (401, "authentication_error")
        assert "ANTHROPIC_AUTH_TOKEN" in message
        assert "x-api-key" in message
        assert TOKEN not in message
        assert reply.header("x-should-retry") == "false"

    async def test_401_leaves_the_body_unread_and_ends(self, autojump_clock: trio.testing.MockClock) -> None:
        """The rest of the body comes, or does not; the handler is done either way."""
        exchange = http("POST", MESSAGES)
        for _ in range(20):
            exchange.put(b"{" * 70_000, more=True)
        with trio.fail_after(1):
            await exchange.run(house(server=CLOSED_SERVER).app)
        assert exchange.status == 401

    @pytest.mark.parametrize(
        "target", ["/nothing", "/v1/complete", "/v1/messages/batches", "/api/requests/req_0", "/openai/v1/messages/x"]
    )
    async def test_404_says_what_was_asked_for(self, target: str) -> None:
        """Paths that are no door, and a request nobody knows."""
        reply = await ask(house().app, "GET", target)
        assert (reply.status, reply.error[0]) == (404, "not_found_error")

    async def test_404_names_a_model_nobody_serves(self) -> None:
        """Claude Code takes a 404 for 'no such model', so this is the one thing it is used for on this door."""
        reply = await ask(house(match="claude-*").app, "POST", MESSAGES, turn("gpt-9"))
        assert (reply.status, reply.error[0]) == (404, "not_found_error")
        assert reply.error[1].startswith("model: ")
        assert "gpt-9" in reply.error[1]

    @pytest.mark.parametrize(
        ("method", "target", "allow"),
        [
            ("GET", MESSAGES, "POST, OPTIONS, HEAD"),
            ("DELETE", MESSAGES, "POST, OPTIONS, HEAD"),
            ("GET", "/v1/messages/count_tokens", "POST, OPTIONS, HEAD"),
            ("POST", "/v1/models", "GET, OPTIONS, HEAD"),
            ("POST", "/rehearsal/echo/v1/models", "GET, OPTIONS, HEAD"),
            ("PUT", "/health", "GET, HEAD"),
            ("POST", "/providers", "GET, HEAD"),
        ],
    )
    async def test_405_says_what_is_allowed(self, method: str, target: str, allow: str) -> None:
        """In `Allow`, for both halves."""
        reply = await ask(house().app, method, target)
        assert (reply.status, reply.error[0]) == (405, "invalid_request_error")
        assert reply.header("allow") == allow

    async def test_408_for_a_body_that_does_not_come(self, autojump_clock: trio.testing.MockClock) -> None:
        """At the limit, however steadily it drips."""
        exchange = http("POST", MESSAGES)
        async with under_way(house(server=SMALL).app, exchange):
            while not exchange.over.is_set():
                exchange.put(b"{", more=True)
                await trio.sleep(0.5)
        assert (exchange.status, exchange.error[0]) == (408, "timeout_error")
        assert "5 s" in exchange.error[1]
        assert exchange.head_at == 5

    @pytest.mark.parametrize("declared", ["1001", "100000000", "9" * 19])
    async def test_413_by_the_length_that_is_declared(self, declared: str) -> None:
        """At once: nothing of the body is read."""
        exchange = http("POST", MESSAGES, headers=[("content-length", declared)])
        with trio.fail_after(1):
            await exchange.run(house(server=SMALL).app)
        assert (exchange.status, exchange.error[0]) == (413, "request_too_large")
        assert "max_body_mb" in exchange.error[1]

    async def test_413_by_the_bytes_that_come(self) -> None:
        """No length declared: the bytes are counted while they arrive, and reading stops."""
        exchange = http("POST", MESSAGES)
        exchange.put(b"x" * 600, more=True)
        exchange.put(b"x" * 600, more=True)
        with trio.fail_after(1):
            await exchange.run(house(server=SMALL).app)
        assert (exchange.status, exchange.error[0]) == (413, "request_too_large")

    async def test_a_body_of_exactly_the_limit_passes(self, autojump_clock: trio.testing.MockClock) -> None:
        """The limit is the largest that is served."""
        body = turn().ljust(1000)
        reply = await ask(house(server=SMALL).app, "POST", MESSAGES, body, headers=[("content-length", "1000")])
        assert reply.status == 200

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            (b"", "the body is not valid JSON"),
            (b"{'model'", "line 1, column 2"),
            (b'{"model": "m",\n "messages": [}', "line 2, column"),
            (b"[]", "must be a JSON object, got an empty list"),
            (b"{}", "model: field required"),
            (b'{"model": 5, "messages": []}', "model: expected a model name, got 5"),
            (turn(model="  "), "model: expected a model name"),
            (b'{"model": "m", "max_tokens": 5}', "messages: field required"),
            (turn(messages=[]), "messages: expected a list of at least one message, got an empty list"),
            (turn(messages=["hi"]), "messages[0]: expected an object, got a string"),
            (turn(messages=[{"role": "user", "content": None}]), "messages[0].content"),
            (turn(max_tokens=0), "max_tokens: expected a whole number above 0, got 0"),
            (turn(max_tokens=True), "max_tokens"),
            (turn(stream="yes"), "stream: expected true or false, got a string"),
            (b'{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "\xff"}]}', "not valid JSON"),
        ],
    )
    async def test_400_names_the_place(self, body: bytes, told: str) -> None:
        """The field or the line, what was found and what is expected."""
        reply = await ask(house().app, "POST", MESSAGES, body)
        assert (reply.status, reply.error[0]) == (400, "invalid_request_error")
        assert told in reply.error[1]

    async def test_400_repeats_no_prompt(self) -> None:
        """What may be somebody's words is described, not quoted."""
        bodies = [
            turn(stream="PLANTED"),
            turn(messages="PLANTED"),
            turn(messages=["PLANTED"]),
            turn()[:-4] + b"PLANTED",
        ]
        for body in bodies:
            reply = await ask(house().app, "POST", MESSAGES, body)
            assert reply.status == 400
            assert b"PLANTED" not in reply.body

    async def test_505_for_http_2(self) -> None:
        """There is no back-pressure on it here."""
        reply = await ask(house().app, "POST", MESSAGES, turn(), version="2")
        assert (reply.status, reply.error[0]) == (505, "api_error")
        assert "HTTP/1.1" in reply.error[1]

    async def test_503_while_the_server_stops(self) -> None:
        """A connection that was open already may still ask; it is told when to come back."""
        built = house()
        built.router.refuse_new()
        reply = await ask(built.app, "POST", MESSAGES, turn())
        assert (reply.status, reply.error[0]) == (503, "overloaded_error")
        assert reply.header("retry-after") == "2"


class _Broken:
    """Stands for a router, or for the doors for people, with a bug that quotes a prompt."""

    def __init__(self, head: bool = False) -> None:
        self.head = head

    async def serve(self, request: Any, reply: Any) -> None:
        raise ValueError("PLANTED")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.head:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("PLANTED")


class TestLastResort:
    """A fault of ours: the client learns that there was one, the operator where, and nobody what was being said."""

    def front(self, broken: _Broken) -> tuple[App, list[EngineEvent], list[Access]]:
        config, bus = rehearsing(), EventBus()
        stated: list[EngineEvent] = []
        lines: list[Access] = []
        bus.add(stated.append)
        router: Any = broken
        return Front(config=lambda: config, router=router, bus=bus, people=broken, log=lines.append), stated, lines

    @pytest.mark.parametrize(("method", "target"), [("POST", MESSAGES), ("GET", "/providers")])
    async def test_is_a_500_without_a_word_of_the_cause(self, method: str, target: str) -> None:
        """Neither message nor traceback leaves; the event holds the place only."""
        front, stated, lines = self.front(_Broken())
        reply = await ask(front, method, target, turn())
        assert (reply.status, reply.error[0]) == (500, "api_error")
        for leak in (b"PLANTED", b"ValueError", b"Traceback", b".py"):
            assert leak not in reply.body
        (event,) = stated
        assert isinstance(event, InternalError)
        assert event.request_id == reply.header("request-id") == lines[0].request_id
        assert "ValueError" in event.trace
        assert "test_front.py" in event.trace
        assert "PLANTED" not in event.trace
        assert lines[0].status == 500

    async def test_after_the_head_is_a_broken_connection(self) -> None:
        """There is no status left to send, so no end is sent either."""
        front, stated, _ = self.front(_Broken(head=True))
        reply = await ask(front, "GET", "/providers")
        assert (reply.status, reply.ended, len(stated)) == (200, False, 1)


class TestProbes:
    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
    @pytest.mark.parametrize(
        ("target", "allow"),
        [
            ("/", "GET, OPTIONS, HEAD"),
            ("/health", "GET, OPTIONS, HEAD"),
            ("/api/hello", "GET, OPTIONS, HEAD"),
            (MESSAGES, "POST, OPTIONS, HEAD"),
            (MESSAGES + "?beta=true", "POST, OPTIONS, HEAD"),
            ("/v1/messages/count_tokens", "POST, OPTIONS, HEAD"),
            ("/v1/models", "GET, OPTIONS, HEAD"),
            ("/rehearsal:echo/v1/messages", "POST, OPTIONS, HEAD"),
            ("/rehearsal/echo/v1/models", "GET, OPTIONS, HEAD"),
        ],
    )
    async def test_are_answered_to_anybody(self, method: str, target: str, allow: str) -> None:
        """204 with `Allow`, no body, no token asked for."""
        reply = await ask(house(server=CLOSED_SERVER).app, method, target)
        assert (reply.status, reply.body, reply.header("allow")) == (204, b"", allow)
        assert reply.header("content-length") is None
        assert (reply.header("request-id") or "").startswith("req_")

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
    async def test_of_other_doors_need_the_token(self, method: str) -> None:
        """A length tells something too."""
        assert (await ask(house(server=CLOSED_SERVER).app, method, "/providers")).status == 401


CLOSED_DOORS = [
    ("POST", MESSAGES),
    ("POST", "/v1/messages/count_tokens"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models?limit=1000"),
    ("POST", "/rehearsal/echo/v1/messages"),
    ("GET", "/providers"),
    ("POST", "/providers/reload"),
    ("GET", "/api/requests"),
    ("GET", "/api/requests/req_0"),
    ("GET", "/api/hello"),
    ("GET", "/metrics"),
    ("GET", "/nothing"),
    ("GET", "/health/"),
    ("GET", "//health"),
    ("GET", "/health/../providers"),
    ("GET", "/READY"),
]


class TestDoors:
    @pytest.mark.parametrize("target", ["/", "/health", "/ready", "/health?x=1"])
    async def test_that_hold_no_data_are_open(self, target: str) -> None:
        """Without a token, for health checks and for a first look."""
        reply = await ask(house(server=CLOSED_SERVER).app, "GET", target)
        assert reply.status == 200
        assert (reply.header("request-id") or "").startswith("req_")

    @pytest.mark.parametrize(("method", "target"), CLOSED_DOORS)
    async def test_are_closed_otherwise(self, method: str, target: str) -> None:
        """Also those that do not exist: nobody outside learns which do."""
        reply = await ask(house(server=CLOSED_SERVER).app, method, target, turn())
        assert (reply.status, reply.error[0]) == (401, "authentication_error")

    @pytest.mark.parametrize(("method", "target"), CLOSED_DOORS)
    async def test_let_the_token_in(self, method: str, target: str, autojump_clock: trio.testing.MockClock) -> None:
        """Whatever the answer then is, it is not a 401."""
        reply = await ask(house(server=CLOSED_SERVER).app, method, target, turn(), token=TOKEN)
        assert reply.status in (200, 404, 405)

    @settings(max_examples=40)
    @given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=40))
    def test_no_other_path_opens(self, path: str) -> None:
        """Every path but the open ones is answered with 401, whatever it is made of."""
        target = "/" + path
        if target in ("/health", "/ready", "/"):
            return
        app = house(server=CLOSED_SERVER).app

        async def main() -> int:
            return (await ask(app, "GET", target)).status

        assert trio.run(main) == 401

    @pytest.mark.parametrize("header", ["authorization", "x-api-key", "anthropic-auth-token"])
    async def test_take_the_token_in_any_of_three_headers(self, header: str) -> None:
        """Claude Code uses two of them, other clients the third."""
        value = f"Bearer {TOKEN}" if header == "authorization" else TOKEN
        reply = await ask(house(server=CLOSED_SERVER).app, "GET", "/providers", headers=[(header, value)])
        assert reply.status == 200

    @pytest.mark.parametrize(
        "target",
        [
            "/rehearsal/echo%3Fwords=1/v1/messages",
            "/rehearsal:echo%3Fwords=1/v1/messages",
            "/rehearsal:echo%3Fwords%3D1/v1/messages?beta=true",
            "/rehearsal%2Fecho%3Fwords=1/v1/messages/",
            "/rehearsal/echo%3Fwords=1/v1/v1/messages",
        ],
    )
    async def test_name_a_candidate_in_their_prefix(self, target: str, autojump_clock: trio.testing.MockClock) -> None:
        """Encoded or not, with a stray `/v1`, a slash at the end and a query: that candidate answers."""
        reply = await ask(house("echo?words=7").app, "POST", target, turn())
        assert reply.header("x-hedgerow-candidate") == "rehearsal/echo?words=1"

    @pytest.mark.parametrize("server", [OPEN_SERVER, CLOSED_SERVER])
    async def test_name_a_candidate_in_the_token(self, server: Server, autojump_clock: trio.testing.MockClock) -> None:
        """Behind the first colon of the credential; where no token is set, any word does before it."""
        token = f"{TOKEN}:rehearsal/echo?words=1"
        reply = await ask(house("echo?words=7", server=server).app, "POST", MESSAGES, turn(), token=token)
        assert reply.header("x-hedgerow-candidate") == "rehearsal/echo?words=1"

    async def test_of_the_other_kind_are_refused(self) -> None:
        """A WebSocket that no door takes is closed before it is accepted."""
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        await house().app({"type": "websocket", "path": "/api/events", "headers": []}, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}]


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
            assert (third.status, third.error[0]) == (503, "overloaded_error")
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


async def test_every_answer_has_an_id_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    """Whatever the door and whatever the status, once, and never the same twice."""
    app = house(server=SMALL).app
    asked = [
        await ask(app, method, target, body)
        for method, target, body in [
            ("POST", MESSAGES, turn()),
            ("POST", MESSAGES, turn(stream=False)),
            ("POST", MESSAGES, b"{"),
            ("POST", MESSAGES, b" " * 2000),
            ("POST", "/v1/messages/count_tokens", turn()),
            ("GET", "/v1/models", b""),
            ("GET", MESSAGES, b""),
            ("GET", "/", b""),
            ("GET", "/providers", b""),
            ("GET", "/nothing", b""),
            ("PUT", "/health", b""),
            ("OPTIONS", "/", b""),
        ]
    ]
    ids = [reply.header("request-id") or "" for reply in asked]
    assert all(id.startswith("req_") for id in ids)
    assert len(set(ids)) == len(ids)


async def test_the_lifespan_is_answered_and_starts_nothing() -> None:
    """What runs in the background runs beside the server, where a crash is seen."""
    sent: list[str] = []
    messages = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> Any:
        return {"type": next(messages)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await house().app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_body_is_forgotten_when_its_turn_is_over(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing keeps past requests: neither the books nor the records of the last ones."""

    def kept() -> int:
        gc.collect()
        return sum(type(found) is Request for found in gc.get_objects())

    app = house("echo?words=1&after_s=5").app
    before = kept()
    exchange = http("POST", MESSAGES)
    exchange.put(turn())
    async with under_way(app, exchange):
        await trio.sleep(1)
        assert kept() == before + 1
    assert kept() == before


def test_the_driver_takes_no_nonsense() -> None:
    """It would be no test of anything otherwise."""

    async def main(messages: list[dict[str, Any]]) -> None:
        exchange = Exchange({"type": "http"})
        for message in messages:
            await exchange.send(message)

    start: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
    last: dict[str, Any] = {"type": "http.response.body", "body": b""}
    for wrong in ([last], [start, start], [start, last, last]):
        with pytest.raises(AssertionError, match="state"):
            trio.run(main, wrong)
    assert orjson.loads(turn())["stream"] is True
