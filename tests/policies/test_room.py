"""Whether there is room for a hedge when it is due."""

from __future__ import annotations

import pytest

from policies import Candidate, Facts, no_room_at, no_room_in
from tests.policies.builders import ABC, A, B, C, view


def slots(used: int, free: int | None, **more: object) -> Facts:
    return Facts(in_flight=used, free_slots=free, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ([slots(8, 2)] * 3, ""),
        ([slots(9, 1), slots(8, 2), slots(8, 2)], "the chain is busy: 25 of 30 slots are taken"),
        ([slots(10, 0), slots(10, 0), slots(0, 10)], ""),
        ([slots(10, 0), slots(10, 0), slots(0, None)], ""),
        ([slots(10, 0), slots(10, 0), slots(0, 10, breaker="open")], "the chain is busy: 20 of 20 slots are taken"),
        ([slots(10, 0), slots(10, 0), slots(0, 10, usable=False)], "the chain is busy: 20 of 20 slots are taken"),
        ([slots(10, 0), slots(10, 0), slots(0, 10, block_wait_s=9.0)], "the chain is busy: 20 of 20 slots are taken"),
        ([slots(0, 0)] * 3, ""),
        ([slots(0, 10, usable=False)] * 3, ""),
    ],
)
def test_a_pool_above_four_fifths_has_none(known: list[Facts], said: str) -> None:
    """Counted over those in service; one without a bound makes the pool boundless."""
    assert no_room_in(ABC, view(dict(zip(ABC, known, strict=True)))) == said


def test_slots_of_one_provider_are_counted_once() -> None:
    """Two of its models share them."""
    other = Candidate("a", "other")
    known = view({A: slots(4, 1), other: slots(5, 1)})
    assert no_room_in((A, other, A), known) == "the chain is busy: 9 of 10 slots are taken"
    assert no_room_in((A, other), view({A: slots(4, 2), other: slots(4, 2)})) == ""


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (slots(0, None), ""),
        (slots(99, None), ""),
        (slots(0, 1), ""),
        (slots(1, 1), "it is busy: 1 of its 2 slots are taken"),
        (slots(3, 2), ""),
        (slots(4, 1), "it is busy: 4 of its 5 slots are taken"),
        (slots(11, 5), ""),
        (slots(12, 4), "it is busy: 12 of its 16 slots are taken"),
        (Facts(pushback_s=11.6), "it asked to be left alone for 12 s more"),
    ],
)
def test_a_target_keeps_a_fifth_of_its_slots_for_first_attempts(facts: Facts, said: str) -> None:
    """Unless it is idle: one slot is room for one hedge. And nobody is hedged to who has asked for quiet."""
    assert no_room_at(B, view({B: facts})) == said


def test_who_nothing_is_known_of_has_room() -> None:
    """As everywhere, it is taken for healthy and idle."""
    assert (no_room_in(ABC, view()), no_room_at(C, view())) == ("", "")
