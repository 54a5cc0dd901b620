"""`POST /v1/messages` and `count_tokens`, whole: bytes in, an answer out, by way of the real engine."""

from __future__ import annotations

from typing import Any

import attrs
import orjson
import pytest
import trio

from engine import AttemptEnded, EngineEvent, PlanMade, RequestAccepted, RequestFinished
from policies import InOrder, Race, SilentSkip
from server import Built
from tests.e2e.grammar import read
from tests.routes.asgi_driver import Exchange, ask, house, http, turn, under_way

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"


def listening(built: Built) -> list[EngineEvent]:
    """Everything the engine states from now on."""
    stated: list[EngineEvent] = []
    built.bus.add(stated.append)
    return stated


def only(stated: list[EngineEvent], kind: type[Any]) -> Any:
    """The one event of a kind."""
    (found,) = [event for event in stated if isinstance(event, kind)]
    return found


class TestAnswers:
    async def test_a_stream_is_a_strict_one(self, autojump_clock: trio.testing.MockClock) -> None:
        """Every event in its place, from `message_start` to `message_stop`, and a proper end."""
        reply = await ask(house("echo?words=5").app, "POST", MESSAGES, turn())
        reading = read(reply.body)
        assert (reading.faults, reading.text) == ([], "word0 word1 word2 word3 word4 ")
        assert (reply.status, reply.ended) == (200, True)

    @pytest.mark.parametrize("how", ["false", "absent"])
    async def test_json_is_the_same_message(self, how: str, autojump_clock: trio.testing.MockClock) -> None:
        """What a client without a stream is told is what the stream amounts to."""
        asked = orjson.loads(turn())
        if how == "absent":
            del asked["stream"]
        else:
            asked["stream"] = False
        reply = await ask(house("echo?words=5").app, "POST", MESSAGES, orjson.dumps(asked))
        told = reply.json
        assert told["content"] == [{"type": "text", "text": "word0 word1 word2 word3 word4 "}]
        assert (told["type"], told["role"], told["stop_reason"]) == ("message", "assistant", "end_turn")
        assert told["usage"]["output_tokens"] == 5
        assert reply.header("content-type") == "application/json"

    async def test_fields_of_tomorrow_are_no_mistake(self, autojump_clock: trio.testing.MockClock) -> None:
        """Only what routing stands on is looked at: roles, blocks and fields unknown today are the provider's affair."""
        strange: list[dict[str, Any]] = [
            {"role": "user", "content": [{"type": "hologram", "data": 1}]},
            {"role": "system", "content": [], "output_config": {}},
            {"role": "oracle", "content": "x"},
        ]
        body = turn(messages=strange, safeguards={"x": 1}, thinking={"type": "adaptive"}, tools=[{"name": "t"}])
        reply = await ask(house().app, "POST", MESSAGES, body)
        assert reply.status == 200

    async def test_a_body_in_pieces_is_one_body(self, autojump_clock: trio.testing.MockClock) -> None:
        """Byte by byte, with pauses, an empty piece in between and an empty one at the end."""
        exchange = http("POST", MESSAGES)
        async with under_way(house().app, exchange):
            for byte in turn():
                exchange.put(bytes([byte]), more=True)
                await trio.sleep(0.01)
            exchange.put(b"", more=True)
            exchange.put(b"")
        assert exchange.status == 200

    async def test_a_session_and_an_agent_are_taken_from_their_headers(
        self, autojump_clock: trio.testing.MockClock
    ) -> None:
        """As Claude Code sends them; absent they are empty."""
        built = house()
        stated = listening(built)
        headers = [("x-claude-code-session-id", "s-1"), ("x-claude-code-agent-id", "a-2")]
        reply = await ask(built.app, "POST", MESSAGES, turn(), headers=headers)
        accepted = only(stated, RequestAccepted)
        assert (accepted.session, accepted.agent) == ("s-1", "a-2")
        assert accepted.request_id == reply.header("request-id")

    async def test_names_of_a_session_and_an_agent_are_kept_short(self, autojump_clock: trio.testing.MockClock) -> None:
        """They are kept with the request, and told with it."""
        built = house()
        stated = listening(built)
        headers = [("x-claude-code-session-id", "s" * 5000), ("x-claude-code-agent-id", "a" * 129)]
        await ask(built.app, "POST", MESSAGES, turn(), headers=headers)
        accepted = only(stated, RequestAccepted)
        assert (accepted.session, accepted.agent) == ("s" * 128, "a" * 128)

    @pytest.mark.parametrize(
        ("target", "model", "place"),
        [(MESSAGES, "m" * 257, "model"), (f"/rehearsal/{'m' * 247}/v1/messages", "any", "address")],
    )
    async def test_a_model_beyond_all_length_is_refused_and_not_kept(self, target: str, model: str, place: str) -> None:
        """In the body or in the path: what is kept of a request is kept for hundreds of others."""
        built = house()
        reply = await ask(built.app, "POST", target, turn(model))
        assert (reply.status, reply.error[0]) == (400, "invalid_request_error")
        assert reply.error[1] == f"{place}: expected at most 256 characters, got 257"
        assert built.recent.summaries() == []

    async def test_every_turn_is_planned_and_finished_once(self, autojump_clock: trio.testing.MockClock) -> None:
        """An answer, a refusal and an answer after a failure: one acceptance, one plan, one end each."""
        for models in (["echo?words=1"], ["echo?fault=529"], ["echo?fault=500", "echo?words=1"]):
            built = house(*models)
            stated = listening(built)
            reply = await ask(built.app, "POST", MESSAGES, turn())
            only(stated, RequestAccepted)
            only(stated, PlanMade)
            finished = only(stated, RequestFinished)
            assert (finished.status, finished.outcome) == (
                reply.status,
                "answered" if reply.status == 200 else "refused",
            )
            assert len([e for e in stated if isinstance(e, AttemptEnded)]) == len(models)


@attrs.define
class _Left:
    """A client that leaves after `after_s` seconds of a turn, and what the engine said of it."""

    exchange: Exchange
    stated: list[EngineEvent]
    at: float


async def leaving(built: Built, after_s: float, body: bytes) -> _Left:
    """Ask, leave, and wait for the handler's end."""
    stated, exchange = listening(built), http("POST", MESSAGES)
    exchange.put(body)
    async with under_way(built.app, exchange):
        await trio.sleep(after_s)
        exchange.leave()
    return _Left(exchange, stated, trio.current_time())


class TestLeaving:
    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize(("after_s", "words"), [(1, 0), (5.5, 0), (11, 0), (18, 1)])
    async def test_ends_every_attempt_at_once(
        self, stream: bool, after_s: float, words: int, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Before any answer, between two pings, in mid-answer: no attempt goes on, and none is blamed."""
        models = ("echo?after_s=15&gap_ms=1000&words=60", "echo?after_s=18&gap_ms=1000&words=60")
        built = house(*models, policies=(SilentSkip(), InOrder(), Race(width=2)))
        left = await leaving(built, after_s, turn(stream=stream))
        assert left.at == pytest.approx(after_s)
        ends = [e for e in left.stated if isinstance(e, AttemptEnded)]
        assert sorted(e.ending for e in ends) == (["abandoned", "lost"] if words else ["abandoned", "abandoned"])
        assert not any(e.counts for e in ends)
        finished = only(left.stated, RequestFinished)
        assert (finished.outcome, finished.status) == ("abandoned", None)
        assert built.router.live == 0

    async def test_at_any_moment_is_safe(self, autojump_clock: trio.testing.MockClock) -> None:
        """A client leaves after each tenth of a second of a short answer; the driver fails on anything improper."""
        for tenth in range(1, 40):
            built = house("echo?fault=529", "echo?after_s=1&words=8&gap_ms=200")
            began = trio.current_time()
            left = await leaving(built, tenth / 10, turn())
            assert left.at - began <= tenth / 10 + 0.01
            assert only(left.stated, RequestFinished).outcome in ("abandoned", "answered")
            assert built.router.live == 0


class TestCountTokens:
    async def test_is_an_estimate_where_nobody_counts(self) -> None:
        """About a token a word of prose, whatever else is or is not in the body."""
        body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "the quick brown fox " * 500}]})
        reply = await ask(house().app, "POST", COUNT + "?beta=true", body)
        assert reply.status == 200
        assert 1800 <= reply.json["input_tokens"] <= 2600
        assert reply.header("content-type") == "application/json"

    async def test_an_unknown_model_has_an_estimate(self) -> None:
        """A meter is drawn whether or not anybody would answer."""
        body = orjson.dumps({"model": "nobody/m", "messages": [{"role": "user", "content": "hi"}]})
        reply = await ask(house(match="claude-*").app, "POST", COUNT, body)
        assert (reply.status, set(reply.json)) == (200, {"input_tokens"})

    async def test_counts_an_image_by_what_it_costs(self) -> None:
        """And not by its megabytes of base64."""
        source = {"type": "base64", "media_type": "image/png", "data": "A" * 1_000_000}
        content = [{"type": "image", "source": source}]
        body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": content}]})
        counted = (await ask(house().app, "POST", COUNT, body)).json["input_tokens"]
        assert 1600 <= counted < 1700

    @pytest.mark.parametrize(("body", "told"), [(b"{", "not valid JSON"), (b'{"messages": []}', "model: field")])
    async def test_refuses_what_it_cannot_read(self, body: bytes, told: str) -> None:
        """Like the other door."""
        reply = await ask(house().app, "POST", COUNT, body)
        assert (reply.status, reply.error[0]) == (400, "invalid_request_error")
        assert told in reply.error[1]

    async def test_takes_twenty_seven_at_once(self) -> None:
        """Claude Code's /context does; none waits for another, and no turn is planned."""
        built = house()
        stated = listening(built)
        asked = [http("POST", "/rehearsal/echo" + COUNT) for _ in range(27)]
        async with trio.open_nursery() as nursery:
            for exchange in asked:
                exchange.put(orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "foo"}]}))
                nursery.start_soon(exchange.run, built.app)
        assert {e.status for e in asked} == {200}
        assert stated == []


class TestShutdown:
    async def test_gives_a_live_stream_an_honest_ending(self, autojump_clock: trio.testing.MockClock) -> None:
        """An `error` event and a proper last message: nothing that looks finished, nothing that looks cut."""
        built = house("echo?words=60&gap_ms=1000")
        exchange = http("POST", MESSAGES)
        exchange.put(turn())
        async with under_way(built.app, exchange):
            await trio.sleep(20)
            built.router.shut_down()
        assert exchange.events[-1] == (20.0, "error")
        assert exchange.ended
        assert b"shutting down" in exchange.body
        assert b"message_stop" not in exchange.body

    @pytest.mark.parametrize(("stream", "waited_s"), [(True, 5), (False, 5), (False, 25)])
    async def test_refuses_a_turn_that_has_shown_nothing(
        self, stream: bool, waited_s: float, autojump_clock: trio.testing.MockClock
    ) -> None:
        """503, and when to come back."""
        built = house("echo?after_s=50")
        exchange = http("POST", MESSAGES)
        exchange.put(turn(stream=stream))
        async with under_way(built.app, exchange):
            await trio.sleep(waited_s)
            built.router.shut_down()
        assert (exchange.status, exchange.error[0]) == (503, "api_error")
        assert exchange.header("retry-after") == "2"

    async def test_is_idle_when_the_last_turn_is_over(self, autojump_clock: trio.testing.MockClock) -> None:
        """That is what a drain waits for."""
        built = house("echo?words=1&after_s=7&gap_ms=0")
        exchanges = [http("POST", MESSAGES) for _ in range(3)]
        async with trio.open_nursery() as nursery:
            for exchange in exchanges:
                exchange.put(turn())
                nursery.start_soon(exchange.run, built.app)
                await trio.sleep(2)
            assert built.router.live == 3
            built.router.refuse_new()
            await built.router.idle()
            # Started at 0, 2 and 4 s; each sends its last message at its seventh second.
            assert trio.current_time() == pytest.approx(11, abs=0.1)
        await built.router.idle()
