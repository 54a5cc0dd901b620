"""Function calls: whole, or (Vertex) with arguments that come as values at paths.

Gemini gives a call in one piece, so most readers stop there; with streamed arguments the first piece has the name, the last
one nothing, and between them stand `{"jsonPath": "$.a.b[0]", "stringValue": "..."}`, texts in fragments. The paths are
the host's, so they are followed only where they are plain, and what they build is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs

from engine import JSON
from transports._anthropic import MAX_WAITING_BYTES, BadArguments, StreamError
from transports.translate._texts import well_written

#: Calls in one answer. Parallel calls of one turn are a handful.
MAX_CALLS = 128
#: A name longer than this is none.
MAX_NAME = 256
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,4})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]", re.S)
#: How deep a path may lead.
_MAX_STEPS = 64
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


@attrs.define(eq=False)
class Call:
    """One call. `id` is the host's, "" where it gave none; `open` says that more of it is to come."""

    name: str
    id: str = ""
    args: JSON = attrs.field(factory=dict)
    signature: str = ""
    open: bool = False
    _texts: dict[str, list[str]] = attrs.field(factory=dict)  # by path

    def put(self, path: str, value: Any) -> None:
        """A value at its place. A text is more of the one that is there."""
        if isinstance(value, str):
            self._texts.setdefault(path, []).append(value)
        else:
            _put(self.args, path, value)

    def close(self) -> None:
        self.open = False
        texts, self._texts = self._texts, {}
        for path, pieces in texts.items():
            _put(self.args, path, "".join(pieces))


@attrs.define(eq=False)
class Calls:
    """All calls of an answer, in their order."""

    made: list[Call] = attrs.field(factory=list)
    _size: int = 0

    def take(self, given: JSON, signature: str) -> None:
        """One `functionCall`. Raises StreamError for what is none, and for too many or too large ones."""
        name, id, args = given.get("name"), given.get("id"), given.get("args")
        more = given.get("willContinue") is True
        last = self.made[-1] if self.made else None
        if last is not None and last.open and (not name or name == last.name) and args is None:
            call = last
            call.signature = call.signature or signature
        else:
            if not isinstance(name, str) or not name:
                raise BadArguments("a tool call without a name")
            if len(name) > MAX_NAME:
                raise StreamError(f"a tool's name of more than {MAX_NAME} characters")
            if args is not None and not isinstance(args, dict):
                raise BadArguments(f"the arguments of a call of {name[:64]} are not an object")
            if len(self.made) >= MAX_CALLS:
                raise StreamError(f"more than {MAX_CALLS} tool calls in one answer")
            self._grow(args or {}, name)
            call = Call(name, id if isinstance(id, str) else "", args or {}, signature)
            self.made.append(call)
        call.open = more
        for path, value in _partial(given.get("partialArgs")):
            self._grow([path, value], call.name)
            call.put(path, value)
        if not more:
            call.close()

    def _grow(self, value: Any, name: str) -> None:
        text = well_written(value)
        if text is None:
            raise BadArguments(f"the arguments of a call of {name[:64]} are nested too deeply")
        self._size += len(text)
        if self._size > MAX_WAITING_BYTES:
            raise StreamError(f"tool calls of more than {MAX_WAITING_BYTES >> 20} MiB")


def _partial(given: Any) -> Iterator[tuple[str, Any]]:
    for one in given if isinstance(given, list) else ():
        if isinstance(one, dict) and isinstance(path := one.get("jsonPath"), str):
            for name in _VALUES:
                if name in one:
                    yield path, None if name == "nullValue" else one[name]
                    break


def _put(root: JSON, path: str, value: Any) -> None:
    """Raises StreamError for a path that leads nowhere."""
    steps = _steps(path)
    if not steps or len(steps) > _MAX_STEPS or isinstance(steps[0], int):
        raise StreamError("arguments of a tool call at a place that is none")
    at: Any = root
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        last = following is None
        new: Any = value if last else [] if isinstance(following, int) else {}
        if isinstance(step, int) and isinstance(at, list) and step <= len(at):
            if step == len(at):
                at.append(new)
            elif last:
                at[step] = value
            at = at[step]
        elif isinstance(step, str) and isinstance(at, dict):
            if last:
                at[step] = value
            at = at.setdefault(step, new)
        else:
            raise StreamError("arguments of a tool call at a place that is none")


def _steps(path: str) -> list[str | int]:
    if not path.startswith("$"):
        return []
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return []
        at = found.end()
        steps.append(int(found[2]) if found[2] else found[1] or found[3] or found[4] or "")
    return steps
