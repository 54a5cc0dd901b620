"""From the name in a request to a chain: the rules in their order, each exact."""

from __future__ import annotations

from types import MappingProxyType

import attrs
import pytest

from engine._failure import NoSuchModel
from engine._names import NO_THINKING, PICKER, resolve
from engine.config import Chain, Config, Provider, Route
from policies import Candidate, Hedge, SilentSkip

PROVIDERS = (
    Provider(id="zen"),
    Provider(id="desk"),
    Provider(id="open_router"),
    Provider(id="bare", unusable_because="BARE_KEY is not set"),
    Provider(id="rehearsal", wire="rehearsal"),
)

CODING = Chain(
    name="coding", candidates=(Candidate("zen", "glm"), Candidate("desk", "qwen")), policies=(SilentSkip(), Hedge())
)
QUICK = Chain(name="quick", candidates=(Candidate("desk", "small"),), policies=(SilentSkip(),))
NOBODY = Chain(name="nobody", candidates=(Candidate("bare", "m"),))
PASSED = Chain(name="passed", candidates=(Candidate("open_router", "*"), Candidate("desk", "qwen")))
AUTO = Chain(name="auto", candidates=(Candidate("rehearsal", "echo"),), policies=(Hedge(after_s=1.0),))

ROUTES = (
    Route(match="*haiku*", chain="quick"),
    Route(match="*opus*", chain="nobody"),
    Route(match="gpt-?", chain="passed"),
    Route(match="*off*", chain="quick", enabled=False),
    Route(match="*", chain="coding"),
    Route(match="claude-opus-5-5", chain="passed"),
)

CONFIG = Config(
    providers=MappingProxyType({p.id: p for p in PROVIDERS}),
    chains=MappingProxyType({c.name: c for c in (CODING, QUICK, NOBODY, PASSED, AUTO)}),
    routes=ROUTES,
    aliases=MappingProxyType({"router": "open_router"}),
)

ALONE: list[tuple[str, str | None, str, str, str]] = [
    # requested name, forced by address or token, who is asked, by which rule, on whose budget
    ("claude-opus-5-5", "zen/glm", "zen/glm", "address or token", "coding"),
    ("zen/other", "desk/a/b:c", "desk/a/b:c", "address or token", "coding"),
    ("my-haiku", "zen/glm", "zen/glm", "address or token", "coding"),
    (PICKER + "zen/glm", None, "zen/glm", "picker id", "coding"),
    (PICKER + "zen/org/model:free", None, "zen/org/model:free", "picker id", "coding"),
    (NO_THINKING + "desk/qwen", None, "desk/qwen (thinking off)", "picker id without thinking", "coding"),
    ("zen/glm", None, "zen/glm", "provider/model", "coding"),
    ("zen/org/model:free", None, "zen/org/model:free", "provider/model", "coding"),
    ("bare/m", None, "bare/m", "provider/model", "coding"),
    # A tier's word inside a name that was chosen explicitly changes nothing.
    ("zen/claude-3-haiku", None, "zen/claude-3-haiku", "provider/model", "coding"),
    ("desk/opus-sonnet-haiku", None, "desk/opus-sonnet-haiku", "provider/model", "coding"),
]


@pytest.mark.parametrize(("name", "forced", "asked", "how", "budget"), ALONE)
def test_an_explicit_name_is_asked_alone(name: str, forced: str | None, asked: str, how: str, budget: str) -> None:
    """Never remapped; with the policies and on the budget of the last route whose glob matches."""
    found = resolve(CONFIG, name, forced)
    assert [str(candidate) for candidate in found.candidates] == [asked]
    assert (found.how, found.budget) == (how, budget)
    assert found.chain.candidates == found.candidates
    assert found.chain.policies == CONFIG.chains[budget].policies


THROUGH: list[tuple[str, str, str, list[str]]] = [
    # requested name, chain, by which rule, who is asked
    ("quick", "quick", "chain name", ["desk/small"]),
    (PICKER + "coding", "coding", "chain name", ["zen/glm", "desk/qwen"]),
    ("auto", "auto", "chain name", ["rehearsal/echo"]),
    ("claude-haiku-5-5", "quick", "route '*haiku*'", ["desk/small"]),
    ("CLAUDE-HAIKU", "quick", "route '*haiku*'", ["desk/small"]),
    ("anything", "coding", "route '*'", ["zen/glm", "desk/qwen"]),
    ("unheard/of", "coding", "route '*'", ["zen/glm", "desk/qwen"]),
    (PICKER + "unheard/of", "coding", "route '*'", ["zen/glm", "desk/qwen"]),
    ("zen/", "coding", "route '*'", ["zen/glm", "desk/qwen"]),
    ("/glm", "coding", "route '*'", ["zen/glm", "desk/qwen"]),
    # An exact match stands before globs, wherever it is in the file.
    ("claude-opus-5-5", "passed", "route 'claude-opus-5-5'", ["open_router/claude-opus-5-5", "desk/qwen"]),
    ("Claude-Opus-5-5", "passed", "route 'claude-opus-5-5'", ["open_router/Claude-Opus-5-5", "desk/qwen"]),
    ("gpt-9", "passed", "route 'gpt-?'", ["open_router/gpt-9", "desk/qwen"]),
    ("gpt-10", "coding", "route '*'", ["zen/glm", "desk/qwen"]),
    # Whose chain has nobody usable is passed over for the next that matches.
    ("claude-opus-4", "coding", "route '*'", ["zen/glm", "desk/qwen"]),
    # A disabled route is none.
    ("day-off", "coding", "route '*'", ["zen/glm", "desk/qwen"]),
]


@pytest.mark.parametrize(("name", "chain", "how", "asked"), THROUGH)
def test_other_names_go_to_a_chain(name: str, chain: str, how: str, asked: list[str]) -> None:
    """By its own name, or by the first route that matches."""
    found = resolve(CONFIG, name)
    assert (found.chain.name, found.how, found.budget) == (chain, how, chain)
    assert [str(candidate) for candidate in found.candidates] == asked
    assert found.chain is CONFIG.chains[chain]


def test_a_name_that_is_passed_through_loses_its_own_provider() -> None:
    """`open_router/*` asked for as itself is not asked for twice over."""
    routed = attrs.evolve(CONFIG, routes=(Route(match="*", chain="passed"),))
    (first, _) = resolve(routed, "google/gemini").candidates
    assert first == Candidate("open_router", "google/gemini")


def test_where_nobody_is_usable_the_first_match_says_why() -> None:
    """Its plan names the variable that is missing."""
    routed = attrs.evolve(CONFIG, routes=(Route(match="*opus*", chain="nobody"), Route(match="*-4", chain="nobody")))
    found = resolve(routed, "claude-opus-4")
    assert (found.chain.name, found.how) == ("nobody", "route '*opus*'")


def test_an_explicit_name_without_a_route_borrows_from_auto() -> None:
    """Exact and disabled routes lend nothing."""
    routed = attrs.evolve(
        CONFIG, routes=(Route(match="zen/glm", chain="quick"), Route(match="*", chain="coding", enabled=False))
    )
    found = resolve(routed, "zen/glm")
    assert (found.budget, found.chain.policies) == ("auto", AUTO.policies)


def test_an_explicit_name_borrows_from_the_last_glob_that_matches() -> None:
    """Not from the first, which may be a tier's."""
    routed = attrs.evolve(
        CONFIG, routes=(Route(match="*", chain="coding"), Route(match="zen/*", chain="quick"), ROUTES[0])
    )
    assert resolve(routed, "zen/glm").budget == "quick"
    assert resolve(routed, "desk/qwen").budget == "coding"


def test_an_alias_serves_in_an_address_only() -> None:
    """In a model's name it would take a vendor's models away."""
    assert resolve(CONFIG, "m", "router/google/gemini").candidates == (Candidate("open_router", "google/gemini"),)
    assert resolve(CONFIG, "router/google/gemini").chain.name == "coding"


@pytest.mark.parametrize("forced", ["unheard/of", "zen", "zen/", "/glm"])
def test_an_address_that_names_nobody_is_an_error(forced: str) -> None:
    """It is never taken for something else; the text lists who is usable."""
    with pytest.raises(NoSuchModel, match="usable: desk, open_router, rehearsal, zen") as told:
        resolve(CONFIG, "anything", forced)
    assert "bare" not in str(told.value)


def test_a_name_that_nothing_matches_is_an_error() -> None:
    """The text says what would."""
    routed = attrs.evolve(CONFIG, routes=(Route(match="claude-opus-5-5", chain="quick"), ROUTES[0]))
    with pytest.raises(NoSuchModel, match="nothing answers to the model 'gpt'") as told:
        resolve(routed, "gpt")
    assert "coding, quick, nobody, passed, auto, claude-opus-5-5" in str(told.value)
