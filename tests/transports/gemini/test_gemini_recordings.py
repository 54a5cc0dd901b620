"""Recorded answers of Gemini, decoded at every cutting, against what a right reader finds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest

from engine import Kind, StreamEvent
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, Recording, pieces, recordings
from tests.transports.chat.streams import ids_of, read_events, toolbox
from tests.transports.gemini.speech import frame
from transports._anthropic import StreamError
from transports.gemini import GeminiDecoder
from transports.gemini._chunk import STOPS

#: Recordings longer than this, in bytes, are not read byte by byte.
LONG = 12_000

#: Calls that the index does not read as they are, and why.
STREAMED = "the arguments come as values at paths, which the index leaves out"
OTHER_CALLS: dict[str, tuple[Any, str]] = {
    "gemini/088.sse": (
        [("getWeather", {"location": "Boston"}), ("getWeather", {"location": "San Francisco"})],
        STREAMED,
    ),
    "gemini/090.sse": (["cookRecipe"], STREAMED),
}
#: Texts that the index does not have.
OTHER_TEXT = {
    "gemini/113.json": ("[audio/wav stood here; it is not shown]", "a sound, which Messages has no block for")
}
#: Counts that the last chunk does not have.
OTHER_OUTPUT = {"gemini/077.sse": (99, "an earlier chunk counts the answer, the last one only the thoughts")}


def made_for(recording: Recording) -> GeminiDecoder:
    """A decoder with the tools that the recorded answer calls."""
    names = {tool["name"] or "x" for tool in recording.expect["tools"]}
    tools = toolbox(*names, schema={"type": "object", "properties": {}})
    return GeminiDecoder(toolbox=tools, author="host/m")


def framed(recording: Recording) -> bytes:
    """As an event stream: some were recorded as a list, which `alt=sse` would have made into one."""
    if not recording.file.endswith(".json"):
        return recording.body
    chunks = orjson.loads(recording.body)
    return b"".join(map(frame, chunks if isinstance(chunks, list) else [chunks]))


def decoded(recording: Recording, cut: int | None) -> tuple[list[StreamEvent], bool]:
    one = made_for(recording)
    events = [event for piece in pieces(framed(recording), cut) for event in one.feed(piece)] + one.finish()
    return events, one.complete


def meaning(found: Reading) -> Any:
    blocks = [{k: v for k, v in block.items() if k != "signature"} for block in found.blocks]
    return (
        blocks,
        found.stop_reason,
        {k: v for k, v in found.usage.items() if found.stop_reason},
        found.error,
        found.faults,
    )


def tools_of(recording: Recording) -> Any:
    given = [(tool["name"], orjson.loads(tool["arguments"] or "{}")) for tool in recording.expect["tools"]]
    return OTHER_CALLS.get(recording.file, (given, ""))[0]


def check(recording: Recording, found: Reading, *, complete: bool) -> None:
    """It says what the recording means, in the strict grammar."""
    expect = recording.expect
    assert found.faults == []
    assert found.error is None
    assert found.thinking == (expect["reasoning"] or "")
    assert found.text == OTHER_TEXT.get(recording.file, (expect["text"] or "", ""))[0]
    names_only = recording.file == "gemini/090.sse"
    assert ([name for name, _ in found.tools] if names_only else found.tools) == tools_of(recording)
    assert len(set(ids_of(found))) == len(found.tools)
    assert found.stop_reason == STOPS.get(str(expect["stop"]), "tool_use" if expect["tools"] else "end_turn")
    assert complete is bool(found.blocks)
    usage = expect["usage"] or {}
    output = (usage.get("candidatesTokenCount") or 0) + (usage.get("thoughtsTokenCount") or 0)
    if usage:
        assert found.usage["output_tokens"] == OTHER_OUTPUT.get(recording.file, (output, ""))[0]
        assert found.usage["cache_read_input_tokens"] == usage.get("cachedContentTokenCount", 0)
        parts = found.usage["input_tokens"] + found.usage["cache_read_input_tokens"]
        assert parts == usage["promptTokenCount"]


@pytest.mark.parametrize("recording", recordings("gemini", stream=True))
def test_recorded_streams_keep_their_meaning(recording: Recording) -> None:
    """Text, reasoning, tools, stop reason, usage; the same at every cutting."""
    events, complete = decoded(recording, None)
    whole = read_events(events)
    check(recording, whole, complete=complete)
    for cut in CUTS[1:] if len(recording.body) < LONG else (0, 7, 1400):
        cut_up, complete_too = decoded(recording, cut)
        assert meaning(read_events(cut_up)) == meaning(whole)
        assert complete_too is complete


@pytest.mark.parametrize("recording", recordings("gemini", stream=False, status=200))
def test_recorded_answers_keep_their_meaning(recording: Recording) -> None:
    """A whole answer says the same as a stream."""
    one = made_for(recording)
    check(recording, read_events(one.whole(orjson.loads(recording.body))), complete=one.complete)


@pytest.mark.parametrize(
    "recording", [r for r in recordings("gemini", stream=False) if r.values[0] is None or r.values[0].status >= 400]
)
def test_recorded_errors_are_no_answers(recording: Recording) -> None:
    """They are errors."""
    one = made_for(recording)
    assert [event.kind for event in one.whole(orjson.loads(recording.body))] == [Kind.ERROR]
    assert not one.complete


@pytest.mark.parametrize("recording", recordings("gemini", stream=True))
def test_recorded_streams_that_break_off_do_not_end(recording: Recording) -> None:
    """Cut before their finish reason, no matter where: nothing says that they are whole."""
    sent = framed(recording)
    limit = sent.find(b'"finishReason"')
    assert limit > 0
    for part in range(1, 8):
        one = made_for(recording)
        events = one.feed(sent[: limit * part // 8])
        with suppress(StreamError):
            events += one.finish()
        assert Kind.MESSAGE_STOP not in {event.kind for event in events}
        assert not one.complete


def test_the_exceptions_are_about_recordings() -> None:
    """None is left over from one that is gone, or from a fault that was mended."""
    found = {
        r.values[0].file: r.values[0] for s in (True, False) for r in recordings("gemini", stream=s) if r.values[0]
    }
    if not found:
        return
    assert {*OTHER_CALLS, *OTHER_TEXT, *OTHER_OUTPUT} <= found.keys()
    for file, (text, _) in OTHER_TEXT.items():
        assert found[file].expect["text"] != text
    for file in OTHER_CALLS:
        assert {tool["arguments"] for tool in found[file].expect["tools"]} == {"{}"}
    for file, (count, _) in OTHER_OUTPUT.items():
        usage = found[file].expect["usage"]
        assert usage.get("candidatesTokenCount", 0) + usage["thoughtsTokenCount"] != count
