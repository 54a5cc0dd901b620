"""Content blocks of Messages as chat content: texts, pictures, papers, and what came out of a tool.

A translator that knows three block types drops the rest, and the model answers as if they had never been there. Here every
block becomes something the host can read: itself where the wire has it, else its words, else a sentence that says what
stood there.
"""

from __future__ import annotations

import re
from typing import Any

import attrs
import orjson

from engine import JSON
from engine.config import Accent
from policies import Capabilities
from transports._dialect import TooDeep, unattributed

#: Blocks that mean nothing outside Anthropic's own servers.
_DROPPED = frozenset(["container_upload", "cache_control", "mid_conv_system"])
#: Keys of blocks that say nothing to anybody else, at any depth.
_NOISE = frozenset(["cache_control", "encrypted_content", "encrypted_index", "signature"])
#: A block that is not known is told to this depth.
_MAX_DEPTH = 32
NO_OUTPUT = "(no output)"
INTERRUPTED = "(interrupted: there is no result)"
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


@attrs.frozen
class Reader:
    """What the candidate at hand can be shown."""

    accent: Accent
    can: Capabilities

    def part(self, block: JSON) -> JSON | None:
        """One block of a user's message as a part; None for what says nothing."""
        kind = block.get("type")
        match kind:
            case "image":
                return self._image(block.get("source"))
            case "document":
                return self._document(block)
        text = text_of(block)
        return {"type": "text", "text": text} if text.strip() else None

    def content(self, parts: list[JSON]) -> str | list[JSON]:
        """Parts as a message's content: a string where there is nothing but text."""
        if all(part["type"] == "text" for part in parts):
            return "\n\n".join(part["text"] for part in parts)
        return parts

    def result(self, block: JSON, number: int) -> tuple[str, list[JSON]]:
        """A tool result as the text of a tool message, and the parts that such a message cannot hold."""
        texts: list[str] = []
        shown: list[JSON] = []
        for part in filter(None, map(self.part, blocks_of(block.get("content")))):
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                shown.append(part)
                texts.append(f"[{_NAMES[part['type']]} {len(shown)} of result {number}, shown below]")
        text = "\n".join(texts) or NO_OUTPUT
        if block.get("is_error") and not text.startswith("Error"):
            text = f"Error: {text}"
        return text, shown

    def _image(self, source: Any) -> JSON:
        source = source if isinstance(source, dict) else {}
        kind = source.get("type")
        if self.can.images is False:
            return {"type": "text", "text": "[an image stood here; this model cannot see images]"}
        if kind == "base64" and isinstance(source.get("data"), str):
            url = f"data:{word(source.get('media_type')) or 'image/png'};base64,{source['data']}"
        elif kind == "url" and isinstance(source.get("url"), str):
            url = source["url"]
            if self.accent.images == "base64":
                return {"type": "text", "text": f"[an image stood here, at {url}; this host fetches none]"}
        else:
            return {"type": "text", "text": "[an image stood here, in a form that only Anthropic can read]"}
        return {"type": "image_url", "image_url": {"url": url}}

    def _document(self, block: JSON) -> JSON:
        source = block.get("source")
        data = source.get("data") if isinstance(source, dict) and source.get("type") == "base64" else None
        if isinstance(source, dict) and isinstance(data, str) and self.accent.files and self.can.documents is not False:
            url = f"data:{word(source.get('media_type')) or 'application/pdf'};base64,{data}"
            name = _string(block.get("title")) or "document.pdf"
            return {"type": "file", "file": {"filename": name, "file_data": url}}
        return {"type": "text", "text": _document_text(block)}


_NAMES = {"image_url": "image", "file": "document"}


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
            return _string(block.get("text"))
        case "tool_reference":
            return f"[tool available: {word(block.get('tool_name'))}]"
        case "image":
            return _IMAGE
        case "document":
            return _document_text(block, depth)
        case "search_result":
            heading = " ".join(filter(None, (_string(block.get("title")), _string(block.get("source")))))
            return f"[{heading or 'search result'}]\n{_texts_in(block.get('content'), depth)}".strip()
        case "thinking" | "redacted_thinking":
            return ""
        case str(kind) if kind in _DROPPED:
            return ""
        case str(kind):
            rest = {k: v for k, v in block.items() if k not in ("type", "id")}
            return f"[{kind}] {orjson.dumps(_bare(rest)).decode()}"
    return _string(block.get("text"))


def _document_text(block: JSON, depth: int = 0) -> str:
    """A document in words: its text where it has one, and what is said about it."""
    source = block.get("source")
    source = source if isinstance(source, dict) else {}
    title, about = _string(block.get("title")), _string(block.get("context"))
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
    texts = (unattributed(_string(block.get("text"))) for block in blocks_of(system))
    return "\n\n".join(text for text in texts if text.strip())


def word(value: Any) -> str:
    """A value as a word: an id, a name, a number. What is none of these is no word."""
    return value if isinstance(value, str) else str(value) if type(value) in (int, float) else ""


def _string(value: Any) -> str:
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
