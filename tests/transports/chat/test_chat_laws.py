"""Laws of the chat encoder, for whatever a client may send and for every accent of the catalogue.

A host refuses a request whole, so one body in a thousand that breaks a rule ends a conversation, and an example that
breaks it is never the one that was thought of. A generator writes conversations of every sort; for all of them and every
host the body is one that a strict host takes, nothing that was said is lost, and nothing is raised.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Learned
from engine.config import Accent, Model, Thinking
from policies import Capabilities
from tests.transports.asks import body
from tests.transports.chat.histories import Told, histories, schemas, tools, wishes
from tests.transports.chat.hosts import HOSTS, SPOKEN, Body, Host, read, said, sent
from tests.transports.chat.rules import faults
from transports._dialect import TooDeep
from transports.chat import openai_chat
from transports.chat._encoder import OPTIONAL
from transports.translate._schemas import fitted

LAW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def texts(sent: Body) -> str:
    """All that a body says in words, in order."""
    found = []
    for message in sent["messages"]:
        content = message["content"] or ""
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        found += [part["text"] for part in parts if part["type"] == "text"]
        found += [call["function"]["arguments"] for call in message.get("tool_calls", ())]
    return "\n".join(found)


def check_nothing_is_lost(told: Told, sent: Body) -> None:
    """Each text once and whole, those of user and assistant in the order in which they were said."""
    whole = texts(sent)
    places = []
    for text in (*told.said, *told.shown):
        text = text.replace("\0", "\ufffd").rstrip()
        assert whole.count(text) == 1, text
        places.append(whole.index(text))
    said = places[: len(told.said)]
    assert said == sorted(said)


@settings(LAW, max_examples=40)
@given(histories(), wishes())
def test_every_host_is_sent_what_a_strict_one_takes(told: Told, wish: Body) -> None:
    """And all that was said, in order; the request itself stays as it was."""
    fields = body(messages=told.messages, **wish)
    before = orjson.dumps(fields)
    for host in SPOKEN:
        asked = host.ask(fields, session="s")
        sent = read(asked)
        assert faults(sent, host.accent) == [], host
        check_nothing_is_lost(told, sent)
        assert orjson.dumps(asked.request.body) == before


@LAW
@given(histories(), wishes(), st.sampled_from(HOSTS), st.data())
def test_what_a_host_was_found_to_refuse_is_not_sent_again(
    told: Told, wish: Body, host: Host, data: st.DataObject
) -> None:
    """Any of the fields it can be without, any number of them, at the top, in messages and in calls. The rest still holds."""
    without = data.draw(st.frozensets(st.sampled_from(sorted([*OPTIONAL, "developer"])), max_size=6))
    asked = host.ask(body(messages=told.messages, **wish), learned=Learned(without=without), session="s")
    turn = openai_chat(asked)
    sent = orjson.loads(turn.body)
    calls = [call for message in sent["messages"] for call in message.get("tool_calls", ())]
    there = {name for one in (sent, *sent["messages"], *calls) for name in one}
    assert not there & without
    assert turn.optional == (there & OPTIONAL) | {m["role"] for m in sent["messages"] if m["role"] == "developer"}
    accent = host.accent
    if "extra_content" in without:
        accent = attrs.evolve(accent, thought_signatures=False)
    assert faults(sent, accent) == []
    check_nothing_is_lost(told, sent)


@LAW
@given(histories(), wishes(), st.sampled_from(HOSTS), st.data())
def test_whatever_is_known_of_a_model(told: Told, wish: Body, host: Host, data: st.DataObject) -> None:
    """Also what no row of the catalogue says: a body that holds, and the same one every time."""
    flags = st.sampled_from([None, True, False])
    can = Capabilities(
        images=data.draw(flags), documents=data.draw(flags), context=data.draw(st.sampled_from([None, 9000]))
    )
    thinking = data.draw(
        st.none()
        | st.builds(
            Thinking,
            always=st.booleans(),
            toggle=st.booleans(),
            budget=st.booleans(),
            efforts=st.sampled_from([(), ("none",), ("low", "max"), ("none", "high"), ("none", "default")]),
            replay=st.booleans(),
        )
    )
    known = Model(id=host.model, capabilities=can, thinking=thinking, temperature=data.draw(st.booleans()))
    fields = body(messages=told.messages, **wish)
    twin = data.draw(st.sampled_from([None, False]))
    asked = host.ask(fields, model_row=known, thinking=twin)
    sent = read(asked)
    assert faults(sent, host.accent) == []
    assert openai_chat(asked).body == openai_chat(host.ask(deepcopy(fields), model_row=known, thinking=twin)).body


@LAW
@given(st.lists(tools(), min_size=1, max_size=3), st.sampled_from(["", "gemini", "mfjs", "nim", "xai"]))
def test_tools_of_any_shape_are_sent(offered: list[list[Any]], profile: Any) -> None:
    """Their schemas are the client's, so anything may be in them."""
    accent = Accent(schema=profile)
    fields = body(tools=[tool for some in offered for tool in some])
    before = orjson.dumps(fields)
    assert faults(sent(fields, accent=accent), accent) == []
    assert orjson.dumps(fields) == before


@settings(LAW, max_examples=200)
@given(schemas())
def test_gemini_is_told_nothing_by_reference(schema: Any) -> None:
    """Nor by any keyword that it does not know, and every type is one."""
    fit = fitted(schema if isinstance(schema, dict) else {"properties": {"a": schema}}, "gemini")
    for one in _schemas_in(fit or {}):
        assert one.keys() <= {
            "type", "format", "description", "nullable", "enum", "items", "properties", "required", "anyOf", "minItems",
            "maxItems", "minimum", "maximum", "minLength", "maxLength", "pattern",
        }  # fmt: skip
        assert isinstance(one.get("type", ""), str)
        assert all(isinstance(value, str) for value in one.get("enum", ()))
        assert "enum" not in one or one["type"] == "string"
        assert one.get("type") != "array" or "items" in one
        assert set(one.get("required", ())) <= set(one.get("properties", ()))
        assert "anyOf" not in one or one.keys() <= {"anyOf", "description", "nullable"}
        assert one.get("properties", {1: 1})


def _schemas_in(schema: Body) -> list[Body]:
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    inner += [schema["items"]] if "items" in schema else []
    return [schema, *(found for one in inner for found in _schemas_in(one))]


def _nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    return opening * depth + b'"x"' + closing * depth


_TABLE, _LIST, _ITEMS = (b'{"a":', b"}"), (b"[", b"]"), (b'{"items":', b"}")
_PAPER = (b'[{"type":"document","source":{"type":"content","content":', b"}}]")
_FORM = {"type": "object", "additionalProperties": False, "required": ["a"], "properties": {"a": "?"}}
#: What stands at `?` is nested deeply.
DEEP: dict[str, tuple[tuple[bytes, bytes], Body]] = {
    "input": (_TABLE, said(({"type": "tool_use", "id": "t", "name": "n", "input": "?"},))),
    "id": (_LIST, said(({"type": "tool_use", "id": "?", "name": "?", "input": {}},))),
    "result": (_LIST, said([{"type": "tool_result", "tool_use_id": "?", "content": {"type": "later", "data": "?"}}])),
    "unknown": (_TABLE, said([{"type": "later", "data": "?"}])),
    "list": (_LIST, said([{"type": "later", "data": "?"}])),
    "type": (_LIST, said([{"type": "?", "text": "x"}])),
    "document": (_PAPER, said([{"type": "document", "source": {"type": "content", "content": "?"}}])),
    "media": (_LIST, said([{"type": "image", "source": {"type": "base64", "data": "A", "media_type": "?"}}])),
    "choice": (_LIST, body(tools=[{"name": "n", "input_schema": {}}], tool_choice={"type": "tool", "name": "?"})),
    "tool": (_ITEMS, body(tools=[{"name": "n", "input_schema": {"properties": {"type": "?"}}}])),
    "required": (
        _LIST,
        body(tools=[{"name": "n", "input_schema": {"required": "?", "$ref": "?", "enum": ["?"], "type": "?"}}]),
    ),
    "format": (
        _TABLE,
        body(output_config={"format": {"type": "json_schema", "schema": {"a": "?", "required": ["?"]}}}),
    ),
    "form": (_ITEMS, body(output_config={"format": {"type": "json_schema", "schema": _FORM}})),
    "thinking": (_LIST, body(thinking={"type": "enabled", "budget_tokens": "?"}, system="?", temperature="?")),
}
SOME = [HOSTS[0], *(Host(id, "x") for id in ("gemini", "nvidia_nim", "xai", "kimi", "deepseek", "minimax"))]


@pytest.mark.parametrize("place", DEEP)
@pytest.mark.parametrize("depth", [30, 300, 900])
def test_what_is_too_deep_says_so(place: str, depth: int) -> None:
    """It can be read, to 1024 levels, and not always written: TooDeep, and nothing else, from whatever looks into it."""
    (opening, closing), fields = DEEP[place]
    depth //= opening.count(b"{") + opening.count(b"[")
    raw = orjson.dumps(fields).replace(b'"?"', _nested(opening, closing, depth))
    for host in SOME:
        try:
            assert faults(read(host.ask(fields, raw=raw)), host.accent) == []
        except TooDeep:
            assert depth > 30


def test_a_shared_schema_is_not_written_out_for_ever() -> None:
    """Twenty definitions that each speak of all others: written out they would be 20! schemas."""
    every = {
        f"D{n}": {"type": "object", "properties": {f"p{m}": {"$ref": f"#/$defs/D{m}"} for m in range(20)}}
        for n in range(20)
    }
    fit = fitted({"type": "object", "properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": every}, "gemini")
    assert fit is not None
    assert len(orjson.dumps(fit)) < 2_000_000
