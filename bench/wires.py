"""What a request and an event cost the running proxy, translated and relayed, side by side.

    python bench/wires.py [--json] [--brief]

Requests per second is the usual figure, and on a shared machine it is mostly the neighbours'. What a proxy itself decides is
how much CPU it takes. So the real server runs as a process of its own, and the kernel says what it has used; before it is
one client that keeps its connections, behind it one upstream, in a process of its own, that speaks both wires. The variants
take turns within each round: what was measured in the same round may be compared, and figures of different days may not.

Three loads: requests one after the other, each of 98 KB and answered with one delta; streams of 200 deltas that come one by
one, where what a wake-up costs is most of it; and answers that come all at once, where what decoding costs is. An event's
share is what is left of a stream when the cost of a request is taken off. Every answer must be whole. Needs Linux (/proc);
bounded in count: under a minute on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import attrs
import h11
import orjson
import trio
from rich.console import Console
from rich.table import Column, Table

from bench.upstream import upstream
from bench.workload import Answer, body
from tests.e2e.proxy import Proxy, running_proxy

Way = Literal["native", "reduced", "chat"]
#: Passed on as it came; taken apart and cut down to what hosts other than Anthropic take; translated.
WAYS: tuple[Way, ...] = ("native", "reduced", "chat")
_TABLES: dict[Way, str] = {
    "native": 'wire = "anthropic"\nbase_url = "{url}"',
    "reduced": 'wire = "anthropic"\nbase_url = "{url}"\nopen_lists = false',
    "chat": 'wire = "openai-chat"\nbase_url = "{url}/v1"',
}
#: Seconds after which a measurement is given up: something hangs.
PATIENCE_S = 120.0


@attrs.frozen
class Load:
    """How much is measured. Streams come so many at once; `gap_ms` is between two deltas of one."""

    rounds: int = 3
    requests: int = 300
    streams: int = 40
    at_once: int = 20
    deltas: int = 200
    gap_ms: int = 5
    burst: int = 2_000  #: deltas of an answer that comes all at once


BRIEF = Load(rounds=1, requests=20, streams=5, at_once=5, deltas=40, burst=200)


@attrs.frozen
class Cost:
    """What one way costs the proxy in CPU: a round each."""

    way: Way
    request_ms: tuple[float, ...]
    paced_us: tuple[float, ...]
    burst_us: tuple[float, ...]
    writes: float  #: of the proxy's to its client, for each paced event: 1 where none were joined


def config_for(url: str) -> str:
    """One provider, chain and route for each way, all at one address. The model's name is the way's."""
    parts = []
    for way in WAYS:
        parts.append(f'[providers.{way}]\n{_TABLES[way].format(url=url)}\nscope = "unlimited"\nbreaker = "off"')
        policies = '["silent-skip", "in-order", "sequence"]'
        parts.append(f'[chains.{way}]\ncandidates = ["{way}/bench-{way}"]\npolicies = {policies}')
    parts += [f'[[routes]]\nmatch = "bench-{way}"\nchain = "{way}"' for way in WAYS]
    return "\n\n".join(parts)


def cpu_s(pid: int) -> float:
    """CPU time that a process has used, all threads, in seconds; the kernel counts in hundredths. Raises OSError."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@attrs.define(eq=False)
class Client:
    """One connection that is kept."""

    stream: trio.SocketStream
    host: str
    connection: h11.Connection = attrs.field(factory=lambda: h11.Connection(h11.CLIENT))
    writes: int = 0  #: chunks of bodies that have come

    @classmethod
    async def to(cls, proxy: Proxy) -> Client:
        url = urlsplit(proxy.base_url)
        return cls(await trio.open_tcp_stream(str(url.hostname), int(url.port or 80)), url.netloc)

    async def turn(self, raw: bytes) -> bytes:
        """The whole body of one answer. Raises ValueError for another status than 200."""
        headers = [("host", self.host), ("content-type", "application/json"), ("content-length", str(len(raw)))]
        request = h11.Request(method="POST", target="/v1/messages?beta=true", headers=headers)
        parts = [self.connection.send(event) or b"" for event in (request, h11.Data(data=raw), h11.EndOfMessage())]
        await self.stream.send_all(b"".join(parts))
        out: list[bytes] = []
        status = 0
        while True:
            match self.connection.next_event():
                case h11.NEED_DATA:
                    self.connection.receive_data(await self.stream.receive_some(65536))
                case h11.Response() as response:
                    status = response.status_code
                case h11.Data() as data:
                    out.append(bytes(data.data))
                    self.writes += data.chunk_start
                case h11.EndOfMessage():
                    self.connection.start_next_cycle()
                    break
        whole = b"".join(out)
        if status != 200:
            raise ValueError(f"status {status}: {whole[:300]!r}")
        return whole


def text_in(answer: bytes) -> str:
    """The text of an answer. Raises ValueError where it has no proper end."""
    if not answer.endswith(b'{"type":"message_stop"}\n\n'):
        raise ValueError(f"an answer without its end: {answer[-200:]!r}")
    lines = (line for line in answer.split(b"\n") if line.startswith(b'data: {"type":"content_block_delta"'))
    return "".join(orjson.loads(line[6:])["delta"].get("text", "") for line in lines)


@attrs.define(eq=False)
class Bench:
    """A running proxy, and clients that have connected to it."""

    proxy: Proxy
    clients: list[Client]
    load: Load

    async def requests(self, way: Way, count: int) -> float:
        """CPU seconds for requests one after the other."""
        return await self._spent(lambda: self._turns(self.clients[0], way, count, 1, 0))

    async def streams(self, way: Way, deltas: int, gap_ms: int) -> float:
        """CPU seconds for streams, so many at once."""
        each = self.load.streams // self.load.at_once

        async def all_at_once() -> None:
            async with trio.open_nursery() as nursery:
                for client in self.clients[: self.load.at_once]:
                    nursery.start_soon(self._turns, client, way, each, deltas, gap_ms)
                    await trio.sleep(gap_ms / 1000 / self.load.at_once)  # not all in step

        return await self._spent(all_at_once)

    async def _turns(self, client: Client, way: Way, count: int, deltas: int, gap_ms: int) -> None:
        raw = orjson.dumps(body(model=f"bench-{way}", deltas=deltas, gap_ms=gap_ms))
        said = "".join(Answer.of("text", deltas).text)
        for _ in range(count):
            if text_in(await client.turn(raw)) != said:
                raise ValueError(f"{way}: an answer that is not what the provider said")

    async def _spent(self, does: Callable[[], Awaitable[None]]) -> float:
        began = cpu_s(self.proxy.pid)
        with trio.fail_after(PATIENCE_S):
            await does()
        return cpu_s(self.proxy.pid) - began

    async def measure(self, progress: Callable[[str], None]) -> list[Cost]:
        """All ways, in turn, round after round."""
        load = self.load
        found: dict[Way, list[tuple[float, float, float, float]]] = {way: [] for way in WAYS}
        for way in WAYS:  # warm, on every connection
            await self.streams(way, 10, 0)
        for number in range(load.rounds):
            for way in (*WAYS[number % len(WAYS) :], *WAYS[: number % len(WAYS)]):
                found[way].append(await self._round(way))
                progress(f"round {number + 1}, {way}: {found[way][-1][0]:.2f} ms a request")
        return [Cost(way, *_columns(rows), writes=_median([row[3] for row in rows])) for way, rows in found.items()]

    async def _round(self, way: Way) -> tuple[float, float, float, float]:
        load = self.load
        request_s = await self.requests(way, load.requests) / load.requests
        before = sum(client.writes for client in self.clients)
        paced_s = await self.streams(way, load.deltas, load.gap_ms)
        writes = sum(client.writes for client in self.clients) - before
        burst_s = await self.streams(way, load.burst, 0)
        paced, burst = load.streams * load.deltas, load.streams * load.burst
        each = load.streams * request_s
        return request_s * 1e3, (paced_s - each) * 1e6 / paced, (burst_s - each) * 1e6 / burst, writes / paced


def _columns(rows: Sequence[tuple[float, ...]]) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    request, paced, burst, _ = zip(*rows, strict=True)
    return request, paced, burst


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


async def measured(load: Load, progress: Callable[[str], None]) -> list[Cost]:
    """What each way costs."""
    async with upstream() as url, running_proxy(config_for(url)) as proxy:
        clients = [await Client.to(proxy) for _ in range(load.at_once)]
        costs = await Bench(proxy, clients, load).measure(progress)
        for client in clients:
            await client.stream.aclose()
    return costs


# Telling.

_FIGURES = {"request_ms": "ms a request", "paced_us": "us a paced event", "burst_us": "us an event of a burst"}


def ratios(costs: Sequence[Cost], field: str) -> dict[Way, float]:
    """How many times each way the translated one costs: the middle of the rounds, in each of which both ran.

    A round that cost less than the kernel counts has no ratio.
    """
    of: dict[Way, Sequence[float]] = {cost.way: getattr(cost, field) for cost in costs}
    pairs = {way: zip(of["chat"], of[way], strict=True) for way in WAYS if way != "chat"}
    found = {way: [chat / own for chat, own in both if own > 0] for way, both in pairs.items()}
    return {way: _median(some) for way, some in found.items() if some}


def table(costs: Sequence[Cost]) -> Table:
    """The figures for a person."""
    made = Table(Column("CPU of the proxy", no_wrap=True), title="hedgerow on both wires", box=None, padding=(0, 1))
    for name in ("min", "median", "chat : this", "writes"):
        made.add_column(name, justify="right")
    for field, unit in _FIGURES.items():
        to_chat = ratios(costs, field)
        for cost in costs:
            samples = getattr(cost, field)
            by = f"{to_chat[cost.way]:.2f}" if cost.way in to_chat else ""
            writes = f"{cost.writes:.2f}" if field == "paced_us" else ""
            made.add_row(f"{cost.way}: {unit}", f"{min(samples):.2f}", f"{_median(samples):.2f}", by, writes)
    return made


def as_data(costs: Sequence[Cost]) -> dict[str, object]:
    """The figures for a program."""
    told = {field: {f"chat:{way}": by for way, by in ratios(costs, field).items()} for field in _FIGURES}
    return {"costs": [attrs.asdict(cost) for cost in costs], "ratios": told}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure what requests and events cost the running proxy.")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--brief", action="store_true", help="once, and little of everything: to see that it runs")
    options = parser.parse_args()
    if not Path("/proc/self/stat").exists():
        print("not measured: this system has no /proc, where the CPU time of a process stands")
        return
    errors = Console(stderr=True)

    def progress(line: str) -> None:
        if not options.json:
            errors.print(line, style="dim", highlight=False)

    costs = trio.run(measured, BRIEF if options.brief else Load(), progress)
    if options.json:
        print(json.dumps(as_data(costs), indent=2))
    else:
        Console().print(table(costs))


if __name__ == "__main__":
    main()
