"""The items of an answer, each with what has been said in it and not been shown yet.

An answer is a list of items, and events speak of any of them: usually of the last, but two may take turns, and Anthropic's
wire has one block open at a time. So every item keeps what it is told until its own turn has come. What an event brings is
said by deltas, once more at the end of the part, once more at the end of the item and once more at the end of the answer;
the first that says it counts, and what a later one says stands in where nothing came before.
"""

from __future__ import annotations

from typing import Any, TypeVar

import attrs
import orjson

from engine import JSON
from transports._anthropic import MAX_WAITING_BYTES, StreamError
from transports.responses._events import arguments_in, string, texts_in
from transports.responses._reasoning import PARTS, state_of
from transports.translate._pieces import Pieces

#: Items in one answer. A long turn of built-in tools has a few dozen.
MAX_ITEMS = 1024
#: Parts in one item.
MAX_PARTS = 1024
MAX_CALLS = 128
#: A tool's name longer than this is none.
MAX_NAME = 256


@attrs.define(eq=False)
class Item:
    """`place` is the host's index of it, `waiting` the pieces of text that were not shown yet; None ends a block."""

    place: int
    id: str = ""
    done: bool = False
    shown: bool = False  #: something of it was, that is not white space alone
    waiting: list[str | None] = attrs.field(factory=list)
    _parts: dict[Any, int] = attrs.field(factory=dict)  # part -> characters that came of it

    def finish(self, item: JSON) -> int:
        """The host's last word on this item; how many characters that adds."""
        self.done = True
        return 0

    @property
    def spoken(self) -> bool:
        """Whether any text came in it."""
        return bool(self._parts)

    def _more(self, part: Any, text: str) -> int:
        if part not in self._parts and len(self._parts) >= MAX_PARTS:
            raise StreamError(f"more than {MAX_PARTS} parts in one item")
        self._parts[part] = self._parts.get(part, 0) + len(text)
        self.waiting.append(text)
        return len(text)


@attrs.define(eq=False)
class Speech(Item):
    """A message. A refusal is a text like any other, which the stop reason tells apart."""

    refused: bool = False
    _last: Any = None

    def say(self, part: int, text: str, *, refusal: bool = False) -> int:
        """More of one part; each part is a block."""
        if not text:
            return 0
        if self._parts and part != self._last:
            self.waiting.append(None)
        self._last = part
        self.refused = self.refused or refusal
        return self._more(part, text)

    def repair(self, part: int, text: str, *, refusal: bool = False) -> int:
        """All of a part, for the case that nothing came of it."""
        return 0 if part in self._parts else self.say(part, text, refusal=refusal)

    def end_part(self) -> None:
        if self.waiting[-1:] != [None]:
            self.waiting.append(None)

    def finish(self, item: JSON) -> int:
        added = 0
        if not self.spoken:
            for number, (kind, text) in enumerate(texts_in(item.get("content"))):
                added += self.say(number, text, refusal=kind == "refusal")
        self.done = True
        return added


@attrs.define(eq=False)
class Thought(Item):
    """Reasoning: its summary or its own text, whichever came first, since the one repeats the other."""

    field: str = ""
    state: JSON | None = None

    def think(self, field: str, part: int, text: str) -> int:
        """More of one part of the summary or of the text; nothing is put between the parts."""
        if not text or (self.field and field != self.field):
            return 0
        self.field = field
        return self._more(part, text)

    def repair(self, field: str, part: int, text: str) -> int:
        return 0 if part in self._parts else self.think(field, part, text)

    def finish(self, item: JSON) -> int:
        """The last word has what is sealed: what came when the item began was only the beginning of it."""
        added = 0
        for field in PARTS if not self.spoken else ():
            for number, (_, text) in enumerate(texts_in(item.get(field))):
                added += self.think(field, number, text)
        self.state = state_of(item, self.field, tuple(self._parts.values()))
        self.done = True
        return added


@attrs.define(eq=False)
class Call(Item):
    """A call. Its arguments are looked at when the answer is over; `free`: they are free text, of a custom tool."""

    name: str = ""
    call_id: str = ""
    free: bool = False
    cut: bool = False  #: the host says that it is not whole
    _given: Pieces = attrs.field(factory=Pieces)
    _stated: str = ""  # all of the arguments, as the host repeats them

    def add(self, piece: str) -> int:
        self._given.add(piece)
        return len(piece)

    def told(self, item: JSON) -> int:
        """What an item, or the end of its arguments, says of the call as a whole."""
        self.name = self.name or string(item.get("name"))
        if len(self.name) > MAX_NAME:
            raise StreamError(f"a tool's name of more than {MAX_NAME} characters")
        self.call_id = self.call_id or string(item.get("call_id"))
        self.free = self.free or item.get("type") == "custom_tool_call"
        self.cut = item.get("status") == "incomplete"
        stated = arguments_in(item.get("input") if self.free else item.get("arguments"))
        if not stated:
            return 0
        added = len(stated) - len(self._stated)
        self._stated = stated
        return added

    def finish(self, item: JSON) -> int:
        self.done = True
        return self.told(item)

    @property
    def arguments(self) -> str:
        """The pieces as they came; where they are no whole value, what the host has stated of them as a whole."""
        given = self._given.text
        if self.free:
            return orjson.dumps({"input": given or self._stated}).decode()
        return given if given.strip() and (self._given.closed or not self._stated) else self._stated or given


AnyItem = TypeVar("AnyItem", bound=Item)


@attrs.define(eq=False)
class Items:
    """The items in the host's order, and how far they have been shown. `held` is the size of what was not, in characters."""

    made: list[Item] = attrs.field(factory=list)
    at: int = 0
    held: int = 0

    @property
    def current(self) -> Item | None:
        return self.made[self.at] if self.at < len(self.made) else None

    def of(self, kind: type[AnyItem]) -> list[AnyItem]:
        return [item for item in self.made if isinstance(item, kind)]

    def hold(self, size: int) -> None:
        """`size` more characters wait. Raises StreamError."""
        self.held += size
        if self.held > MAX_WAITING_BYTES:
            raise StreamError(f"items of more than {MAX_WAITING_BYTES >> 20} MiB that cannot be shown yet")

    def find(self, kind: type[AnyItem], place: int | None, id: str, *, ended: bool = False) -> AnyItem:
        """The item that an event speaks of, a new one where there is none. `ended`: it may speak of one that is over.

        The index says it, and the id where there is no index or an index stands for two; some hosts give each event an id
        of its own. Raises StreamError.
        """
        for item in reversed(self.made):
            if not isinstance(item, kind):
                continue
            named = bool(id) and id == item.id and place in (None, item.place)
            nameless = not id or not item.id if place is None else place == item.place and (not item.done or not id)
            if named or (nameless and (ended or not item.done)):
                return item
        return self._new(kind, place, id)

    def _new(self, kind: type[AnyItem], place: int | None, id: str) -> AnyItem:
        if len(self.made) >= MAX_ITEMS or (kind is Call and len(self.of(Call)) >= MAX_CALLS):
            raise StreamError(f"more than {MAX_CALLS if kind is Call else MAX_ITEMS} items in one answer")
        last = self.made[-1].place if self.made else 0
        item = kind(last if place is None else place, id)
        # Behind all that come before it, and never before what has begun.
        where = len(self.made)
        while where > self.at + 1 and self.made[where - 1].place > item.place:
            where -= 1
        self.made.insert(where, item)
        return item
