"""Tool calls put together from whatever order their fragments come in.

The description says: an index in each fragment, id and name in the first, arguments after. Hosts leave out the index or
keep it at 0, send the id late, repeatedly or never, a name in two pieces or again with each piece, arguments before the
name, as an object, or all at once; and two calls may take turns. So nothing is concluded from a fragment but which call it
belongs to, everything is kept, and a call is looked at when the answer is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import orjson

from engine import JSON
from transports.translate._ids import sendable
from transports.translate._pieces import Pieces
from transports.translate._texts import well_written

#: Calls in one answer. Parallel calls of one turn are a handful.
MAX_CALLS = 128
#: A name longer than this is none, and putting it together must not cost more with each piece.
MAX_NAME = 256


class BadCalls(ValueError):
    """Calls that cannot be put together, or more than one answer has."""


@attrs.define(eq=False)
class Call:
    """One call. `id` is the host's, "" where it gave none; `extra` what must come back with the call (Gemini)."""

    index: int | None = None
    id: str = ""
    name: str = ""
    given: Pieces = attrs.field(factory=Pieces)  #: the arguments
    extra: Any = None
    renamed: bool = False  #: the id has changed in mid-call, so it says nothing
    again: bool = False  #: its name came again when it was over, with nothing behind it yet
    free: bool = False  #: a custom call: its input is free text

    @property
    def arguments(self) -> str:
        text = self.given.text
        return orjson.dumps({"input": text}).decode() if self.free else text

    @property
    def empty(self) -> bool:
        return not self.name and not self.given.length

    @property
    def closed(self) -> bool:
        """Whether the arguments so far are all there is of them."""
        return self.given.closed

    def repeated(self, given: Any) -> bool:
        """Whether `given` is all of the arguments once more, as some hosts end a call."""
        whole = isinstance(given, str) and len(given) == self.given.length and self.closed
        return whole and given == self.given.text

    def put(self, *pieces: str) -> None:
        """These arguments in the place of what there is."""
        self.given = Pieces()
        for piece in pieces:
            self.given.add(piece)


@attrs.define(eq=False)
class Calls:
    """All calls of an answer, in the order in which they began. `known` are the tools' names, as the host has them."""

    known: frozenset[str] = frozenset()
    made: list[Call] = attrs.field(factory=list)
    size: int = 0  #: characters of everything that is kept

    def take(self, entries: Iterable[JSON]) -> None:
        """The fragments of one delta. Raises BadCalls."""
        began = len(self.made)
        for entry in entries:
            custom, function = entry.get("custom"), entry.get("function")
            free = isinstance(custom, dict)
            if isinstance(custom, dict):  # a call of free text: wrapped, as on every other wire
                function = {"name": custom.get("name"), "arguments": custom.get("input")}
            elif not isinstance(function, dict):
                function = entry
            name, given = function.get("name"), function.get("arguments")
            name = name if isinstance(name, str) else ""
            index, id = _index(entry.get("index")), _id(entry.get("id"))
            last = self.made[-1] if self.made else None
            if last is not None and index is not None and index == last.index and not id and not name:
                call = last  # more of the call that is being made
            else:
                call = self._call(index, id, name, given, began)
            call.free = call.free or free
            self._fill(call, id, name, given)
            if extra := entry.get("extra_content"):
                self._keep_extra(call, extra)

    def finished(self) -> list[Call]:
        """The calls, without entries that hold neither a name nor arguments."""
        return [call for call in self.made if not call.empty]

    # Whose a fragment is.

    def _call(self, index: int | None, id: str, name: str, given: Any, began: int) -> Call:
        """The call that a fragment belongs to, a new one where it begins one."""
        call = self._addressed(index, id, name)
        if call is not None and not self._begins(call, id, name, given, fresh=call in self.made[began:]):
            if id and call.id and id != call.id:
                call.renamed = True
            call.index = index if call.index is None else call.index
            return call
        if len(self.made) >= MAX_CALLS:
            raise BadCalls(f"more than {MAX_CALLS} tool calls in one answer")
        begun = Call(index, name=call.name if call is not None and call.again and not name else "")
        self.made.append(begun)
        return begun

    def _addressed(self, index: int | None, id: str, name: str) -> Call | None:
        """The call that a fragment names: by its index, else by its id, else the last where that may be meant."""
        if index is not None and (call := next((c for c in reversed(self.made) if c.index == index), None)):
            return call
        if id and (call := next((c for c in reversed(self.made) if c.id == id), None)):
            return call if index is None or call.index is None else None
        last = self.made[-1] if self.made else None
        if last is None or (index is not None and last.index is not None):
            return None
        # An id that is new: the last call's, if that has none yet, or if it is one that is renamed with each piece.
        return last if not id or not last.id or (not name and last.name and not last.closed) else None

    def _begins(self, call: Call, id: str, name: str, given: Any, *, fresh: bool) -> bool:
        """Whether a fragment that seems to be of `call` begins another one. `fresh`: that began in the same delta."""
        if id and call.id and id != call.id and (name or (not call.renamed and call.closed)):
            return True
        if id and id == call.id and ((sendable(id) and not fresh) or call.repeated(given)):
            return False
        something = isinstance(given, dict) or bool(given)
        if not name or not call.name:
            return call.again and something
        if fresh or self._is_another(call.name, name):
            return True
        # A name that is repeated with nothing behind it is no second call, unless its arguments come yet.
        call.again = name == call.name and not something and call.closed
        return (something or name != call.name) and call.closed

    def _is_another(self, name: str, piece: str) -> bool:
        """Whether two tools' names are neither the same one again nor pieces of a third."""
        both = name in self.known and piece in self.known
        return both and not piece.startswith(name) and not self._grows(name + piece)

    # What a fragment brings.

    def _fill(self, call: Call, id: str, name: str, given: Any) -> None:
        if id and not call.id:
            call.id = id
            self.size += len(id)
        if name:
            call.name = self._joined(call.name, name)
            if len(call.name) > MAX_NAME:
                raise BadCalls(f"a tool's name of more than {MAX_NAME} characters")
        if isinstance(given, dict):
            if given or not call.given.length:
                call.put(_written(given))
                self.size += call.given.length
        elif isinstance(given, str) and given and (call.free or not call.repeated(given)):
            if call.given.length == 2 and call.given.text == "{}" and not call.free and given.strip():
                call.put()  # it stood for arguments that were yet to come
            call.given.add(given)
            self.size += len(given)

    def _keep_extra(self, call: Call, extra: Any) -> None:
        if extra:
            self.size += len(_written(extra))
            call.extra = extra

    def _joined(self, name: str, piece: str) -> str:
        """A name and what came after it: more of it, the same again, or all of it once more."""
        whole = name + piece
        if not name or (name not in self.known and self._grows(whole)):
            return whole
        if piece == name:
            return name
        if self._grows(whole):
            return whole
        if piece.startswith(name):
            return piece
        return name if name in self.known else whole

    def _grows(self, name: str) -> bool:
        """Whether a tool's name begins like this."""
        return any(known.startswith(name) for known in self.known)


def _written(value: Any) -> str:
    text = well_written(value)
    if text is None:
        raise BadCalls("a tool call nested too deeply")
    return text.decode()


def _id(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if type(value) is int else ""


def _index(value: Any) -> int | None:
    """An index, as a number or as a text of one."""
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) < 10 else None
    return int(value) if type(value) in (int, float) else None
