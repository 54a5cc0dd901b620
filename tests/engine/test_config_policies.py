"""The arguments of the select and order policies, as they stand in a file: what is taken, and what a mistake is told."""

from __future__ import annotations

import pytest

from engine._names import resolve
from engine.config import Config, ConfigError, load
from policies import Policy, View, Weighted, compose, to_toml
from tests.engine.catalogues import small

CATALOGUE = small()


def loaded(policy: str, candidates: str = '"paid/x", "free/y"') -> Config:
    """A chain with this policy on the fourth line of its file."""
    text = f"[chains.c]\ncandidates = [{candidates}]\npolicies = [\n  {policy},\n]\n"
    return load(text, file="c.toml", catalogue=CATALOGUE, environ={})


def policy(text: str, candidates: str = '"paid/x", "free/y"') -> Policy:
    """The policy that a text stands for."""
    (made,) = loaded(text, candidates).chains["c"].policies
    return made


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ('{ kind = "only", names = ["dear", "free/y"] }', '{ kind = "only", names = ["paid", "free/y"] }'),
        ('{ kind = "except", names = ["*/x", "dear/*"] }', '{ kind = "except", names = ["*/x", "paid/*"] }'),
        (
            '{ kind = "during", hours = "22:00-06:00", zone = "Europe/Berlin", days = ["fri"], names = ["dear/x"] }',
            '{ kind = "during", hours = "22:00-06:00", days = ["fri"], zone = "Europe/Berlin", names = ["paid/x"] }',
        ),
        (
            '{ kind = "spend-cap", usd = 5, providers = ["dear"] }',
            '{ kind = "spend-cap", usd = 5.0, providers = ["paid"] }',
        ),
        (
            '{ kind = "weighted", weights = { dear = 3, "free/y" = 0.5 } }',
            '{ kind = "weighted", weights = { "paid" = 3.0, "free/y" = 0.5 } }',
        ),
        (
            '{ kind = "in-order", priority = [["free/*"], ["dear"]] }',
            '{ kind = "in-order", priority = [["free/*"], ["paid"]] }',
        ),
        ('"cheapest"', '"cheapest"'),
        ('{ kind = "random", top = 2 }', '{ kind = "random", top = 2 }'),
        (
            '{ kind = "on-failure", of = "bad-request", next = "next", counts = true }',
            '{ kind = "on-failure", of = "bad-request", next = "next", counts = true }',
        ),
    ],
)
def test_a_policy_comes_back_as_it_was_written_with_providers_under_their_ids(written: str, means: str) -> None:
    """TOML -> policy -> TOML, and what comes out loads as the same once more."""
    made = policy(written)
    assert to_toml(made) == means
    assert policy(means) == made


def test_a_name_may_be_what_a_passed_on_model_will_be_called() -> None:
    """`paid/*` passes the requested name through: which models there are shows later."""
    assert policy('{ kind = "except", names = ["paid/anything"] }', '"paid/*"')
    assert policy('{ kind = "weighted", weights = { "paid/anything" = 2 } }', '"paid/*"') == Weighted(
        weights={"paid/anything": 2}
    )


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('{ kind = "only", names = ["fre"] }', ".names[0]: 'fre' is nobody in this chain (did you mean 'free'?)"),
        (
            '{ kind = "except", names = ["paid/z*", "free"] }',
            ".names[0]: 'paid/z*' is nobody in this chain (did you mean 'paid/x'?)",
        ),
        ('{ kind = "only", names = [] }', ".names: expected at least one"),
        ('"only"', ": names is missing"),
        ('{ kind = "only", names = "free" }', ".names: expected a list, got 'free'"),
        (
            '{ kind = "weighted", weights = { payed = 1, free = 2 } }',
            ".weights.payed: 'payed' is nobody in this chain (did you mean 'paid'?)",
        ),
        (
            '{ kind = "weighted", weights = ["paid"] }',
            ".weights: expected a table of names and numbers, such as { zen = 3 }, got a list",
        ),
        ('{ kind = "weighted", weights = { paid = "3" } }', ".weights.paid: expected a number, got '3'"),
        ('{ kind = "weighted", weights = { paid = -3 } }', ": expected a weight from 0 to 1000000 for 'paid', got -3"),
        ('{ kind = "weighted", weights = {} }', ": expected at least one name with its weight, such as { zen = 3 }"),
        (
            '{ kind = "spend-cap", usd = 1, providers = ["free", "paid/x"] }',
            ".providers[1]: 'paid/x' is no provider of this chain (did you mean 'paid'?)",
        ),
        ('{ kind = "spend-cap", usd = 0 }', ".usd: expected US dollars above 0 and at most 1000000, got 0"),
        (
            '{ kind = "spend-cap", usd = 1, per = "days" }',
            ".per: expected 'hour', 'day' or 'month', got 'days' (did you mean 'day'?)",
        ),
        ('"spend-cap"', ": usd is missing"),
        (
            '{ kind = "during", hours = "10pm-6am" }',
            ".hours: expected hours such as '22:00-06:00' or '09:00-12:30, 13:30-18:00', got '10pm-6am'",
        ),
        (
            '{ kind = "during", hours = "09:00-10:00", days = ["weekend"] }',
            ".days: expected days such as 'mon': mon, tue, wed, thu, fri, sat, sun; got 'weekend'",
        ),
        (
            '{ kind = "during", hours = "09:00-10:00", zone = "CEST+1" }',
            ".zone: 'CEST+1' is no time zone this machine knows: expected UTC, an offset such as '+02:00', or a name such as "
            "'Europe/Berlin'",
        ),
        ('{ kind = "random", top = 1 }', ".top: expected at least 2, got 1 (there is nothing to draw among fewer)"),
        ('{ kind = "cheapest", output_tokens = 1.5 }', ".output_tokens: expected a whole number, got 1.5"),
        ('{ kind = "fastest", top = 2 }', ".top: unknown key: nothing can be set here"),
        (
            '{ kind = "on-failure", of = "connect", next = "halt" }',
            ".next: expected 'next', 'bigger-window' or 'stop', got 'halt'",
        ),
        ('{ kind = "on-failure", of = "connect" }', ": says nothing: give next, counts or again"),
        ('{ kind = "on-failure", next = "stop" }', ": of is missing"),
    ],
)
def test_a_mistake_in_an_argument_is_said_at_its_place(written: str, message: str) -> None:
    """One mistake, one message, with line and key path."""
    with pytest.raises(ConfigError) as caught:
        loaded(written)
    assert [str(p) for p in caught.value.problems] == [f"c.toml:4: chains.c.policies[0]{message}"]


def test_an_unknown_failure_gets_the_nearest_and_the_list() -> None:
    """They are twenty-one, and nobody knows them by heart."""
    with pytest.raises(ConfigError) as caught:
        loaded('{ kind = "on-failure", of = "server-eror", next = "stop" }')
    (problem,) = caught.value.problems
    assert str(problem).startswith(
        "c.toml:4: chains.c.policies[0].of: unknown kind of failure 'server-eror' (did you mean 'server-error'?); "
        "available: connect, reset, "
    )


def test_two_rows_for_one_failure_are_a_mistake_of_the_chain() -> None:
    """At the list, since neither of them is wrong by itself."""
    rows = '{ kind = "on-failure", of = "connect", next = "stop" }, { kind = "on-failure", of = "connect", counts = false }'
    with pytest.raises(ConfigError) as caught:
        loaded(rows)
    (problem,) = caught.value.problems
    assert str(problem) == (
        "c.toml:3: chains.c.policies: 'on-failure' and 'on-failure' exclude each other: "
        "a chain has at most one row for 'connect'"
    )


def test_a_model_that_a_client_names_itself_is_bound_by_the_names_of_its_chain() -> None:
    """It runs as a chain of one with the policies of the route that takes the name: `except` says never."""
    text = """
[chains.c]
candidates = ["paid/x", "free/y"]
policies = [{ kind = "except", names = ["free"] }]

[[routes]]
match = "*"
chain = "c"
"""
    config = load(text, file="c.toml", catalogue=CATALOGUE, environ={})
    found = resolve(config, "free/other")
    assert [c.name for c in found.candidates] == ["free/other"]
    plan = compose(found.chain.policies, found.candidates, View())
    assert [(skip.by, skip.reason) for skip in plan.skipped] == [("except", "excepted by name")]
