"""A tool call's arguments, when they are not quite JSON.

A repair library guesses until something parses; here a guess is run as a command on somebody's machine. So only what is
certain is put right: a fence around the object, JSON inside a JSON string, a comma too many, Python's words for true,
false and null, a bracket that was left open at the end. A text that breaks off inside a string is cut, and half a command
is no command: there is no repair for it. What was repaired must fit the tool's own schema.
"""

from __future__ import annotations

import ast
import re
from typing import Any

import orjson

from engine import JSON

_FENCED = re.compile(r"\A\s*```[\w-]*\s*\n(.*?)\n?\s*```\s*\Z", re.S)
_CLOSING = {"{": "}", "[": "]"}
#: JSON inside a string inside a string: twice is what has been seen, once more is harmless.
_LAYERS = 3
#: Nested deeper is no tool call, and `ast` would exhaust the stack over it.
_MAX_DEPTH = 100


def plain(text: str) -> JSON | None:
    """Arguments that need no repair: an object, nothing at all, or null. None for anything else."""
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return {} if value is None else value if isinstance(value, dict) else None


def repaired(text: str, schema: JSON | None) -> JSON | None:
    """The object that `text` was meant to be, or None where that is not certain or does not fit `schema`."""
    value: Any = text
    for _ in range(_LAYERS):
        if not isinstance(value, str):
            break
        value = _read(value)
    if not isinstance(value, dict) or not fits(value, schema):
        return None
    return value


def fits(value: JSON, schema: JSON | None) -> bool:
    """Whether arguments satisfy a schema. A schema that is itself unusable forbids nothing."""
    if not schema:
        return True
    # Needed only where something had to be repaired, and not quick to import.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        Draft202012Validator.check_schema(schema)
        # An empty registry: a reference to an address is not fetched.
        return bool(Draft202012Validator(schema, registry=Registry()).is_valid(value))
    except (SchemaError, Unresolvable, re.error, RecursionError):
        return True


def _read(text: str) -> Any:
    fenced = _FENCED.match(text)
    text = (fenced[1] if fenced else text).strip()
    if not text:
        return {}
    mended = _mended(text)
    for candidate in (text, mended):
        if candidate is None:
            continue
        try:
            return orjson.loads(candidate)
        except orjson.JSONDecodeError:
            continue
    if mended is None or mended[:1] not in _CLOSING:
        return None
    try:
        value = ast.literal_eval(mended)
        return orjson.loads(orjson.dumps(value))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _mended(text: str) -> str | None:
    """`text` without commas before a closing bracket, and with the open brackets closed; None where that is no remedy."""
    out: list[str] = []
    opened: list[str] = []
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        if quote:
            if char == "\\":
                out.append(text[at : at + 2])
                at += 2
                continue
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in _CLOSING:
            opened.append(_CLOSING[char])
            if len(opened) > _MAX_DEPTH:
                return None
        elif char in "}]":
            if not opened or opened.pop() != char:
                return None
            _drop_comma(out)
        out.append(char)
        at += 1
    if quote:
        return None
    if opened:
        if not text.rstrip().endswith(('"', "'", "}", "]", "{", "[", ",")):
            return None  # a name without its value, or a number that may have had more digits
        _drop_comma(out)
    return "".join([*out, *reversed(opened)])


def _drop_comma(out: list[str]) -> None:
    at = len(out) - 1
    while at >= 0 and out[at].isspace():
        at -= 1
    if at >= 0 and out[at] == ",":
        del out[at]
