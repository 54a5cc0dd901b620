"""A value that cannot be used, with every reason why.

An exception with one text stops at the first mistake, and a file is then put right one start at a time. This one carries
all that is wrong below a value, each reason with its own path, so that they add up on the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.config._problems import Path, found, nearest


class Bad(Exception):
    """A value that cannot be used: every reason, each with its path below the value."""

    def __init__(self, *reasons: tuple[Path, str]) -> None:
        self.reasons = reasons
        super().__init__(*(text for _, text in reasons))

    @classmethod
    def expected(cls, what: str, value: Any, more: str = "") -> Bad:
        return cls(((), f"expected {what}, got {found(value)}{more}"))


def reasons(error: Exception, below: Path = ()) -> list[tuple[Path, str]]:
    """What an exception from a hook has to say, each under its full path."""
    if isinstance(error, Bad):
        return [((*below, *path), text) for path, text in error.reasons]
    text = str(error.args[0]) if error.args else type(error).__name__
    return [(below, text)]


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What to say of a key that a table does not have."""
    known = list(known)
    if not known:
        return "unknown key: nothing can be set here"
    return f"unknown key{nearest(key, known)}; available: {', '.join(known)}"


def each(items: Iterable[Any], read: Callable[[Any], Any]) -> tuple[Any, ...]:
    """All items read; else Bad with the reasons of all that could not be."""
    values, wrong = [], []
    for index, item in enumerate(items):
        try:
            values.append(read(item))
        except Exception as error:
            wrong += reasons(error, (index,))
    if wrong:
        raise Bad(*wrong)
    return tuple(values)
