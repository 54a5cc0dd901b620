"""The entrance: who is let in through which door, and what a path or a token says of the model."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Server
from tests.routes.asgi_driver import (
    CLOSED_SERVER,
    OPEN_SERVER,
    TOKEN,
    ask,
    house,
    turn,
)

MESSAGES = "/v1/messages"


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
    ("GET", "//health"),
    ("GET", "/health/../providers"),
    ("GET", "/READY"),
]


class TestDoors:
    @pytest.mark.parametrize(
        "target", ["/", "//", "/health", "/health/", "/ready", "/ready/", "/health?x=1", "/health/?x=1"]
    )
    async def test_that_hold_no_data_are_open(self, target: str) -> None:
        """Without a token, for health checks and for a first look; a slash at the end changes nothing."""
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
        if target.rstrip("/") in ("/health", "/ready", ""):
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
