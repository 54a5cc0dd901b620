"""Text of others, made fit for a terminal.

Model names, session ids, paths and what a provider wrote are anybody's bytes, and a terminal obeys some of them: an escape
sequence sets its title, hides lines or answers for its owner. Libraries for colours leave them in. So whatever is shown has
them replaced by what they are called; a text that is read from right to left, or a line break, would tell another story
than the line that it stands in, and counts as well.
"""

from __future__ import annotations

import re
from typing import Any

#: Controls (C0 without the line feed, DEL, C1), separators of lines, marks and overrides of direction, lone surrogates.
_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACES = re.compile("[\t\n\r]+")


def printable(text: str) -> str:
    """One line without anything that a terminal obeys: white space is a blank, the rest `\\u001b` and so on."""
    return escaped(_SPACES.sub(" ", text))


def escaped(text: str) -> str:
    """Each character that a terminal obeys as `\\u001b`, which within JSON means the same as the character."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def printable_values(_: object, __: str, values: Any) -> Any:
    """For structlog: the values of a log line for people. Traces keep their lines."""
    return {name: _value(name, value) for name, value in values.items()}


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return "\n".join(map(printable, value.split("\n"))) if name == "trace" else printable(value)
