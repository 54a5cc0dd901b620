"""How facts travel: reducers in order and at once, subscribers behind bounded queues.

A plain list of callbacks lets one slow or broken observer hold up a request. Here `emit` has no checkpoint and raises
nothing: a reducer is a pure fold that runs in the emitting task; a subscriber gets a bounded queue and is told how many
events it lost. With no subscriber the cost is a few function calls.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import attrs
import trio

from engine._events import EngineEvent, InternalError

Reducer = Callable[[EngineEvent], Iterable[EngineEvent] | None]


@attrs.define(eq=False)
class Subscription:
    """One subscriber's queue. `lost` counts the events that did not fit."""

    limit: int
    lost: int = 0
    _queue: deque[EngineEvent] = attrs.field(factory=deque)
    _ready: trio.Event = attrs.field(factory=trio.Event)

    def put(self, event: EngineEvent) -> None:
        if len(self._queue) >= self.limit:
            self.lost += 1
            return
        self._queue.append(event)
        self._ready.set()

    async def get(self) -> list[EngineEvent]:
        """Everything that has arrived since the last call; waits for at least one event."""
        while not self._queue:
            self._ready = trio.Event()
            await self._ready.wait()
        batch = list(self._queue)
        self._queue.clear()
        return batch


class EventBus:
    """Reducers see every event first, in the order of registration; what they return is emitted after it."""

    def __init__(self, reducers: Iterable[Reducer] = ()) -> None:
        self._reducers = list(reducers)
        self._subscriptions: set[Subscription] = set()

    def add(self, reducer: Reducer) -> None:
        self._reducers.append(reducer)

    def emit(self, event: EngineEvent) -> None:
        """State a fact. Synchronous, no checkpoint; an observer's fault is stated as a fact of its own."""
        queue = deque((event,))
        while queue:
            fact = queue.popleft()
            for reducer in self._reducers:
                try:
                    queue.extend(reducer(fact) or ())
                except Exception as error:
                    if not isinstance(fact, InternalError):
                        where = getattr(reducer, "__qualname__", type(reducer).__name__)
                        queue.append(
                            InternalError(at=fact.at, request_id=fact.request_id, where=where, trace=trace_of(error))
                        )
            for subscription in self._subscriptions:
                subscription.put(fact)

    @asynccontextmanager
    async def subscribe(self, limit: int = 1000) -> AsyncIterator[Subscription]:
        """A queue of at most `limit` events, filled from now until the block is left."""
        subscription = Subscription(limit)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)


def trace_of(error: BaseException) -> str:
    """Where an exception came from: type and code positions. Its message is left out, since it may quote a body."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(
        [type(error).__name__, *(f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}" for f in reversed(frames[-6:]))]
    )
