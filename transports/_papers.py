"""Documents in a request: who can read them, which must be read for whom, and what stands in their place.

Claude Code puts a PDF into a message as it is, and so do the tools that read one. To a host that takes files it goes as a
file. To any other it was a sentence that a document stood here, and the model answered as if there were nothing in it; or a
400. Here a candidate that cannot take a document is given its text: a prepared copy of the body, made before any dialect
sees it, so that no dialect knows of PDFs. Which documents there are and what becomes of them is decided here, without I/O;
the texts are had in `_readable`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from engine import JSON
from engine.config import Provider, Wire
from transports.translate._texts import document_text, word

#: A document is looked for to this depth of blocks in blocks: a message, a tool's result, and no further.
_MAX_DEPTH = 4
#: What is taken of a text that comes as a file, in characters: as of a PDF.
_MAX_CHARS = 600_000
PDF = "application/pdf"


def takes_documents(provider: Provider, model: str) -> bool:
    """Whether this model of this provider is sent a PDF as it is."""
    can, accent = provider.model(model).capabilities.documents, provider.accent(model)
    match provider.wire:
        case "anthropic":
            return "document" not in provider.drop and can is not False
        case "openai-chat":
            return accent.files and can is not False
        case (
            "openai-responses"
        ):  # of a model that nothing is known of, the host's chat door says whether it takes files
            return can is True or (accent.files and can is None)
    return _TAKES[provider.wire] and can is not False


_TAKES: Mapping[Wire, bool] = MappingProxyType({"gemini": True, "ollama": False, "zed": True, "rehearsal": True})


@attrs.frozen
class Paper:
    """A document that comes as a file: its kind, and its content in base64. The same content is the same paper."""

    media_type: str
    data: str = attrs.field(repr=False)

    def digest(self) -> str:
        """What names it among all papers; some milliseconds for a large one."""
        whole = f"{self.media_type}\n{self.data}".encode("utf-8", "replace")
        return hashlib.blake2b(whole, digest_size=16).hexdigest()

    @property
    def is_pdf(self) -> bool:
        return self.media_type == PDF

    def content(self) -> bytes | None:
        """Its bytes; None where they are no base64."""
        try:
            return base64.b64decode(self.data.encode("ascii"))
        except (binascii.Error, ValueError):
            return None


def paper_of(block: Any) -> Paper | None:
    """The file in a document block; None for any other block, and for a document that is no file."""
    source = block.get("source") if isinstance(block, dict) and block.get("type") == "document" else None
    if not isinstance(source, dict) or source.get("type") != "base64" or not isinstance(source.get("data"), str):
        return None
    media_type = word(source.get("media_type")).partition(";")[0].strip().lower() or PDF
    return Paper(media_type, source["data"])


def papers_in(body: JSON) -> list[Paper]:
    """All files in a body, each once, those in tool results included."""
    return list(dict.fromkeys(filter(None, map(paper_of, _documents(body.get("messages"), 0)))))


def _documents(content: Any, depth: int) -> Iterator[JSON]:
    for block in content if isinstance(content, list) and depth < _MAX_DEPTH else ():
        if isinstance(block, dict):
            if block.get("type") == "document":
                yield block
            else:
                yield from _documents(block.get("content"), depth + 1)


def plain_text(paper: Paper) -> str | None:
    """The text of a file that is one already; None for any other kind."""
    if not (paper.media_type.startswith("text/") or paper.media_type in _TEXTS):
        return None
    content = paper.content()
    return None if content is None else content.decode("utf-8", "replace")[:_MAX_CHARS]


_TEXTS = frozenset(["application/json", "application/xml", "application/yaml", "application/toml", "application/x-sh"])


def with_texts(body: JSON, texts: Mapping[Paper, str], *, in_words: bool) -> JSON:
    """The body with each of these files as a document of text; `in_words`: every document as a text block.

    What has no text stays as it is, and so does all that holds no document: it is not copied.
    """

    def told(block: JSON) -> JSON:
        paper = paper_of(block)
        if paper is not None and paper in texts:
            source = {"type": "text", "media_type": "text/plain", "data": texts[paper]}
            block = {**block, "source": source}
        if not in_words:
            return block
        kept = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
        return {"type": "text", "text": document_text(block), **kept}

    return {**body, "messages": _replaced(body.get("messages"), told, 0)}


def _replaced(content: Any, told: Callable[[JSON], JSON], depth: int) -> Any:
    if not isinstance(content, list) or depth >= _MAX_DEPTH:
        return content
    out = []
    changed = False
    for block in content:
        new = block
        if isinstance(block, dict) and block.get("type") == "document":
            new = told(block)
        elif isinstance(block, dict) and isinstance(block.get("content"), list):
            inner = _replaced(block["content"], told, depth + 1)
            new = block if inner is block["content"] else {**block, "content": inner}
        changed = changed or new is not block
        out.append(new)
    return out if changed else content
