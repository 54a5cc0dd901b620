"""The table: every fault by its name, with what comes of it on each wire."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import get_args

import attrs

from tests.e2e.catalogue.layout import NoSuchPlaceError, cut, laid_out
from tests.e2e.catalogue.odd import ODD, Odd
from tests.e2e.catalogue.outcomes import NotHere, Outcome, Outcomes
from tests.e2e.catalogue.places import ROWS, Row
from tests.e2e.catalogue.telling import MEANS, Telling, Way, broken
from tests.e2e.catalogue.tricks import Script
from tests.e2e.faults import Action
from tests.e2e.wire import Block, Wire, make_message

WIRES: tuple[Wire, ...] = get_args(Wire)


@attrs.frozen
class Fault:
    """One fault: the message that is due, what the socket does instead, and what the client is to see.

    `counts`: against the candidate's health, unless the answer is whole.
    """

    name: str
    what: str
    blocks: tuple[Block, ...]
    script: Script
    outcome: Outcomes
    counts: bool = True
    row: Row | None = None
    told: tuple[Block, ...] | None = None
    spares: frozenset[Wire] = frozenset()
    uncounted: frozenset[Wire] = frozenset()

    def blames(self, wire: Wire) -> bool:
        """Whether it is held against the candidate's health, unless its answer is whole."""
        return self.counts and wire not in self.spares

    def on(self, wire: Wire) -> Outcome | NotHere:
        """What comes of it on this wire, or why there is no such fault."""
        usual, elsewhere = self.outcome
        if self.row is not None and (absent := _absent(self.row.name, wire)) is not None:
            return absent
        return elsewhere.get(wire, usual)


@functools.cache
def _absent(name: str, wire: Wire) -> NotHere | None:
    """Why there is no such place on this wire, if there is none."""
    row = next(row for row in ROWS if row.name == name)
    try:
        cut(laid_out(make_message("1", "any", row.blocks, 1), wire), row.place)
    except NoSuchPlaceError as error:
        return NotHere(str(error))
    return None


def as_json(outcome: Outcome) -> Outcome:
    """The outcome for a request without a stream, of which nothing is seen before it is whole: an unseen restart."""
    return outcome if outcome in (Outcome.WHOLE, Outcome.REFUSED) else Outcome.FALLBACK


def _at(row: Row, way: Way) -> Fault:
    def script(told: Telling) -> Iterator[Action]:
        yield from told.until(row.place)
        yield from broken(told, row.place, way)

    return Fault(
        name=f"{way}-{row.name}",
        what=MEANS[way],
        blocks=row.blocks,
        script=script,
        outcome=row.outcome_of(way),
        row=row,
        uncounted=row.uncounted,
    )


def _odd(odd: Odd) -> Fault:
    return Fault(
        name=odd.name,
        what=odd.what,
        blocks=odd.blocks,
        script=odd.script,
        outcome=odd.outcome,
        counts=odd.counts,
        told=odd.told,
        spares=odd.spares,
        uncounted=frozenset() if odd.counted else frozenset(WIRES),
    )


FAULTS: tuple[Fault, ...] = (*(_at(row, way) for row in ROWS for way in row.tried), *map(_odd, ODD))
