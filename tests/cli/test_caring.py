"""`hedgerow providers reset` and its kin: what is posted, what is said of the answer, and how each failure ends."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result

from cli.main import hedgerow
from engine import JSON
from tests.cli.loopback import answering

TOKEN = "t0k3n-0123456789"
WELL: JSON = {"breaker": "closed", "back_in_s": 0.0, "reason": ""}
OUT: JSON = {"breaker": "open", "back_in_s": 29.6, "reason": "4 failures in a row, last: server error"}
ROW: JSON = {"stance": "enabled", "usable": True, "healthy": True, "as_a_whole": WELL, "models": {"m": WELL}}


@attrs.define(eq=False)
class Host:
    """A server on loopback that answers every POST alike. `posted` are path and token of each."""

    url: str = ""
    status: int = 200
    answer: Any = None
    posted: list[tuple[str, str | None]] = attrs.field(factory=list)


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host(answer=ROW)

    def answer(path: str, head: Mapping[str, str]) -> tuple[int, bytes]:
        made.posted.append((path, head.get("x-api-key")))
        return made.status, json.dumps(made.answer).encode()

    with answering(answer) as made.url:
        yield made


def run(host: Host, *args: str) -> Result:
    environ = {"ANTHROPIC_AUTH_TOKEN": TOKEN, "HEDGEROW_CONFIG": ""}
    return CliRunner().invoke(hedgerow, ["providers", *args, "--url", host.url], env=environ)


@pytest.mark.parametrize("verb", ["reset", "enable"])
def test_each_verb_is_one_post_with_the_token(host: Host, verb: str) -> None:
    """To the door of its name; a provider's id is quoted."""
    done = run(host, verb, "g/q")
    assert (done.exit_code, done.stdout) == (0, "g/q: enabled, healthy\n")
    assert host.posted == [(f"/providers/g%2Fq/{verb}", TOKEN)]


def test_what_still_speaks_against_it_is_said(host: Host) -> None:
    """Each row that is not closed, with its reason."""
    host.answer = {**ROW, "stance": "draining", "healthy": False, "models": {"m": OUT, "n": WELL}}
    done = run(host, "drain", "groq")
    assert done.stdout == "groq: draining, m open for 30 s (4 failures in a row, last: server error)\n"
    assert json.loads(run(host, "drain", "groq", "--json").stdout) == host.answer


@pytest.mark.parametrize(
    ("told", "line", "code"),
    [
        ({"ok": True, "elapsed_s": 0.42, "failure": None}, "groq/m: answered in 0.4 s\n", 0),
        ({"ok": False, "elapsed_s": 1.0, "failure": "server error (500)"}, "groq/m: failed: server error (500)\n", 1),
    ],
)
def test_a_test_says_what_came_of_it(host: Host, told: JSON, line: str, code: int) -> None:
    """And fails where it failed; the model's name is quoted."""
    host.answer = {"candidate": "groq/m", **told}
    done = run(host, "test", "groq", "--model", "org/m:free")
    assert (done.stdout, done.exit_code) == (line, code)
    assert host.posted == [("/providers/groq/test?model=org%2Fm%3Afree", TOKEN)]


def test_a_refusal_is_told_in_the_servers_words(host: Host) -> None:
    """One line, and exit code 1."""
    host.status, host.answer = 404, {"type": "error", "error": {"message": "no provider 'x' is configured"}}
    done = run(host, "reset", "x")
    assert (done.exit_code, done.stderr) == (1, f"hedgerow: {host.url}: no provider 'x' is configured\n")


def test_what_is_no_hedgerow_is_said_to_be_none(host: Host) -> None:
    """Some other server on that port."""
    host.status, host.answer = 502, "text"
    done = run(host, "reset", "x")
    assert (done.exit_code, "is no hedgerow" in done.stderr) == (1, True)


def test_nobody_there_is_said_with_what_to_do() -> None:
    """Start one, or name another address."""
    done = run(Host(url="http://127.0.0.1:9"), "reset", "x")
    assert (done.exit_code, "start `hedgerow serve`" in done.stderr) == (1, True)
