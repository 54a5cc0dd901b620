"""Tool calls that a model has written into its text.

A host whose template does not know a model's own way to call tools hands the call over as text: `<tool_call>{...}`. Shown
as text it ends the turn, and the work stops. But an answer *about* such a call looks the same, and what is taken for a call
is run as a command. So a text is a call only where nothing speaks against it: it names tools that were offered, with
arguments that their schemas take, and it is all that is left of the answer. Half a call is none.

The forms are those of the models' own templates: Hermes and Qwen (`<tool_call>{...}`), Qwen Coder (`<function=NAME>`, also
behind a bullet), GLM (`<arg_key>`), MiniMax and others (`<invoke name=...>`), Kimi, DeepSeek, Mistral, Llama. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from engine import JSON
from transports.translate._arguments import fits

#: What may stand between and around calls, and means nothing.
_FRAMES = (
    "<tool_call>", "</tool_call>", "<tool_calls>", "</tool_calls>", "<minimax:tool_call>", "</minimax:tool_call>",
    "<function_calls>", "</function_calls>", "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>",
    "<|tool_call_begin|>", "<|tool_call_end|>", "<\uff5ctool\u2581calls\u2581begin\uff5c>",
    "<\uff5ctool\u2581calls\u2581end\uff5c>", "<\uff5ctool\u2581call\u2581begin\uff5c>",
    "<\uff5ctool\u2581call\u2581end\uff5c>", "[TOOL_CALLS]", "<|python_tag|>", "\u25cf",
)  # fmt: skip
#: Stands before calls that their model does not close.
_BULLET = "\u25cf"
#: Ends of a turn that a template leaves in the text.
CONTROL = (
    "<|im_end|>", "<|im_start|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|endoftext|>", "<|return|>", "<|call|>",
    "<|end_of_text|>", "</s>", "<\uff5cend\u2581of\u2581sentence\uff5c>",
)  # fmt: skip
#: What may follow inside a call that is not closed yet.
_INSIDE = ("</function>", "</invoke>", "<parameter", "</parameter>", "<arg_key>", "```", ")")
#: Tools that only read: for these the name before the arguments is enough (`WebFetch {"url": ...}`).
_BY_NAME = ("WebFetch", "WebSearch")
#: What a line begins with that may be a call.
MARKS = (*(f for f in _FRAMES if not f.startswith("</") and f != "\u25cf"), "\u25cf <function=", "<function=",
         "<invoke name=", *_BY_NAME)  # fmt: skip
#: Calls in one answer.
_MAX_CALLS = 32
#: A text that is longer is no call, in characters.
MAX_CHARS = 256 * 1024

_NAME = r"(?P<name>[a-zA-Z0-9_.-]{1,128})"
_PARAMETER = re.compile(r"\s*<parameter(?:=|\s+name=)(?P<q>[\"']?)(?P<key>[^\"'<>]{1,128})(?P=q)>")
_PARAMETER_END = re.compile(r"</parameter>|(?=<parameter[=\s])|(?=</function>)|(?=</invoke>)|(?=</tool_call>)")
_FUNCTION = re.compile(rf"<function={_NAME}>")
_FUNCTION_END = re.compile(r"\s*</function>")
_INVOKE = re.compile(rf"<invoke name=[\"']{_NAME}[\"']>")
_INVOKE_END = re.compile(r"\s*</invoke>")
_ARG = re.compile(r"\s*<arg_key>(?P<key>[^<]{1,128})</arg_key>\s*<arg_value>(?P<value>.*?)</arg_value>", re.S)
_KEYED = re.compile(rf"{_NAME}\s*(?=<arg_key>|</tool_call>)")
_KIMI = re.compile(rf"(?:functions\.)?{_NAME}(?::\d+)?\s*<\|tool_call_argument_begin\|>\s*(?={{)")
_SEP = "<\uff5ctool\u2581sep\uff5c>"
_DEEPSEEK = re.compile(rf"{_NAME}{_SEP}\s*(?={{)")
_DEEPSEEK_FENCED = re.compile(rf"function{_SEP}{_NAME}\s*```(?:json)?\s*(?={{)")
_MISTRAL = re.compile(rf"{_NAME}\[ARGS\]\s*(?={{)")
_WEB = re.compile(rf"(?P<name>{'|'.join(_BY_NAME)})\s*[:(]?\s*(?={{)")
_FENCE_END = re.compile(r"\s*```|\s*\)")
_SPACE = re.compile(r"\s*")
_ANY_NAME = re.compile(
    r"<function=([^>]{1,200})>|<invoke name=[\"']([^\"'>]{1,200})[\"']>|\"name\"\s*:\s*\"([^\"]{1,200})\""
)
_JSON = json.JSONDecoder(strict=False)

Schemas = Mapping[str, JSON | None]
Call = tuple[str, JSON]
_Found = tuple[list[Call], int]


def calls_in(text: str, schemas: Schemas) -> list[Call] | None:
    """The calls that `text` is, all of it; None where it is not. `schemas` are those of the tools on offer, by name."""
    if len(text) > MAX_CHARS:
        return None
    calls, end, _ = _read(text, schemas)
    if not calls or end != len(text):
        return None
    return calls if all(name in schemas and fits(given, schemas[name]) for name, given in calls) else None


def may_become_calls(text: str, schemas: Schemas) -> bool:
    """Whether a text that begins like a call may still turn out to be one, for want of its end.

    It may not where it names a tool that is not on offer, or goes on with something else behind a call.
    """
    if len(text) > MAX_CHARS:
        return False
    calls, at, behind = _read(text, schemas)
    if not all(name in schemas for name, _ in calls):
        return False
    rest = text[at:]
    opened = any(mark in text[behind:at] for mark in MARKS)
    if not rest or opened or any(_meet(rest, mark) for mark in (*MARKS, *_FRAMES, *CONTROL, *_INSIDE)):
        return True
    if calls:
        return False
    named = next((found for found in _ANY_NAME.findall(rest[:512]) if any(found)), None)
    return named is None or all(name in schemas for name in named if name)


def _meet(text: str, mark: str) -> bool:
    """Whether one of them begins with the other."""
    return text.startswith(mark) or mark.startswith(text)


def bare(text: str) -> str:
    """`text` without what a template has left at its end."""
    while True:
        stripped = text.rstrip()
        token = next((token for token in CONTROL if stripped.endswith(token)), None)
        if token is None:
            return text
        text = stripped[: -len(token)]


def _read(text: str, schemas: Schemas) -> tuple[list[Call], int, int]:
    """The calls from the beginning, how far they reach with what frames them, and where the last of them ends."""
    calls: list[Call] = []
    at, behind = _skipped(text, 0), 0
    while at < len(text) and len(calls) < _MAX_CALLS:
        found = next((found for form in _FORMS if (found := form(text, at, schemas)) is not None), None)
        if found is None:
            break
        calls += found[0]
        behind = found[1]
        at = _skipped(text, behind)
    return calls, at, behind


def _skipped(text: str, at: int) -> int:
    """Behind white space and frames."""
    while True:
        space = _SPACE.match(text, at)
        at = space.end() if space else at
        frame = next((f for f in (*_FRAMES, *CONTROL) if text.startswith(f, at)), None)
        if frame is None:
            return at
        at += len(frame)


# The forms. Each gives the calls that begin at a place and where they end, or None.


def _tagged(opening: re.Pattern[str], closing: re.Pattern[str], text: str, at: int, schemas: Schemas) -> _Found | None:
    """`<function=NAME><parameter=KEY>VALUE</parameter></function>` and its like; behind a bullet nothing need be closed."""
    head = opening.match(text, at)
    if head is None:
        return None
    behind_bullet = text[:at].rstrip().endswith(_BULLET)
    name, at = head["name"], head.end()
    given: dict[str, Any] = {}
    while (key := _PARAMETER.match(text, at)) is not None:
        end = _PARAMETER_END.search(text, key.end())
        if end is None and not behind_bullet:
            return None  # `rm -rf /home/u` may be half of what was meant
        stop, behind = (end.start(), end.end()) if end else (len(text), len(text))
        given[key["key"]] = _value(text[key.end() : stop], name, key["key"], schemas)
        at = behind
    end = closing.match(text, at)
    if end is None and opening is not _FUNCTION:
        return None
    return [(name, given)], end.end() if end else at


def _keyed(text: str, at: int, schemas: Schemas) -> _Found | None:
    """`NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>`."""
    head = _KEYED.match(text, at)
    if head is None:
        return None
    name, at = head["name"], head.end()
    given: dict[str, Any] = {}
    while (pair := _ARG.match(text, at)) is not None:
        given[pair["key"].strip()] = _value(pair["value"], name, pair["key"].strip(), schemas)
        at = pair.end()
    return [(name, given)], at


def _named(head: re.Pattern[str], text: str, at: int, _: Schemas) -> _Found | None:
    """A name, something between, and the arguments as JSON."""
    found = head.match(text, at)
    value = _json(text, found.end()) if found else None
    if found is None or value is None or not isinstance(value[0], dict):
        return None
    fence = _FENCE_END.match(text, value[1])
    return [(found["name"], value[0])], fence.end() if fence else value[1]


def _object(text: str, at: int, _: Schemas) -> _Found | None:
    """`{"name": ..., "arguments": {...}}`, or a list of them."""
    value = _json(text, at) if text.startswith(("{", "["), at) else None
    if value is None:
        return None
    entries = value[0] if isinstance(value[0], list) else [value[0]]
    calls = [call for entry in entries if (call := _call_of(entry)) is not None]
    return (calls, value[1]) if calls and len(calls) == len(entries) else None


def _call_of(entry: Any) -> Call | None:
    if not isinstance(entry, dict):
        return None
    if isinstance(entry.get("function"), dict):
        entry = entry["function"]
    given: Any = next((entry[key] for key in ("arguments", "parameters", "input") if key in entry), {})
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError:
            return None
    name = entry.get("name")
    return (name, given) if isinstance(name, str) and isinstance(given, dict) else None


_FORMS: tuple[Callable[[str, int, Schemas], _Found | None], ...] = (
    lambda text, at, schemas: _tagged(_FUNCTION, _FUNCTION_END, text, at, schemas),
    lambda text, at, schemas: _tagged(_INVOKE, _INVOKE_END, text, at, schemas),
    _keyed,
    _object,
    lambda text, at, schemas: _named(_KIMI, text, at, schemas),
    lambda text, at, schemas: _named(_MISTRAL, text, at, schemas),
    lambda text, at, schemas: _named(_WEB, text, at, schemas),
    lambda text, at, schemas: _named(_DEEPSEEK, text, at, schemas),
    lambda text, at, schemas: _named(_DEEPSEEK_FENCED, text, at, schemas),
)


def _json(text: str, at: int) -> tuple[Any, int] | None:
    try:
        value, end = _JSON.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    return value, end


def _value(text: str, tool: str, key: str, schemas: Schemas) -> Any:
    """A parameter's text as what its schema wants: a string stays as it stands, all else is read as JSON."""
    text = text.removeprefix("\n").removesuffix("\n")
    schema = schemas.get(tool)
    properties = schema.get("properties") if isinstance(schema, dict) else None
    wanted = properties.get(key) if isinstance(properties, dict) else None
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "string" or (isinstance(kind, list) and "string" in kind):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"true": True, "false": False, "none": None}.get(text.strip().lower(), text)
