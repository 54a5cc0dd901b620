"""What no waiting mends, and keys with limits of their own: nobody is held for it, and the client is told the truth."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from engine.testing import answer, failing, provider, script
from policies import FailureKind, InOrder, Policy, SilentSkip, Unlimited, Window
from tests.engine.stage import MakeScenario, refusal_of


@pytest.mark.parametrize("policies", [(), (SilentSkip(), InOrder())], ids=["at the gate", "silent-skip"])
@pytest.mark.parametrize(("kind", "status"), [(FailureKind.AUTH, 401), (FailureKind.QUOTA, 402)])
async def test_a_refused_key_is_told_as_such_on_the_next_request_too(
    scenario: MakeScenario, autojump_clock: MockClock, kind: FailureKind, status: int, policies: tuple[Policy, ...]
) -> None:
    """At once, with the same status, and with the word that asking again is of no use."""
    it = scenario({"a": script(asking=[failing(kind)])}, *policies, providers={"a": provider("a", "k1")})
    for _ in range(2):
        refusal = refusal_of(await it.serve())
        assert (refusal.status, refusal.should_retry, refusal.retry_after_s) == (status, False, None)
    assert it.asked == [(0.0, "a")]


async def test_a_model_that_is_gone_is_told_as_such_on_the_next_request_too(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """404 both times, and the provider is asked once."""
    it = scenario({"a": script(asking=[failing(FailureKind.GONE)])}, SilentSkip())
    for _ in range(2):
        refusal = refusal_of(await it.serve())
        assert (refusal.status, refusal.should_retry) == (404, False)
    assert it.asked == [(0.0, "a")]


async def test_a_key_that_rested_is_tried_again(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """After five minutes, since keys are mended."""
    it = scenario(
        {"a": [script(asking=[failing(FailureKind.AUTH)]), script(answer("a"))]},
        SilentSkip(),
        providers={"a": provider("a", "k1")},
    )
    refusal_of(await it.serve())
    autojump_clock.jump(300)
    assert (await it.serve()).said == "a"


async def test_a_provider_that_is_not_set_up_is_a_503_that_is_not_retried(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Claude Code retries an `overloaded_error` whatever `x-should-retry` says, so the type is another."""
    unset = provider("a", unusable_because="A_KEY is not set")
    it = scenario({"a": script(answer("a"))}, providers={"a": unset})
    refusal = refusal_of(await it.serve())
    assert (refusal.status, refusal.type, refusal.should_retry) == (503, "api_error", False)
    assert "A_KEY is not set" in refusal.message


async def test_each_key_has_a_window_of_its_own(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """One request a minute and key: two keys take two requests, the third waits for the first key."""
    scope = Window(requests=1, per_s=60.0, per="key")
    it = scenario({"a": script(answer("a"))}, SilentSkip(), providers={"a": provider("a", "k1", "k2", scope=scope)})
    for _ in range(3):
        assert (await it.serve()).said == "a"
    keys = [exchange.ask.key for exchange in it.transport.exchanges]
    assert [key and key.source for key in keys] == ["A_KEY[1]", "A_KEY[2]", "A_KEY[1]"]
    assert [at for at, _ in it.asked] == [0.0, 0.0, 60.0]


@pytest.mark.parametrize("kind", [FailureKind.CAP, FailureKind.FIELD])
async def test_a_limit_of_one_host_does_not_stop_the_chain(
    scenario: MakeScenario, autojump_clock: MockClock, kind: FailureKind
) -> None:
    """The next may allow what the first refuses; where all refuse, the client is told the first one's words."""
    no = script(asking=[failing(kind, status=400, body=b'{"type":"error"}', native=True)])
    assert (await scenario({"a": no, "b": script(answer("b"))}).serve()).said == "b"
    refusal = refusal_of(await scenario({"a": no, "b": no}).serve())
    assert (refusal.status, refusal.body) == (400, b'{"type":"error"}')


async def test_an_unlimited_scope_still_rests_a_refused_key(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Limits are lifted there, not refusals."""
    it = scenario(
        {"a": script(asking=[failing(FailureKind.AUTH)])},
        SilentSkip(),
        providers={"a": provider("a", "k1", scope=Unlimited())},
    )
    assert [refusal_of(await it.serve()).status for _ in range(2)] == [401, 401]
