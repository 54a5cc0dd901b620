"""What a host gives beside the text of its thinking, and wants back with it unchanged.

`reasoning_details` (OpenRouter, MiniMax) come in fragments: texts in many, a signature or an encrypted blob in the last.
Sent back as fragments they are refused, left out they end the thinking of the turn. So they are put together here, and
travel to the client and back inside the envelope of the thinking block, without the text that the block holds itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from engine import JSON
from transports.chat._calls import Call
from transports.translate._texts import well_written

#: Parts of a detail that come in fragments and are joined.
_JOINED = ("text", "summary", "data", "signature")
#: What is kept of the details of one answer, in bytes of JSON; encrypted reasoning is some kilobytes.
MAX_BYTES = 512 * 1024
#: What a detail counts at the least.
_LEAST = 64


@attrs.define(eq=False)
class _Detail:
    """One detail: its fields, those that come in fragments as lists of them."""

    fields: JSON
    joined: dict[str, list[str]]

    def whole(self) -> JSON:
        return {**self.fields, **{name: "".join(parts) for name, parts in self.joined.items()}}

    def takes(self, detail: JSON) -> bool:
        """Whether `detail` is more of this one. An encrypted one comes whole."""
        same = all(detail.get(name) in (None, self.fields.get(name)) for name in ("type", "index", "id"))
        return same and detail.get("type") != "reasoning.encrypted"

    def take(self, detail: JSON) -> int:
        """Make it part of this one; how much larger that makes it. What each fragment repeats is kept once."""
        grown = 0
        for name, value in detail.items():
            if name in _JOINED and isinstance(value, str):
                self.joined.setdefault(name, []).append(value)
                grown += _size_of(value)
            elif value is not None and self.fields.get(name) != value:
                self.fields[name] = value
                grown += len(name) + _size_of(value)
        return grown


@attrs.define(eq=False)
class Details:
    """The details of one answer. Where they are not `wanted` back, none are kept."""

    wanted: bool = False
    _made: list[_Detail] = attrs.field(factory=list)
    _size: int = 0

    def take(self, details: Any) -> None:
        for detail in details if self.wanted and isinstance(details, list) else ():
            if not isinstance(detail, dict):
                continue
            if not self._made or not self._made[-1].takes(detail):
                self._made.append(_Detail({}, {}))
                self._size += _LEAST
            self._size += self._made[-1].take(detail)
            if self._size > MAX_BYTES:
                self.wanted = False
                self._made.clear()
                return

    def state(self, thought: str) -> JSON | None:
        """The state for the envelope of a thinking block that ends here: the details since the last one.

        A text that is the only one, and that of the block, stays out.
        """
        made, self._made = [detail.whole() for detail in self._made], []
        texts = [detail for detail in made if isinstance(detail.get("text"), str)]
        if len(texts) == 1 and texts[0].get("type") == "reasoning.text" and texts[0]["text"] == thought:
            del texts[0]["text"]
        return {"details": made} if made else None

    def unsealed(self, calls: Iterable[Call]) -> JSON | None:
        """The state that no thinking block holds: details that came after it, and what came with the calls."""
        state: JSON = {}
        if self._made:
            state["details"] = [detail.whole() for detail in self._made]
        if extras := {str(number): call.extra for number, call in enumerate(calls) if call.extra}:
            state["calls"] = extras
        return state or None


def _size_of(value: Any) -> int:
    text = well_written(value)
    return MAX_BYTES + 1 if text is None else len(text)  # nested too deeply to be sent back
