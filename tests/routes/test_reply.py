"""What a client is sent and when: the head, pings, the winner's name, and errors before and after the head."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from engine import Refusal, Winner, event
from engine.testing import _messages
from engine.testing._scenario import Scenario
from engine.testing._script import HANG, script
from policies import Candidate, FirstContentTimeout, InOrder, Policy, Race, SilentSkip
from policies import Sequence as InSequence
from routes._reply import KEEP_ALIVE_S, JSONReply, SSEReply
from tests.routes.asgi_driver import Exchange, ask, house, http, turn, under_way

TEXT = event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}, content=True)
START = event({"type": "message_start", "message": {"id": "msg_1", "role": "assistant", "content": [], "usage": {}}})
WINNER = Winner(candidate=Candidate("zen", "minimax-m2.5-free"), attempts=2)
BUSY = Refusal(status=503, type="api_error", message="everybody is busy", retry_after_s=7)
FOR_GOOD = Refusal(status=401, type="authentication_error", message="the key is refused", should_retry=False)


def names(exchange: Exchange) -> list[str]:
    return [name for _, name in exchange.events]


class TestPings:
    """The clock is virtual, so the seconds are exact."""

    async def test_the_head_waits_ten_seconds_for_a_winner_and_then_goes_out_with_a_ping(
        self, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Then a ping every ten seconds until there is content."""
        reply = await ask(house("echo?after_s=35&words=2&gap_ms=0").app, "POST", "/v1/messages", turn())
        assert reply.head_at == 10
        assert reply.pings == [10.0, 20.0, 30.0]
        assert reply.events[3] == (35.0, "message_start")
        assert (reply.status, reply.ended) == (200, True)

    async def test_content_puts_the_next_ping_off(self, autojump_clock: trio.testing.MockClock) -> None:
        """A ping is due ten seconds after the last write, whatever that was."""
        reply = await ask(house("echo?words=2&gap_ms=14000").app, "POST", "/v1/messages", turn())
        # The start of the message and of its block are held back until the first word, at 28 s.
        assert reply.pings == [10, 20, 38, 52, 66, 80]
        assert [at for at, name in reply.events if name == "content_block_delta"] == [28, 42]

    async def test_a_busy_stream_has_none(self, autojump_clock: trio.testing.MockClock) -> None:
        """Words every nine seconds need no help."""
        reply = await ask(house("echo?words=9&gap_ms=4900").app, "POST", "/v1/messages", turn())
        assert reply.arrivals[-1][0] > 50
        assert reply.pings == []

    async def test_none_comes_after_the_end(self, autojump_clock: trio.testing.MockClock) -> None:
        """The driver fails on any message after the last; a minute passes in which one could come."""
        app = house("echo?after_s=12&words=1&gap_ms=0").app
        exchange = http("POST", "/v1/messages", send_takes_s=15)
        exchange.put(turn())
        async with under_way(app, exchange):
            await exchange.over.wait()
            await trio.sleep(60)
        assert names(exchange)[0] == "ping"
        assert names(exchange)[-1] == "message_stop"

    async def test_none_is_sent_while_a_slow_reader_holds_up_a_write(
        self, autojump_clock: trio.testing.MockClock
    ) -> None:
        """The driver fails on two messages at once; here a write takes 25 s."""
        exchange = http("POST", "/v1/messages", send_takes_s=25)
        reply = SSEReply(exchange.send, "req_1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reply.keep_alive)
            await trio.sleep(5)
            await reply.send([START])
            await trio.sleep(40)
            await reply.finish()
            nursery.cancel_scope.cancel()
        # The write took from 5 to 30 s; the first ping comes within ten seconds of its end, and takes its time as well.
        assert [at for at, _ in exchange.events] == [5, 40]

    async def test_the_first_content_waits_for_a_ping_that_is_on_its_way(
        self, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Both want to send the head; the server takes one message at a time."""
        exchange = http("POST", "/v1/messages", send_takes_s=3)
        reply = SSEReply(exchange.send, "req_1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reply.keep_alive)
            await trio.sleep(11)
            await reply.begin(WINNER)
            await reply.send([START])
            await reply.finish()
            nursery.cancel_scope.cancel()
        assert exchange.events == [(10, "ping"), (13, "message_start")]
        assert exchange.ended

    async def test_a_json_answer_has_none(self, autojump_clock: trio.testing.MockClock) -> None:
        """One message, after thirty silent seconds."""
        reply = await ask(house("echo?after_s=30&words=2&gap_ms=0").app, "POST", "/v1/messages", turn(stream=False))
        assert reply.head_at == 30
        assert [at for at, _ in reply.arrivals] == [30]
        assert reply.json["content"] == [{"type": "text", "text": "word0 word1 "}]
        assert reply.header("content-length") == str(len(reply.body))


class TestHead:
    @pytest.mark.parametrize("stream", [True, False])
    async def test_names_the_winner_and_how_many_were_asked(
        self, stream: bool, autojump_clock: trio.testing.MockClock
    ) -> None:
        """The second candidate answers after the first failed."""
        app = house("echo?fault=529", "echo?words=1").app
        reply = await ask(app, "POST", "/v1/messages", turn(stream=stream))
        assert reply.header("x-hedgerow-candidate") == "rehearsal/echo?words=1"
        assert reply.header("x-hedgerow-attempts") == "2"
        assert (reply.header("request-id") or "").startswith("req_")

    async def test_names_nobody_where_it_went_out_before_there_was_a_winner(
        self, autojump_clock: trio.testing.MockClock
    ) -> None:
        """The head is out at ten seconds, the winner known at twelve."""
        reply = await ask(house("echo?after_s=12&words=1").app, "POST", "/v1/messages", turn())
        assert reply.header("x-hedgerow-candidate") is None
        assert reply.header("x-hedgerow-attempts") is None
        assert (reply.header("request-id") or "").startswith("req_")

    async def test_is_a_streams(self, autojump_clock: trio.testing.MockClock) -> None:
        """No length, no buffering on the way, no caching."""
        reply = await ask(house().app, "POST", "/v1/messages", turn())
        assert reply.header("content-type") == "text/event-stream; charset=utf-8"
        assert reply.header("cache-control") == "no-cache"
        assert reply.header("x-accel-buffering") == "no"
        assert reply.header("content-length") is None

    @pytest.mark.parametrize(
        ("model", "written"),
        [
            ("z-ai/glm4.7:free", "zen/z-ai/glm4.7:free"),
            ("modèle", "zen/mod%C3%A8le"),
            ("a\r\nset-cookie: b", "zen/a%0D%0Aset-cookie: b"),
        ],
    )
    async def test_holds_any_model_name_in_one_line_of_ascii(self, model: str, written: str) -> None:
        """A model's name is the provider's or the client's to choose; a header is not."""
        exchange = http("POST", "/v1/messages")
        reply = SSEReply(exchange.send, "req_1")
        await reply.begin(Winner(candidate=Candidate("zen", model), attempts=1))
        await reply.send([START])
        assert exchange.header("x-hedgerow-candidate") == written


class TestErrors:
    @pytest.mark.parametrize(("fault", "status"), [("529", 503), ("429", 429), ("401", 401), ("reset", 503)])
    async def test_have_a_status_while_the_head_waits(
        self, fault: str, status: int, autojump_clock: trio.testing.MockClock
    ) -> None:
        """The one thing that only a head can say."""
        reply = await ask(house(f"echo?fault={fault}").app, "POST", "/v1/messages", turn())
        assert reply.status == status
        assert fault in reply.error[1]
        assert (reply.header("x-should-retry") == "false") is (fault == "401")

    async def test_are_an_event_once_the_head_is_out(self, autojump_clock: trio.testing.MockClock) -> None:
        """After which Claude Code asks again, with any model as often as it does after a status, and a proper end."""
        reply = await ask(house("echo?after_s=12&fault=500").app, "POST", "/v1/messages", turn())
        assert (reply.status, reply.ended, names(reply)) == (200, True, ["ping", "error"])
        assert b'"type":"api_error"' in reply.body
        assert b"rehearsed fault '500'" in reply.body

    async def test_that_last_keep_their_type_once_the_head_is_out(self, autojump_clock: trio.testing.MockClock) -> None:
        """Nobody should ask again where no waiting helps."""
        reply = await ask(house("echo?after_s=12&fault=401").app, "POST", "/v1/messages", turn())
        assert names(reply) == ["ping", "error"]
        assert b'"type":"authentication_error"' in reply.body

    @pytest.mark.parametrize("refusal", [BUSY, FOR_GOOD])
    @pytest.mark.parametrize("shape", [SSEReply, JSONReply])
    async def test_say_how_to_ask_again(self, shape: type[SSEReply | JSONReply], refusal: Refusal) -> None:
        """`retry-after` and `x-should-retry`, each only where there is something to say."""
        exchange = http("POST", "/v1/messages")
        reply = shape(exchange.send, "req_1")
        await reply.refuse(refusal)
        assert exchange.error == (refusal.type, refusal.message)
        assert exchange.header("retry-after") == (str(refusal.retry_after_s) if refusal.retry_after_s else None)
        assert exchange.header("x-should-retry") == ("false" if refusal.should_retry is False else None)
        assert (reply.ending, reply.status) == (True, refusal.status)

    async def test_of_a_provider_pass_unmodified(self) -> None:
        """Claude Code matches their wording."""
        body = b'{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: 9 > 8, which is ..."}}'
        exchange = http("POST", "/v1/messages")
        refusal = Refusal(status=400, type="invalid_request_error", message="unused", body=body)
        await SSEReply(exchange.send, "req_1").refuse(refusal)
        assert exchange.body == body
        assert exchange.header("request-id") == "req_1"

    async def test_a_message_that_broke_off_has_no_end(self, autojump_clock: trio.testing.MockClock) -> None:
        """Without a last message the server breaks the connection off, and the client asks again."""
        reply = await ask(house("echo?fault=cut&words=8").app, "POST", "/v1/messages", turn())
        assert (reply.status, reply.ended) == (200, False)
        assert names(reply)[-1] == "content_block_delta"

    async def test_a_json_answer_that_broke_off_starts_again_from_nothing(
        self, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Nobody has seen anything of it: the next candidate's answer is the whole one."""
        app = house("echo?fault=cut&words=8", "echo?words=2").app
        reply = await ask(app, "POST", "/v1/messages", turn(stream=False))
        assert reply.status == 200
        assert reply.json["content"] == [{"type": "text", "text": "word0 word1 "}]
        assert reply.header("x-hedgerow-candidate") == "rehearsal/echo?words=2"


class TestWrites:
    """A turn may be given up at any moment; what was begun is finished, what was not stays unsaid."""

    async def test_a_stream_given_up_during_a_write_can_still_say_why(
        self, autojump_clock: trio.testing.MockClock
    ) -> None:
        """The head and the first event go out whole, then the error."""
        exchange = http("POST", "/v1/messages", send_takes_s=5)
        reply = SSEReply(exchange.send, "req_1")
        with trio.move_on_after(2) as given_up:
            await reply.send([START])
            await trio.lowlevel.checkpoint()
        assert given_up.cancelled_caught
        await reply.refuse(BUSY)
        assert exchange.events == [(0, "message_start"), (5, "error")]
        assert exchange.ended

    async def test_a_write_given_up_behind_a_ping_is_still_done(self, autojump_clock: trio.testing.MockClock) -> None:
        """The engine counts it as shown from the moment it asked for it, so it must not be left out."""
        exchange = http("POST", "/v1/messages", send_takes_s=5)
        reply = SSEReply(exchange.send, "req_1")
        async with trio.open_nursery() as nursery:
            await trio.sleep(KEEP_ALIVE_S - 1)
            nursery.start_soon(reply.keep_alive)  # its ping is being sent from 10 s to 15 s
            await trio.sleep(2)
            with trio.move_on_after(1) as given_up:
                await reply.send([START])
                await trio.lowlevel.checkpoint()
            assert given_up.cancelled_caught
            await reply.refuse(BUSY)
            nursery.cancel_scope.cancel()
        assert exchange.events == [(10, "ping"), (15, "message_start"), (20, "error")]
        assert exchange.ended

    async def test_a_finished_tool_call_behind_a_ping_is_not_lost_at_shutdown(
        self, autojump_clock: trio.testing.MockClock
    ) -> None:
        """A message that ends with `tool_use` holds its tool, however late the client took the ping before it."""
        exchange = http("POST", "/v1/messages")
        blocked = trio.Event()
        blocked.set()

        async def send(message: dict[str, Any]) -> None:
            await blocked.wait()
            await exchange.send(message)

        spoken = [_messages.head(), *_messages.text("let me look")]
        scripts = {"a": script(spoken, 11.0, _messages.tool('{"a":1}', index=1), HANG)}
        scenario = Scenario.of(scripts, SilentSkip(), InOrder(), InSequence())
        reply = SSEReply(send, "req_1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reply.keep_alive)
            nursery.start_soon(scenario.router.serve, scenario.request(), reply)
            await trio.sleep(9.9)
            blocked = trio.Event()  # the client stops reading before the ping of 10 s
            await trio.sleep(1.2)  # and the tool of 11 s stands behind it
            scenario.router.shut_down()
            await trio.sleep(0.1)
            blocked.set()
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert exchange.ended
        assert names(exchange)[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert b'"stop_reason":"tool_use"' in exchange.body
        assert exchange.body.count(b'"type":"tool_use"') == 1

    async def test_a_stream_given_up_at_its_very_first_write_can_still_say_why(self) -> None:
        """The cancellation is there already when the write begins."""
        exchange = http("POST", "/v1/messages")
        reply = SSEReply(exchange.send, "req_1")
        with trio.CancelScope() as scope:
            scope.cancel()
            await reply.send([START])
            await trio.lowlevel.checkpoint()
        await reply.refuse(BUSY)
        assert names(exchange) == ["message_start", "error"]

    @pytest.mark.parametrize("shape", [SSEReply, JSONReply])
    async def test_a_last_write_is_finished(
        self, shape: type[SSEReply | JSONReply], autojump_clock: trio.testing.MockClock
    ) -> None:
        """Whoever gives up then comes too late: the answer counts as given."""
        exchange = http("POST", "/v1/messages", send_takes_s=5)
        reply = shape(exchange.send, "req_1")
        finished = False
        with trio.move_on_after(1):
            await reply.send([START])
            await reply.finish()
            finished = True
        assert finished
        assert (exchange.ended, exchange.interrupted) == (True, False)

    async def test_nothing_is_written_for_no_events(self) -> None:
        """A read that held nothing to show leaves the head unsent, and a status code possible."""
        exchange = http("POST", "/v1/messages")
        reply = SSEReply(exchange.send, "req_1")
        await reply.send([])
        assert (exchange.status, reply.visible, reply.status) == (0, False, 0)

    async def test_all_events_of_a_read_go_out_in_one_message(self) -> None:
        """One message to the server is one system call."""
        exchange = http("POST", "/v1/messages")
        await SSEReply(exchange.send, "req_1").send([START, TEXT, TEXT])
        assert len(exchange.arrivals) == 1
        assert names(exchange) == ["message_start", "content_block_delta", "content_block_delta"]

    async def test_what_was_seen_cannot_be_taken_back(self) -> None:
        """A stream cannot be started again, and a JSON answer has nothing to break off: both are mistakes of ours."""
        exchange = http("POST", "/v1/messages")
        stream = SSEReply(exchange.send, "req_1")
        await stream.send([START])
        with pytest.raises(RuntimeError, match="taken back"):
            stream.discard()
        with pytest.raises(RuntimeError, match="nothing to break off"):
            await JSONReply(exchange.send, "req_1").reset()


@pytest.mark.parametrize("pace", [InSequence(), Race(width=2)])
async def test_a_turn_over_its_time_is_refused_in_time(pace: Policy, autojump_clock: trio.testing.MockClock) -> None:
    """Both candidates are silent; the first-content limits add up and the answer is an error event."""
    policies = (SilentSkip(), InOrder(), pace, FirstContentTimeout(s=23))
    app = house("echo?fault=silence", "echo?fault=silence&words=1", policies=policies).app
    reply = await ask(app, "POST", "/v1/messages", turn())
    expected = 23.0 if isinstance(pace, Race) else 43.0
    assert reply.events[-1] == (expected, "error")
    assert reply.pings == [at for at in (10.0, 20.0, 30.0, 40.0) if at < expected]
