"""Content blocks of Messages as chat content: texts, pictures, papers, and what came out of a tool.

A translator that knows three block types drops the rest, and the model answers as if they had never been there. Here every
block becomes something the host can read: itself where the wire has it, else its words, else a sentence that says what
stood there.
"""

from __future__ import annotations

from typing import Any

import attrs

from engine import JSON
from engine.config import Accent
from policies import Capabilities
from transports.translate._texts import NO_OUTPUT, blocks_of, document_text, string, text_of, word


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
            name = string(block.get("title")) or "document.pdf"
            return {"type": "file", "file": {"filename": name, "file_data": url}}
        return {"type": "text", "text": document_text(block)}


_NAMES = {"image_url": "image", "file": "document"}
