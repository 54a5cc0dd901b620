"""The proxy and a provider that it asks over WebSockets, with the real Claude Code before it and without."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .claude import ClaudeAt, assert_clean, files_of
from .proxy import Proxy, configuration, running_proxy
from .sockets import SocketUpstream, speaking
from .upstream import serving

#: Each test starts a proxy of its own, which takes a second.
pytestmark = pytest.mark.long

SETTINGS = "websocket = true\n"


def config(url: str) -> str:
    return configuration({"only": url}, ["only/claude-sonnet-5-5"], settings=SETTINGS, wires=["openai-responses"])


def kinds(frame: dict[str, Any]) -> list[str]:
    return [item.get("role") or item["type"] for item in frame["input"]]


async def say(proxy: Proxy, *texts: str, session: str = "s1") -> str:
    """One turn of a conversation in which these texts take turns."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    body = {"model": "m", "max_tokens": 100, "messages": messages}
    headers = {"x-claude-code-session-id": session}
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        answer = await client.post(f"{proxy.base_url}/v1/messages", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return "".join(block["text"] for block in answer.json()["content"])


async def account(proxy: Proxy) -> list[dict[str, Any]]:
    """The accounts of all requests, the last first."""
    async with httpx.AsyncClient(trust_env=False, base_url=proxy.base_url, timeout=10) as client:
        rows = (await client.get("/api/requests")).json()["requests"]
        return [(await client.get(f"/api/requests/{row['id']}")).json() for row in rows]


async def test_a_conversation_stays_on_its_socket() -> None:
    """Through the whole proxy: the second turn sends its own words alone, another session has a socket of its own."""
    async with speaking(SocketUpstream()) as upstream:
        async with running_proxy(config(upstream.base_url)) as proxy:
            assert await say(proxy, "[[say one]]") == "one"
            assert await say(proxy, "[[say one]]", "one", "[[recall]]") == "I said: one"
            assert await say(proxy, "[[say one]]", "one", "[[recall]]", session="s2") == "I said: one"
            assert [kinds(frame) for frame in upstream.frames] == [["user"], ["user"], ["user", "assistant", "user"]]
            assert upstream.on == [1, 1, 2]
            assert upstream.open == 2
            told = await account(proxy)
            assert [one["attempts"][0]["tries"][0]["via"] for one in told] == ["websocket"] * 3
            assert [one["view"]["candidates"]["only/claude-sonnet-5-5"].get("sticky") for one in told] == [
                None,
                True,
                None,
            ]
        assert upstream.open == 0


async def test_a_host_without_sockets_is_asked_over_http() -> None:
    """The refused upgrade costs no turn, and is asked for once."""
    async with serving("only") as upstream:
        async with running_proxy(config(upstream.base_url)) as proxy:
            assert await say(proxy, "[[say one]]") == "one"
            assert await say(proxy, "[[say two]]") == "two"
            assert [one["attempts"][0]["tries"][0]["via"] for one in await account(proxy)] == ["http"] * 2
    assert [(exchange.method, exchange.path) for exchange in upstream.log] == [
        ("GET", "/v1/responses"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/responses"),
    ]


async def test_a_socket_that_was_hung_up_between_turns_is_not_noticed() -> None:
    """The next turn opens another."""
    async with speaking(SocketUpstream(hangs_up=True)) as upstream:
        async with running_proxy(config(upstream.base_url)) as proxy:
            assert await say(proxy, "[[say one]]") == "one"
            assert await say(proxy, "[[say one]]", "one", "[[recall]]") == "I said: one"
            assert upstream.on == [1, 2]


@pytest.mark.real
async def test_the_tool_loop_of_claude_code_sends_only_what_is_new(claude_at: ClaudeAt) -> None:
    """Read, then Bash with what was read, on one socket; each turn but the first brings one result."""
    async with speaking(SocketUpstream()) as upstream, running_proxy(config(upstream.base_url)) as proxy:
        claude = claude_at(proxy.base_url)
        script, target = files_of(claude)
        assert_clean(await claude.run(script), "The loop is over: appended")
    assert target.read_text() == "word-apple\n"
    frames = [
        (frame, on) for frame, on, exchange in zip(upstream.frames, upstream.on, upstream.log, strict=True)
        if not exchange.is_title
    ]  # fmt: skip
    assert "previous_response_id" not in frames[0][0]
    assert [kinds(frame)[0] for frame, _ in frames[1:]] == ["function_call_output"] * 2
    assert all("assistant" not in kinds(frame) for frame, _ in frames[1:])
    assert all(frame["previous_response_id"] for frame, _ in frames[1:])
    assert len({on for _, on in frames}) == 1
    assert [len(frame["input"]) for frame, _ in frames[1:]] == [1, 1]


@pytest.mark.real
async def test_a_host_that_forgets_is_not_noticed_by_claude_code(claude_at: ClaudeAt) -> None:
    """Each turn is told in full after all, without a retry of the client's."""
    async with speaking(SocketUpstream(forgets=True)) as upstream, running_proxy(config(upstream.base_url)) as proxy:
        claude = claude_at(proxy.base_url)
        script, target = files_of(claude)
        assert_clean(await claude.run(script), "The loop is over: appended")
    assert target.read_text() == "word-apple\n"
    assert len(upstream.log) < len(upstream.frames)


@pytest.mark.real
async def test_thinking_a_resumed_session_and_a_sub_agent_go_over_sockets(claude_at: ClaudeAt) -> None:
    """Reasoning that the host keeps is not sent back to it, and is in a whole history; an agent has its own socket."""
    async with speaking(SocketUpstream()) as upstream, running_proxy(config(upstream.base_url)) as proxy:
        claude = claude_at(proxy.base_url)
        first = await claude.run("[[think forty two]]")
        assert_clean(first, "forty two")
        assert_clean(await claude.run("[[recall]]", resume=first.session), "I said: forty two")
        run = await claude_at(proxy.base_url).run("[[agent pineapple]]")
        assert run.is_clean, str(run)
        assert "pineapple" in run.text, str(run)
    agents = upstream.log[-3:]
    assert [exchange.ask.turn().name for exchange in agents] == ["agent", "say", "agent"]
    assert upstream.on[-3] == upstream.on[-1] != upstream.on[-2]
    assert "previous_response_id" in upstream.frames[-1]
