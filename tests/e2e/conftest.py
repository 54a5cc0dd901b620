"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from .claude import ClaudeAt, ClaudeCode, find_claude
from .proxy import configuration, running_proxy
from .upstream import Upstream, serving
from .wire import Wire

_WIRES: Mapping[str, Wire] = {
    "hedgerow": "anthropic",
    "hedgerow-chat": "openai-chat",
    "hedgerow-responses": "openai-responses",
    "hedgerow-gemini": "gemini",
    "hedgerow-ollama": "ollama",
}


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A healthy scripted upstream."""
    async with serving() as running:
        yield running


@pytest.fixture(params=["direct", *_WIRES])
async def door(request: pytest.FixtureRequest, upstream: Upstream) -> AsyncIterator[str]:
    """The base URL for a client: the upstream itself, which shows that the test is right, and the proxy before it.

    The proxy asks the upstream on Anthropic's wire or on another; where a test expects something
    else of these, `Exchange.wire` says which it was.
    """
    if request.param == "direct":
        yield upstream.base_url
        return
    wires: list[Wire] = [_WIRES[request.param]]
    config = configuration({"only": upstream.base_url}, ["only/claude-sonnet-5-5"], wires=wires)
    async with running_proxy(config) as proxy:
        yield proxy.base_url


@pytest.fixture(scope="session")
def claude_binary() -> Path:
    """The real Claude Code; skips where it can be neither found nor installed."""
    return find_claude()


@pytest.fixture
def claude_at(claude_binary: Path, tmp_path: Path) -> ClaudeAt:
    """Makes a Claude Code with a home of its own, pointed at a base URL."""

    def make(base_url: str) -> ClaudeCode:
        home = tmp_path / f"home{len(list(tmp_path.iterdir()))}"
        home.mkdir()
        return ClaudeCode(claude_binary, home, base_url)

    return make


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recordings and model tools that stands beside the repository; skips where it is absent."""
    folder = Path(__file__).parents[2].parent / "shared"
    if not (folder / "replay").is_dir():
        pytest.skip("needs the folder 'shared' (recorded streams, replay and llama tools) beside the repository")
    return folder
