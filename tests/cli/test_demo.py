"""The demonstration: real races on a virtual clock, their accounts and their pictures."""

from __future__ import annotations

import io
import json
from functools import partial

import pytest
import trio
from click.testing import CliRunner
from rich.console import Console
from trio.testing import MockClock

from cli import demo as module
from cli.main import hedgerow
from cli.timeline import timeline
from engine import JSON, Failure
from policies import FailureKind


@pytest.fixture(scope="module")
def accounts() -> list[JSON]:
    """What `hedgerow demo --json` prints, in no time."""
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.echo", printed.append)
        trio.run(partial(module._demo, True, Console()), clock=MockClock(autojump_threshold=0))
    told: list[JSON] = json.loads("".join(printed))
    return told


def outcomes(account: JSON) -> dict[str, str]:
    return {a["candidate"].partition("/")[0]: a["outcome"] for a in account["attempts"]}


def test_each_scene_shows_what_its_remark_says(accounts: list[JSON]) -> None:
    """Sequence, hedge, no hedge, race, rate limit, silent skip."""
    assert [outcomes(account) for account in accounts] == [
        {"failing": "failed", "steady": "won"},
        {"slow": "lost", "steady": "won"},
        {"steady": "won"},
        {"slow": "lost", "steady": "won", "failing": "failed"},
        {"limited": "failed", "steady": "won"},
        {"steady": "won"},
    ]
    (skip,) = accounts[-1]["plan"]["skipped"]
    assert (skip["by"], skip["kind"]) == ("silent-skip", "soft")


def test_the_times_are_those_of_the_scripts(accounts: list[JSON]) -> None:
    """On a virtual clock every number is exact: the hedge at 0.8 s, its content 0.4 s and one gap later."""
    slow, steady = accounts[1]["attempts"]
    assert (slow["started_s"], steady["started_s"]) == (0.0, 0.8)
    assert steady["first_content_s"] == pytest.approx(0.8 + 0.4 + 2 * 0.025)
    assert slow["ended_s"] == steady["committed_s"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_pictures_fit_the_terminal(width: int) -> None:
    """No line is longer than the terminal is wide, and every lane ends in words."""
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False)
    trio.run(partial(module._demo, False, console), clock=MockClock(autojump_threshold=0))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "cancelled after" in text
    assert "passed over: rate limited" in text
    assert text.splitlines()[-1] == "Now start the proxy: uv run server.py, or hedgerow serve"


@pytest.mark.parametrize("width", [70, 80, 100])
def test_each_lane_is_one_line(accounts: list[JSON], width: int) -> None:
    """In every scene, whatever became of the attempt: a line that is broken in two is no picture."""
    for account in accounts:
        lines = list(timeline(account, width=width))
        assert max(line.cell_len for line in lines) <= width
        for attempt, line in zip(account["attempts"], lines, strict=False):
            assert line.plain.endswith((" ms", " ms (reset)", " ms (500)", " ms (429)"))
            assert f"at {attempt['started_s']:.2f} s: " in line.plain


@pytest.mark.parametrize("kind", FailureKind)
def test_each_failure_has_room(accounts: list[JSON], kind: FailureKind) -> None:
    """The longest words there are, and a time of a minute, at 80 columns."""
    failing, steady = accounts[0]["attempts"]
    for status in (None, 500):
        failure = str(Failure(kind=kind, message="at length", status=status))
        attempts = [{**failing, "failure": failure, "ended_s": 60.0}, {**steady, "started_s": 60.0, "ended_s": 61.0}]
        lines = list(timeline({**accounts[0], "attempts": attempts}, width=80))
        assert max(line.cell_len for line in lines) <= 80
        assert str(status or kind.value) in lines[0].plain


@pytest.mark.parametrize("scene", module.SCENES)
def test_each_remark_is_one_line(scene: module.Scene) -> None:
    """Indented by three, at 80 columns."""
    assert len(scene.remark) + 3 <= 80


def test_help_has_examples() -> None:
    """A person who asks for help sees what to type."""
    for command in ("demo", "serve"):
        result = CliRunner().invoke(hedgerow, [command, "--help"])
        assert result.exit_code == 0
        assert "Examples:" in result.output


def test_the_version_is_told() -> None:
    """`--version` prints name and number."""
    result = CliRunner().invoke(hedgerow, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("hedgerow, version ")
