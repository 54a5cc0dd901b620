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

#: Parts of a detail that come in fragments and are joined.
_JOINED = ("text", "summary", "data", "signature")
#: What is kept of the details of one answer, in characters; encrypted reasoning is some kilobytes.
_MAX_CHARS = 512 * 1024


@attrs.define(eq=False)
class Details:
    """The details of one answer. Where they are not `wanted` back, none are kept."""

    wanted: bool = False
    _made: list[JSON] = attrs.field(factory=list)
    _size: int = 0

    def take(self, details: Any) -> None:
        for detail in details if self.wanted and isinstance(details, list) else ():
            if not isinstance(detail, dict):
                continue
            self._size += sum(len(v) for name in _JOINED if isinstance(v := detail.get(name), str))
            if self._size > _MAX_CHARS:
                self.wanted = False
                self._made.clear()
                return
            last = self._made[-1] if self._made else None
            if last is not None and _continues(last, detail):
                for name, value in detail.items():
                    if name in _JOINED and isinstance(value, str) and isinstance(last.get(name), str):
                        last[name] += value
                    elif value is not None:
                        last[name] = value
            else:
                self._made.append({k: v for k, v in detail.items() if v is not None})

    def state(self) -> JSON | None:
        """The state for the envelope of a thinking block that ends here: the details since the last one.

        A text that is the only one is the block's own, so it stays out.
        """
        made, self._made = self._made, []
        texts = [detail for detail in made if isinstance(detail.get("text"), str)]
        if len(texts) == 1:
            made = [{k: v for k, v in d.items() if d is not texts[0] or k != "text"} for d in made]
        return {"details": made} if made else None

    def unsealed(self, calls: Iterable[Call]) -> JSON | None:
        """The state that no thinking block holds: details that came after it, and what came with the calls."""
        state: JSON = {}
        if self._made:
            state["details"] = self._made
        if extras := {str(number): call.extra for number, call in enumerate(calls) if call.extra}:
            state["calls"] = extras
        return state or None


def _continues(last: JSON, detail: JSON) -> bool:
    same = all(detail.get(name) in (None, last.get(name)) for name in ("type", "index", "id"))
    return same and detail.get("type") != "reasoning.encrypted"
