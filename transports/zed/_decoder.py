"""The answer's envelope taken off: lines of JSON, each an event of the vendor's or news of the host's own.

A line is `{"event": ...}` or `{"status": ...}` where the host has understood that we know both, and the bare event where it
has not. The vendor's decoder reads an event stream, so each event is framed as one for it.
"""

from __future__ import annotations

from typing import Any

import orjson

from engine import JSON, StreamEvent, error_event
from transports._anthropic import StreamError
from transports._dialect import Decoder
from transports.ollama._lines import Lines
from transports.translate._texts import well_written, word

LINES = "application/x-ndjson"


class ZedDecoder:
    """`inner` reads the vendor's events; `named_events` says that its frames name them."""

    def __init__(self, inner: Decoder, *, named_events: bool) -> None:
        self._inner = inner
        self._named = named_events
        self._lines = Lines()
        self._over = False  # the host has said that its stream is over, or that it has failed

    @property
    def complete(self) -> bool:
        return self._inner.complete

    @property
    def ended(self) -> bool:
        return self._over or self._inner.ended

    @property
    def settled(self) -> bool:
        return self._over or self._inner.settled

    @property
    def began(self) -> bool:
        return self._inner.began

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes. Raises StreamError, SSEError."""
        return self._read(self._lines.feed(chunk))

    def finish(self) -> list[StreamEvent]:
        """The stream is over. A line that was cut behind the end of the answer is none."""
        rest = self._lines.finish()
        try:
            out = self._read([rest] if rest else [])
        except StreamError:
            if not self._inner.ended:
                raise
            out = []
        return out if self._failed(out) else out + self._inner.finish()

    def whole(self, message: JSON) -> list[StreamEvent]:
        """A JSON answer, given where a stream was asked for."""
        inside = message.get("event")
        return self._inner.whole(inside if isinstance(inside, dict) else message)

    @staticmethod
    def _failed(events: list[StreamEvent]) -> bool:
        return bool(events) and events[-1].payload.get("type") == "error"

    def _read(self, lines: list[bytes]) -> list[StreamEvent]:
        out: list[StreamEvent] = []
        frames: list[bytes] = []
        for line in lines:
            if self._over:
                break
            told = _parsed(line)
            if "status" in told and "event" not in told and "type" not in told:
                if (error := self._status(told["status"])) is not None:
                    self._over = True
                    return [*out, *self._inner.feed(b"".join(frames)), error]
                continue
            frames.append(self._framed(told.get("event", told)))
        return out + self._inner.feed(b"".join(frames)) if frames else out

    def _framed(self, event: Any) -> bytes:
        if not isinstance(event, dict):
            raise StreamError("an event that is not an object")
        try:
            data = orjson.dumps(event)
        except orjson.JSONEncodeError:
            raise StreamError("an event nested too deeply") from None
        kind = event.get("type")
        if self._named and isinstance(kind, str) and kind.isascii() and kind.replace("_", "").isalpha():
            return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)
        return b"data: %s\n\n" % data

    def _status(self, status: Any) -> StreamEvent | None:
        """The error that a status stands for; the queue, the start and the end are news that nobody acts on."""
        if status == "stream_ended":
            self._over = True
        failed = status.get("failed") if isinstance(status, dict) else None
        if failed is None:
            return None
        failed = failed if isinstance(failed, dict) else {"message": word(failed)}
        words = [word for word in (failed.get("code"), failed.get("message")) if isinstance(word, str)]
        told = error_event("api_error", ": ".join(words) or "the host has failed")
        upstream = {"message": ": ".join(words), "code": failed.get("code"), "retry_after": failed.get("retry_after")}
        if well_written(upstream) is None:
            upstream = {"message": ": ".join(words)}
        return StreamEvent(told.kind, told.raw, {**told.payload, "upstream": upstream})


def _parsed(line: bytes) -> JSON:
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise StreamError("a line that is not JSON") from None
    if not isinstance(told, dict):
        raise StreamError("a line that is not an object")
    return told
