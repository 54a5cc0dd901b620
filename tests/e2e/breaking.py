"""A scripted provider that breaks as the catalogue says, in conversations of which each answer is another one.

The catalogue's own providers know one message each. This one says what `scripts` say, and breaks wherever the message at
hand is of the fault's form: text and a call, thinking and text. Other messages it tells whole. It cannot know what a client
has seen; a short silence before the break stands for it, which changes nothing where it is too short.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from tests.e2e.catalogue.layout import Place, laid_out
from tests.e2e.catalogue.table import FAULTS, Fault
from tests.e2e.catalogue.telling import Telling
from tests.e2e.exchange import Exchange
from tests.e2e.faults import Action, Pause, Until
from tests.e2e.scripts import answer
from tests.e2e.upstream import Upstream, as_asked
from tests.e2e.wire import Text, make_message

_NAMED = {fault.name: fault for fault in FAULTS}
#: Seconds until what was sent has been seen.
SEEN_S = 0.2


@attrs.define(eq=False)
class Breaking(Upstream):
    """`breaks` names the fault, `times` how often it strikes. `restarts`: a text that was begun is told from its beginning."""

    breaks: str = ""
    times: int = 1_000_000
    restarts: bool = False
    struck: int = 0

    def say(self, exchange: Exchange, size: int) -> Iterator[Action]:
        if exchange.refused:
            return Upstream.say(self, exchange, size)
        blocks = answer(exchange.ask)
        if self.restarts and isinstance(blocks[0], Text) and (begun := exchange.ask.turn().begun):
            blocks = (Text(begun.rstrip() + blocks[0].text), *blocks[1:])
        message = make_message(f"{self.name}{exchange.number}", exchange.model, blocks, size // 4)
        told = Telling(
            message=as_asked(message, exchange),
            wire=exchange.wire,
            pieces=laid_out(as_asked(message, exchange), exchange.wire),
            seen=lambda _text, _calls: Until(_nobody),
            shows_calls=False,
        )
        fault = _NAMED.get(self.breaks)
        if fault is None or not _is_of_form(told, fault) or self.struck >= self.times:
            return told.until(Place("done"))
        self.struck += 1
        return _slowly(fault.script(told))


def _is_of_form(told: Telling, fault: Fault) -> bool:
    return [type(block) for block in told.message.blocks] == [type(block) for block in fault.blocks]


def _slowly(actions: Iterator[Action]) -> Iterator[Action]:
    for action in actions:
        yield Pause(SEEN_S) if isinstance(action, Until) else action


async def _nobody() -> None:
    """Nobody tells."""
