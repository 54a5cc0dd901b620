"""Recorded answers of Responses hosts, decoded at every cutting, against what a right reader finds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest

from engine import Kind, StreamEvent
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, Recording, pieces, recordings
from tests.transports.chat.streams import ids_of, read_events, signatures, toolbox
from tests.transports.responses.events import decoder
from transports._anthropic import StreamError
from transports._envelope import opened
from transports.responses import ResponsesDecoder

#: Recordings that mean less than was recorded: how many calls are left at the end, and why.
FEWER_CALLS = {"openai/107.sse": (0, "the answer was cut in its only call: half a call is not run")}
#: Calls that the index does not read as they are.
CUSTOM = "a custom call: its free text is its input"
OTHER_CALLS = {
    "openai/149.json": ([("math_exp", {"input": "4 + 4"})], CUSTOM),
    "openai/172.json": ([("write_sql", {"input": "SELECT * FROM users WHERE age > 25"})], CUSTOM),
}
#: Recordings whose stop reason is another than that of their status.
CUT = "incomplete without a reason: a cut answer must not look finished"
OTHER_STOP = {"openai/161.json": ("max_tokens", CUT), "openai/163.json": ("max_tokens", CUT)}
#: Recordings whose text is another than the index has.
OTHER_TEXT = {
    "openai/147.sse": ("The command ran successfully.", "its deltas say less than its last word; what was shown stands")
}
#: Recordings with counts of zero for an answer that has a text: estimated, and said to be.
UNCOUNTED = {"openai/109.sse"}
#: The first of two errors is told.
OTHER_ERROR = {"openai/127.sse": ("Foobar", "an `error` event comes before `response.failed`")}


def made_for(recording: Recording, **settings: Any) -> ResponsesDecoder:
    """A decoder with the tools that the recorded answer calls."""
    names = {name for name, _ in tools_of(recording, whole=False)}
    return decoder(toolbox=toolbox(*names, schema={"type": "object", "properties": {}}), **settings)


def decoded(recording: Recording, cut: int | None) -> tuple[list[StreamEvent], bool]:
    one = made_for(recording)
    events = [event for piece in pieces(recording.body, cut) for event in one.feed(piece)] + one.finish()
    return events, one.complete


def meaning(found: Reading) -> Any:
    usage = {k: v for k, v in found.usage.items() if found.stop_reason}  # the first count is ours
    return found.blocks, found.stop_reason, usage, found.error, found.faults


def tools_of(recording: Recording, *, whole: bool = True) -> list[tuple[str, Any]]:
    if recording.file in OTHER_CALLS:
        return OTHER_CALLS[recording.file][0]
    given = [(tool["name"], tool["arguments"]) for tool in recording.expect["tools"]]
    kept = given[: FEWER_CALLS.get(recording.file, (len(given), ""))[0]] if whole else given
    return [(name, (orjson.loads(arguments or "{}") or {}) if whole else {}) for name, arguments in kept]


def stop_of(recording: Recording) -> str:
    if recording.file in OTHER_STOP:
        return OTHER_STOP[recording.file][0]
    stop = recording.expect["stop"] or ""
    if "max_output_tokens" in stop:
        return "max_tokens"
    if recording.expect.get("refusal") or "content_filter" in stop:
        return "refusal"
    return "tool_use" if tools_of(recording) else "end_turn"


def check(recording: Recording, found: Reading, *, complete: bool) -> None:
    """It says what the recording means, in the strict grammar."""
    expect, file = recording.expect, recording.file
    assert found.faults == []
    if expect.get("error"):
        assert found.error is not None
        assert found.error["message"] == OTHER_ERROR.get(file, (expect["error"]["message"],))[0]
        assert not complete
        return
    assert found.error is None
    assert found.thinking == (expect["reasoning"] or "")
    assert found.text == OTHER_TEXT.get(file, ((expect["text"] or "") + (expect.get("refusal") or ""),))[0]
    assert found.tools == tools_of(recording)
    assert len(set(ids_of(found))) == len(found.tools)
    assert found.stop_reason == stop_of(recording)
    assert complete is bool(found.blocks)
    check_usage(expect["usage"] or {}, found.usage, counted=file not in UNCOUNTED)


def check_usage(told: dict[str, Any], counts: dict[str, Any], *, counted: bool) -> None:
    """The parts of the prompt add up to it."""
    details = told["input_tokens_details"]
    assert counts["cache_read_input_tokens"] == details["cached_tokens"]
    assert counts["cache_creation_input_tokens"] == details.get("cache_write_tokens", 0)
    parts = counts["input_tokens"] + counts["cache_creation_input_tokens"] + counts["cache_read_input_tokens"]
    assert ((parts, counts["output_tokens"]) == (told["input_tokens"], told["output_tokens"])) is counted


@pytest.mark.parametrize("recording", recordings("openai-responses", stream=True))
def test_recorded_streams_keep_their_meaning(recording: Recording) -> None:
    """Text, reasoning, tools, stop reason, usage, error; the same at every cutting."""
    events, complete = decoded(recording, None)
    whole = read_events(events)
    check(recording, whole, complete=complete)
    for cut in CUTS[1:]:
        cut_up, complete_too = decoded(recording, cut)
        assert meaning(read_events(cut_up)) == meaning(whole)
        assert complete_too is complete


@pytest.mark.parametrize("recording", recordings("openai-responses", stream=True))
def test_recorded_events_mean_the_same_without_framing(recording: Recording) -> None:
    """One object at a time, as over a WebSocket; the response's id is known from the first on."""
    one = made_for(recording)
    events: list[StreamEvent] = []
    for line in recording.body.splitlines():
        if line.startswith(b"data:") and not line.endswith(b"[DONE]"):
            events += one.take(orjson.loads(line[5:]))
            assert one.response_id
    assert meaning(read_events(events)) == meaning(read_events(decoded(recording, None)[0]))
    assert one.ended


@pytest.mark.parametrize("recording", recordings("openai-responses", stream=False, status=200))
def test_recorded_answers_keep_their_meaning(recording: Recording) -> None:
    """A whole answer says the same as a stream."""
    one = made_for(recording)
    check(recording, read_events(one.whole(orjson.loads(recording.body))), complete=one.complete)


@pytest.mark.parametrize("recording", recordings("openai-responses", stream=False, status=400))
def test_recorded_errors_are_no_answers(recording: Recording) -> None:
    """Whatever shape they have."""
    one = made_for(recording)
    with pytest.raises(StreamError):
        one.whole(orjson.loads(recording.body))
    assert not one.complete


@pytest.mark.parametrize("recording", recordings("openai-responses", stream=True))
def test_recorded_streams_that_break_off_do_not_end(recording: Recording) -> None:
    """Cut before their last event, no matter where: nothing says that they are whole, and no call is shown."""
    sent = recording.body
    limit = max(sent.rfind(b'"type":"response.%s"' % word) for word in (b"completed", b"incomplete", b"failed"))
    for part in range(1, 12):
        one = made_for(recording)
        events = one.feed(sent[: limit * part // 11 - 8])
        with suppress(StreamError):
            events += one.finish()
        assert Kind.MESSAGE_STOP not in {event.kind for event in events}
        assert not any(event.payload.get("content_block", {}).get("type") == "tool_use" for event in events)
        assert not one.complete


@pytest.mark.parametrize("recording", recordings("openai-responses", stream=True))
def test_recorded_encrypted_reasoning_is_sealed(recording: Recording) -> None:
    """That of the item's end, since it grows until then, and none of an item that has none."""
    found = [
        item["encrypted_content"]
        for line in recording.body.splitlines()
        if line.startswith(b'data: {"') and (event := orjson.loads(line[6:]))["type"] == "response.output_item.done"
        if (item := event["item"]).get("encrypted_content")
    ]
    sealed = [opened(one) for one in signatures(decoded(recording, 7)[0])]
    states = [one.state["reasoning"] for one in sealed if one is not None and one.state]
    assert [state["item"]["encrypted_content"] for state in states if "encrypted_content" in state["item"]] == found


def test_the_exceptions_are_about_recordings() -> None:
    """None is left over from one that is gone."""
    wire = "openai-responses"
    files = {r.values[0].file for s in (True, False) for r in recordings(wire, stream=s) if r.values[0] is not None}
    named = {*FEWER_CALLS, *OTHER_CALLS, *OTHER_STOP, *OTHER_TEXT, *UNCOUNTED, *OTHER_ERROR}
    assert not files or named <= files
