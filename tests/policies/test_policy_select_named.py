"""Who may be asked at all: by name, by the hour, by what was spent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies import Candidate, During, Except, Facts, Only, PolicyError, Price, SpendCap, View, compose, matches
from tests.policies.builders import ABC, A, B, C, asked, planned, said, view

ONE, TWO = Candidate("zen", "one:free"), Candidate("zen", "org/two[1m]")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("zen", {ONE, TWO}),
        ("zen/one:free", {ONE}),
        ("*:free", {ONE}),
        ("z?n", {ONE, TWO}),
        ("zen/*", {ONE, TWO}),
        ("zen/org/two[1m]", {TWO}),
        ("*[1m]", {TWO}),
        ("*m", {A}),
        ("one:free", set()),
        ("ze", set()),
        ("ZEN", set()),
    ],
)
def test_a_name_means_a_candidate_a_provider_or_a_glob(name: str, meant: set[Candidate]) -> None:
    """Whole and as written; a bracket stands for itself, since models have brackets in their names."""
    assert {c for c in (A, ONE, TWO) if matches(name, c)} == meant


def test_only_and_except_are_each_others_opposite() -> None:
    """And both say why, for good: nobody waits for a candidate that is excluded."""
    assert asked(planned(Only(names=("a", "c/m")))) == "ac"
    assert said(planned(Only(names=("a", "c/m")))) == {"b": ("only", "not one of a, c/m", None)}
    assert asked(planned(Except(names=("a", "c/m")))) == "b"
    assert said(planned(Except(names=("b",)))) == {"b": ("except", "excepted by name", None)}


def test_several_onlys_leave_what_all_of_them_leave() -> None:
    """Selects intersect; so nobody may be left, and the plan says so for each."""
    assert asked(planned(Only(names=("a", "b")), Only(names=("b", "c")))) == "b"
    nobody = planned(Only(names=("a",)), Except(names=("a",)))
    assert asked(nobody) == ""
    assert [skip.by for skip in nobody.skipped] == ["except", "only", "only"]


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("during", "moment", "inside"),
    [
        (During(hours="09:00-18:00"), "2026-11-24T09:00", True),
        (During(hours="09:00-18:00"), "2026-11-24T17:59:59", True),
        (During(hours="09:00-18:00"), "2026-11-24T18:00", False),
        (During(hours="09:00-12:30, 13:30-18:00"), "2026-11-24T12:45", False),
        (During(hours="09:00-12:30,13:30-18:00"), "2026-11-24T13:30", True),
        (During(hours="00:00-24:00"), "2026-11-24T23:59:59", True),
        (During(hours="22:00-06:00"), "2026-11-24T23:00", True),
        (During(hours="22:00-06:00"), "2026-11-24T05:59", True),
        (During(hours="22:00-06:00"), "2026-11-24T06:00", False),
        # Tuesday the 24th. A night belongs to the day on which it begins.
        (During(hours="22:00-06:00", days=("tue",)), "2026-11-24T05:00", False),
        (During(hours="22:00-06:00", days=("tue",)), "2026-11-25T05:00", True),
        (During(hours="22:00-06:00", days=("sun",)), "2026-11-23T05:00", True),
        (During(hours="09:00-18:00", days=("sat", "sun")), "2026-11-24T12:00", False),
        (During(hours="09:00-18:00", zone="+02:00"), "2026-11-24T07:00", True),
        (During(hours="09:00-18:00", zone="-05:30"), "2026-11-24T14:29", False),
        (During(hours="09:00-18:00", days=("wed",), zone="+14:00"), "2026-11-24T20:00", True),
        # An hour ahead in winter, two in summer.
        (During(hours="09:00-18:00", zone="Europe/Berlin"), "2026-11-24T08:00", True),
        (During(hours="09:00-18:00", zone="Europe/Berlin"), "2026-07-24T07:00", True),
        (During(hours="09:00-18:00", zone="Europe/Berlin"), "2026-11-24T07:00", False),
    ],
)
def test_hours_are_those_of_the_view_in_their_zone(during: During, moment: str, inside: bool) -> None:
    """The beginning belongs to a span and its end does not; the clock of this machine has no say."""
    assert during.includes(at(moment)) is inside
    assert asked(compose([during], ABC, View(wall_s=at(moment)))) == ("abc" if inside else "")


def test_outside_its_hours_a_named_candidate_is_out_and_the_others_stay() -> None:
    """And the plan says which hours those are."""
    nights = During(hours="22:00-06:00", days=("fri", "sat"), zone="+01:00", names=("b",))
    plan = compose([nights], ABC, View(wall_s=at("2026-11-24T12:00")))
    assert asked(plan) == "ac"
    assert said(plan) == {"b": ("during", "asked only during 22:00-06:00 on fri, sat (+01:00)", None)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hours": "22-6"}, "expected hours such as '22:00-06:00' or '09:00-12:30, 13:30-18:00', got '22-6'"),
        ({"hours": ""}, "expected hours such as"),
        ({"hours": "09:00-25:00"}, "'09:00-25:00' is no time of a day: from 00:00 to 24:00"),
        ({"hours": "09:60-10:00"}, "'09:60-10:00' is no time of a day"),
        ({"hours": "24:00-06:00"}, "'24:00-06:00' is no time of a day"),
        ({"hours": "06:00-06:00"}, "'06:00-06:00' is no time at all: the whole day is '00:00-24:00'"),
        ({"hours": "09:00-10:00", "days": ("monday",)}, "expected days such as 'mon': mon, tue.*; got 'monday'"),
        (
            {"hours": "09:00-10:00", "zone": "Europe/Berln"},
            "'Europe/Berln' is no time zone this machine knows: expected",
        ),
        ({"hours": "09:00-10:00", "zone": "../../etc/passwd"}, "is no time zone this machine knows"),
        ({"hours": "09:00-10:00", "zone": "Europe"}, "is no time zone this machine knows"),
        ({"hours": "09:00-10:00", "zone": ""}, "is no time zone this machine knows"),
        ({"hours": "09:00-10:00", "zone": "+15:00"}, r"'\+15:00' is no time zone: offsets go to 14 hours"),
    ],
)
def test_hours_days_and_zones_that_mean_nothing_are_refused(arguments: dict[str, object], message: str) -> None:
    """At the start, not at ten in the evening."""
    with pytest.raises(PolicyError, match=message):
        During(**arguments)  # type: ignore[arg-type]


SPENT = {
    A: Facts(spent_usd=(0.5, 2.0, 30.0), price=Price(input=1.0, output=2.0)),
    B: Facts(spent_usd=(0.0, 1.0, 9.0), price=Price(input=1.0, output=2.0)),
    C: Facts(spent_usd=(9.0, 9.0, 9.0), free=True),
}


@pytest.mark.parametrize(
    ("cap", "left"),
    [
        (SpendCap(usd=2), "bc"),
        (SpendCap(usd=2.01), "abc"),
        (SpendCap(usd=0.4, per="hour"), "bc"),
        (SpendCap(usd=9, per="month"), "c"),
        (SpendCap(usd=9, per="month", providers=("b",)), "ac"),
        (SpendCap(usd=2.5, together=True), "c"),
        (SpendCap(usd=12.5, together=True), "abc"),
        (SpendCap(usd=2.5, together=True, providers=("a", "b")), "c"),
        (SpendCap(usd=3.5, together=True, providers=("a", "b")), "abc"),
    ],
)
def test_a_provider_at_its_cap_is_out_until_the_period_is_over(cap: SpendCap, left: str) -> None:
    """Each by itself or all together; what is free goes on, though its provider has sent bills for other models."""
    assert asked(planned(cap, facts=SPENT)) == left


def test_what_was_spent_is_said_with_the_figure() -> None:
    """Both of them: an operator has to decide whether to raise the one or to wait for the other."""
    assert said(planned(SpendCap(usd=2), facts=SPENT)) == {
        "a": ("spend-cap", "2 of 2 USD spent at a this day", None),
    }
    together = said(planned(SpendCap(usd=38, per="month", together=True), facts=SPENT))
    assert together["b"] == ("spend-cap", "48 of 38 USD spent by these providers together this month", None)


def test_a_price_that_nobody_knows_stops_with_its_provider() -> None:
    """It may be the one that costs most. A price of nothing is known."""
    unknown, nothing = Facts(spent_usd=(1.0, 1.0, 1.0)), Facts(spent_usd=(1, 1, 1), price=Price(input=0, output=0))
    assert asked(planned(SpendCap(usd=1), facts={A: unknown, B: nothing})) == "bc"


def test_two_models_of_a_provider_are_spent_once() -> None:
    """What a provider has cost is told with each of its candidates, and is one sum."""
    facts = {c: Facts(spent_usd=(0, 3.0, 0), price=Price(input=1, output=1)) for c in (ONE, TWO, A)}
    cap = SpendCap(usd=6.5, together=True)
    assert compose([cap], (ONE, TWO, A), view(facts)).skipped == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"usd": 0.0}, "expected US dollars above 0 and at most 1000000, got 0"),
        ({"usd": -1.0}, "expected US dollars above 0"),
        ({"usd": 1.0, "per": "week"}, "expected 'hour', 'day' or 'month', got 'week'"),
    ],
)
def test_a_cap_that_caps_nothing_is_refused(arguments: dict[str, object], message: str) -> None:
    """A cap of nothing would mean that nobody is asked: `only` says that better."""
    with pytest.raises(PolicyError, match=message):
        SpendCap(**arguments)  # type: ignore[arg-type]
