"""A real llama.cpp server behind the proxy, on its three wires: what reaches the client is the strict grammar.

Its Messages endpoint starts block 1 before it stops block 0, which Claude Code forgives and the Python SDK does not; its
chat endpoint has accents of its own. A scripted upstream would have just those that its author has heard of. The model is
a tiny one made on the spot, whose output is known in advance; a first look without the proxy shows that the overlap is
really there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from .children import free_port, python_child
from .claude import ClaudeCode
from .grammar import Reading, read
from .proxy import configuration, running_proxy
from .wire import Wire

pytestmark = pytest.mark.real

_WIRES: Mapping[str, Wire] = {"messages": "anthropic", "chat": "openai-chat", "responses": "openai-responses"}
TOOLS = [
    {"name": name, "description": name, "input_schema": {"type": "object", "properties": {field: {"type": "string"}}}}
    for name, field in (("get_weather", "city"), ("get_time", "zone"))
]
WEATHER = ("get_weather", {"city": "Paris"})
BOTH = [("get_weather", {"city": "Oslo"}), ("get_time", {"zone": "UTC"})]


@pytest.fixture(scope="session")
def model(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny scripted model, written once a session."""
    for module in ("gguf", "numpy", "xllamacpp"):
        pytest.importorskip(module, reason="needs the dependency group 'real'")
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    maker = str(shared / "llama" / "make_tiny_gguf.py")
    subprocess.run([sys.executable, maker, "--out", str(file)], check=True, stdout=subprocess.DEVNULL)
    return file


@pytest.fixture
async def llama(shared: Path, model: Path, tmp_path: Path) -> AsyncIterator[str]:
    """The base URL of a running llama.cpp server."""
    port = free_port()
    command = [str(shared / "llama" / "start_xllama.py"), str(model), str(port)]
    async with python_child(command, tmp_path / "llama.log", f"http://127.0.0.1:{port}/health"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(params=["own-messages", "own-chat", "row-chat", "own-responses", "row-responses"])
async def door(request: pytest.FixtureRequest, llama: str) -> AsyncIterator[str]:
    """The base URL of a proxy in front of it, as a provider of one's own and as the row that the catalogue has."""
    whose, _, wire = request.param.partition("-")
    name = "llamacpp" if whose == "row" else "tiny"
    wires: list[Wire] = [_WIRES[wire]]
    async with running_proxy(configuration({name: llama}, [f"{name}/tiny"], wires=wires)) as proxy:
        yield proxy.base_url


async def turn(base_url: str, text: str) -> Reading:
    """One streamed turn, strictly read."""
    body: dict[str, Any] = {"model": "tiny", "max_tokens": 100, "stream": True, "tools": TOOLS}
    body["messages"] = [{"role": "user", "content": text}]
    if "[think]" in text:
        body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        reply = await client.post(f"{base_url}/v1/messages", json=body)
    assert reply.status_code == 200, reply.text
    return read(reply.content)


async def test_without_the_proxy_the_blocks_overlap(llama: str) -> None:
    """What the proxy has to put right is really there."""
    for text in ("[think]", "[tools]"):
        assert any("while block 0 is open" in fault for fault in (await turn(llama, text)).faults)


async def test_through_the_proxy_every_answer_keeps_the_strict_grammar(door: str) -> None:
    """Thinking and text, one tool, two tools, plain text: nested, and with the known content."""
    thought, tool, tools, plain = [await turn(door, text) for text in ("[think]", "[tool]", "[tools]", "hello")]
    assert [reading.faults for reading in (thought, tool, tools, plain)] == [[], [], [], []]
    assert thought.thinking.strip() == "I should think first,"
    assert thought.text.strip() == "The answer is 42"
    assert (tool.tools, tool.stop_reason) == ([WEATHER], "tool_use")
    assert (tools.tools, tools.stop_reason) == (BOTH, "tool_use")
    assert plain.text == "Hello from a real server: café ✓ 東京 🎉."
    assert plain.stop_reason == "end_turn"
    assert all(reading.usage["input_tokens"] > 1 for reading in (thought, tool, tools, plain))
    assert all(reading.usage["output_tokens"] > 1 for reading in (thought, tool, tools, plain))


async def test_thinking_and_a_result_go_back_and_are_taken(door: str) -> None:
    """A history with the server's own thinking, a call and its result: to the row's replay it must be reasoning again."""
    body: dict[str, Any] = {"model": "tiny", "max_tokens": 100, "tools": TOOLS}
    body |= {
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": "[think]"}],
    }
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        first = (await client.post(f"{door}/v1/messages", json=body)).json()
        assert [block["type"] for block in first["content"]] == ["thinking", "text"], first
        call = {"type": "tool_use", "id": "toolu_made_up", "name": "get_weather", "input": {"city": "Paris"}}
        outcome = {"type": "tool_result", "tool_use_id": call["id"], "content": "rain"}
        body["messages"] += [
            {"role": "assistant", "content": [*first["content"], call]},
            {"role": "user", "content": [outcome]},
        ]
        second = await client.post(f"{door}/v1/messages", json=body)
        providers = (await client.get(f"{door}/providers")).json()["providers"]
    assert [block["text"] for block in second.json()["content"]] == ["The tool said so"], second.text
    learned = [model["learned"] for provider in providers.values() for model in provider["models"].values()]
    # Also a row that did without a field, once refused, would have answered.
    assert [lesson["without"] for lesson in learned if lesson["without"]] == []
    assert learned != []


async def test_claude_code_runs_a_tool_that_llama_cpp_called(door: str, claude_binary: Path, tmp_path: Path) -> None:
    """A Bash call from a real model server, executed by the real client, and its result answered."""
    claude = ClaudeCode(claude_binary, tmp_path, door)
    run = await claude.run("[bash]", timeout_s=120)
    assert run.is_clean, str(run)
    assert run.text.strip() == "The tool said so"
    outcomes = [event["message"]["content"] for event in run.events if event["type"] == "user"]
    assert any("from-llama" in str(outcome) for outcome in outcomes), str(run)
