"""What the environment says of models: lists, tiers, thinking; and what of it no longer exists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import resolve
from engine.config import Config, ConfigError, Problem, load
from engine.config._environment import REMOVED, THINKING, TIERS
from policies import Hedge, LeastLoaded, Retry, SilentSkip
from tests.engine.catalogues import small

CATALOGUE = small()
KEYS = {"PAID_KEY": "k", "FREE_KEY": "k"}
OWN = '[chains.own]\ncandidates = ["free/own"]\n'


def route(match: str, chain: str = "own", more: str = "") -> str:
    return f'[[routes]]\nmatch = "{match}"\nchain = "{chain}"\n{more}\n'


def config(text: str = "", **environ: str) -> Config:
    return load(text, file="c.toml", catalogue=CATALOGUE, environ={**KEYS, **environ})


def asked(name: str, text: str = "", **environ: str) -> list[str]:
    """Whom a request of this name comes to, first to last."""
    return [str(candidate) for candidate in resolve(config(text, **environ), name).candidates]


def problems(text: str = "", **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as told:
        config(text, **environ)
    return [str(problem) for problem in told.value.problems]


class TestModel:
    def test_its_first_is_the_primary_one(self) -> None:
        """The others follow when it fails, or hedge it; no load puts another in its place."""
        made = config(MODEL="paid/a, free/b")
        auto = made.chains["auto"]
        assert [c.name for c in auto.candidates] == ["paid/a", "free/b"]
        assert auto.policies == (SilentSkip(), Hedge(), Retry())
        assert [c.name for c in made.listed] == ["paid/a", "free/b"]

    def test_an_order_of_its_own_is_for_the_chain_and_the_list_for_the_picker(self) -> None:
        """Everybody who is named can be picked."""
        made = config(MODEL="paid/a", AUTO_MODEL_ORDER="free/b,free/c")
        assert [c.name for c in made.chains["auto"].candidates] == ["free/b", "free/c"]
        assert LeastLoaded() in made.chains["auto"].policies
        assert [c.name for c in made.listed] == ["paid/a", "free/b", "free/c"]


TIER_TABLE: list[tuple[dict[str, str], str, str]] = [
    # variables, requested name, who is asked first
    ({"MODEL_OPUS": "paid/o"}, "claude-opus-5-5", "paid/o"),
    ({"MODEL_SONNET": "paid/s"}, "claude-SONNET-5-5", "paid/s"),
    ({"MODEL_HAIKU": "paid/h,free/h"}, "claude-haiku-5-5", "paid/h"),
    ({"MODEL_FABLE": "paid/f"}, "claude-fable-5-2", "paid/f"),
    # A blank one inherits MODEL, as does a name of no tier.
    ({"MODEL": "free/m", "MODEL_OPUS": " "}, "claude-opus-5-5", "free/m"),
    ({"MODEL": "free/m", "MODEL_OPUS": "paid/o"}, "claude-haiku-5-5", "free/m"),
    ({"MODEL": "free/m", "MODEL_OPUS": "paid/o"}, "gpt-9", "free/m"),
    # The older names; the newer one stands above them, and a big one serves the middle.
    ({"BIG_MODEL": "paid/b"}, "claude-opus-5-5", "paid/b"),
    ({"BIG_MODEL": "paid/b"}, "claude-sonnet-5-5", "paid/b"),
    ({"BIG_MODEL": "paid/b"}, "claude-fable-5-2", "paid/b"),
    ({"BIG_MODEL": "paid/b", "MODEL": "free/m"}, "claude-haiku-5-5", "free/m"),
    ({"BIG_MODEL": "paid/b", "MIDDLE_MODEL": "paid/m"}, "claude-sonnet-5-5", "paid/m"),
    ({"SMALL_MODEL": "paid/s"}, "claude-haiku-5-5", "paid/s"),
    ({"BIG_MODEL": "paid/b", "MODEL_OPUS": "paid/o"}, "claude-opus-5-5", "paid/o"),
    # The first word of the table decides; explicit names hear of no tier.
    ({"MODEL_OPUS": "paid/o", "MODEL_SONNET": "paid/s"}, "sonnet-for-opus", "paid/o"),
    ({"MODEL_OPUS": "paid/o"}, "free/opus", "free/opus"),
    ({"MODEL_OPUS": "vendor/o"}, "claude-opus-5-5", "paid/vendor/o"),
    # Whom nobody can ask is passed over for the default.
    ({"MODEL_OPUS": "talker/o", "MODEL": "free/m"}, "claude-opus-5-5", "free/m"),
]


@pytest.mark.parametrize(("environ", "name", "first"), TIER_TABLE)
def test_a_tier_goes_where_its_variable_says(environ: dict[str, str], name: str, first: str) -> None:
    """Before the default route; by the chain that is called like the variable."""
    assert asked(name, **environ)[0] == first


OWN_ROUTES: list[tuple[str, str, bool]] = [
    # the file's routes, who is asked for claude-opus-5-5, whether it is said that the variable has no effect
    (route("*"), "paid/o", False),
    (route("*haiku*") + route("*"), "paid/o", False),
    (route("*opus*") + route("*"), "free/own", True),
    (route("claude-*") + route("*"), "free/own", True),
    (route("*opus*"), "free/own", True),
    (route("*haiku*"), "paid/o", False),
    (route("claude-opus-5-5") + route("*"), "free/own", False),
    (route("*opus*", more="enabled = false") + route("*"), "paid/o", False),
    (route("*") + route("*opus*"), "paid/o", False),
]


@pytest.mark.parametrize(("routes", "first", "said"), OWN_ROUTES)
def test_a_route_of_the_file_stands_above_a_tiers_variable(routes: str, first: str, said: bool) -> None:
    """The default route does not; and a variable that does nothing is told of."""
    text = OWN + routes
    assert asked("claude-opus-5-5", text, MODEL_OPUS="paid/o")[0] == first
    remarks = [r for r in config(text, MODEL_OPUS="paid/o").warnings if r.startswith("environment")]
    assert bool(remarks) is said
    assert all("MODEL_OPUS: no effect on names with 'opus': the file's route" in remark for remark in remarks)


def test_a_tier_counts_a_provider_in_that_counts_only_where_it_is_named() -> None:
    """Its variable names it."""
    assert config(MODEL_OPUS="anthropic/claude", ANTHROPIC_API_KEY="k").providers["anthropic"].usable


def test_a_tiers_chain_can_be_asked_for_and_its_models_picked() -> None:
    """It is called like its variable."""
    made = config(MODEL_OPUS="paid/o,free/p", BIG_MODEL="paid/b")
    assert [c.name for c in resolve(made, "MODEL_OPUS").candidates] == ["paid/o", "free/p"]
    assert [c.name for c in made.listed] == ["paid/o", "free/p", "paid/b"]
    assert "MODEL_HAIKU" not in made.chains


THINKS: list[tuple[dict[str, str], str, str, bool]] = [
    # variables, the file's routes, requested name, whether it may think
    ({}, "", "claude-opus-5", True),
    ({"ENABLE_MODEL_THINKING": "false"}, "", "claude-opus-5", False),
    ({"ENABLE_MODEL_THINKING": "0"}, "", "free/m", False),
    ({"ENABLE_MODEL_THINKING": "Yes"}, "", "claude-opus-5", True),
    ({"ENABLE_OPUS_THINKING": "off"}, "", "claude-opus-5", False),
    ({"ENABLE_OPUS_THINKING": "off"}, "", "claude-haiku-5", True),
    ({"ENABLE_OPUS_THINKING": "off"}, "", "free/opus", True),
    ({"ENABLE_OPUS_THINKING": "on", "ENABLE_MODEL_THINKING": "no"}, "", "claude-opus-5", True),
    ({"ENABLE_OPUS_THINKING": "", "ENABLE_MODEL_THINKING": "no"}, "", "claude-opus-5", False),
    ({"ENABLE_SONNET_THINKING": "no"}, "", "claude-sonnet-5", False),
    ({"ENABLE_HAIKU_THINKING": "no"}, "", "claude-haiku-5", False),
    ({"ENABLE_FABLE_THINKING": "no"}, "", "claude-fable-5", False),
    ({}, route("*", "auto", "thinking = false"), "claude-opus-5", False),
    ({"ENABLE_MODEL_THINKING": "no"}, route("*", "auto", "thinking = true"), "claude-opus-5", True),
    # The tier's switch holds for its own route as well.
    ({"MODEL_OPUS": "paid/o", "ENABLE_OPUS_THINKING": "no"}, "", "claude-opus-5", False),
]


@pytest.mark.parametrize(("environ", "text", "name", "thinks"), THINKS)
def test_thinking_is_switched_off_for_all_for_a_tier_or_for_a_route(
    environ: dict[str, str], text: str, name: str, thinks: bool
) -> None:
    """The file's own word first; what is not said inherits."""
    found = resolve(config(text, **environ), name)
    assert {candidate.thinking for candidate in found.candidates} == {None if thinks else False}


@pytest.mark.parametrize(("variable", "instead"), REMOVED.items())
def test_a_variable_that_is_gone_stops_the_start(variable: str, instead: str) -> None:
    """One message, which names what says the same now. An empty one is none."""
    expected = f"environment: {variable}: this variable is gone: remove it, and set {instead} instead"
    assert problems(**{variable: "true"}) == [expected]
    assert config(**{variable: " "}).thinking == {}


def test_what_is_gone_is_told_of_once() -> None:
    """Beside whatever else is wrong, in one start."""
    assert len(problems(NIM_ENABLE_THINKING="1", ENABLE_THINKING="1", ENABLE_OPUS_THINKING="maybe")) == 3


WRONG: list[tuple[dict[str, str], str]] = [
    ({"MODEL_OPUS": "gpt-4"}, "environment: MODEL_OPUS: 'gpt-4' is not 'provider/model'"),
    ({"MODEL_HAIKU": "payed/x"}, "environment: MODEL_HAIKU: unknown provider 'payed' (did you mean 'paid'?)"),
    ({"ENABLE_OPUS_THINKING": "maybe"}, "environment: ENABLE_OPUS_THINKING: expected true or false, got 'maybe'"),
]


@pytest.mark.parametrize(("environ", "told"), WRONG)
def test_a_mistake_in_a_variable_of_ours_is_an_error(environ: dict[str, str], told: str) -> None:
    """Found at the start."""
    assert problems(**environ) == [told]


def test_a_mistake_in_a_variable_of_many_programs_is_only_said() -> None:
    """It may be meant for another one."""
    made = config(BIG_MODEL="gpt-4.1", SMALL_MODEL="gpt-4.1-mini")
    assert made.warnings == (
        "environment: BIG_MODEL: 'gpt-4.1' is not 'provider/model': it is left out",
        "environment: SMALL_MODEL: 'gpt-4.1-mini' is not 'provider/model': it is left out",
    )
    assert "BIG_MODEL" not in made.chains


def test_a_chain_of_the_file_cannot_have_a_variables_name() -> None:
    """While that variable makes one."""
    text = '[chains.MODEL_OPUS]\ncandidates = ["free/m"]\n'
    assert config(text).chains["MODEL_OPUS"].candidates[0].name == "free/m"
    assert problems(text, MODEL_OPUS="paid/o") == [
        "c.toml:1: chains.MODEL_OPUS: the environment's variable makes a chain of this name: choose another"
    ]


_VARIABLES = sorted(
    {*THINKING.values(), *REMOVED, "MODEL", "AUTO_MODEL_ORDER", *(v for t in TIERS.values() for v in t)}
)


@given(st.dictionaries(st.sampled_from(_VARIABLES), st.text(max_size=12) | st.sampled_from(["paid/m", "no", "a/b,c"])))
def test_whatever_the_variables_hold_it_is_a_configuration_or_an_account_of_mistakes(environ: dict[str, str]) -> None:
    """And every name then comes to somebody."""
    made, told = None, list[Problem]()
    try:
        made = config(**environ)
    except ConfigError as error:
        told = list(error.problems)
    assert all(problem.path in environ for problem in told)
    if made is not None:
        assert all(resolve(made, f"claude-{tier}-5").candidates for tier in TIERS)
