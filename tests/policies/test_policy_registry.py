"""From a name in a file to a class: ours, a single file's, or a refusal that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies import KINDS, Hedge, PolicyError, arguments, kebab, policy_class

SOURCE = '''
import attrs
from policies import Phase, Plan, Policy, View

@attrs.frozen
class Backwards(Policy):
    """The other way round."""

    phase = Phase.ORDER

    def apply(self, plan: Plan, view: View) -> Plan:
        return attrs.evolve(plan, steps=plan.steps[::-1])

not_a_policy = 3
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a user's module, which lies on the path."""
    (tmp_path / "users_policies.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return "users_policies"


def test_built_in_policies_are_named_by_their_class_in_kebab_case() -> None:
    """The names that the design lists, and no others."""
    assert set(KINDS) == {
        *("silent-skip", "require-capability", "unlimited-scope", "only", "except", "during", "spend-cap"),
        *("in-order", "least-loaded", "power-of-two", "round-robin", "weighted", "random"),
        *("fastest", "cheapest", "highest-throughput", "most-headroom", "fewest-tool-errors", "sticky"),
        *("sequence", "hedge", "race"),
        *("max-attempts", "max-in-flight", "max-wait", "deadline", "first-content-timeout", "idle-timeout"),
        "retry",
        *("commit-at", "rescue", "on-failure"),
    }
    for kind, cls in KINDS.items():
        assert kebab(cls.__name__) == cls.kind() == kind
        assert policy_class(kind) is cls


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("least-lodaed", "least-loaded"),
        ("LeastLoaded", "least-loaded"),
        ("hegde", "hedge"),
        ("silent_skip", "silent-skip"),
        ("stiky", "sticky"),
    ],
)
def test_an_unknown_policy_is_refused_with_the_nearest_name(typo: str, meant: str) -> None:
    """Spelt wrongly, in another case, with another hyphen."""
    with pytest.raises(PolicyError, match=rf"unknown policy '{typo}' \(did you mean '{meant}'\?\); available: silent"):
        policy_class(typo)


def test_a_name_near_nothing_gets_the_list() -> None:
    """No guess is better than a wild one."""
    with pytest.raises(PolicyError, match=r"unknown policy 'xyzzy'; available: silent-skip, .*commit-at"):
        policy_class("xyzzy")


def test_arguments_are_the_fields_without_a_trailing_underscore() -> None:
    """`for` is a keyword in Python and none in TOML."""
    assert list(arguments(KINDS["unlimited-scope"])) == ["for"]
    assert list(arguments(Hedge)) == [
        *("after_s", "after", "at_least", "at_most", "floor_s", "ceiling_s", "cold_s"),
        *("extra_load", "paid", "second_usd", "warm"),
    ]
    assert list(arguments(KINDS["sequence"])) == []


def test_a_policy_of_a_users_file_loads_by_module_and_class(module: str) -> None:
    """`module:Class`, and it is a policy like ours."""
    cls = policy_class(f"{module}:Backwards")
    assert cls.kind() == "backwards"
    assert cls.__module__ == module


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("users_policies:Sideways", "policy 'users_policies:Sideways' cannot be loaded: .*Sideways"),
        ("no_such_module:Policy", "policy 'no_such_module:Policy' cannot be loaded: No module named 'no_such_module'"),
        (":Backwards", "cannot be loaded"),
        ("users_policies:", "cannot be loaded"),
        (".users_policies:Backwards", "cannot be loaded"),
        ("users_policies:not_a_policy", "'users_policies:not_a_policy' is not a policy: expected a subclass"),
        ("policies:Plan", "'policies:Plan' is not a policy"),
        ("policies:Policy", "'policies:Policy' is not a policy"),
    ],
)
@pytest.mark.usefixtures("module")
def test_what_cannot_be_loaded_is_refused_with_the_cause(kind: str, message: str) -> None:
    """Always a PolicyError: it stands beside the file's other errors, never as a traceback."""
    with pytest.raises(PolicyError, match=message):
        policy_class(kind)


@pytest.mark.parametrize("source", ["raise RuntimeError('no licence')", "def broken(:", "import no_such_module"])
def test_a_users_module_that_breaks_on_import_is_refused_with_the_cause(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises is somebody else's code's doing and a fact about the configuration."""
    (tmp_path / "broken_policies.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PolicyError, match="policy 'broken_policies:Backwards' cannot be loaded: "):
        policy_class("broken_policies:Backwards")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Hedge", "hedge"),
        ("LeastLoaded", "least-loaded"),
        ("PowerOfTwo", "power-of-two"),
        ("Top3Random", "top3-random"),
    ],
)
def test_kebab_case(name: str, expected: str) -> None:
    """A hyphen where a capital follows a small letter or a digit."""
    assert kebab(name) == expected
