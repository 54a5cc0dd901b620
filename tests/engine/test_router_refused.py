"""Keys, stale connections and the client's own faults: who is asked again, and what the client is told."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from engine._events import AttemptEnded, TryStarted
from engine._stream import Kind
from engine.config import Model
from engine.testing import HANG, Script, answer, failing, head, provider, script
from policies import Capabilities, FailureKind, FirstContentTimeout, MaxWait, RequireCapability, Sequence, SilentSkip
from tests.engine.stage import MakeScenario, finished, hedge, refusal_of, take, window

# Several tries.


@pytest.mark.parametrize("kind", [FailureKind.AUTH, FailureKind.QUOTA])
async def test_a_refused_key_is_followed_by_the_next(
    scenario: MakeScenario, autojump_clock: MockClock, kind: FailureKind
) -> None:
    """Within one attempt, and the refused ones rest: the following turn begins with the one that worked."""
    no = script(asking=[0.5, failing(kind)])
    it = scenario(
        {"a": [no, no, script(answer("third"))], "b": script(answer("b"))},
        providers={"a": provider("a", "k1", "k2", "k3")},
    )
    assert (await it.serve()).said == "third"
    await it.serve()
    keys = [exchange.ask.key for exchange in it.transport.exchanges]
    assert [key and key.source for key in keys] == ["A_KEY[1]", "A_KEY[2]", "A_KEY[3]", "A_KEY[3]"]
    assert [each.number for each in it.events(TryStarted)] == [1, 2, 3, 1]
    assert [ended.counts for ended in it.events(AttemptEnded)] == [False, False]


async def test_an_attempt_makes_three_tries_at_most(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Then the next candidate is asked, although there are keys left; the turn after begins with those."""
    no = script(asking=[failing(FailureKind.AUTH)])
    it = scenario({"a": no, "b": script(answer("b"))}, providers={"a": provider("a", "k1", "k2", "k3", "k4")})
    assert (await it.serve()).said == "b"
    assert [(each.key, each.number) for each in it.events(TryStarted)][:-1] == [(f"A_KEY[{n}]", n) for n in (1, 2, 3)]
    await it.serve()
    assert [each.key for each in it.events(TryStarted)][-2:] == ["A_KEY[4]", ""]


async def test_a_key_is_tried_once_in_an_attempt(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Even where the provider says that it may be used again in no time."""
    no = script(asking=[failing(FailureKind.QUOTA, retry_after_s=0.0)])
    it = scenario({"a": no, "b": script(answer("b"))}, providers={"a": provider("a", "k1", "k2")})
    await it.serve()
    assert [each.key for each in it.events(TryStarted)] == ["A_KEY[1]", "A_KEY[2]", ""]


async def test_a_further_try_begins_from_nothing(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """What the refused one had sent already is no part of the answer."""
    begun = script([head(id="msg_0")], failing(FailureKind.AUTH))
    it = scenario({"a": [begun, script(answer("x"))]}, providers={"a": provider("a", "k1", "k2")})
    reply = await it.serve()
    assert [e.payload["message"]["id"] for e in reply.events if e.kind is Kind.MESSAGE_START] == ["msg_1"]


async def test_when_every_key_rests_the_candidate_is_busy(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """It is skipped without being asked, and without blame."""
    no = script(asking=[failing(FailureKind.AUTH)])
    it = scenario({"a": no, "b": script(answer("b"))}, providers={"a": provider("a", "k1")})
    await it.serve()
    await it.serve()
    assert it.asked == [(0.0, "a"), (0.0, "b"), (0.0, "b")]
    assert "0 a busy" in it.story


async def test_a_keyless_provider_that_refuses_is_out_for_this_request_only(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """There is no key to rest."""
    it = scenario({"a": [script(asking=[failing(FailureKind.AUTH)]), script(answer("a"))], "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    assert (await it.serve()).said == "a"
    (verdict,) = [ended.verdict for ended in it.events(AttemptEnded) if ended.verdict]
    assert verdict.rests == "nothing"


STALE = script(asking=[0.25, failing(FailureKind.RESET, stale=True)])


async def test_a_stale_connection_is_tried_again_on_the_same_candidate(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """In the same attempt and at once; nobody's health suffers."""
    it = scenario({"a": [STALE, script(answer("a"))], "b": script(answer("b"))})
    assert (await it.serve()).said == "a"
    assert it.asked == [(0.0, "a"), (0.25, "a")]
    assert it.story[:2] == ["0 a starts", "0.25 a tries again"]
    assert finished(it).attempts == 1


async def test_a_second_stale_connection_is_no_accident(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """One more try, as the table says; then the next candidate."""
    it = scenario({"a": [STALE, STALE, script(answer("a"))], "b": script(answer("b"))})
    assert (await it.serve()).said == "b"
    assert it.asked == [(0.0, "a"), (0.25, "a"), (0.5, "b")]


async def test_a_connection_that_breaks_otherwise_is_not_tried_again(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Only one that had been used before and gave no byte is known not to have done anything."""
    it = scenario({"a": script(asking=[failing(FailureKind.RESET)]), "b": script(answer("b"))})
    await it.serve()
    assert it.asked == [(0.0, "a"), (0.0, "b")]


async def test_all_tries_share_one_first_content_deadline(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Two slow refusals leave the third try what is left of it."""
    slow = script(asking=[4.0, failing(FailureKind.AUTH)])
    it = scenario(
        {"a": [slow, slow, script(HANG)], "b": script(answer("b"))},
        FirstContentTimeout(s=10),
        providers={"a": provider("a", "k1", "k2", "k3")},
    )
    assert (await it.serve()).said == "b"
    assert it.asked == [(0.0, "a"), (4.0, "a"), (8.0, "a"), (10.0, "b")]


# What the client is told.


def no(kind: FailureKind, **rest: Any) -> Script:
    return script(asking=[failing(kind, **rest)])


@pytest.mark.parametrize(
    ("failures", "status", "type", "retry_after_s", "should_retry"),
    [
        ([no(FailureKind.CONNECT)] * 2, 503, "api_error", 1, None),
        ([no(FailureKind.SERVER), no(FailureKind.RATE_LIMITED)], 503, "api_error", 1, None),
        ([no(FailureKind.RATE_LIMITED, retry_after_s=120.0)], 429, "rate_limit_error", 30, None),
        ([no(FailureKind.RATE_LIMITED, retry_after_s=0.2)], 429, "rate_limit_error", 1, None),
        ([no(FailureKind.RATE_LIMITED, retry_after_s=t) for t in (90.0, 75.0)], 429, "rate_limit_error", 30, None),
        ([no(FailureKind.OVERLOADED, retry_after_s=17.0)], 503, "api_error", 17, None),
        ([no(FailureKind.AUTH)] * 2, 401, "authentication_error", None, False),
        ([no(FailureKind.QUOTA)], 402, "billing_error", None, False),
        ([no(FailureKind.GONE)] * 2, 404, "not_found_error", None, False),
        ([no(FailureKind.AUTH), no(FailureKind.GONE)], 503, "api_error", None, False),
        ([no(FailureKind.AUTH), no(FailureKind.RESET)], 503, "api_error", 1, None),
        ([script(ValueError())], 503, "api_error", 1, None),
    ],
)
async def test_an_exhausted_chain_answers_with_a_status_that_says_whether_to_come_again(
    scenario: MakeScenario,
    autojump_clock: MockClock,
    failures: list[Script],
    status: int,
    type: str,
    retry_after_s: int | None,
    should_retry: bool | None,
) -> None:
    """At once; the worst of it is never passed on as the whole truth."""
    bugs = sum(isinstance(act, ValueError) for played in failures for act in played.reading)
    it = scenario(dict(zip("ab", failures, strict=False)), bugs=bugs)
    reply = await it.serve()
    told = refusal_of(reply)
    assert (told.status, told.type, told.retry_after_s, told.should_retry) == (
        status,
        type,
        retry_after_s,
        should_retry,
    )
    assert reply.ended_at == 0.0
    assert told.body is None
    assert finished(it).status == status


async def test_the_refusal_names_everybody_and_what_each_said(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Those who failed, those who were full, those who cannot do it, and those who are not set up."""
    it = scenario(
        {
            "a": no(FailureKind.SERVER, status=500, message="boom"),
            "b": script(answer("b")),
            "c": script(answer("c")),
            "d": script(answer("d")),
        },
        SilentSkip(),
        RequireCapability(),
        MaxWait(s=0),
        providers={
            "b": window("b", 40.0),
            "c": provider("c", models={"m": Model(id="m", capabilities=Capabilities(tools=False))}),
            "d": provider("d", unusable_because="D_KEY is not set"),
        },
    )
    (await take(it, 1)).release(sent=True)
    message = refusal_of(await it.serve(it.request(tools=[{"name": "t"}]))).message
    assert "a/m: server error (500): boom" in message
    assert "b/m: rate window full, back in 40 s" in message
    assert "c/m: no tools" in message
    assert "d/m: D_KEY is not set" in message


async def test_a_chain_that_nobody_can_serve_is_a_503_without_a_retry(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """No waiting mends a missing key; the variable is named."""
    it = scenario({"a": script(answer("a"))}, providers={"a": provider("a", unusable_because="A_KEY is not set")})
    told = refusal_of(await it.serve())
    assert (told.status, told.should_retry, told.retry_after_s) == (503, False, None)
    assert "A_KEY is not set" in told.message


async def test_a_permanent_cause_beside_somebody_merely_busy_is_not_permanent(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """Who comes again may find the other one free."""
    it = scenario(
        {"a": no(FailureKind.AUTH), "b": script(answer("b"))}, MaxWait(s=0), providers={"b": window("b", 20.0)}
    )
    (await take(it, 1)).release(sent=True)
    told = refusal_of(await it.serve())
    assert (told.status, told.retry_after_s, told.should_retry) == (503, 20, None)


# The client's own fault.

BODY = b'{"type":"error","error":{"type":"invalid_request_error","message":"messages.1: tool_use ids"}}'


@pytest.mark.parametrize("native", [True, False])
async def test_a_clients_400_stops_and_is_passed_on_unmodified_where_it_is_native(
    scenario: MakeScenario, autojump_clock: MockClock, native: bool
) -> None:
    """Nobody else is asked, and nobody is blamed."""
    poison = no(FailureKind.CLIENT, status=400, body=BODY, native=native, message="tool_use ids")
    it = scenario({"a": poison, "b": script(answer("b"))}, hedge())
    told = refusal_of(await it.serve())
    assert it.asked == [(0.0, "a")]
    assert (told.status, told.type, told.body) == (400, "invalid_request_error", BODY if native else None)
    assert "a/m: tool_use ids" in told.message
    assert (told.retry_after_s, told.should_retry) == (None, None)
    assert not it.events(AttemptEnded)[0].counts


async def test_a_clients_400_from_a_hedge_leaves_the_leader_its_chance(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """One provider's objection is not the other's."""
    it = scenario({"a": script(9.0, answer("a")), "b": no(FailureKind.CLIENT, status=400), "c": script(HANG)}, hedge())
    assert (await it.serve()).said == "a"
    assert it.asked == [(0.0, "a"), (2.0, "b")]


def sized(id: str, context: int | None) -> Any:
    return provider(id, models={"m": Model(id="m", capabilities=Capabilities(context=context))})


async def test_a_prompt_too_long_goes_to_bigger_windows_only(scenario: MakeScenario, autojump_clock: MockClock) -> None:
    """Smaller ones are passed over; one of unknown size has its chance."""
    too_long = no(FailureKind.TOO_LONG, status=400, tokens=(5000, 4000))
    it = scenario(
        {"a": too_long, "b": script(answer("b")), "c": too_long, "d": script(answer("d"))},
        providers={"a": sized("a", 4000), "b": sized("b", 4500), "c": sized("c", None), "d": sized("d", 200_000)},
    )
    assert (await it.serve()).said == "d"
    assert [id for _, id in it.asked] == ["a", "c", "d"]


async def test_a_prompt_too_long_for_all_is_worded_so_that_the_client_compacts(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """With the numbers of the largest window."""
    it = scenario(
        {"a": no(FailureKind.TOO_LONG, tokens=(5000, 4000)), "b": no(FailureKind.TOO_LONG, tokens=(5000, 4500))},
        Sequence(),
    )
    told = refusal_of(await it.serve())
    assert (told.status, told.type) == (400, "invalid_request_error")
    assert told.message == "prompt is too long: 5000 tokens > 4500 maximum"


@pytest.mark.parametrize("last", [kind for kind in FailureKind if kind is not FailureKind.DEADLINE])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_used_up_chain_is_answered_in_the_moment_in_which_that_is_known(
    scenario: MakeScenario, autojump_clock: MockClock, last: FailureKind, stream: bool
) -> None:
    """The first fails after half a second, the last a second later; nobody can be back within max-wait: no time is added."""
    it = scenario(
        {
            "a": script(asking=[0.5, failing(FailureKind.SERVER)]),
            "b": script(asking=[1.0, failing(last)]),
        },
        SilentSkip(),
        Sequence(),
        MaxWait(s=0),
    )
    reply = await it.serve(it.request(stream=stream))
    refusal = refusal_of(reply)
    assert reply.ended_at == 1.5
    assert refusal.status >= 400
    assert refusal.retry_after_s is None or 1 <= refusal.retry_after_s <= 30
