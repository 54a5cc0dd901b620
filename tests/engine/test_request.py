"""A body as a request: what is wrong with it, said by field, and what routing must know of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._prompt import DOCUMENT_TOKENS, IMAGE_TOKENS
from engine._request import BadRequest, need_of, parse

GOOD: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
SECRET = "my secret prompt"


def body(**fields: Any) -> bytes:
    return orjson.dumps({**GOOD, **fields})


def without(field: str) -> bytes:
    return orjson.dumps({name: value for name, value in GOOD.items() if name != field})


BAD: list[tuple[bytes, str]] = [
    (b"[]", "the body must be a JSON object, got an empty list"),
    (b'"my secret prompt"', "the body must be a JSON object, got a string"),
    (b"7", "the body must be a JSON object, got 7"),
    (b"null", "the body must be a JSON object, got null"),
    (without("model"), "model: field required (a model name)"),
    (body(model=None), "model: expected a model name, got null"),
    (body(model=3), "model: expected a model name, got 3"),
    (body(model=""), "model: expected a model name, got an empty string"),
    (body(model=["m"]), "model: expected a model name, got a list"),
    (body(model="m" * 257), "model: expected at most 256 characters, got 257"),
    (without("messages"), "messages: field required (a list of at least one message)"),
    (body(messages=[]), "messages: expected a list of at least one message, got an empty list"),
    (body(messages=SECRET), "messages: expected a list of at least one message, got a string"),
    (body(messages={"a": SECRET}), "messages: expected a list of at least one message, got an object"),
    (body(messages=[SECRET]), "messages[0]: expected an object, got a string"),
    (body(messages=[*GOOD["messages"], None]), "messages[1]: expected an object, got null"),
    (body(messages=[{"content": SECRET}]), "messages[0].role: expected 'user', 'assistant' or 'system', got null"),
    (
        body(messages=[{"role": 1, "content": SECRET}]),
        "messages[0].role: expected 'user', 'assistant' or 'system', got 1",
    ),
    (body(messages=[{"role": "user"}]), "messages[0].content: expected a string or a list, got null"),
    (
        body(messages=[{"role": "user", "content": {"text": SECRET}}]),
        "messages[0].content: expected a string or a list, got an object",
    ),
    (
        body(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, SECRET]}]),
        "messages[0].content[1]: expected an object, got a string",
    ),
    (
        body(messages=[{"role": "user", "content": [{"type": "tool_result", "content": [SECRET]}]}]),
        "messages[0].content[0].content[0]: expected an object, got a string",
    ),
    (body(system=[SECRET]), "system[0]: expected an object, got a string"),
    (body(tools=[{}, SECRET]), "tools[1]: expected an object, got a string"),
    (without("max_tokens"), "max_tokens: field required (a whole number above 0)"),
    (body(max_tokens=0), "max_tokens: expected a whole number above 0, got 0"),
    (body(max_tokens=-1), "max_tokens: expected a whole number above 0, got -1"),
    (body(max_tokens=1.5), "max_tokens: expected a whole number above 0, got 1.5"),
    (body(max_tokens=True), "max_tokens: expected a whole number above 0, got true"),
    (body(max_tokens="5"), "max_tokens: expected a whole number above 0, got a string"),
    (body(stream=None), "stream: expected true or false, got null"),
    (body(stream=1), "stream: expected true or false, got 1"),
    (body(stream="true"), "stream: expected true or false, got a string"),
]


@pytest.mark.parametrize(("raw", "message"), BAD, ids=[message for _, message in BAD])
def test_a_bad_body_is_told_by_its_field(raw: bytes, message: str) -> None:
    """What was expected and what was found, and never what a prompt says."""
    with pytest.raises(BadRequest) as told:
        parse(raw)
    assert str(told.value) == message
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"", "line 1, column 1"),
        (b'{"model": ' + SECRET.encode(), "line 1, column 11"),
        (b'{"model":\n"' + SECRET.encode(), "line 2, column 1"),
        (b'{"a": "\xff\xfe"}', "line 1, column"),
    ],
)
def test_a_body_that_is_no_json_is_told_by_the_place(raw: bytes, place: str) -> None:
    """In the words of the parser, less what it may quote."""
    with pytest.raises(BadRequest, match=r"the body is not valid JSON: .* at line") as told:
        parse(raw)
    assert place in str(told.value)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stream": True},
        {"stream": False},
        {"messages": [{"role": "system", "content": []}]},
        {"messages": [{"role": "later_role", "content": [{"type": "later_block"}], "later": 1}]},
        {"system": "be brief", "tools": None, "thinking": 3, "later_field": [SECRET]},
        {"model": "a/b:c"},
    ],
)
def test_only_what_routing_stands_on_is_checked(fields: dict[str, Any]) -> None:
    """The rest is the provider's to judge, also fields of tomorrow."""
    raw = body(**fields)
    assert parse(raw) == orjson.loads(raw)


def test_counting_needs_less() -> None:
    """A body to be counted has no answer, so no limit on one."""
    raw = orjson.dumps({"model": "m", "messages": GOOD["messages"], "stream": "?"})
    assert parse(raw, counting=True)["model"] == "m"
    with pytest.raises(BadRequest, match="messages: field required"):
        parse(b'{"model":"m"}', counting=True)


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["model", "messages", "max_tokens", "stream", "role", "content", "type", "system", "tools"]),
        inner, max_size=5),
    max_leaves=15,
).map(orjson.dumps))  # fmt: skip
def test_any_bytes_are_a_request_or_a_bad_one(raw: bytes) -> None:
    """No other exception, nothing quoted; and what passes can be asked what it needs."""
    told = ""
    try:
        parsed = parse(raw)
        assert need_of(parsed, raw).input_tokens >= 1
    except BadRequest as error:
        told = str(error)
    assert SECRET not in told


class TestNeed:
    """What routing must know."""

    def need(self, **fields: Any) -> Any:
        raw = body(**fields)
        return need_of(parse(raw), raw)

    def test_a_plain_request_needs_nothing(self) -> None:
        """But room for its answer."""
        need = self.need()
        assert (need.max_tokens, need.stream) == (5, False)
        assert not any([need.tools, need.images, need.documents, need.thinking, need.forced_tool, need.structured])

    @pytest.mark.parametrize(
        ("fields", "what", "needed"),
        [
            ({"stream": True}, "stream", True),
            ({"tools": [{"name": "t"}]}, "tools", True),
            ({"tools": []}, "tools", False),
            ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking", True),
            ({"thinking": {"type": "adaptive"}}, "thinking", True),
            ({"thinking": {"type": "disabled"}}, "thinking", False),
            ({"thinking": "yes"}, "thinking", False),
            ({"tool_choice": {"type": "any"}}, "forced_tool", True),
            ({"tool_choice": {"type": "tool", "name": "t"}}, "forced_tool", True),
            ({"tool_choice": {"type": "auto"}}, "forced_tool", False),
            ({"output_config": {"format": {"type": "json_schema"}}}, "structured", True),
            ({"output_config": {"effort": "high"}}, "structured", False),
            ({"messages": [{"role": "user", "content": 'an "image" and a "document"'}]}, "images", False),
        ],
    )
    def test_each_need_has_its_sign(self, fields: dict[str, Any], what: str, needed: bool) -> None:
        """Fields of the body, and no guess."""
        assert getattr(self.need(**fields), what) is needed

    @pytest.mark.parametrize("kind", ["image", "document"])
    @pytest.mark.parametrize("nested", [False, True])
    def test_images_and_documents_are_found_wherever_they_are(self, kind: str, nested: bool) -> None:
        """A file that was read stands inside a tool's result."""
        block = {"type": kind, "source": {"type": "base64", "media_type": "image/png", "data": "A" * 40_000}}
        content = [{"type": "tool_result", "tool_use_id": "t", "content": [block]}] if nested else [block]
        need = self.need(messages=[{"role": "user", "content": content}])
        assert (need.images, need.documents) == (kind == "image", kind == "document")
        cost = IMAGE_TOKENS if kind == "image" else DOCUMENT_TOKENS
        assert cost < need.input_tokens < cost + 200

    def test_a_document_of_text_counts_for_what_it_says(self) -> None:
        """Its words are read like any others, unlike the bytes of a file."""
        words = "the quick brown fox " * 2000
        document = {"type": "document", "source": {"type": "text", "data": words}}
        told, said = (
            self.need(messages=[{"role": "user", "content": [document]}]),
            self.need(messages=[{"role": "user", "content": words}]),
        )
        assert (told.documents, said.documents) == (True, False)
        assert told.input_tokens == pytest.approx(said.input_tokens, rel=0.02)
