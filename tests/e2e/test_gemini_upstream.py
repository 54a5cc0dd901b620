"""Gemini's wire on real sockets, seen from the host's end: a tool turn, a thought, and refusals that are healed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from .exchange import endings
from .gemini_rules import NONE
from .proxy import Proxy, configuration, running_proxy
from .upstream import Upstream, serving

#: Each test starts a proxy of its own, which takes a second.
pytestmark = pytest.mark.long

MODEL = "only/gemini-3-pro-preview"
TOOL = {
    "name": "get_weather",
    "description": "Weather.",
    "input_schema": {"type": "object", "properties": {"city": {}}},
}


@asynccontextmanager
async def gemini_proxy(*, may_refuse: bool = False) -> AsyncIterator[tuple[Upstream, Proxy]]:
    """A strict host of Gemini's, and the proxy before it."""
    async with serving(may_refuse=may_refuse) as upstream:
        async with running_proxy(configuration({"only": upstream.base_url}, [MODEL], wires=["gemini"])) as proxy:
            yield upstream, proxy


async def asked(proxy: Proxy, messages: list[Any], **fields: Any) -> dict[str, Any]:
    """One answer, whole."""
    body = {"model": "any", "max_tokens": 1000, "messages": messages, **fields}
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{proxy.base_url}/v1/messages", json=body, timeout=20)
    found: dict[str, Any] = answer.json()
    assert answer.status_code == 200, found
    return found


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


async def test_a_tool_turn_with_its_signature() -> None:
    """The call comes with an envelope before it, goes back to its author signed, and its result stands behind it."""
    async with gemini_proxy() as (upstream, proxy):
        messages = [user("[[weather Oslo]]")]
        first = await asked(proxy, messages, tools=[TOOL])
        assert [block["type"] for block in first["content"]] == ["text", "redacted_thinking", "tool_use"]
        assert first["stop_reason"] == "tool_use"
        result = {"type": "tool_result", "tool_use_id": first["content"][-1]["id"], "content": "rain"}
        messages += [{"role": "assistant", "content": first["content"]}, user([result])]
        second = await asked(proxy, messages, tools=[TOOL])
        assert second["content"] == [{"type": "text", "text": "The weather: rain"}]
    sent = upstream.asked[1]
    assert sent.path == "/v1beta/models/gemini-3-pro-preview:streamGenerateContent"
    assert sent.body["contents"][1]["parts"][1]["thoughtSignature"] not in ("", NONE)
    assert endings(upstream.asked) == ["finished"] * 2


async def test_thinking() -> None:
    """It is asked for by a level, shown, and signed by the proxy."""
    async with gemini_proxy() as (upstream, proxy):
        answer = await asked(proxy, [user("[[think forty two]]")], thinking={"type": "adaptive"})
        assert [block["type"] for block in answer["content"]] == ["thinking", "text"]
        assert answer["content"][0]["signature"] == f"hedgerow.{MODEL}."
    config = upstream.asked[0].body["generationConfig"]["thinkingConfig"]
    assert config == {"includeThoughts": True, "thinkingLevel": "low"}


async def test_a_signature_that_is_refused_is_healed_once() -> None:
    """All of them are left out, and Google's word stands where one must be; the next request is right from the start."""
    from transports._envelope import seal

    history = [
        user("[[weather Oslo]]"),
        {
            "role": "assistant",
            "content": [
                {"type": "redacted_thinking", "data": seal(MODEL, {"calls": {"0": "c3RhbGU="}})},
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
            ],
        },
        user([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}]),
    ]
    async with gemini_proxy(may_refuse=True) as (upstream, proxy):
        for _ in range(2):
            answer = await asked(proxy, history, tools=[TOOL])
            assert answer["content"] == [{"type": "text", "text": "The weather: rain"}]
    assert [exchange.refused for exchange in upstream.asked] == [["Corrupted thought signature."], [], []]
    given = [exchange.body["contents"][1]["parts"][0]["thoughtSignature"] for exchange in upstream.asked]
    assert given == ["c3RhbGU=", NONE, NONE]


@pytest.mark.parametrize("fault", ["429", "500", "error-event", "hollow"])
async def test_a_failure_goes_to_the_next_candidate(fault: str) -> None:
    """Before content it is invisible, on this wire as on the others."""
    async with serving("first", fault) as first, serving("second") as second:
        urls = {"first": first.base_url, "second": second.base_url}
        names = [f"{name}/gemini-3-pro-preview" for name in urls]
        async with running_proxy(configuration(urls, names, wires=["gemini", "gemini"])) as proxy:
            answer = await asked(proxy, [user("[[say one]]")])
    assert answer["content"] == [{"type": "text", "text": "one"}]
    assert len(second.asked) == 1
