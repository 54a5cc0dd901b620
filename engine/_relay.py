"""What of one attempt's answer may be shown, and when that is enough to make it the winner.

Relaying each event as it comes seems to be all there is to it. But a client that has seen half a tool call has lost it,
and one that has seen a whole one will run it whatever comes after. So tool calls are held until they are whole and their
JSON parses; a chain may say otherwise (`rescue` is `off`), for clients that show a call while it is being written.

Sans-I/O: events in, events out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from engine._calls import Calls
from engine._ledger import BYTES_PER_TOKEN
from engine._stream import JSON, Kind, MalformedEvent, StreamEvent, Usage, event
from policies import CommitPoint

#: A tool call is held in memory until it is whole. Claude Code's largest, a file written in one go, is far below this.
MAX_TOOL_BYTES = 64 * 1024 * 1024

#: Stop reasons with which an answer without any content is still an answer.
_EMPTY_BUT_MEANT = frozenset({"refusal", "stop_sequence", "pause_turn"})
#: Stop reasons that explain a tool call cut off in the middle.
_CUT_BY_LENGTH = frozenset({"max_tokens", "model_context_window_exceeded"})


class Relay:
    """One attempt's message on its way to the client.

    `feed` returns what may be released. The attributes speak of what has been released so far, except `error` and
    `malformed`, which say why nothing more will come.
    """

    def __init__(self, commit_at: CommitPoint = "content", *, live: bool = False, tools: Any = None) -> None:
        self._commit_at = commit_at
        self._live = live  # tool calls are shown as they come
        self.calls = Calls(tools)
        self.started = False
        self.content = False
        self.finished = False
        self.stop_reason: str | None = None
        self.error: JSON | None = None
        self.malformed = ""
        self._usage: list[JSON | None] = []
        self._estimated = False
        self._open: tuple[int, str] | None = None  # index and type of the block being filled upstream
        self._blocks: list[str] = []  # types of the finished blocks
        self._tool: list[StreamEvent] = []  # the held tool call
        self._tool_bytes = 0
        self._broken_tool = False
        self._filling = False
        self._calling = False
        self._made_bytes = 0  # of text, thinking and arguments that have come, shown or held

    @property
    def producing(self) -> bool:
        """Whether the provider has begun to produce: content was released, or the arguments of a held call are coming.

        That is not `content`: a held call may still come to nothing. But a provider that is at work on one is not slow.
        """
        return self.content or self._filling

    @property
    def usage(self) -> Usage:
        return Usage.of(*self._usage, estimated=self._estimated)

    @property
    def made(self) -> int:
        """What has come of the answer, in tokens, by its bytes: for want of the provider's count."""
        return -(-self._made_bytes // BYTES_PER_TOKEN)

    @property
    def committable(self) -> bool:
        """Whether enough has been released to make this attempt the winner."""
        if self.finished:
            return self.content or self.stop_reason in _EMPTY_BUT_MEANT
        match self._commit_at:
            case "content":
                return self.content
            case "block":
                return bool(self._blocks) and self.content
            case "tool":
                return "tool_use" in self._blocks
            case "message":
                return False

    @property
    def holding(self) -> bool:
        """Whether a tool call is being held back."""
        return bool(self._tool)

    @property
    def calling(self) -> bool:
        """Whether a call was begun, here or behind a dialect that holds it back itself, as far as can be told."""
        return self._calling or self._broken_tool or bool(self._tool)

    def feed(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """What may be shown after these events. Once `error` or `malformed` is set, nothing."""
        out: list[StreamEvent] = []
        for item in events:
            if self.error is not None or self.malformed or self.finished:
                break
            if self._tool and item.kind in _OF_A_BLOCK:
                try:
                    self._hold(item, out)
                except MalformedEvent as error:
                    self.malformed = f"{error} in a tool call"
            else:
                _HANDLERS[item.kind](self, item, out)
        return out

    # One handler per kind of event.

    def _message_start(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        self.started = True
        self._usage.append(item.payload.get("message", {}).get("usage"))
        self._estimated = item.estimated
        out.append(item)

    def _block_start(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        if self._broken_tool:
            self._not_json()
            return
        index, kind = item.payload["index"], item.payload["content_block"].get("type", "")
        self._open = (index, kind)
        if kind == "tool_use" and not self._live:
            self._tool, self._tool_bytes = [item], item.size
            return
        self.content |= item.content
        out.append(item)

    def _deltas(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        self._made_bytes += _text_bytes(item)
        self.content |= item.content
        if not self.content and self._open is not None and self._open[1] == "tool_use":
            self.content = bool(_partial_json([item]))
        out.append(item)

    def _block_stop(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        if self._open is not None:
            self._blocks.append(self._open[1])
            self.content |= self._open[1] == "tool_use"
        self._open = None
        out.append(item)

    def _message_delta(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        self.stop_reason = item.payload.get("delta", {}).get("stop_reason")
        usage = item.payload.get("usage")
        self._usage.append(usage)
        # A count of the answer alone leaves an estimate of the prompt an estimate.
        counted = isinstance(usage, dict) and bool(usage.get("input_tokens"))
        self._estimated = item.estimated or (self._estimated and not counted)
        if self._broken_tool and self.stop_reason not in _CUT_BY_LENGTH:
            self._not_json()
            return
        out.append(item)

    def _message_stop(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        self.finished = True
        out.append(item)

    def _ping(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        """Pings are the reply's own affair: it knows when the client was last written to."""

    def _progress(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        self._filling |= item.payload.get("producing", True)
        self._calling |= item.payload.get("calling", False)

    def _error(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        self.error = item.payload.get("error") or {}

    def _other(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        if self.started and not self._tool:
            out.append(item)

    # A held tool call.

    def _hold(self, item: StreamEvent, out: list[StreamEvent]) -> None:
        self._tool.append(item)
        self._tool_bytes += item.size
        self._made_bytes += _text_bytes(item)
        if self._tool_bytes > MAX_TOOL_BYTES:
            self.malformed = f"a tool call of more than {MAX_TOOL_BYTES >> 20} MiB"
            return
        if not self._filling and item.kind is Kind.DELTAS:
            self._filling = bool(_partial_json([item]))
        if item.kind is not Kind.BLOCK_STOP:
            return
        held, self._tool, self._open = self._tool, [], None
        arguments = _arguments(held)
        if arguments is None:
            # Cut off by its length limit it is a half call and goes no further; the stop reason decides.
            self._broken_tool = True
            return
        self.calls.came(held[0].payload["content_block"].get("name"), arguments)
        self._blocks.append("tool_use")
        self.content = True
        out += held

    def _not_json(self) -> None:
        self.malformed = "the arguments of a tool call are not JSON"
        self.calls.broke()


_OF_A_BLOCK = frozenset({Kind.DELTAS, Kind.BLOCK_STOP})
_HANDLERS = {
    Kind.MESSAGE_START: Relay._message_start,
    Kind.BLOCK_START: Relay._block_start,
    Kind.DELTAS: Relay._deltas,
    Kind.BLOCK_STOP: Relay._block_stop,
    Kind.MESSAGE_DELTA: Relay._message_delta,
    Kind.MESSAGE_STOP: Relay._message_stop,
    Kind.PING: Relay._ping,
    Kind.PROGRESS: Relay._progress,
    Kind.ERROR: Relay._error,
    Kind.OTHER: Relay._other,
}


#: The bytes of a delta's frame around its text.
_FRAME = len(event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}}).raw)


def _text_bytes(item: StreamEvent) -> int:
    """About how many bytes of text a run of deltas holds; nobody looks into it for that."""
    if item.kind is not Kind.DELTAS:
        return 0
    return max(0, len(item.raw) - _FRAME * item.raw.count(b"\ndata:"))


def _arguments(held: list[StreamEvent]) -> JSON | None:
    """A held tool call's input as an object, or None where it is not one."""
    text = _partial_json(held)
    if not text:
        given = held[0].payload["content_block"].get("input") or {}
        return given if isinstance(given, dict) else None
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _partial_json(held: Iterable[StreamEvent]) -> str:
    """What the deltas among these events say of a tool call's arguments, joined."""
    deltas = (payload["delta"] for item in held if item.kind is Kind.DELTAS for payload in item.payloads())
    return "".join(delta.get("partial_json") or "" for delta in deltas)
