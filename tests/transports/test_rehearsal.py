"""The provider without a model: what it says, and each fault it plays, on a virtual clock."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from engine import AttemptError, Kind, StreamEvent
from policies import FailureKind
from tests.recordings import reading
from tests.transports.anthropic_frames import raw_of
from tests.transports.asks import ask, body
from transports._rehearsal import FAULTS, Rehearsal, Script


async def played(script: str, advice: str = "Set a key.", **fields: Any) -> tuple[list[StreamEvent], list[float]]:
    """All events of one answer, and when each came."""
    events: list[StreamEvent] = []
    times: list[float] = []
    async with Rehearsal(advice).open(ask(body(**fields), model=script, wire="rehearsal")) as upstream:
        while (batch := await upstream.read()) is not None:
            events += batch
            times += [trio.current_time()] * len(batch)
    return events, times


async def test_it_says_what_it_is_and_what_to_do(autojump_clock: MockClock) -> None:
    """In the strict grammar, with the user's own words at the end."""
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "  second\n line"}, {"type": "text", "text": "<x>"}]},
    ]
    events, _ = await played("echo", messages=messages)
    found = reading(raw_of(events))
    assert (found.faults, found.stop_reason) == ([], "end_turn")
    assert found.text.startswith("Hedgerow is running, and no language model is behind this answer")
    assert found.text.endswith('Set a key. You said: "second line" ')
    assert found.usage["output_tokens"] == len(found.text.split())
    assert found.usage["input_tokens"] > 0


async def test_a_long_text_is_cut_and_no_text_is_none(autojump_clock: MockClock) -> None:
    """The echo stays on one line."""
    events, _ = await played("echo", messages=[{"role": "user", "content": "x" * 200}])
    assert '"' + "x" * 79 + "\u2026" + '"' in reading(raw_of(events)).text
    events, _ = await played("echo", messages=[{"role": "user", "content": [{"type": "image"}]}])
    assert "You said" not in reading(raw_of(events)).text


async def test_it_really_streams(autojump_clock: MockClock) -> None:
    """One event a read: the head after the delay, then a word every gap."""
    events, times = await played("echo?after_s=2&words=3&gap_ms=100")
    assert [event.kind for event in events] == [
        Kind.MESSAGE_START, Kind.BLOCK_START, *[Kind.DELTAS] * 3, Kind.BLOCK_STOP, Kind.MESSAGE_DELTA,
        Kind.MESSAGE_STOP,
    ]  # fmt: skip
    assert times == pytest.approx([2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7])
    assert reading(raw_of(events)).text == "word0 word1 word2 "
    assert [event.content for event in events] == [False, False, True, True, True, False, False, False]


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("400", FailureKind.CLIENT, 400),
        ("401", FailureKind.AUTH, 401),
        ("402", FailureKind.QUOTA, 402),
        ("404", FailureKind.GONE, 404),
        ("429", FailureKind.RATE_LIMITED, 429),
        ("500", FailureKind.SERVER, 500),
        ("503", FailureKind.OVERLOADED, 503),
        ("529", FailureKind.OVERLOADED, 529),
        ("refused", FailureKind.CONNECT, None),
        ("reset", FailureKind.RESET, None),
        ("html", FailureKind.MALFORMED, None),
    ],
)
async def test_a_fault_before_the_answer(
    autojump_clock: MockClock, fault: str, kind: FailureKind, status: int | None
) -> None:
    """It comes after the delay, with the wait that was asked for."""
    with pytest.raises(AttemptError) as caught:
        await played(f"echo?after_s=6&fault={fault}&retry_after=30")
    failure = caught.value.failure
    assert (failure.kind, failure.status, failure.retry_after_s) == (kind, status, 30.0)
    assert trio.current_time() == 6.0


async def test_faults_within_the_answer(autojump_clock: MockClock) -> None:
    """Nothing at all, an error in the stream, and a stream that stops in the middle."""
    assert (await played("echo?fault=empty"))[0] == []
    events, _ = await played("echo?fault=error-event")
    assert [event.kind for event in events] == [Kind.MESSAGE_START, Kind.ERROR]
    for words in (1, 2, 5):
        events, _ = await played(f"echo?fault=cut&words={words}")
        found = reading(raw_of(events))
        assert found.faults == ["the stream ends in the message, without message_stop"]
        assert 0 < sum(event.kind is Kind.DELTAS for event in events) <= (words + 1) // 2


async def test_silence_lasts_for_ever(autojump_clock: MockClock) -> None:
    """Until somebody gives up."""
    with trio.move_on_after(10_000) as scope:
        await played("echo?fault=silence")
    assert scope.cancelled_caught
    assert trio.current_time() == 10_000


async def test_every_fault_is_one_that_is_played() -> None:
    """The list that people are shown has no other."""
    assert {Script.of(f"echo?fault={fault}").fault for fault in FAULTS} == set(FAULTS)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("echo?fault=403", "unknown fault '403'; known: 400, 401"),
        ("echo?delay=3", "'delay' is no part of a rehearsal script; known: after_s"),
        ("echo?after_s=soon", "'after_s' of a rehearsal script: expected 0 or more, got 'soon'"),
        ("echo?after_s=-1", "'after_s' of a rehearsal script: expected 0 or more, got '-1'"),
        ("echo?gap_ms=nan", "'gap_ms' of a rehearsal script: expected 0 or more, got 'nan'"),
        ("echo?words=inf", "'words' of a rehearsal script: expected 0 or more, got 'inf'"),
        ("echo?words", "bad query field"),
    ],
)
async def test_a_script_that_makes_no_sense_is_the_clients_mistake(model: str, words: str) -> None:
    """It is told what is wrong with it."""
    with pytest.raises(ValueError, match=r"rehearsal|fault|query") as told:
        Script.of(model)
    assert words in str(told.value)
    with pytest.raises(AttemptError) as caught:
        await played(model)
    assert (caught.value.failure.kind, caught.value.failure.status) == (FailureKind.CLIENT, 400)


def test_a_script_has_defaults() -> None:
    """A name without a script plays none."""
    assert Script.of("echo") == Script()
    assert Script.of("echo?after_s=1.5&words=7&retry_after=0") == Script(after_s=1.5, words=7, retry_after=0.0)


async def test_a_fault_may_pass(autojump_clock: MockClock) -> None:
    """With `times` the first requests meet it, each candidate by its own count, and later ones do not."""
    rehearsal = Rehearsal()

    async def outcome(model: str) -> str:
        try:
            async with rehearsal.open(ask(body(), model=model, wire="rehearsal")):
                return "answered"
        except AttemptError as error:
            return error.failure.kind.value

    passing, lasting = "echo?fault=reset&times=2", "echo?fault=reset"
    assert [await outcome(passing) for _ in range(4)] == ["reset", "reset", "answered", "answered"]
    assert [await outcome(lasting) for _ in range(3)] == ["reset"] * 3
