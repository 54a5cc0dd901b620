"""The real Claude Code, and candidates of different wires behind one conversation.

A chain whose candidates speak alike can be right by luck: whatever one of them was sent, the other one takes as well. Here
a conversation begins on one wire and goes on on the other, with calls, results and thinking of the first in its history,
and each upstream refuses what is not of its wire: chat completions whatever OpenAI's description has not, Anthropic's
thinking that somebody else has signed. `serving` fails the test for each refusal, seen by the client or not.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio

from .claude import ClaudeAt, assert_clean, files_of
from .exchange import endings
from .openai_rules import breaches, head_breaches
from .proxy import configuration, pair, running_proxy
from .raw import raw_turn
from .upstream import Upstream, serving
from .wire import SIGNATURE, Wire

pytestmark = pytest.mark.real

MOVES: list[list[Wire]] = [
    ["openai-chat", "anthropic"],
    ["anthropic", "openai-chat"],
    ["openai-responses", "anthropic"],
    ["openai-chat", "openai-responses"],
]


async def test_what_claude_code_sends_would_not_pass_for_chat_completions(
    claude_at: ClaudeAt, upstream: Upstream
) -> None:
    """So the clean runs over that wire show that all of this was left out: every upstream there refuses it."""
    assert_clean(await claude_at(upstream.base_url).run("[[say x]]"), "x")
    sent = upstream.asked[0]
    assert {
        "system: no such field",
        "thinking: no such field",
        "context_management: no such field",
        "output_config: no such field",
        "metadata.user_id: Anthropic's, and says who the user is",
        "tools[0].input_schema: no such field",
    } <= set(breaches(sent.body))
    heads = {breach.partition(":")[0] for breach in head_breaches(sent.headers)}
    assert {"header anthropic-beta", "header x-claude-code-session-id", "header authorization"} <= heads
    assert any("x-anthropic-billing-header" in block["text"] for block in sent.body["system"])


@pytest.mark.parametrize("wires", MOVES, ids="-then-".join)
async def test_a_tool_loop_moves_between_the_wires_in_the_middle(claude_at: ClaudeAt, wires: list[Wire]) -> None:
    """One candidate asks for the first tool, and fails from then on; the other goes on with its call and its result."""
    async with serving("first") as first, serving("second") as second:

        async def fail_after_one() -> None:
            await (await first.until_asked()).over.wait()
            first.fault = "500"

        async with (
            trio.open_nursery() as nursery,
            running_proxy(pair(first.base_url, second.base_url, wires=wires)) as proxy,
        ):
            nursery.start_soon(fail_after_one)
            claude = claude_at(proxy.base_url)
            script, target = files_of(claude)
            assert_clean(await claude.run(script), "The loop is over: appended")
    assert target.read_text() == "word-apple\n"
    assert first.asked[0].fault == ""
    assert {exchange.fault for exchange in first.asked[1:]} == {"500"}
    assert endings(second.asked) == ["finished"] * 2
    assert [exchange.wire for exchange in (first.asked[0], second.asked[0])] == wires
    assert [len(exchange.ask.turn().results) for exchange in second.asked] == [1, 2]


@pytest.mark.parametrize("wires", MOVES, ids="-then-".join)
async def test_a_thinking_conversation_is_resumed_on_the_other_wire(claude_at: ClaudeAt, wires: list[Wire]) -> None:
    """There and back again: nobody is shown thinking that is not its own, and Anthropic gets its own back unharmed."""
    async with serving("first") as first, serving("second") as second:
        urls = {"first": first.base_url, "second": second.base_url}
        names = [f"{name}/claude-sonnet-5-5" for name in urls]
        async with running_proxy(configuration(urls, names, settings='breaker = "off"\n', wires=wires)) as proxy:
            claude = claude_at(proxy.base_url)
            runs = [await claude.run("[[think forty two]]")]
            first.fault = "500"
            runs.append(await claude.run("[[think forty three]]", resume=runs[0].session))
            first.fault = ""
            runs.append(await claude.run("[[recall]]", resume=runs[0].session))
    for run, text in zip(runs, ["forty two", "forty three", "I said: forty two / forty three"], strict=True):
        assert_clean(run, text)
    for run, name, wire in zip(runs[:2], names, wires, strict=True):
        (signature,) = run.signatures
        assert signature == SIGNATURE if wire == "anthropic" else signature.startswith(f"hedgerow.{name}.")
    assert [(exchange.wire, exchange.fault) for exchange in first.asked] == [(wires[0], f) for f in ("", "500", "")]
    assert [exchange.wire for exchange in second.asked] == [wires[1]]
    assert first.asked[-1].signatures == ([] if wires[0] == "openai-chat" else [SIGNATURE])


async def test_a_deferred_tool_is_offered_to_hosts_that_know_no_deferring(
    claude_at: ClaudeAt, upstream: Upstream
) -> None:
    """The same on Anthropic's wire, where a host gets only what every host knows."""
    config = configuration({"only": upstream.base_url}, ["only/claude-sonnet-5-5"], settings="open_lists = false\n")
    async with running_proxy(config) as proxy:
        run = await claude_at(proxy.base_url).run("[[find WebFetch]]", tools=["ToolSearch"])
    assert_clean(run, "WebFetch is there")
    assert "defer_loading" not in str(upstream.asked[-1].body["tools"])


@pytest.mark.parametrize("wire", ["anthropic", "openai-chat", "openai-responses"])
async def test_a_call_that_is_long_in_coming_is_bridged_by_pings(wire: Wire) -> None:
    """Half a call is held back, for 20 s of the upstream's silence: the client hears a ping, then all of it at once."""
    async with serving("only", "stall-tool:20") as upstream:
        config = configuration({"only": upstream.base_url}, ["only/claude-sonnet-5-5"], wires=[wire])
        async with running_proxy(config) as proxy, raw_turn(proxy.base_url, "[[loop /in.txt /out.txt]]") as raw:
            while await raw.more():
                pass
    reading = raw.reading()
    assert (reading.faults, reading.error) == ([], None)
    assert reading.tools == [("Read", {"file_path": "/in.txt"})]
    assert reading.pings >= 1
    assert max(later - earlier for earlier, later in pairwise([0.0, *raw.arrivals])) < 15, raw.arrivals
    assert endings(upstream.asked) == ["finished"]
