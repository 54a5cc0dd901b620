"""The verdict table, row by row, against the design's."""

from __future__ import annotations

import pytest

from policies import VERDICTS, FailureKind, Verdict

#: failure: (next, counts against health, in an unlimited scope, what rests, what is worth one more try)
EXPECTED = {
    "connect": ("next step", True, True, "nothing", "nothing"),
    "reset": ("next step", True, True, "nothing", "stale connection"),
    "connect timeout": ("next step", True, True, "nothing", "nothing"),
    "first content timeout": ("next step", True, True, "nothing", "nothing"),
    "idle timeout": ("next step", True, True, "nothing", "nothing"),
    "server error": ("next step", True, True, "nothing", "nothing"),
    "overloaded": ("next step", True, True, "scope", "nothing"),
    "rate limited": ("next step", False, True, "scope", "next key"),
    "out of quota": ("next step", False, False, "key", "next key"),
    "key refused": ("next step", False, False, "key", "next key"),
    "error in the stream": ("next step", True, True, "nothing", "nothing"),
    "empty answer": ("next step", True, True, "nothing", "nothing"),
    "malformed answer": ("next step", True, True, "nothing", "nothing"),
    "prompt too long": ("bigger window", False, False, "nothing", "nothing"),
    "no room for the answer": ("bigger window", False, False, "nothing", "lowered cap"),
    "max_tokens too high": ("next step", False, False, "nothing", "lowered cap"),
    "field not supported": ("next step", False, False, "nothing", "without the field"),
    "refused by a filter": ("next step", False, False, "nothing", "nothing"),
    "bad request": ("stop", False, False, "nothing", "nothing"),
    "model not found": ("next step", False, False, "candidate", "nothing"),
    "deadline of the turn": ("stop", False, False, "nothing", "nothing"),
    "internal error": ("next step", False, False, "nothing", "nothing"),
}

_NEXT = {"NEXT": "next step", "BIGGER": "bigger window", "STOP": "stop"}


def row(verdict: Verdict) -> tuple[str, bool, bool, str, str]:
    """A verdict in the words of the table above."""
    blame = [verdict.blames(unlimited=unlimited) for unlimited in (False, True)]
    return (_NEXT[verdict.next.name], blame[0], blame[1], verdict.rests, verdict.again)


def test_every_failure_has_a_row() -> None:
    """A kind without a verdict would be found out in the middle of a turn."""
    assert set(VERDICTS) == set(FailureKind)
    assert {kind.value for kind in FailureKind} == set(EXPECTED)


@pytest.mark.parametrize("kind", FailureKind, ids=lambda kind: kind.value)
def test_a_failure_means_what_the_design_says(kind: FailureKind) -> None:
    """What happens next, who is blamed, what rests, and what is tried once more."""
    assert row(VERDICTS[kind]) == EXPECTED[kind.value]


def test_a_clients_mistake_is_nobodys_failure() -> None:
    """Whatever ends the request for its own sake costs no candidate its health, in no scope."""
    stops = [verdict for verdict in VERDICTS.values() if _NEXT[verdict.next.name] == "stop"]
    assert stops
    assert not any(verdict.blames(unlimited=unlimited) for verdict in stops for unlimited in (False, True))


def test_a_429_counts_only_where_nothing_limits() -> None:
    """In a limited scope it is the limit at work; in an unlimited one it is all that health has to go by."""
    differing = {kind for kind, v in VERDICTS.items() if v.blames(unlimited=True) != v.blames(unlimited=False)}
    assert differing == {FailureKind.RATE_LIMITED}


def test_verdicts_are_values() -> None:
    """Equal rows are one row."""
    assert len({Verdict(), Verdict()}) == 1
