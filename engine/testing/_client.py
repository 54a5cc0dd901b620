"""A client that notes all, and objects to misuse.

A list of what was sent shows neither when it was taken nor that two wrote at once. This one keeps times, can be a slow
reader, and holds its port to the letter: one writer at a time, one ending, nothing after it.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

from engine._ports import Refusal, Winner
from engine._stream import Kind, StreamEvent


class Misuse(AssertionError):
    """A reply was used as its port forbids."""


@attrs.define(eq=False)
class RecordingReply:
    """A client. Without `stream` it asked for one JSON object, and sees nothing before that is whole.

    A write takes `write_s` seconds, and while `taking` is an event that is not set it takes for ever: a slow reader.
    `writes` are (time, events); `ending` is "finish", "refuse" or "reset", with its time. An ending stands here once it
    was taken, so that one which was cancelled while the client was busy counts as not given.
    """

    stream: bool = True
    write_s: float = 0.0
    taking: trio.Event | None = None
    visible: bool = False
    winners: list[Winner] = attrs.field(factory=list)
    writes: list[tuple[float, list[StreamEvent]]] = attrs.field(factory=list)
    ending: str = ""
    ended_at: float | None = None
    refusal: Refusal | None = None
    discards: int = 0
    misuse: list[str] = attrs.field(factory=list)
    _busy: bool = False

    @property
    def events(self) -> list[StreamEvent]:
        """All that was taken."""
        return [item for _, events in self.writes for item in events]

    @property
    def said(self) -> str:
        """The text and thinking that was taken, joined."""
        deltas = [p["delta"] for e in self.events if e.kind is Kind.DELTAS for p in e.payloads()]
        return "".join(delta.get("text") or delta.get("thinking") or "" for delta in deltas)

    async def begin(self, winner: Winner) -> None:
        self._allow("begin")
        self.winners.append(winner)

    async def send(self, events: Sequence[StreamEvent]) -> None:
        self._allow("send")
        if not self.winners:
            self._object("send before begin")
        if not self.stream:
            self.writes.append((trio.current_time(), list(events)))
            return
        self.visible = True
        await self._write(events=list(events))

    async def finish(self) -> None:
        self._allow("finish")
        await self._write(ending="finish")

    async def refuse(self, refusal: Refusal) -> None:
        self._allow("refuse")
        self.refusal = refusal
        await self._write(ending="refuse")

    async def reset(self) -> None:
        self._allow("reset")
        if not self.stream:
            self._object("reset of an answer that was never shown")
        self.ending, self.ended_at = "reset", trio.current_time()

    def discard(self) -> None:
        self._allow("discard")
        if self.visible:
            self._object("discard of what the client has seen")
        self.discards += 1
        self.writes.clear()

    async def _write(self, *, events: list[StreamEvent] | None = None, ending: str = "") -> None:
        self._busy = True
        try:
            await trio.lowlevel.checkpoint()
            if events is not None:
                self.writes.append((trio.current_time(), events))
            if self.write_s:
                await trio.sleep(self.write_s)
            if self.taking is not None:
                await self.taking.wait()
            if ending:
                self.ending, self.ended_at = ending, trio.current_time()
        finally:
            self._busy = False

    def _allow(self, what: str) -> None:
        if self.ending:
            self._object(f"{what} after {self.ending}")
        if self._busy:
            self._object(f"{what} while another write is under way")

    def _object(self, text: str) -> None:
        self.misuse.append(text)
        raise Misuse(text)
