"""The scripted upstream itself: what it answers, how it fails, and that its log tells the truth."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
import trio

from .exchange import Exchange
from .faults import NAMES, parse
from .grammar import read
from .upstream import Upstream, refusing, serving


def ask(text: str, *, stream: bool = True, model: str = "claude-sonnet-5-5", **more: Any) -> dict[str, Any]:
    """A Messages request of one user turn."""
    messages = [{"role": "user", "content": text}]
    return {"model": model, "max_tokens": 100, "stream": stream, "messages": messages, **more}


async def post(upstream: Upstream, body: dict[str, Any], prefix: str = "") -> httpx.Response:
    """One request on a connection of its own."""
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        return await client.post(f"{upstream.base_url}{prefix}/v1/messages?beta=true", json=body)


@asynccontextmanager
async def raw_request(upstream: Upstream, body: dict[str, Any]) -> AsyncIterator[trio.SocketStream]:
    """A bare socket on which the request has been sent."""
    data = json.dumps(body).encode()
    stream = await trio.open_tcp_stream("127.0.0.1", upstream.port)
    async with stream:
        await stream.send_all(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(data) + data)
        yield stream


async def ended(exchange: Exchange) -> str:
    """How the exchange ended, once it has."""
    with trio.fail_after(5):
        await exchange.over.wait()
    return exchange.ending


@pytest.mark.parametrize("script", ["[[say one two three]]", "[[think 42]]", "[[both /in /out]]", "no script at all"])
async def test_a_stream_keeps_the_strict_grammar_and_says_what_the_whole_answer_says(
    upstream: Upstream, script: str
) -> None:
    """Stream and JSON are two renderings of one message, apart from the ids made up for each."""
    reading = read((await post(upstream, ask(script))).content)
    whole = (await post(upstream, ask(script, stream=False))).json()
    assert reading.faults == []
    assert reading.stop_reason == whole["stop_reason"]
    assert reading.usage["output_tokens"] == whole["usage"]["output_tokens"]
    assert reading.text == "".join(block.get("text", "") for block in whole["content"])
    assert reading.tools == [(b["name"], b["input"]) for b in whole["content"] if b["type"] == "tool_use"]


async def test_the_tool_loop_is_driven_by_the_results_in_the_conversation(upstream: Upstream) -> None:
    """Read first, then Bash with the word that was read, then the end."""
    body = ask("[[loop /in.txt /out.txt]]", stream=False)
    seen = []
    for result in ("word-apple", "appended"):
        reply = (await post(upstream, body)).json()
        call = reply["content"][-1]
        seen.append((call["name"], call["input"]))
        outcome = {"type": "tool_result", "tool_use_id": call["id"], "content": result}
        body["messages"] += [{"role": "assistant", "content": reply["content"]}, {"role": "user", "content": [outcome]}]
    last = (await post(upstream, body)).json()
    assert seen[0] == ("Read", {"file_path": "/in.txt"})
    assert seen[1][0] == "Bash"
    assert "word-apple >> /out.txt" in seen[1][1]["command"]
    assert last["content"] == [{"type": "text", "text": "The loop is over: appended"}]
    assert last["stop_reason"] == "end_turn"


async def test_a_newer_script_takes_over_from_the_older_one(upstream: Upstream) -> None:
    """The newest mark counts, and tool results before it belong to the past."""
    body = ask("[[loop /in /out]]", stream=False)
    outcome = {"type": "tool_result", "tool_use_id": "x", "content": "word-old"}
    call = {"type": "tool_use", "id": "x", "name": "Read", "input": {"file_path": "/in"}}
    body["messages"] += [
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [outcome]},
        {"role": "assistant", "content": "fine"},
        {"role": "user", "content": [{"type": "text", "text": "[[recall]]"}]},
        {"role": "system", "content": "[[say not for you]]"},
    ]
    assert (await post(upstream, body)).json()["content"][0]["text"] == "I said: fine"


async def test_a_text_that_broke_off_is_continued(upstream: Upstream) -> None:
    """Whoever is shown the beginning says the rest, and then the tool that was due."""
    for script, begun, expected in (
        ("[[say one two three]]", "one two ", ["three"]),
        ("[[loop /in /out]]", "I read the file first.", ["Read"]),
    ):
        body = ask(script, stream=False)
        body["messages"] += [
            {"role": "assistant", "content": [{"type": "text", "text": begun}]},
            {"role": "user", "content": "Please continue where you stopped."},
        ]
        content = (await post(upstream, body)).json()["content"]
        assert [block.get("text") or block["name"] for block in content] == expected


async def test_a_result_is_told_with_whether_it_is_an_error_and_a_tool_with_whether_it_is_offered(
    upstream: Upstream,
) -> None:
    """What a command came to, and whether the tool that was looked up has come."""
    for script, call, offered, expected in (
        ("[[run false]]", {"is_error": True, "content": "bad"}, [], "It failed: bad"),
        ("[[run true]]", {"content": "good"}, [], "It ran: good"),
        ("[[find Web]]", {"content": []}, [], "Web is not there"),
        ("[[find Web]]", {"content": []}, [{"name": "Web"}], "Web is there"),
    ):
        body = ask(script, stream=False, tools=offered)
        first = (await post(upstream, body)).json()["content"]
        outcome = {"type": "tool_result", "tool_use_id": first[-1]["id"], **call}
        body["messages"] += [{"role": "assistant", "content": first}, {"role": "user", "content": [outcome]}]
        assert (await post(upstream, body)).json()["content"] == [{"type": "text", "text": expected}]


async def test_title_requests_token_counts_models_and_probes_are_answered(upstream: Upstream) -> None:
    """The side requests of Claude Code, on one connection, in a row."""
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    title = ask("x", stream=False, output_config={"format": {"type": "json_schema", "schema": schema}})
    async with httpx.AsyncClient(base_url=upstream.base_url, timeout=5, trust_env=False) as client:
        assert "title" in json.loads((await client.post("/v1/messages", json=title)).json()["content"][0]["text"])
        assert (await client.post("/v1/messages/count_tokens", json=ask("x"))).json()["input_tokens"] > 0
        assert (await client.get("/v1/models?limit=1000")).json()["data"][0]["id"] == "claude-sonnet-5-5"
        assert (await client.head("/api/hello")).status_code == 200
        assert [row["path"] for row in (await client.get("/log")).json()][-1] == "/log"
    assert [exchange.is_title for exchange in upstream.asked] == [True]


@pytest.mark.parametrize("place", ["prefix", "model", "server"])
async def test_a_fault_is_chosen_by_prefix_by_model_or_by_server(place: str) -> None:
    """The same fault in the three places, with its number."""
    fault = "429-retry-after:7"
    async with serving(fault=fault if place == "server" else "") as upstream:
        body = ask("x", model=f"m@{fault}" if place == "model" else "m")
        reply = await post(upstream, body, prefix=f"/{fault}" if place == "prefix" else "")
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")
        assert reply.json()["error"]["type"] == "rate_limit_error"
        assert upstream.asked[0].fault == fault


async def test_a_fault_that_does_not_exist_is_refused() -> None:
    """A typo must not turn into a healthy upstream."""
    with pytest.raises(ValueError, match="no fault named 'rest'"):
        parse("rest")
    with pytest.raises(ValueError, match="silence"):
        async with serving(fault="sillence"):
            pass


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("401", "401"),
        ("429", "429"),
        ("500", "500"),
        ("529", "529"),
        ("reset", "ReadError"),
        ("close", "RemoteProtocolError"),
        ("html", "200 text/html"),
        ("empty", "200 nothing"),
        ("hollow", "200 the stream ends in the message, without message_stop"),
        ("error-event", "200 overloaded_error"),
        ("error-midway", "200 api_error"),
        ("cut-text", "RemoteProtocolError"),
        ("cut-tool", "RemoteProtocolError"),
        ("reset-text", "ReadError"),
        ("reset-tool", "ReadError"),
        ("silence:0.01", "200 end_turn"),
        ("slow:0.01", "200 end_turn"),
        ("stall:0.01", "200 end_turn"),
        ("stall-tool:0.01", "200 tool_use"),
        ("silent-end:0.01", "200 the stream ends in the message, without message_stop"),
        ("dribble:3", "200 end_turn"),
        ("overlap", "200 block 1 starts while block 0 is open"),
    ],
)
async def test_each_fault_is_what_its_name_says(upstream: Upstream, fault: str, expected: str) -> None:
    """Seen through a plain HTTP client and the grammar checker."""
    script = "[[both /in /out]]" if "tool" in fault or fault == "overlap" else "[[say one two three four]]"
    try:
        reply = await post(upstream, ask(script, model=f"m@{fault}"))
    except httpx.TransportError as error:
        outcome = type(error).__name__
    else:
        outcome = str(reply.status_code)
        if reply.is_success:
            reading = read(reply.content)
            said = (reading.error or {}).get("type") or next(iter(reading.faults), reading.stop_reason)
            said = said if "event-stream" in reply.headers["content-type"] else reply.headers["content-type"]
            outcome += f" {said if reply.content else 'nothing'}"
    assert outcome == expected


def test_every_fault_is_covered_here() -> None:
    """A new fault needs a row in the test above, or one of its own."""
    rows = {str(row[0]).partition(":")[0] for row in _rows(test_each_fault_is_what_its_name_says)}
    assert set(NAMES) - rows == {"403", "404", "429-retry-after", "endless", "healthy"}


def _rows(test: Any) -> list[Any]:
    return next(list(mark.args[1]) for mark in test.pytestmark if mark.name == "parametrize")


async def test_whole_answers_break_too(upstream: Upstream) -> None:
    """A request without `stream` gets half of its JSON."""
    with pytest.raises(httpx.RemoteProtocolError):
        await post(upstream, ask("[[say one two]]", stream=False, model="m@cut-text"))


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_the_log_tells_that_and_when_a_client_left(upstream: Upstream, how: str) -> None:
    """In the middle of an endless answer, within 50 ms."""
    async with raw_request(upstream, ask("x", model="m@endless")) as stream:
        await stream.receive_some(100)
        if how == "reset":
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        left = trio.current_time()
        stream.socket.close()
        exchange = upstream.asked[0]
        assert await ended(exchange) == "client-left"
    assert exchange.ended is not None
    assert 0 <= exchange.ended - left < 0.05


async def test_a_client_that_leaves_during_silence_is_noticed(upstream: Upstream) -> None:
    """Nothing is being written, so only reading can tell."""
    async with raw_request(upstream, ask("x", model="m@silence:30")):
        exchange = await upstream.until_asked()
        assert exchange.ending == "open"
    assert await ended(exchange) == "client-left"
    assert exchange.sent == 0


@pytest.mark.parametrize(
    ("fault", "expected"), [("", "finished"), ("reset", "reset"), ("cut-text", "cut"), ("429", "finished")]
)
async def test_the_log_tells_the_upstreams_own_endings(upstream: Upstream, fault: str, expected: str) -> None:
    """What the script does itself is not put down to the client."""
    with suppress(httpx.TransportError):
        await post(upstream, ask("[[say one two]]", model=f"m@{fault}"))
    assert await ended(upstream.asked[0]) == expected


async def test_a_refusing_port_refuses() -> None:
    """And goes on refusing, since nobody else can take it."""
    with refusing() as url:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            for _ in range(2):
                with pytest.raises(httpx.ConnectError):
                    await client.get(url)
