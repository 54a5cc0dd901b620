"""Web search through the whole proxy: a scripted host without such a tool, a scripted engine, a raw and a real client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import pytest

from tests.transports.pages import Web, page, web

from .claude import ClaudeAt
from .grammar import Reading
from .proxy import Proxy, configuration, running_proxy
from .upstream import Upstream
from .wire import Wire

#: Each test starts a proxy of its own, which takes a second.
pytestmark = pytest.mark.long

#: As Claude Code 2.1.328 sends it.
TOOL = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
FOUND = json.dumps({"results": [{"title": "Hedges", "url": "https://hedges.test/a", "content": "About hedges."}]})


def asked(query: str, *, forced: bool = False, stream: bool = True) -> dict[str, Any]:
    """The side request of Claude Code's WebSearch."""
    choice = {"type": "tool", "name": "web_search"} if forced else {"type": "auto"}
    return {
        "model": "claude-sonnet-5-5", "max_tokens": 32_000, "stream": stream, "tools": [TOOL], "tool_choice": choice,
        "system": [{"type": "text", "text": "You are an assistant for performing a web search tool use"}],
        "messages": [{"role": "user", "content": f"Perform a web search for the query: [[search {query}]]"}],
    }  # fmt: skip


@asynccontextmanager
async def searching(upstream: Upstream, wire: Wire) -> AsyncIterator[tuple[Proxy, Web]]:
    """The proxy before the upstream, with an engine that finds one page for "hedges"."""
    settings = "open_lists = false\n" if wire == "anthropic" else ""
    config = configuration({"only": upstream.base_url}, ["only/claude-sonnet-5-5"], wires=[wire], settings=settings)
    async with web({}) as engine:
        address = f"127.0.0.1:{engine.port}"
        engine.answers = {f"{address}/search?format=json&q=hedges": page(FOUND, "application/json")}
        table = f'\n[web_tools]\nenabled = true\nsearch = "searxng"\nsearch_base_url = "http://{address}"\n'
        async with running_proxy(config + table) as proxy:
            yield proxy, engine


def told(reply: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in reply.text.splitlines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("forced", [False, True], ids=["auto", "forced"])
@pytest.mark.parametrize("wire", ["anthropic", "openai-chat"])
async def test_a_search_request_is_answered_as_anthropic_would(upstream: Upstream, wire: Wire, forced: bool) -> None:
    """As a stream in the strict grammar and as JSON alike: the call, what was found, the model's words, the count."""
    async with searching(upstream, wire) as (proxy, engine), httpx.AsyncClient(timeout=20, trust_env=False) as client:
        url = f"{proxy.base_url}/v1/messages"
        streamed = await client.post(url, json=asked("hedges", forced=forced))
        whole = (await client.post(url, json=asked("hedges", forced=forced, stream=False))).json()
    reading = Reading()
    for payload in told(streamed):
        reading.take(payload)
    reading.finish()
    assert reading.faults == []
    kinds = ["server_tool_use", "web_search_tool_result", "text"]
    assert [block["type"] for block in whole["content"]] == kinds
    starts = [p["content_block"]["type"] for p in told(streamed) if p["type"] == "content_block_start"]
    assert starts == kinds
    assert whole["content"][1]["content"][0]["url"] == "https://hedges.test/a"
    assert whole["content"][2]["text"] == "I found: https://hedges.test/a"
    assert whole["usage"]["server_tool_use"] == {"web_search_requests": 1}
    assert whole["stop_reason"] == "end_turn"
    assert len(engine.asked) == 2


async def test_an_engine_that_is_gone_is_an_error_in_the_result(upstream: Upstream) -> None:
    """The turn goes on."""
    async with (
        searching(upstream, "openai-chat") as (proxy, _),
        httpx.AsyncClient(timeout=20, trust_env=False) as client,
    ):
        whole = (await client.post(f"{proxy.base_url}/v1/messages", json=asked("nobody", stream=False))).json()
    assert whole["content"][1]["content"] == {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    assert whole["content"][2]["type"] == "text"


@pytest.mark.real
@pytest.mark.parametrize("wire", ["anthropic", "openai-chat"])
async def test_real_claude_code_searches(upstream: Upstream, claude_at: ClaudeAt, wire: Wire) -> None:
    """Its WebSearch tool, from the model's call to the words that come back to the model."""
    async with searching(upstream, wire) as (proxy, engine):
        # Without the betas all tools are there from the start, WebSearch among them.
        claude = attrs.evolve(claude_at(proxy.base_url), env={"CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1"})
        run = await claude.run("[[web hedges]]", tools=["WebSearch"])
        assert run.is_clean, str(run)
        assert "https://hedges.test/a" in run.text, str(run)
        assert len(engine.asked) == 1
