"""A tool call's arguments, when they are not quite JSON.

A repair library guesses until something parses; here a guess is run as a command on somebody's machine. So only what is
certain is put right: a fence around the object, JSON inside a JSON string, a comma too many, Python's words and quotes,
a bracket that was left open behind a finished value. A text that breaks off inside a string, a number or a list is cut,
and half a command is no command: there is no repair for it. What was repaired must fit the tool's own schema.

Python's own reader is of no help: it joins two strings that lack a comma, and reads `\\/` as two characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from engine import JSON

_CLOSING = {"{": "}", "[": "]"}
_WORDS = {"True": "true", "False": "false", "None": "null"}
#: JSON inside a string inside a string: twice is what has been seen, once more is harmless.
_LAYERS = 3
#: Nested deeper is no tool call.
_MAX_DEPTH = 100
#: Arguments longer than this are not repaired, in characters: a million may take half a second.
_MAX_CHARS = 1024 * 1024

#: Keywords that one schema asks of one value before it is not certain any more.
MAX_STEPS = 20_000
#: Keywords whose one check may take for ever.
_UNBOUNDED = ("pattern", "patternProperties", "uniqueItems", "unevaluatedItems", "unevaluatedProperties")

#: What arguments are made of. Whatever matches none of these, an open string among them, is beyond repair.
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]++|\\.)*+")|(?P<single>'(?:[^'\\]++|\\.)*+')"""
    r"""|(?P<open>[{\[])|(?P<close>[}\]])|(?P<comma>,)|(?P<other>:|[-+.\w]++)|\s++""",
    re.S,
)
_LANGUAGE = re.compile(r"[\w-]*\s*")
#: In a string of Python's: an escape, and what JSON must escape or may not hold.
_AS_DOUBLE = {"\\'": "'", '"': '\\"', "\\": "\\?"}  # the last is no escape of JSON's, and fails
_IN_SINGLE = re.compile(r"\\x([0-9a-fA-F]{2})|\\u[0-9a-fA-F]{4}|\\[\\nrtbf\"]|\\'|\"|\\")


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
    if len(text) > _MAX_CHARS:
        return None
    value: Any = text
    for _ in range(_LAYERS):
        if not isinstance(value, str):
            break
        value = _read(value)
    if not isinstance(value, dict) or not fits(value, schema):
        return None
    return value


def fits(value: JSON, schema: JSON | None) -> bool:
    """Whether arguments satisfy a schema, as far as that can be told in a bounded number of steps.

    Both come from outside, and a validator runs while nothing else does: a pattern, a comparison of all items with all
    others or a union of references to itself would stop the proxy. So the first two are not looked at, and where the
    steps do not suffice, or the schema is itself unusable, the arguments are not certain.
    """
    if not schema:
        return True
    # Needed only where something had to be repaired, and not quick to import.
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    left = MAX_STEPS

    def bounded(check: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise _TooManySteps
            return check(*args)

        return counted

    unbounded: dict[str, Any] = dict.fromkeys(_UNBOUNDED, lambda *_: None)
    checks = {name: bounded(check) for name, check in Draft202012Validator.VALIDATORS.items()}
    extend: Callable[..., Any] = validators.extend
    bounded_validator = extend(Draft202012Validator, {**checks, **unbounded})
    try:
        # An empty registry: a reference to an address is not fetched.
        return bool(bounded_validator(schema, registry=Registry()).is_valid(value))
    except Exception:  # whatever an odd schema makes of the validator, it is no yes
        return False


class _TooManySteps(Exception):
    pass


def _read(text: str) -> Any:
    text = _unfenced(text.strip())
    if not text:
        return {}
    for candidate in (text, _mended(text)):
        if candidate is None:
            continue
        try:
            value = orjson.loads(candidate)
            orjson.dumps(value)  # it has to be written again, and less deep than it may be read
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            continue
        return value
    return None


def _unfenced(text: str) -> str:
    first, line_end, rest = text.partition("\n")
    if line_end and rest.endswith("```") and first.startswith("```") and _LANGUAGE.fullmatch(first, 3):
        return rest[:-3].strip()
    return text


def _mended(text: str) -> str | None:
    """`text` as JSON: no comma before a closing bracket, open brackets closed, Python's words and strings as JSON's.

    None where that is no remedy.
    """
    out: list[str] = []
    opened: list[str] = []
    for kind, token in _tokens(text):
        match kind:
            case "":
                return None
            case "single":
                string = _from_single(token)
                if string is None:
                    return None
                out.append(string)
            case "open":
                opened.append(_CLOSING[token])
                if len(opened) > _MAX_DEPTH:
                    return None
                out.append(token)
            case "close":
                if not opened or opened.pop() != token:
                    return None
                if out[-1] == "," and out[-2] not in ("[", "{", ","):
                    out.pop()
                out.append(token)
            case "other":
                out.append(f" {_WORDS.get(token, token)}")  # two numbers in a row are not one
            case _:
                out.append(token)
    if opened and not out[-1].endswith(('"', "}", "]")):
        return None  # more was to come: a value, an element, or the rest of a number
    return "".join([*out, *reversed(opened)])


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each token, white space left out; a kind of "" where there is none."""
    at = 0
    while match := _TOKEN.match(text, at):
        at = match.end()
        if match.lastgroup:
            yield match.lastgroup, match[0]
    if at != len(text):
        yield "", text[at : at + 1]


def _from_single(token: str) -> str | None:
    """A string in single quotes as JSON; None where it holds an escape that means something else there, or nothing."""

    def written(match: re.Match[str]) -> str:
        return f"\\u00{match[1]}" if match[1] else _AS_DOUBLE.get(match[0], match[0])

    string = f'"{_IN_SINGLE.sub(written, token[1:-1])}"'
    try:
        orjson.loads(string)
    except orjson.JSONDecodeError:
        return None
    return string
