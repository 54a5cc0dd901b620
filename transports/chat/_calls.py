"""Tool calls put together from whatever order their fragments come in.

The description says: an index in each fragment, id and name in the first, arguments after. Hosts leave out the index or
keep it at 0, send the id late, repeatedly or never, a name in two pieces or again with each piece, arguments before the
name, as an object, or all at once; and two calls may take turns. So nothing is concluded from a fragment but which call it
belongs to, everything is kept, and a call is looked at when the answer is over.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import attrs
import orjson

from engine import JSON
from transports.chat._arguments import plain

#: Calls in one answer. Parallel calls of one turn are a handful.
MAX_CALLS = 128


class TooManyCalls(ValueError):
    """More calls than one answer has."""


@attrs.define(eq=False)
class Call:
    """One call. `id` is the host's, "" where it gave none; `extra` what must come back with the call (Gemini)."""

    index: int | None = None
    id: str = ""
    name: str = ""
    parts: list[str] = attrs.field(factory=list)
    extra: Any = None
    renamed: bool = False  #: the id has changed in mid-call, so it says nothing

    @property
    def arguments(self) -> str:
        return "".join(self.parts)

    @property
    def empty(self) -> bool:
        return not (self.name or any(self.parts))


@attrs.define(eq=False)
class Calls:
    """All calls of an answer, in the order in which they began. `known` are the tools' names, as the host has them."""

    known: frozenset[str] = frozenset()
    made: list[Call] = attrs.field(factory=list)
    size: int = 0  #: characters of all arguments

    def take(self, entries: Iterable[JSON]) -> None:
        """The fragments of one delta. Raises TooManyCalls."""
        began = len(self.made)
        for entry in entries:
            function = entry.get("function")
            if isinstance(custom := entry.get("custom"), dict):  # a call of free text: wrapped, as on every other wire
                function = {"name": custom.get("name"), "arguments": {"input": custom.get("input")}}
            elif not isinstance(function, dict):
                function = entry
            call = self._call(entry, function, began)
            self._fill(call, entry, function)

    def finished(self) -> list[Call]:
        """The calls, without entries that hold neither a name nor arguments."""
        return [call for call in self.made if not call.empty]

    def _call(self, entry: JSON, function: JSON, began: int) -> Call:
        """The call that a fragment belongs to, a new one where it begins one."""
        index, id = entry.get("index"), _id(entry.get("id"))
        name = function.get("name")
        call: Call | None
        if type(index) is int:
            call = next((c for c in reversed(self.made) if c.index == index), None)
            if call is not None and id and call.id and id != call.id:
                # Another id under the same index is another call, unless it is one that renames itself with each piece.
                if name or (not call.renamed and call.parts and plain(call.arguments)):
                    call = None
                else:
                    call.renamed = True
        else:
            index = None
            call = next((c for c in self.made if id and c.id == id), None)
            if call is None and not id and self.made:
                last = self.made[-1]
                # With neither index nor id, a name begins a call where the last one has its own and its arguments.
                call = None if name and last.name and (len(self.made) > began or _is_whole(last)) else last
        if call is None:
            if len(self.made) >= MAX_CALLS:
                raise TooManyCalls(f"more than {MAX_CALLS} tool calls in one answer")
            call = Call(index)
            self.made.append(call)
        return call

    def _fill(self, call: Call, entry: JSON, function: JSON) -> None:
        call.id = call.id or _id(entry.get("id"))
        name = function.get("name")
        if isinstance(name, str) and name:
            call.name = self._joined(call.name, name)
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            call.parts = [orjson.dumps(arguments).decode()] if arguments or not call.parts else call.parts
            self.size += len(call.parts[-1])
        elif isinstance(arguments, str) and arguments:
            call.parts.append(arguments)
            self.size += len(arguments)
        if entry.get("extra_content"):
            call.extra = entry["extra_content"]

    def _joined(self, name: str, piece: str) -> str:
        """A name and what came after it: more of it, the same again, or all of it once more."""
        whole = name + piece
        if not name or piece == name:
            return piece
        if any(known.startswith(whole) for known in self.known):
            return whole
        if piece.startswith(name):
            return piece
        return name if name in self.known else whole


def _is_whole(call: Call) -> bool:
    return bool(call.parts) and plain(call.arguments) is not None


def unique_ids(calls: Iterable[Call], taken: Container[str], prefix: str) -> list[str]:
    """An id for each call: its own where it is one that Anthropic's wire takes and nobody has yet, else one made up."""
    ids: list[str] = []
    for number, call in enumerate(calls):
        own = call.id if sendable(call.id) and not call.renamed else ""
        ids.append(own if own and own not in taken and own not in ids else f"toolu_{prefix}_{number}")
    return ids


def sendable(id: str) -> bool:
    """Whether an id may stand on Anthropic's wire, and on OpenAI's (at most 40 characters).

    A bare number or a word such as `call` is no id: the next turn would bear it again.
    """
    return 8 <= len(id) <= 40 and id.isascii() and all(c.isalnum() or c in "_-" for c in id)


def _id(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if type(value) is int else ""
