"""A provider for the benchmarks, in a process of its own: both wires, and next to no cost.

    python bench/upstream.py

The scripted provider of the tests knows every fault and runs in the tests' own process. Here it would be the slowest part,
and its work would be taken for the load's. This one knows one answer, of the length that the request asks for (see
`bench.workload.marked`), all of it rendered before it is first sent: paced, an event a write, or all at once. It prints its
address, and ends when its standard input does, so it outlives nobody.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path

import attrs
import trio

from bench.workload import Answer, Wire, frames

ROOT = Path(__file__).parents[1]
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
_MARK = re.compile(rb"\[\[bench (\d+) (\d+)\]\]")
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_NOTHING = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
_END = b"0\r\n\r\n"


@attrs.frozen
class Script:
    """An answer as HTTP chunks: what comes before the first delta, each delta, and the rest."""

    head: bytes
    deltas: tuple[bytes, ...]
    rest: bytes


@lru_cache(maxsize=32)
def script(wire: Wire, deltas: int) -> Script:
    """The answer of so many deltas, all text."""
    chunks = [b"%x\r\n%s\r\n" % (len(frame), frame) for frame in frames(Answer.of("text", deltas), wire)]
    before = 3 if wire == "native" else 1
    after = before + deltas
    return Script(_HEAD + b"".join(chunks[:before]), tuple(chunks[before:after]), b"".join(chunks[after:]) + _END)


async def serve(stream: trio.SocketStream) -> None:
    """One connection, until the other side closes it."""
    rest = b""
    try:
        while (request := await read_request(stream, rest)) is not None:
            head, body, rest = request
            found = _MARK.search(body, max(0, body.find(b"[[bench ")))
            if found is None:
                await stream.send_all(_NOTHING)
            else:
                wire: Wire = "chat" if b"/chat/completions " in head.partition(b"\r\n")[0] else "native"
                await _answer(stream, script(wire, int(found[1])), int(found[2]) / 1000)
    except trio.BrokenResourceError:
        pass
    finally:
        await trio.aclose_forcefully(stream)


async def read_request(stream: trio.SocketStream, data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Head, body, and what came behind them; None where there is no further request."""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = await stream.receive_some(65536)
        if not more:
            return None
        data += more
    head, parts = data[:end], [data[end + 4 :]]
    length = _LENGTH.search(head)
    missing = (int(length[1]) if length else 0) - len(parts[0])
    while missing > 0:
        more = bytes(await stream.receive_some(131072))
        if not more:
            return None
        parts.append(more)
        missing -= len(more)
    body = b"".join(parts)
    size = len(body) + min(missing, 0)
    return head, body[:size], body[size:]


async def _answer(stream: trio.SocketStream, said: Script, gap_s: float) -> None:
    if not gap_s:
        await stream.send_all(b"".join([said.head, *said.deltas, said.rest]))
        return
    await stream.send_all(said.head)
    due = trio.current_time()
    for delta in said.deltas:
        due += gap_s
        await trio.sleep_until(due)
        await stream.send_all(delta)
    await stream.send_all(said.rest)


async def main() -> None:
    """The command."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        print(listeners[0].socket.getsockname()[1], flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def beside(module: str, count: int = 1) -> AsyncIterator[tuple[str, ...]]:
    """The addresses of `count` servers of a module that runs beside this process while the block does.

    It prints its ports, one a line, and ends with its standard input. Raises ChildProcessError.
    """
    command = [sys.executable, "-m", module, str(count)]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        said = b""
        with trio.move_on_after(20):
            while said.count(b"\n") < count and (data := await process.stdout.receive_some(256)):
                said += data
        if said.count(b"\n") < count:
            raise ChildProcessError(f"{module} did not start")
        yield tuple(f"http://127.0.0.1:{int(port)}" for port in said.split())
    finally:
        with trio.CancelScope(shield=True):
            await process.stdin.aclose()
            with trio.move_on_after(5):
                await process.wait()
            if process.returncode is None:
                process.kill()


@asynccontextmanager
async def upstream() -> AsyncIterator[str]:
    """The address of an upstream that runs beside this process while the block does. Raises ChildProcessError."""
    async with beside("bench.upstream") as (url,):
        yield url


if __name__ == "__main__":
    trio.run(main)
