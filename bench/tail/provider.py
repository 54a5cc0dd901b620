"""Providers that are as slow as they are told, in a process of their own.

    python -m bench.tail.provider N

A provider that draws its own delays gives every side of a comparison other luck. Here each request carries how long each of
the providers takes for it, `[[tail 0.98 1.31]]`, and each reads its own number: all sides meet the same stragglers. What is
negative is never answered, which is how a provider dies that keeps its port open. It prints its ports, one a line, and ends
when its standard input does, so it outlives nobody.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio

from bench.upstream import beside, read_request, script

_MARK = re.compile(rb"\[\[tail ([-\d. ]+)\]\]")


def marked(delays: Sequence[float]) -> str:
    """What each provider finds in a request: its own delay in seconds, by its place."""
    return f"[[tail {' '.join(f'{delay:.4f}' for delay in delays)}]]"


async def serve(place: int, stream: trio.SocketStream) -> None:
    """One connection, until the other side closes it."""
    said = script("native", 1)
    answer = b"".join([said.head, *said.deltas, said.rest])
    rest = b""
    try:
        while (request := await read_request(stream, rest)) is not None:
            _, body, rest = request
            found = _MARK.search(body)
            delay_s = float(found[1].split()[place]) if found else 0.0
            if await _gone_within(stream, delay_s if delay_s >= 0 else None):
                return
            await stream.send_all(answer)
    except trio.BrokenResourceError:
        pass
    finally:
        await trio.aclose_forcefully(stream)


async def _gone_within(stream: trio.SocketStream, delay_s: float | None) -> bool:
    """Wait; whether the asker has closed meanwhile, as it does to who has lost."""
    with trio.move_on_after(float("inf") if delay_s is None else delay_s):
        return not await stream.receive_some(1)
    return False


async def main(count: int) -> None:
    """The command."""
    async with trio.open_nursery() as nursery:
        for place in range(count):
            handler: Callable[[trio.SocketStream], object] = partial(serve, place)
            listeners = await nursery.start(trio.serve_tcp, handler, 0)
            print(listeners[0].socket.getsockname()[1], flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def providers(count: int) -> AsyncIterator[tuple[str, ...]]:
    """The addresses of so many providers that run beside this process while the block does. Raises ChildProcessError."""
    async with beside("bench.tail.provider", count) as urls:
        yield urls


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))
