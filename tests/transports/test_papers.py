"""Whose documents are read for whom, and what stands in their place: a copy, with everything else as it was."""

from __future__ import annotations

import base64
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import need_of
from engine.config import Accent, Model, Provider, Wire, load
from policies import Capabilities
from tests.transports.asks import body
from tests.transports.pdfs import document, pdf
from transports import load_catalogue
from transports._papers import Paper, paper_of, papers_in, plain_text, takes_documents, with_texts

ROWS = load("", file="", catalogue=load_catalogue(), environ={"AZURE_RESOURCE_NAME": "r"}).providers
PDF = document(pdf("hello"), title="report.pdf", context="read this")


def host(wire: Wire, documents: bool | None, **fields: Any) -> Provider:
    return Provider(
        id="h", wire=wire, models={"m": Model(id="m", capabilities=Capabilities(documents=documents))}, **fields
    )


FILES = {"chat": Accent(files=True)}


@pytest.mark.parametrize(
    ("provider", "takes"),
    [
        (host("anthropic", True), True),
        (host("anthropic", None), True),
        (host("anthropic", False), False),
        (host("anthropic", True, drop=frozenset(["document"])), False),
        (host("openai-chat", True), False),
        (host("openai-chat", True, **FILES), True),
        (host("openai-chat", None, **FILES), True),
        (host("openai-chat", False, **FILES), False),
        (host("openai-responses", True), True),
        (host("openai-responses", None), False),
        (host("openai-responses", None, **FILES), True),
        (host("openai-responses", False, **FILES), False),
        (host("gemini", None), True),
        (host("gemini", False), False),
        (host("ollama", True), False),
        (host("zed", None), True),
        (host("rehearsal", None), True),
    ],
)
def test_who_takes_a_document_is_said_by_wire_row_and_model(provider: Provider, takes: bool) -> None:
    """Where nothing is known of the model, its wire and its host decide."""
    assert takes_documents(provider, "m") is takes


@pytest.mark.parametrize(
    ("id", "model", "takes"),
    [
        ("anthropic", "claude-sonnet-5", True),
        ("open_router", "whatever", True),
        ("deepseek", "deepseek-v4-pro", False),
        ("zai", "glm-5.2", False),
        ("minimax", "MiniMax-M3", False),
        ("fireworks", "whatever", False),
        ("ollama", "qwen3", False),
        ("vllm", "whatever", False),
        ("llamacpp", "whatever", False),
        ("lmstudio", "whatever", False),
        ("openai", "gpt-5.3-codex", True),
        ("openai", "gpt-5-mini", False),
        ("groq", "openai/gpt-oss-120b", False),
        ("azure", "my-deployment", True),
    ],
)
def test_the_catalogues_hosts_are_told_apart(id: str, model: str, takes: bool) -> None:
    """On the wire that each is asked on."""
    assert takes_documents(ROWS[id], model) is takes


def test_a_file_is_known_by_what_is_in_it() -> None:
    """The same document under another title is the same; another kind of it is not."""
    first, second = paper_of(PDF), paper_of({**PDF, "title": "other"})
    assert first == second
    assert isinstance(first, Paper)
    assert (first.is_pdf, first.content()) == (True, pdf("hello"))
    assert "JVBER" not in repr(first), "what people send stays out of logs"
    other = paper_of(document(pdf("hello"), "text/plain"))
    assert other is not None
    assert (other == first, other.digest() == first.digest()) == (False, False)
    assert first.digest() == Paper("application/pdf", first.data).digest()


@pytest.mark.parametrize(
    "block",
    [
        None,
        "x",
        {"type": "text"},
        {"type": "document"},
        {"type": "document", "source": None},
        {"type": "document", "source": {"type": "text", "data": "x"}},
        {"type": "document", "source": {"type": "url", "url": "https://x"}},
        {"type": "document", "source": {"type": "base64", "data": 7}},
        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
    ],
)
def test_what_is_no_file_is_none(block: Any) -> None:
    """Texts, addresses, pictures, and whatever else stands there."""
    assert paper_of(block) is None


@pytest.mark.parametrize(
    ("media_type", "text"),
    [("text/plain", "grüße"), ("text/markdown; charset=utf-8", "# a"), ("application/json", "{}")],
)
def test_a_text_that_came_as_a_file_is_a_text(media_type: str, text: str) -> None:
    """Nothing is needed to read it; what is no UTF-8 is read as far as it is."""
    paper = paper_of(document(text.encode(), media_type))
    assert paper is not None
    assert plain_text(paper) == text
    broken = paper_of(document(b"a\xff", "text/csv"))
    assert broken is not None
    assert plain_text(broken) == "a\ufffd"


def test_nothing_else_is_a_text() -> None:
    """A PDF, an office's file, and what is no base64."""
    for block in (PDF, document(b"PK", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")):
        paper = paper_of(block)
        assert paper is not None
        assert plain_text(paper) is None
    assert plain_text(Paper("text/plain", "ä")) is None


def conversation() -> dict[str, Any]:
    """A document from the user, one out of a tool, one that is a text already, and one elsewhere."""
    result = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [{"type": "text", "text": "read"}, document(b"two")],
    }
    elsewhere = {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}}
    told = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}}
    return body(
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": "see"}, {**PDF, "cache_control": {"type": "ephemeral"}}],
            },
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]},
            {"role": "user", "content": [result, elsewhere, told]},
            {"role": "user", "content": "go on"},
        ]
    )


def test_files_are_found_wherever_they_stand() -> None:
    """In a message and in what a tool gave."""
    assert [paper.data for paper in papers_in(conversation())] == [
        PDF["source"]["data"],
        base64.b64encode(b"two").decode(),
    ]


def test_a_file_becomes_a_document_of_text() -> None:
    """Its title and what is said about it stay; everything else is the very same object."""
    asked = conversation()
    before = deepcopy(asked)
    first, second = papers_in(asked)
    made = with_texts(asked, {first: "HELLO", second: "TWO"}, in_words=False)
    assert asked == before
    assert made["messages"][0]["content"][1] == {
        "type": "document",
        "title": "report.pdf",
        "context": "read this",
        "cache_control": {"type": "ephemeral"},
        "source": {"type": "text", "media_type": "text/plain", "data": "HELLO"},
    }
    assert made["messages"][2]["content"][0]["content"][1]["source"]["data"] == "TWO"
    assert made["messages"][1] is asked["messages"][1]
    assert made["messages"][2]["content"][1] is asked["messages"][2]["content"][1]


def test_for_a_host_that_knows_no_documents_all_of_them_are_words() -> None:
    """Those that were texts or addresses from the beginning too; a mark for the cache stays where it was."""
    asked = conversation()
    first, _ = papers_in(asked)
    made = with_texts(asked, {first: "HELLO"}, in_words=True)
    assert b'"document"' not in orjson.dumps(made)
    assert made["messages"][0]["content"][1] == {
        "type": "text",
        "text": "[document 'report.pdf']\nHELLO\nread this",
        "cache_control": {"type": "ephemeral"},
    }
    result, elsewhere, told = made["messages"][2]["content"]
    assert result["content"][1]["text"] == "[a document stood here; this host cannot read it]"
    assert elsewhere["text"] == "[a document stood here, at https://x.example/a.pdf]"
    assert told["text"] == "[document]\nplain"


_BLOCKS: Any = st.recursive(
    st.sampled_from([PDF, document(b"b"), {"type": "text", "text": "t"}, {"type": "document"}, "x", 7, None, {}]),
    lambda inner: st.builds(
        lambda content: {"type": "tool_result", "content": content}, st.lists(inner, max_size=3) | inner
    ),
    max_leaves=8,
)


@given(
    st.lists(
        st.builds(lambda c: {"role": "user", "content": c}, st.lists(_BLOCKS, max_size=4) | st.just("hi")), max_size=4
    )
)
def test_only_documents_are_touched(messages: list[Any]) -> None:
    """Whatever a conversation is made of: with no text for anything it is the same, with texts no file is left to be read."""
    asked = {"messages": messages}
    before = deepcopy(asked)
    found = papers_in(asked)
    assert with_texts(asked, {}, in_words=False)["messages"] is messages
    made = with_texts(asked, dict.fromkeys(found, "text"), in_words=False)
    assert papers_in(made) == []
    assert asked == before


def test_a_need_for_documents_is_seen_where_the_files_are() -> None:
    """The routing's word for it and the finding of files agree, so that no file is missed."""
    assert need_of(conversation(), orjson.dumps(conversation())).documents
