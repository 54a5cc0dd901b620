"""Tool names as Gemini takes them, and back: they begin with a letter or `_`.

What every wire does with names (`Toolbox`) leaves some that begin with a digit or a dash, and one such name costs every
turn. These get a `_` in front, which is taken away from what comes back.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from transports.translate._tools import sendable_name


def gemini_name(name: str) -> str:
    """At most 64 letters, digits, `_` and `-`, a letter or `_` first. The same name always gives the same."""
    plain = sendable_name(name)
    return plain if plain[0].isalpha() or plain[0] == "_" else sendable_name(f"_{plain}")


@attrs.frozen
class Names:
    """The names of the tools of one request: as they are sent -> as the toolbox has them."""

    _sent: dict[str, str]

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        sent: dict[str, str] = {}
        for name in names:
            sent.setdefault(gemini_name(name), name)
        return cls(sent)

    def back(self, called: str) -> str:
        """The toolbox's name of a tool that was called; one that is not known stays as it is."""
        return self._sent.get(called, called)
