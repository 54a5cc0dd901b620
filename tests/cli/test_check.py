"""`hedgerow check`: what is printed of a configuration, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.check import _sample
from cli.main import hedgerow
from engine.config import Route, load
from transports import load_catalogue

pytestmark = pytest.mark.usefixtures("_nothing_local")

CONFIG = """
[providers.near]
wire = "rehearsal"
[providers.far]
wire = "rehearsal"
[providers.groq]

[chains.quick]
candidates = ["near/a", "far/b", "groq/llama"]
policies = [{ kind = "max-attempts", n = 3 }, { kind = "race", width = 2 }, "least-loaded", "in-order", "silent-skip"]

[chains.keyless]
candidates = ["groq/llama"]

[[routes]]
match = "*haiku*"
chain = "quick"
"""
DEAD = '[[routes]]\nmatch = "dead"\nchain = "keyless"\n'


def run(text: str, *args: str, **environ: str) -> Result:
    Path("team.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.environ", {"HOME": ".", **environ})
        result = CliRunner().invoke(hedgerow, ["check", "--config", "team.toml", *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def as_json(text: str, *args: str, **environ: str) -> Any:
    return json.loads(run(text, "--json", *args, **environ).stdout)


def test_a_route_shows_the_plan_that_it_would_make_now() -> None:
    """Who is asked, who is not and why, what the race does."""
    result = run(CONFIG)
    assert result.exit_code == 0
    (told,) = as_json(CONFIG)["routes"]
    assert (told["route"], told["chain"], told["resolved_by"]) == ("*haiku*", "quick", "route '*haiku*'")
    assert [(s["candidate"], s["patience_s"]) for s in told["plan"]["steps"]] == [("near/a", 0.0), ("far/b", None)]
    (skip,) = told["plan"]["skipped"]
    assert (skip["candidate"], skip["by"], skip["reason"]) == ("groq/llama", "unconfigured", "GROQ_API_KEY is not set")
    assert told["refolds"] is True
    assert "route '*haiku*' -> chain quick" in result.stdout
    assert "passed over for this request: GROQ_API_KEY is not set" in result.stdout


def test_the_effective_order_is_shown() -> None:
    """By phase, the first written order policy last: it decides."""
    told = as_json(CONFIG)["chains"]["quick"]
    assert [(p["phase"], p["policy"]) for p in told["effective_order"]] == [
        ("select", '"silent-skip"'),
        ("order", '"in-order"'),
        ("order", '"least-loaded"'),
        ("pace", '"race"'),
        ("limits", '{ kind = "max-attempts", n = 3 }'),
    ]
    assert told["policies"][0] == '{ kind = "max-attempts", n = 3 }'
    shown = run(CONFIG).stdout
    assert shown.index('order    "in-order"') < shown.index('order    "least-loaded"') < shown.index('pace     "race"')


def test_a_key_that_is_set_changes_the_plan() -> None:
    """And is nowhere in what is printed."""
    result = run(CONFIG, "--json", GROQ_API_KEY="gsk_0123456789")
    assert "gsk_" not in result.output
    (told,) = json.loads(result.stdout)["routes"]
    assert [s["candidate"] for s in told["plan"]["steps"]] == ["near/a", "far/b", "groq/llama"]


def test_a_route_with_nobody_to_ask_ends_with_1() -> None:
    """The file is valid; requests would be refused."""
    result = run(CONFIG + DEAD)
    assert result.exit_code == 1
    assert "route 'dead' -> chain keyless: nobody can be asked" in result.stdout


def test_a_name_is_followed() -> None:
    """`--model` takes any that a request may carry."""
    assert (
        "model 'claude-haiku-4-5' -> chain quick (route '*haiku*')" in run(CONFIG, "--model", "claude-haiku-4-5").stdout
    )
    (told,) = as_json(CONFIG, "--model", "near/x")["routes"]
    assert (told["route"], told["name"], told["resolved_by"]) == (None, "near/x", "provider/model")


def test_a_name_that_means_nothing_ends_with_1() -> None:
    """With the names that would."""
    result = run(CONFIG, "--model", "nobody")
    assert result.exit_code == 1
    assert "model 'nobody': nothing answers to the model 'nobody'" in result.stdout


def test_a_wrong_configuration_ends_with_2() -> None:
    """In the loader's words, all of them, and nothing on standard output."""
    result = run(CONFIG.replace('"least-loaded"', '"least-lodaed"').replace("width = 2", "width = 1"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'least-loaded'?" in result.stderr
    assert "expected at least 2, got 1" in result.stderr


def test_a_policy_that_raises_is_named_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a traceback, and the other routes are shown as ever."""
    lines = ["import attrs", "from policies import NoHedge", "@attrs.frozen", "class Mistaken(NoHedge):"]
    lines += ["    def apply(self, plan, view):", "        raise KeyError('not told')"]
    (tmp_path / "mistaken_policy.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    result = run(CONFIG.replace('"in-order"', '"in-order", { kind = "mistaken_policy:Mistaken" }'))
    assert result.exit_code == 1
    assert "route '*haiku*': a policy of its chain raises KeyError at mistaken_policy.py:6" in result.stdout
    assert "not told" not in result.output


def test_warnings_are_shown_and_no_failure() -> None:
    """What is allowed and hardly meant."""
    result = run(CONFIG.replace('{ kind = "race", width = 2 }', '{ kind = "hedge", extra_load = 0.01 }'))
    assert result.exit_code == 0
    assert "team.toml: valid, 1 warning\n" in result.stdout
    assert "the budget will refuse some hedges" in result.stdout


def test_a_script_that_cannot_be_played_is_remarked_on() -> None:
    """A typo in a rehearsal is a 400 to a client, who has not written the file."""
    result = run('[chains.c]\ncandidates = ["rehearsal/echo?falt=cut"]\n\n[[routes]]\nmatch = "*"\nchain = "c"\n')
    assert "chains.c: 'rehearsal/echo?falt=cut' will be answered with 400: 'falt' is no part" in result.stdout
    assert "known: after_s, fault" in result.stdout


def test_a_bare_machine_answers_by_the_rehearsal() -> None:
    """Nothing set, nothing written."""
    told = as_json("")
    assert [s["candidate"] for s in told["routes"][0]["plan"]["steps"]] == ["rehearsal/echo"]


@pytest.mark.parametrize(
    ("match", "sample"),
    [
        ("*", "claude"),
        ("*haiku*", "haiku"),
        ("gpt-5", "gpt-5"),
        ("a?[b-d]*", "axb"),
        ("quick*", "quickclaude"),
        ("[!a-c]y[7-9]", "dy7"),
    ],
)
def test_each_route_is_given_a_name_that_it_matches(match: str, sample: str) -> None:
    """One that is not a chain's or a candidate's by itself."""
    config = load(CONFIG, file="x", catalogue=load_catalogue(), environ={})
    assert _sample(config, Route(match=match, chain="quick")) == sample
    assert Route(match=match, chain="quick").matches(sample)


def test_help_has_examples() -> None:
    """For both commands."""
    for command in ("check", "explain"):
        result = CliRunner().invoke(hedgerow, [command, "--help"])
        assert result.exit_code == 0
        assert "Examples:" in result.output
        assert "Exit codes:" in result.output
