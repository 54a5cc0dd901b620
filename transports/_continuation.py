"""What a socket's host has already been told, and what is left to tell it.

A turn of a tool loop repeats the whole conversation and adds a few items. Over a socket the host keeps the state of its
last answer, so `previous_response_id` and the new items are enough. The naive rule, "the second turn on this socket sends
what comes after the first", asks about another conversation as soon as a client forks, edits or compacts its history.
Here the new input must begin with what was sent, item for item, and with the answer that was given; whatever does not is
told in full.

Both are compared as facts, one digest after another: an assistant's texts run together, since history may cut them
differently; a call's arguments as JSON, since a client parses them and writes them again; reasoning not at all, since the
host keeps its own. Nothing of a conversation is held but one digest of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import dropwhile
from typing import Any

import attrs
import orjson

from engine import JSON

_TEXTS = {"output_text": "text", "text": "text", "refusal": "refusal"}
#: Fields of a call that tell it. The others, its id and its state, are the host's own.
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}


@attrs.frozen(kw_only=True)
class Seen:
    """A conversation up to the end of an answer: whose answer, how many facts, and the digest of all of them."""

    response_id: str
    model: str
    count: int
    digest: bytes


@attrs.frozen
class _Fact:
    """One thing said, as a digest. `end` is the number of items up to its own, `text` an assistant's words."""

    digest: bytes
    end: int
    text: bool = False


@attrs.frozen
class History:
    """The input of one request, as facts."""

    model: object
    items: Sequence[Any] = attrs.field(repr=False)
    _facts: tuple[_Fact, ...] = attrs.field(repr=False)

    @classmethod
    def of(cls, body: JSON) -> History:
        items = body.get("input")
        items = items if isinstance(items, list) else []
        return cls(body.get("model"), items, tuple(_facts(items)))

    def news(self, seen: Seen | None) -> list[Any] | None:
        """The items that are new to a host which has seen this; None where it has not, or where nothing is new."""
        if seen is None or seen.model != self.model or not 0 < seen.count < len(self._facts):
            return None
        if _chained(self._facts[: seen.count]) != seen.digest:
            return None
        rest = self.items[self._facts[seen.count - 1].end :]
        # Reasoning that comes first here belongs to the answer, and the host has it.
        return list(dropwhile(_is_reasoning, rest)) or None

    def answered(self, response_id: object, output: Sequence[Any]) -> Seen | None:
        """This conversation with its answer; None where it cannot be gone on from by this id.

        An input that ends in an assistant's words would run together with the answer, and nobody could tell where.
        """
        answer = tuple(_facts(output))
        usable = isinstance(response_id, str) and response_id != "" and isinstance(self.model, str)
        if not usable or not answer or not self._facts or self._facts[-1].text:
            return None
        facts = (*self._facts, *answer)
        return Seen(response_id=str(response_id), model=str(self.model), count=len(facts), digest=_chained(facts))


def _chained(facts: Iterable[_Fact]) -> bytes:
    whole = blake2b(digest_size=16)
    for fact in facts:
        whole.update(fact.digest)
    return whole.digest()


def _facts(items: Iterable[Any]) -> Iterator[_Fact]:
    texts: list[str] = []
    end = 0
    for number, item in enumerate(items, 1):
        words = _words(item)
        if words is not None:
            texts.append(words)
            end = number
            continue
        if _is_reasoning(item):
            continue
        if texts:
            yield from _said(texts, end)
            texts = []
        yield _Fact(_digest(_call(item) or item), number)
    yield from _said(texts, end)


def _said(texts: list[str], end: int) -> Iterator[_Fact]:
    """An assistant's words, without the blank space around them, which clients take off."""
    text = "".join(texts).strip()
    if text:
        yield _Fact(_digest(["said", text]), end, text=True)


def _words(item: Any) -> str | None:
    """The text of an assistant's message; None for anything else, and for a message that holds more than text."""
    if not isinstance(item, dict) or item.get("type", "message") != "message" or item.get("role") != "assistant":
        return None
    content = item.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get(_TEXTS.get(str(part.get("type")), "")) if isinstance(part, dict) else None for part in parts]
    return "".join(map(str, texts)) if all(isinstance(text, str) for text in texts) else None


def _call(item: Any) -> list[Any] | None:
    field = _CALLS.get(str(item.get("type"))) if isinstance(item, dict) else None
    if field is None:
        return None
    written = item.get(field)
    with suppress(orjson.JSONDecodeError, TypeError):  # else no JSON: as it stands
        written = orjson.loads(written)
    return ["call", item.get("call_id"), item.get("name"), written]


def _is_reasoning(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "reasoning"


def _digest(value: Any) -> bytes:
    try:
        return blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
    except orjson.JSONEncodeError:  # nested deeper than is written: like nothing else, so nothing goes on from it
        return b""
