"""Content blocks: everything becomes something that the host can read."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.config import Accent, Model
from policies import Capabilities
from tests.transports.asks import body
from tests.transports.chat.hosts import Body, said, sent
from tests.transports.chat.rules import faults

B64 = {"type": "base64", "media_type": "image/jpeg", "data": "QUJD"}
URL = {"type": "url", "url": "https://example.com/a"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}
FILES = Accent(files=True)
BASE64 = Accent(images="base64")


def part(block: Body, accent: Accent, **can: bool) -> Any:
    """What one block of a user's becomes."""
    out = sent(said([block]), accent=accent, known=Model(id="m", capabilities=Capabilities(**can)))
    assert faults(out, accent) == []
    content = out["messages"][0]["content"]
    return content if isinstance(content, str) else content[0]


def shown(url: str) -> Body:
    return {"type": "image_url", "image_url": {"url": url}}


IMAGES: list[tuple[Any, Accent, dict[str, bool], Any]] = [
    (B64, Accent(), {}, shown("data:image/jpeg;base64,QUJD")),
    (B64, BASE64, {"images": True}, shown("data:image/jpeg;base64,QUJD")),
    ({"type": "base64", "data": "QUJD"}, Accent(), {}, shown("data:image/png;base64,QUJD")),
    (URL, Accent(), {}, shown("https://example.com/a")),
    (URL, BASE64, {}, "[an image stood here, at https://example.com/a; this host fetches none]"),
    (B64, Accent(), {"images": False}, "[an image stood here; this model cannot see images]"),
    ({"type": "file", "file_id": "f"}, Accent(), {}, "[an image stood here, in a form that only Anthropic can read]"),
    (None, Accent(), {}, "[an image stood here, in a form that only Anthropic can read]"),
    ({"type": "base64", "data": 5}, Accent(), {}, "[an image stood here, in a form that only Anthropic can read]"),
]


@pytest.mark.parametrize(("source", "accent", "can", "out"), IMAGES)
def test_an_image_is_shown_or_told_of(source: Any, accent: Accent, can: dict[str, bool], out: Any) -> None:
    """As the host takes it; never a refusal."""
    assert part({"type": "image", "source": source, "cache_control": {}}, accent, **can) == out


UNREADABLE = "[a document 'T' stood here; this host cannot read it]"
DOCUMENTS: list[tuple[Any, Accent, dict[str, bool], Any]] = [
    (PDF, FILES, {}, {"type": "file", "file": {"filename": "T", "file_data": "data:application/pdf;base64,QUJD"}}),
    (PDF, FILES, {"documents": False}, UNREADABLE),
    (PDF, Accent(), {}, UNREADABLE),
    ({"type": "base64"}, FILES, {}, UNREADABLE),
    ({"type": "text", "media_type": "text/plain", "data": "words"}, FILES, {}, "[document 'T']\nwords"),
    ({"type": "content", "content": "words"}, Accent(), {}, "[document 'T']\nwords"),
    ({"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "image"}]}, Accent(), {},
     "[document 'T']\na\n[an image stood here]"),
    (URL, FILES, {}, "[a document 'T' stood here, at https://example.com/a]"),
    ({"type": "file", "file_id": "f"}, FILES, {}, UNREADABLE),
    (None, FILES, {}, UNREADABLE),
]  # fmt: skip


@pytest.mark.parametrize(("source", "accent", "can", "out"), DOCUMENTS)
def test_a_document_is_given_read_or_told_of(source: Any, accent: Accent, can: dict[str, bool], out: Any) -> None:
    """A file where files are taken, its text where it has one, else a sentence."""
    assert part({"type": "document", "source": source, "title": "T"}, accent, **can) == out


def test_what_is_said_about_a_document_stays() -> None:
    """Its context; a document without a title has a file name all the same."""
    text = {"type": "text", "data": "words"}
    assert part({"type": "document", "source": text, "context": "about"}, Accent()) == "[document]\nwords\nabout"
    assert part({"type": "document", "source": PDF}, FILES)["file"]["filename"] == "document.pdf"


OTHERS: list[tuple[Body, str]] = [
    ({"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "a"}]}, "[T S]\na"),
    ({"type": "search_result", "content": "a"}, "[search result]\na"),
    ({"type": "tool_reference", "tool_name": "Grep"}, "[tool available: Grep]"),
    ({"type": "text", "text": "a", "citations": [{"cited_text": "b"}]}, "a"),
    ({"type": "later", "id": "1", "cache_control": {}, "n": {"id": 2}}, '[later] {"n":{"id":2}}'),
    ({"type": "later", "source": {"type": "base64", "data": "QUJD"}}, '[later] {"source":{"type":"base64"}}'),
    ({"type": "web_search_tool_result", "content": [{"type": "web_search_result", "url": "u", "encrypted_content": "E"}]},
     '[results of a web search]\n1. u'),
    ({"type": "web_search_tool_result", "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"}},
     '[results of a web search]\nfailed: unavailable'),
    ({"text": "a"}, "a"),
]  # fmt: skip


@pytest.mark.parametrize(("block", "out"), OTHERS)
def test_whatever_else_there_is_in_words(block: Body, out: str) -> None:
    """Without marks, secrets and the bytes of pictures."""
    assert part(block, Accent()) == out


def text(words: str) -> Body:
    return {"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}


SYSTEMS: list[tuple[Any, str | None]] = [
    ("be brief", "be brief"),
    ("", None),
    (" \n", None),
    ([], None),
    (5, None),
    ([text("a"), text(" "), text("b")], "a\n\nb"),
    ([text("x-anthropic-billing-header: cc_version=1; cc_entrypoint=cli;"), text("a")], "a"),
    ("x-anthropic-billing-header: cc_version=1;\nbe brief", "be brief"),
    ("x-anthropic-billing-header: cc_version=1;", None),
    ([text("about x-anthropic-billing-header")], "about x-anthropic-billing-header"),
]  # fmt: skip


@pytest.mark.parametrize(("system", "out"), SYSTEMS)
def test_the_system_prompt_is_one_message(system: Any, out: str | None) -> None:
    """Without the line that differs from conversation to conversation; nothing where nothing is said."""
    messages = sent(body(system=system))["messages"]
    assert messages[:-1] == ([] if out is None else [{"role": "system", "content": out}])


def test_no_host_is_sent_a_nul() -> None:
    """Neither in a text nor in a call; what only looks like one stays."""
    call = {"type": "tool_use", "id": "t", "name": "n", "input": {"a": "x\0y", "b": "\\u0000"}}
    messages = sent(said("a\0\0b\\\0 \\u0000", (call,)))["messages"]
    assert messages[0]["content"] == "a\ufffd\ufffdb\\\ufffd \\u0000"
    arguments = messages[1]["tool_calls"][0]["function"]["arguments"]
    assert orjson.loads(arguments) == {"a": "x\ufffdy", "b": "\\u0000"}
