"""From variables to credentials.

One variable may hold several keys, one service may have several variables, and a person who leaves a line `KEY=` in a
shell profile has set none. The values never leave `Secret`; what is said about them is the name of the variable, and the
number of the key where it holds several: `GROQ_API_KEYS[2]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from engine.config._problems import quotable
from engine.config._provider import KeyLimit, Secret


def keys_of(variables: Sequence[str], environ: Mapping[str, str]) -> tuple[Secret, ...]:
    """All keys of these variables, each once, in order; commas and white space separate several in one."""
    seen: dict[str, Secret] = {}
    for variable in variables:
        values = environ.get(variable, "").replace(",", " ").split()
        for number, value in enumerate(values, start=1):
            source = variable if len(values) == 1 else f"{variable}[{number}]"
            seen.setdefault(value, Secret(value, source))
    return tuple(seen.values())


def with_plurals(variables: Sequence[str]) -> tuple[str, ...]:
    """A row's variables, each with its plural behind it: where `GROQ_API_KEY` counts, `GROQ_API_KEYS` does."""
    return tuple(name for v in variables for name in ((v, f"{v}S") if v.endswith("_KEY") else (v,)))


def unset(variables: Sequence[str]) -> str:
    """What to say where none of these variables holds a key."""
    first, *others = variables
    return f"{first} is not set" + (f" (nor {', '.join(others)})" if others else "")


def unsendable(keys: Sequence[Secret]) -> str:
    """Which key cannot stand in a header at all, as one pasted with a quote or from a formatted page; empty if none."""
    bad = next((key.source for key in keys if not _sendable(key.reveal())), "")
    return f"{bad} holds characters that no key has: set it again, without quotes" if bad else ""


def _sendable(value: str) -> bool:
    return value.isascii() and value.isprintable() and not set(value) & set("\"'")


def limit_of(names: Sequence[str], environ: Mapping[str, str]) -> KeyLimit | None:
    """The usage limit of `<NAME>_KEY_USAGE_LIMIT`, requests a day and 0 for none; `names` are an id and key variables.

    Raises ValueError with the variable and a text where it holds no number.
    """
    id, *variables = names
    prefixes = (id.upper(), *(v.removesuffix("_API_KEY") for v in variables if v.endswith("_API_KEY")))
    for variable in dict.fromkeys(f"{re.sub('[^A-Z0-9]', '_', prefix)}_KEY_USAGE_LIMIT" for prefix in prefixes):
        value = environ.get(variable, "").strip()
        if not value:
            continue
        if not re.fullmatch(r"[0-9]{1,15}", value):
            raise ValueError(
                variable, f"expected a whole number of requests a day (0: no limit), got '{quotable(value)}'"
            )
        return KeyLimit(requests=int(value)) if int(value) else None
    return None
