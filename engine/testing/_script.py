"""Providers that follow a script.

The naive fake sleeps and then answers. But a task that sleeps looks at its cancellation when it wakes, so two that sleep to
the same moment never show the faults of racing. A script here can also wait for an event, hang, fail, fail on being left
and be slow to let go. Everything that is opened and closed is noted with its times, in seconds of `trio.current_time()`.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import attrs
import trio

from engine._events import EngineEvent
from engine._failure import AttemptError, Failure
from engine._ports import Ask
from engine._quota import Quota
from engine._stream import StreamEvent


class _Hang(enum.Enum):
    HANG = "hang"


#: An act that never ends.
HANG: Final = _Hang.HANG

Act = float | trio.Event | Sequence[StreamEvent] | Failure | Exception | _Hang


@attrs.frozen
class Script:
    """One exchange: what is done before the head of the answer, then read by read, and on being left.

    An act is a number of seconds to sleep, an event to wait for, the stream events of one read, a `Failure` (raised as
    AttemptError), any other exception (raised as it is: a bug), or HANG. After the last act the stream ends. The acts of
    `leaving` are shielded from cancellation, as bad clean-up is.
    """

    reading: tuple[Act, ...] = ()
    asking: tuple[Act, ...] = ()
    leaving: tuple[Act, ...] = ()


def script(*reading: Act, asking: Iterable[Act] = (), leaving: Iterable[Act] = ()) -> Script:
    """A script, its reads first."""
    return Script(reading, tuple(asking), tuple(leaving))


async def _do(act: Act) -> Sequence[StreamEvent] | None:
    """Do one act; the events where it is a read."""
    match act:
        case trio.Event():
            await act.wait()
        case _Hang():
            await trio.sleep_forever()
        case float() | int():
            await trio.sleep(act)
        case Failure():
            raise AttemptError(act)
        case Exception():
            raise act
        case _:
            return act
    return None


@attrs.define(eq=False)
class Exchange:
    """One exchange as it was had. `answered_at` is None where no head came, `closed_at` while it is open; `reads` are
    the times at which events were handed over."""

    ask: Ask
    opened_at: float
    answered_at: float | None = None
    closed_at: float | None = None
    reads: list[float] = attrs.field(factory=list)
    via: str = "script"
    quota: Quota = ()
    _acts: Iterator[Act] = attrs.field(factory=lambda: iter(()))

    @property
    def provider(self) -> str:
        return self.ask.candidate.provider

    async def read(self) -> list[StreamEvent] | None:
        """The next read. A checkpoint only where the script has not waited: what has arrived is handed over at once."""
        waited = False
        for act in self._acts:
            if not waited and not isinstance(act, float | int | trio.Event | _Hang):
                await trio.lowlevel.checkpoint()
            waited = True
            events = await _do(act)
            if events is not None:
                self.reads.append(trio.current_time())
                return list(events)
        if not waited:
            await trio.lowlevel.checkpoint()
        return None


@attrs.define(eq=False)
class ScriptedTransport:
    """Every provider of a test. `scripts` are by provider id, one per exchange; the last is played again and again."""

    scripts: Mapping[str, Sequence[Script]]
    log: list[EngineEvent | Exchange] = attrs.field(factory=list)
    #: What the head of an answer tells of a provider's limits, by its id.
    told: dict[str, Quota] = attrs.field(factory=dict)

    @property
    def exchanges(self) -> list[Exchange]:
        return [entry for entry in self.log if isinstance(entry, Exchange)]

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[Exchange]:
        scripts = self.scripts[ask.candidate.provider]
        before = sum(exchange.provider == ask.candidate.provider for exchange in self.exchanges)
        played = scripts[min(before, len(scripts) - 1)]
        exchange = Exchange(ask, trio.current_time(), acts=iter(played.reading))
        self.log.append(exchange)
        try:
            await trio.lowlevel.checkpoint()
            for act in played.asking:
                await _do(act)
            exchange.answered_at = trio.current_time()
            exchange.quota = self.told.get(exchange.provider, ())
            yield exchange
        finally:
            try:
                with trio.CancelScope(shield=True):
                    for act in played.leaving:
                        await _do(act)
            finally:
                exchange.closed_at = trio.current_time()
