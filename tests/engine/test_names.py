"""From the name in a request to a chain: the rules in their order, each exact."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._failure import NoSuchModel
from engine._names import NO_THINKING, PICKER, Named, is_meant, resolve, undecorated
from engine.config import Chain, Config, Model, Provider, Route
from policies import Candidate, Hedge, InOrder, LeastLoaded, SilentSkip

PROVIDERS = (
    Provider(id="zen"),
    Provider(id="desk"),
    Provider(id="open_router"),
    Provider(id="bare", unusable_because="BARE_KEY is not set"),
    Provider(id="openai", unusable_because="OPENAI_API_KEY is not set"),
    Provider(id="qwen", unusable_because="QWEN_KEY is not set", named=True),
    Provider(
        id="nim",
        families={"glm": "z-ai", "llama": "meta"},
        models={id: Model(id=id) for id in ("z-ai/glm-5", "nvidia/llama-nemotron")},
    ),
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
    aliases=MappingProxyType({"router": "open_router", "google": "desk"}),
    vendors=MappingProxyType(
        {"google": "open_router", "openai": "open_router", "qwen": "open_router", "meta": "nim", "lost": "bare"}
    ),
)


def token(name: str) -> Named:
    return Named(name, "token")


def address(name: str) -> Named:
    return Named(name, "address")


def hatch(name: str) -> Named:
    return Named(name, "hatch", "header x-hedgerow-model")


ALONE: list[tuple[str, str, str, str]] = [
    # requested name, who is asked, by which rule, on whose budget
    # 3. A picker id and its twin.
    (PICKER + "zen/glm", "zen/glm", "picker id", "coding"),
    (PICKER + "zen/org/model:free", "zen/org/model:free", "picker id", "coding"),
    (NO_THINKING + "desk/qwen", "desk/qwen (thinking off)", "picker id without thinking", "coding"),
    # 4. A provider and whatever it calls its model.
    ("zen/glm", "zen/glm", "provider/model", "coding"),
    ("zen/org/model:free", "zen/org/model:free", "provider/model", "coding"),
    ("bare/m", "bare/m", "provider/model", "coding"),
    (" zen/glm ", "zen/glm", "provider/model", "coding"),
    # A tier's word inside a name that was chosen explicitly changes nothing.
    ("zen/claude-3-haiku", "zen/claude-3-haiku", "provider/model", "coding"),
    ("desk/opus-sonnet-haiku", "desk/opus-sonnet-haiku", "provider/model", "coding"),
    # What Claude Code adds to a name stays here; a date is the model's own.
    ("zen/glm[1m]", "zen/glm", "provider/model", "coding"),
    (PICKER + "zen/glm[1M]", "zen/glm", "picker id", "coding"),
    ("zen/claude-haiku-4-5-20251001", "zen/claude-haiku-4-5-20251001", "provider/model", "coding"),
    # 6. A vendor's model, its id kept whole. The alias of the same name serves elsewhere.
    ("google/gemini", "open_router/google/gemini", "vendor", "coding"),
    ("meta/llama-haiku", "nim/meta/llama-haiku", "vendor", "coding"),
    ("lost/m", "bare/lost/m", "vendor", "coding"),
    # A provider nobody has set up leaves its name to the vendor's; one with a table says what it lacks.
    ("openai/gpt-oss-120b", "open_router/openai/gpt-oss-120b", "vendor", "coding"),
    ("qwen/qwen3", "qwen/qwen3", "provider/model", "coding"),
    # A host whose ids all have a vendor may be asked without it: its one model of this name, else by the family.
    ("nim/glm-5", "nim/z-ai/glm-5", "provider/model", "coding"),
    ("nim/llama-nemotron", "nim/nvidia/llama-nemotron", "provider/model", "coding"),
    ("nim/llama-4", "nim/meta/llama-4", "provider/model", "coding"),
    ("nim/other", "nim/other", "provider/model", "coding"),
    ("nim/z-ai/glm-9", "nim/z-ai/glm-9", "provider/model", "coding"),
]


@pytest.mark.parametrize(("name", "asked", "how", "budget"), ALONE)
def test_an_explicit_name_is_asked_alone(name: str, asked: str, how: str, budget: str) -> None:
    """Never remapped; with the policies and on the budget of the last route whose glob matches."""
    found = resolve(CONFIG, name)
    assert [str(candidate) for candidate in found.candidates] == [asked]
    assert (found.how, found.budget) == (how, budget)
    assert found.chain.candidates == found.candidates
    assert found.chain.policies == CONFIG.chains[budget].policies


ABOVE: list[tuple[str, Named, list[str], str]] = [
    # requested name, what stands above it, who is asked, by which rule
    # 1. The token.
    ("claude-opus-5-5", token("zen/glm"), ["zen/glm"], "token: provider/model"),
    ("zen/other", token("desk/a/b:c"), ["desk/a/b:c"], "token: provider/model"),
    ("m", token("google/gemini"), ["open_router/google/gemini"], "token: vendor"),
    ("m", token("quick"), ["desk/small"], "token: chain name"),
    ("m", token(NO_THINKING + "zen/glm"), ["zen/glm (thinking off)"], "token: picker id without thinking"),
    # 2. The address, where aliases serve and `openai` stands for whoever serves a vendor's models.
    ("my-haiku", address("zen/glm"), ["zen/glm"], "address: provider/model"),
    ("m", address("router/google/gemini"), ["open_router/google/gemini"], "address: provider/model"),
    ("m", address("google/gemini"), ["desk/gemini"], "address: provider/model"),
    ("m", address("openai/google/gemini:free"), ["open_router/google/gemini:free"], "address: provider/model"),
    ("m", address("openai/meta/llama"), ["nim/meta/llama"], "address: provider/model"),
    ("m", address("openai/openai/gpt-oss"), ["open_router/openai/gpt-oss"], "address: provider/model"),
    ("m", address("openai/gpt-4.1"), ["open_router/openai/gpt-4.1"], "address: vendor"),
    ("m", address("zen/glm[1m]"), ["zen/glm"], "address: provider/model"),
    ("m", address("anthropic/zen/glm"), ["zen/glm"], "address: picker id"),
    # A header or field of ours: any name, and a model's name where a route of its own takes it.
    ("zen/other", hatch("desk/q"), ["desk/q"], "header x-hedgerow-model: provider/model"),
    ("zen/other", hatch("coding"), ["zen/glm", "desk/qwen"], "header x-hedgerow-model: chain name"),
    ("m", hatch("claude-haiku-5"), ["desk/small"], "header x-hedgerow-model: route '*haiku*'"),
    ("m", hatch("zen/a, desk/b"), ["zen/a", "desk/b"], "header x-hedgerow-model: list"),
    ("gpt-9", hatch("passed"), ["open_router/gpt-9", "desk/qwen"], "header x-hedgerow-model: chain name"),
    ("gpt-9", hatch("zen/*"), ["zen/gpt-9"], "header x-hedgerow-model: provider/model"),
]


@pytest.mark.parametrize(("name", "above", "asked", "how"), ABOVE)
def test_what_stands_above_the_model_decides(name: str, above: Named, asked: list[str], how: str) -> None:
    """And the explanation says where it stood and how it was read."""
    found = resolve(CONFIG, name, above)
    assert [str(candidate) for candidate in found.candidates] == asked
    assert found.how == how


LISTS: list[tuple[str, list[str]]] = [
    ("zen/a,desk/b", ["zen/a", "desk/b"]),
    ("desk/b, zen/a[1m] ,", ["desk/b", "zen/a"]),
    ("zen/a,zen/a", ["zen/a"]),
    ("zen/a,coding", ["zen/a", "zen/glm", "desk/qwen"]),
    (f"{NO_THINKING}zen/a,google/gemini,bare/m", ["zen/a (thinking off)", "open_router/google/gemini", "bare/m"]),
]


@pytest.mark.parametrize(("name", "asked"), LISTS)
def test_a_list_is_a_chain_for_this_once(name: str, asked: list[str]) -> None:
    """In this order, so without the lender's order policies; the others are the lender's, and so is the budget."""
    lender = attrs.evolve(CODING, policies=(SilentSkip(), LeastLoaded(), Hedge(), InOrder()))
    found = resolve(attrs.evolve(CONFIG, chains={**CONFIG.chains, "coding": lender}), name)
    assert [str(candidate) for candidate in found.candidates] == asked
    assert (found.how, found.budget, found.chain.policies) == ("list", "coding", (SilentSkip(), Hedge()))


@pytest.mark.parametrize("above", [None, token("zen/a,nowhere"), hatch("zen/a,nowhere")])
def test_a_list_with_a_slip_in_it_is_an_error(above: Named | None) -> None:
    """It is named, and the rest is not asked without it. A comma in a name that is no list is the route's affair."""
    with pytest.raises(NoSuchModel, match="in the list 'zen/a,nowhere' 'nowhere' is neither"):
        resolve(CONFIG, "zen/a,nowhere" if above is None else "m", above)
    assert resolve(CONFIG, "what,ever").how == "route '*'"


@pytest.mark.parametrize("name", ["codng", "zen", "unheard/of", "claude-sonnet-5"])
def test_a_slip_in_a_hatch_is_the_clients_mistake(name: str) -> None:
    """A route that takes every name would take it too; the text names the place and what is allowed."""
    with pytest.raises(
        NoSuchModel, match=r"header x-hedgerow-model: '.*' is neither provider/model nor a chain"
    ) as told:
        resolve(CONFIG, "claude", hatch(name))
    assert told.value.status == 400
    assert "chains: coding, quick, nobody, passed, auto" in str(told.value)


DECORATED = [
    ("a[1m]", "a"),
    ("a [1M]", "a"),
    ("a[200k][1m]", "a"),
    ("[1m]", "[1m]"),
    ("a[1m]b", "a[1m]b"),
    ("a-20251001",) * 2,
]


@pytest.mark.parametrize(("name", "plain"), DECORATED)
def test_a_window_behind_a_name_is_no_part_of_it(name: str, plain: str) -> None:
    """Only at its end."""
    assert undecorated(name) == plain


def test_a_short_name_comes_after_every_other_reading() -> None:
    """A route that takes all names takes this one as well; without one its family says whose it is."""
    assert resolve(CONFIG, "glm-5").how == "route '*'"
    bare = attrs.evolve(CONFIG, routes=())
    assert (resolve(bare, "glm-5").how, str(resolve(bare, "glm-5").candidates[0])) == ("short name", "nim/z-ai/glm-5")
    with pytest.raises(NoSuchModel):
        resolve(bare, "gpt-5")


def test_a_chain_has_a_twin_that_does_not_think() -> None:
    """All of its candidates do not; its name and its budget are its own."""
    found = resolve(CONFIG, NO_THINKING + "coding")
    assert [str(c) for c in found.candidates] == ["zen/glm (thinking off)", "desk/qwen (thinking off)"]
    assert (found.chain.name, found.budget) == ("coding", "coding")


def test_a_picker_id_of_a_chain_stands_before_a_model_of_that_name() -> None:
    """`anthropic/coding` is the chain although there is a provider called anthropic; its own models are still its own."""
    real = attrs.evolve(CONFIG, providers={**CONFIG.providers, "anthropic": Provider(id="anthropic")})
    assert resolve(real, "anthropic/coding").chain.name == "coding"
    assert str(resolve(real, "anthropic/claude-opus-5").candidates[0]) == "anthropic/claude-opus-5"
    assert str(resolve(real, "anthropic/anthropic/claude-opus-5").candidates[0]) == "anthropic/claude-opus-5"


SWITCHES: list[tuple[dict[str, bool], bool | None, str, bool]] = [
    # what the environment says, what the route says, the requested name, whether it may think
    ({}, None, "claude-haiku-5", True),
    ({}, False, "claude-haiku-5", False),
    ({"*": False}, None, "claude-haiku-5", False),
    ({"*": False}, True, "claude-haiku-5", True),
    ({"*haiku*": False}, None, "claude-HAIKU-5", False),
    ({"*haiku*": True, "*": False}, None, "claude-haiku-5", True),
    ({"*haiku*": False}, None, "claude-sonnet-5", True),
    # A tier's word inside an explicit name is none, and no route has a say; what holds for all holds here.
    ({"*haiku*": False}, False, "zen/haiku", True),
    ({"*": False}, True, "zen/haiku", False),
    ({"*": False}, True, "quick", False),
    ({"*": False}, True, "zen/a,desk/b", False),
]


@pytest.mark.parametrize(("says", "route", "name", "thinks"), SWITCHES)
def test_thinking_is_switched_off_by_the_route_the_tier_or_for_all(
    says: dict[str, bool], route: bool | None, name: str, thinks: bool
) -> None:
    """The route's word, then the tier's, then the one for all names; nobody is made to think."""
    routes = tuple(attrs.evolve(r, thinking=route) for r in ROUTES)
    found = resolve(attrs.evolve(CONFIG, thinking=says, routes=routes), name)
    assert {candidate.thinking for candidate in found.candidates} == {None if thinks else False}


PIECES = [*"/,:* ", "zen", "nim", "openai", "google", "qwen", "coding", "anthropic", "glm", "haiku", "[1m]"]
ANY_NAME = st.text(max_size=30) | st.lists(st.sampled_from([*PIECES, PICKER, NO_THINKING]), max_size=8).map("".join)


@given(name=ANY_NAME, above=st.none() | st.builds(Named, ANY_NAME, st.sampled_from(["hatch", "token", "address"])))
def test_whatever_the_name_somebody_is_found_or_it_is_said_that_nobody_is(name: str, above: Named | None) -> None:
    """Nothing but NoSuchModel is raised; what is found is known, with a chain to lend its budget, and never decorated."""
    for config in (CONFIG, attrs.evolve(CONFIG, routes=ROUTES[:1])):
        try:
            found = resolve(config, name, above)
        except NoSuchModel:
            continue
        assert found.candidates
        assert all(candidate.provider in config.providers for candidate in found.candidates)
        assert found.budget in config.chains
        assert found.how


@given(
    provider=st.sampled_from(["zen", "desk", "bare"]),
    model=st.text("abz019-_.:/*", min_size=1, max_size=12).filter(lambda m: m != "*"),
    word=st.sampled_from(["opus", "haiku", "sonnet", ""]),
    form=st.sampled_from(["{}", PICKER + "{}", "{}[1m]"]),
    by=st.sampled_from(["", "hatch", "token", "address"]),
)
def test_an_explicit_name_is_never_remapped(provider: str, model: str, word: str, form: str, by: Any) -> None:
    """Whatever stands in it, and wherever it stands."""
    name = f"{provider}/{word}{model}"
    said = form.format(name)
    found = resolve(CONFIG, said) if not by else resolve(CONFIG, "claude-haiku-5", Named(said, by))
    assert [candidate.name for candidate in found.candidates] == [name]


THROUGH: list[tuple[str, str, str, list[str]]] = [
    # requested name, chain, by which rule, who is asked
    ("quick", "quick", "chain name", ["desk/small"]),
    (PICKER + "coding", "coding", "picker id", ["zen/glm", "desk/qwen"]),
    ("coding[1m]", "coding", "chain name", ["zen/glm", "desk/qwen"]),
    ("claude-haiku-4-5-20251001[1m]", "quick", "route '*haiku*'", ["desk/small"]),
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
    ("gpt-9[1m]", "passed", "route 'gpt-?'", ["open_router/gpt-9", "desk/qwen"]),
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
    (first, _) = resolve(CONFIG, "open_router/google/gemini", hatch("passed")).candidates
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
    (found,) = resolve(CONFIG, "m", address("router/google/gemini")).candidates
    assert found == Candidate("open_router", "google/gemini")
    assert resolve(CONFIG, "router/google/gemini").chain.name == "coding"
    with pytest.raises(NoSuchModel):
        resolve(CONFIG, "m", token("router/google/gemini"))


@pytest.mark.parametrize("above", [address("unheard/of"), address("zen/"), token("zen"), token("/glm"), token("zen/")])
def test_an_address_or_a_token_that_names_nobody_is_an_error(above: Named) -> None:
    """It is never taken for something else; the text lists who is usable."""
    with pytest.raises(NoSuchModel, match="usable: desk, nim, open_router, rehearsal, zen") as told:
        resolve(CONFIG, "anything", above)
    assert "bare" not in str(told.value)
    assert told.value.status == 404


def test_a_name_means_somebody_without_a_route_or_not() -> None:
    """What stands behind a colon in a credential is only then a name."""
    meant = ("zen/glm", "coding", "google/gemini", PICKER + "zen/glm", "zen/a,desk/b")
    assert all(is_meant(CONFIG, name) for name in meant)
    assert not any(is_meant(CONFIG, name) for name in ("", "claude-haiku-5", "zen", "unheard/of", "zen/a,nowhere"))


def test_a_name_that_nothing_matches_is_an_error() -> None:
    """The text says what would."""
    routed = attrs.evolve(CONFIG, routes=(Route(match="claude-opus-5-5", chain="quick"), ROUTES[0]))
    with pytest.raises(NoSuchModel, match="nothing answers to the model 'gpt'") as told:
        resolve(routed, "gpt")
    assert "coding, quick, nobody, passed, auto, claude-opus-5-5" in str(told.value)
