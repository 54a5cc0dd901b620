"""The entrance refuses in kind: every status is an Anthropic error object, and a fault of ours tells nothing of its cause."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import trio

from engine import EngineEvent, EventBus, InternalError
from engine.config import Server
from routes import Access, App, Front
from routes._asgi import LINGER_S
from tests.routes.asgi_driver import (
    CLOSED_SERVER,
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
        with trio.fail_after(LINGER_S + 1):
            await exchange.run(house(server=CLOSED_SERVER).app)
        assert exchange.status == 401

    async def test_a_refusal_of_a_whole_body_waits_for_nothing(self, autojump_clock: trio.testing.MockClock) -> None:
        """Only a body that is still on its way is waited for."""
        exchange = http("POST", MESSAGES)
        exchange.put(b"{")
        began = trio.current_time()
        await exchange.run(house().app)
        assert exchange.status == 400
        assert trio.current_time() - began < 0.1

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
    async def test_413_by_the_length_that_is_declared(
        self, autojump_clock: trio.testing.MockClock, declared: str
    ) -> None:
        """At once: nothing of the body is read."""
        exchange = http("POST", MESSAGES, headers=[("content-length", declared)])
        with trio.fail_after(LINGER_S + 1):
            await exchange.run(house(server=SMALL).app)
        assert exchange.head_at == 0
        assert (exchange.status, exchange.error[0]) == (413, "request_too_large")
        assert "max_body_mb" in exchange.error[1]

    async def test_413_by_the_bytes_that_come(self, autojump_clock: trio.testing.MockClock) -> None:
        """No length declared: the bytes are counted while they arrive, and reading stops."""
        exchange = http("POST", MESSAGES)
        exchange.put(b"x" * 600, more=True)
        exchange.put(b"x" * 600, more=True)
        with trio.fail_after(LINGER_S + 1):
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

    @pytest.mark.parametrize(
        ("method", "target"), [("POST", MESSAGES), ("GET", "/health"), ("HEAD", "/"), ("GET", "/x")]
    )
    async def test_400_for_two_lengths(self, method: str, target: str) -> None:
        """At every door, before anything else is looked at; nothing more is read from that connection."""
        headers = [("content-length", "2"), ("transfer-encoding", "chunked")]
        reply = await ask(house(server=CLOSED_SERVER).app, method, target, b"{}", headers=headers)
        assert (reply.status, reply.error[0]) == (400, "invalid_request_error")
        assert reply.header("connection") == "close"

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
        assert (reply.status, reply.error[0]) == (503, "api_error")
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
        return (
            Front(config=lambda: config, router=router, turns=router, bus=bus, people=broken, log=lines.append),
            stated,
            lines,
        )

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
