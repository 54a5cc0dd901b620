"""Content blocks of Messages as parts of Gemini's: texts, pictures, papers, and what came out of a tool.

Every block becomes something the model can read: itself where the wire has it, else its words, else a sentence that says
what stood there. A result is an object here, of a text under `result` or `error`; its pictures stand inside it where the
model's generation reads them there, and behind all results where not.
"""

from __future__ import annotations

from typing import Any

import attrs

from engine import JSON
from policies import Capabilities
from transports.translate._texts import NO_OUTPUT, blocks_of, document_text, text_of, word

#: The pictures and papers that Gemini reads; Google's documentation of image and document understanding.
_IMAGES = frozenset(["image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"])
_PDF = "application/pdf"


@attrs.frozen
class Reader:
    """What the candidate at hand can be shown."""

    can: Capabilities

    def part(self, block: JSON) -> JSON | None:
        """One block of a user's message as a part; None for what says nothing."""
        match block.get("type"):
            case "image":
                return self._image(block.get("source"))
            case "document":
                return self._document(block)
        text = text_of(block)
        return {"text": text} if text.strip() else None

    def result(self, block: JSON, number: int) -> tuple[JSON, list[JSON]]:
        """A tool result as the object of a `functionResponse`, and the parts that are no text."""
        texts: list[str] = []
        shown: list[JSON] = []
        for part in filter(None, map(self.part, blocks_of(block.get("content")))):
            if "text" in part:
                texts.append(part["text"])
            else:
                shown.append(part)
                texts.append(f"[{_kind(part)} {len(shown)} of result {number}]")
        text = "\n".join(texts) or NO_OUTPUT
        return {"error" if block.get("is_error") else "result": text}, shown

    def _image(self, source: Any) -> JSON:
        source = source if isinstance(source, dict) else {}
        kind = source.get("type")
        if self.can.images is False:
            return {"text": "[an image stood here; this model cannot see images]"}
        if kind == "base64" and isinstance(source.get("data"), str):
            media = word(source.get("media_type")) or "image/png"
            if media not in _IMAGES:
                return {"text": f"[an image stood here, as {media}, which this model cannot read]"}
            return {"inlineData": {"mimeType": media, "data": source["data"]}}
        if kind == "url" and isinstance(source.get("url"), str):
            return {"text": f"[an image stood here, at {source['url']}; this host fetches none]"}
        return {"text": "[an image stood here, in a form that only Anthropic can read]"}

    def _document(self, block: JSON) -> JSON:
        source = block.get("source")
        source = source if isinstance(source, dict) else {}
        data = source.get("data") if source.get("type") == "base64" else None
        media = word(source.get("media_type")) or _PDF
        if isinstance(data, str) and media == _PDF and self.can.documents is not False:
            return {"inlineData": {"mimeType": _PDF, "data": data}}
        return {"text": document_text(block)}


def _kind(part: JSON) -> str:
    return "document" if part["inlineData"]["mimeType"] == _PDF else "image"
