"""Names in a policy's arguments, and whom of a chain they mean.

A policy that is told names is told them by a person, and a person slips: a provider's alias instead of its id, a model that
has left the chain. If each policy compared strings itself, each would be silent about it in its own way, and an `except`
that means nobody starts up and excepts nobody. So a field that holds names says so in its metadata, and whoever reads a
configuration puts the names under their ids and refuses those that mean nobody. A field of a policy of your own does the
same with `attrs.field(metadata=CANDIDATES)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from policies._facts import Candidate

#: The key in a field's metadata, and what may stand under it.
NAMES = "names"
#: A field of candidates' names (`provider/model`), providers' ids, or globs of either.
CANDIDATES = {NAMES: "candidates"}
#: A field of providers' ids.
PROVIDERS = {NAMES: "providers"}


def matches(name: str, candidate: Candidate) -> bool:
    """Whether `name` means the candidate: its name, its provider's id, or a glob of either.

    In a glob `*` is any text and `?` any character; a bracket is a bracket, as some models have one in their name.
    """
    if name in (candidate.name, candidate.provider):
        return True
    if "*" not in name and "?" not in name:
        return False
    glob = name.replace("[", "[[]")
    return fnmatchcase(candidate.name, glob) or fnmatchcase(candidate.provider, glob)


def any_matches(names: Iterable[str], candidate: Candidate) -> bool:
    """Whether one of the names means the candidate."""
    return any(matches(name, candidate) for name in names)


class Weights(tuple[tuple[str, float], ...]):
    """Names with a number each, in the order of the file: a table in TOML, and hashable, as a policy has to be."""

    __slots__ = ()

    @classmethod
    def of(cls, table: Mapping[str, float] | Iterable[tuple[str, float]]) -> Weights:
        """From a table, or from pairs."""
        pairs = table.items() if isinstance(table, Mapping) else table
        return cls((name, float(weight)) for name, weight in pairs)

    def weight(self, candidate: Candidate) -> float:
        """The candidate's number: by its name, else by its provider's id, else 1."""
        table = dict(self)
        return table.get(candidate.name, table.get(candidate.provider, 1.0))


def as_weights(table: Mapping[str, float] | Iterable[tuple[str, float]]) -> Weights:
    """`Weights.of`, as a field's converter has to be written."""
    return Weights.of(table)


#: Where a name stands below its field: indexes of lists, keys of tables.
Place = tuple[str | int, ...]


def renamed(value: Any, rename: Callable[[str, Place], str], place: Place = ()) -> Any:
    """The value of a field of names with each name passed through `rename`, which is also told where it stands."""
    if isinstance(value, str):
        return rename(value, place)
    if isinstance(value, Weights):
        return Weights.of((rename(name, (*place, name)), weight) for name, weight in value)
    if isinstance(value, tuple):
        return tuple(renamed(item, rename, (*place, index)) for index, item in enumerate(value))
    return value
