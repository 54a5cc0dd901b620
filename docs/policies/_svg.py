"""Lanes as a drawing: what `cli.timeline` draws of characters, for readers whose font does not join them.

One drawing serves light pages and dark ones: its colours follow the reader's scheme, and stand out on either. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from engine import JSON

#: Widths in pixels: the whole, the names, and the room for a lane; the rest is for words.
WIDTH, NAMES, LANE = 910, 110, 440
ROW, TOP = 26, 12

_STYLE = """
  text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #24292f }
  .dim { fill: #57606a } .axis { stroke: #8c959f; stroke-width: 1 }
  .wait { stroke-width: 2 } .flow { stroke-width: 12 }
  .won { stroke: #1a7f37 } .failed { stroke: #cf222e } .lost, .abandoned, .running { stroke: #bf8700 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .dim { fill: #9198a1 } .axis { stroke: #656c76 }
    .won { stroke: #3fb950 } .failed { stroke: #f85149 } .lost, .abandoned, .running { stroke: #d29922 }
  }
"""


def drawing(accounts: Sequence[JSON], title: str) -> str:
    """One or more requests, one below the other, as an SVG document."""
    rows: list[str] = []
    y = TOP
    for number, account in enumerate(accounts, 1):
        if len(accounts) > 1:
            rows.append(f'<text class="dim" x="8" y="{y + 14}">request {number}</text>')
            y += ROW
        for row in _request(account):
            rows.append(f'<g transform="translate(0 {y})">{row}</g>')
            y += ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 4}" width="{WIDTH}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n" + "\n".join(rows) + "\n</svg>\n"
    )


def _request(account: JSON) -> Iterator[str]:
    attempts = account["attempts"]
    total_s = max([*(a.get("ended_s") or a["started_s"] for a in attempts), 0.001])
    for attempt in attempts:
        yield _lane(attempt, total_s)
    for skip in (*account.get("plan", {}).get("skipped", ()), *account["skipped_at_launch"]):
        yield f'{_name(skip["candidate"], dim=True)}<text class="dim" x="{NAMES}" y="16">{escape(skip["reason"])}</text>'
    if attempts:
        end = NAMES + LANE
        yield (
            f'<path class="axis" d="M{NAMES} 2H{end}"/><text class="dim" x="{NAMES}" y="18">0</text>'
            f'<text class="dim" x="{end}" y="18" text-anchor="end">{total_s:.2f} s</text>'
        )


def _lane(attempt: JSON, total_s: float) -> str:
    def x(at_s: float) -> float:
        return round(NAMES + LANE * min(at_s / total_s, 1.0), 1)

    outcome, ended_s = attempt["outcome"], attempt.get("ended_s") or total_s
    content_s = attempt.get("first_content_s")
    start, end = x(attempt["started_s"]), x(ended_s)
    parts = [
        _name(attempt["candidate"]),
        f'<path class="wait {outcome}" d="M{start} 6V18M{start} 12H{x(content_s) if content_s is not None else end}"/>',
    ]
    if content_s is not None:
        parts.append(f'<path class="flow {outcome}" d="M{x(content_s)} 12H{max(end, x(content_s) + 2)}"/>')
    parts.append(f'<text x="{NAMES + LANE + 12}" y="16">{escape(_words(attempt, ended_s))}</text>')
    return "".join(parts)


def _name(candidate: str, *, dim: bool = False) -> str:
    style = ' class="dim"' if dim else ""
    return f'<text{style} x="8" y="16">{escape(candidate.partition("/")[0][:12])}</text>'


def _words(attempt: JSON, ended_s: float) -> str:
    took_s = ended_s - attempt["started_s"]
    match attempt["outcome"]:
        case "won" if "first_content_s" in attempt:
            return f"won: content after {attempt['first_content_s'] - attempt['started_s']:.2f} s"
        case "failed":
            return f"failed after {took_s:.2f} s: {attempt['failure'].partition(':')[0]}"
        case "lost":
            return f"cancelled after {took_s:.2f} s"
        case other:
            return f"{other} after {took_s:.2f} s"
