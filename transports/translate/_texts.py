"""What the blocks of a message say in words.

Every wire has a place for text, and none but Anthropic's has a place for every block. A translator that knows three block
types drops the rest, and the model answers as if they had never been there. So whatever a block is, there are words for
it: its own, else a sentence that says what stood there. Whoever has a better place for it than words uses that.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from engine import JSON
from transports._dialect import TooDeep, unattributed
from transports.translate._served import words_of

#: Blocks that mean nothing outside Anthropic's own servers.
_DROPPED = frozenset(["container_upload", "cache_control", "mid_conv_system"])
#: Keys of blocks that say nothing to anybody else, at any depth.
_NOISE = frozenset(["cache_control", "encrypted_content", "encrypted_index", "signature"])
#: A block that is not known is told to this depth.
_MAX_DEPTH = 32
NO_OUTPUT = "(no output)"
INTERRUPTED = "(interrupted: there is no result)"
#: What stands where a wire wants words and the client has none: an answer to be continued, one that comes first, nothing.
GO_ON = "Continue exactly where your last message stopped. Do not repeat any of it."
BEGINNING = "(the conversation begins with an answer)"
NOTHING = "…"
_IMAGE = "[an image stood here]"
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def written(value: Any) -> bytes:
    """A value as JSON. Raises TooDeep for one that could be read and cannot be written."""
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise TooDeep("the body is nested too deeply") from error
    # No host takes a NUL in a text, and tools print them.
    return _NUL.sub(rb"\1\\ufffd", text) if rb"\u0000" in text else text


def well_written(value: Any) -> bytes | None:
    """A value as JSON, where it can still be written some levels further down, in a conversation; else None."""
    try:
        return orjson.dumps([[[[[[[[value]]]]]]]])[8:-8]
    except orjson.JSONEncodeError:
        return None


def is_silent(block: JSON) -> bool:
    """Whether a block says nothing on this wire, whoever says it. Thinking does not: it goes another way."""
    return block.get("type") not in _ACTS and not text_of(block).strip()


_ACTS = ("image", "document", "tool_use", "tool_result")


def text_of(block: JSON, depth: int = 0) -> str:
    """What a block says in words; "" for one that says nothing outside Anthropic."""
    if depth > _MAX_DEPTH:
        return "…"
    match block.get("type"):
        case "text":
            return string(block.get("text"))
        case "tool_reference":
            return f"[tool available: {word(block.get('tool_name'))}]"
        case "image":
            return _IMAGE
        case "document":
            return document_text(block, depth)
        case "search_result":
            heading = " ".join(filter(None, (string(block.get("title")), string(block.get("source")))))
            return f"[{heading or 'search result'}]\n{_texts_in(block.get('content'), depth)}".strip()
        case "thinking" | "redacted_thinking":
            return ""
        case str(kind) if kind in _DROPPED:
            return ""
        case str() if (words := words_of(block)) is not None:
            return words
        case str(kind):
            rest = {k: v for k, v in block.items() if k not in ("type", "id")}
            return f"[{kind}] {orjson.dumps(_bare(rest)).decode()}"
    return string(block.get("text"))


def document_text(block: JSON, depth: int = 0) -> str:
    """A document in words: its text where it has one, and what is said about it."""
    source = block.get("source")
    source = source if isinstance(source, dict) else {}
    title, about = string(block.get("title")), string(block.get("context"))
    name = f" '{title}'" if title else ""
    match source.get("type"):
        case "text" if isinstance(source.get("data"), str):
            text = f"[document{name}]\n{source['data']}"
        case "content":
            text = f"[document{name}]\n{_texts_in(source.get('content'), depth)}"
        case "url" if isinstance(source.get("url"), str):
            text = f"[a document{name} stood here, at {source['url']}]"
        case _:
            text = f"[a document{name} stood here; this host cannot read it]"
    return f"{text}\n{about}" if about else text


def blocks_of(content: Any) -> list[JSON]:
    """Content as blocks: of a list what is one, of a text a block of it, of a single block the block itself."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, dict):
        return [content]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _texts_in(content: Any, depth: int) -> str:
    """The texts of the blocks in a block, a line each."""
    return "\n".join(text for block in blocks_of(content) if (text := text_of(block, depth + 1)))


def system_text(system: Any) -> str:
    """The system prompt: its texts with a blank line between them, without the attribution."""
    texts = (unattributed(string(block.get("text"))) for block in blocks_of(system))
    return "\n\n".join(text for text in texts if text.strip())


def word(value: Any) -> str:
    """A value as a word: an id, a name, a number. What is none of these is no word."""
    return value if isinstance(value, str) else str(value) if type(value) in (int, float) else ""


def string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _bare(value: Any, depth: int = 0) -> Any:
    """What is worth telling of a block that is not known: neither marks nor secrets nor the bytes of pictures."""
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, list):
        return [_bare(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    without = {*_NOISE, "data"} if value.get("type") == "base64" else _NOISE
    return {k: _bare(v, depth + 1) for k, v in value.items() if k not in without}
