"""`hedgerow explain`: what is asked of a server, what is drawn of its answer, and how each failure ends."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
from click.testing import CliRunner, Result
from rich.console import Console
from trio.testing import MockClock

import server
from cli import demo
from cli.explain import draw
from cli.main import hedgerow
from engine import JSON, Request, need_of
from engine.config import load
from policies import Limits
from tests.cli.loopback import answering
from transports import load_catalogue

TOKEN = "t0k3n-0123456789"

#: A chain in which everything happens that a picture has to tell.
CONFIG = """
[providers.limited]
wire = "rehearsal"
scope = { kind = "concurrency", limit = 4 }
[providers.blind]
wire = "rehearsal"
[providers.blind.models.m]
tools = false
[providers.broken]
wire = "rehearsal"
[providers.steady]
wire = "rehearsal"
[providers.groq]
[chains.all]
candidates = [
  "limited/m?fault=429&retry_after=20", "groq/llama", "blind/m", "broken/m?fault=500",
  "steady/m?after_s=2", "steady/n?after_s=1",
]
policies = ["silent-skip", "require-capability", "in-order", { kind = "hedge", after_s = 0.5 }, { kind = "max-wait", s = 10 }]
[[routes]]
match = "*"
chain = "all"
"""


async def _served() -> list[JSON]:
    built = server.build(load(CONFIG, file="here", catalogue=load_catalogue(), environ={}), wall_s=lambda: 1.8e9)
    for number in (1, 2):
        body: JSON = {
            "model": "claude",
            "max_tokens": 64,
            "stream": True,
            "messages": [{"role": "user", "content": "Say something."}],
            "tools": [{"name": "Read", "input_schema": {"type": "object"}}],
        }
        raw = json.dumps(body).encode()
        need, at = need_of(body, raw), trio.current_time()
        await built.router.serve(
            Request(id=f"req_{number}", model="claude", body=body, raw=raw, need=need, accepted_at=at), demo._Listener()
        )
    told = [built.recent.explain(f"req_{number}") for number in (1, 2)]
    return [json.loads(json.dumps(account)) for account in told]


@pytest.fixture(scope="module")
def accounts() -> list[JSON]:
    """Two requests on a virtual clock: the first is refused by `limited`, the second passes it over."""
    return trio.run(_served, clock=MockClock(autojump_threshold=0))


@attrs.define(eq=False)
class Host:
    """A server that tells these accounts to whoever has the token, if there is one."""

    url: str
    accounts: list[JSON]
    token: str = ""
    says: tuple[int, bytes] | None = None
    heads: list[dict[str, str]] = attrs.field(factory=list)

    def answer(self, path: str, head: dict[str, str]) -> tuple[int, bytes]:
        if self.says is not None:
            return self.says
        if self.token and head.get("x-api-key") != self.token:
            return 401, b'{"type": "error"}'
        if path.startswith("/api/requests?"):
            return 200, json.dumps({"requests": self.accounts[::-1][:1]}).encode()
        found = [a for a in self.accounts if path == f"/api/requests/{a['id']}"]
        return (200, json.dumps(found[0]).encode()) if found else (404, b'{"type": "error"}')


@pytest.fixture
def host(accounts: list[JSON]) -> Iterator[Host]:
    found = Host("", accounts)

    def answer(path: str, head: Mapping[str, str]) -> tuple[int, bytes]:
        found.heads.append(dict(head))
        return found.answer(path, found.heads[-1])

    with answering(answer) as found.url:
        yield found


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HEDGEROW_CONFIG", "ANTHROPIC_AUTH_TOKEN", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


def run(*args: str) -> Result:
    result = CliRunner().invoke(hedgerow, ["explain", *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert TOKEN not in result.output
    return result


class TestAsking:
    """Where it goes, with what, and how it ends."""

    def test_the_last_request_is_told_where_none_is_named(self, host: Host) -> None:
        """As JSON it is what the server said, to the letter."""
        result = run("--json", "--url", host.url)
        assert result.exit_code == 0
        assert json.loads(result.stdout) == host.accounts[1]

    def test_one_is_told_by_its_id(self, host: Host) -> None:
        """Drawn: who answered stands in the first line."""
        result = run("req_1", "--url", f"{host.url}/")
        assert result.exit_code == 0
        assert result.stdout.splitlines()[0].startswith("req_1  answered by steady/n?after_s=1 after ")

    def test_the_address_is_that_of_the_configuration(self, host: Host, tmp_path: Path) -> None:
        """And the token that of its variable."""
        host.token = TOKEN
        bind = host.url.removeprefix("http://")
        (tmp_path / "team.toml").write_text(f'[server]\nbind = "{bind}"\nauth_token_env = "TEAM_TOKEN"\n')
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TEAM_TOKEN", TOKEN)
            assert run("req_1", "--config", "team.toml").exit_code == 0
        refused = run("req_1", "--config", "team.toml")
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert refused.stderr == f"hedgerow: {host.url} wants its token from TEAM_TOKEN: it is not set here\n"

    def test_the_token_is_claude_codes_by_default(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        """ANTHROPIC_AUTH_TOKEN; a wrong one is said to be wrong, and not shown."""
        host.token = TOKEN
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", TOKEN)
        assert run("--url", host.url).exit_code == 0
        host.token = "another"
        assert "ANTHROPIC_AUTH_TOKEN: the one there is another" in run("--url", host.url).stderr

    def test_an_unknown_request_ends_with_one_line_and_1(self, host: Host) -> None:
        """Whatever characters its id holds."""
        result = run("no/such?id", "--url", host.url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert (
            result.stderr == f"hedgerow: {host.url} knows no request 'no/such?id': it keeps the last 500, in memory\n"
        )

    def test_a_server_without_requests_says_so(self, host: Host) -> None:
        """It has just been started."""
        host.accounts = []
        result = run("--url", host.url)
        assert (result.exit_code, result.stderr) == (1, f"hedgerow: {host.url} has had no request yet\n")

    def test_nobody_there_ends_with_one_line_and_1(self) -> None:
        """A port that nobody has."""
        sock = server.listen("127.0.0.1", 0)
        url = server.address(sock)
        sock.close()
        result = run("--url", url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"hedgerow: nobody answers at {url}: start `hedgerow serve`")

    @pytest.mark.parametrize(
        "says", [(200, b"<html>"), (200, b"[]"), (500, b"{}"), (200, b'{"requests": 3}'), (404, b"")]
    )
    def test_what_is_no_hedgerow_is_told(self, host: Host, says: tuple[int, bytes]) -> None:
        """Something else listens on that port."""
        host.says = says
        result = run("--url", host.url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "is no hedgerow" in result.stderr
        assert len(result.stderr.splitlines()) == 1

    @pytest.mark.parametrize(
        "url", ["", "localhost:8082", "ftp://x", "http://", "http://u:p@x", "http://x:99999", "http://x?y"]
    )
    def test_a_wrong_address_ends_with_2(self, url: str) -> None:
        """With what is expected, and without what was given: there may be a password in it."""
        result = run(f"--url={url}")
        if url == "":
            return  # as not given
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "hedgerow: --url: expected an address such as http://127.0.0.1:8082\n"

    def test_a_broken_configuration_does_not_hide_a_running_server(self, host: Host, tmp_path: Path) -> None:
        """A file that is being edited: with an address of its own the command still works, without one it ends with 2."""
        (tmp_path / "config.toml").write_text("[serve")
        assert run("--url", host.url).exit_code == 0
        assert run().exit_code == 2
        assert run("--config", "config.toml", "--url", host.url).exit_code == 2


def drawn(account: JSON, width: int, *, terminal: bool = True) -> list[str]:
    out = io.StringIO()
    draw(Console(file=out, width=width, force_terminal=terminal, color_system=None, highlight=False), account)
    return out.getvalue().splitlines()


def under(lines: list[str], head: str) -> dict[str, str]:
    """Policy -> verdict of the lines below one that begins so."""
    start = next(number for number, line in enumerate(lines) if line.strip().startswith(head))
    told: dict[str, str] = {}
    for line in lines[start + 1 :]:
        if not line.startswith("     "):
            break
        name, _, text = line.strip().partition(" ")
        told[name] = text.strip()
    return told


class TestPicture:
    """One line per candidate and policy, then what happened."""

    def test_each_candidate_has_the_verdicts_on_it(self, accounts: list[JSON]) -> None:
        """Those that are asked, in their order, and those that are not, each with who said so."""
        lines = drawn(accounts[1], 200)
        assert under(lines, "1. broken") == {
            "silent-skip": "kept",
            "require-capability": "kept",
            "in-order": "kept; line 4 of the chain",
            "hedge": "next after 0.5 s; may start beside another, on the hedge budget",
        }
        assert under(lines, "2. steady/m")["limits"] == "first content within 20 s"
        assert under(lines, "-  groq") == {"unconfigured": "passed over for this request: GROQ_API_KEY is not set"}
        assert under(lines, "-  blind")["require-capability"] == "passed over for this request: no tools"
        assert under(lines, "-  limited")["silent-skip"].startswith("passed over: rate limited")
        assert under(lines, "the whole request") == {"max-wait": f"max_wait_s {Limits().max_wait_s:g} -> 10"}
        assert "  Folded again from the stored view: the same plan." in lines

    def test_what_happened_stands_below(self, accounts: list[JSON]) -> None:
        """Two models of one provider are told apart; failures in their own words."""
        text = "\n".join(drawn(accounts[0], 200))
        assert "steady/n" in text.partition("What happened")[2]
        assert "limited/m?fault=429&retry_after=20: rate limited (429): rehearsed fault '429'; not held against" in text
        assert "broken/m?fault=500: server error (500): rehearsed fault '500'\n" in f"{text}\n"

    @pytest.mark.parametrize("width", [40, 60, 80, 120])
    def test_no_line_is_wider_than_the_terminal(self, accounts: list[JSON], width: int) -> None:
        """However narrow; words go on beside their policy."""
        for account in accounts:
            assert max(map(len, drawn(account, width))) <= width

    def test_behind_a_pipe_nothing_is_cut_or_coloured(self, accounts: list[JSON]) -> None:
        """A line each, whatever the width."""
        out = io.StringIO()
        draw(Console(file=out, width=40, highlight=False), accounts[1])
        assert "\x1b" not in out.getvalue()
        assert "next after 0.5 s; may start beside another, on the hedge budget" in out.getvalue()

    def test_a_plan_that_does_not_refold_is_said(self, accounts: list[JSON]) -> None:
        """In place of the assurance."""
        account = {
            **accounts[1],
            "refolds": False,
            "refolds_not_because": "the plan of the stored view has other steps",
        }
        assert "  Folded again it is not the same: the plan of the stored view has other steps" in drawn(account, 120)

    def test_hedges_that_were_not_to_be_and_lessons_are_told(self, accounts: list[JSON]) -> None:
        """With the reason."""
        account = {
            **accounts[1],
            "hedges_denied": [{"candidate": "steady/n", "reason": "budget spent"}],
            "learned": [{"candidate": "steady/n", "max_tokens": 8192}],
        }
        text = "\n".join(drawn(account, 120))
        assert "no hedge to steady/n: budget spent" in text
        assert "learned of steady/n: max_tokens 8192" in text

    def test_who_went_on_with_a_broken_answer_is_told(self, accounts: list[JSON]) -> None:
        """Two lanes of which one failed and one won look the same when the client had seen nothing."""
        rescue = {"part": 1, "by": "steady/n", "by_attempt": 2, "from": "broken/m", "from_attempt": 1}
        account = {**accounts[1], "rescues": [{**rescue, "shown_chars": 1060, "state": "text open"}]}
        told = "2. steady/n: went on with the answer, behind 1,060 characters that the client had seen (text open)"
        assert told in "\n".join(drawn(account, 120))

    @pytest.mark.parametrize("terminal", [True, False])
    def test_a_terminal_obeys_nothing_of_what_others_wrote(self, accounts: list[JSON], *, terminal: bool) -> None:
        """A session's id, a model's name and a failure are anybody's text; a line of theirs stays one line."""
        evil = "\x1b]0;gone\x07\x1b[2J\x9b1m\u202e\r\n   1. steady/m: won"
        failed = {**accounts[0]["attempts"][0], "outcome": "failed", "failure": f"server error (500): {evil}"}
        account = {**accounts[0], "session": evil, "model": evil, "attempts": [{**failed, "candidate": f"a/{evil}"}]}
        lines = drawn(account, 400, terminal=terminal)
        assert all(character.isprintable() for line in lines for character in line)
        assert not [line for line in lines if line.startswith("   1. steady/m")]
        assert any("\\u001b]0;gone" in line for line in lines)

    def test_what_was_changed_is_told_in_one_order(self, accounts: list[JSON]) -> None:
        """An account that came over HTTP has its keys in the alphabet's."""
        came = json.loads(json.dumps(accounts[1], sort_keys=True))
        assert drawn(came, 120) == drawn(accounts[1], 120)

    def test_a_local_answer_has_no_plan(self) -> None:
        """And its picture no lanes."""
        account = {
            "id": "req_9",
            "model": "claude",
            "chain": "local",
            "resolved_by": "local answer to the quota probe",
            "session": "",
            "agent": "",
            "stream": True,
            "input_tokens_estimated": 3,
            "outcome": "answered",
            "candidate": "local/quota",
            "attempts_started": 0,
            "elapsed_s": 0.001,
            "status": 200,
            "detail": "",
            "own_policies": [],
            "local_answer": "quota",
            "skipped_at_launch": [],
            "hedges_denied": [],
            "attempts": [],
            "learned": [],
        }
        lines = drawn(account, 100)
        assert lines[0] == "req_9  answered by local/quota after 0.00 s, 0 attempts"
        assert lines[-1] == "  local      answered here, as a quota probe: nobody was asked"


def test_the_demonstrations_can_be_explained_too() -> None:
    """Every scene of `hedgerow demo` refolds, and can be drawn."""
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.echo", printed.append)
        trio.run(partial(demo._demo, True, Console()), clock=MockClock(autojump_threshold=0))
    for account in json.loads("".join(printed)):
        assert account["refolds"] is True
        assert drawn(account, 80)
