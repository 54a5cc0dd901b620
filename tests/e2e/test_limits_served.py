"""Limits, homes and bills on real sockets, seen from the host's end, by the shipped server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import httpx
import pytest
import trio

from .faults import Action, Head
from .proxy import Proxy, configuration, running_proxy
from .upstream import Exchange, Upstream, serving, up_and_running

#: Each test starts a proxy of its own, which takes a second.
pytestmark = pytest.mark.long

IN_ORDER = ('"silent-skip"', '"in-order"', '"sequence"')
BOTH = ["first/claude-sonnet-5-5", "second/claude-sonnet-5-5"]


@attrs.define(eq=False)
class Telling(Upstream):
    """A host that says with each answer how its limits stand."""

    headers: tuple[tuple[str, str], ...] = ()

    def say(self, exchange: Exchange, size: int) -> Iterator[Action]:
        for action in super().say(exchange, size):
            match action:
                case Head(status, headers):
                    yield Head(status, (*headers, *self.headers))
                case _:
                    yield action


async def asks(proxy: Proxy, text: str = "[[say hello]]", **headers: str) -> httpx.Response:
    """One whole answer."""
    body = {"model": "any", "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(base_url=proxy.base_url, trust_env=False, timeout=30) as client:
        return await client.post("/v1/messages", json=body, headers=named)


async def account(proxy: Proxy, answer: httpx.Response) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=proxy.base_url, trust_env=False, timeout=30) as client:
        told: dict[str, Any] = (await client.get(f"/api/requests/{answer.headers['request-id']}")).json()
        return told


async def test_a_full_window_is_passed_over_and_nobody_waits() -> None:
    """Two requests in ten minutes, then the second host; the first has seen no third."""
    settings = 'scope = { kind = "window", requests = 2, per_s = 600 }'
    async with serving("first") as first, serving("second") as second:
        config = configuration({"first": first.base_url, "second": second.base_url}, BOTH, IN_ORDER)
        config = config.replace("[providers.second]", f"{settings}\n\n[providers.second]")
        async with running_proxy(config) as proxy:
            answers = [await asks(proxy) for _ in range(4)]
            skipped = (await account(proxy, answers[3]))["plan"]["skipped"]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert (len(first.asked), len(second.asked)) == (2, 2)
    assert [(skip["candidate"], skip["reason"]) for skip in skipped] == [(BOTH[0], "rate window full")]


async def test_a_window_of_tokens_counts_what_was_used() -> None:
    """One long prompt fills it."""
    settings = 'scope = { kind = "window", tokens = 1000, per_s = 600 }'
    async with serving("first") as first, serving("second") as second:
        config = configuration({"first": first.base_url, "second": second.base_url}, BOTH, IN_ORDER)
        config = config.replace("[providers.second]", f"{settings}\n\n[providers.second]")
        async with running_proxy(config) as proxy:
            for _ in range(3):
                assert (await asks(proxy, "word " * 1000 + "[[say hello]]")).status_code == 200
    assert (len(first.asked), len(second.asked)) == (1, 2)


@pytest.mark.parametrize(
    "headers",
    [
        (("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "2m0s")),
        (("anthropic-ratelimit-tokens-remaining", "0"), ("anthropic-ratelimit-tokens-reset", "2999-01-01T00:00:00Z")),
    ],
    ids=["openai", "anthropic"],
)
async def test_a_host_that_says_it_is_full_is_not_asked_again(headers: tuple[tuple[str, str], ...]) -> None:
    """Before it has to refuse."""
    async with up_and_running(Telling("first", headers=headers)) as first, serving("second") as second:
        config = configuration({"first": first.base_url, "second": second.base_url}, BOTH, IN_ORDER)
        async with running_proxy(config) as proxy:
            for _ in range(3):
                assert (await asks(proxy)).status_code == 200
    assert (len(first.asked), len(second.asked)) == (1, 2)


@pytest.mark.parametrize("scope", ['{ kind = "concurrency", limit = 1 }', '{ kind = "adaptive", start = 1, most = 1 }'])
async def test_who_has_nobody_else_waits_in_line_and_sessions_take_turns(scope: str) -> None:
    """One at a time; a person who comes after five requests of a swarm is not the last."""
    order: list[str] = []
    async with serving("only", "slow:0.2") as only:
        config = configuration({"only": only.base_url}, [BOTH[0].replace("first", "only")], IN_ORDER)
        config = config.replace("[chains.main]", f"scope = {scope}\n\n[chains.main]")
        async with running_proxy(config) as proxy, trio.open_nursery() as nursery:

            async def one(session: str) -> None:
                answer = await asks(proxy, x_claude_code_session_id=session)
                assert answer.status_code == 200
                order.append(session)

            for _ in range(5):
                nursery.start_soon(one, "swarm")
            await only.until_asked(1)
            nursery.start_soon(one, "person")
    assert len(order) == 6
    assert order.index("person") <= 2
    overlaps = [b.arrived < (a.ended or 0) - 0.001 for a, b in zip(only.asked, only.asked[1:], strict=False)]
    assert not any(overlaps)


async def test_a_line_that_is_full_refuses_and_says_when_to_come_again() -> None:
    """Bounded: one runs, one waits, the third is told."""
    async with serving("only", "slow:1") as only:
        config = configuration({"only": only.base_url}, [BOTH[0].replace("first", "only")], IN_ORDER)
        scope = 'scope = { kind = "concurrency", limit = 1, queue = 1 }'
        config = config.replace("[chains.main]", f"{scope}\n\n[chains.main]")
        answers: list[httpx.Response] = []
        async with running_proxy(config) as proxy:
            async with trio.open_nursery() as nursery:

                async def one() -> None:
                    answers.append(await asks(proxy))

                for _ in range(4):
                    nursery.start_soon(one)
    refused = [answer for answer in answers if answer.status_code != 200]
    assert [answer.status_code for answer in refused] == [503, 503]
    assert all(1 <= int(answer.headers["retry-after"]) <= 30 for answer in refused)
    assert all("too many requests wait for it" in answer.json()["error"]["message"] for answer in refused)


async def test_a_conversation_stays_with_its_host_and_comes_back_after_a_failure() -> None:
    """Others begin elsewhere in turn; one failure of the home sends one turn away, and says what that cost."""
    policies = ('"silent-skip"', '"sticky"', '"round-robin"', '"sequence"')
    async with serving("first") as first, serving("second") as second:
        hosts = {"first": first, "second": second}
        config = configuration({name: host.base_url for name, host in hosts.items()}, BOTH, policies)
        async with running_proxy(config) as proxy:

            async def turn(session: str) -> tuple[str, dict[str, Any]]:
                answer = await asks(proxy, x_claude_code_session_id=session)
                return answer.headers["x-hedgerow-candidate"].partition("/")[0], await account(proxy, answer)

            homes = {session: (await turn(session))[0] for session in ("a", "b")}
            assert set(homes.values()) == {"first", "second"}
            for _ in range(3):
                assert {session: (await turn(session))[0] for session in homes} == homes
            home = homes["a"]
            hosts[home].fault = "500"
            away, told = await turn("a")
            assert away != home
            assert told["affinity"]["home"].startswith(home)
            assert told["affinity"]["broken"]["reason"].startswith("failed: server error")
            hosts[home].fault = ""
            assert (await turn("a"))[0] == home


async def test_the_bills_of_a_turn_add_up_and_a_loser_is_on_them() -> None:
    """A race over real sockets: one wins, one is cancelled; the total is the sum, and says what was wasted."""
    policies = ('"silent-skip"', '"in-order"', '{ kind = "race", width = 2 }')
    prices = "[providers.{0}.models.claude-sonnet-5-5]\nprice = {{ input = 3, output = 15 }}"
    async with serving("first") as first, serving("second", "slow:5") as second:
        config = configuration({"first": first.base_url, "second": second.base_url}, BOTH, policies)
        config += "\n" + "\n".join(prices.format(name) for name in ("first", "second"))
        async with running_proxy(config) as proxy:
            told = await account(proxy, await asks(proxy))
    bills, spent = [attempt["bill"] for attempt in told["attempts"]], told["spent"]
    assert sorted(attempt["outcome"] for attempt in told["attempts"]) == ["lost", "won"]
    for name in ("input", "output", "cache_read", "cache_write", "estimated"):
        assert spent[name] == sum(bill[name] for bill in bills)
    assert spent["usd"] == pytest.approx(sum(bill["usd"] for bill in bills), abs=1e-9)
    assert spent["wasted"] > 0
    assert 0 < spent["usd_wasted"] < spent["usd"]
