"""Recorded answers of Ollama's own wire, decoded at every cutting, against what a right reader finds."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine import Kind, StreamEvent
from tests.e2e.grammar import Reading
from tests.recordings import CUTS, Recording, recordings
from tests.transports.chat.streams import ids_of, read_events
from tests.transports.ollama.lines import cut_up, decoder, toolbox
from transports.ollama import OllamaDecoder

#: Recordings that mean something else than the index says, and why.
OTHER_STOP: dict[str, tuple[str, str]] = {}


def made_for(recording: Recording) -> OllamaDecoder:
    """A decoder with the tools that the recorded answer calls."""
    names = {tool["name"] or "x" for tool in recording.expect["tools"]} or {"x"}
    return decoder(toolbox=toolbox(*names, schema={"type": "object", "properties": {}}))


def decoded(recording: Recording, cut: int | None) -> tuple[list[StreamEvent], bool]:
    one = made_for(recording)
    events = [event for piece in cut_up(recording.body, cut) for event in one.feed(piece)] + one.finish()
    return events, one.complete


def stop_of(recording: Recording) -> str:
    reason = "max_tokens" if recording.expect["stop"] == "length" else "end_turn"
    reason = "tool_use" if reason == "end_turn" and recording.expect["tools"] else reason
    return OTHER_STOP.get(recording.file, (reason, ""))[0]


def check(recording: Recording, found: Reading, *, complete: bool) -> None:
    """It says what the recording means, in the strict grammar."""
    expect = recording.expect
    assert (found.faults, found.error) == ([], None)
    assert found.thinking == (expect["reasoning"] or "")
    assert found.text == (expect["text"] or "")
    assert found.tools == [(tool["name"], orjson.loads(tool["arguments"] or "{}")) for tool in expect["tools"]]
    assert len(set(ids_of(found))) == len(found.tools)
    assert found.stop_reason == stop_of(recording)
    assert complete
    told: dict[str, Any] = expect["usage"] or {}
    assert found.usage["input_tokens"] == told["prompt_eval_count"]
    assert found.usage["output_tokens"] == told["eval_count"]


@pytest.mark.parametrize("recording", recordings("ollama-chat", stream=True))
def test_recorded_streams_keep_their_meaning(recording: Recording) -> None:
    """Text, thinking, tools, stop reason, usage; the same at every cutting."""
    for cut in CUTS:
        events, complete = decoded(recording, cut)
        check(recording, read_events(events), complete=complete)


@pytest.mark.parametrize("recording", recordings("ollama-chat", stream=False, status=200))
def test_recorded_answers_keep_their_meaning(recording: Recording) -> None:
    """A whole answer says the same as a stream."""
    one = made_for(recording)
    check(recording, read_events(one.whole(orjson.loads(recording.body))), complete=one.complete)


@pytest.mark.parametrize("recording", recordings("ollama-chat", stream=True))
def test_recorded_streams_that_break_off_do_not_end(recording: Recording) -> None:
    """Cut before `done`, no matter where: nothing says that they are whole."""
    sent = recording.body
    limit = sent.index(b'"done":true')
    for part in range(1, 9):
        one = made_for(recording)
        events = [*one.feed(sent[: limit * part // 8]), *one.finish()]
        assert Kind.MESSAGE_STOP not in {event.kind for event in events}
        assert not one.complete


def test_the_exceptions_are_about_recordings() -> None:
    """None is left over from one that is gone."""
    files = {
        r.values[0].file for s in (True, False) for r in recordings("ollama-chat", stream=s) if r.values[0] is not None
    }
    assert not files or {*OTHER_STOP} <= files
