"""Tables for people and for pipes.

A table with rules and colours is good on a terminal and a nuisance behind a pipe, where its cells are cut to a width that
nobody has. So there are two ways to show the same rows: drawn where the console is a terminal, and elsewhere as columns of
text with two spaces between them, nothing cut and nothing wrapped.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.printable import printable


def show_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their columns; a column whose name begins with `#` is of numbers, and stands to the right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    names = [name.removeprefix("#") for name in columns]
    numeric = [name.startswith("#") for name in columns]
    if console.is_terminal:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name, right in zip(names, numeric, strict=True):
            table.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))  # as text: a name may hold what would be markup
        console.print(table)
        return
    widths = [max(len(row[at]) for row in (names, *rows)) for at in range(len(names))]
    for row in (names, *rows):
        cells = [f"{c:>{w}}" if right else f"{c:<{w}}" for c, w, right in zip(row, widths, numeric, strict=True)]
        console.file.write("  ".join(cells).rstrip() + "\n")
    console.file.flush()


def tokens(count: int | None) -> str:
    """A number of tokens with commas; a dash where it is unknown."""
    return "-" if count is None else f"{count:,}"
