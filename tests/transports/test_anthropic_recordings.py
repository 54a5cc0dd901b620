"""Recorded answers of Anthropic and of hosts like it, decoded at every cutting, against what a right reader finds."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine import StreamEvent
from tests.recordings import CUTS, Recording, pieces, reading, recordings
from tests.transports.anthropic_frames import decoded, raw_of
from transports._anthropic import AnthropicDecoder, StreamError


def arguments(tool: dict[str, Any]) -> Any:
    """A recorded call's arguments; as text where the length limit cut them off."""
    try:
        return orjson.loads(tool["arguments"] or "{}")
    except orjson.JSONDecodeError:
        return tool["arguments"]


def check(recording: Recording, events: list[StreamEvent]) -> None:
    """The events say what the recording means, in the strict grammar."""
    expect, found = recording.expect, reading(raw_of(events))
    tools = [(tool["name"], tool["id"], arguments(tool)) for tool in expect["tools"]]
    assert found.faults == [f"the input of {n} is not a JSON object" for n, _, given in tools if type(given) is str]
    assert found.text == (expect["text"] or "")
    assert found.thinking == (expect["reasoning"] or "")
    assert [(b["name"], b["id"], b["input"]) for b in found.blocks if b["type"] == "tool_use"] == tools
    assert found.stop_reason == expect["stop"]
    assert {name: found.usage.get(name) for name in expect["usage"]} == expect["usage"]


@pytest.mark.parametrize("recording", recordings("anthropic-messages", stream=True))
def test_recorded_streams_keep_their_meaning(recording: Recording) -> None:
    """Text, reasoning, tools, stop reason and usage; the same bytes at every cutting."""
    whole = decoded([recording.body])
    check(recording, whole)
    for cut in CUTS:
        assert raw_of(decoded(pieces(recording.body, cut))) == raw_of(whole)


@pytest.mark.parametrize("recording", recordings("anthropic-messages", stream=True))
def test_recorded_streams_pass_byte_for_byte(recording: Recording) -> None:
    """The decoder takes away nothing but pings, and adds nothing but the stop of a block that has none."""
    sent = [part.strip() for part in recording.body.replace(b"\r\n", b"\n").split(b"\n\n")]
    passed = [part for part in raw_of(decoded([recording.body])).split(b"\n\n") if part]
    added = [part for part in passed if part not in sent]
    assert [part for part in passed if part in sent] == [p for p in sent if p and not p.startswith(b"event: ping")]
    assert all(part.startswith(b"event: content_block_stop") for part in added)
    assert bool(added) is (sent_blocks(sent, b"start") != sent_blocks(sent, b"stop"))


def sent_blocks(parts: list[bytes], which: bytes) -> int:
    return sum(part.startswith(b"event: content_block_" + which) for part in parts)


@pytest.mark.parametrize("recording", recordings("anthropic-messages", stream=False))
def test_recorded_messages_keep_their_meaning(recording: Recording) -> None:
    """A whole message as a stream says the same; an error is not taken for a message."""
    decoder, body = AnthropicDecoder(), orjson.loads(recording.body)
    if recording.status >= 400:
        with pytest.raises(StreamError):
            decoder.whole(body)
    else:
        check(recording, decoder.whole(body))
