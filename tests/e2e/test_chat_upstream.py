"""The scripted upstream on its other wire: the same answers, the same faults, in chat completions' own form."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from .chat_asks import as_messages
from .faults import NAMES
from .scripts import Ask
from .upstream import Upstream, serving


def ask(text: str, *, stream: bool = True, model: str = "m", **more: Any) -> dict[str, Any]:
    """A request of one user turn."""
    asked = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}], **asked, **more}


async def post(upstream: Upstream, body: dict[str, Any], prefix: str = "") -> httpx.Response:
    """One request on a connection of its own."""
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        return await client.post(f"{upstream.base_url}{prefix}/v1/chat/completions", json=body)


def chunks(reply: httpx.Response) -> list[Any]:
    """What the frames hold; `[DONE]` as it stands."""
    frames = [frame.removeprefix("data: ") for frame in reply.text.split("\n\n") if frame]
    return [frame if frame == "[DONE]" else json.loads(frame) for frame in frames]


def put_together(reply: httpx.Response) -> dict[str, Any]:
    """The message of a stream, by the description: texts joined, calls by their index."""
    out: dict[str, Any] = {"content": "", "reasoning_content": "", "calls": {}, "usage": None, "end": None}
    for chunk in chunks(reply):
        if chunk == "[DONE]":
            continue
        out["usage"] = chunk.get("usage") or out["usage"]
        for choice in chunk.get("choices", ()):
            out["end"] = choice["finish_reason"] or out["end"]
            for field in ("content", "reasoning_content"):
                out[field] += choice["delta"].get(field, "")
            for piece in choice["delta"].get("tool_calls", ()):
                call = out["calls"].setdefault(piece["index"], {"arguments": ""})
                call |= {"id": piece["id"], "name": piece["function"]["name"]} if "id" in piece else {}
                call["arguments"] += piece["function"]["arguments"]
    return out


async def test_a_stream_is_written_as_the_description_has_it(upstream: Upstream) -> None:
    """Role first, words, a call's name before its arguments, finish reason, usage without choices, [DONE]."""
    *told, counted, done = chunks(await post(upstream, ask("[[both /in /out]]")))
    deltas = [chunk["choices"][0]["delta"] for chunk in told]
    calls = [delta["tool_calls"][0] for delta in deltas[1:-1]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert (calls[0]["index"], calls[0]["function"]) == (0, {"name": "Read", "arguments": ""})
    assert {call["index"] for call in calls} == {0, 1}
    assert len(calls) > 4
    assert (deltas[-1], told[-1]["choices"][0]["finish_reason"]) == ({}, "tool_calls")
    assert {chunk["choices"][0]["finish_reason"] for chunk in told[:-1]} == {None}
    assert counted["choices"] == []
    assert counted["usage"]["completion_tokens"] > 1
    assert done == "[DONE]"


@pytest.mark.parametrize("script", ["[[say one two three]]", "[[think 42]]", "[[both /in /out]]", "no script at all"])
async def test_stream_and_whole_answer_say_the_same(upstream: Upstream, script: str) -> None:
    """They are two renderings of one message, apart from the ids made up for each."""
    told = put_together(await post(upstream, ask(script)))
    whole = (await post(upstream, ask(script, stream=False))).json()
    message = whole["choices"][0]["message"]
    calls = [call["function"] for call in message.get("tool_calls", ())]
    assert (told["content"] or None) == message["content"]
    assert told["reasoning_content"] == message.get("reasoning_content", "")
    assert [{k: call[k] for k in ("name", "arguments")} for call in told["calls"].values()] == calls
    assert told["end"] == whole["choices"][0]["finish_reason"]
    assert told["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]


async def test_usage_comes_only_where_it_was_asked_for(upstream: Upstream) -> None:
    """As the description has it: a translator that forgets to ask gets none."""
    body = ask("[[say x]]")
    del body["stream_options"]
    assert all("usage" not in chunk for chunk in chunks(await post(upstream, body)))


async def test_the_tool_loop_is_driven_by_the_tool_messages(upstream: Upstream) -> None:
    """Read first, then Bash with the word that was read, then the end."""
    body = ask("[[loop /in.txt /out.txt]]", stream=False)
    seen = []
    for result in ("word-apple", "appended"):
        message = (await post(upstream, body)).json()["choices"][0]["message"]
        (call,) = message["tool_calls"]
        seen.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
        told = {"role": "assistant", "content": message["content"], "tool_calls": message["tool_calls"]}
        body["messages"] += [told, {"role": "tool", "tool_call_id": call["id"], "content": result}]
    last = (await post(upstream, body)).json()["choices"][0]
    assert seen[0] == ("Read", {"file_path": "/in.txt"})
    assert "word-apple >> /out.txt" in seen[1][1]["command"]
    assert (last["message"]["content"], last["finish_reason"]) == ("The loop is over: appended", "stop")


def test_what_was_asked_is_read_as_on_the_other_wire() -> None:
    """Pictures of the user's own and of a tool, the tools' names, the wanted title."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    call = {"id": "c", "type": "function", "function": {"name": "Read", "arguments": '{"file_path": "a"}'}}
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    messages = [
        {"role": "developer", "content": "[[say not for you]]"},
        {"role": "user", "content": [{"type": "text", "text": "[[look a]]"}, picture, picture]},
        {"role": "assistant", "content": "so far", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "shown below"},
        {"role": "user", "content": [{"type": "text", "text": "look:"}, picture]},
    ]
    seen = Ask(as_messages({"model": "m", "messages": messages, "tools": [{"function": {"name": "Read"}}]}))
    assert (seen.turn().name, seen.turn().argument, seen.said()) == ("look", "a", ("so far",))
    assert [(result.text, result.images) for result in seen.turn().results] == [
        ("shown below", (("image/png", 4),)),
    ]
    assert seen.tool_names == {"Read"}
    described = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert Ask(as_messages({"model": "m", "messages": messages[:2], "response_format": described})).is_title


async def test_models_are_listed_in_the_form_of_whoever_asks(upstream: Upstream) -> None:
    """Both wires ask for the same path."""
    async with httpx.AsyncClient(base_url=upstream.base_url, timeout=5, trust_env=False) as client:
        openai = (await client.get("/v1/models")).json()
        anthropic = (await client.get("/v1/models", headers={"anthropic-version": "2023-06-01"})).json()
    assert (openai["object"], openai["data"][0]["object"]) == ("list", "model")
    assert anthropic["data"][0]["type"] == "model"
    assert [row["id"] for row in openai["data"]] == [row["id"] for row in anthropic["data"]]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("401", "401 invalid_api_key"),
        ("403", "403 unsupported_country_region_territory"),
        ("404", "404 model_not_found"),
        ("429", "429 rate_limit_exceeded"),
        ("429-retry-after", "429 rate_limit_exceeded"),
        ("500", "500 None"),
        ("529", "529 overloaded"),
        ("reset", "ReadError"),
        ("close", "RemoteProtocolError"),
        ("html", "200 text/html"),
        ("empty", "200 no frames"),
        ("hollow", "200 1 frames, the last with a role"),
        ("error-event", "200 2 frames, the last an error"),
        ("error-midway", "200 5 frames, the last an error"),
        ("cut-text", "RemoteProtocolError"),
        ("cut-tool", "RemoteProtocolError"),
        ("reset-text", "ReadError"),
        ("reset-tool", "ReadError"),
        ("silence:0.01", "200 stop"),
        ("slow:0.01", "200 stop"),
        ("stall:0.01", "200 stop"),
        ("stall-tool:0.01", "200 tool_calls"),
        ("silent-end:0.01", "200 1 frames, the last with a role"),
        ("dribble:3", "200 stop"),
        ("overlap", "200 tool_calls"),
        ("healthy", "200 stop"),
    ],
)
async def test_each_fault_is_what_its_name_says(upstream: Upstream, fault: str, expected: str) -> None:
    """Seen through a plain HTTP client."""
    script = "[[both /in /out]]" if "tool" in fault or fault == "overlap" else "[[say one two three four]]"
    try:
        reply = await post(upstream, ask(script, model=f"m@{fault}"))
    except httpx.TransportError as error:
        outcome = type(error).__name__
    else:
        outcome = f"{reply.status_code} {described(reply)}"
    assert outcome == expected


def described(reply: httpx.Response) -> str:
    """What an answer comes to."""
    if not reply.is_success:
        return str(reply.json()["error"]["code"])
    if "event-stream" not in reply.headers["content-type"]:
        return reply.headers["content-type"]
    found = chunks(reply)
    if not found:
        return "no frames"
    if found[-1] == "[DONE]":
        return str(put_together(reply)["end"])
    return f"{len(found)} frames, the last {'an error' if 'error' in found[-1] else 'with a role'}"


def test_every_fault_is_covered_here() -> None:
    """A new fault needs a row in the test above; an endless answer does not end here either."""
    marks: Any = getattr(test_each_fault_is_what_its_name_says, "pytestmark")  # noqa: B009
    rows = {str(row[0]).partition(":")[0] for mark in marks if mark.name == "parametrize" for row in mark.args[1]}
    assert set(NAMES) - rows == {"endless"}


async def test_parallel_calls_take_turns_where_they_overlap(upstream: Upstream) -> None:
    """And are whole when they are put together by their index."""
    reply = await post(upstream, ask("[[both /in /out]]", model="m@overlap"))
    pieces = [piece for c in chunks(reply)[:-2] for piece in c["choices"][0]["delta"].get("tool_calls", ())]
    assert [piece["index"] for piece in pieces[:4]] == [0, 1, 0, 1]
    calls = put_together(reply)["calls"].values()
    assert [json.loads(call["arguments"]).keys() for call in calls] == [{"file_path"}, {"command", "description"}]


async def test_a_foreign_field_is_answered_422_and_remembered() -> None:
    """With its name, whatever fault the upstream has otherwise."""
    async with serving(fault="429", may_refuse=True) as upstream:
        reply = await post(upstream, ask("[[say x]]", thinking={"type": "adaptive"}))
        assert (reply.status_code, reply.json()["error"]["message"]) == (422, "thinking: no such field")
        assert upstream.refused == ["request 1: thinking: no such field"]
        assert upstream.log[0].summary()["refused"] == ["thinking: no such field"]


async def let_pass(error: Exception | None = None) -> None:
    """A test in which a request is refused, asked again without the field, and answered; then `error` happens."""
    async with serving() as upstream:
        await post(upstream, ask("x", thinking={}))
        assert (await post(upstream, ask("[[say x]]"))).is_success
        if error:
            raise error


async def test_a_refusal_fails_the_test_even_if_somebody_got_over_it() -> None:
    """But what went wrong before that is what is told."""
    with pytest.raises(AssertionError, match="request 1: thinking: no such field"):
        await let_pass()
    with pytest.raises(ZeroDivisionError):
        await let_pass(ZeroDivisionError())


async def test_thinking_that_somebody_else_signed_is_refused_on_the_other_wire() -> None:
    """As Anthropic does it, which the envelope of another wire's thinking must never meet."""
    block = {"type": "thinking", "thinking": "hm", "signature": "hedgerow.first/m."}
    messages = [
        {"role": "user", "content": "[[say x]]"},
        {"role": "assistant", "content": [block, {"type": "text", "text": "x"}]},
        {"role": "user", "content": "[[say y]]"},
    ]
    async with serving(may_refuse=True) as upstream, httpx.AsyncClient(trust_env=False) as client:
        body = {"model": "m", "max_tokens": 9, "messages": messages}
        assert (await client.post(f"{upstream.base_url}/v1/messages", json=body)).status_code == 400
        assert "messages.1.content.0: Invalid `signature`" in upstream.refused[0]
        block["signature"] = "c2NyaXB0ZWQ="
        assert (await client.post(f"{upstream.base_url}/v1/messages", json=body)).status_code == 200
