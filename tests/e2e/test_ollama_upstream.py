"""The scripted upstream on Ollama's own wire: the same answers, the same faults, in that wire's form."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from .upstream import Upstream, serving


def ask(text: str, *, model: str = "m", **more: Any) -> dict[str, Any]:
    """A request of one user turn."""
    messages = [{"role": "user", "content": text}]
    return {"model": model, "messages": messages, "stream": True, "truncate": False, "shift": False, **more}


async def post(upstream: Upstream, body: dict[str, Any], prefix: str = "") -> httpx.Response:
    """One request on a connection of its own."""
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        return await client.post(f"{upstream.base_url}{prefix}/api/chat", json=body)


def lines(reply: httpx.Response) -> list[Any]:
    return [json.loads(line) for line in reply.text.splitlines()]


async def test_a_stream_is_lines_and_the_last_is_done(upstream: Upstream) -> None:
    """Calls come whole, with an object and no id; the counts at the end."""
    reply = await post(upstream, ask("[[both /in /out]]"))
    *told, last = lines(reply)
    calls = [call for line in told for call in line["message"].get("tool_calls", ())]
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert [call["function"]["name"] for call in calls] == ["Read", "Bash"]
    assert calls[0] == {"function": {"name": "Read", "arguments": {"file_path": "/in"}}}
    assert {line["done"] for line in told} == {False}
    assert (last["done"], last["done_reason"]) == (True, "stop")
    assert last["eval_count"] > 1


@pytest.mark.parametrize("script", ["[[say one two three]]", "[[think 42]]", "[[both /in /out]]", "no script at all"])
async def test_stream_and_whole_answer_say_the_same(upstream: Upstream, script: str) -> None:
    """They are two renderings of one message."""
    told = lines(await post(upstream, ask(script)))
    whole = (await post(upstream, ask(script, stream=False))).json()
    for field in ("content", "thinking"):
        assert "".join(line["message"].get(field, "") for line in told) == whole["message"].get(field, "")
    calls = [call for line in told for call in line["message"].get("tool_calls", ())]
    assert calls == whole["message"].get("tool_calls", [])
    assert told[-1]["eval_count"] == whole["eval_count"]


async def test_the_tool_loop_is_driven_by_the_tool_messages(upstream: Upstream) -> None:
    """Read first, then Bash with the word that was read, then the end."""
    body = ask("[[loop /in.txt /out.txt]]", stream=False)
    seen = []
    for result in ("word-apple", "appended"):
        message = (await post(upstream, body)).json()["message"]
        (call,) = message["tool_calls"]
        seen.append((call["function"]["name"], call["function"]["arguments"]))
        body["messages"] += [message, {"role": "tool", "tool_name": call["function"]["name"], "content": result}]
    last = (await post(upstream, body)).json()
    assert seen[0] == ("Read", {"file_path": "/in.txt"})
    assert "word-apple >> /out.txt" in seen[1][1]["command"]
    assert last["message"]["content"] == "The loop is over: appended"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("401", (401, {"error": "scripted 401"})),
        ("529", (529, {"error": "scripted 529"})),
        ("error-midway", (200, None)),
    ],
)
async def test_a_fault_has_this_wires_form(fault: str, expected: tuple[int, Any]) -> None:
    """Chosen by the address, as on every wire."""
    async with serving() as upstream:
        reply = await post(upstream, ask("[[say one two three four]]"), prefix=f"/{fault}")
    status, body = expected
    assert reply.status_code == status
    if body is None:
        assert lines(reply)[-1] == {"error": "scripted error event after text"}
    else:
        assert reply.json() == body


async def test_what_is_not_of_this_wire_is_refused_by_name() -> None:
    """With 400, and fails the test that let it happen."""
    async with serving(may_refuse=True) as upstream:
        reply = await post(upstream, ask("[[say x]]", tool_choice="auto"))
    assert (reply.status_code, reply.json()) == (400, {"error": "tool_choice: no such field"})
    with pytest.raises(AssertionError, match="tool_choice: no such field"):
        async with serving() as upstream:
            await post(upstream, ask("[[say x]]", tool_choice="auto"))
