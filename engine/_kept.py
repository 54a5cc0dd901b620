"""A table that forgets: what was written to last stays, the rest goes when there is too much.

The books keep a row for each candidate, and a client may name any model of a provider: names are not as few as the file's
candidates. Rows without end would be memory that anybody can take. Pure.
"""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

#: Rows of one table.
KEPT = 1000


def keep(rows: dict[K, V], key: K, row: V, most: int = KEPT) -> V:
    """Put `row` behind all others, and drop the first where there are more than `most`."""
    rows.pop(key, None)
    rows[key] = row
    if len(rows) > most:
        del rows[next(iter(rows))]
    return row
