"""Thought signatures: what Gemini puts on a part, and must find on the same part again.

A signature is the model's own thinking, sealed. It may stand on a call, on a thought, on a text, or on an empty text at the
very end; a call that comes back without it ends the conversation with a 400, one that comes back with somebody else's
likewise. Messages has a place for it on thinking alone. So all of them travel in envelopes of ours: that of a thinking
block holds its own signature and that of the text right behind it, one in a redacted block those of the calls behind it,
by number, and those of the texts before it. Only their author sees them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from engine import JSON
from transports._envelope import opened

#: Goes where a call from elsewhere cannot have a signature: Google's word for doing without.
NONE = "skip_thought_signature_validator"
#: The signatures of one answer that are kept, in characters; one is some kilobytes.
MAX_CHARS = 512 * 1024
#: Calls that are looked for by number.
_MAX_DIGITS = 4


@attrs.define(eq=False)
class Signatures:
    """Those of an answer as it comes in, until an envelope takes them along."""

    _thought: str = ""
    _next: str = ""  # of the text that is about to begin
    _text: str = ""
    _end: str = ""
    _left: int = MAX_CHARS

    def thought(self, signature: str) -> None:
        self._thought = self._kept(signature) or self._thought

    def text(self, signature: str, *, empty: bool, begins: bool) -> None:
        """Of a text part: an `empty` one, or one that `begins` the text behind a thought."""
        kept = self._kept(signature)
        if not kept:
            return
        if empty:
            self._end = kept
        elif begins:
            self._next = kept
        else:
            self._text = kept

    def call(self, signature: str) -> str:
        """What is kept of a call's."""
        return self._kept(signature)

    def of_thought(self) -> JSON | None:
        """The state for the envelope of a thinking block that ends here."""
        state = {name: s for name, s in (("thought", self._thought), ("next", self._next)) if s}
        self._thought = self._next = ""
        return state or None

    def of_rest(self, calls: Iterable[str]) -> JSON | None:
        """The state that no thinking block holds; `calls` are the signatures of the calls, "" for none."""
        state: JSON = {name: s for name, s in (("text", self._text), ("end", self._end)) if s}
        if numbered := {str(number): signature for number, signature in enumerate(calls) if signature}:
            state["calls"] = numbered
        return state or None

    def _kept(self, signature: str) -> str:
        if len(signature) > self._left:
            return ""
        self._left -= len(signature)
        return signature


@attrs.frozen(kw_only=True)
class Reminded:
    """What one envelope holds for the parts around it."""

    thought: str = ""
    next: str = ""
    text: str = ""
    end: str = ""
    calls: dict[int, str] = attrs.field(factory=dict)

    @classmethod
    def by(cls, author: str, block: JSON) -> Reminded:
        """What a thinking block holds of this author; nothing for anybody else's."""
        sealed = opened(block.get("signature") or block.get("data"))
        if sealed is None or sealed.author != author:
            return cls()
        calls = sealed.state.get("calls")
        numbered = calls.items() if isinstance(calls, dict) else ()
        told = {name: _string(sealed.state.get(name)) for name in ("thought", "next", "text", "end")}
        return cls(**told, calls={int(n): s for n, s in numbered if _is_number(n) and isinstance(s, str) and s})


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
