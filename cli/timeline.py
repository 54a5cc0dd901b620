"""A request as a picture for the terminal: a lane for each attempt, on one time axis.

A list of timestamps says the same, and nobody reads a list of timestamps. Waiting is thin, streaming is thick, and the end of
each lane says in words what became of it; where the terminal is too narrow for both, the words have a line of their own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping

import attrs
from rich.text import Text

from cli.printable import printable
from engine import JSON

#: Columns of a name, and the fewest of a lane.
_NAME, _LANE = 9, 8


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
    attempts = account["attempts"]
    skips = (*account.get("plan", {}).get("skipped", ()), *account["skipped_at_launch"])
    names = _names({row["candidate"]: None for row in (*attempts, *skips)}, width)
    column = max([_NAME, *map(len, names.values())])
    longest = max((len(_words(attempt)) for attempt in attempts), default=0)
    beside = width - column - longest - 6
    room = beside if beside >= _LANE else max(_LANE, width - column - 5)
    total_s = max([*(a.get("ended_s") or a["started_s"] for a in attempts), 0.001])
    for attempt in attempts:
        name, words, style = f"{names[attempt['candidate']]:<{column}}", _words(attempt), _STYLE[attempt["outcome"]]
        lane = Text.assemble("   ", f"{name} ", (_lane(attempt, room, total_s, glyphs), style))
        if beside >= _LANE:
            yield Text.assemble(lane, "  ", (words, style))
        else:
            yield lane
            yield from (Text(f"     {part}", style=style) for part in textwrap.wrap(words, max(width - 5, 20)))
    for skip in skips:
        back = f", back in {skip['wait_s']:.0f} s" if skip["wait_s"] is not None else ""
        name = f"{names[skip['candidate']]:<{column}}"
        yield Text.assemble("   ", (name, "dim"), (f" passed over: {printable(skip['reason'])}{back}", "dim"))
    if attempts:
        yield Text(f"   {'':<{column}} 0{f'{total_s:.2f} s':>{room - 1}}", style="dim")


#: What may stand for a candidate, from the shortest on: its provider, its model, what a rehearsal is to do.
_FORMS: tuple[Callable[[str], str], ...] = (lambda n: n.partition("/")[0], lambda n: n.partition("?")[0], lambda n: n)


def _names(candidates: Mapping[str, None], width: int) -> dict[str, str]:
    """Each candidate by the least that tells it from the others, and never by more than a third of a line."""
    most = max(_NAME, width // 3)
    told = {}
    for name in candidates:
        text = next(form(name) for form in _FORMS if sum(form(other) == form(name) for other in candidates) == 1)
        text = printable(text)
        told[name] = text if len(text) <= most else f"{text[: most - 2]}.."
    return told


def _lane(attempt: JSON, room: int, total_s: float, glyphs: _Glyphs) -> str:
    started, ended = attempt["started_s"], attempt.get("ended_s") or total_s
    content = attempt.get("first_content_s")

    def column(at_s: float) -> int:
        return min(round(at_s / total_s * (room - 1)), room - 1)

    bar = [" "] * room
    for i in range(column(started), column(ended) + 1):
        bar[i] = glyphs.waiting
    if content is not None:
        for i in range(column(content), column(ended) + 1):
            bar[i] = glyphs.streaming
    bar[column(started)] = glyphs.start
    return "".join(bar)


def _words(attempt: JSON) -> str:
    took_ms = ((attempt.get("ended_s") or attempt["started_s"]) - attempt["started_s"]) * 1000
    return f"at {attempt['started_s']:.2f} s: {_outcome(attempt, took_ms)}"


def _outcome(attempt: JSON, took_ms: float) -> str:
    match attempt["outcome"]:
        case "won" if "first_content_s" in attempt:
            return f"won in {(attempt['first_content_s'] - attempt['started_s']) * 1000:.0f} ms"
        case "failed":
            kind = attempt["failure"].partition(":")[0]
            reason = kind.partition("(")[2].rstrip(")") or kind
            return f"failed after {took_ms:.0f} ms ({reason})"
        case "lost":
            return f"cancelled after {took_ms:.0f} ms"
        case other:
            return str(other)
