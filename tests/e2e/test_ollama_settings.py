"""`num_ctx` on real sockets, seen from the host's end, and a prompt that its window cannot hold."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .proxy import running_proxy
from .upstream import serving

#: Each test starts a proxy of its own, which takes a second.
pytestmark = pytest.mark.long

CHAIN = '\n[chains.main]\ncandidates = [{candidates}]\n\n[[routes]]\nmatch = "*"\nchain = "main"\n'


async def turn(url: str, text: str = "[[say hello]]", **more: Any) -> httpx.Response:
    """One whole answer."""
    body = {"model": "x", "max_tokens": 100, "messages": [{"role": "user", "content": text}], **more}
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        return await client.post(f"{url}/v1/messages", json=body)


async def test_naming_the_window_chooses_the_wire_and_sends_it() -> None:
    """For one model; the other is asked as Ollama is asked first."""
    async with serving() as upstream:
        config = f'[providers.ollama]\nbase_url = "{upstream.base_url}"\n'
        config += '[providers.ollama.models.wide]\nnum_ctx = 65536\nkeep_alive = "30m"\n'
        config += CHAIN.format(candidates='"ollama/wide", "ollama/other"')
        async with running_proxy(config) as proxy:
            wide = await turn(proxy.base_url, model="ollama/wide")
            other = await turn(proxy.base_url, model="ollama/other")
    assert [reply.json()["content"][0]["text"] for reply in (wide, other)] == ["hello", "hello"]
    assert [(exchange.path, exchange.body["model"]) for exchange in upstream.asked] == [
        ("/api/chat", "wide"),
        ("/v1/messages", "other"),
    ]
    sent = upstream.asked[0].body
    assert (sent["options"]["num_ctx"], sent["keep_alive"], sent["truncate"]) == (65_536, "30m", False)


async def test_a_prompt_beyond_the_window_goes_to_the_bigger_one() -> None:
    """The silent host is not asked; where there is nobody bigger, the client is told in the words that it acts on."""
    long = "[[say hello]] " + "word " * 12_000
    async with serving("small") as small, serving("big") as big:
        config = f'[providers.ollama]\nbase_url = "{small.base_url}"\nmodels = {{ m = {{ context = 8192 }} }}\n'
        config += f'[providers.big]\nwire = "anthropic"\nbase_url = "{big.base_url}"\n'
        config += CHAIN.format(candidates='"ollama/m", "big/m"')
        async with running_proxy(config) as proxy:
            moved = await turn(proxy.base_url, long)
            alone = await turn(proxy.base_url, long, model="ollama/m")
    assert moved.json()["content"][0]["text"] == "hello"
    assert (len(small.asked), len(big.asked)) == (0, 1)
    assert alone.status_code == 400
    assert alone.json()["error"]["message"].startswith("prompt is too long: ")
    assert alone.json()["error"]["message"].endswith(" tokens > 8192 maximum")
