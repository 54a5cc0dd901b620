"""A request as a picture for the terminal: a lane for each attempt, on one time axis.

A list of timestamps says the same, and nobody reads a list of timestamps. Waiting is thin, streaming is thick, and the end of
each lane says in words what became of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from rich.text import Text

from engine import JSON

_NAME = 9


@attrs.frozen
class _Glyphs:
    waiting: str
    streaming: str
    start: str


_FINE = _Glyphs("─", "█", "├")
_PLAIN = _Glyphs("-", "#", "|")
_STYLE = {"won": "green", "failed": "red", "lost": "yellow", "abandoned": "yellow", "running": ""}


def timeline(account: JSON, *, width: int = 100, plain: bool = False) -> Iterator[Text]:
    """Lines for one request as `Recent.explain` tells it. `plain` keeps to ASCII."""
    glyphs = _PLAIN if plain else _FINE
    longest = max((len(_words(attempt)) for attempt in account["attempts"]), default=0)
    room = max(8, width - _NAME - longest - 6)
    ends = [a.get("ended_s") or 0.0 for a in account["attempts"]]
    total_s = max([*ends, 0.001])
    for attempt in account["attempts"]:
        yield _lane(attempt, room, total_s, glyphs)
    for skip in (*account.get("plan", {}).get("skipped", ()), *account["skipped_at_launch"]):
        name = skip["candidate"].partition("/")[0]
        back = f", back in {skip['wait_s']:.0f} s" if skip["wait_s"] is not None else ""
        yield Text.assemble("   ", (f"{name:<{_NAME}}", "dim"), (f" passed over: {skip['reason']}{back}", "dim"))
    if account["attempts"]:
        yield Text(f"   {'':<{_NAME}} 0{f'{total_s:.2f} s':>{room}}", style="dim")


def _lane(attempt: JSON, room: int, total_s: float, glyphs: _Glyphs) -> Text:
    started, ended = attempt["started_s"], attempt.get("ended_s") or total_s
    content = attempt.get("first_content_s")

    def column(at_s: float) -> int:
        return round(at_s / total_s * (room - 1))

    bar = [" "] * room
    for i in range(column(started), column(ended) + 1):
        bar[i] = glyphs.waiting
    if content is not None:
        for i in range(column(content), column(ended) + 1):
            bar[i] = glyphs.streaming
    bar[column(started)] = glyphs.start
    style = _STYLE[attempt["outcome"]]
    name = attempt["candidate"].partition("/")[0]
    return Text.assemble("   ", f"{name:<{_NAME}} ", ("".join(bar), style), "  ", (_words(attempt), style))


def _words(attempt: JSON) -> str:
    took_ms = ((attempt.get("ended_s") or attempt["started_s"]) - attempt["started_s"]) * 1000
    return f"at {attempt['started_s']:.2f} s: {_outcome(attempt, took_ms)}"


def _outcome(attempt: JSON, took_ms: float) -> str:
    match attempt["outcome"]:
        case "won":
            return f"won in {(attempt['first_content_s'] - attempt['started_s']) * 1000:.0f} ms"
        case "failed":
            kind = attempt["failure"].partition(":")[0]
            reason = kind.partition("(")[2].rstrip(")") or kind
            return f"failed after {took_ms:.0f} ms ({reason})"
        case "lost":
            return f"cancelled after {took_ms:.0f} ms"
        case other:
            return str(other)
