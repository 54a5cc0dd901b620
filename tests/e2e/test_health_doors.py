"""Health and care on real sockets, seen from the host's end: out, checked, reset, and back, by the shipped server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import httpx
import pytest
import trio

from .proxy import Proxy, configuration, pair, running_proxy
from .raw import raw_turn
from .upstream import serving
from .wire import Wire

#: Each test starts a proxy of its own, which takes a second.
pytestmark = pytest.mark.long


@asynccontextmanager
async def doors(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=proxy.base_url, trust_env=False, timeout=30) as client:
        yield client


async def turn(proxy: Proxy) -> str:
    async with raw_turn(proxy.base_url, "[[say hello]]") as asked:
        with trio.fail_after(20):
            while await asked.more():
                pass
        return asked.reading().text


async def row_of(client: httpx.AsyncClient, id: str) -> dict[str, Any]:
    row: dict[str, Any] = (await client.get("/providers")).json()["providers"][id]
    return row


async def test_an_address_that_refuses_is_out_after_four_requests_and_back_by_a_reset() -> None:
    """The operator has started it again; no client has noticed anything."""
    async with serving("down") as down, serving("second") as second:
        port = down.port
    assert port
    async with serving("second") as second, running_proxy(pair(f"http://127.0.0.1:{port}", second.base_url)) as proxy:
        async with doors(proxy) as client:
            for _ in range(6):
                assert await turn(proxy) == "hello"
            row = await row_of(client, "first")
            assert (row["as_a_whole"]["breaker"], row["failures"], row["healthy"]) == ("open", 4, False)
            assert row["as_a_whole"]["reason"] == "4 failures in a row, last: connect"
            async with serving("first", port=port) as first:
                assert await turn(proxy) == "hello"
                assert len(first.asked) == 0
                reset = (await client.post("/providers/first/reset")).json()
                assert (reset["as_a_whole"]["breaker"], reset["healthy"]) == ("closed", True)
                assert await turn(proxy) == "hello"
                assert len(first.asked) == 1
            assert len(second.asked) == 7
            assert '"by": "operator"' in proxy.stderr


async def test_one_that_is_due_is_asked_by_the_server_itself() -> None:
    """By a tiny request, with no client about; then it is healthy."""
    settings = "breaker = { failures = 1, open_s = 1, probe_s = 1 }"
    async with serving("up", "500") as up:
        config = configuration({"up": up.base_url}, ["up/claude-sonnet-5-5"], settings=settings)
        async with running_proxy(config) as proxy, doors(proxy) as client:
            async with raw_turn(proxy.base_url, "[[say hello]]") as asked:
                while await asked.more():
                    pass
            assert not (await row_of(client, "up"))["healthy"]
            clients = len(up.asked)
            up.fault = ""
            with trio.fail_after(10):
                check = await up.until_asked(clients + 1)
                while not (await row_of(client, "up"))["healthy"]:  # noqa: ASYNC110 - the door alone tells
                    await trio.sleep(0.05)
            assert (check.body["max_tokens"], check.body["messages"][0]["content"]) == (32, "Answer with the word ok.")
            assert len((await client.get("/api/requests")).json()["requests"]) == 1
            assert '"event": "health check"' in proxy.stderr


@pytest.mark.parametrize("wire", get_args(Wire))
async def test_a_check_is_well_formed_on_every_wire(wire: Wire) -> None:
    """The host refuses whatever its wire has no place for, and the test with it."""
    async with serving("up") as up:
        config = configuration({"up": up.base_url}, ["up/claude-sonnet-5-5"], wires=[wire])
        async with running_proxy(config) as proxy, doors(proxy) as client:
            told = (await client.post("/providers/up/test")).json()
            assert (told["ok"], told["failure"]) == (True, None)
            assert told["cost"]["output"] > 0
            up.fault = "401"
            told = (await client.post("/providers/up/test")).json()
            assert (told["ok"], told["failure"].partition(":")[0]) == (False, "key refused (401)")
