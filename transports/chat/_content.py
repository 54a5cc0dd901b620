"""Content blocks of Messages as chat content: texts, pictures, papers, and what came out of a tool.

A translator that knows three block types drops the rest, and the model answers as if they had never been there. Here every
block becomes something the host can read: itself where the wire has it, else its words, else a sentence that says what
stood there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import orjson

from engine import JSON
from engine.config import Accent
from policies import Capabilities

#: Claude Code's first system block. It differs between conversations and so defeats a host's prefix cache.
ATTRIBUTION = "x-anthropic-billing-header"
#: Blocks that mean nothing outside Anthropic's own servers.
_DROPPED = frozenset(["container_upload", "cache_control", "mid_conv_system"])
NO_OUTPUT = "(no output)"
INTERRUPTED = "(interrupted: there is no result)"


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
        content = block.get("content")
        inner = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts: list[str] = []
        shown: list[JSON] = []
        for item in inner if isinstance(inner, list) else ():
            part = self.part(item) if isinstance(item, dict) else None
            if part is None:
                continue
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                shown.append(part)
                texts.append(f"[{_NAMES[part['type']]} {len(shown)} of result {number}, shown below]")
        text = "\n".join(texts) or NO_OUTPUT
        if block.get("is_error") and not text.startswith("Error"):
            text = f"Error: {text}"
        return text, shown

    def _image(self, source: Any) -> JSON | None:
        if not isinstance(source, dict):
            return None
        kind = source.get("type")
        if self.can.images is False:
            return {"type": "text", "text": "[an image stood here; this model cannot see images]"}
        if kind == "base64" and isinstance(source.get("data"), str):
            url = f"data:{source.get('media_type', 'image/png')};base64,{source['data']}"
        elif kind == "url" and isinstance(source.get("url"), str):
            url = source["url"]
            if self.accent.images == "base64":
                return {"type": "text", "text": f"[an image stood here, at {url}; this host fetches none]"}
        else:
            return {"type": "text", "text": "[an image stood here, in a form that only Anthropic can read]"}
        return {"type": "image_url", "image_url": {"url": url}}

    def _document(self, block: JSON) -> JSON | None:
        source = block.get("source")
        source = source if isinstance(source, dict) else {}
        title = block.get("title") if isinstance(block.get("title"), str) else ""
        name = f" '{title}'" if title else ""
        match source.get("type"):
            case "text" if isinstance(source.get("data"), str):
                return {"type": "text", "text": f"[document{name}]\n{source['data']}"}
            case "content":
                inner = source.get("content")
                text = inner if isinstance(inner, str) else texts_in(inner)
                return {"type": "text", "text": f"[document{name}]\n{text}"}
            case "base64" if self.accent.files and self.can.documents is not False:
                data = f"data:{source.get('media_type', 'application/pdf')};base64,{source.get('data', '')}"
                return {"type": "file", "file": {"filename": title or "document.pdf", "file_data": data}}
            case "url" if isinstance(source.get("url"), str):
                return {"type": "text", "text": f"[a document{name} stood here, at {source['url']}]"}
        return {"type": "text", "text": f"[a document{name} stood here; this host cannot read it]"}


_NAMES = {"image_url": "image", "file": "document"}


def text_of(block: JSON) -> str:
    """What a block says in words; "" for one that says nothing outside Anthropic."""
    match block.get("type"):
        case "text":
            return _string(block.get("text"))
        case "tool_reference":
            return f"[tool available: {block.get('tool_name', '')}]"
        case "search_result":
            heading = " ".join(filter(None, (_string(block.get("title")), _string(block.get("source")))))
            return f"[{heading}]\n{texts_in(block.get('content'))}".strip()
        case "thinking" | "redacted_thinking":
            return ""
        case str(kind) if kind in _DROPPED:
            return ""
        case str(kind):
            rest = {k: v for k, v in block.items() if k not in ("type", "cache_control", "id", "encrypted_content")}
            return f"[{kind}] {_dumped(rest)}"
    return ""


def texts_in(content: Any) -> str:
    """The texts of a list of blocks, a line each."""
    if isinstance(content, str):
        return content
    blocks: Iterable[JSON] = [b for b in content if isinstance(b, dict)] if isinstance(content, list) else ()
    return "\n".join(text for text in map(text_of, blocks) if text)


def system_text(system: Any) -> str:
    """The system prompt: its texts with a blank line between them, without the attribution."""
    if isinstance(system, str):
        return system
    blocks = [b for b in system if isinstance(b, dict)] if isinstance(system, list) else []
    texts = (_string(block.get("text")) for block in blocks)
    return "\n\n".join(text for text in texts if text.strip() and not text.startswith(ATTRIBUTION))


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _dumped(value: JSON) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # nested deeper than is written
        return "(…)"
