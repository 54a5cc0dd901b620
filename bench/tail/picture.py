"""The scenes as pictures: lines in SVG, drawn by hand.

A plotting library would be the largest dependency of the repository, for three pictures that are drawn once in a while.
Colours are those of a scheme that colour-blind people can tell apart (Okabe and Ito), and each line is also labelled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import attrs

from bench.tail.scenes import Scene
from bench.tail.side import Turn, quantile

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 360, 64, 130, 40, 48
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")

Line = Sequence[tuple[float, float]]


@attrs.frozen
class Axis:
    """From one value to another, evenly or by powers, with marks at some."""

    title: str
    low: float
    high: float
    marks: tuple[float, ...]
    log: bool = False
    unit: str = ""

    def share(self, value: float) -> float:
        """Where a value is on the axis, from 0 to 1; what is beyond stands at the end."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)


def chart(
    title: str, across: Axis, up: Axis, lines: Mapping[str, Line], bands: Sequence[tuple[float, float, str]] = ()
) -> str:
    """One picture. `bands` are shaded stretches of the lower axis, with a word each."""

    def x(value: float) -> float:
        return LEFT + across.share(value) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - up.share(value) * (HEIGHT - TOP - BOTTOM)

    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>',
    ]
    for start, end, word in bands:
        out.append(
            f'<rect x="{x(start):.1f}" y="{TOP}" width="{x(end) - x(start):.1f}" height="{bottom - TOP}" fill="#eee"/>'
        )
        out.append(
            f'<text x="{(x(start) + x(end)) / 2:.1f}" y="{TOP + 14}" text-anchor="middle" fill="#666">{escape(word)}</text>'
        )
    for mark in across.marks:
        out.append(f'<path d="M{x(mark):.1f} {TOP}V{bottom}" stroke="#ddd"/>')
        out.append(f'<text x="{x(mark):.1f}" y="{bottom + 16}" text-anchor="middle">{mark:g}{across.unit}</text>')
    for mark in up.marks:
        out.append(f'<path d="M{LEFT} {y(mark):.1f}H{right}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:g}{up.unit}</text>')
    out.append(f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#444"/>')
    out.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(across.title)}</text>')
    middle = (TOP + bottom) / 2
    out.append(f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">{escape(up.title)}</text>')
    for place, (name, line) in enumerate(lines.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in line)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{right + 10}" y="{TOP + 16 + 18 * place}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>", ""])


def pictures(scenes: Sequence[Scene]) -> dict[str, str]:
    """File name -> picture, of the scenes that were played."""
    draw = {"stragglers": _stragglers, "drift": _drift, "death": _death}
    return {f"tail-{scene.name}": draw[scene.name](scene) for scene in scenes}


def _stragglers(scene: Scene) -> str:
    """The share of requests that took longer, over how long."""
    lines = {name: _slower([turn.first_content_s for turn in one.turns.values()]) for name, one in scene.sides.items()}
    shown = [at for line in lines.values() for at, share in line if share < 99]
    marks = tuple(mark for mark in _DOUBLED if min(shown) < mark < max(shown))
    return chart(
        "Requests that waited longer than so many seconds for first content",
        Axis("seconds to first content", min(shown), max(shown), marks, log=True),
        Axis("requests", 0.05, 100.0, (0.1, 1.0, 10.0, 100.0), log=True, unit=" %"),
        lines,
    )


#: Marks of an axis by powers, in seconds.
_DOUBLED = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


def _slower(times: Sequence[float]) -> Line:
    ordered = sorted(times)
    count = len(ordered)
    kept = sorted({*range(0, count, max(1, count // 200)), *range(max(0, count - 150), count)})
    return [(ordered[n], 100 * (1 - n / count)) for n in kept]


def _drift(scene: Scene) -> str:
    """p99 of the last 600 requests, over their number."""
    lines = {
        name: _moving(sorted(one.turns.values(), key=lambda turn: turn.number), 600)
        for name, one in scene.sides.items()
    }
    last, half = len(scene.draws), scene.notes["requests before the drift"]
    highest = max(at for line in lines.values() for _, at in line)
    return chart(
        "p99 of the last 600 requests, before and after a drift",
        Axis("requests", 0, last, _marks(last)),
        Axis("seconds to first content", 0, highest, _marks(highest)),
        lines,
        [(half, last, "all twice as slow")],
    )


def _moving(turns: Sequence[Turn], span: int) -> Line:
    step = max(1, len(turns) // 120)
    times = [turn.first_content_s for turn in turns]
    return [
        (end, quantile(times[max(0, end - span) : end], 0.99))
        for end in range(min(span, len(turns)), len(turns) + 1, step)
    ]


def _death(scene: Scene) -> str:
    """p99 of those who came within each few seconds, over the time."""
    turns = [turn for one in scene.sides.values() for turn in one.turns.values()]
    last = max(turn.at for turn in turns)
    dead = [turn.at for turn in turns if scene.draws[turn.number][0] < 0]
    lines = {name: _by_time(list(one.turns.values()), last / 40) for name, one in scene.sides.items()}
    highest = max(at for line in lines.values() for _, at in line)
    return chart(
        "p99 while the first of two providers dies silently and returns",
        Axis("seconds", 0, last, _marks(last)),
        Axis("seconds to first content", 0, highest, _marks(highest)),
        lines,
        [(min(dead), max(dead), "dead")] if dead else [],
    )


def _by_time(turns: Sequence[Turn], span: float) -> Line:
    found: dict[int, list[float]] = {}
    for turn in turns:
        found.setdefault(int(turn.at / span), []).append(turn.first_content_s)
    return [((place + 0.5) * span, quantile(times, 0.99)) for place, times in sorted(found.items())]


def _marks(highest: float) -> tuple[float, ...]:
    """About five round values up to the highest."""
    step = 10 ** math.floor(math.log10(highest / 4))
    step *= next(times for times in (1, 2, 5, 10) if highest / (step * times) <= 6)
    return tuple(step * n for n in range(int(highest / step + 1e-9) + 1))
