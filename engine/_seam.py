"""Where a text that was broken off meets its continuation: what is repeated is trimmed, and nothing else.

A model that is told to continue exactly where it stopped seldom does. It begins the broken word again, or the sentence, or
the whole answer. Cutting off whatever the two texts share would be wrong as well: `ha` may well be followed by `ha`, a row
of dashes by dashes. So a repetition counts that begins where a word does and says something: a dozen letters or digits
anywhere, or three right at the beginning, where a true continuation of that word would hardly start with it once more.

What comes is held only as long as it may still become a repetition: a handful of characters where it does not repeat.
Whatever cannot be told for certain is shown: a word said twice is a blemish, a lost one is a lie. Pure.
"""

from __future__ import annotations

import attrs

#: Letters and digits that make a repetition wherever it stands, and where the continuation begins with it at once.
STRONG, WEAK = 12, 3
#: Comparisons spent on one seam; beyond them (a text of one word a hundred thousand times) it is taken as no repetition.
MAX_WORK = 300_000
#: White space that is kept of a continuation's beginning. A host that sends nothing else would fill the memory.
MAX_BLANK = 4096
#: Scripts without spaces between words begin here.
_IDEOGRAPHS = 0x2E80


@attrs.define(eq=False)
class Seam:
    """Feed it the continuation; it gives back what is new. `repeated`: all of what was shown was reached by repetition."""

    shown: str = attrs.field(repr=False)
    decided: bool = False
    repeated: bool = False
    trimmed: str = ""  #: what was cut off
    _core: str = ""
    _blank: str = ""  # the white space with which the shown text ends
    _lead: str = ""  # the white space with which the continuation begins
    _held: str = ""  # what follows that, while it is undecided
    _open: list[int] | None = None  # places of the shown text at which what is held stands so far
    _done: int | None = None  # the first of those of which nothing is left
    _work: int = 0
    _rest: str | None = None  # what follows a repetition, while it is white space

    def __attrs_post_init__(self) -> None:
        self._core = self.shown.rstrip()
        self._blank = self.shown[len(self._core) :]

    def feed(self, text: str) -> str:
        """More of the continuation; what of it may be shown now."""
        if self.decided:
            return text
        if self._rest is not None:
            return self._settled((self._rest + text) if text.strip() else (self._rest + text)[:MAX_BLANK])
        if self._open is None:
            body = text.lstrip()
            self._lead = (self._lead + text[: len(text) - len(body)])[:MAX_BLANK]
            if not body:
                return ""
            self._open = self._places(body[0])
            text = body
        before = len(self._held)
        self._held += text
        self._narrow(text, before)
        return "" if self._open else self._decide()

    def finish(self) -> str:
        """The continuation is over; what was still held."""
        if self.decided:
            return ""
        if self._rest is not None:
            return self._last()
        if self._open and self._done is None and _weight(self._held) >= STRONG:
            # It says again a part of what was shown, and stops short of its end.
            self.decided, self.trimmed = True, self._lead + self._held
            return ""
        return self._decide() + self._last()

    def _last(self) -> str:
        """The white space behind a repetition with which the continuation ended, if it is still held."""
        if self.decided:
            return ""
        self.decided = True
        return self._joined(self._rest or "")

    def _places(self, first: str) -> list[int]:
        """Where a repetition may begin: at the beginning of a word, or at a mark."""
        core, found, at = self._core, [], self._core.find(first)
        while at >= 0:
            if _begins(core, at):
                found.append(at)
            at = core.find(first, at + 1)
        return found

    def _narrow(self, text: str, before: int) -> None:
        """Keep the places that agree with `text`, which stands `before` characters into what is held."""
        assert self._open is not None
        self._work += len(self._open)
        if self._work > MAX_WORK:
            self._open, self._done = [], None
            return
        core, still = self._core, []
        for place in self._open:
            at = place + before
            left = len(core) - at
            if left > len(text):
                if core.startswith(text, at):
                    still.append(place)
            elif text.startswith(core[at:]) and (self._done is None or place < self._done):
                self._done = place
        self._open = still

    def _decide(self) -> str:
        held, self._held = self._held, ""
        if self._done is not None and self._counts(self._core[self._done :]):
            length = len(self._core) - self._done
            self.repeated, self.trimmed = True, self._lead + held[:length]
            return self._settled(held[length:])
        self.decided = True
        return self._joined(self._lead + held)

    def _settled(self, rest: str) -> str:
        """What follows a repetition, once it is known how it joins the white space that was shown."""
        self._rest = rest
        if self._blank and not rest.strip():
            return ""
        self.decided = True
        return self._joined(rest)

    def _counts(self, overlap: str) -> bool:
        weight = _weight(overlap)
        if weight < (WEAK if not self._lead else STRONG) or len(set(overlap)) == 1:
            return False
        # A text that has said the same twice already may say it a third time.
        return not self._core.removesuffix(overlap).rstrip().endswith(overlap)

    def _joined(self, rest: str) -> str:
        """White space that was shown already is not shown again. The model was asked without it, and may bring it all."""
        body = rest.lstrip()
        gap = rest[: len(rest) - len(body)]
        if gap.startswith(self._blank):
            return rest[len(self._blank) :]
        return body if self._blank.startswith(gap) else rest


def _weight(text: str) -> int:
    """Letters and digits."""
    return sum(map(str.isalnum, text))


def _begins(text: str, at: int) -> bool:
    """Whether a word or a mark begins there."""
    return at == 0 or not (text[at].isalnum() and text[at - 1].isalnum()) or ord(text[at]) >= _IDEOGRAPHS
