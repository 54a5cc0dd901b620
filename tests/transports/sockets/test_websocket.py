"""Turns over sockets: what is sent, and which socket takes it."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import WebSocketConnection

from engine import AttemptError, StreamEvent
from policies import FailureKind
from tests.transports.sockets.host import Host, answer, answering, called, failing, numbered, say, spoken
from tests.transports.sockets.stage import (
    FIRST,
    SECOND,
    TOOLS,
    asking,
    assistant,
    everything,
    kinds,
    loop,
    news,
    result,
    staged,
    text_of,
    use,
    user,
)
from transports import _socket_turn


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

    async def test_whose_answer_was_too_long_to_be_kept_is_told_in_full(
        self, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a host repeats without end is not gathered for the turn after."""
        monkeypatch.setattr(_socket_turn, "MAX_HEARD", 2000)

        async def at_length(ws: WebSocketConnection, asked: dict[str, Any]) -> None:
            call = called()
            done = {"type": "response.output_item.done", "output_index": 9, "item": {"type": "odd", "odd": "x" * 300}}
            whole = answer(call)
            await say(ws, *whole[:-1], *[done] * 10, whole[-1])

        async with staged(Host(at_length)) as stage:
            async with stage.sockets.open(asking(*FIRST, tools=TOOLS)) as upstream:
                assert kinds(await everything(upstream))[-1] == "message_stop"
                assert upstream._output == []  # type: ignore[attr-defined]
            await stage.turn(*SECOND, tools=TOOLS)
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
