"""Content blocks of Messages as the parts of Responses: texts, pictures, papers, and what came out of a tool.

This wire has more places than chat completions: a call's output may hold pictures and files itself, where a host has gone
that far. Where it has not, they stand behind all outputs, in a message that says to which each of them belongs; what no
part can hold is said in words.
"""

from __future__ import annotations

from typing import Any

import attrs

from engine import JSON
from engine.config import ResponsesAccent
from policies import Capabilities
from transports.translate._texts import NO_OUTPUT, blocks_of, document_text, string, text_of, word


@attrs.frozen
class Reader:
    """What the candidate at hand can be shown."""

    accent: ResponsesAccent
    can: Capabilities

    def part(self, block: JSON) -> JSON | None:
        """One block of a user's message as a part; None for what says nothing."""
        match block.get("type"):
            case "image":
                return self._image(block.get("source"))
            case "document":
                return self._document(block)
        text = text_of(block)
        return _text(text) if text.strip() else None

    def output(self, block: JSON, number: int) -> tuple[str | list[JSON], list[JSON]]:
        """A tool result as a call's output, and the parts that this host's outputs cannot hold."""
        parts = list(filter(None, map(self.part, blocks_of(block.get("content")))))
        failed = bool(block.get("is_error"))
        if self.accent.shown_results and any(part["type"] != "input_text" for part in parts):
            return _marked(parts) if failed else parts, []
        texts: list[str] = []
        shown: list[JSON] = []
        for part in parts:
            if part["type"] == "input_text":
                texts.append(part["text"])
            else:
                shown.append(part)
                texts.append(f"[{_NAMES[part['type']]} {len(shown)} of result {number}, shown below]")
        text = "\n".join(texts) or NO_OUTPUT
        return f"{_ERROR}{text}" if failed and not text.startswith("Error") else text, shown

    def _image(self, source: Any) -> JSON:
        source = source if isinstance(source, dict) else {}
        kind = source.get("type")
        if self.can.images is False:
            return _text("[an image stood here; this model cannot see images]")
        if kind == "base64" and isinstance(source.get("data"), str):
            url = f"data:{word(source.get('media_type')) or 'image/png'};base64,{source['data']}"
        elif kind == "url" and isinstance(source.get("url"), str):
            url = source["url"]
            if self.accent.images == "base64":
                return _text(f"[an image stood here, at {url}; this host fetches none]")
        else:
            return _text("[an image stood here, in a form that only Anthropic can read]")
        return {"type": "input_image", "image_url": url, "detail": "auto"}

    def _document(self, block: JSON) -> JSON:
        source = block.get("source")
        data = source.get("data") if isinstance(source, dict) and source.get("type") == "base64" else None
        if isinstance(source, dict) and isinstance(data, str) and self.accent.files and self.can.documents is not False:
            url = f"data:{word(source.get('media_type')) or 'application/pdf'};base64,{data}"
            return {"type": "input_file", "filename": string(block.get("title")) or "document.pdf", "file_data": url}
        return _text(document_text(block))


_NAMES = {"input_image": "image", "input_file": "document"}
_ERROR = "Error: "


def _text(text: str) -> JSON:
    return {"type": "input_text", "text": text}


def _marked(parts: list[JSON]) -> list[JSON]:
    """The parts of a result that is an error."""
    first = parts[0]
    if first["type"] != "input_text":
        return [_text(_ERROR.strip()), *parts]
    said = first["text"].startswith("Error")
    return parts if said else [_text(f"{_ERROR}{first['text']}"), *parts[1:]]
