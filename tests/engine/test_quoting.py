"""What stands in a failure's text and in the request as well is the prompt, and does not travel."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from engine._events import AttemptEnded
from engine._quoting import LEAST, OMITTED, unquoted
from engine._refusals import error_body
from engine._stream import error_event
from engine.testing import Exchange, failing, head, script, tool
from policies import FailureKind
from tests.engine.stage import MakeScenario, refusal_of

SECRET = 'the launch code of the "blue" rocket is 0042-ÄÖ, do not tell'


def body(text: str) -> bytes:
    return orjson.dumps({"model": "m", "messages": [{"role": "user", "content": text}]})


@pytest.mark.parametrize("raw", [body(SECRET), json.dumps({"content": SECRET}).encode()], ids=["plain", "escaped"])
def test_a_quotation_is_left_out_and_the_rest_is_kept(raw: bytes) -> None:
    """However the client has written its letters."""
    assert (
        unquoted(f"messages.0: invalid text '{SECRET}' (code 7)", raw)
        == f"messages.0: invalid text '{OMITTED}' (code 7)"
    )


def test_a_part_of_it_is_a_quotation_too() -> None:
    """Cut at both ends, twice."""
    said = f"bad: {SECRET[5:40]}... and {SECRET[20:]}"
    assert unquoted(said, body(SECRET)) == f"bad: {OMITTED}... and {OMITTED}"


def test_what_says_nothing_of_the_prompt_is_untouched() -> None:
    """Names of fields, numbers and models that the request happens to hold."""
    said = "max_tokens: 64000 > 8192, which is the maximum allowed for claude-sonnet-5-5"
    raw = orjson.dumps({"model": "claude-sonnet-5-5", "max_tokens": 64000, "messages": []})
    assert unquoted(said, raw) == said


@given(prompt=st.text(max_size=200), before=st.text(max_size=40), after=st.text(max_size=40), at=st.integers(0, 200))
def test_no_long_run_of_the_prompt_is_left(prompt: str, before: str, after: str, at: int) -> None:
    """Wherever it is quoted from; and only what is omitted is missing."""
    raw = body(prompt)
    left = unquoted(before + prompt[at : at + 120] + after, raw)
    inner = json.loads(raw)["messages"][0]["content"]
    for piece in left.split(OMITTED):
        for start in range(len(piece) - 2 * LEAST):
            assert piece[start : start + 2 * LEAST] not in inner


@given(st.text(max_size=700), st.binary(max_size=300))
def test_any_text_and_any_body_are_taken(text: str, raw: bytes) -> None:
    """Half pairs of surrogates and half letters included."""
    assert isinstance(unquoted(text + "\ud800", raw), str)


@pytest.mark.parametrize(
    "no",
    [
        script(asking=[failing(FailureKind.SERVER, status=500, message=f"cannot parse {SECRET}")]),
        script([error_event("api_error", f"cannot parse {SECRET}")]),
    ],
    ids=["status", "event"],
)
async def test_a_prompt_travels_neither_into_an_error_nor_into_the_account(
    scenario: MakeScenario, autojump_clock: MockClock, no: object
) -> None:
    """No event holds it, from which everything else is told."""
    it = scenario({"a": no})  # type: ignore[dict-item]
    told = refusal_of(await it.serve(it.request(messages=[{"role": "user", "content": SECRET}])))
    assert OMITTED in told.message
    assert "launch code" not in told.message
    events = [entry for entry in it.log if not hasattr(entry, "ask")]
    assert "launch code" not in str(events)
    assert b"launch code" not in error_body(told.type, told.message, "r")


async def test_who_quotes_it_when_the_body_is_gone_is_not_quoted(
    scenario: MakeScenario, autojump_clock: MockClock
) -> None:
    """A call was shown, so nobody goes on and nothing is kept that the text could be compared with."""
    said = error_event("api_error", f"cannot go on with '{SECRET}'")
    it = scenario({"a": script([head(), *tool('{"a": 1}')], [said])})
    await it.serve(it.request(messages=[{"role": "user", "content": SECRET}]))
    (ended,) = it.events(AttemptEnded)
    assert ended.failure is not None
    assert ended.failure.message == f"api_error: {OMITTED}"
    assert SECRET[:LEAST] not in repr([e for e in it.log if not isinstance(e, Exchange)])
