"""Ten minutes in which nobody answers, on a virtual clock and with a client that keeps Claude Code's time.

The client's habits are those measured of 2.1.328 with an Opus model: eleven requests in all; a status is followed by the
longer of its retry-after and half a second, doubling to thirty-two; an error event by a request without a stream, at once,
and by no other stream after that. `bench/outage.py` does the same with the real one, in ten real minutes.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from engine.config._load import AUTO_POLICIES, DEFAULT_POLICIES
from engine.testing import HANG, RecordingReply, Scenario, Script, answer, failing, script
from policies import FailureKind, Policy
from tests.engine.stage import MakeScenario

OUTAGE_S = 600.0
REQUESTS = 11
HEAD_S = 10.0  #: after which a streamed answer's status is spent


@attrs.define
class Client:
    """One session's one turn. `said` is what it got in the end, None where it gave up."""

    session: str = "s"
    said: str | None = None
    requests: int = 0
    stream: bool = True
    over_at: float = 0.0

    async def ask(self, it: Scenario) -> None:
        for number in range(REQUESTS):
            began_at, self.requests = trio.current_time(), number + 1
            reply = RecordingReply(stream=self.stream)
            await it.serve(attrs.evolve(it.request(stream=self.stream), session=self.session), reply)
            self.over_at = trio.current_time()
            if reply.ending == "finish":
                self.said = reply.said
                return
            refusal = reply.refusal
            assert refusal is not None
            assert refusal.type != "overloaded_error", "the third of those would be the last"
            assert refusal.should_retry is None
            assert 1 <= (refusal.retry_after_s or 0) <= 30
            if self.stream and self.over_at - began_at > HEAD_S:
                self.stream = False
                continue
            await trio.sleep(max(float(refusal.retry_after_s or 0), min(0.5 * 2**number, 32.0)))


class Mending(dict[str, list[Script]]):
    """Scripts that depend on the time: the outage's until it is over, then the answer."""

    def __init__(self, **scripts: Script) -> None:
        super().__init__({id: [one] for id, one in scripts.items()})

    def __getitem__(self, id: str) -> list[Script]:
        return super().__getitem__(id) if trio.current_time() < OUTAGE_S else [script(answer("back"))]


def dead(kind: FailureKind, **rest: Any) -> Script:
    return script(asking=[failing(kind, **rest)])


DEATHS: dict[str, dict[str, Script]] = {
    "errors and resets": {"a": dead(FailureKind.SERVER, status=500), "b": dead(FailureKind.RESET)},
    "nobody connects": {"a": dead(FailureKind.CONNECT), "b": dead(FailureKind.CONNECT)},
    "silence": {"a": script(HANG), "b": script(HANG)},
    "rate limits": {"a": dead(FailureKind.RATE_LIMITED, status=429), "b": dead(FailureKind.RATE_LIMITED, status=429)},
    "long waits": {
        "a": dead(FailureKind.OVERLOADED, status=503, retry_after_s=120.0),
        "b": dead(FailureKind.RATE_LIMITED, status=429, retry_after_s=45.0),
    },
    "one alone": {"a": dead(FailureKind.SERVER, status=500)},
}


@pytest.mark.parametrize(
    "policies",
    [pytest.param(DEFAULT_POLICIES, id="default"), pytest.param(AUTO_POLICIES, id="auto", marks=pytest.mark.long)],
)
@pytest.mark.parametrize("death", DEATHS)
async def test_a_client_is_still_there_when_everybody_is_back(
    scenario: MakeScenario, autojump_clock: MockClock, death: str, policies: tuple[Policy, ...]
) -> None:
    """With requests of its eleven left, answered within a minute and a half, and at most fifteen probes in any minute."""
    it = scenario(DEATHS[death], *policies)
    it.transport.scripts = Mending(**DEATHS[death])
    client = Client()
    await client.ask(it)
    assert client.said == "back"
    assert client.requests < REQUESTS
    assert client.over_at < OUTAGE_S + 125.0
    assert most_in_a_minute(it) <= 15


@pytest.mark.long
async def test_many_clients_ask_hardly_more_than_once_each(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Forty sessions: the breakers' probes and the retry budget bound all of them together; nobody is lost."""
    it = scenario(DEATHS["errors and resets"], *DEFAULT_POLICIES)
    it.transport.scripts = Mending(**DEATHS["errors and resets"])
    clients = [Client(f"s{n}") for n in range(40)]
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(client.ask, it)
            await trio.sleep(1.0)
    assert [client.said for client in clients] == ["back"] * 40
    asked = [at for at, _ in it.asked if 60.0 <= at < OUTAGE_S]
    assert len(asked) <= 1.2 * sum(client.requests for client in clients)
    assert most_in_a_minute(it, since=60.0) <= 15


def most_in_a_minute(it: Scenario, since: float = 0.0) -> int:
    """The most requests that the providers saw within any minute of the outage."""
    asked = sorted(at for at, _ in it.asked if since <= at < OUTAGE_S)
    within = Counter({first: sum(first <= at < first + 60.0 for at in asked) for first in asked})
    return max(within.values(), default=0)
