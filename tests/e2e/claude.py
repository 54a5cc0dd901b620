"""Run the real Claude Code, headless, in an empty environment, and read what it reports.

The machine's own Claude Code must not be used as it stands: its settings, credentials and memory would leak into the
test, and the test into them. Each `ClaudeCode` has a home of its own and passes nothing on but PATH. Its output goes to
a file, so that a run which had to be stopped still tells how far it came.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

VERSION = "2.1.328"
_PACKAGE = f"@anthropic-ai/claude-code@{VERSION}"


@attrs.frozen
class Run:
    """What one run of the program left behind: exit code (None: it ran out of time), the JSON lines, stderr."""

    returncode: int | None
    events: tuple[dict[str, Any], ...]
    stderr: str

    @property
    def results(self) -> list[dict[str, Any]]:
        """The `result` events; a turn has exactly one."""
        return [event for event in self.events if event.get("type") == "result"]

    @property
    def retries(self) -> list[dict[str, Any]]:
        """The `api_retry` events: each is a failure that Claude Code noticed."""
        return [event for event in self.events if event.get("subtype") == "api_retry"]

    @property
    def text(self) -> str:
        """The text of the result, "" without one."""
        return str(self.results[-1].get("result", "")) if self.results else ""

    @property
    def signatures(self) -> list[str]:
        """The signatures of the thinking that the client was shown."""
        said = [event["message"] for event in self.events if event.get("type") == "assistant"]
        return [block["signature"] for message in said for block in message["content"] if block["type"] == "thinking"]

    @property
    def session(self) -> str:
        """The session id, for `resume`."""
        return str(self.results[-1]["session_id"])

    @property
    def is_clean(self) -> bool:
        """Exit code 0, one result, no error, and nothing that Claude Code had to retry."""
        return self.returncode == 0 and len(self.results) == 1 and not self.results[0]["is_error"] and not self.retries

    def __str__(self) -> str:
        shown = "\n".join(json.dumps(event)[:400] for event in self.events[-12:])
        return f"exit code {self.returncode}\n{shown}\nstderr: {self.stderr[-2000:]}"


@attrs.frozen
class ClaudeCode:
    """One user's Claude Code: the program, a home directory of its own, and the base URL it is pointed at."""

    binary: Path
    home: Path
    base_url: str
    token: str = "scripted"
    model: str = "sonnet"
    env: Mapping[str, str] = attrs.field(factory=dict)

    def environment(self) -> dict[str, str]:
        """All that the program gets to see of the environment."""
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "ANTHROPIC_BASE_URL": self.base_url,
            "ANTHROPIC_AUTH_TOKEN": self.token,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            **self.env,
        }

    async def run(
        self,
        prompt: str,
        *,
        resume: str | None = None,
        tools: Sequence[str] = ("Read", "Bash", "Agent"),
        output: str = "stream-json",
        timeout_s: float = 90,
    ) -> Run:
        """One headless turn. `output` is `stream-json` (every event) or `json` (the result alone)."""
        command = [str(self.binary), "-p", prompt, "--output-format", output, "--model", self.model]
        command += ["--verbose"] if output == "stream-json" else []
        command += ["--allowedTools", ",".join(tools)] if tools else []
        command += ["--resume", resume] if resume else []
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            returncode = None
            with trio.move_on_after(timeout_s):
                done = await trio.run_process(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    check=False,
                    env=self.environment(),
                    cwd=self.home,
                )
                returncode = done.returncode
            out.seek(0)
            err.seek(0)
            events = tuple(_json_lines(out.read().decode()))
            return Run(returncode, events, err.read().decode("utf-8", "replace"))


#: Makes a Claude Code with a home of its own, pointed at a base URL.
ClaudeAt = Callable[[str], ClaudeCode]


def assert_clean(run: Run, text: str) -> None:
    """One result with this text (spaces apart), no error, nothing retried."""
    assert run.is_clean, str(run)
    assert " ".join(run.text.split()) == text, str(run)


def files_of(claude: ClaudeCode) -> tuple[str, Path]:
    """The tool loop's script, with a file to read that is there, and the file it will append to."""
    source, target = claude.home / "in.txt", claude.home / "out.txt"
    source.write_text("word-apple\n")
    return f"[[loop {source} {target}]]", target


async def run_together(sessions: Sequence[tuple[ClaudeCode, str]], timeout_s: float = 120) -> list[Run]:
    """One turn of each (client, prompt) pair, all at once; the runs in the same order."""
    runs: dict[int, Run] = {}

    async def one(place: int, client: ClaudeCode, prompt: str) -> None:
        runs[place] = await client.run(prompt, timeout_s=timeout_s)

    async with trio.open_nursery() as nursery:
        for place, (client, prompt) in enumerate(sessions):
            nursery.start_soon(one, place, client, prompt)
    return [runs[place] for place in range(len(sessions))]


def find_claude() -> Path:
    """The program named by HEDGEROW_CLAUDE, else one installed with npm into the cache. Skips where npm is missing."""
    named = os.environ.get("HEDGEROW_CLAUDE")
    if named:
        if not Path(named).exists():
            pytest.fail(f"HEDGEROW_CLAUDE names {named}, which does not exist")
        return Path(named)
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("Claude Code is not here: HEDGEROW_CLAUDE is not set, and there is no npm to install it with")
    folder = _cache() / f"claude-code-{VERSION}"
    with _lock(folder.with_name(f"{folder.name}.lock")):
        if not _working(folder):
            _install(npm, folder)
        return _working(folder) or pytest.fail(f"npm installed {_PACKAGE}, but no program in it runs")


def _install(npm: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--no-package-lock", _PACKAGE]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.fail(f"npm could not install {_PACKAGE}:\n{done.stderr[-2000:]}")


def _working(folder: Path) -> Path | None:
    """The program in an installed folder. npm may leave `.bin/claude` without its native binary; that is tried then."""
    modules = folder / "node_modules"
    native = sorted((modules / "@anthropic-ai").glob("claude-code-*/claude"))
    for program in (modules / ".bin" / "claude", *native):
        if program.exists() and _says_version(program):
            return program
    return None


def _says_version(program: Path) -> bool:
    with tempfile.TemporaryDirectory() as home:
        env = {"HOME": home, "PATH": os.environ["PATH"], "DISABLE_AUTOUPDATER": "1"}
        command = [str(program), "--version"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=env, timeout=60)
    return done.returncode == 0 and VERSION in done.stdout


def _cache() -> Path:
    """The user's cache folder, or the temporary one where that cannot be written."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hedgerow-tests"
    try:
        base.mkdir(parents=True, exist_ok=True)
        writable = os.access(base, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        base = Path(tempfile.gettempdir()) / "hedgerow-tests"
        base.mkdir(parents=True, exist_ok=True)
    return base


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one test process at a time through; where there is no flock (Windows) there is no lock either."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the half line of a run that was stopped
        if isinstance(event, dict):
            yield event
