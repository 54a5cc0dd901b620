"""Thinking that a host leaves in the text, between tags.

Searching the text for `<think>` finds it in every answer about prompts, and misses it where it is cut in two by a network
read. A model that thinks in tags does so before it says anything else, so a tag counts at the very beginning and nowhere
else, and whatever might be the beginning of one waits for the next piece.
"""

from __future__ import annotations

from typing import Literal

from transports.translate._writer import Said

#: Opening and closing tags. Magistral writes the last pair.
TAGS = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>"), ("[THINK]", "[/THINK]"))
_LONGEST = max(len(tag) for pair in TAGS for tag in pair)
#: White space that may stand before a tag, in characters: what waits is looked at again with each piece.
_MAX_BLANK = 256


class ThinkSplitter:
    """`feed` text, get it as pieces of text and thinking; `finish` gives what was still waiting.

    `implied`: the template has opened the tag already, so the text begins inside, unless the model opens it once more. A
    closing tag that comes first where none is open is a template's leftover, and is dropped.
    """

    def __init__(self, *, implied: bool = False) -> None:
        self._state: Literal["begin", "inside", "after", "done"] = "begin"
        self._implied = implied
        self._close = TAGS[0][1]
        self._open = ""
        self._held = ""
        self._begun = False  # something has been given out of what is inside
        self._thought = False  # and it was not white space alone

    @property
    def done(self) -> bool:
        """Whether everything from here on is text."""
        return self._state == "done"

    def feed(self, text: str) -> list[tuple[Said, str]]:
        out: list[tuple[Said, str]] = []
        text, self._held = self._held + text, ""
        while text:
            match self._state:
                case "begin":
                    text = self._begin(text, out)
                case "inside":
                    text = self._inside(text, out)
                case "after":  # the lines between the tag and the answer
                    text = text.lstrip()
                    self._state = "done" if text else "after"
                case "done":
                    out.append(("text", text))
                    break
        return out

    def finish(self) -> list[tuple[Said, str]]:
        """What is left. A tag that was opened on nothing was perhaps none: it is given back."""
        held, self._held = self._held, ""
        if self._state == "inside" and self._open and not self._thought and not held.strip():
            return [("text", self._open)]
        inside = self._state == "inside" or (self._state == "begin" and self._implied)
        return [("thinking" if inside else "text", held)] if held else []

    def _begin(self, text: str, out: list[tuple[Said, str]]) -> str:
        start = text.lstrip()
        for opening, closing in TAGS:
            if start.startswith(opening):
                self._state, self._open, self._close = "inside", opening, closing
                return start[len(opening) :]
            if start.startswith(closing):
                self._state = "after"
                return start[len(closing) :]
        blank = len(text) - len(start)
        if (
            len(start) < _LONGEST
            and blank <= _MAX_BLANK
            and any(tag.startswith(start) for pair in TAGS for tag in pair)
        ):
            self._held = text
            return ""
        self._state = "inside" if self._implied else "done"
        return text

    def _inside(self, text: str, out: list[tuple[Said, str]]) -> str:
        if not self._begun:
            text = text.lstrip("\n")  # behind the tag
        thought, tag, rest = text.partition(self._close)
        if tag:
            self._state = "after"
        else:
            keep = _overlap(text, self._close)
            thought, self._held = text[: len(text) - keep], text[len(text) - keep :]
        if thought:
            self._begun = True
            self._thought = self._thought or bool(thought.strip())
            out.append(("thinking", thought))
        return rest


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of `text` may be the beginning of `tag`."""
    return next((n for n in range(min(len(text), len(tag) - 1), 0, -1) if tag.startswith(text[-n:])), 0)
