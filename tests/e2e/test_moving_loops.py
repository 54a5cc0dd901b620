"""A tool loop whose every answer comes over another wire, on real sockets; with the real Claude Code, and with a plain client.

`tests/transports/moving` draws such conversations by the thousand. Here a few go through the real proxy: five upstreams, one
for each wire, of which only one is well at a time, so that each answer comes from another. Each refuses what its wire has no
place for, thinking and signatures of the others among it, and `serving` fails the test for every refusal.
"""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import trio

from tests.recordings import payloads

from .claude import ClaudeAt, assert_clean
from .grammar import read
from .proxy import configuration, running_proxy
from .upstream import Upstream, serving
from .wire import SIGNATURE, Wire

WIRES: tuple[Wire, ...] = get_args(Wire)
MODEL = "claude-sonnet-5-5"
TOOL = {
    "name": "Bash",
    "description": "Runs a command.",
    "input_schema": {
        "type": "object",
        "properties": {"command": {"type": "string"}, "description": {"type": "string"}},
    },
}


@asynccontextmanager
async def five() -> AsyncIterator[tuple[str, list[Upstream]]]:
    """The base URL of a proxy before an upstream for each wire, and these."""
    async with AsyncExitStack() as stack:
        upstreams = [await stack.enter_async_context(serving(wire.replace("-", ""))) for wire in WIRES]
        urls = {f"on-{wire}": upstream.base_url for wire, upstream in zip(WIRES, upstreams, strict=True)}
        names = [f"{name}/{MODEL}" for name in urls]
        config = configuration(urls, names, settings='breaker = "off"\n', wires=WIRES)
        proxy = await stack.enter_async_context(running_proxy(config))
        yield proxy.base_url, upstreams


async def rotate(upstreams: Sequence[Upstream], *, first: int = 0) -> None:
    """Let one upstream be well, and as soon as it is asked the next one instead; for ever."""
    for upstream in upstreams:
        upstream.fault = "500"
    at = first
    while True:
        well = upstreams[at]
        well.fault = ""
        await well.until_asked(len(well.asked) + 1)
        well.fault = "500"
        at = (at + 1) % len(upstreams)


def answered(upstreams: Sequence[Upstream]) -> list[Wire]:
    """On which wire each answer came, in order."""
    well = [exchange for upstream in upstreams for exchange in upstream.asked if not exchange.fault]
    return [exchange.wire for exchange in sorted(well, key=lambda exchange: exchange.arrived)]


def kept(stream: bytes) -> list[dict[str, Any]]:
    """The blocks of an answer as Claude Code keeps them."""
    found = read(stream)
    assert (found.faults, found.error) == ([], None), stream
    for payload in payloads(stream):
        if payload.get("delta", {}).get("type") == "signature_delta":
            found.blocks[payload["index"]]["signature"] = payload["delta"]["signature"]
    return found.blocks


async def run(command: str) -> str:
    """What a command prints."""
    done = await trio.run_process(["sh", "-c", command], capture_stdout=True)
    return done.stdout.decode().strip()


@pytest.mark.parametrize(
    "thinking", [{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 2048}], ids=["adaptive", "budget"]
)
async def test_a_loop_of_ten_answers_goes_round_all_wires(tmp_path: Path, thinking: dict[str, Any]) -> None:
    """Twice; each step is made once, and what each host has signed or encrypted comes back to it."""
    target = tmp_path / "out.txt"
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"[[climb 9 {target}]]"}]
    async with five() as (url, upstreams), trio.open_nursery() as nursery, httpx.AsyncClient(timeout=30) as client:
        nursery.start_soon(rotate, upstreams)
        for _ in range(10):
            fields = {"model": MODEL, "max_tokens": 8000, "stream": True, "thinking": thinking, "tools": [TOOL]}
            answer = await client.post(f"{url}/v1/messages", json={**fields, "messages": messages})
            assert answer.status_code == 200, answer.text
            blocks = kept(answer.content)
            messages.append({"role": "assistant", "content": blocks})
            results = [
                {"type": "tool_result", "tool_use_id": block["id"], "content": await run(block["input"]["command"])}
                for block in blocks
                if block["type"] == "tool_use"
            ]
            messages += [{"role": "user", "content": results}] if results else []
        nursery.cancel_scope.cancel()
    assert messages[-1]["content"][-1] == {"type": "text", "text": "Climbed 9 steps"}
    assert target.read_text().split() == [f"step-{n}" for n in range(1, 10)]
    assert answered(upstreams) == [*WIRES, *WIRES]
    by_wire = {exchange.wire: exchange for upstream in upstreams for exchange in upstream.asked if not exchange.fault}
    for wire in WIRES:  # the last that each was sent: everything so far, and its own thinking
        again = by_wire[wire].ask
        assert [f"Now step {n}." for n in range(1, len(again.turn().results) + 1)] == list(again.said())
        assert [result.text for result in again.turn().results] == ["appended"] * len(again.turn().results)
    assert by_wire["anthropic"].signatures == [SIGNATURE]
    assert by_wire["openai-responses"].signatures == [SIGNATURE]


@pytest.mark.real
async def test_claude_codes_loop_goes_round_all_wires_and_is_resumed_on_another(claude_at: ClaudeAt) -> None:
    """Thinking and tools in every answer; no wire twice in a row; each side effect once."""
    async with five() as (url, upstreams):
        claude = claude_at(url)
        target = claude.home / "out.txt"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rotate, upstreams)
            done = await claude.run(f"[[climb 9 {shlex.quote(str(target))}]]")
            nursery.cancel_scope.cancel()
        wires = answered(upstreams)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: rotate(upstreams, first=(WIRES.index(wires[-1]) + 2) % len(WIRES)))
            again = await claude.run("[[recall]]", resume=done.session)
            nursery.cancel_scope.cancel()
    assert_clean(done, "Climbed 9 steps")
    assert target.read_text().split() == [f"step-{n}" for n in range(1, 10)]
    assert set(wires) == set(WIRES)
    assert all(before != after for before, after in pairwise(wires))
    assert len(done.signatures) >= 9
    steps = [f"Now step {n}." for n in range(1, 10)]
    assert_clean(again, "I said: " + " / ".join([*steps, "Climbed 9 steps"]))
    assert answered(upstreams)[len(wires)] != wires[-1]
