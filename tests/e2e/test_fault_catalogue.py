"""Every fault of the catalogue, on every wire, over real sockets: the documented outcome, each time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from tests.e2e.catalogue.checks import Found, breaches, looks_whole
from tests.e2e.catalogue.outcomes import Outcome
from tests.e2e.catalogue.seen import Seen, take_turn
from tests.e2e.catalogue.stage import Case, Mode, Stage, clock, on_stage
from tests.e2e.catalogue.table import FAULTS, WIRES, as_json
from tests.e2e.wire import Wire

pytestmark = pytest.mark.long

#: Turns at the same time. They begin at the same moment of a clock that stands still while anybody works, so their pings
#: and deadlines fall together, and each is one jump for all of them.
AT_ONCE = 150


@pytest.fixture
def passing() -> MockClock:
    """The clock of the tests that ask for it by name: so pytest-trio has it."""
    return clock()


Check = Callable[[Stage, Case, Seen], Awaitable[list[str]]]


async def played(stage: Stage, cases: list[Case], check: Check = breaches) -> Found:
    """Run all of these, and say what was wrong."""
    wrong: dict[str, list[str]] = {}

    async def play(case: Case) -> None:
        seen = await take_turn(stage.proxy.port, case)
        if found := await check(stage, case, seen):
            wrong[str(case)] = found

    for first in range(0, len(cases), AT_ONCE):
        async with trio.open_nursery() as nursery:
            for case in cases[first : first + AT_ONCE]:
                nursery.start_soon(play, case)
    return Found(len(cases), wrong)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("wire", WIRES)
async def test_every_fault_ends_as_the_table_says(wire: Wire, stream: bool, passing: MockClock) -> None:
    """As a stream: what the table says. As JSON: an unseen restart."""
    async with on_stage(wire, wire) as stage:
        cases = [
            stage.add(fault, wire, outcome if stream else as_json(outcome), stream=stream)
            for fault in FAULTS
            if isinstance(outcome := fault.on(wire), Outcome)
        ]
        found = await played(stage, cases)
    assert cases
    assert not found.wrong, str(found)


#: Breaks of a text, each in another state of it.
TEXT_BREAKS = tuple(
    fault
    for fault in FAULTS
    if fault.name
    in (
        "reset-in-text",
        "end-behind-the-first-word",
        "overloaded-in-text-after-thinking",
        "junk-behind-the-last-word",
        "cut-before-a-call",
        "half-frame-in-a-call-after-text",
    )
)
MODES: tuple[Mode, ...] = ("exact", "repeats", "restarts", "thinks", "refuses", "calls")


@pytest.mark.parametrize("second", WIRES)
@pytest.mark.parametrize("first", ["anthropic", "openai-chat"])
async def test_a_text_goes_on_however_the_next_one_does_it(first: Wire, second: Wire, passing: MockClock) -> None:
    """From one wire to another: exactly, with words repeated, from the beginning, thinking first, with a call behind it."""
    async with on_stage(first, second) as stage:
        cases = [
            stage.add(fault, first, outcome, mode=mode, second=second)
            for fault in TEXT_BREAKS
            for mode in MODES
            if isinstance(outcome := fault.on(first), Outcome)
        ]
        found = await played(stage, cases)
    assert cases
    assert not found.wrong, str(found)


async def _honest(stage: Stage, case: Case, seen: Seen) -> list[str]:
    return list(looks_whole(case, seen))


@pytest.mark.parametrize("wire", WIRES)
async def test_with_nobody_behind_no_break_looks_whole(wire: Wire, passing: MockClock) -> None:
    """Whatever breaks, and though the only one who could go on says that the text is over."""
    async with on_stage(wire, wire, alone=True) as alone, on_stage(wire, wire) as silent:
        for stage, mode in ((alone, "exact"), (silent, "silent")):
            faults = FAULTS if stage is alone else [f for f in FAULTS if f.name.endswith(("-in-text", "-first-word"))]
            broken = [fault for fault in faults if fault.on(wire) not in (Outcome.WHOLE,)]
            cases = [
                stage.add(fault, wire, outcome, mode=mode)
                for fault in broken
                if isinstance(outcome := fault.on(wire), Outcome)
            ]
            found = await played(stage, cases, _honest)
            assert cases
            assert not found.wrong, str(found)
