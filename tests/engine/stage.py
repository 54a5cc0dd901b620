"""What the engine's timing tests share: the types of their fixtures, a seeded run on a clock that jumps, a reader's view."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import trio
from trio.testing import MockClock

from engine.config import Provider
from engine.testing import RecordingReply, Scenario, Script
from policies import Policy
from tests.e2e.grammar import Reading

T = TypeVar("T")


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
    before = core._ALLOW_DETERMINISTIC_SCHEDULING
    if seed is not None:
        core._ALLOW_DETERMINISTIC_SCHEDULING = True
        core._r.seed(seed)
    try:
        return trio.run(run, clock=MockClock(autojump_threshold=0), instruments=instruments)
    finally:
        core._ALLOW_DETERMINISTIC_SCHEDULING = before


def unsound(reply: RecordingReply) -> list[str]:
    """What breaks the grammar in what a client read. A message may stop anywhere, unless it was said to be whole."""
    reading = Reading()
    for item in reply.events:
        for payload in item.payloads():
            reading.take(payload)
    if reply.ending == "finish":
        reading.finish()
    return reading.faults
