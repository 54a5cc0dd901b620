"""What goes wrong on a socket, and what it is taken for."""

from __future__ import annotations

from typing import Any

import attrs
import orjson
import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import WebSocketConnection

from engine import AttemptError, Learned
from policies import FailureKind
from tests.transports.sockets.host import Host, answer, called, error, failing, numbered, say, spoken
from tests.transports.sockets.stage import (
    FIRST,
    SECOND,
    TOOLS,
    Stage,
    asking,
    kinds,
    staged,
    text_of,
)


class TestFailures:
    """How a turn can end badly, by the phase it is in."""

    async def failure(self, stage: Stage, *messages: Any) -> Any:
        with pytest.raises(AttemptError) as failed:
            await stage.turn(*(messages or FIRST), tools=TOOLS)
        await trio.testing.wait_all_tasks_blocked()
        return failed.value.failure

    async def test_a_rested_socket_that_is_dead_is_worth_one_more_try(self, autojump_clock: MockClock) -> None:
        """As for any reused connection; that try has a new socket and tells everything."""
        host = Host(numbered(called()))

        async def drop(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await trio.aclose_forcefully(ws._stream)

        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            host.scripts.append(drop)
            failure = await self.failure(stage, *SECOND)
            assert (failure.kind, failure.stale) == (FailureKind.RESET, True)
            assert kinds(await stage.turn(*SECOND, tools=TOOLS))[-1] == "message_stop"
            assert host.on == [0, 0, 1]

    @pytest.mark.parametrize("frames", [1, 3, 5])
    @pytest.mark.parametrize("farewell", [True, False])
    async def test_a_close_before_the_end_is_a_break(
        self, autojump_clock: MockClock, frames: int, farewell: bool
    ) -> None:
        """From the first frame on, and whether or not the host says good-bye."""

        async def leave(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await say(ws, *answer(spoken())[:frames])
            if farewell:
                await ws.aclose(1001)
            else:
                await trio.aclose_forcefully(ws._stream)

        async with staged(Host(leave)) as stage:
            failure = await self.failure(stage)
            assert (failure.kind, failure.stale) == (FailureKind.RESET, False)
            assert len(stage.sockets.shelf) == 0
            assert stage.spare.asked == []

    @pytest.mark.parametrize("frame", ["no json", "[1]", '"x"', "null", "", b"\xff\x00"])
    @pytest.mark.parametrize("before", [0, 4])
    async def test_a_frame_that_is_no_event_is_malformed(
        self, autojump_clock: MockClock, frame: str | bytes, before: int
    ) -> None:
        """First or later."""

        async def junk(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await say(ws, *answer(spoken())[:before])
            await ws.send_message(frame)

        async with staged(Host(junk)) as stage:
            assert (await self.failure(stage)).kind is FailureKind.MALFORMED
            assert stage.host.live == 0

    @pytest.mark.parametrize(
        ("script", "kind", "status"),
        [
            (failing("rate_limit_exceeded", status=429, message="slow down"), FailureKind.RATE_LIMITED, 429),
            (failing("invalid_api_key", status=401), FailureKind.AUTH, 401),
            (failing("insufficient_quota", status=429), FailureKind.QUOTA, 429),
            (failing("server_error", status=500), FailureKind.SERVER, 500),
            (failing("invalid_prompt", status=400, message="bad"), FailureKind.CLIENT, 400),
            (failing("context_length_exceeded", status=400), FailureKind.TOO_LONG, 400),
            (failing("server_is_overloaded"), FailureKind.OVERLOADED, 200),
            (failing("context_length_exceeded"), FailureKind.TOO_LONG, 200),
        ],
    )
    async def test_an_error_frame_means_what_it_would_mean_over_http(
        self, script: Any, kind: FailureKind, status: int
    ) -> None:
        """With a status it is a refusal; without one its words are judged. The socket is not used again."""
        async with staged(Host(script)) as stage:
            failure = await self.failure(stage)
            assert (failure.kind, failure.status) == (kind, status)
            assert stage.host.live == 0
            assert stage.spare.asked == []

    async def test_an_error_frame_says_how_long_to_wait_and_what_to_leave_out(self, autojump_clock: MockClock) -> None:
        """Its headers count, and its field is repaired as over HTTP."""
        headers = {"Retry-After": "7"}
        host = Host(failing("rate_limit_exceeded", status=429, headers=headers))
        async with staged(host) as stage:
            assert (await self.failure(stage)).retry_after_s == 7.0
            refused = error("unsupported_parameter", status=400, message="Unsupported parameter: 'store'")
            refused["error"]["param"] = "store"

            async def refuse(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
                await say(ws, refused)

            host.scripts.append(refuse)
            failure = await self.failure(stage)
            assert (failure.kind, failure.fields) == (FailureKind.FIELD, frozenset(["store"]))
            host.usual = numbered(called())
            mended = attrs.evolve(asking(*FIRST, tools=TOOLS), learned=Learned(without=frozenset(["store"])))
            assert kinds(await stage.of(mended))[-1] == "message_stop"
            assert "store" not in host.requests[-1]

    @pytest.mark.parametrize("stated", [{"status": 429}, {}])
    async def test_an_error_of_any_depth_is_an_error(self, autojump_clock: MockClock, stated: dict[str, Any]) -> None:
        """It is read and cannot be written again."""

        async def deep(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            frame = orjson.dumps({"type": "error", **stated, "error": {"message": "no", "x": 0}}).decode()
            await ws.send_message(frame.replace('"x":0', f'"x":{"[" * 400}{"]" * 400}'))

        async with staged(Host(deep)) as stage:
            kind = FailureKind.RATE_LIMITED if stated else FailureKind.ERROR_EVENT
            assert (await self.failure(stage)).kind is kind

    async def test_an_error_behind_announcements_is_still_a_refusal(self, autojump_clock: MockClock) -> None:
        """A host that is overloaded says so after it has announced an answer."""

        async def overloaded(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            created = answer(spoken())[0]
            failed = {"status": "failed", "error": {"code": "server_is_overloaded", "message": "try later"}}
            await say(ws, created, {"type": "response.failed", "response": {**created["response"], **failed}})

        async with staged(Host(overloaded)) as stage:
            failure = await self.failure(stage)
            assert failure.kind is FailureKind.OVERLOADED
            assert stage.host.live == 0

    async def test_an_error_after_content_ends_the_stream_as_one(self, autojump_clock: MockClock) -> None:
        """Which the engine takes from there; the socket is not used again."""

        async def break_down(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await say(ws, *answer(spoken())[:4], error("server_error", status=500, message="boom"))

        async with staged(Host(break_down)) as stage:
            events = await stage.turn(*FIRST)
            assert text_of(events) == "hello"
            assert events[-1].kind.value == "error"
            await trio.testing.wait_all_tasks_blocked()
            assert stage.host.live == 0

    async def test_a_key_that_a_host_quotes_is_struck_out(self, autojump_clock: MockClock) -> None:
        """In a refusal, in an error after content, and in a farewell."""
        quoting = "no: secret-key"

        async def after_content(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await say(ws, *answer(spoken())[:4], error("x", message=quoting))

        async def farewell(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await say(ws, answer(spoken())[0])
            await ws.aclose(1008, quoting)

        host = Host(failing("x", status=400, message=quoting))
        async with staged(host) as stage:
            host.scripts += [host.usual, after_content, farewell]
            told = [(await self.failure(stage)).message]
            told.append((await stage.turn(*FIRST))[-1].raw.decode())
            told.append((await self.failure(stage)).message)
            assert all("no: [key]" in text and "secret" not in text for text in told)

    async def test_silence_is_left_to_the_engine(self, autojump_clock: MockClock) -> None:
        """Whoever has waited long enough cancels, before the first frame or after it; the host sees the end at once."""

        async def quiet(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await say(ws, *answer(spoken())[: len(stage.host.requests) % 2 * 4])

        async with staged(Host(quiet)) as stage:
            for _ in range(2):
                with trio.move_on_after(60) as scope:
                    await stage.turn(*FIRST)
                assert scope.cancelled_caught
                await trio.testing.wait_all_tasks_blocked()
                assert stage.host.live == 0
                assert len(stage.sockets.shelf) == 0
