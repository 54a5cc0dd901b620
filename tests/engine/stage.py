"""What the engine's timing tests share: a seeded run on a clock that jumps, a reader's view, and short ways to say things."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import trio
from trio.testing import MockClock

from engine._events import RequestFinished
from engine._ports import Busy, Permit, Refusal
from engine._scopes import ScopeBook
from engine._stream import StreamEvent, error_event
from engine.config import Provider
from engine.testing import HANG, Act, RecordingReply, Scenario, Script, failing, provider, tail, text
from policies import FailureKind, Hedge, Policy, Step, Window
from tests.e2e.grammar import Reading

T = TypeVar("T")

#: The ways in which an answer breaks off behind what was read of it.
BROKEN: dict[str, list[Act]] = {
    "reset": [failing(FailureKind.RESET)],
    "cut": [],
    "error event": [[error_event("api_error", "no")]],
    "silence": [HANG],
    "bug": [KeyError("x")],
}


class MakeScenario(Protocol):
    """Makes a scenario whose leftovers are asked for when the test is over. `bugs`: internal errors that are meant."""

    def __call__(
        self,
        scripts: Mapping[str, Script | Sequence[Script]],
        *policies: Policy,
        providers: Mapping[str, Provider] | None = None,
        bugs: int = 0,
    ) -> Scenario: ...


def virtual(
    run: Callable[[], Awaitable[T]], *, seed: int | None = None, instruments: Sequence[trio.abc.Instrument] = ()
) -> T:
    """Run a coroutine function in virtual time. A seed fixes the order in which the tasks of one tick take their turns."""
    core: Any = trio._core._run
    before = core._ALLOW_DETERMINISTIC_SCHEDULING, core._r.getstate()
    if seed is not None:
        core._ALLOW_DETERMINISTIC_SCHEDULING = True
        core._r.seed(seed)
    try:
        return trio.run(run, clock=MockClock(autojump_threshold=0), instruments=instruments)
    finally:
        core._ALLOW_DETERMINISTIC_SCHEDULING = before[0]
        core._r.setstate(before[1])


def unsound(reply: RecordingReply) -> list[str]:
    """What breaks the grammar in what a client read. A message may stop anywhere, unless it was said to be whole."""
    reading = Reading()
    for item in reply.events:
        for payload in item.payloads():
            reading.take(payload)
    if reply.ending == "finish":
        reading.finish()
    return reading.faults


def hedge(after_s: float = 2.0) -> Hedge:
    """A hedge whose budget never runs out."""
    return Hedge(after_s=after_s, extra_load=1.0)


def rest(*pieces: str) -> list[StreamEvent]:
    """The end of a message whose text block is open: more of it, and its end."""
    return [*text(*pieces)[1:], *tail()]


def window(id: str, per_s: float) -> Provider:
    """A provider that takes one request within so many seconds."""
    return provider(id, scope=Window(requests=1, per_s=per_s))


def left(scopes: ScopeBook, id: str, at: float) -> tuple[float, float]:
    """Seconds until a provider has room for a small request, and the share that is left (1 where nothing bounds it)."""
    room = scopes.room(id, 0, at)
    return room.wait_s, room.headroom


async def take(it: Scenario, index: int) -> Permit:
    """A permit for one of the chain's candidates, as another request would hold it."""
    permit = await it.router.gate.acquire(Step(candidate=it.config.chains["coding"].candidates[index]), 0)
    assert not isinstance(permit, Busy)
    return permit


def refusal_of(reply: RecordingReply) -> Refusal:
    """The error that was the answer."""
    assert reply.ending == "refuse"
    assert reply.refusal is not None
    return reply.refusal


def finished(it: Scenario) -> RequestFinished:
    """The end of the one request there was."""
    (found,) = it.events(RequestFinished)
    return found
