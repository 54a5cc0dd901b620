"""What is promised of a running proxy, measured: whoever is no longer needed is told at once, and many streams fit in.

    python bench/promises.py [--json] [--brief]

A figure from inside the proxy would be about its own opinion. So the real server runs as a process of its own, between
clients and scripted providers on loopback sockets, and every time is taken at the far end: when a provider saw its
connection close. The clocks are one, since clients and providers live in this process; what they cost counts against the
proxy. Bounded in count: about half a minute on two cores.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import attrs
import trio
from rich.console import Console
from rich.table import Table

from tests.e2e.proxy import Proxy, configuration, running_proxy
from tests.e2e.raw import RawTurn, raw_turn
from tests.e2e.upstream import Exchange, Upstream, serving

IN_ORDER = ('"silent-skip"', '"in-order"')
RACE = (*IN_ORDER, '{ kind = "race", width = 3 }')
HEDGE = (*IN_ORDER, '{ kind = "hedge", after_s = 0.05, extra_load = 1.0 }')
SEQUENCE = (*IN_ORDER, '"sequence"')
#: No limit of the proxy's own stands between the clients and the figures.
UNLIMITED = 'scope = "unlimited"\nbreaker = "off"'
#: Seconds after which a measurement is given up: something hangs.
PATIENCE_S = 60.0


@attrs.frozen
class Figure:
    """One measured promise. `samples` and `promised` are in `unit`; `promised` is None where nothing is promised."""

    name: str
    unit: str
    samples: tuple[float, ...]
    promised: float | None = None

    @property
    def median(self) -> float:
        """The middle sample."""
        return sorted(self.samples)[len(self.samples) // 2]

    @property
    def worst(self) -> float:
        """The largest sample."""
        return max(self.samples)

    def __str__(self) -> str:
        promised = "" if self.promised is None else f" (promised: {self.promised:g})"
        return f"{self.name}: median {self.median:.3g} {self.unit}, worst {self.worst:.3g} {self.unit}{promised}"


@asynccontextmanager
async def behind_proxy(policies: Sequence[str], *faults: str) -> AsyncIterator[tuple[Proxy, list[Upstream]]]:
    """The real server over one scripted provider for each fault, in one chain with these policies."""
    async with AsyncExitStack() as stack:
        names = [f"up{number}" for number, _ in enumerate(faults, 1)]
        upstreams = [
            await stack.enter_async_context(serving(name, fault)) for name, fault in zip(names, faults, strict=True)
        ]
        urls = {upstream.name: upstream.base_url for upstream in upstreams}
        config = configuration(urls, [f"{name}/claude" for name in names], policies, settings=UNLIMITED)
        yield await stack.enter_async_context(running_proxy(config)), upstreams


async def ended(exchange: Exchange) -> float:
    """When the proxy let go of an exchange that was not over. Raises ValueError where it ended in another way."""
    with trio.fail_after(PATIENCE_S):
        await exchange.over.wait()
    if exchange.ending != "client-left" or exchange.ended is None:
        raise ValueError(f"the exchange ended as {exchange.ending}")
    return exchange.ended


async def until_text(turn: RawTurn) -> None:
    """Read up to the first text. Raises ValueError where the answer ends before it."""
    with trio.fail_after(PATIENCE_S):
        while b"text_delta" not in turn.body:
            if not await turn.more():
                raise ValueError(f"the answer ended without text: {turn.body[-300:]!r}")


async def loser_closed(name: str, policies: Sequence[str], rounds: int) -> Figure:
    """From the winner's first content leaving its provider to the loser's provider seeing its connection closed.

    That is longer than from the commit, by the way from the winner's provider to the proxy.
    """
    samples = []
    async with behind_proxy(policies, "silence:60", "silence:0.1") as (proxy, (loser, winner)):
        for number in range(1, rounds + 1):
            async with raw_turn(proxy.base_url, "[[say hello]]") as turn:
                await until_text(turn)
                spoke = (await winner.until_asked(number)).head_sent
                lost = await ended(await loser.until_asked(number))
            assert spoke is not None
            samples.append((lost - spoke) * 1000)
    return Figure(f"loser of a {name} closed after the commit", "ms", tuple(samples), 50)


async def client_left(rounds: int) -> Figure:
    """From the client's close to the last of three racing providers seeing its connection closed."""
    samples = []
    async with behind_proxy(RACE, "silence:60", "silent-end:60", "silence:60") as (proxy, upstreams):
        for number in range(1, rounds + 1):
            async with raw_turn(proxy.base_url, "[[say hello]]"):
                asked = [await upstream.until_asked(number) for upstream in upstreams]
            left = trio.current_time()
            samples.append((max([await ended(exchange) for exchange in asked]) - left) * 1000)
    return Figure("every upstream closed after a client left", "ms", tuple(samples), 100)


async def answered_client_left(rounds: int) -> Figure:
    """The same in the middle of an answer."""
    samples = []
    async with behind_proxy(SEQUENCE, "endless") as (proxy, (upstream,)):
        for number in range(1, rounds + 1):
            async with raw_turn(proxy.base_url, "[[say hello]]") as turn:
                await until_text(turn)
            left = trio.current_time()
            samples.append((await ended(upstream.asked[number - 1]) - left) * 1000)
    return Figure("upstream closed after a client left in mid-answer", "ms", tuple(samples), 100)


async def everybody_left(clients: int) -> Figure:
    """From the first of many closes to the last provider's connection closed; the answers are under way."""
    async with behind_proxy(SEQUENCE, "endless:1") as (proxy, (upstream,)):
        leave = trio.Event()
        async with trio.open_nursery() as nursery:

            async def client(task_status: trio.TaskStatus[None]) -> None:
                async with raw_turn(proxy.base_url, "[[say hello]]") as turn:
                    await until_text(turn)
                    task_status.started()
                    await leave.wait()

            async with trio.open_nursery() as starting:
                for _ in range(clients):
                    starting.start_soon(nursery.start, client)
            leave.set()
            left = trio.current_time()
        last = max([await ended(exchange) for exchange in upstream.asked])
        assert len(upstream.asked) == clients
    return Figure(f"all upstreams closed after {clients} clients left at once", "ms", ((last - left) * 1000,), 1000)


#: Ways to fail before content that a provider has done with at once: what comes after is the proxy's time.
FAST_FAULTS = ("500", "529", "reset", "close", "html", "empty", "error-event")


async def failed_over(rounds: int) -> Figure:
    """From a provider's failure, all of it sent, to the next one's having the whole request: of each way to fail."""
    samples = []
    for fault in FAST_FAULTS:
        async with behind_proxy(SEQUENCE, fault, "") as (proxy, (bad, good)):
            for number in range(1, rounds + 1):
                async with raw_turn(proxy.base_url, "[[say hello]]") as turn:
                    await until_text(turn)
                failure, answer = bad.asked[-1], await good.until_asked(number)
                assert failure.ended is not None
                assert len(bad.asked) >= number
                samples.append((answer.arrived - failure.ended) * 1000)
    return Figure("fail-over beyond the failure itself", "ms", tuple(samples), 20)


@attrs.frozen
class Crowd:
    """Many streams at once: how many were whole, and what they cost. Sizes in KiB."""

    streams: int
    whole: int
    live: int  #: the most that the proxy itself counted
    rss_before: int
    rss_during: int

    @property
    def figure(self) -> Figure:
        """Memory for each stream."""
        each = max(0, self.rss_during - self.rss_before) / self.streams
        return Figure(f"memory for each of {self.streams} streams at once", "KiB", (each,))

    @property
    def broken(self) -> Figure:
        """How many were cut, or were not what the provider said."""
        return Figure(f"of {self.streams} streams at once not whole", "streams", (float(self.streams - self.whole),), 0)


async def crowd(streams: int, stall_s: float) -> Crowd:
    """Streams through one process, each silent for a while in the middle so that all are open together, then ended."""
    whole = live = rss_during = 0
    async with behind_proxy(SEQUENCE, f"stall:{stall_s:g}") as (proxy, (upstream,)):
        async with raw_turn(proxy.base_url, "[[say first]]") as turn:  # what the first request costs is not a stream's
            while await turn.more():
                pass
        rss_before = rss_kib(proxy.pid)

        async def client(number: int) -> None:
            nonlocal whole
            async with raw_turn(proxy.base_url, f"[[say {number} {'word ' * 20}]]") as turn:
                with trio.fail_after(PATIENCE_S):
                    while await turn.more():
                        pass
                reading = turn.reading()
                whole += not reading.faults and reading.text.startswith(f"{number} ")

        async with trio.open_nursery() as nursery:
            for number in range(streams):
                nursery.start_soon(client, number)
            await upstream.until_asked(streams + 1)
            live = await live_turns(proxy)
            rss_during = rss_kib(proxy.pid)
    return Crowd(streams, whole, live, rss_before, rss_during)


async def live_turns(proxy: Proxy) -> int:
    """How many turns the proxy says are under way."""
    host, _, port = proxy.base_url.removeprefix("http://").partition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = b"".join([part async for part in stream])
    return int(json.loads(answer.partition(b"\r\n\r\n")[2])["live_turns"])


def rss_kib(pid: int) -> int:
    """Resident memory of a process in KiB, 0 where there is no /proc."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1])


async def added_ttft(rounds: int) -> Figure:
    """What the way through the proxy adds to the time to the first text, one request after the other."""

    async def first_text(base_url: str) -> float:
        began = trio.current_time()
        async with raw_turn(base_url, "[[say hello]]") as turn:
            await until_text(turn)
            took = trio.current_time() - began
            while await turn.more():
                pass
        return took * 1000

    async with behind_proxy(SEQUENCE, "") as (proxy, (upstream,)):
        for url in (proxy.base_url, upstream.base_url):
            for _ in range(5):  # both warm
                await first_text(url)
        through, direct = [], []
        for _ in range(rounds):
            through.append(await first_text(proxy.base_url))
            direct.append(await first_text(upstream.base_url))
    floor = sorted(direct)[len(direct) // 2]
    return Figure("added time to first content", "ms", tuple(max(0.0, took - floor) for took in through))


@attrs.frozen
class Size:
    """How much is measured: of what is done again and again, of clients that leave together, and of streams at once."""

    rounds: int = 20
    leaving: int = 500
    turns: int = 100
    streams: int = 300
    stall_s: float = 4.0


BRIEF = Size(rounds=1, leaving=20, turns=3, streams=10, stall_s=0.5)


async def measure(progress: Callable[[str], None], size: Size) -> list[Figure]:
    """Every figure, one after the other."""
    figures: list[Figure] = []

    def measured(figure: Figure) -> None:
        figures.append(figure)
        progress(str(figure))

    measured(await loser_closed("race", RACE, size.rounds))
    measured(await loser_closed("hedge", HEDGE, size.rounds))
    measured(await client_left(size.rounds))
    measured(await answered_client_left(size.rounds))
    measured(await everybody_left(size.leaving))
    measured(await added_ttft(size.turns))
    measured(await failed_over(size.rounds))
    held = await crowd(size.streams, size.stall_s)
    measured(held.figure)
    measured(held.broken)
    return figures


def table(figures: Sequence[Figure]) -> Table:
    """The figures for a person."""
    made = Table("promise", "median", "worst", "promised", "samples", title="hedgerow, measured from outside")
    for figure in figures:
        promised = "" if figure.promised is None else f"{figure.promised:g} {figure.unit}"
        kept = figure.promised is None or figure.worst <= figure.promised
        made.add_row(
            figure.name,
            f"{figure.median:.2f} {figure.unit}",
            f"{figure.worst:.2f} {figure.unit}" if kept else f"[red]{figure.worst:.2f} {figure.unit}[/]",
            promised,
            str(len(figure.samples)),
        )
    return made


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure what is promised of a running proxy.")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--brief", action="store_true", help="little of everything: to see that it runs")
    options = parser.parse_args()
    errors = Console(stderr=True)

    def progress(line: str) -> None:
        if not options.json:
            errors.print(line, style="dim", highlight=False)

    figures = trio.run(measure, progress, BRIEF if options.brief else Size())
    if options.json:
        rows = [{**attrs.asdict(figure), "median": figure.median, "worst": figure.worst} for figure in figures]
        print(json.dumps(rows, indent=2))
    else:
        Console().print(table(figures))


if __name__ == "__main__":
    main()
