"""Policies of other people's distributions, found by the metadata that is really installed, and the example of one."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import Config, ConfigError, load
from policies import Hedge, PolicyError, compose, policy_class, to_toml
from tests.engine.catalogues import small
from tests.policies.builders import ABC, asked, view
from tests.policies.distributions import SOURCE, install, offer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "policy-authors.md"
CATALOGUE = small()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on the path, before all others. What was imported from it is forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def loaded(policy: str) -> Config:
    """A chain of two with this policy on the fourth line of its file."""
    text = f'[chains.c]\ncandidates = ["paid/x", "free/y"]\npolicies = [\n  {policy},\n]\n'
    return load(text, file="c.toml", catalogue=CATALOGUE, environ={})


def test_a_distributions_policy_loads_by_its_entry_point(site: Path) -> None:
    """By the name it registered in the group `hedgerow.policies`; other groups are not ours."""
    elsewhere = "[somebody.else]\nupside-down = users:Backwards\n"
    install(site, "turned", offer(turned_round="users:Backwards") + elsewhere, users=SOURCE)
    assert policy_class("turned-round").__name__ == "Backwards"
    with pytest.raises(PolicyError, match="unknown policy 'upside-down'"):
        policy_class("upside-down")


def test_it_works_in_a_chain_with_its_arguments_checked(site: Path) -> None:
    """From a file to a plan; and it prints as TOML that loads as itself, by its module."""
    install(site, "turned", offer(turned_round="users:Backwards"), users=SOURCE)
    (made,) = loaded('"turned-round"').chains["c"].policies
    assert asked(compose([made], ABC, view())) == "cba"
    assert to_toml(made) == '"users:Backwards"'
    (off,) = loaded('{ kind = "turned-round", really = false }').chains["c"].policies
    assert to_toml(off) == '{ kind = "users:Backwards", really = false }'
    assert loaded(to_toml(off)).chains["c"].policies == (off,)
    with pytest.raises(
        ConfigError, match=re.escape("c.toml:4: chains.c.policies[0].really: expected true or false, got 3")
    ):
        loaded('{ kind = "turned-round", really = 3 }')


def test_a_slip_in_a_name_of_theirs_gets_the_nearest_too(site: Path) -> None:
    """They are available, so they are named among what is."""
    install(site, "turned", offer(turned_round="users:Backwards"), users=SOURCE)
    with pytest.raises(
        PolicyError, match=r"\(did you mean 'turned-round'\?\); available: silent-skip, .*, turned-round$"
    ):
        policy_class("turnd-round")


def test_a_distribution_cannot_replace_a_built_in_policy(site: Path) -> None:
    """What `hedge` means in a file does not depend on what else is installed."""
    install(site, "turned", offer(hedge="users:Backwards"), users=SOURCE)
    assert policy_class("hedge") is Hedge


def test_a_name_that_two_distributions_offer_is_refused(site: Path) -> None:
    """Which of them is first on the path is nobody's choice; the message says how to make it one."""
    install(site, "one", offer(turned_round="users:Backwards"), users=SOURCE)
    install(site, "two", offer(turned_round="others:Backwards"), others=SOURCE)
    with pytest.raises(
        PolicyError, match="more than one distribution: say which, as 'others:Backwards' or 'users:Backwards'"
    ):
        policy_class("turned-round")
    assert policy_class("others:Backwards").__module__ == "others"


def test_a_distribution_that_is_there_twice_is_one(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment over another may have it in both; the first on the path is the one that is imported."""
    install(site / "below", "turned", offer(turned_round="elsewhere:Backwards"))
    install(site / "above", "turned", offer(turned_round="users:Backwards"), users=SOURCE)
    monkeypatch.syspath_prepend(site / "below")
    monkeypatch.syspath_prepend(site / "above")
    assert policy_class("turned-round").__module__ == "users"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("users:not_a_policy", "'broken' is not a policy: expected a subclass of policies.Policy"),
        (
            "users:Phaseless",
            "'broken' is not a policy that can be folded: it has no phase, such as policies.Phase.ORDER",
        ),
        ("users:Plain", "'broken' is not a policy that can be read: expected @attrs.frozen above the class"),
        ("users:Sideways", "policy 'broken' cannot be loaded: .*Sideways"),
        ("no_such_module:Backwards", "policy 'broken' cannot be loaded: No module named 'no_such_module'"),
        ("raising:Backwards", "policy 'broken' cannot be loaded: no licence"),
        ("a b c", "policy 'broken' cannot be loaded: "),
    ],
)
def test_a_broken_entry_point_is_refused_with_the_cause(site: Path, value: str, message: str) -> None:
    """An error of the configuration with its line, not a traceback."""
    install(site, "broken", offer(broken=value), users=SOURCE, raising="raise RuntimeError('no licence')")
    with pytest.raises(ConfigError, match=r"c\.toml:4: chains\.c\.policies\[0\]: " + message):
        loaded('"broken"')


@pytest.mark.parametrize("text", ["[hedgerow.policies]\nwithout a value\n", b"\xff\xfe[hedgerow.policies]\n"])
def test_damaged_metadata_costs_nobody_else_their_policy(site: Path, text: str | bytes) -> None:
    """And is named where a policy is missing: it may be the one that would have had it."""
    install(site, "damaged", text)
    install(site, "turned", offer(turned_round="users:Backwards"), users=SOURCE)
    assert policy_class("turned-round").__name__ == "Backwards"
    with pytest.raises(
        PolicyError, match=r"unknown policy 'xyzzy'.*; the entry points of 'damaged-1\.0\.dist-info' cannot be"
    ):
        policy_class("xyzzy")


def installed_example(site: Path) -> None:
    """The example as `pip install` would leave it: what its `pyproject.toml` says, as metadata."""
    folder = ROOT / "examples" / "policy-plugin"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["hedgerow.policies"]
    text = "\n".join(["[hedgerow.policies]", *(f"{name} = {value}" for name, value in points.items()), ""])
    module = "hedgerow_short_prompts"
    install(site, project["name"], text, **{module: (folder / f"{module}.py").read_text()})


def test_the_example_works_from_its_name_in_a_file(site: Path) -> None:
    """Its names are checked and put under their ids like those of our own, and it prints by its own name."""
    installed_example(site)
    (made,) = loaded('{ kind = "short-prompts", names = ["dear"] }').chains["c"].policies
    assert to_toml(made) == '{ kind = "short-prompts", names = ["paid"] }'
    with pytest.raises(ConfigError, match=r"names\[0\]: 'payed' is nobody in this chain \(did you mean 'paid'\?\)"):
        loaded('{ kind = "short-prompts", names = ["payed"] }')
    with pytest.raises(ConfigError, match=r"below: expected at least 1 token, got 0"):
        loaded('{ kind = "short-prompts", names = ["paid"], below = 0 }')


def test_the_examples_own_tests_pass(site: Path) -> None:
    """They are what an author copies first."""
    installed_example(site)
    source = (ROOT / "examples" / "policy-plugin" / "tests" / "test_short_prompts.py").read_text()
    tests: dict[str, object] = {}
    exec(compile(source, "test_short_prompts.py", "exec"), tests)
    small, large = tests["SMALL"], tests["LARGE"]
    for tokens, first in ((10, small), (3999, small), (4000, large), (90_000, large)):
        tests["test_short_prompts_go_to_the_small_model_first"](tokens, first)  # type: ignore[operator]
    tests["test_it_prints_as_its_toml"]()  # type: ignore[operator]
    tests["test_a_limit_of_nothing_is_refused"]()  # type: ignore[operator]


def test_the_page_for_authors_runs_as_it_is_printed(site: Path) -> None:
    """Its first block is the module, its second the test of it."""
    first, second = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (site / "mine.py").write_text(first)
    exec(compile(second, PAGE.name, "exec"), {})
    (made,) = loaded('{ kind = "mine:Last", names = ["dear"] }').chains["c"].policies
    assert to_toml(made) == '{ kind = "mine:Last", names = ["paid"] }'
