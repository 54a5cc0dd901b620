"""Recorded answers of chat-completions hosts, decoded at every cutting, against what a right reader finds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest

from engine import Kind, StreamEvent
from engine.config import Accent
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, Recording, pieces, recordings
from tests.transports.chat.streams import decoder, ids_of, read_events, signatures, toolbox
from transports._anthropic import StreamError
from transports._envelope import opened
from transports.chat import ChatDecoder
from transports.chat._chunk import STOPS

#: Recordings longer than this, in bytes, are not read byte by byte: that would take longer than all other tests of them.
LONG = 12_000

#: Recordings that mean less than was recorded: how many calls are left at the end, and why.
CUT = "the answer was cut in its last call: half a call is not run"
FEWER_CALLS = {
    "deepseek/023.sse": (1, CUT),
    "deepseek/025.sse": (0, CUT),
    "deepseek/055.json": (0, CUT),
    "mistral/034.sse": (0, CUT),
    "mistral/038.sse": (0, CUT),
    "mistral/039.sse": (0, CUT),
    "mistral/076.json": (0, CUT),
    "openai/079.json": (0, CUT),
    "openrouter/027.sse": (0, CUT),
    "openrouter/028.sse": (0, CUT),
    "openrouter/029.sse": (0, CUT),
}
#: Recordings whose finish reason says something else than what happened.
OTHER_STOP = dict.fromkeys(
    ["openrouter/027.sse", "openrouter/028.sse", "openrouter/029.sse"],
    ("max_tokens", "the finish reason is tool_calls, the native one beside it says length"),
)
#: Calls that the index does not read as they are.
OTHER_CALLS = {"openai/091.json": ([("math_exp", {"input": "4 + 4"})], "a custom call: its free text is its input")}


def made_for(recording: Recording, **settings: Any) -> ChatDecoder:
    """A decoder with the tools that the recorded answer calls."""
    names = {tool["name"] or "x" for tool in recording.expect["tools"]}
    return decoder(toolbox=toolbox(*names, schema={"type": "object", "properties": {}}), **settings)


def decoded(recording: Recording, cut: int | None, **settings: Any) -> tuple[list[StreamEvent], bool]:
    one = made_for(recording, **settings)
    events = [event for piece in pieces(recording.body, cut) for event in one.feed(piece)] + one.finish()
    return events, one.complete


def meaning(found: Reading) -> Any:
    blocks = [{k: v for k, v in block.items() if k != "signature"} for block in found.blocks]
    usage = {k: v for k, v in found.usage.items() if found.stop_reason}  # the first count may be ours or the host's
    return blocks, found.stop_reason, usage, found.error, found.faults


def tools_of(recording: Recording) -> list[tuple[str, Any]]:
    if recording.file in OTHER_CALLS:
        return OTHER_CALLS[recording.file][0]
    given = [(tool["name"], tool["arguments"]) for tool in recording.expect["tools"]]
    kept = given[: FEWER_CALLS.get(recording.file, (len(given), ""))[0]]
    return [(name, orjson.loads(arguments or "{}") or {}) for name, arguments in kept]


def stop_of(recording: Recording) -> str:
    reason = STOPS.get(recording.expect["stop"] or "", "end_turn")
    if reason in ("end_turn", "tool_use"):
        reason = (
            "refusal" if recording.expect.get("refusal") else "tool_use" if recording.expect["tools"] else "end_turn"
        )
    return OTHER_STOP.get(recording.file, (reason, ""))[0]


def check(recording: Recording, found: Reading, *, complete: bool) -> None:
    """It says what the recording means, in the strict grammar."""
    expect = recording.expect
    assert found.faults == []
    assert found.thinking == (expect["reasoning"] or "")
    if expect.get("error"):
        assert found.error is not None
        assert found.error["message"] == expect["error"]["message"]
        assert not complete
        return
    assert found.error is None
    assert found.text == (expect["text"] or "") + (expect.get("refusal") or "")
    assert found.tools == tools_of(recording)
    assert len(set(ids_of(found))) == len(found.tools)
    assert found.stop_reason == stop_of(recording)
    assert complete is bool(found.blocks)
    check_usage(expect["usage"] or {}, found.usage)


def check_usage(told: dict[str, Any], counts: dict[str, Any]) -> None:
    """The parts of the prompt add up to it; read from a cache is what the host says was."""
    cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or told.get("prompt_cache_hit_tokens")
    cached = cached or told.get("num_cached_tokens") or 0
    prompt = told.get("prompt_tokens") or 0
    if prompt:
        parts = counts["input_tokens"] + counts["cache_creation_input_tokens"] + counts["cache_read_input_tokens"]
        assert parts == (prompt if prompt >= cached else prompt + cached)  # then the host has taken it out already
    if told.get("completion_tokens"):
        assert counts["output_tokens"] == told["completion_tokens"]
    assert counts["cache_read_input_tokens"] == cached


@pytest.mark.parametrize("recording", recordings("openai-chat", stream=True))
def test_recorded_streams_keep_their_meaning(recording: Recording) -> None:
    """Text, reasoning, tools, stop reason, usage, error; the same at every cutting."""
    events, complete = decoded(recording, None)
    whole = read_events(events)
    check(recording, whole, complete=complete)
    for cut in CUTS[1:] if len(recording.body) < LONG else (0, 7, 1400):
        cut_up, complete_too = decoded(recording, cut)
        assert meaning(read_events(cut_up)) == meaning(whole)
        assert complete_too is complete


@pytest.mark.parametrize("recording", recordings("openai-chat", stream=False, status=200))
def test_recorded_answers_keep_their_meaning(recording: Recording) -> None:
    """A whole answer says the same as a stream."""
    one = made_for(recording)
    check(recording, read_events(one.whole(orjson.loads(recording.body))), complete=one.complete)


@pytest.mark.parametrize(
    "recording",
    [r for r in recordings("openai-chat", stream=False) if r.values[0] is None or r.values[0].status >= 400],
)
def test_recorded_errors_are_no_answers(recording: Recording) -> None:
    """Whatever shape they have."""
    one, answer = made_for(recording), orjson.loads(recording.body)
    try:
        events = one.whole(answer)
    except StreamError:
        return
    assert [event.kind for event in events] == [Kind.ERROR]
    assert not one.complete


@pytest.mark.parametrize("recording", recordings("openai-chat", stream=True))
def test_recorded_streams_that_break_off_do_not_end(recording: Recording) -> None:
    """Cut before their finish reason, no matter where: nothing says that they are whole."""
    sent = recording.body
    ends = [at for mark in (b'"finish_reason":"', b'"finish_reason": "', b"[DONE]") if (at := sent.find(mark)) >= 0]
    limit = min(ends, default=len(sent))
    for part in range(1, 8):
        one = made_for(recording)
        events = one.feed(sent[: limit * part // 8])
        with suppress(StreamError):
            events += one.finish()
        assert Kind.MESSAGE_STOP not in {event.kind for event in events}
        assert not one.complete


def joined_details(body: bytes) -> list[dict[str, Any]]:
    """The details of a recorded stream, put together independently of the product: what differs in a field is another."""
    found: list[dict[str, Any]] = []
    for line in body.splitlines():
        if not line.startswith(b"data:") or line.endswith(b"[DONE]"):
            continue
        for choice in orjson.loads(line[5:]).get("choices") or ():
            for detail in (choice.get("delta") or {}).get("reasoning_details") or ():
                keys = ("type", "index", "id")
                same = found and all(detail.get(k) is None or detail.get(k) == found[-1].get(k) for k in keys)
                if not same or detail["type"] == "reasoning.encrypted":
                    found.append({})
                for name, value in detail.items():
                    joins = name in ("text", "summary") and name in found[-1]
                    if value is not None:
                        found[-1][name] = found[-1][name] + value if joins else value
    return found


@pytest.mark.parametrize(
    "recording",
    [
        r
        for r in recordings("openai-chat", stream=True)
        if r.values[0] is None or b'"reasoning_details"' in r.values[0].body
    ],
)
def test_recorded_details_come_back(recording: Recording) -> None:
    """From the envelopes, with the thinking put back in its place: as the host gave them, but in one piece each."""
    events, complete = decoded(recording, 7, accent=Accent(replay="reasoning_details"))
    details = joined_details(recording.body)
    if not complete or not details:
        return
    blocks = [block for block in read_events(events).blocks if "thinking" in block["type"]]
    back: list[dict[str, Any]] = []
    for block, signature in zip(blocks, signatures(events), strict=True):
        sealed = opened(signature)
        assert sealed is not None
        for detail in sealed.state.get("details", []):
            bare = detail["type"] == "reasoning.text" and "text" not in detail
            back.append({**detail, "text": block["thinking"]} if bare else detail)
    assert back == [
        {**detail, **({"text": detail.get("text", "")} if detail["type"] == "reasoning.text" else {})}
        for detail in details
    ]


def test_the_exceptions_are_about_recordings() -> None:
    """None is left over from one that is gone."""
    files = {
        r.values[0].file for s in (True, False) for r in recordings("openai-chat", stream=s) if r.values[0] is not None
    }
    assert not files or {*FEWER_CALLS, *OTHER_STOP, *OTHER_CALLS} <= files
