"""Whoever is no longer needed is told at once: measured at the upstream's end of the real sockets.

A proxy that merely stops reading looks right from the client's side, and the provider goes on generating, and billing.
So the times come from the scripted upstream's own log: when its connection was closed under an endless answer.
"""

from __future__ import annotations

import pytest
import trio

from .exchange import Exchange
from .proxy import configuration, pair, running_proxy
from .raw import RawTurn, raw_turn
from .upstream import serving

pytestmark = pytest.mark.real

#: Promised: 50 ms. A shared machine may take ten times that; what it took is printed.
AT_ONCE_S = 0.5
HEDGE = ('"silent-skip"', '"in-order"', '{ kind = "hedge", after_s = 0.2 }')


async def ended_at(exchange: Exchange) -> float:
    """When the other side left."""
    with trio.fail_after(10):
        await exchange.over.wait()
    assert exchange.ending == "client-left"
    assert exchange.ended is not None
    return exchange.ended


def took(seconds: float) -> float:
    """Print a figure."""
    print(f"closed after {seconds * 1000:.1f} ms")
    return seconds


async def first_text(turn: RawTurn) -> float:
    """Read up to the first text; return when that was."""
    with trio.fail_after(10):
        while b"text_delta" not in turn.body:
            assert await turn.more()
    return trio.current_time()


async def test_a_client_that_leaves_in_mid_answer_ends_the_upstreams_work() -> None:
    """Within 50 ms of the client's close."""
    async with serving(fault="endless") as upstream:
        async with running_proxy(configuration({"only": upstream.base_url}, ["only/m"])) as proxy:
            async with raw_turn(proxy.base_url, "[[say x]]") as turn:
                await first_text(turn)
            left = trio.current_time()
            assert took(await ended_at(upstream.asked[0]) - left) < AT_ONCE_S


async def test_a_client_that_leaves_before_any_answer_ends_the_upstreams_work() -> None:
    """While the upstream is silent and nothing has been sent to the client either."""
    async with serving(fault="silence:30") as upstream:
        async with running_proxy(configuration({"only": upstream.base_url}, ["only/m"])) as proxy:
            async with raw_turn(proxy.base_url, "[[say x]]"):
                await upstream.until_asked()
            left = trio.current_time()
            assert took(await ended_at(upstream.asked[0]) - left) < AT_ONCE_S


@pytest.mark.parametrize("loser", ["silence:30", "slow:30", "silent-end:30"])
async def test_the_loser_of_a_hedge_is_cut_off_at_the_commit(loser: str) -> None:
    """Its connection closes within 50 ms of the client's first text; only the winner is heard."""
    async with serving("first", loser) as first, serving("second", "endless") as second:
        config = configuration(
            {"first": first.base_url, "second": second.base_url}, ["first/claude", "second/claude"], HEDGE
        )
        async with running_proxy(config) as proxy:
            async with raw_turn(proxy.base_url, "[[say lost]]") as turn:
                committed = await first_text(turn)
                assert took(await ended_at(first.asked[0]) - committed) < AT_ONCE_S
                assert second.asked[0].ending == "open"
                assert b"lost" not in turn.body


async def test_a_candidate_over_its_deadline_is_let_go() -> None:
    """The first candidate's connection is closed when its time for first content is up, and the second one answers."""
    async with serving("first", "silence:30") as first, serving("second") as second:
        timeout = '{ kind = "first-content-timeout", s = 1 }'
        async with running_proxy(pair(first.base_url, second.base_url, timeout)) as proxy:
            async with raw_turn(proxy.base_url, "[[say patience]]") as turn:
                with trio.fail_after(10):
                    while await turn.more():
                        pass
        waited = await ended_at(first.asked[0]) - first.asked[0].arrived
    assert 0.9 < waited < 1.5
    assert turn.reading().text == "patience"
    assert turn.reading().faults == []
