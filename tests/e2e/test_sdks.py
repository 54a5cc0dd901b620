"""The official Python SDKs through the real proxy.

They are stricter than Claude Code: an index gap, a missing usage or a delta before its start raises. Each test also runs
against the scripted upstream itself (`direct`), which shows that what fails through the proxy is the proxy's doing, and
with the proxy asking on either wire.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest
import trio

from .test_claude_code import PNG
from .upstream import MODELS, Upstream
from .wire import SIGNATURE

pytestmark = pytest.mark.real

anthropic = pytest.importorskip("anthropic", reason="needs the dependency group 'real'")

MODEL = "claude-sonnet-5-5"
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

T = TypeVar("T")


@pytest.fixture
async def client(door: str) -> AsyncIterator[Any]:
    """The synchronous client, without retries of its own: a retry would hide a failure."""
    with anthropic.Anthropic(base_url=door, auth_token="scripted", api_key=None, max_retries=0, timeout=30) as made:
        yield made


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking client code beside the upstream."""
    return await trio.to_thread.run_sync(work)


def create(client: Any, text: str, **more: Any) -> Any:
    """A whole message."""
    return client.messages.create(model=MODEL, max_tokens=2000, messages=[{"role": "user", "content": text}], **more)


def stream(client: Any, messages: list[Any], **more: Any) -> tuple[str, Any]:
    """(the text as it came in, the message the SDK put together)."""
    with client.messages.stream(model=MODEL, max_tokens=2000, messages=messages, **more) as events:
        return "".join(events.text_stream), events.get_final_message()


async def test_a_streamed_message(client: Any, upstream: Upstream) -> None:
    """Text as it comes, then the whole with stop reason and usage."""
    text, message = await in_thread(partial(stream, client, [{"role": "user", "content": "[[say one two three]]"}]))
    assert text == "one two three"
    assert [block.type for block in message.content] == ["text"]
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 3)
    assert message.usage.input_tokens > 0
    assert upstream.asked[0].ending == "finished"


async def test_a_whole_message(client: Any) -> None:
    """The same without `stream`."""
    message = await in_thread(partial(create, client, "[[say one two three]]"))
    assert message.content[0].text == "one two three"
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
    assert message.usage.output_tokens == 3


@pytest.mark.parametrize("way", ["streamed", "whole"])
async def test_a_tool_call_and_its_result(client: Any, way: str) -> None:
    """Two turns; the tool's input is complete JSON in both ways of asking."""

    def turn(messages: list[Any]) -> Any:
        if way == "streamed":
            return stream(client, messages, tools=[WEATHER])[1]
        return client.messages.create(model=MODEL, max_tokens=200, messages=messages, tools=[WEATHER])

    messages: list[Any] = [{"role": "user", "content": "[[weather Oslo]]"}]
    first = await in_thread(partial(turn, messages))
    call = first.content[-1]
    assert (first.stop_reason, call.name, call.input) == ("tool_use", "get_weather", {"city": "Oslo"})
    outcome = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [outcome]}]
    second = await in_thread(partial(turn, messages))
    assert second.content[0].text == "The weather: rain"


@pytest.mark.parametrize("way", ["streamed", "whole"])
async def test_thinking_keeps_its_signature(client: Any, upstream: Upstream, way: str) -> None:
    """A thinking block with text and signature, before the answer; over the other wires the signature is the proxy's."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    if way == "streamed":
        messages = [{"role": "user", "content": "[[think forty two]]"}]
        message = (await in_thread(partial(stream, client, messages, thinking=thinking)))[1]
    else:
        message = await in_thread(partial(create, client, "[[think forty two]]", thinking=thinking))
    first, second = message.content
    assert first.thinking.startswith("The user wants")
    ours = f"hedgerow.only/{MODEL}."
    wire = upstream.asked[0].wire
    mine = {"anthropic": SIGNATURE, "openai-chat": ours, "gemini": ours, "ollama": ours}.get(wire)
    assert first.signature == mine if mine else len(first.signature) > len(ours)
    assert first.signature.startswith(ours) is (wire != "anthropic")
    assert second.text == "forty two"


async def test_an_image_arrives_whole(client: Any) -> None:
    """Its base64 text has the length it was sent with."""
    data = base64.b64encode(PNG).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "[[images]]"}]
    text, _ = await in_thread(partial(stream, client, [{"role": "user", "content": parts}]))
    assert text == f"I see image/png of {len(data)} characters"


async def test_everything_that_can_be_asked_for_is_asked_in_the_wires_own_words(
    client: Any, upstream: Upstream
) -> None:
    """Sampling, stops, a forced single call, who asks, a paper: on chat completions an unknown word would be refused."""
    paper = {
        "type": "document",
        "title": "a",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
    }
    words = {"type": "text", "text": "[[weather Oslo]]", "cache_control": {"type": "ephemeral"}}
    options = {
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [paper, words]}],
        "tools": [{**WEATHER, "cache_control": {"type": "ephemeral"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "stop_sequences": ["a", "b", "c", "d", "e"],
        "metadata": {"user_id": "somebody"},
        "service_tier": "auto",
        "extra_body": {"temperature": 0.5, "top_k": 40},  # the SDK itself has no words for them any more
    }
    message = await in_thread(partial(client.messages.create, model=MODEL, max_tokens=200, **options))
    assert message.content[-1].input == {"city": "Oslo"}
    (asked,) = upstream.asked
    if asked.wire == "openai-chat":
        assert {name: asked.body[name] for name in ("stop", "tool_choice", "parallel_tool_calls", "temperature")} == {
            "stop": ["a", "b", "c", "d"],
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "temperature": 0.5,
        }
    elif asked.wire == "ollama":
        options_sent = {"num_predict": 200, "temperature": 0.5, "top_k": 40, "stop": ["a", "b", "c", "d", "e"]}
        assert asked.body["options"] == options_sent
        assert asked.body["messages"][0]["content"] == "Be brief.\n\nAnswer by calling one of the tools."
    if asked.wire == "openai-responses":
        assert {name: asked.body[name] for name in ("tool_choice", "parallel_tool_calls", "temperature", "store")} == {
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "temperature": 0.5,
            "store": False,
        }
    assert asked.wire == "anthropic" or "somebody" not in str(asked.body)


async def test_a_wanted_format_reaches_the_upstream(client: Any, upstream: Upstream) -> None:
    """A schema for the answer, as Claude Code's request for a title has it."""
    properties = {"title": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["title"], "additionalProperties": False}
    wanted = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    message = await in_thread(partial(create, client, "x", extra_body=wanted))
    assert json.loads(message.content[0].text) == {"title": "A scripted conversation"}
    assert [exchange.is_title for exchange in upstream.asked] == [True]


async def test_tokens_are_counted(client: Any) -> None:
    """A positive whole number."""
    count = partial(client.messages.count_tokens, model=MODEL, messages=[{"role": "user", "content": "hello " * 50}])
    assert (await in_thread(count)).input_tokens > 0


async def test_models_are_listed(client: Any, door: str, upstream: Upstream) -> None:
    """Directly the upstream's list; through the proxy, picker ids that Claude Code keeps."""
    ids = [model.id for model in await in_thread(lambda: list(client.models.list(limit=1000)))]
    if door == upstream.base_url:
        assert ids == list(MODELS)
    else:
        assert f"anthropic/only/{MODEL}" in ids
        paged = [model.id for model in await in_thread(lambda: list(client.models.list(limit=1)))]
        assert paged == ids
        one = await in_thread(partial(client.models.retrieve, f"anthropic/only/{MODEL}"))
        assert one.display_name == "Claude Sonnet 5.5 \u00b7 only"
        assert all("claude" in name.lower() or "anthropic" in name.lower() for name in ids)


async def test_a_turn_of_the_agent_sdk_with_tools(
    door: str, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's own bundled Claude Code runs the Read and Bash loop, in an environment without anybody's settings."""
    sdk = pytest.importorskip("claude_agent_sdk", reason="needs the dependency group 'real'")
    for name in [name for name in os.environ if name.startswith(("ANTHROPIC", "CLAUDE"))]:
        monkeypatch.delenv(name)
    source, target = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("word-apple\n")
    env = {
        "HOME": str(tmp_path),
        "ANTHROPIC_BASE_URL": door,
        "ANTHROPIC_AUTH_TOKEN": "scripted",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    options = sdk.ClaudeAgentOptions(
        env=env, cwd=str(tmp_path), allowed_tools=["Read", "Bash"], model="sonnet", setting_sources=[]
    )

    async def turn() -> list[Any]:
        with anyio.fail_after(90):
            return [item async for item in sdk.query(prompt=f"[[loop {source} {target}]]", options=options)]

    said = await in_thread(partial(anyio.run, turn))
    results = [item for item in said if isinstance(item, sdk.ResultMessage)]
    assert [(item.is_error, item.result) for item in results] == [(False, "The loop is over: appended")]
    assert target.read_text() == "word-apple\n"
    assert [exchange.ending for exchange in upstream.asked] == ["finished"] * 3
