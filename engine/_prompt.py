"""How large a prompt is, as far as can be told without a tokenizer.

Counting exactly takes longer than relaying the answer: a tokenizer run over a 98 KB body costs 20 ms of CPU in which nothing
else moves. Bytes divided by four cost nothing and are wrong by half for code, logs and Chinese. What tokenizers agree on is
what a text is made of: a word is about one token, a run of punctuation another, three digits one, two bytes of an ideogram
one. So a few kilobytes, taken evenly from all of the body, are counted by class of character, and that is scaled up.

How far a certain model departs from this is learned from its own counts; see `_estimates`.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import attrs
import orjson

from engine._stream import JSON

#: What an image costs at most, whatever its bytes (Anthropic: width x height / 750, capped).
IMAGE_TOKENS = 1600
#: What a document costs for each begun 100 KB of base64: about a page of text with its picture. Rough.
DOCUMENT_TOKENS, DOCUMENT_CHARS = 3000, 100_000
#: Bytes that are looked at, in so many slices.
SAMPLE_BYTES, SLICES = 4096, 16
#: No text has fewer bytes to a token, nor more.
_FEWEST, _MOST = 1.0, 8.0
#: Beyond this depth nothing is looked into: nobody's content is nested so.
_MAX_DEPTH = 32

_LETTERS = bytes(b for b in range(128) if chr(b).isalpha())
_DIGITS = b"0123456789"
_LEADS, _CONTINUATIONS = bytes(range(192, 256)), bytes(range(128, 192))
_ONLY_WORDS = bytes(b if b in _LETTERS else 32 for b in range(256))
_ONLY_MARKS = bytes(46 if 33 <= b < 127 and b not in _LETTERS + _DIGITS else 32 for b in range(256))
#: Tokens for each: letter, digit, space, backslash, other mark, first byte of a character beyond ASCII, further such byte,
#: word, run of marks. Least squares on o200k_base and cl100k_base over code, prose, JSON, listings and five other languages.
_WEIGHTS = (0.083, 0.395, 0.015, -0.27, 0.25, -0.14, 0.49, 0.63, 0.765)

#: What stands in a body that has images or documents.
_HINTS = (b'"image"', b'"document"')


@attrs.frozen(kw_only=True)
class Prompt:
    """A prompt's size. `text` is the estimate for all but images and documents, in tokens, and `size` its bytes of JSON.

    `media` is what images and documents are taken to cost, in tokens. `head` tells one conversation of a session from
    another: a digest of how it begins, of its tools and its system prompt.
    """

    text: float
    size: int
    media: int = 0
    images: int = 0
    documents: int = 0
    messages: int = 0
    head: int = 0

    @property
    def tokens(self) -> int:
        """The estimate for a model that nothing is known of."""
        return max(1, round(self.text) + self.media)


def measure(body: JSON, raw: bytes) -> Prompt:
    """The size of a checked body; `raw` is its bytes. Blocks are walked only where the bytes hint at images or documents."""
    media = _Media()
    text = raw
    if any(hint in raw for hint in _HINTS):
        messages = [{**m, "content": media.without(m.get("content"))} for m in body["messages"]]
        if media.images or media.documents:
            try:
                text = orjson.dumps({**body, "messages": messages})
            except orjson.JSONEncodeError:  # nested deeper than is written: no host will see it
                text = raw[: len(raw) - min(media.chars, len(raw))]
    return Prompt(
        text=tokens_in(text),
        size=len(text),
        media=media.tokens,
        images=media.images,
        documents=media.documents,
        messages=len(body["messages"]),
        head=_head(body),
    )


def plain(messages: list[JSON]) -> list[JSON]:
    """Messages without their images and documents."""
    media = _Media()
    return [{**m, "content": media.without(m.get("content"))} for m in messages]


def tokens_in(text: bytes) -> float:
    """The tokens of a text in JSON. What is longer than `SAMPLE_BYTES` is judged by even slices of it."""
    size = len(text)
    if size > SAMPLE_BYTES:
        step, length = size // SLICES, SAMPLE_BYTES // SLICES
        sample = b" ".join([text[at : at + length] for at in range(0, step * SLICES, step)])
    else:
        sample = text
    n = len(sample)
    if not n:
        return 0.0
    letters, digits = n - len(sample.translate(None, _LETTERS)), n - len(sample.translate(None, _DIGITS))
    spaces, escapes = n - len(sample.translate(None, b" ")), n - len(sample.translate(None, b"\\"))
    leads = more = 0
    if not sample.isascii():
        leads, more = n - len(sample.translate(None, _LEADS)), n - len(sample.translate(None, _CONTINUATIONS))
    marks = n - letters - digits - spaces - escapes - leads - more
    words, runs = len(sample.translate(_ONLY_WORDS).split()), len(sample.translate(_ONLY_MARKS).split())
    counts = (letters, digits, spaces, escapes, marks, leads, more, words, runs)
    found = sum(weight * count for weight, count in zip(_WEIGHTS, counts, strict=True))
    return min(max(found * size / n, size / _MOST), size / _FEWEST)


def tokens_of(text: str) -> float:
    """The tokens of a text. Lone surrogates, which JSON may bring, count as the marks that stand for them."""
    return tokens_in(text.encode("utf-8", "replace"))


@attrs.define
class _Media:
    """What images and documents there are."""

    images: int = 0
    documents: int = 0
    tokens: int = 0
    chars: int = 0

    def without(self, content: Any, depth: int = 0) -> Any:
        """Content without its images and documents, which are counted."""
        if not isinstance(content, list) or depth > _MAX_DEPTH:
            return content
        kept = []
        for block in content:
            kind = block.get("type") if isinstance(block, dict) else None
            if kind == "document" and _of_text(block):
                self.documents += 1  # its words are read like any others
                kept.append(block)
            elif kind in ("image", "document"):
                self._count(kind, block.get("source"))
            elif isinstance(block, dict) and isinstance(block.get("content"), list):
                kept.append({**block, "content": self.without(block["content"], depth + 1)})
            else:
                kept.append(block)
        return kept

    def _count(self, kind: str, source: Any) -> None:
        data = source.get("data") if isinstance(source, dict) else None
        chars = len(data) if isinstance(data, str) else 0
        self.chars += chars
        if kind == "image":
            self.images += 1
            self.tokens += IMAGE_TOKENS
        else:
            self.documents += 1
            self.tokens += DOCUMENT_TOKENS * max(1, -(-chars // DOCUMENT_CHARS))


def _head(body: JSON) -> int:
    """A digest of how a conversation begins. Of texts only lengths count, and the first words of the first."""
    system, tools = body.get("system"), body.get("tools")
    first = body["messages"][0]["content"]
    opening = _opening(first)
    sizes = (
        len(system)
        if isinstance(system, str)
        else sum(len(_text(b)) for b in system)
        if isinstance(system, list)
        else 0,
        len(tools) if isinstance(tools, list) else 0,
        len(first),
        len(opening),
    )
    return crc32(f"{sizes}{opening[:64]}".encode("utf-8", "replace"))


def _of_text(document: JSON) -> bool:
    source = document.get("source")
    return isinstance(source, dict) and source.get("type") == "text"


def _opening(content: Any) -> str:
    if isinstance(content, str):
        return content
    return next((text for block in content if (text := _text(block))), "")


def _text(block: Any) -> str:
    text = block.get("text") if isinstance(block, dict) else None
    return text if isinstance(text, str) else ""
