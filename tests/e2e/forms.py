"""The forms of which a wire's description is made: objects with these fields and no others, lists, texts, numbers.

Each form is a function from a value and the place where it stands to what is wrong there, so that a description is written
down as a table and read as one. What all hosts that are not Anthropic must not be sent, texts and heads that were meant for
others, is looked for by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

#: A breach is `where: what is wrong`.
Check = Callable[[Any, str], Iterator[str]]

#: The name of a tool.
NAME = r"[a-zA-Z0-9_-]{1,64}"


def an_object(fields: Mapping[str, Check], required: Sequence[str] = ()) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where or 'body'}: not an object"
            return
        dot = f"{where}." if where else ""
        yield from (f"{dot}{name}: missing" for name in required if name not in value)
        for name, inner in value.items():
            if name not in fields:
                yield f"{dot}{name}: no such field"
            else:
                yield from fields[name](inner, f"{dot}{name}")

    return check


def a_list(item: Check, least: int = 1, most: int | None = None) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{where}: not a list"
            return
        if len(value) < least or (most is not None and len(value) > most):
            yield f"{where}: {len(value)} of them"
        for number, inner in enumerate(value):
            yield from item(inner, f"{where}[{number}]")

    return check


def a_text(pattern: str = r"(?s).+") -> Check:
    """A text with something in it."""

    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield f"{where}: not a text"
        elif not value.strip():
            yield f"{where}: empty"
        elif not re.fullmatch(pattern, value):
            yield f"{where}: {value[:80]!r} is not of the form {pattern}"

    return check


def a_number(least: float, most: float, *, whole: bool = False) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            yield f"{where}: not a {'whole ' if whole else ''}number"
        elif not least <= value <= most:
            yield f"{where}: {value} is not from {least} to {most}"

    return check


def one_of(*values: Any) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if not any(value is known or (isinstance(value, str) and value == known) for known in values):
            yield f"{where}: {str(value)[:80]!r} is none of {values}"

    return check


def text_or(text: Check, kind: type, other: Check) -> Check:
    """What may be a text or something else of this type."""

    def check(value: Any, where: str) -> Iterator[str]:
        yield from (other if isinstance(value, kind) else text)(value, where)

    return check


def by(field: str, kinds: Mapping[str, Check]) -> Check:
    """An object whose form depends on one of its fields."""

    def check(value: Any, where: str) -> Iterator[str]:
        kind = str(value.get(field)) if isinstance(value, dict) else "no object"
        if kind not in kinds:
            yield f"{where}.{field}: {kind[:80]!r} is none of {tuple(kinds)}"
        else:
            yield from kinds[kind](value, where)

    return check


def arguments(value: Any, where: str) -> Iterator[str]:
    try:
        parsed = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        yield f"{where}: not the JSON of an object"


def schema(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: not an object"
    elif value and value.get("type") != "object":
        yield f"{where}.type: {value.get('type')!r} is not 'object'"


def pairs(value: Any, where: str) -> Iterator[str]:
    fits = isinstance(value, dict) and len(value) <= 16 and all(isinstance(text, str) for text in value.values())
    if not fits:
        yield f"{where}: not at most 16 texts by name"
    elif "user_id" in value:
        yield f"{where}.user_id: Anthropic's, and says who the user is"


def any_object(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: not an object"


flag = one_of(True, False)
string = a_text()


def head_breaches(headers: Mapping[str, str]) -> list[str]:
    """Headers that are the client's or Anthropic's own."""
    foreign = [name for name in headers if name.startswith(_FOREIGN_HEADERS)]
    if headers.get("authorization", "").endswith(" scripted"):  # what the clients of the tests come with
        foreign.append("authorization")
    return [f"header {name}: not this host's" for name in foreign]


_FOREIGN_HEADERS = ("anthropic-", "x-claude-", "x-stainless-", "x-app", "x-api-key", "x-anthropic-")


def secrets(value: Any, where: str) -> Iterator[str]:
    """Texts that were meant for others: Claude Code's attribution, and signatures."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from secrets(inner, f"{where}.{name}" if where else name)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from secrets(inner, f"{where}[{number}]")
    elif isinstance(value, str):
        if "x-anthropic-billing-header" in value:
            yield f"{where}: Claude Code's attribution"
        if value.startswith("hedgerow."):
            yield f"{where}: the proxy's own signature"
