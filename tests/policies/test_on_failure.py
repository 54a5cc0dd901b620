"""Another row for the verdict table."""

from __future__ import annotations

from typing import Any

import pytest

from policies import FAILURES, VERDICTS, CommitAt, FailureKind, Next, OnFailure, Outcome, PolicyError, effective
from tests.policies.builders import planned


def test_every_failure_of_an_attempt_has_a_name_in_small_letters_and_hyphens() -> None:
    """As it is told everywhere else, so that a person can write what was read. The turn's own deadline has no next."""
    assert set(FAILURES.values()) == set(FailureKind) - {FailureKind.DEADLINE}
    assert all(name.replace("-", "").isalpha() and name.islower() for name in FAILURES)
    assert FAILURES["server-error"] is FailureKind.SERVER
    assert FAILURES["max-tokens-too-high"] is FailureKind.CAP


def test_a_row_replaces_what_it_says_and_leaves_the_rest() -> None:
    """A 429 that stops still rests its scope, and may still go on with the next key."""
    usual = VERDICTS[FailureKind.RATE_LIMITED]
    row = OnFailure(of="rate-limited", next="stop").row()
    assert (row.next, row.counts, row.rests, row.again) == (Next.STOP, usual.counts, usual.rests, usual.again)
    row = OnFailure(of="rate-limited", counts=False, again=False).row()
    assert (row.next, row.again) == (Next.NEXT, "nothing")
    assert not row.blames(unlimited=True)
    assert OnFailure(of="rate-limited", counts=True).row().blames(unlimited=False)
    assert OnFailure(of="bad-request", next="bigger-window").row().next is Next.BIGGER


def test_the_plan_carries_the_rows_in_one_order_whichever_way_they_were_written() -> None:
    """And says for every kind what it means."""
    rows = (OnFailure(of="server-error", next="stop"), OnFailure(of="bad-request", next="next"), CommitAt(at="tool"))
    outcome = planned(*rows).outcome
    assert outcome == planned(*reversed(rows)).outcome
    assert outcome.commit_at == "tool"
    assert outcome.verdict(FailureKind.SERVER).next is Next.STOP
    assert outcome.verdict(FailureKind.CLIENT).next is Next.NEXT
    assert outcome.verdict(FailureKind.CONNECT) is VERDICTS[FailureKind.CONNECT]
    assert Outcome().verdict(FailureKind.CLIENT) is VERDICTS[FailureKind.CLIENT]


def test_two_rows_for_one_failure_are_a_mistake() -> None:
    """Whichever held would be a surprise to whoever wrote the other."""
    effective([OnFailure(of="server-error", next="stop"), OnFailure(of="overloaded", next="stop")])
    with pytest.raises(PolicyError, match="a chain has at most one row for 'server-error'"):
        effective([OnFailure(of="server-error", next="stop"), OnFailure(of="server-error", counts=False)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"of": "server error", "next": "stop"},
            r"unknown kind of failure 'server error' \(did you mean 'server-error'",
        ),
        (
            {"of": "xyzzy", "next": "stop"},
            "unknown kind of failure 'xyzzy'; available: connect, reset, .*internal-error",
        ),
        ({"of": "deadline-of-the-turn", "next": "stop"}, "unknown kind of failure 'deadline-of-the-turn'"),
        ({"of": "connect", "next": "halt"}, "expected next, bigger-window, stop, got 'halt'"),
        ({"of": "connect"}, "says nothing: give next, counts or again"),
    ],
)
def test_a_row_that_means_nothing_is_refused(arguments: dict[str, Any], message: str) -> None:
    """With what is allowed."""
    with pytest.raises(PolicyError, match=message):
        OnFailure(**arguments)
