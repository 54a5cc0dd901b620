"""What a dialect costs, without a socket: answers decoded and requests encoded, the translating beside the native one.

    python bench/dialects.py [--json] [--check]

Timing one decoder on one afternoon says something about that afternoon: on a shared machine the same code is twice as slow
an hour later. So all variants take turns, round after round, in CPU time of this process, and what counts is the ratio of
two that ran side by side. A decoder is fed one event a read, as a calm host sends, and reads of 16 KiB, as a burst comes;
what it gives back is compared with what was said, before anything is timed.

`--check` does it briefly, with a loop of known work among the variants, and fails where one has come to cost many times
what it did, in units of that loop: a change of algorithm shows, a busy machine does not. Ten seconds, or three.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType

import attrs
import orjson
from rich.console import Console
from rich.table import Column, Table

from bench.workload import DELTAS, VARIANTS, WIRES, Answer, Wire, body, frames, reads
from engine import JSON, Ask, Kind, Request, StreamEvent, need_of, parse
from engine.config import Accent, Provider
from policies import Candidate
from transports import AnthropicDecoder, anthropic, openai_chat
from transports.chat import ChatDecoder, Toolbox

ROUNDS = 9
#: CPU seconds that one sample takes at least: the work is repeated until it does.
SAMPLE_S = 0.04

#: What each event, or request, cost when it was last looked into, in units of the calibration loop: one chunk of a chat
#: stream read and written with orjson, about a microsecond.
USUAL = {
    "native: text, one a read": 2.5,
    "native: text, 16 KiB a read": 1.2,
    "native: reasoning, one a read": 2.5,
    "native: reasoning, 16 KiB a read": 1.6,
    "native: tools, one a read": 2.5,
    "native: tools, 16 KiB a read": 1.4,
    "native: request, as it came": 44.0,
    "native: request, reduced": 120.0,
    "chat: text, one a read": 6.3,
    "chat: text, 16 KiB a read": 4.1,
    "chat: reasoning, one a read": 6.8,
    "chat: reasoning, 16 KiB a read": 4.5,
    "chat: tools, one a read": 7.5,
    "chat: tools, 16 KiB a read": 6.1,
    "chat: request": 390.0,
    "either: request, read": 145.0,
}
#: How many times its usual cost is too much for `--check`. Runs differ by a twentieth, versions of Python by a fifth.
TOO_MUCH = 3.0


@attrs.frozen
class Job:
    """Work to be timed. `does` does it once, which is `times` events, or requests, of `size` bytes in all."""

    name: str
    does: Callable[[], object] = attrs.field(repr=False)
    times: int
    size: int


@attrs.frozen
class Row:
    """A job's samples: CPU microseconds for each event or request."""

    job: Job
    samples: tuple[float, ...]

    @property
    def least(self) -> float:
        return min(self.samples)

    @property
    def median(self) -> float:
        return _median(self.samples)

    @property
    def megabytes_per_s(self) -> float:
        return self.job.size / self.job.times / self.least

    def ratio(self, other: Row) -> float:
        """How many times `other` this costs: the middle of the rounds, in each of which both ran."""
        return _median([mine / theirs for mine, theirs in zip(self.samples, other.samples, strict=True)])


def _median(values: Iterable[float]) -> float:
    some = sorted(values)
    return some[len(some) // 2]


# What is timed.


def host(**fields: object) -> Provider:
    """A provider at an address that nobody asks."""
    paths = MappingProxyType({"messages": "/v1/messages"})
    return Provider(id="host", base_url="http://host.test", paths=paths, **fields)  # type: ignore[arg-type]


def asked(of: JSON, provider: Provider) -> Ask:
    """The request `of`, on its way to a candidate of the same name."""
    raw = orjson.dumps(of)
    parsed = parse(raw)
    request = Request(id="req_7", model=parsed["model"], body=parsed, raw=raw, need=need_of(parsed, raw))
    return Ask(request=request, candidate=Candidate(provider.id, parsed["model"]), provider=provider)


def decoder_of(wire: Wire, of: JSON) -> AnthropicDecoder | ChatDecoder:
    """A decoder as an exchange has it."""
    if wire == "native":
        return AnthropicDecoder(model=of["model"], message_id="msg_7", estimate=24_500)
    toolbox = Toolbox.of(of, Accent())
    return ChatDecoder(toolbox=toolbox, author="host/model", model=of["model"], message_id="msg_7", estimate=24_500)


def decoding(deltas: int = DELTAS) -> list[Job]:
    """Answers of every kind on either wire, cut both ways. Raises ValueError where a decoder does not say what was said."""
    request = body()
    jobs = []
    for variant in VARIANTS:
        answer = Answer.of(variant, deltas)
        for name, cut in (("one a read", list), ("16 KiB a read", reads)):
            for wire in WIRES:
                pieces = cut(frames(answer, wire))
                if said_by(decoder_of(wire, request), pieces) != said_in(answer):
                    raise ValueError(f"the {wire} decoder did not say what was said ({variant}, {name})")
                jobs.append(_decode(f"{wire}: {variant}, {name}", wire, pieces, answer.deltas, request))
    return jobs


def _decode(name: str, wire: Wire, pieces: Sequence[bytes], deltas: int, request: JSON) -> Job:
    def does() -> None:
        decoder = decoder_of(wire, request)
        feed = decoder.feed
        for piece in pieces:
            feed(piece)
        decoder.finish()
        if not decoder.complete:
            raise ValueError("the answer was not whole")

    return Job(name, does, deltas, sum(map(len, pieces)))


def said_by(decoder: AnthropicDecoder | ChatDecoder, pieces: Iterable[bytes]) -> tuple[str, str, JSON]:
    """Thinking, text and a call's arguments, as a decoder's events have them."""
    events: list[StreamEvent] = [event for piece in pieces for event in decoder.feed(piece)]
    events += decoder.finish()
    deltas = [payload["delta"] for event in events if event.kind is Kind.DELTAS for payload in event.payloads()]
    thinking, text, arguments = (
        "".join(delta.get(name) or "" for delta in deltas) for name in ("thinking", "text", "partial_json")
    )
    return thinking, text, orjson.loads(arguments or b"{}")


def said_in(answer: Answer) -> tuple[str, str, JSON]:
    """The same of the answer itself."""
    return "".join(answer.thinking), "".join(answer.text), orjson.loads("".join(answer.arguments) or b"{}")


def encoding(times: int = 20) -> list[Job]:
    """One request on its way out: translated, passed on as it came, and reduced; beside them its reading, for scale."""
    of = body()
    raw = orjson.dumps(of)
    chat = asked(of, host(wire="openai-chat"))
    relayed, reduced = asked(of, host(open_lists=True)), asked(of, host(open_lists=False))
    if anthropic(relayed).body is not relayed.request.raw:
        raise ValueError("a request to the same model was not passed on as it came")

    def repeated(name: str, does: Callable[[], object]) -> Job:
        def many() -> None:
            for _ in range(times):
                does()

        return Job(name, many, times, times * len(raw))

    return [
        repeated("either: request, read", lambda: need_of(parse(raw), raw)),
        repeated("chat: request", lambda: openai_chat(chat)),
        repeated("native: request, as it came", lambda: anthropic(relayed)),
        repeated("native: request, reduced", lambda: anthropic(reduced)),
    ]


def calibration(times: int = 2_000) -> Job:
    """Work that no change of ours makes more or less: one chunk, read and written."""
    chunk = frames(Answer.of("text", 10), "chat")[5].removeprefix(b"data: ").strip()

    def does() -> None:
        for _ in range(times):
            orjson.dumps(orjson.loads(chunk))

    return Job("calibration", does, times, times * len(chunk))


# Timing.


def timed(jobs: Sequence[Job], rounds: int, sample_s: float = SAMPLE_S) -> list[Row]:
    """Every job once a round, in turn. The first, untimed, round warms up and says how often a sample repeats its job."""
    repeats = [max(1, round(sample_s / max(_cpu_s(job, 1), 1e-6))) for job in jobs]
    samples: list[list[float]] = [[] for _ in jobs]
    for number in range(rounds):
        for at in range(len(jobs)):
            at = (at + number) % len(jobs)  # nobody always comes behind the same one
            spent = _cpu_s(jobs[at], repeats[at])
            samples[at].append(spent * 1e6 / (repeats[at] * jobs[at].times))
    return [Row(job, tuple(of_job)) for job, of_job in zip(jobs, samples, strict=True)]


def _cpu_s(job: Job, repeats: int) -> float:
    gc.collect()
    began = time.process_time()
    for _ in range(repeats):
        job.does()
    return time.process_time() - began


# Telling.


def reference(row: Row, rows: Sequence[Row]) -> Row | None:
    """The row of the translating dialect that a native row is held against."""
    wire, _, what = row.job.name.partition(": ")
    names = f"chat: {what}", f"chat: {what.partition(', ')[0]}"
    return next((r for r in rows if r.job.name in names), None) if wire == "native" else None


def ratio_of(row: Row, rows: Sequence[Row]) -> float | None:
    """chat : native, for a native row."""
    chat = reference(row, rows)
    return None if chat is None else chat.ratio(row)


def table(rows: Sequence[Row]) -> Table:
    """The rows for a person."""
    made = Table(
        Column("what", no_wrap=True), title="CPU microseconds for each event, or request", box=None, padding=(0, 1)
    )
    for name in ("min", "median", "a second", "MB/s", "chat : this"):
        made.add_column(name, justify="right")
    for row in rows:
        ratio = ratio_of(row, rows)
        cells = f"{row.least:.2f}", f"{row.median:.2f}", f"{1e6 / row.least:,.0f}", f"{row.megabytes_per_s:.0f}"
        made.add_row(row.job.name, *cells, "" if ratio is None else f"{ratio:.2f}")
    return made


def as_data(rows: Sequence[Row]) -> list[JSON]:
    """The rows for a program."""
    return [
        {
            "what": row.job.name,
            "us_min": row.least,
            "us_median": row.median,
            "a_second": 1e6 / row.least,
            "mb_per_s": row.megabytes_per_s,
            "chat_to_native": ratio_of(row, rows),
        }
        for row in rows
    ]


def check() -> list[str]:
    """What costs far more than it did, in words."""
    unit, *rows = timed([calibration(), *decoding(), *encoding(5)], 3, 0.01)
    costs = {row.job.name: row.ratio(unit) for row in rows}
    return [
        f"{name}: {costs[name]:.1f} calibration units, where {usual:g} are usual and {usual * TOO_MUCH:g} allowed"
        for name, usual in USUAL.items()
        if costs[name] > usual * TOO_MUCH
    ]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure what the dialects cost, without a socket.")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--check", action="store_true", help="briefly; fail where something costs many times what it did"
    )
    options = parser.parse_args()
    if options.check:
        found = check()
        print("\n".join(found) or "no dialect costs far more than it did")
        sys.exit(1 if found else 0)
    rows = timed([*decoding(), *encoding()], ROUNDS)
    if options.json:
        print(json.dumps(as_data(rows), indent=2))
    else:
        Console().print(table(rows))


if __name__ == "__main__":
    main()
