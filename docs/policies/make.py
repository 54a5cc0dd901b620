"""Writes the pages about policies: `python -m docs.policies.make`, from the root of the checkout.

A page for each policy that has a source; `--check` writes nothing and names what is not up to date.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from docs.policies._page import Page, index, page
from docs.policies._stage import Played, play
from docs.policies._svg import drawing
from policies import KINDS

HERE = Path(__file__).parent


def sources() -> dict[str, Page]:
    """The sources there are, by kind, in the registry's order."""
    return {kind: found for kind in KINDS if (found := _source(kind)) is not None}


def _source(kind: str) -> Page | None:
    name = kind.replace("-", "_")
    if not (HERE / "sources" / f"{name}.py").exists():
        return None
    found: Page = importlib.import_module(f"docs.policies.sources.{name}").PAGE
    return found


@cache
def played(kind: str) -> tuple[Played, Played]:
    """The scenes of one page, each run once in this process."""
    it = sources()[kind]
    return play(it.good, kind), play(it.bad, kind)


def made_for(kind: str) -> dict[str, str]:
    """One policy's page and its drawings."""
    it = sources()[kind]
    good, bad = played(kind)
    files = {f"{kind}.md": page(KINDS[kind], it, good, bad)}
    for name, scene, it_played in (("good", it.good, good), ("bad", it.bad, bad)):
        if any(account["attempts"] for account in it_played.shown):
            title = " ".join(scene.remark.split())
            files[f"pictures/{kind}-{name}.svg"] = drawing(it_played.shown, title)
    return files


def made() -> Mapping[str, str]:
    """Every page by the name of its file."""
    found = sources()
    pages = {name: text for kind in found for name, text in made_for(kind).items()}
    return {**pages, "README.md": index((KINDS[kind], it) for kind, it in found.items())}


def stale() -> list[str]:
    """The names of files that are not what they would be made now, or that nothing makes any more."""
    pages = made()
    there = {
        str(path.relative_to(HERE)): path.read_text("utf-8") for path in (*HERE.glob("*.md"), *HERE.glob("*/*.svg"))
    }
    return sorted(name for name in there.keys() | pages.keys() if there.get(name) != pages.get(name))


def main(args: list[str]) -> int:
    old = stale()
    if "--check" in args:
        sys.stdout.writelines(f"{name} is not up to date\n" for name in old)
        return 1 if old else 0
    for name in old:
        path = HERE / name
        if name in made():
            path.parent.mkdir(exist_ok=True)
            path.write_text(made()[name], "utf-8")
        else:
            path.unlink()
        sys.stdout.write(f"{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
