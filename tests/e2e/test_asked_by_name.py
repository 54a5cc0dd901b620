"""Every place a name may stand in, on real sockets: who is asked, and what of it the upstream gets to see.

A resolved name is half of it. What is sent must hold the upstream's own model id and nothing of ours, on either wire; and
what the picker lists must be what the real Claude Code keeps, shows and asks for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import httpx
import pytest

from .claude import ClaudeAt, assert_clean
from .proxy import Proxy, configuration, running_proxy
from .upstream import Upstream, serving
from .wire import Wire

#: Each test starts a proxy of its own, which takes a second.
pytestmark = pytest.mark.long

TWO = ("first/claude-sonnet-5-5", "second/claude-sonnet-5-5")
QUICK = '\n[chains.quick]\ncandidates = ["second/small"]\n'


def config(first: Upstream, second: Upstream, *, wires: tuple[Wire, ...] = (), policies: tuple[str, ...] = ()) -> str:
    """A chain of two for every name, and a chain of the second alone."""
    urls = {"first": first.base_url, "second": second.base_url}
    usual = ('"silent-skip"', '"in-order"', '"sequence"')
    return configuration(urls, TWO, policies or usual, wires=wires) + QUICK


async def post(
    proxy: Proxy,
    model: str = "claude-sonnet-5-5",
    *,
    prefix: str = "",
    headers: Mapping[str, str] | None = None,
    door: str = "messages",
    **more: Any,
) -> httpx.Response:
    """One turn, not streamed."""
    messages = [{"role": "user", "content": "[[say hello]]"}]
    body = {"model": model, "max_tokens": 100, "messages": messages, **more}
    async with httpx.AsyncClient(timeout=20) as client:
        return await client.post(f"{proxy.base_url}{prefix}/v1/{door}", json=body, headers=headers)


#: What a request says, and where; the upstream and the model that are asked.
ASKED: list[tuple[str, dict[str, Any], str, str]] = [
    ("provider/model", {"model": "second/org/m:free"}, "second", "org/m:free"),
    ("a tier's word in it", {"model": "second/claude-haiku"}, "second", "claude-haiku"),
    ("with a window", {"model": "second/m[1m]"}, "second", "m"),
    ("picker id", {"model": "anthropic/second/m"}, "second", "m"),
    ("chain", {"model": "quick"}, "second", "small"),
    ("chain's picker id", {"model": "anthropic/quick"}, "second", "small"),
    ("list", {"model": "second/a,first/b"}, "second", "a"),
    ("address with a colon", {"prefix": "/second:org/m:free"}, "second", "org/m:free"),
    ("address with slashes", {"prefix": "/second/org/m:free"}, "second", "org/m:free"),
    ("address, encoded", {"prefix": "/second%3Aorg%2Fm"}, "second", "org/m"),
    ("token", {"headers": {"x-api-key": "any:second/org/m:free"}}, "second", "org/m:free"),
    ("header", {"headers": {"x-hedgerow-model": "quick"}}, "second", "small"),
    ("field", {"hedgerow": {"model": "second/m"}}, "second", "m"),
    ("nothing", {}, "first", "claude-sonnet-5-5"),
]


@pytest.mark.parametrize("wire", ["anthropic", "openai-chat"])
async def test_whoever_is_named_is_asked_by_its_own_id(wire: Wire) -> None:
    """And nothing of ours goes with it: no header, no field."""
    async with (
        serving("first") as first,
        serving("second") as second,
        running_proxy(config(first, second, wires=(wire, wire))) as proxy,
    ):
        for what, said, who, model in ASKED:
            reply = await post(proxy, **said)
            assert (what, reply.status_code) == (what, 200)
            assert reply.headers["x-hedgerow-candidate"] == f"{who}/{model}"
            asked = {"first": first, "second": second}[who].asked[-1]
            assert (asked.wire, asked.body["model"]) == (wire, model)
            assert "hedgerow" not in json.dumps(asked.body)
            assert not any(name.startswith("x-hedgerow") for name in asked.headers)
        assert len(first.asked) + len(second.asked) == len(ASKED)
        counted = await post(proxy, prefix="/second:org/m:free", door="messages/count_tokens")
        assert counted.json()["input_tokens"] > 0


async def test_without_fallback_or_hedge_nobody_else_is_asked() -> None:
    """As a header and as a field; without them the second one answers."""
    hedging = ('"silent-skip"', '"in-order"', '{ kind = "hedge", after_s = 0.1 }', '{ kind = "max-wait", s = 0 }')
    async with serving("first", "500") as first, serving("second") as second:
        async with running_proxy(config(first, second)) as proxy:
            for said in ({"headers": {"x-hedgerow-fallback": "off"}}, {"hedgerow": {"fallback": False}}):
                reply = await post(proxy, **said)
                assert reply.status_code == 503
                assert "first/claude-sonnet-5-5" in reply.json()["error"]["message"]
            assert (len(first.asked), len(second.asked)) == (2, 0)
            assert (await post(proxy)).status_code == 200
            assert len(second.asked) == 1
        first.fault = "slow:1"
        async with running_proxy(config(first, second, policies=hedging)) as proxy:
            for said in ({"headers": {"x-hedgerow-hedge": "off"}}, {"hedgerow": {"hedge": False}}):
                reply = await post(proxy, **said)
                assert reply.headers["x-hedgerow-candidate"] == TWO[0]
            assert len(second.asked) == 1
            assert (await post(proxy)).headers["x-hedgerow-candidate"] == TWO[1]


async def test_a_twin_and_a_switched_off_route_ask_for_no_thinking() -> None:
    """The field is gone, on a name as picked, by the environment, and by the route."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    async with serving("first") as first, serving("second") as second:
        async with running_proxy(config(first, second)) as proxy:
            for model in ("quick", "claude-3-hedgerow-no-thinking/quick", "claude-3-hedgerow-no-thinking/second/m"):
                await post(proxy, model, thinking=thinking, max_tokens=2000)
        async with running_proxy(config(first, second), {"ENABLE_SONNET_THINKING": "false"}) as proxy:
            for model in ("claude-opus-5-5", "claude-sonnet-5-5"):
                await post(proxy, model, thinking=thinking, max_tokens=2000)
        routed = config(first, second).replace('match = "*"', 'match = "*"\nthinking = false')
        async with running_proxy(routed) as proxy:
            await post(proxy, thinking=thinking, max_tokens=2000)
    assert ["thinking" in exchange.body for exchange in second.asked] == [True, False, False]
    assert ["thinking" in exchange.body for exchange in first.asked] == [True, False, False]


async def test_a_tiers_variable_needs_no_file_to_say_so() -> None:
    """A route for its names, before the file's default."""
    async with serving("first") as first, serving("second") as second:
        async with running_proxy(config(first, second), {"MODEL_HAIKU": "second/tiny"}) as proxy:
            assert (await post(proxy, "claude-haiku-5-5")).headers["x-hedgerow-candidate"] == "second/tiny"
            assert (await post(proxy)).headers["x-hedgerow-candidate"] == TWO[0]
    assert second.asked[0].body["model"] == "tiny"


# The real Claude Code.


@pytest.mark.real
async def test_claude_code_keeps_the_whole_list_and_asks_for_what_is_picked(
    claude_at: ClaudeAt, upstream: Upstream
) -> None:
    """Its cache holds every id with its display name; one of them, the twin, comes to the upstream without thinking."""
    text = configuration({"only": upstream.base_url}, ["only/moonshotai/kimi-k2.6", "only/claude-sonnet-5-5"])
    async with running_proxy(text) as proxy:
        claude = claude_at(proxy.base_url)
        discovering = attrs.evolve(
            claude,
            env={"CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": ""},
            model="claude-3-hedgerow-no-thinking/only/moonshotai/kimi-k2.6",
        )
        assert_clean(await discovering.run("[[say hello]]"), "hello")
        async with httpx.AsyncClient() as client:
            listed = (await client.get(f"{proxy.base_url}/v1/models")).json()["data"]
    cached = json.loads((claude.home / ".claude" / "cache" / "gateway-models.json").read_text())
    kept = {model["id"]: model.get("display_name") for model in cached["models"]}
    assert kept == {entry["id"]: entry["display_name"] for entry in listed}
    assert kept["anthropic/only/moonshotai/kimi-k2.6"] == "Kimi K2.6 \u00b7 only"
    assert upstream.asked[0].body["model"] == "moonshotai/kimi-k2.6"
    assert "thinking" not in upstream.asked[0].body


PLACES: list[tuple[str, str, dict[str, str], str]] = [
    # what is put behind the base URL, and into the token; custom headers; the model for `--model`
    ("/second:org/m:free", "scripted", {}, "sonnet"),
    ("/second/org/m:free", "scripted", {}, "opus[1m]"),
    ("", "scripted:second/org/m:free", {}, "haiku"),
    ("", "scripted", {"ANTHROPIC_CUSTOM_HEADERS": "x-hedgerow-model: second/org/m:free"}, "sonnet"),
    ("", "scripted", {}, "second/org/m:free"),
    ("", "scripted", {}, "anthropic/second/org/m:free"),
    ("", "scripted", {}, "first/x@500,second/org/m:free"),
]


@pytest.mark.real
@pytest.mark.parametrize(("prefix", "token", "env", "model"), PLACES)
async def test_claude_code_reaches_whom_it_names(
    claude_at: ClaudeAt, prefix: str, token: str, env: dict[str, str], model: str
) -> None:
    """In its base URL, its token, a custom header and its model; the last is a list whose first one fails."""
    async with (
        serving("first") as first,
        serving("second") as second,
        running_proxy(config(first, second)) as proxy,
    ):
        claude = claude_at(proxy.base_url + prefix)
        assert_clean(await attrs.evolve(claude, token=token, env=env, model=model).run("[[say hello]]"), "hello")
    assert {exchange.body["model"] for exchange in second.asked} == {"org/m:free"}
    assert not any("x-hedgerow-model" in exchange.headers for exchange in second.asked)
    assert all(exchange.fault == "500" for exchange in first.asked)
