"""What hedging does to the slowest answers, and what it costs.

    python -m bench.tail [--brief] [--json] [--out FOLDER] [SCENE ...]

A simulation of hedging is a simulation of one's own opinion of it. Here the engine itself asks providers on loopback
sockets, with the product's own transport and defaults, and waits as long as one waits in life: the middle answer begins
after two seconds. The time to first content is lognormal (sigma 0.3), and 5 % of answers are ten times slower. Three scenes:

`stragglers`  two providers alike: no hedging, hedging, and an oracle that always has the better of two draws
`drift`       three of speed 1:2:4; the best fixed delay is sought; then all are twice as slow
`death`       two alike; the first one dies, silently, and returns

All sides of a scene get each request at the same moment, with the same draws. Some ten minutes, in which the machine is
mostly asleep; how late it was is told. `--out` writes `tail.json` and a picture for each scene.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio
from rich.console import Console
from rich.table import Column, Table

from bench.tail.picture import pictures
from bench.tail.scenes import BRIEF, Load, Scene, death, drift, stragglers
from bench.tail.side import quantile

SCENES = {scene.__name__: scene for scene in (stragglers, drift, death)}
#: Seconds after which a scene is given up: something hangs.
PATIENCE_S = 1200.0


async def _lateness(samples: list[float]) -> None:
    """How much later than asked this loop wakes, in seconds: what the machine adds to every figure."""
    while True:
        due_at = trio.current_time() + 0.05
        await trio.sleep_until(due_at)
        samples.append(trio.current_time() - due_at)


async def measured(names: Sequence[str], load: Load, progress: Console) -> tuple[list[Scene], list[float]]:
    """The scenes, one after the other, and how late the loop was."""
    found, late = [], list[float]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_lateness, late)
        for name in names:
            progress.print(f"{name} ...", style="dim", highlight=False)
            with trio.fail_after(PATIENCE_S):
                found.append(await SCENES[name](load))
        nursery.cancel_scope.cancel()
    return found, late


def table(scene: Scene) -> Table:
    """A scene for a person. Seconds to first content; shares of requests."""
    made = Table(Column(scene.name, no_wrap=True), box=None, padding=(0, 1))
    for name in ("requests", "p50", "p95", "p99", "p99.9", "extra", "denied", "failed"):
        made.add_column(name, justify="right", no_wrap=True)
    for name, told in scene.told.items():
        times = [f"{at:.2f}" for at in (told.p50, told.p95, told.p99, told.p999)]
        made.add_row(name, f"{told.requests:,}", *times, f"{told.extra:.2%}", f"{told.denied:.2%}", f"{told.failed}")
    return made


def as_data(scenes: Sequence[Scene], late: Sequence[float], load: Load) -> dict[str, object]:
    """The figures for a program."""
    told = {
        scene.name: {"sides": {name: attrs.asdict(one) for name, one in scene.told.items()}, "notes": scene.notes}
        for scene in scenes
    }
    return {"load": attrs.asdict(load), "late_s": _late(late), "scenes": _rounded(told)}


def _late(late: Sequence[float]) -> dict[str, float]:
    return {"p50": round(quantile(late, 0.5), 4), "p99": round(quantile(late, 0.99), 4)}


def _rounded(told: object) -> object:
    if isinstance(told, dict):
        return {name: _rounded(value) for name, value in told.items()}
    return round(told, 4) if isinstance(told, float) and math.isfinite(told) else told


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure what hedging does to the slowest answers.")
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"of {', '.join(SCENES)}; all without one")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--brief", action="store_true", help="little of everything, and faster: to see that it runs")
    parser.add_argument("--out", type=Path, help="a folder for tail.json and the pictures")
    options = parser.parse_args()
    unknown = [name for name in options.scenes if name not in SCENES]
    if unknown:
        parser.error(f"there is no scene {unknown[0]!r}; there are {', '.join(SCENES)}")
    load = BRIEF if options.brief else Load()
    scenes, late = trio.run(measured, options.scenes or list(SCENES), load, Console(stderr=True, quiet=options.json))
    told = as_data(scenes, late, load)
    if options.out:
        name = "tail" if len(scenes) == len(SCENES) else f"tail-{'-'.join(scene.name for scene in scenes)}"
        (options.out / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
        for name, picture in pictures(scenes).items():
            (options.out / f"{name}.svg").write_text(picture, "utf-8")
    if options.json:
        print(json.dumps(told, indent=2))
        return
    console = Console()
    for scene in scenes:
        console.print(table(scene))
        for note, value in scene.notes.items():
            console.print(f"  {note}: {value:.2f}", highlight=False)
        console.print()
    console.print(
        f"the loop was late by {_late(late)['p50'] * 1e3:.1f} ms in the middle, {_late(late)['p99'] * 1e3:.0f} at p99"
    )


if __name__ == "__main__":
    main()
