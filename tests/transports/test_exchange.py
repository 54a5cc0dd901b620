"""One exchange over HTTP: what counts as the beginning of an answer, how it ends, and who closes."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
import trio
from trio.testing import MockClock

from engine import AttemptError, Kind, StreamEvent
from engine.config import Settings, Timeouts
from policies import FailureKind
from tests.recordings import Recording, reading, recordings
from tests.transports.anthropic_frames import END, START, STOP, delta, frame, raw_of, start, stop, stream
from tests.transports.asks import ask, body
from tests.transports.exchanges import GOOD, JSON, MESSAGE, SSE, Body, Host, exchanged, failure, host
from tests.transports.faulty import answering, memory_network
from transports._outgoing import anthropic
from transports._wire import AFTER_END_S, LAST_CHUNK_S, WireHTTP
from transports.chat import openai_chat
from transports.http import StreamingTransport


class TestAnswers:
    """What is one."""

    async def test_the_events_of_a_read_are_one_batch(self) -> None:
        """So that they can go out in one write."""
        where = host(GOOD[:400], GOOD[400:])
        async with WireHTTP(lambda _: where, lambda: 0.0, anthropic).open(ask()) as upstream:
            first, second = await upstream.read(), await upstream.read()
            assert await upstream.read() is None
        assert first
        assert second
        assert raw_of([*first, *second]) == GOOD

    async def test_the_request_is_the_one_for_the_host(self) -> None:
        """Address, query, body, key and time limits."""
        where = host(GOOD)
        await exchanged(
            where, key="sk-1", query=b"beta=true", settings=Settings(timeouts=Timeouts(connect_s=3.0, write_s=4.0))
        )
        (request,) = where.seen
        assert (request.method, str(request.url)) == ("POST", "http://host.test/v1/messages?beta=true")
        assert orjson.loads(request.content) == body()
        assert request.headers["x-api-key"] == "sk-1"
        assert request.headers["content-length"] == str(len(request.content))
        assert request.extensions["timeout"] == {"connect": 3.0, "write": 4.0, "read": None, "pool": None}

    async def test_ids_and_estimates_come_from_the_request(self) -> None:
        """Where the host gives none."""
        where = host(stream(start(0), delta(0, "hi"), stop(0), END, STOP))
        (first, *_) = await exchanged(where)
        message = first.payload["message"]
        assert (message["id"], message["model"]) == ("msg_7", "asked")
        assert message["usage"]["input_tokens"] == ask().request.need.input_tokens > 0

    @pytest.mark.parametrize("content_type", ["text/event-stream", "TEXT/Event-Stream; charset=utf-8", None])
    async def test_an_event_stream_may_be_said_in_several_ways(self, content_type: str | None) -> None:
        """Or not at all."""
        where = host(GOOD, headers={"content-type": content_type} if content_type else {})
        assert raw_of(await exchanged(where)) == GOOD

    async def test_a_json_message_counts_as_a_stream(self) -> None:
        """Some hosts ignore `stream`."""
        where = host(*[bytes([byte]) for byte in orjson.dumps(MESSAGE)], headers=JSON)
        found = reading(raw_of(await exchanged(where)))
        assert (found.faults, found.text, found.usage["output_tokens"]) == ([], "hi", 7)

    async def test_an_error_event_after_content_is_an_event(self) -> None:
        """What it means for the turn is judged where it is known what the client has seen."""
        said = stream(START, start(0), delta(0, "hi"), {"type": "error", "error": {"type": "overloaded_error"}})
        assert [event.kind for event in await exchanged(host(said))][-1] is Kind.ERROR

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            ({"type": "overloaded_error", "message": "Overloaded"}, FailureKind.ERROR_EVENT),
            ({"type": "rate_limit_error", "message": "rate limit reached"}, FailureKind.RATE_LIMITED),
            ({"type": "invalid_request_error", "message": "prompt is too long: 9000 tokens > 8000 maximum"},
             FailureKind.TOO_LONG),
            ({"code": 429, "message": "slow down"}, FailureKind.RATE_LIMITED),
            ({"code": "insufficient_quota", "message": "no more"}, FailureKind.QUOTA),
            ({"message": "whatever"}, FailureKind.ERROR_EVENT),
        ],
    )  # fmt: skip
    async def test_an_error_event_before_content_means_what_it_says(
        self, error: dict[str, Any], kind: FailureKind
    ) -> None:
        """It is a refusal with the wrong status."""
        found = await failure(host(stream(START, {"type": "error", "error": error})))
        assert (found.kind, found.status) == (kind, 200)

    async def test_a_list_of_chunks_counts_as_their_stream(self) -> None:
        """Gemini answers so where `alt=sse` was lost on the way."""
        chunks = [orjson.loads(line[5:]) for line in GOOD.split(b"\n") if line.startswith(b"data:")]
        listed = await exchanged(host(orjson.dumps(chunks), headers=JSON))
        streamed = await exchanged(host(GOOD))
        assert b"".join(event.raw for event in listed) == b"".join(event.raw for event in streamed)

    async def test_a_json_error_without_end_is_an_error(self) -> None:
        """It is read as deep as JSON is read, and cannot be written again."""
        deep = b'{"error":{"message":"x","a":' + b"[" * 300 + b"]" * 300 + b"}}"
        found = await failure(host(deep, headers=dict(JSON)))
        assert (found.kind, found.status) == (FailureKind.ERROR_EVENT, 200)

    @pytest.mark.parametrize("parts", [(), (b"",), (b": hello\n\n",)])
    async def test_an_empty_stream_has_no_events(self, parts: tuple[bytes, ...]) -> None:
        """An attempt takes that for a failure."""
        assert await exchanged(host(*parts)) == []

    @pytest.mark.parametrize("recording", recordings("anthropic-messages", stream=False))
    async def test_recorded_json_answers(self, recording: Recording) -> None:
        """A message becomes events, an error a failure with its status and words."""
        where = Host(Body([recording.body]), recording.status, dict(JSON))
        if recording.status == 200:
            assert reading(raw_of(await exchanged(where))).text == recording.expect["text"]
            return
        failed = await failure(where)
        assert (failed.status, failed.native, failed.body) == (recording.status, True, recording.body)
        assert recording.expect["error"]["message"] in failed.message


class TestNoAnswers:
    """A status of 200 that is none."""

    @pytest.mark.parametrize(
        ("content_type", "text", "kind", "words"),
        [
            ("text/html; charset=utf-8", b"<html>log in</html>", FailureKind.MALFORMED, "text/html instead of"),
            ("text/plain", b"hello", FailureKind.MALFORMED, "text/plain instead of"),
            ("application/x-ndjson", b"{}\n", FailureKind.MALFORMED, "application/x-ndjson instead of"),
            ("application/json", b"", FailureKind.EMPTY, "not a message"),
            ("application/json", b"[]", FailureKind.MALFORMED, "not a message"),
            ("application/json", b"{}", FailureKind.MALFORMED, "not a message"),
            ("application/json", b'{"id":"x","choices":[]}', FailureKind.MALFORMED, "not a message"),
            ("application/json", b'{"type":"mess', FailureKind.MALFORMED, "not JSON"),
            ("application/json", b'{"error":{"message":"busy"}}', FailureKind.ERROR_EVENT, "busy"),
            ("application/json", b'[{"id":"x"},{"id":"y"}]', FailureKind.MALFORMED, "not a message"),
            ("application/json", b'[{},{"a":' + b"[" * 300 + b"]" * 300 + b"}]", FailureKind.MALFORMED, "too deeply"),
            ("application/json", b'[{"type":"ping"},{"type":"error","error":{"type":"overloaded_error","message":"busy"}}]',
             FailureKind.ERROR_EVENT, "busy"),
            ("application/json", b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}',
             FailureKind.ERROR_EVENT, "busy"),
        ],
    )  # fmt: skip
    async def test_another_body_is_a_failure(
        self, content_type: str, text: bytes, kind: FailureKind, words: str
    ) -> None:
        """Judged before anything of it is shown."""
        failed = await failure(host(text, headers={"content-type": content_type}))
        assert failed.kind is kind
        assert failed.status in (None, 200)
        assert words in failed.message

    async def test_a_compressed_body_is_a_failure(self) -> None:
        """None was asked for, and events would be held back in it."""
        failed = await failure(host(b"\x1f\x8b", headers={**SSE, "content-encoding": "gzip"}))
        assert (failed.kind, "gzip" in failed.message) == (FailureKind.MALFORMED, True)
        identity = host(GOOD, headers={**SSE, "content-encoding": "identity"})
        assert raw_of(await exchanged(identity)) == GOOD

    @pytest.mark.parametrize("bad", [b"data: {\n\n", frame({"type": "content_block_delta", "index": 0, "delta": 1})])
    async def test_a_broken_stream_is_a_failure_where_it_breaks(self, bad: bytes) -> None:
        """What came before it was good."""
        where = host(GOOD[:400], bad)
        async with WireHTTP(lambda _: where, lambda: 0.0, anthropic).open(ask()) as upstream:
            assert await upstream.read()
            with pytest.raises(AttemptError) as caught:
                await upstream.read()
        assert caught.value.failure.kind is FailureKind.MALFORMED


class TestEnds:
    """An answer that its host has ended is not undone by how its stream ends."""

    ANSWERS = (
        (anthropic, stream(START, start(0), delta(0, "hi"), stop(0), END)),
        (
            openai_chat,
            b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
        ),
    )

    @pytest.mark.parametrize(("dialect", "said"), ANSWERS, ids=["anthropic", "openai-chat"])
    @pytest.mark.parametrize(
        "rest", [(httpx.RemoteProtocolError("cut"),), (httpx.ReadError("reset"),), (1000.0, b""), (b"",)]
    )
    async def test_a_stream_without_its_last_chunk_is_whole(
        self, autojump_clock: MockClock, dialect: Any, said: bytes, rest: tuple[Any, ...]
    ) -> None:
        """Broken off behind the last event, or held open: it was all there."""
        where = host(said, *rest)
        events: list[StreamEvent] = []
        async with WireHTTP(lambda _: where, lambda: 0.0, dialect).open(ask()) as upstream:
            while (batch := await upstream.read()) is not None:
                events += batch
        assert events[-1].kind is Kind.MESSAGE_STOP
        assert reading(raw_of(events)).faults == []
        assert trio.current_time() <= AFTER_END_S + LAST_CHUNK_S

    async def test_a_host_that_gives_a_reason_with_each_piece_is_waited_for(self, autojump_clock: MockClock) -> None:
        """Ten silent seconds between two pieces are no end."""
        piece = b'data: {"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":"stop"}]}\n\n'
        where = host(piece % b"one ", 10.0, piece % b"two", b"data: [DONE]\n\n")
        events: list[StreamEvent] = []
        async with WireHTTP(lambda _: where, lambda: 0.0, openai_chat).open(ask()) as upstream:
            while (batch := await upstream.read()) is not None:
                events += batch
        assert reading(raw_of(events)).text == "one two"

    @pytest.mark.parametrize(("dialect", "said"), ANSWERS, ids=["anthropic", "openai-chat"])
    async def test_a_stream_that_breaks_before_its_end_is_not(self, dialect: Any, said: bytes) -> None:
        """Half an answer never looks whole."""
        half = said[: said.index(b"\n\n", said.index(b"hi")) + 2]
        async with WireHTTP(lambda _: host(half, httpx.ReadError("reset")), lambda: 0.0, dialect).open(
            ask()
        ) as upstream:
            await upstream.read()
            with pytest.raises(AttemptError) as caught:
                await upstream.read()
        assert caught.value.failure.kind is FailureKind.RESET


class TestLeaving:
    """What is left of the body when the message is over."""

    async def test_the_end_is_read_so_that_the_connection_lives(self) -> None:
        """Usually the last chunk is all that is missing."""
        async with memory_network(answering(_chunked(GOOD), b"0\r\n\r\n")) as network:
            http = StreamingTransport(network=network)
            for _ in range(2):
                async with WireHTTP(lambda _: http, lambda: 0.0, anthropic).open(ask()) as upstream:
                    read: list[StreamEvent] = []
                    while not read or read[-1].kind is not Kind.MESSAGE_STOP:
                        read += await upstream.read() or []
            assert (http.statistics().opened, http.statistics().reused) == (1, 1)
            await http.aclose()

    async def test_a_body_without_end_is_left(self, autojump_clock: MockClock) -> None:
        """A quarter of a second is what a connection is worth."""
        where = host(GOOD, 1000.0, b"")
        async with WireHTTP(lambda _: where, lambda: 0.0, anthropic).open(ask()) as upstream:
            await upstream.read()
        assert (trio.current_time(), where.body.closed) == (LAST_CHUNK_S, 1)

    @pytest.mark.parametrize(
        "said",
        [
            stream(START, start(0), delta(0, "hi"), {"type": "error", "error": {"type": "x", "message": "x"}}),
            stream(START, END, STOP),
            stream(START, start(0), delta(0, "half"), STOP),
            GOOD[:400],
        ],
        ids=["an error", "nothing in it", "no reason", "not over"],
    )
    async def test_after_less_than_a_whole_message_nothing_is_waited_for(
        self, autojump_clock: MockClock, said: bytes
    ) -> None:
        """The next candidate is waiting already."""
        where = host(said, 1000.0, b"")
        async with WireHTTP(lambda _: where, lambda: 0.0, anthropic).open(ask()) as upstream:
            await upstream.read()
        assert (trio.current_time(), where.body.closed) == (0.0, 1)

    @pytest.mark.parametrize("rest", [httpx.ReadError("reset"), httpx.RemoteProtocolError("cut")])
    async def test_what_goes_wrong_after_the_end_is_nothing(self, rest: Exception) -> None:
        """The answer was whole."""
        where = host(GOOD, rest)
        async with WireHTTP(lambda _: where, lambda: 0.0, anthropic).open(ask()) as upstream:
            await upstream.read()
        assert where.body.closed == 1

    @pytest.mark.parametrize("wait", ["head", "body"])
    async def test_a_loser_is_closed_at_once(self, autojump_clock: MockClock, wait: str) -> None:
        """Cancelled, it reads nothing more."""
        where = host(1000.0) if wait == "body" else host(1000.0, status=500)
        with trio.move_on_after(1) as scope:
            async with WireHTTP(lambda _: where, lambda: 0.0, anthropic).open(ask()) as upstream:
                await upstream.read()
        assert scope.cancelled_caught
        assert (trio.current_time(), where.body.closed) == (1.0, 1)

    async def test_a_caller_that_gives_up_does_not_drain(self, autojump_clock: MockClock) -> None:
        """An answer that was broken off is not worth the wait."""
        where = host(GOOD[:400], 1000.0)

        async def gives_up() -> None:
            async with WireHTTP(lambda _: where, lambda: 0.0, anthropic).open(ask()) as upstream:
                await upstream.read()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await gives_up()
        assert (trio.current_time(), where.body.closed) == (0.0, 1)


def _chunked(data: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n" % (len(data), data)
