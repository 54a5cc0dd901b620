"""Whose turn it is among those who wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine._line import Line


def serve(line: Line[str], names: dict[str, tuple[str, int]]) -> str:
    """Serve the next, and say who it was."""
    who = next(line.in_turn())
    line.remove(*names[who], served=True)
    return who


def test_sessions_take_turns_and_each_is_served_in_order() -> None:
    """A swarm of three that came first, and two who came after it, one request each."""
    line, names = Line[str](), {}
    for ticket, (session, who) in enumerate([("x", "x1"), ("x", "x2"), ("x", "x3"), ("y", "y1"), ("z", "z1")]):
        line.add(session, ticket, who)
        names[who] = (session, ticket)
    assert list(line.in_turn()) == ["x1", "y1", "z1", "x2", "x3"]
    assert [serve(line, names) for _ in range(5)] == ["x1", "y1", "z1", "x2", "x3"]
    assert (len(line), bool(line)) == (0, False)


def test_who_comes_back_has_the_place_he_had() -> None:
    """A ticket is older than those drawn after it."""
    line = Line[str]()
    line.add("x", 2, "late")
    line.add("x", 1, "early")
    assert list(line.in_turn()) == ["early", "late"]


def test_leaving_is_no_turn() -> None:
    """Who gave up has cost his session nothing."""
    line = Line[str]()
    for ticket, (session, who) in enumerate([("x", "x1"), ("x", "x2"), ("y", "y1")]):
        line.add(session, ticket, who)
    line.remove("x", 0)
    assert list(line.in_turn()) == ["x2", "y1"]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 6)), min_size=1, max_size=40))
def test_between_two_that_wait_the_numbers_of_those_served_differ_by_at_most_one(steps: list[tuple[str, int]]) -> None:
    """Over any time in which both have somebody waiting, whoever joins, leaves or is served meanwhile."""
    line, tickets, waiting = Line[str](), 0, dict[str, list[int]]()
    served: dict[tuple[str, str], dict[str, int]] = {}
    for session, what in steps:
        if what < 3:
            line.add(session, tickets, session)
            waiting.setdefault(session, []).append(tickets)
            tickets += 1
        elif what == 3 and waiting.get(session):
            line.remove(session, waiting[session].pop())
        elif line:
            who = next(line.in_turn())
            line.remove(who, waiting[who].pop(0), served=True)
            for pair, counts in served.items():
                if who in pair:
                    counts[who] += 1
        both = {(a, b) for a in "xyz" for b in "xyz" if a < b and waiting.get(a) and waiting.get(b)}
        for pair, counts in list(served.items()):
            assert abs(counts[pair[0]] - counts[pair[1]]) <= 1
        served = {pair: served.get(pair, dict.fromkeys(pair, 0)) for pair in both}
        assert len(line) == sum(map(len, waiting.values()))
