"""How facts travel: at once, in order, and never at a request's expense."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock, assert_no_checkpoints, wait_all_tasks_blocked

from engine._bus import EventBus, trace_of
from engine._events import BreakerChanged, EngineEvent, InternalError
from tests.engine.said import A, abandoned, accepted, started, won


def changed(at: float) -> BreakerChanged:
    return BreakerChanged(at=at, candidate=A, before="closed", after="open", reason="r")


async def test_reducers_see_every_event_in_order_and_at_once() -> None:
    """Before `emit` returns, in the order of their registration, without a checkpoint."""
    seen: list[tuple[str, EngineEvent]] = []
    bus = EventBus([lambda event: seen.append(("first", event))])
    bus.add(lambda event: seen.append(("second", event)))
    facts = [accepted(0), started(1), won(2)]
    with assert_no_checkpoints():
        for fact in facts:
            bus.emit(fact)
    assert seen == [(name, fact) for fact in facts for name in ("first", "second")]


def test_what_a_reducer_states_comes_after_its_cause() -> None:
    """All reducers see the cause first, then the consequence, those before the author included."""
    seen: list[EngineEvent] = []

    def breaker(event: EngineEvent) -> Iterator[EngineEvent]:
        if event is cause:
            yield changed(1)
            yield changed(2)

    cause = won(0)
    EventBus([seen.append, breaker, seen.append]).emit(cause)
    assert seen == [cause, cause, changed(1), changed(1), changed(2), changed(2)]


@pytest.mark.parametrize("lazy", [False, True])
def test_a_reducer_that_crashes_costs_nobody_anything(lazy: bool) -> None:
    """The others see the event, `emit` raises nothing, and the fault is stated, with the place and without the data."""
    seen: list[EngineEvent] = []

    def crash(event: EngineEvent) -> Iterator[EngineEvent]:
        yield from ()
        raise ValueError("a prompt of somebody")

    def crash_at_once(event: EngineEvent) -> None:
        raise ValueError("a prompt of somebody")

    bus = EventBus([crash if lazy else crash_at_once, seen.append])
    bus.emit(fact := accepted(3.0, request_id="req_1"))
    first, fault = seen
    assert first is fact
    assert isinstance(fault, InternalError)
    assert (fault.at, fault.request_id) == (3.0, "req_1")
    assert "crash" in fault.where
    assert fault.trace.startswith("ValueError < test_bus.py:")
    assert "prompt" not in repr(fault)


def test_a_trace_holds_places_only() -> None:
    """No message, since it may quote a body."""
    try:
        int("secret")
    except ValueError as error:
        told = trace_of(error)
    assert told.startswith("ValueError < test_bus.py:")
    assert "secret" not in told


async def test_a_subscriber_gets_what_comes_while_it_listens() -> None:
    """In batches, in order; nothing from before or after."""
    bus = EventBus()
    bus.emit(accepted(0))
    async with bus.subscribe() as subscription:
        for at in (1, 2, 3):
            bus.emit(accepted(at))
        assert [event.at for event in await subscription.get()] == [1, 2, 3]
        bus.emit(accepted(4))
        assert [event.at for event in await subscription.get()] == [4]
    bus.emit(accepted(5))
    assert not subscription._queue


async def test_a_subscriber_waits_for_the_next_event(autojump_clock: MockClock) -> None:
    """And is woken by it."""
    bus, got = EventBus(), list[float]()

    async def listen() -> None:
        got.extend(event.at for event in await subscription.get())

    async with bus.subscribe() as subscription:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await wait_all_tasks_blocked()
            assert got == []
            bus.emit(accepted(7))
    assert got == [7]


async def test_a_slow_subscriber_loses_events_and_is_told_how_many() -> None:
    """Its queue is bounded; the oldest stay, and others lose nothing."""
    bus = EventBus()
    async with bus.subscribe(limit=2) as slow, bus.subscribe() as quick:
        with assert_no_checkpoints():
            for at in range(5):
                bus.emit(accepted(at))
        assert ([event.at for event in await slow.get()], slow.lost) == ([0, 1], 3)
        assert (len(await quick.get()), quick.lost) == (5, 0)
        bus.emit(accepted(9))
        assert ([event.at for event in await slow.get()], slow.lost) == ([9], 3)


async def test_subscribers_see_consequences_too() -> None:
    """After the reducers have, and in the same order."""
    bus = EventBus([lambda event: [changed(2)] if isinstance(event, type(abandoned())) else None])
    async with bus.subscribe() as subscription:
        bus.emit(abandoned(1))
        assert [type(event).__name__ for event in await subscription.get()] == ["AttemptEnded", "BreakerChanged"]


async def test_a_subscriber_that_leaves_in_an_error_is_forgotten() -> None:
    """Nothing is queued for somebody who is gone."""
    bus = EventBus()

    async def leave() -> None:
        async with bus.subscribe():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leave()
    assert not bus._subscriptions
