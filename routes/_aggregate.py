"""A stream put together into one JSON message, for clients that asked for no stream. Pure.

Claude Code asks without a stream whenever a stream went wrong, so this is part of every bad day and must lose nothing: an
unknown kind of delta is kept in its block rather than dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from engine import JSON, AttemptError, Failure, Kind, StreamEvent
from policies import FailureKind

#: What one message may amount to, counted in the stream's bytes. The longest answers that models give are below 20 MB.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class Aggregate:
    """Feed it the events of one message; `message` is what they amount to.

    Pieces are kept as they come and joined when their block ends: adding each to the text so far copies that text for
    every token.
    """

    def __init__(self) -> None:
        self._message: JSON = {}
        self._pieces: dict[str, list[str]] = {}  # of the last block, by field
        self._arguments: list[str] = []
        self._bytes = 0

    @property
    def message(self) -> JSON:
        self._join()
        return self._message

    def feed(self, events: Iterable[StreamEvent]) -> None:
        """Take events in. Raises AttemptError where the message grows beyond MAX_MESSAGE_BYTES."""
        for item in events:
            self._bytes += len(item.raw)
            if self._bytes > MAX_MESSAGE_BYTES:
                message = f"more than {MAX_MESSAGE_BYTES >> 20} MiB in one JSON answer; ask for a stream"
                raise AttemptError(Failure(kind=FailureKind.MALFORMED, message=message))
            for payload in item.payloads():
                _FOLDS.get(item.kind, _ignore)(self, payload)

    def _start(self, payload: JSON) -> None:
        self._message = {**payload["message"], "content": []}

    def _block(self, payload: JSON) -> None:
        self._join()
        block = dict(payload["content_block"])
        if isinstance(block.get("citations"), list):
            block["citations"] = list(block["citations"])
        self._message["content"].append(block)
        self._arguments = []

    def _delta(self, payload: JSON) -> None:
        block: JSON = self._message["content"][-1]
        delta: JSON = payload["delta"]
        match delta.get("type"):
            case "input_json_delta":
                self._arguments.append(delta.get("partial_json") or "")
            case "citations_delta":
                if not isinstance(block.get("citations"), list):
                    block["citations"] = []
                block["citations"].append(delta["citation"])
            case _:
                for name, value in delta.items():
                    if name != "type":
                        self._grow(block, name, value)

    def _grow(self, block: JSON, name: str, value: Any) -> None:
        """Text is added to text; anything else takes the place of what was there."""
        known: Any = block.get(name)
        if isinstance(known, str) and isinstance(value, str):
            self._pieces.setdefault(name, [known]).append(value)
        else:
            self._pieces.pop(name, None)
            block[name] = value

    def _join(self) -> None:
        for name, pieces in self._pieces.items():
            self._message["content"][-1][name] = "".join(pieces)
        self._pieces = {}

    def _stop(self, payload: JSON) -> None:
        self._join()
        text = "".join(self._arguments)
        if text:
            self._message["content"][-1]["input"] = orjson.loads(text)
        self._arguments = []

    def _message_delta(self, payload: JSON) -> None:
        self._message |= payload.get("delta") or {}
        usage = {k: v for k, v in (payload.get("usage") or {}).items() if v is not None}
        self._message["usage"] = {**self._message.get("usage", {}), **usage}
        extra = {k: v for k, v in payload.items() if k not in ("type", "delta", "usage")}
        self._message |= extra


def _ignore(aggregate: Aggregate, payload: JSON) -> None:
    """Pings and the end add nothing."""


_FOLDS: dict[Kind, Callable[[Aggregate, JSON], None]] = {
    Kind.MESSAGE_START: Aggregate._start,
    Kind.BLOCK_START: Aggregate._block,
    Kind.DELTAS: Aggregate._delta,
    Kind.BLOCK_STOP: Aggregate._stop,
    Kind.MESSAGE_DELTA: Aggregate._message_delta,
}
