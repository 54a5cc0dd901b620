"""The strict grammar of an Anthropic stream, as a checker that says what is wrong.

Clients differ in what they forgive: Claude Code accepts index gaps, the Python SDK dies of them. A test that only looks
at a client's result therefore misses faults that another client will find. This checker forgives nothing: one
message_start first, indexes from 0 without gaps, one block open at a time, deltas that fit their block, tool input that
parses, usage in message_delta, message_stop last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

_DELTA_FITS = {
    "text_delta": {"text"},
    "citations_delta": {"text"},
    "thinking_delta": {"thinking"},
    "signature_delta": {"thinking"},
    "input_json_delta": {"tool_use", "server_tool_use"},
}


@attrs.define
class Reading:
    """What a stream says: its finished blocks, stop reason, usage, error; and every breach of the grammar in `faults`."""

    blocks: list[dict[str, Any]] = attrs.field(factory=list)
    stop_reason: str | None = None
    usage: dict[str, Any] = attrs.field(factory=dict)
    error: dict[str, Any] | None = None
    pings: int = 0
    faults: list[str] = attrs.field(factory=list)
    _open: int | None = None
    _stage: str = "before message_start"

    @property
    def text(self) -> str:
        """All text blocks, joined."""
        return "".join(block["text"] for block in self.blocks if block["type"] == "text")

    @property
    def thinking(self) -> str:
        """All thinking blocks, joined."""
        return "".join(block["thinking"] for block in self.blocks if block["type"] == "thinking")

    @property
    def tools(self) -> list[tuple[str, Any]]:
        """(name, input) of each tool call, in order."""
        return [(block["name"], block["input"]) for block in self.blocks if block["type"] == "tool_use"]

    def take(self, event: Mapping[str, Any]) -> None:
        """Read one event."""
        kind = event.get("type")
        if kind == "ping":
            self.pings += 1
        elif self._stage in ("over", "failed"):
            self._breach(f"{kind} after the end")
        elif kind == "error":
            self.error, self._stage = dict(event["error"]), "failed"
        elif kind == "message_start":
            if self._stage != "before message_start":
                self._breach("a second message_start")
            self.usage, self._stage = dict(event["message"]["usage"]), "in the message"
        elif self._stage == "before message_start":
            self._breach(f"{kind} before message_start")
        elif kind == "message_stop":
            if self._stage != "after message_delta":
                self._breach("message_stop without a message_delta before it")
            self._stage = "over"
        elif self._stage == "after message_delta":
            self._breach(f"{kind} after message_delta")
        elif kind == "content_block_start":
            self._start(event["index"], event["content_block"])
        elif kind == "content_block_delta":
            self._delta(event["index"], event["delta"])
        elif kind == "content_block_stop":
            self._stop(event["index"])
        elif kind == "message_delta":
            self._end(event)
        else:
            self._breach(f"unknown event {kind}")

    def finish(self) -> None:
        """Say that no more will come."""
        if self._stage not in ("over", "failed"):
            self._breach(f"the stream ends {self._stage}, without message_stop")

    def _breach(self, text: str) -> None:
        self.faults.append(text)

    def _start(self, index: int, block: Mapping[str, Any]) -> None:
        if self._open is not None:
            self._breach(f"block {index} starts while block {self._open} is open")
        if index != len(self.blocks):
            self._breach(f"index {index} for block {len(self.blocks)}")
        self._open = index
        self.blocks.append({**block, "_json": ""})

    def _delta(self, index: int, delta: Mapping[str, Any]) -> None:
        if index != self._open or not self.blocks:
            self._breach(f"a delta for block {index}, which is not the open one")
            return
        block, kind = self.blocks[-1], delta["type"]
        if block["type"] not in _DELTA_FITS.get(kind, set()):
            self._breach(f"{kind} in a {block['type']} block")
        elif kind == "text_delta":
            block["text"] += delta["text"]
        elif kind == "thinking_delta":
            block["thinking"] += delta["thinking"]
        elif kind == "input_json_delta":
            block["_json"] += delta["partial_json"]

    def _stop(self, index: int) -> None:
        if index != self._open:
            self._breach(f"a stop for block {index}, which is not the open one")
            return
        self._open = None
        block = self.blocks[-1]
        written = block.pop("_json")
        if not written:
            return
        try:
            block["input"] = json.loads(written)
        except ValueError:
            block["input"] = written
        if not isinstance(block["input"], dict):
            self._breach(f"the input of {block['name']} is not a JSON object")

    def _end(self, event: Mapping[str, Any]) -> None:
        if self._open is not None:
            self._breach(f"message_delta while block {self._open} is open")
        self.stop_reason = event["delta"].get("stop_reason")
        if not self.stop_reason:
            self._breach("message_delta without stop_reason")
        usage = event.get("usage") or {}
        if not isinstance(usage.get("output_tokens"), int):
            self._breach("message_delta without usage")
        self.usage.update(usage)
        self._stage = "after message_delta"


def read(stream: bytes) -> Reading:
    """Read a whole SSE body. Frames that are no frames of the protocol are breaches too; nothing is raised."""
    reading = Reading()
    for frame in stream.decode("utf-8", "replace").replace("\r\n", "\n").split("\n\n"):
        lines = [line for line in frame.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        names = [line[6:].strip() for line in lines if line.startswith("event:")]
        data = "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))
        try:
            event = json.loads(data)
            if names != [event["type"]]:
                reading.faults.append(f"event {names} carries {event['type']}")
            reading.take(event)
        except (ValueError, KeyError, TypeError) as problem:
            reading.faults.append(f"not a frame: {frame[:80]!r} ({type(problem).__name__}: {problem})")
    reading.finish()
    return reading
