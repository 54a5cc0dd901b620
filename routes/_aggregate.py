"""A stream put together into one JSON message, for clients that asked for no stream. Pure.

Claude Code asks without a stream whenever a stream went wrong, so this is part of every bad day and must lose nothing: an
unknown kind of delta is kept in its block rather than dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from engine import JSON, Kind, StreamEvent


class Aggregate:
    """Feed it the events of one message; `message` is what they amount to."""

    def __init__(self) -> None:
        self.message: JSON = {}
        self._arguments: list[str] = []

    def feed(self, events: Iterable[StreamEvent]) -> None:
        for item in events:
            for payload in item.payloads():
                _FOLDS.get(item.kind, _ignore)(self, payload)

    def _start(self, payload: JSON) -> None:
        self.message = {**payload["message"], "content": []}

    def _block(self, payload: JSON) -> None:
        self.message["content"].append(dict(payload["content_block"]))
        self._arguments = []

    def _delta(self, payload: JSON) -> None:
        block: JSON = self.message["content"][-1]
        delta: JSON = payload["delta"]
        match delta.get("type"):
            case "input_json_delta":
                self._arguments.append(delta.get("partial_json") or "")
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), delta["citation"]]
            case _:
                for name, value in delta.items():
                    if name != "type":
                        known: Any = block.get(name)
                        block[name] = known + value if isinstance(known, str) and isinstance(value, str) else value

    def _stop(self, payload: JSON) -> None:
        text = "".join(self._arguments)
        if text:
            self.message["content"][-1]["input"] = orjson.loads(text)
        self._arguments = []

    def _message_delta(self, payload: JSON) -> None:
        self.message |= payload.get("delta") or {}
        usage = {k: v for k, v in (payload.get("usage") or {}).items() if v is not None}
        self.message["usage"] = {**self.message.get("usage", {}), **usage}
        extra = {k: v for k, v in payload.items() if k not in ("type", "delta", "usage")}
        self.message |= extra


def _ignore(aggregate: Aggregate, payload: JSON) -> None:
    """Pings and the end add nothing."""


_FOLDS: dict[Kind, Callable[[Aggregate, JSON], None]] = {
    Kind.MESSAGE_START: Aggregate._start,
    Kind.BLOCK_START: Aggregate._block,
    Kind.DELTAS: Aggregate._delta,
    Kind.BLOCK_STOP: Aggregate._stop,
    Kind.MESSAGE_DELTA: Aggregate._message_delta,
}
