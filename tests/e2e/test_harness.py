"""The harness itself: it starts and ends a child properly, and says what went wrong when it cannot."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from . import proxy
from .children import free_port, python_child
from .errors import lone_errors_bare
from .proxy import ProxyFailedError, configuration, pair, running_proxy
from .raw import raw_turn
from .upstream import Upstream

BANNER = "print('Listening on http://127.0.0.1:4321 now', flush=True)\n"
OBEDIENT = f"import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n{BANNER}time.sleep(60)\n"


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends its children by POSIX signals")

Pretend = Callable[[str], None]


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Sets the program that is started in place of the proxy."""
    file = tmp_path / "server.py"
    monkeypatch.setattr(proxy, "SERVER", file)

    def write(program: str) -> None:
        file.write_text(program)

    return write


def exists(pid: int) -> bool:
    """Whether a process of this id is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_address_is_read_from_the_banner_and_the_child_is_ended(pretend: Pretend) -> None:
    """By SIGTERM, which it obeys."""
    pretend(OBEDIENT)
    async with running_proxy("") as running:
        assert running.base_url == "http://127.0.0.1:4321"
        assert exists(running.pid)
    assert not exists(running.pid)


async def test_the_child_gets_the_configuration_and_no_foreign_environment(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its arguments name the file; a key of the developer's stays outside."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "developer")
    report = (
        "import os, pathlib, sys\n"
        "print(pathlib.Path(sys.argv[2]).read_text(), sys.argv[1:4:2], sys.argv[4])\n"
        "print(os.environ.get('ANTHROPIC_API_KEY'), os.environ['EXTRA'])\n"
    )
    pretend(report + OBEDIENT)
    async with running_proxy("# the file", {"EXTRA": "more"}) as running:
        assert running.stdout.startswith("# the file ['--config', '--bind'] 127.0.0.1:0\nNone more\n")


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("sys.exit(3)", "printed no address"),
        (f"{BANNER}time.sleep(60)", "stopped with -15"),
        (f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{BANNER}time.sleep(60)", "did not stop on SIGTERM"),
        (f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))\n{BANNER}time.sleep(60)", "stopped with 4"),
    ],
    ids=["does not start", "dies of the signal", "ignores the signal", "ends with an error"],
)
async def test_a_child_that_misbehaves_is_reported_with_its_output_and_ended(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch, ending: str, message: str
) -> None:
    """At start or at stop."""
    monkeypatch.setattr(proxy, "_STOP_S", 0.5)
    pretend(f"import signal, sys, time\nprint('its last words', file=sys.stderr, flush=True)\n{ending}\n")
    with pytest.raises(ProxyFailedError, match=message) as caught:
        async with running_proxy(""):
            pass
    assert "its last words" in caught.value.__notes__[0]


async def test_a_failure_inside_the_block_is_annotated_with_the_proxys_output(pretend: Pretend) -> None:
    """So that a failed assertion shows what the proxy said."""
    pretend(OBEDIENT)
    with pytest.raises(ValueError, match="the test's own") as caught:
        async with running_proxy(""):
            raise ValueError("the test's own")
    assert "Listening on" in caught.value.__notes__[0]


def test_the_configuration_is_what_the_documentation_shows() -> None:
    """Two providers, one chain, one route."""
    assert pair("http://a", "http://b", '{ kind = "max-wait", s = 0 }') == (
        '[providers.first]\nwire = "anthropic"\nbase_url = "http://a"\n\n\n'
        '[providers.second]\nwire = "anthropic"\nbase_url = "http://b"\n\n\n'
        '[chains.main]\ncandidates = ["first/claude-sonnet-5-5", "second/claude-sonnet-5-5"]\n'
        'policies = ["silent-skip", "in-order", "sequence", { kind = "max-wait", s = 0 }]\n\n'
        '[[routes]]\nmatch = "*"\nchain = "main"\n'
    )
    both = pair("http://a", "http://b", wires=["anthropic", "openai-chat"])
    assert 'wire = "anthropic"\nbase_url = "http://a"' in both
    assert 'wire = "openai-chat"\nbase_url = "http://b/v1"' in both
    assert 'scope = "unlimited"\n' in configuration({"a": "http://a"}, ["a/m"], settings='scope = "unlimited"\n')


def test_only_a_lone_error_is_taken_out_of_its_group() -> None:
    """Two that happened together stay together."""
    lone = ValueError("lone")
    with pytest.raises(ValueError, match="lone"), lone_errors_bare():
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [lone])])
    with pytest.raises(ExceptionGroup, match="both"), lone_errors_bare():
        raise ExceptionGroup("both", [lone, KeyError("other")])


async def test_a_helper_program_that_does_not_start_is_reported(tmp_path: Path) -> None:
    """With what it printed."""
    program = tmp_path / "broken.py"
    program.write_text("raise SystemExit('no such folder')")
    with pytest.raises(RuntimeError, match="no such folder"):
        async with python_child([str(program)], tmp_path / "log", f"http://127.0.0.1:{free_port()}/"):
            pass


async def test_the_upstream_runs_as_a_program(tmp_path: Path) -> None:
    """`python -m` from the root of the repository, ready on the port it was given."""
    port = free_port()
    root = Path(__file__).parents[2]
    start = f"sys.path.insert(0, {str(root)!r}); runpy.run_module('tests.e2e.upstream', run_name='__main__')"
    command = ["-c", f"import runpy, sys; {start}", "--port", str(port), "--fault", "429"]
    async with python_child(command, tmp_path / "log", f"http://127.0.0.1:{port}/v1/models"):
        async with raw_turn(f"http://127.0.0.1:{port}", "[[say x]]") as turn:
            assert await turn.more()
    assert turn.status == 429


async def test_the_raw_client_shows_what_came_and_when(upstream: Upstream) -> None:
    """Status, headers, bytes, and a time for each piece."""
    upstream.fault = "slow:0.1"
    async with raw_turn(upstream.base_url, "[[say one two]]") as turn:
        while await turn.more():
            pass
    assert (turn.status, turn.reading().text, turn.reading().faults) == (200, "one two", [])
    assert turn.arrivals[0] < 0.1 <= turn.arrivals[-1]
