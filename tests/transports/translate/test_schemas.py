"""Tool schemas, before and after, for each kind of host; and the parameter that may not be called `type`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Accent, SchemaProfile
from tests.transports.asks import body
from tests.transports.chat.hosts import said, sent
from transports.chat import Toolbox
from transports.translate._aliases import has_alias, restored
from transports.translate._schemas import fitted

Schema = dict[str, Any]
STRING: Schema = {"type": "string"}


def of(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties}


#: Profile, what stands behind a parameter `a` before, and after.
INNER: dict[str, tuple[SchemaProfile, Any, Any]] = {
    "nothing is done": ("", {"type": ["string", "null"], "$comment": "x", "anyOf": [True]}, {
        "type": ["string", "null"], "$comment": "x", "anyOf": [True]}),
    "xai: closed": ("xai", {**of(b=STRING), "additionalProperties": False}, {**of(b=STRING), "required": []}),
    "xai: open": ("xai", {"type": ["object", "null"], "additionalProperties": STRING}, {
        "type": ["object", "null"], "additionalProperties": STRING, "required": []}),
    "xai: required": ("xai", {**of(b=STRING), "required": ["b"]}, {**of(b=STRING), "required": ["b"]}),
    "xai: no object": ("xai", STRING, STRING),
    "mfjs: $schema": ("mfjs", {"$schema": "x", **STRING}, STRING),
    "mfjs: tuple": ("mfjs", {"type": "array", "items": [STRING, {}]}, {"type": "array", "prefixItems": [STRING, {}]}),
    "mfjs: type beside anyOf": ("mfjs", {"type": "string", "anyOf": [{"pattern": "x"}, {"type": "null"}]}, {
        "anyOf": [{"type": "string", "pattern": "x"}, {"type": "null"}]}),
    "nim: items": ("nim", {"type": "array", "items": True}, {"type": "array"}),
    "nim: closed": ("nim", {**of(b=True), "additionalProperties": False}, of(b={})),
    "nim: tuple": ("nim", {"type": "array", "items": [True, of(c=False)]}, {"type": "array", "items": [of(c={})]}),
    "nim: union with all": ("nim", {"anyOf": [True, STRING]}, {}),
    "nim: union with none": ("nim", {"anyOf": [False, STRING]}, {"anyOf": [STRING]}),
    "nim: all of nothing": ("nim", {"allOf": [True]}, {}),
    "nim: deep in a definition": ("nim", {"$defs": {"D": {"not": True}}}, {"$defs": {"D": {}}}),
    "nim: type": ("nim", {**of(type=STRING, b=STRING), "required": ["type"]}, {
        **of(type_=STRING, b=STRING), "required": ["type_"]}),
    "nim: both names": ("nim", of(type=STRING, type_=STRING), of(type=STRING, type_=STRING)),
    "gemini: keywords": ("gemini", {"type": "string", "$id": "x", "$comment": "y", "title": "T", "deprecated": True, "x-y": 1,
        "readOnly": True}, STRING),
    "gemini: null in type": ("gemini", {"type": ["string", "null"]}, {"type": "string", "nullable": True}),
    "gemini: several types": ("gemini", {"type": ["string", "array", "null"], "items": STRING, "minLength": 1}, {
        "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": STRING}], "nullable": True}),
    "gemini: null in anyOf": ("gemini", {"anyOf": [STRING, {"type": "null"}], "description": "d"}, {
        "type": "string", "nullable": True, "description": "d"}),
    "gemini: oneOf": ("gemini", {"oneOf": [STRING, {"type": "integer"}]}, {"anyOf": [STRING, {"type": "integer"}]}),
    "gemini: type beside anyOf": ("gemini", {"type": "string", "anyOf": [{"pattern": "x"}, {"pattern": "y"}]}, {
        "anyOf": [{"type": "string", "pattern": "x"}, {"type": "string", "pattern": "y"}]}),
    "gemini: items beside anyOf": ("gemini", {"items": STRING, "anyOf": [{"minItems": 1}, STRING]}, {
        "anyOf": [{"type": "array", "items": STRING, "minItems": 1}, STRING]}),
    "gemini: a union in a union": ("gemini", {"type": "string", "anyOf": [{"anyOf": [{"pattern": "x"}, {"pattern": "y"}]}]}, {
        "anyOf": [{"type": "string", "pattern": "x"}, {"type": "string", "pattern": "y"}]}),
    "gemini: nothing but null": ("gemini", {"anyOf": [{"type": "null"}]}, {"nullable": True}),
    "gemini: allOf": ("gemini", {"allOf": [{**of(b=STRING), "required": ["b"]}, of(c=STRING)]}, {
        **of(c=STRING, b=STRING), "required": ["b"]}),
    "gemini: const": ("gemini", {"const": "x"}, {"enum": ["x"], "type": "string"}),
    "gemini: const of a number": ("gemini", {"type": "integer", "const": 5}, {"type": "integer", "description": "(const: 5)"}),
    "gemini: enum": ("gemini", {"enum": ["a", "b", "a", None]}, {"enum": ["a", "b"], "type": "string", "nullable": True}),
    "gemini: enum of numbers": ("gemini", {"type": "integer", "enum": [1, 2], "description": "d"}, {
        "type": "integer", "description": "d (enum: [1,2])"}),
    "gemini: formats": ("gemini", of(b={"type": "string", "format": "date-time"}, c={"type": "string", "format": "uri"},
        d={"type": "integer", "format": "int32"}), of(b={"type": "string", "format": "date-time"},
        c={"type": "string", "description": '(format: "uri")'}, d={"type": "integer", "format": "int32"})),
    "gemini: words": ("gemini", {"type": "integer", "exclusiveMinimum": 0, "default": 3, "description": "d"}, {
        "type": "integer", "description": "d (default: 3; exclusiveMinimum: 0)"}),
    "gemini: a map": ("gemini", {"type": "object", "additionalProperties": {"type": "integer"}}, {
        "type": "object", "description": '(additionalProperties: {"type":"integer"})'}),
    "gemini: closed": ("gemini", {**of(b=STRING), "additionalProperties": False}, of(b=STRING)),
    "gemini: required": ("gemini", {**of(b=STRING), "required": ["b", "gone"]}, {**of(b=STRING), "required": ["b"]}),
    "gemini: required, of old": ("gemini", {**of(b={"type": "string", "required": True})}, of(b=STRING)),
    "gemini: nothing required": ("gemini", {**of(b=STRING), "required": ["gone"]}, of(b=STRING)),
    "gemini: an object of nothing": ("gemini", of(), {"type": "object"}),
    "gemini: an array of anything": ("gemini", {"type": "array"}, {"type": "array", "items": {}}),
    "gemini: a tuple": ("gemini", {"type": "array", "items": [STRING, {"type": "integer"}]}, {
        "type": "array", "items": {"anyOf": [STRING, {"type": "integer"}]}}),
    "gemini: no type": ("gemini", {"properties": {"b": {"items": STRING}}}, of(b={"type": "array", "items": STRING})),
    "gemini: a boolean": ("gemini", True, {}),
    "gemini: alternatives in what is required": ("gemini", {**of(b=STRING, c=STRING), "anyOf": [
        {"required": ["b"]}, {"required": ["c"]}]}, of(b=STRING, c=STRING)),
}  # fmt: skip


@pytest.mark.parametrize("name", INNER)
def test_a_parameter_fits_its_host(name: str) -> None:
    """Each rewrite alone."""
    profile, before, after = INNER[name]
    fit = fitted(of(a=before), profile)
    assert fit is not None
    assert fit["properties"] == {"a": after}
    assert fit["type"] == "object"


#: What stands at the root before, and after, for a host that takes anything else as it is.
ROOTS: dict[str, tuple[Schema, Schema]] = {
    "an object": ({**of(a=STRING), "$defs": {}}, {**of(a=STRING), "$defs": {}}),
    "nothing": ({}, of()),
    "no type": ({"properties": {"a": STRING}}, of(a=STRING)),
    "another type": ({"type": "string"}, of()),
    "types": ({"type": ["object", "null"], "properties": {"a": STRING}}, of(a=STRING)),
    "no properties": ({"type": "object", "properties": None}, of()),
    "a union": (
        {"type": "object", "anyOf": [{**of(a=STRING, b=STRING), "required": ["a", "b"]}, {**of(a={}), "required": ["a"]}]},
        {**of(a=STRING, b=STRING), "required": ["a"]}),
    "alternatives in what is required": (
        {**of(a=STRING, b=STRING), "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, of(a=STRING, b=STRING)),
    "all of some": (
        {"allOf": [{**of(a=STRING), "required": ["a"]}, of(b=STRING)]}, {**of(b=STRING, a=STRING), "required": ["a"]}),
    "a reference": ({"$ref": "#/$defs/D", "$defs": {"D": of(a=STRING)}}, {**of(a=STRING), "$defs": {"D": of(a=STRING)}}),
    "a reference to itself": ({"$ref": "#", "properties": {"a": STRING}}, of(a=STRING)),
    "conditions": ({**of(a=STRING), "if": {}, "then": {}, "not": {}, "enum": []}, of(a=STRING)),
}  # fmt: skip


@pytest.mark.parametrize("name", ROOTS)
def test_the_root_is_an_object_and_nothing_else(name: str) -> None:
    """No host takes a union there."""
    before, after = ROOTS[name]
    assert fitted(before, "") == after


def test_an_object_of_nothing_is_left_out_for_gemini() -> None:
    """It refuses it; a function without parameters it takes."""
    tools = [{"name": "Now", "input_schema": {"type": "object", "properties": {}}}]
    assert sent(body(tools=tools), accent=Accent(schema="gemini"))["tools"][0]["function"] == {"name": "Now"}


NODE = {"type": "object", "properties": {"name": STRING, "next": {"$ref": "#/$defs/Node"}}}


def test_a_schema_that_speaks_of_itself_ends() -> None:
    """Once written out, then named."""
    fit = fitted({**of(a={"$ref": "#/$defs/Node", "description": "the head"}), "$defs": {"Node": NODE}}, "gemini")
    again = {"type": "object", "description": "a Node"}
    assert fit == of(a={**of(name=STRING, next=again), "description": "the head"})


def test_a_definition_is_found_where_it_stands() -> None:
    """Under either name, with escapes, under another parameter; what is nowhere says nothing."""
    schema = {
        **of(a={"$ref": "#/definitions/A~1B"}, b={"$ref": "#/properties/c"}, c=STRING, d={"$ref": "#/nowhere"}),
        "definitions": {"A/B": {"type": "integer"}},
    }
    assert fitted(schema, "gemini") == of(a={"type": "integer"}, b=STRING, c=STRING, d={})


@pytest.mark.parametrize("profile", ["", "gemini", "mfjs", "nim", "xai"])
def test_a_schema_of_the_client_is_not_changed(profile: SchemaProfile) -> None:
    """Other attempts send it as well, and arguments are held against it."""
    schema = {**of(type=STRING, a={"type": "array", "items": [True]}), "required": ["type"], "$schema": "x"}
    before = repr(schema)
    fitted(schema, profile)
    assert repr(schema) == before


SHAPES: dict[str, tuple[Schema, Any, Any]] = {
    "at the root": (of(type=STRING, b=STRING), {"type": "x", "b": 1}, {"type_": "x", "b": 1}),
    "in an object": (of(a=of(type=STRING)), {"a": {"type": "x"}}, {"a": {"type_": "x"}}),
    "in a list": (of(a={"type": "array", "items": of(type=STRING)}), {"a": [{"type": "x"}]}, {"a": [{"type_": "x"}]}),
    "in a tuple": (of(a={"prefixItems": [of(type=STRING)]}), {"a": [{"type": "x"}]}, {"a": [{"type_": "x"}]}),
    "in a union": (of(a={"anyOf": [STRING, of(type=STRING)]}), {"a": {"type": "x"}}, {"a": {"type_": "x"}}),
    "by reference": (
        {**of(a={"$ref": "#/$defs/D"}), "$defs": {"D": of(type=STRING)}}, {"a": {"type": "x"}}, {"a": {"type_": "x"}}),
    "in itself": (
        {**of(a={"$ref": "#/$defs/D"}), "$defs": {"D": of(type=STRING, of={"$ref": "#/$defs/D"})}},
        {"a": {"type": "x", "of": {"type": "y", "of": {"type": "z"}}}},
        {"a": {"type_": "x", "of": {"type_": "y", "of": {"type_": "z"}}}}),
    "in a map": (of(a={"additionalProperties": of(type=STRING)}), {"a": {"k": {"type": "x"}}}, {"a": {"k": {"type_": "x"}}}),
    "under the name": (of(type=of(type=STRING)), {"type": {"type": "x"}}, {"type_": {"type_": "x"}}),
    "of a condition": (of(a={"then": of(type=STRING)}), {"a": {"type": "x"}}, {"a": {"type_": "x"}}),
    "the root in parts": ({"allOf": [of(type=STRING)]}, {"type": "x"}, {"type_": "x"}),
    "not where it is free": (of(a={"type": "object"}, b=of(type=STRING)), {"a": {"type": "x"}}, {"a": {"type": "x"}}),
    "not where both are": (of(a=of(type=STRING, type_=STRING)), {"a": {"type_": 1, "type": 2}}, {"a": {"type_": 1, "type": 2}}),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_reserved_parameter_goes_out_and_comes_back(name: str) -> None:
    """In the schema, in the calls of the history, and in the call that the host makes."""
    schema, ours, theirs = SHAPES[name]
    fields = said(
        "a",
        ({"type": "tool_use", "id": "t", "name": "T", "input": ours},),
        tools=[{"name": "T", "input_schema": schema}],
    )
    nim = Accent(schema="nim")
    out = sent(fields, accent=nim)
    assert Toolbox.of(fields, nim).arguments_out("T", ours) == theirs
    assert out["messages"][1]["tool_calls"][0]["function"]["arguments"] == sent(
        said("a", ({"type": "tool_use", "id": "t", "name": "T", "input": theirs},)),
    )["messages"][1]["tool_calls"][0]["function"]["arguments"]  # fmt: skip
    assert Toolbox.of(fields, nim).arguments_back("T", theirs) == ours
    assert Toolbox.of(fields, Accent()).arguments_back("T", theirs) == theirs


def _values() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.integers() | st.text(max_size=3)
    keys = st.sampled_from(["type", "a", "b"])
    return st.recursive(leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3), max_leaves=10)


def _shapes() -> st.SearchStrategy[Schema]:
    def bigger(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
        properties = st.dictionaries(st.sampled_from(["type", "a", "b"]), inner, max_size=3)
        return st.one_of(
            st.builds(lambda p: {"type": "object", "properties": p}, properties),
            st.builds(lambda i: {"type": "array", "items": i}, inner),
            st.builds(lambda some: {"anyOf": some}, st.lists(inner, max_size=2)),
            st.builds(lambda i: {"additionalProperties": i}, inner),
        )

    return st.recursive(st.sampled_from([STRING, {}, {"$ref": "#/properties/a"}]), bigger, max_leaves=8)


@settings(deadline=None, max_examples=150)
@given(_shapes(), st.dictionaries(st.sampled_from(["type", "a", "b"]), _values(), max_size=3))
def test_whatever_was_renamed_is_restored(schema: Schema, arguments: Schema) -> None:
    """Out and back is where it was, for any arguments and any schema; without an alias nothing changes."""
    out = restored(arguments, schema, back=False)
    assert restored(out, schema) == arguments
    assert has_alias(schema) or out == arguments
