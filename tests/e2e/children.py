"""Helper programs as child processes: a free port, a start that is waited for, and an end by their own process id."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import trio


def free_port() -> int:
    """A port that was free just now, for programs that cannot choose one themselves."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@asynccontextmanager
async def python_child(command: Sequence[str], log: Path, ready: str, start_s: float = 60) -> AsyncIterator[None]:
    """Run `python COMMAND...` while the block runs; its output goes to `log`.

    The block is entered once the URL `ready` answers 200. Raises RuntimeError with the log when the program ends
    before that, or needs longer than `start_s` seconds.
    """
    with log.open("wb") as out:
        child = await trio.lowlevel.open_process(
            [sys.executable, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            with trio.move_on_after(start_s) as waiting:
                # What is waited for is another program's state: nobody here could set an event.
                while child.poll() is None and not await _answers(ready):  # noqa: ASYNC110
                    await trio.sleep(0.05)
            if waiting.cancelled_caught or child.poll() is not None:
                printed = await trio.Path(log).read_text(errors="replace")
                raise RuntimeError(f"{command[0]} did not start: {printed[-3000:]}")
            yield
        finally:
            child.kill()
            with trio.CancelScope(shield=True):
                await child.wait()


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False
