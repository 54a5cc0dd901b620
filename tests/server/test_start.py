"""Starting: what a person is shown, and one line with exit code 2 for whatever is in the way."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import attrs
import httpx
import pytest
from click.testing import CliRunner
from rich.console import Console

import server
from cli.banner import show_banner
from cli.main import hedgerow
from engine.config import AUTO, Chain, Config, Provider, Secret
from policies import Candidate
from tests.e2e.proxy import running_proxy
from tests.routes.asgi_driver import rehearsing

#: Real processes and real waits.
pytestmark = pytest.mark.long

SERVER = Path(server.__file__)
TOKEN, KEY = "planted-token-8f2a", "sk-planted-key-77c1"
ROUTE = '[[routes]]\nmatch = "*"\nchain = "auto"\n'


def start(
    folder: Path, *arguments: str, config: str | None = ROUTE, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the real process to its end, in a folder of its own with only these variables."""
    if config is not None:
        (folder / "config.toml").write_text(config)
    return subprocess.run(
        [sys.executable, str(SERVER), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **(env or {})},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The only line it printed, on standard error, with exit code 2."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


class TestRefusals:
    """Each costs a process, so each stands for its kind; the kinds are tried one by one below, without one."""

    def test_a_port_that_is_taken_is_one_line(self, tmp_path: Path) -> None:
        """Which port, and the way out."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            line = one_line(start(tmp_path, "--bind", f"127.0.0.1:{port}"))
        assert str(port) in line
        assert "--bind" in line

    def test_an_open_address_without_a_token_is_refused(self, tmp_path: Path) -> None:
        """Whoever reaches an open proxy spends its owner's keys."""
        line = one_line(start(tmp_path, "--bind", "0.0.0.0:0"))
        for word in ("0.0.0.0", "ANTHROPIC_AUTH_TOKEN", "127.0.0.1", "insecure"):
            assert word in line

    def test_an_address_that_is_none_is_refused(self, tmp_path: Path) -> None:
        """With an example of one."""
        line = one_line(start(tmp_path, "--bind", "8082"))
        assert "127.0.0.1:8082" in line
        assert "'8082'" in line

    def test_a_configuration_that_is_missing_is_refused(self, tmp_path: Path) -> None:
        """And it is said where the name came from."""
        line = one_line(start(tmp_path, config=None, env={"HEDGEROW_CONFIG": "nowhere.toml"}))
        assert "nowhere.toml" in line
        assert "HEDGEROW_CONFIG" in line

    def test_a_configuration_with_mistakes_is_refused(self, tmp_path: Path) -> None:
        """With every mistake's line, and without starting."""
        done = start(tmp_path, config='[server]\nbnd = "x"\n' + ROUTE)
        assert (done.returncode, done.stdout) == (2, "")
        assert "config.toml:2" in done.stderr
        assert "Traceback" not in done.stderr


class TestBind:
    @pytest.mark.parametrize(
        "bind", ["", ":", "8082", ":8082", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "a:65536", "a:-1", "a:²", "a:8 2"]
    )
    def test_takes_an_address_and_a_port_only(self, bind: str) -> None:
        """Everything else is refused before anything is opened."""
        with pytest.raises(server.StartError, match="HOST:PORT"):
            server.bound(rehearsing(), bind)

    @pytest.mark.parametrize(
        ("bind", "host", "port"),
        [("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:8082", "::1", 8082), ("localhost:65535", "localhost", 65535)],
    )
    def test_overrules_the_file(self, bind: str, host: str, port: int) -> None:
        """Brackets of an IPv6 address are not part of it."""
        bound = server.bound(rehearsing(), bind).server
        assert (bound.host, bound.port) == (host, port)

    @pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "10.1.2.3", "example.org"])
    def test_wants_a_token_or_a_word_where_others_can_reach_it(self, host: str) -> None:
        """Either will do."""
        config = rehearsing()
        with pytest.raises(server.StartError, match="insecure"):
            server.bound(config, f"{host}:8082")
        for change in ({"insecure": True}, {"token": Secret(TOKEN, source="T")}):
            allowed = attrs.evolve(config, server=attrs.evolve(config.server, **change))
            assert server.bound(allowed, f"{host}:8082").server.port == 8082

    @pytest.mark.parametrize("host", ["..", "a" * 70, "no such host", "192.0.2.1", "host.invalid", "ü..ü"])
    def test_says_what_cannot_be_listened_on(self, host: str) -> None:
        """In a line, whatever the system's words for it are."""
        with pytest.raises(server.StartError, match="cannot listen on") as told:
            server.listen(host, 0)
        assert "\n" not in str(told.value)

    @pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
    def test_of_every_kind_has_a_url(self) -> None:
        """As a client on this machine writes it."""
        for host, shown in [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")]:
            with server.listen(host, 0) as sock:
                assert server.address(sock) == f"http://{shown}:{sock.getsockname()[1]}"


def banner(config: Config, url: str = "http://127.0.0.1:8082") -> str:
    """What is printed where standard output is no terminal."""
    out = io.StringIO()
    show_banner(Console(file=out, highlight=False, soft_wrap=True), config, url, "1.2.3")
    return out.getvalue()


class TestBanner:
    def config(self) -> Config:
        keyed = Provider(
            id="keyed", keys_env=("K",), keys=(Secret(KEY, source="K"), Secret(KEY + "2", source="K")), named=True
        )
        empty = Provider(id="empty", named=True, unusable_because="EMPTY_API_KEY is not set")
        rest = [Provider(id=f"known{n}", unusable_because="no key") for n in range(6)]
        config = rehearsing()
        return attrs.evolve(
            config,
            providers={**config.providers, **{p.id: p for p in (keyed, empty, *rest)}},
            chains={**config.chains, AUTO: Chain(name=AUTO, candidates=(Candidate("keyed", "m"),))},
            server=attrs.evolve(config.server, token=Secret(TOKEN, source="ANTHROPIC_AUTH_TOKEN")),
            warnings=("extra_load is not below 1 - quantile [bold]",),
            file="team.toml",
        )

    def test_says_where_who_who_not_and_what_to_type(self) -> None:
        """Address, file, usable, not usable with the reason, warnings, and two lines to paste."""
        shown = banner(self.config())
        lines = shown.splitlines()
        assert lines[0] == "hedgerow 1.2.3 is listening on http://127.0.0.1:8082"
        assert "  usable         keyed (2 keys)" in lines
        assert "  not usable     empty: EMPTY_API_KEY is not set" in lines
        assert "6 more that the catalogue knows (known0, known1, known2, known3, ...)" in shown
        assert "  warning        extra_load is not below 1 - quantile [bold]" in lines
        assert lines[-3:-1] == [
            "  export ANTHROPIC_BASE_URL=http://127.0.0.1:8082 ANTHROPIC_AUTH_TOKEN=$ANTHROPIC_AUTH_TOKEN",
            "  claude",
        ]

    def test_says_which_chain_nobody_would_answer(self) -> None:
        """Each request to it would fail; what its first candidate wants is said. Half a chain is no reason."""
        config = self.config()
        empty, keyed = Candidate("empty", "m"), Candidate("keyed", "m")
        chains = {name: Chain(name=name, candidates=c) for name, c in {"c": (empty,), "d": (empty, keyed)}.items()}
        shown = banner(attrs.evolve(config, chains={**config.chains, **chains}))
        closed = "chain c: nobody in it can be asked (empty/m: EMPTY_API_KEY is not set)"
        assert [line for line in shown.splitlines() if "nobody in it" in line] == [f"  warning        {closed}"]

    def test_shows_no_secret(self) -> None:
        """The variable is named; neither the token nor a key is in it."""
        shown = banner(self.config())
        assert TOKEN not in shown
        assert KEY not in shown

    def test_says_that_nobody_real_will_answer(self) -> None:
        """And what to do about it."""
        shown = banner(rehearsing())
        assert "rehearsal" in shown
        assert "OPENROUTER_API_KEY" in shown
        assert "ANTHROPIC_AUTH_TOKEN=hedgerow" in shown

    @pytest.mark.parametrize("url", ["http://[::1]:8082", "http://[fe80::1]:8082"])
    def test_shows_any_address_as_it_is(self, url: str) -> None:
        """Brackets are no markup."""
        assert banner(rehearsing(), url).count(url) == 2

    def test_colours_only_a_terminal(self) -> None:
        """A file or a pipe gets plain text."""
        assert "\x1b" not in banner(self.config())


class TestHelp:
    @pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["serve", "--help"], ["serve", "-h"]])
    def test_shows_what_to_type(self, arguments: list[str]) -> None:
        """Examples as they are typed, each on a line of its own."""
        done = CliRunner().invoke(hedgerow, arguments, prog_name="hedgerow", terminal_width=80)
        assert done.exit_code == 0
        assert any(line.strip().startswith("hedgerow serve") for line in done.output.splitlines())

    def test_of_serve_names_every_option_and_default(self) -> None:
        """Where the configuration is looked for, and where it listens."""
        shown = " ".join(CliRunner().invoke(hedgerow, ["serve", "--help"]).output.split())
        for part in ("--config FILE", "--bind HOST:PORT", "127.0.0.1:8082", "HEDGEROW_CONFIG", "--log-level"):
            assert part in shown

    def test_an_unknown_option_is_exit_code_2(self) -> None:
        """As is anything else that is wrong with the command line."""
        assert CliRunner().invoke(hedgerow, ["serve", "--port", "1"]).exit_code == 2
        assert CliRunner().invoke(hedgerow, ["sevre"]).exit_code == 2

    def test_the_version_is_the_distributions(self) -> None:
        """One source for it."""
        done = CliRunner().invoke(hedgerow, ["--version"], prog_name="hedgerow")
        assert done.output == f"hedgerow, version {server.product_version()}\n"


async def test_a_process_with_secrets_prints_none_of_them() -> None:
    """Neither the token nor a key, on either stream, with requests served and refused."""
    config = (
        '[providers.keyed]\nwire = "anthropic"\nbase_url = "http://127.0.0.1:9"\nkeys_env = "PLANTED_KEY"\n'
        '[chains.once]\ncandidates = ["keyed/m"]\npolicies = ["sequence"]\n'
        '[[routes]]\nmatch = "*"\nchain = "once"\n'
    )
    env = {"ANTHROPIC_AUTH_TOKEN": TOKEN, "PLANTED_KEY": KEY}
    async with running_proxy(config, env) as proxy:
        for token in (TOKEN, "wrong"):
            done = await _asked(proxy.base_url, token)
            assert TOKEN not in done
            assert KEY not in done
    assert "usable         keyed" in proxy.stdout
    assert "$ANTHROPIC_AUTH_TOKEN" in proxy.stdout
    assert "401" in proxy.stderr
    for printed in (proxy.stdout, proxy.stderr):
        assert TOKEN not in printed
        assert KEY not in printed


async def _asked(base_url: str, token: str) -> str:
    """A turn that must fail, and at once: nobody listens on the provider's port, and its chain does not try again."""
    body = {"model": "keyed/m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        reply = await client.post(f"{base_url}/v1/messages", json=body, headers={"x-api-key": token})
    return f"{reply.status_code} {reply.headers} {reply.text}"


def test_an_open_address_starts_when_told_that_the_network_keeps_others_out(tmp_path: Path) -> None:
    """`insecure = true`, listening on every address; the one shown is this machine's own."""
    (tmp_path / "config.toml").write_text('[server]\nbind = "0.0.0.0:0"\ninsecure = true\n' + ROUTE)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    child = subprocess.Popen([sys.executable, str(SERVER)], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        assert "is listening on http://127.0.0.1:" in child.stdout.readline()
    finally:
        child.terminate()
        child.communicate(timeout=20)
    assert child.returncode == 0


@pytest.mark.real
def test_a_hypercorn_of_ones_own_serves_the_application(tmp_path: Path) -> None:
    """`hypercorn -k trio "server:create_app()"`, as the documentation has it."""
    (tmp_path / "config.toml").write_text(ROUTE)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        os.set_inheritable(listening.fileno(), True)
        bind = f"fd://{listening.fileno()}"
        child = subprocess.Popen(
            [sys.executable, "-m", "hypercorn", "-k", "trio", "--bind", bind, "server:create_app()"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(SERVER.parent)},
            pass_fds=[listening.fileno()],
            stderr=subprocess.PIPE,
        )
        try:
            with socket.create_connection(listening.getsockname(), timeout=30) as sock:
                body = b'{"model":"m","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"x"}]}'
                head = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                sock.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
                answer = b""
                while data := sock.recv(65536):
                    answer += data
        finally:
            child.terminate()
            _, printed = child.communicate(timeout=20)
    assert answer.startswith(b"HTTP/1.1 200"), printed
    assert b"message_stop" in answer
    assert b"rehearsal" in answer
