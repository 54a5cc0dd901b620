"""Start the real proxy as a child process on a port of its own choice, and end it properly.

Running the app inside the test's own event loop would be quicker, and would hide whatever start-up, signals, buffering
and the operating system do. The child gets an empty environment and a home of its own, so a developer's keys and
configuration stay out; what it printed is kept, and shown when a test fails.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain, repeat
from pathlib import Path

import attrs
import trio

from .errors import lone_errors_bare
from .wire import Wire

SERVER = Path(__file__).parents[2] / "server.py"
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
#: What a base URL has behind the server's address.
_ROOTS: Mapping[Wire, str] = {
    "anthropic": "",
    "openai-chat": "/v1",
    "openai-responses": "/v1",
    "gemini": "/v1beta",
    "ollama": "",
}
_START_S = 20
_STOP_S = 15


class ProxyFailedError(Exception):
    """The proxy did not start, or did not stop when it was asked to."""


@attrs.define(eq=False)
class Proxy:
    """A running proxy: where it listens, its process id, and what it has printed so far."""

    base_url: str = ""
    pid: int = 0
    stdout: str = ""
    stderr: str = ""

    def __str__(self) -> str:
        return f"proxy stdout:\n{self.stdout[-3000:]}\nproxy stderr:\n{self.stderr[-6000:]}"


@asynccontextmanager
async def running_proxy(config: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Proxy]:
    """The proxy with the configuration `config` (TOML), ended by SIGTERM when the block is left.

    An exception raised inside the block is annotated with the proxy's output. Raises ProxyFailedError when no address
    is printed within 20 s, or when the process outlives its SIGTERM by 15 s or ends with a code other than 0.
    """
    proxy = Proxy()
    with lone_errors_bare(), tempfile.TemporaryDirectory(prefix="hedgerow-e2e-") as name:
        home = Path(name)
        file = home / "config.toml"
        file.write_text(config)
        process = await trio.lowlevel.open_process(
            [sys.executable, str(SERVER), "--config", str(file), "--bind", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=home,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONUNBUFFERED": "1", **(env or {})},
        )
        proxy.pid = process.pid
        listening = trio.Event()
        async with trio.open_nursery() as nursery:
            assert process.stdout is not None
            assert process.stderr is not None
            nursery.start_soon(_keep, proxy, "stdout", process.stdout, listening)
            nursery.start_soon(_keep, proxy, "stderr", process.stderr, None)
            try:
                await _started(proxy, listening)
                yield proxy
                await _stop(process, proxy)
            except Exception as error:
                error.add_note(str(proxy))
                raise
            finally:
                if process.returncode is None:
                    process.kill()
                    with trio.CancelScope(shield=True):
                        await process.wait()


def configuration(
    providers: Mapping[str, str],
    candidates: Sequence[str],
    policies: Iterable[str] = ('"silent-skip"', '"in-order"', '"sequence"'),
    *,
    settings: str = "",
    wires: Sequence[Wire] = (),
) -> str:
    """A configuration with keyless providers (id -> address of the server) and one chain for every model name.

    `policies` are TOML values; `settings` are further lines for every provider table; `wires` go with the providers in
    their order, and those without one speak Anthropic Messages.
    """
    spoken: Iterator[Wire] = chain(wires, repeat("anthropic"))
    tables = [
        f'[providers.{name}]\nwire = "{wire}"\nbase_url = {json.dumps(url + _ROOTS[wire])}\n{settings}'
        for (name, url), wire in zip(providers.items(), spoken, strict=False)
    ]
    main = f"[chains.main]\ncandidates = {json.dumps(list(candidates))}\npolicies = [{', '.join(policies)}]"
    return "\n\n".join([*tables, main, '[[routes]]\nmatch = "*"\nchain = "main"\n'])


def pair(first: str, second: str, *more_policies: str, wires: Sequence[Wire] = ()) -> str:
    """The configuration of a chain of two: the server at `first` first, the one at `second` when that fails."""
    policies = ('"silent-skip"', '"in-order"', '"sequence"', *more_policies)
    candidates = ("first/claude-sonnet-5-5", "second/claude-sonnet-5-5")
    return configuration({"first": first, "second": second}, candidates, policies, wires=wires)


async def _keep(proxy: Proxy, name: str, pipe: trio.abc.ReceiveStream, listening: trio.Event | None) -> None:
    """Collect a pipe; `listening` is set when it has shown the address, or has ended without it."""
    async with pipe:
        async for data in pipe:
            setattr(proxy, name, getattr(proxy, name) + data.decode("utf-8", "replace"))
            if listening is not None and (found := _ADDRESS.search(proxy.stdout)):
                proxy.base_url = found[0]
                listening.set()
    if listening is not None:
        listening.set()


async def _started(proxy: Proxy, listening: trio.Event) -> None:
    with trio.move_on_after(_START_S):
        await listening.wait()
    if not proxy.base_url:
        raise ProxyFailedError("the proxy printed no address")


async def _stop(process: trio.Process, proxy: Proxy) -> None:
    process.send_signal(signal.SIGTERM)
    with trio.move_on_after(_STOP_S):
        await process.wait()
    if process.returncode != 0:
        state = "did not stop on SIGTERM" if process.returncode is None else f"stopped with {process.returncode}"
        raise ProxyFailedError(f"the proxy {state}")
