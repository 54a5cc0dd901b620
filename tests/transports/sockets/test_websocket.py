"""Turns over sockets: what is sent, which socket takes it, and when it is HTTP after all."""

from __future__ import annotations

import ssl
from typing import Any

import attrs
import orjson
import pytest
import trio
import trio.testing
import trustme
from trio.testing import MockClock
from trio_websocket import WebSocketConnection

from engine import AttemptError, Learned, StreamEvent
from engine.config import Secret
from policies import FailureKind
from tests.transports.sockets.host import Host, answer, answering, called, error, failing, numbered, say, spoken
from tests.transports.sockets.stage import (
    HTTP,
    TOOLS,
    Stage,
    asking,
    assistant,
    everything,
    kinds,
    result,
    staged,
    text_of,
    use,
    user,
)
from transports import _shelf, _socket_turn, websocket
from transports._connection import client_context, open_tcp

FIRST = (user("hi"),)
SECOND = (*FIRST, assistant(use()), user(result()))


def news(asked: dict[str, Any]) -> tuple[str | None, list[str]]:
    """From whose answer a request goes on, and the kinds of the items that it brings."""
    kinds = [item.get("role") or item["type"] for item in asked["input"]]
    return asked.get("previous_response_id"), kinds


async def loop(stage: Stage) -> None:
    """A first turn that calls a tool, and a second with its result."""
    await stage.turn(*FIRST, tools=TOOLS)
    await stage.turn(*SECOND, tools=TOOLS)


class TestATurn:
    """One request, one answer."""

    async def test_is_one_frame_and_the_events_of_its_answer(self, autojump_clock: MockClock) -> None:
        """The dialect's body without what means nothing on a socket; the key in the head and nowhere else."""
        async with staged(Host(answering(spoken("hello")))) as stage:
            events = await stage.turn(*FIRST)
            assert text_of(events) == "hello"
            assert kinds(events)[0] == "message_start"
            assert kinds(events)[-1] == "message_stop"
            (sent,) = stage.host.requests
            assert (sent["type"], sent["model"], sent["store"]) == ("response.create", "m", False)
            assert not {"stream", "background", "previous_response_id"} & sent.keys()
            (head,) = stage.host.heads
            assert head["authorization"] == "Bearer secret-key"
            assert "secret-key" not in str(sent)
            assert not {"content-type", "accept", "accept-encoding"} & head.keys()
            assert stage.host.paths == ["/responses"]
            assert stage.spare.asked == []

    async def test_can_be_read_as_it_comes(self, autojump_clock: MockClock) -> None:
        """A text is handed on before the answer is over."""

        async def slow(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            frames = answer(spoken("hello"))
            await say(ws, *frames[:4])
            await trio.sleep(9)
            await say(ws, *frames[4:])

        async with staged(Host(slow)) as stage, stage.sockets.open(asking(*FIRST)) as upstream:
            events: list[StreamEvent] = []
            while not text_of(events):
                events += await upstream.read() or []
            assert trio.current_time() < 1
            assert kinds(await everything(upstream))[-1] == "message_stop"

    async def test_counts_its_tokens(self, autojump_clock: MockClock) -> None:
        """From the last frame."""
        async with staged(Host(answering(spoken()))) as stage:
            delta = next(e for e in await stage.turn(*FIRST) if e.kind.value == "message_delta")
            assert delta.payload["usage"]["output_tokens"] == 5


class TestALoop:
    """What a second turn sends."""

    async def test_goes_on_with_what_is_new(self, autojump_clock: MockClock) -> None:
        """On the same socket, from the last answer."""
        async with staged(Host(numbered(called()))) as stage:
            await loop(stage)
            assert [news(sent) for sent in stage.host.requests] == [
                (None, ["user"]),
                ("resp_1", ["function_call_output"]),
            ]
            assert stage.host.on == [0, 0]
            assert "instructions" not in stage.host.requests[1]
            assert stage.host.requests[1]["tools"][0]["name"] == "Read"

    async def test_of_twenty_turns_stays_on_one_socket(self, autojump_clock: MockClock) -> None:
        """Each sends one item, whatever the conversation has grown to."""
        messages = [user("hi")]
        count = 0

        async def next_call(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            nonlocal count
            count += 1
            await say(ws, *answer(called(call_id=f"call_{count}"), id=f"resp_{count}"))

        async with staged(Host(next_call)) as stage:
            for number in range(1, 21):
                await stage.turn(*messages, tools=TOOLS)
                messages += [assistant(use(f"call_{number}")), user(result(f"call_{number}"))]
            assert stage.host.opened == 1
            assert [news(sent) for sent in stage.host.requests[1:]] == [
                (f"resp_{number}", ["function_call_output"]) for number in range(1, 20)
            ]

    @pytest.mark.parametrize(
        "second",
        [
            (user("ho"), assistant(use()), user(result())),
            (*FIRST, assistant(use("call_9")), user(result("call_9"))),
            (*FIRST, assistant("no call"), user("and?")),
            (user("a summary"),),
            FIRST,
        ],
    )
    async def test_that_is_another_conversation_has_a_socket_of_its_own(
        self, autojump_clock: MockClock, second: tuple[Any, ...]
    ) -> None:
        """In full; the first keeps its state for whoever goes on with it."""
        async with staged(Host(numbered(called()))) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            await stage.turn(*second, tools=TOOLS)
            assert stage.host.on == [0, 1]
            assert "previous_response_id" not in stage.host.requests[1]
            await stage.turn(*SECOND, tools=TOOLS)
            assert stage.host.on == [0, 1, 0]
            assert news(stage.host.requests[2]) == ("resp_1", ["function_call_output"])

    @pytest.mark.parametrize(
        "other",
        [
            {"session": "s2"},
            {"agent": "a2"},
            {"key": "another-key"},
            {"model": "n"},
            {"provider": {"id": "other"}},
            {"provider": {"base_url": "http://other.test"}},
        ],
    )
    async def test_of_somebody_else_has_a_socket_of_its_own(
        self, autojump_clock: MockClock, other: dict[str, Any]
    ) -> None:
        """Another session, agent, key, model, provider or address, though every word of it is the same."""
        async with staged(Host(numbered(called()))) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            await stage.turn(*SECOND, tools=TOOLS, **other)
            assert stage.host.on == [0, 1]
            assert "previous_response_id" not in stage.host.requests[1]

    async def test_whose_answer_was_cut_is_told_in_full(self, autojump_clock: MockClock) -> None:
        """Nobody says that an incomplete answer can be gone on from."""
        reason: dict[str, Any] = {"incomplete_details": {"reason": "max_output_tokens"}}
        async with staged(Host(answering(spoken(), status="incomplete", **reason))) as stage:
            await stage.turn(*FIRST)
            await stage.turn(*FIRST, assistant("hello"), user("more"))
            assert stage.host.on == [0, 1]
            assert "previous_response_id" not in stage.host.requests[1]

    async def test_that_the_host_has_forgotten_is_told_in_full_at_once(self, autojump_clock: MockClock) -> None:
        """On the same socket, once, and the client sees nothing of it; the answer can be gone on from."""
        host = Host(numbered(called()))
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            again = answering(called(call_id="call_2"), id="resp_2")
            host.scripts += [failing("previous_response_not_found", status=400), again]
            assert kinds(await stage.turn(*SECOND, tools=TOOLS))[-1] == "message_stop"
            assert [news(sent) for sent in host.requests] == [
                (None, ["user"]),
                ("resp_1", ["function_call_output"]),
                (None, ["user", "function_call", "function_call_output"]),
            ]
            assert host.on == [0, 0, 0]
            third = (*SECOND, assistant(use("call_2")), user(result("call_2")))
            await stage.turn(*third, tools=TOOLS)
            assert host.requests[-1]["previous_response_id"] == "resp_2"

    async def test_that_is_forgotten_twice_has_failed(self, autojump_clock: MockClock) -> None:
        """A host that does not find what was not named is out of order."""
        host = Host(numbered(called()))
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            host.scripts += [failing("previous_response_not_found", status=400)] * 2
            with pytest.raises(AttemptError) as failed:
                await stage.turn(*SECOND, tools=TOOLS)
            assert failed.value.failure.status == 400
            assert len(host.requests) == 3

    async def test_that_fails_is_told_in_full_the_next_time(self, autojump_clock: MockClock) -> None:
        """A failed continuation takes the host's state with it."""
        host = Host(numbered(called()))
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            host.scripts.append(failing("server_error", status=500))
            with pytest.raises(AttemptError):
                await stage.turn(*SECOND, tools=TOOLS)
            await stage.turn(*SECOND, tools=TOOLS)
            assert news(host.requests[2]) == (None, ["user", "function_call", "function_call_output"])
            assert host.on == [0, 0, 1]

    async def test_on_a_socket_that_may_live_no_longer_moves_to_a_new_one(self, autojump_clock: MockClock) -> None:
        """In full, unseen."""
        host = Host(numbered(called()))
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            host.scripts.append(failing("websocket_connection_limit_reached", status=400))
            assert kinds(await stage.turn(*SECOND, tools=TOOLS))[-1] == "message_stop"
            assert host.on == [0, 0, 1]
            assert news(host.requests[2]) == (None, ["user", "function_call", "function_call_output"])

    async def test_on_new_sockets_that_may_not_live_has_failed(self, autojump_clock: MockClock) -> None:
        """Once is enough."""
        async with staged(Host(failing("websocket_connection_limit_reached"))) as stage:
            with pytest.raises(AttemptError) as failed:
                await stage.turn(*FIRST)
            assert failed.value.failure.kind is FailureKind.RESET
            assert stage.host.opened == 1


class TestTwoAtATime:
    """Turns of one session that overlap."""

    async def test_do_not_wait_for_each_other(self, autojump_clock: MockClock) -> None:
        """Each has a socket; both come to rest."""

        async def slow(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await trio.sleep(5)
            await say(ws, *answer(spoken()))

        async with staged(Host(slow)) as stage:
            async with trio.open_nursery() as nursery:
                for text in "abc":
                    nursery.start_soon(stage.turn, user(text))
            assert trio.current_time() == pytest.approx(5)
            assert sorted(stage.host.on) == [0, 1, 2]
            assert len(stage.sockets.shelf) == 3

    async def test_and_go_on_from_one_answer_do_not_share_it(self, autojump_clock: MockClock) -> None:
        """The second finds the socket lent, and tells everything on its own."""

        async def slow(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await trio.sleep(5)
            await say(ws, *answer(called(), id="resp_9"))

        host = Host(numbered(called()))
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            host.usual = slow
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(lambda: stage.turn(*SECOND, tools=TOOLS))
            assert sorted(host.on) == [0, 0, 1]
            assert sum("previous_response_id" in sent for sent in host.requests) == 1


class TestOverHTTP:
    """Turns that need no socket, or find none."""

    @pytest.mark.parametrize(
        "more",
        [
            {"session": ""},
            {"beside": True},
            {"provider": {"websocket": False}},
            {"provider": {"proxy": "set below"}},
            {"provider": {"base_url": "not an address"}},
        ],
    )
    async def test_goes_what_is_not_for_sockets(self, autojump_clock: MockClock, more: dict[str, Any]) -> None:
        """Nothing to go on from later, started beside another, not configured, through a proxy, an address that is none."""
        if "proxy" in more.get("provider", {}):
            more = {"provider": {"proxy": Secret("http://h:1", "proxy")}}
        async with staged(Host(answering(spoken()))) as stage:
            assert await stage.turn(*FIRST, **more) == [HTTP]
            assert stage.host.opened == 0

    async def test_goes_everything_where_nobody_owns_sockets(self, autojump_clock: MockClock) -> None:
        """Under a server that is not ours there is no task for them."""
        async with staged(Host(answering(spoken())), running=False) as stage:
            assert await stage.turn(*FIRST) == [HTTP]

    async def test_goes_what_is_larger_than_a_frame_should_be(
        self, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """But not a turn of the same conversation that has little to say."""
        host = Host(numbered(called()))
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            monkeypatch.setattr(_socket_turn, "MAX_SENT", 600)
            long = (user("hi", "x" * 600), assistant(use()), user(result()))
            assert await stage.turn(*long, tools=TOOLS) == [HTTP]
            assert kinds(await stage.turn(*SECOND, tools=TOOLS))[-1] == "message_stop"
            assert host.opened == 1

    @pytest.mark.parametrize("status", [403, 404, 405, 426, 400, 200])
    async def test_goes_a_refused_upgrade_at_once_and_what_comes_after_it(
        self, autojump_clock: MockClock, status: int
    ) -> None:
        """The host is asked again after ten minutes."""
        host = Host(answering(spoken()))
        host.raw.append(status)
        async with staged(host) as stage:
            assert await stage.turn(*FIRST) == [HTTP]
            assert trio.current_time() == 0
            assert await stage.turn(*FIRST) == [HTTP]
            assert host.opened == 1
            assert await stage.turn(*FIRST, provider={"base_url": "http://other.test"}) != [HTTP]
            await trio.sleep(websocket.HTTP_ONLY_S)
            assert text_of(await stage.turn(*FIRST)) == "hello"

    @pytest.mark.parametrize("status", [401, 429, 500, 503])
    async def test_goes_a_refusal_of_the_moment_and_no_more_than_that(
        self, autojump_clock: MockClock, status: int
    ) -> None:
        """What it is about, the key or the load, is told over HTTP."""
        host = Host(answering(spoken()))
        host.raw.append(status)
        async with staged(host) as stage:
            assert await stage.turn(*FIRST) == [HTTP]
            assert text_of(await stage.turn(*FIRST)) == "hello"

    async def test_goes_a_turn_whose_host_never_answers_the_upgrade(self, autojump_clock: MockClock) -> None:
        """After the time for connecting, once."""

        async def silent(stream: trio.abc.Stream) -> None:
            while await stream.receive_some():
                pass

        host = Host(answering(spoken()))
        host.raw.append(silent)
        async with staged(host) as stage:
            assert await stage.turn(*FIRST) == [HTTP]
            assert trio.current_time() == pytest.approx(8.0)
            await host.until(lambda: host.live == 0)
            assert await stage.turn(*FIRST) == [HTTP]
            assert trio.current_time() == pytest.approx(8.0)

    async def test_goes_a_turn_whose_new_socket_ends_without_a_frame(self, autojump_clock: MockClock) -> None:
        """Something in between takes upgrades and no turns."""

        async def leave(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await ws.aclose(1008, "no")

        async with staged(Host(leave)) as stage:
            assert await stage.turn(*FIRST) == [HTTP]
            assert await stage.turn(*FIRST) == [HTTP]
            assert stage.host.opened == 1

    async def test_goes_a_turn_to_a_host_that_cannot_be_reached(self, autojump_clock: MockClock) -> None:
        """Which HTTP then finds as well, and says."""
        async with staged(Host(answering(spoken()))) as stage:
            stage.sockets.network = open_tcp
            assert await stage.turn(*FIRST, provider={"base_url": "http://127.0.0.1:9"}) == [HTTP]


class TestWrittenCalls:
    """Calls that a model writes into its text."""

    async def test_become_calls_over_sockets_too(self, autojump_clock: MockClock) -> None:
        """And the conversation goes on in full, since the host knows of no call."""
        written = '<tool_call>\n{"name": "Read", "arguments": {"path": "a"}}\n</tool_call>'
        async with staged(Host(answering(spoken(written)))) as stage:
            events = await stage.turn(*FIRST, tools=TOOLS, provider={"text_calls": True})
            delta = next(e for e in events if e.kind.value == "message_delta")
            assert delta.payload["delta"]["stop_reason"] == "tool_use"
            (call,) = (e.payload["content_block"] for e in events if e.kind.value == "content_block_start")
            back = (*FIRST, assistant(use(call["id"])), user(result(call["id"])))
            await stage.turn(*back, tools=TOOLS, provider={"text_calls": True})
            assert "previous_response_id" not in stage.host.requests[1]


class TestTLS:
    """Addresses that begin with `https`."""

    @pytest.mark.parametrize("trusted", [True, False])
    async def test_is_verified_as_over_http(self, autojump_clock: MockClock, trusted: bool) -> None:
        """A certificate that is not trusted is no connection: HTTP will find the same, and say it."""
        authority = trustme.CA()
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
        authority.issue_cert("host.test").configure_cert(server)
        if trusted:
            authority.configure_trust(client)
        host = Host(numbered(called()))
        async with staged(host) as stage, trio.open_nursery() as nursery:

            async def network(name: str, port: int) -> trio.abc.Stream:
                assert (name, port) == ("host.test", 443)
                ours, theirs = trio.testing.memory_stream_pair()
                nursery.start_soon(host.serve, trio.SSLStream(theirs, server, server_side=True))
                return ours

            stage.sockets.network = network
            stage.sockets.context = lambda: client_context(client)
            for messages in (FIRST, SECOND):
                events = await stage.turn(*messages, tools=TOOLS, provider={"base_url": "https://host.test"})
                assert (events == [HTTP]) is not trusted
            assert host.on == ([0, 0] if trusted else [])
            nursery.cancel_scope.cancel()


class TestRest:
    """Sockets between turns."""

    async def test_lasts_five_minutes(self, autojump_clock: MockClock) -> None:
        """Then the socket is closed with a farewell, and the next turn tells everything."""
        host = Host(numbered(called()))
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            await trio.sleep(_shelf.REST_S - 1)
            assert len(stage.sockets.shelf) == 1
            await trio.sleep(2)
            assert len(stage.sockets.shelf) == 0
            assert host.ends == {0: 1000}
            await stage.turn(*SECOND, tools=TOOLS)
            assert host.on == [0, 1]

    async def test_ends_before_the_host_ends_the_socket(self, autojump_clock: MockClock) -> None:
        """A socket begins no turn after 55 minutes, however lively the conversation; a turn under way is left alone."""
        messages = [user("hi")]
        count = 0

        async def next_call(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            nonlocal count
            count += 1
            await trio.sleep(100)
            await say(ws, *answer(called(call_id=f"call_{count}"), id=f"resp_{count}"))

        async with staged(Host(next_call)) as stage:
            for number in range(1, 36):
                await stage.turn(*messages, tools=TOOLS)
                messages += [assistant(use(f"call_{number}")), user(result(f"call_{number}"))]
            began = [at for at, on in enumerate(stage.host.on) if on == 1]
            assert began[0] == 33  # 3300 s
            assert "previous_response_id" not in stage.host.requests[33]
            assert "previous_response_id" in stage.host.requests[34]
            assert stage.host.ends == {0: 1000}

    async def test_is_for_a_bounded_number_of_them(
        self, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those used least recently are closed: of one conversation's owner, and of all."""
        monkeypatch.setattr(_shelf, "MOST", 6)
        host = Host(numbered(called()))
        async with staged(host) as stage:
            for number in range(6):
                await stage.turn(user(str(number)))
            await host.until(lambda: host.live == 4)
            assert {number for number, end in host.ends.items() if end == 1000} == {0, 1}
            for number in range(5):
                await stage.turn(user("x"), session=f"other{number}")
            await host.until(lambda: host.live == 6)
            assert {number for number, end in host.ends.items() if end == 1000} == {0, 1, 2, 3, 4}

    async def test_ends_when_the_host_says_anything(self, autojump_clock: MockClock) -> None:
        """The next turn does not find it in its answer."""
        host = Host(numbered(called()))

        async def late(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await say(ws, *answer(called(), id="resp_1"))
            await trio.sleep(5)
            await say(ws, error("server_error"))

        host.scripts.append(late)
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            await trio.sleep(6)
            assert len(stage.sockets.shelf) == 0
            await stage.turn(*SECOND, tools=TOOLS)
            assert host.on == [0, 1]

    @pytest.mark.parametrize("waits", [True, False])
    async def test_is_not_for_a_socket_with_something_behind_the_end(
        self, autojump_clock: MockClock, waits: bool
    ) -> None:
        """A frame behind the last one belongs to no turn."""

        async def more(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            await say(ws, *answer(called()), {"type": "response.created"})

        async with staged(Host(more)) as stage:
            async with stage.sockets.open(asking(*FIRST, tools=TOOLS)) as upstream:
                if waits:
                    await trio.sleep(1)  # both are read at once
                assert kinds(await everything(upstream))[-1] == "message_stop"
            await trio.testing.wait_all_tasks_blocked()
            assert len(stage.sockets.shelf) == 0
            assert stage.host.live == 0

    async def test_ends_with_the_server(self, autojump_clock: MockClock) -> None:
        """Nothing is left of any socket, resting or in use."""
        host = Host(numbered(called()))
        async with staged(host) as stage:
            await stage.turn(*FIRST, tools=TOOLS)
            assert host.live == 1
        assert host.live == 0

    async def test_makes_the_candidate_one_that_is_not_raced(self, autojump_clock: MockClock) -> None:
        """For this session, agent, provider and model, as long as it lasts."""
        host = Host(numbered(called()))
        async with staged(host) as stage:

            def holds(model: str = "m", **more: Any) -> bool:
                asked = asking(*SECOND, **more)
                return stage.sockets.holds(asked.request, asked.provider, model)

            assert not holds()
            await stage.turn(*FIRST, tools=TOOLS)
            assert holds()
            assert not holds("other")
            assert not holds(session="s2")
            assert not holds(agent="a")
            assert not holds(provider={"websocket": False})
            await trio.sleep(_shelf.REST_S + 1)
            assert not holds()


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
