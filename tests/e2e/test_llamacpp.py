"""A real llama.cpp server behind the proxy: its overlapping blocks reach the client properly nested.

Its Messages endpoint starts block 1 before it stops block 0, which Claude Code forgives and the Python SDK does not. The
model is a tiny one made on the spot, whose output is known in advance; a first look without the proxy shows that the
overlap is really there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from .children import free_port, python_child
from .claude import ClaudeCode
from .grammar import Reading, read
from .proxy import configuration, running_proxy

pytestmark = pytest.mark.real

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


@asynccontextmanager
async def before(llama: str) -> AsyncIterator[str]:
    """The base URL of a proxy in front of it."""
    async with running_proxy(configuration({"tiny": llama}, ["tiny/tiny"])) as proxy:
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


async def test_through_the_proxy_every_answer_keeps_the_strict_grammar(llama: str) -> None:
    """Thinking and text, one tool, two tools, plain text: nested, and with the known content."""
    async with before(llama) as base_url:
        thought, tool, tools, plain = [await turn(base_url, text) for text in ("[think]", "[tool]", "[tools]", "hello")]
    assert [reading.faults for reading in (thought, tool, tools, plain)] == [[], [], [], []]
    assert thought.thinking.strip() == "I should think first,"
    assert thought.text.strip() == "The answer is 42"
    assert (tool.tools, tool.stop_reason) == ([WEATHER], "tool_use")
    assert (tools.tools, tools.stop_reason) == (BOTH, "tool_use")
    assert plain.text == "Hello from a real server: café ✓ 東京 🎉."
    assert plain.stop_reason == "end_turn"


async def test_claude_code_runs_a_tool_that_llama_cpp_called(llama: str, claude_binary: Path, tmp_path: Path) -> None:
    """A Bash call from a real model server, executed by the real client, and its result answered."""
    async with before(llama) as base_url:
        claude = ClaudeCode(claude_binary, tmp_path, base_url)
        run = await claude.run("[bash]", timeout_s=120)
    assert run.is_clean, str(run)
    assert run.text.strip() == "The tool said so"
