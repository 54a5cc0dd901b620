"""A plan in words: who is asked and when, who is not, and what each policy said of each candidate.

A plan as JSON says the same and is read by programs. A person asks "why this one, and why not that one", so the answer is
sorted by candidate, and under each stand the policies that had a say on it, in the order in which they had it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import attrs
from rich.console import Console
from rich.text import Text

from cli.printable import printable
from engine import JSON

#: Columns below which a text is no longer put beside its head.
_LEAST = 16


@attrs.frozen
class Line:
    """One line of a picture: what stands at its beginning, the text, how far both are moved in, and a style."""

    head: str
    text: str
    indent: int = 0
    style: str = ""


def show_lines(console: Console, lines: list[Line]) -> None:
    """Print them: on a terminal with the text wrapped beside its head, behind a pipe as they are."""
    for line in lines:
        lead, text = " " * line.indent + printable(line.head), printable(line.text)
        if not console.is_terminal:
            console.file.write(f"{lead}{text}".rstrip() + "\n")
            continue
        hang = len(lead) if console.width - len(lead) >= _LEAST else line.indent + 2
        wrapped = textwrap.wrap(text, max(console.width - hang, _LEAST), break_on_hyphens=False)
        if hang < len(lead):  # too narrow for both: the text stands below its head
            wrapped = ["", *wrapped]
        console.print(Text(lead.rstrip() if hang < len(lead) else lead, style=line.style), end="", soft_wrap=True)
        console.print(Text(("\n" + " " * hang).join(wrapped), style=line.style), soft_wrap=True)
    console.file.flush()


def decision_lines(account: JSON) -> Iterator[Line]:
    """The plan of an account, candidate by candidate: those that are asked in their order, then the others."""
    plan, stages = account["plan"], account["stages"]
    column = max((len(stage["by"]) for stage in stages), default=0) + 2
    for place, step in enumerate(plan["steps"], 1):
        yield Line(f"{place}. ", f"{step['candidate']}  {_when(place, step)}".rstrip(), 2, "bold")
        yield from _said(step["candidate"], stages, column)
    for skip in plan["skipped"]:
        yield Line("-  ", f"{skip['candidate']}  not asked: {_reason(skip)} ({skip['by']})", 2, "dim")
        yield from _said(skip["candidate"], stages, column)
    whole = [(stage["by"], stage["changes"]) for stage in stages if stage["changes"]]
    if whole:
        yield Line("", "the whole request", 2, "bold")
    for by, changes in whole:
        yield Line(f"{by:<{column}}", _changed(changes), 5)


def _when(place: int, step: JSON) -> str:
    if step["not_before_s"]:
        return f"in {step['not_before_s']:.3g} s, when it is back"
    return "asked at once" if place == 1 else ""


def _said(candidate: str, stages: list[JSON], column: int) -> Iterator[Line]:
    """What each stage made of one candidate. Those that had nothing to say on it are left out; the JSON form has them all."""
    for stage in stages:
        ruling = next(r for r in stage["candidates"] if r["candidate"] == candidate)
        if (_has_a_say(stage) and ruling["verdict"] != "out") or _did_something(ruling):
            yield Line(f"{stage['by']:<{column}}", ruling_text(ruling), 5)


def _has_a_say(stage: JSON) -> bool:
    """Whether a stage judges candidates by its nature. Limits and outcomes are of the whole request."""
    return bool(stage["policy"]) and stage["phase"] in ("select", "order", "pace")


def _did_something(ruling: JSON) -> bool:
    return ruling["verdict"] in ("skipped", "moved", "held") or bool(ruling.get("changes"))


def ruling_text(ruling: JSON) -> str:
    """What one stage made of one candidate."""
    overruled = "another policy's reason weighs more" if ruling.get("overruled") else ""
    changes = "" if ruling["verdict"] == "held" else _changed(ruling.get("changes", {}))
    verdict = "" if changes and ruling["verdict"] in ("kept", "out") else _VERDICTS[ruling["verdict"]](ruling)
    return "; ".join(part for part in (verdict, ruling.get("says", ""), changes, overruled) if part)


def _reason(skip: JSON) -> str:
    return str(skip["reason"]) + ("" if skip["wait_s"] is None else f", back in {skip['wait_s']:.3g} s")


_VERDICTS: dict[str, Callable[[JSON], str]] = {
    "kept": lambda r: "kept",
    "moved": lambda r: f"place {r['from']} -> {r['to']}",
    "skipped": lambda r: f"passed over{' for this request' if r['wait_s'] is None else ''}: {_reason(r)}",
    "held": lambda r: f"waited for: {r['changes']['not_before_s'][1]:.3g} s, the first to be back",
    "out": lambda r: "passed over before",
}


def change_text(name: str, before: Any, after: Any) -> str:
    """One changed value in words."""
    return _CHANGES.get(name, _any(name))(before, after)


def _changed(changes: JSON) -> str:
    places = list(_CHANGES)  # an account that came as JSON has lost the order in which things were changed
    names = sorted(changes, key=lambda name: places.index(name) if name in _CHANGES else len(places))
    told = (change_text(name, *changes[name]) for name in names)
    return "; ".join(text for text in told if text)


def _any(name: str) -> Callable[[Any, Any], str]:
    return lambda before, after: f"{name} {_short(before)} -> {_short(after)}"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_short, value)) or "nobody"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _patience(before: Any, after: Any) -> str:
    return "next when it fails" if after is None else f"next after {after:.3g} s" if after else "next at once"


_CHARGES = {
    "free": "may start beside another",
    "budget": "may start beside another, on the hedge budget",
    "never": "starts only when another has failed",
}


def _rows(before: Any, after: Any) -> str:
    """Rows of the verdict table that a chain has of its own."""
    new = [row for row in after if row not in before]
    return "; ".join(f"{kind}: {_row(verdict)}" for kind, verdict in new)


def _row(verdict: JSON) -> str:
    health = "counts" if verdict["counts"] else "does not count"
    again = "" if verdict["again"] == "nothing" else f", one more try: {verdict['again']}"
    return f"then {verdict['next']}, {health} against its health{again}"


#: How a change is told; any other by its name and both values.
_CHANGES: dict[str, Callable[[Any, Any], str]] = {
    "patience_s": _patience,
    "verdicts": _rows,
    "charge": lambda _, after: _CHARGES.get(after, str(after)),
    "first_content_s": lambda _, after: f"first content within {after:.3g} s",
    "idle_s": lambda _, after: f"silence of at most {after:.3g} s",
    "unlimited": lambda _, after: "windows and 429 blocks lifted" if after else "",
    "denied": lambda _, after: f"no hedge to it: {after}" if after else "",
    "denies": lambda _, after: f"no hedge beside it: {after}" if after else "",
    "retry_waits_s": lambda _, after: f"tries again after {_short(after)} s" if after else "tries nobody again",
    "alone": lambda _, after: "nobody beside it" if after else "",
    "wait_s": lambda _, after: "out for good" if after is None else f"back in {after:.3g} s",
}
