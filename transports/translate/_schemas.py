"""Tool schemas cut to what a host accepts.

A host that meets a keyword it does not know refuses the whole request, so one exotic tool costs every turn. What each
kind of host rejects is a profile here. What a rewrite loses in strictness it keeps in words: a lost constraint goes into
the description, where the model still reads it. Only schemas are rewritten, never arguments: `title` and `format` are
ordinary names in those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from types import MappingProxyType

from engine import JSON
from engine.config import SchemaProfile
from transports.translate._aliases import renamed
from transports.translate._flat import merged
from transports.translate._openapi import openapi
from transports.translate._plain_schema import plain_schema
from transports.translate._subschemas import LISTS, MAPS, SINGLE, referred, walked

#: What no host takes at the root of a tool's parameters, which are an object and nothing else.
_NOT_AT_THE_ROOT = frozenset(["$ref", "allOf", "anyOf", "oneOf", "enum", "const", "not", "if", "then", "else"])
#: Parts of unions at the root that are looked at; nobody writes more, and unions of references to themselves multiply.
_MAX_PARTS = 64


def fitted(schema: JSON, profile: SchemaProfile) -> JSON | None:
    """A tool's schema as this kind of host takes it, its root an object; None where the tool goes out without one."""
    return _PROFILES[profile](_rooted(schema))


def _rooted(schema: JSON, root: JSON | None = None, parts_left: Iterator[None] | None = None) -> JSON:
    """The schema with an object for its root: what unions and references say of it there is said by itself.

    What every part of a union requires is required; what one of them has, there may be.
    """
    root = schema if root is None else root
    parts_left = repeat(None, _MAX_PARTS) if parts_left is None else parts_left
    out = {k: v for k, v in schema.items() if k not in _NOT_AT_THE_ROOT}
    out |= {"type": "object", "properties": out["properties"] if isinstance(out.get("properties"), dict) else {}}
    if _NOT_AT_THE_ROOT.isdisjoint(schema):
        return out
    for found, _ in zip([referred(root, schema.get("$ref"))], parts_left, strict=False):
        out = merged(out, _rooted(found, root, parts_left)) if found is not None else out
    for name in ("allOf", "anyOf", "oneOf"):
        parts = schema.get(name)
        parts = parts if isinstance(parts, list) else []
        objects = (part for part in parts if isinstance(part, dict))
        some = [_rooted(part, root, parts_left) for part, _ in zip(objects, parts_left, strict=False)]
        if some and name != "allOf":
            always = [key for key in _required(some[0]) if all(key in _required(part) for part in some)]
            some = [{k: v for k, v in part.items() if k != "required"} for part in some]
            out = merged(out, {"required": always}) if always else out
        for part in some:
            out = merged(out, part)
    return out


def _required(schema: JSON) -> list[str]:
    given = schema.get("required")
    return [name for name in given if isinstance(name, str)] if isinstance(given, list) else []


def _as_is(schema: JSON) -> JSON:
    return schema


# xAI: no `additionalProperties: false`, and every object says what it requires.


def _xai(schema: JSON) -> JSON:
    def change(one: JSON) -> JSON:
        if one.get("additionalProperties") is False:
            del one["additionalProperties"]
        kinds = one.get("type")
        if kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
            one["required"] = _required(one)
        return one

    return _object(walked(schema, change))


# Moonshot: no `$schema`, `type` goes into the branches of `anyOf`, tuples are `prefixItems`.


def _mfjs(schema: JSON) -> JSON:
    def change(one: JSON) -> JSON:
        one.pop("$schema", None)
        if isinstance(one.get("items"), list):
            one["prefixItems"] = one.pop("items")
        if isinstance(one.get("anyOf"), list) and "type" in one:
            kind = one.pop("type")
            one["anyOf"] = [{"type": kind, **branch} if isinstance(branch, dict) else branch for branch in one["anyOf"]]
        return one

    return _object(walked(schema, change))


# NVIDIA NIM: no boolean schemas, and no parameter that is called `type`.


def _nim(schema: JSON) -> JSON:
    def change(one: JSON) -> JSON:
        for name in (*SINGLE, *MAPS):
            if isinstance(one.get(name), bool):
                del one[name]
        for name in MAPS:
            if isinstance(one.get(name), dict):
                one[name] = {k: {} if isinstance(v, bool) else v for k, v in one[name].items()}
        for name in LISTS:
            if isinstance(one.get(name), list):
                some = [v for v in one[name] if not isinstance(v, bool)]
                # One part that is always true makes a union say nothing.
                if some and not (name in ("anyOf", "oneOf") and True in one[name]):
                    one[name] = some
                else:
                    del one[name]
        return renamed(one)

    return _object(walked(schema, change))


def _object(schema: JSON) -> JSON:
    return {"type": "object", "properties": {}, **schema}


_PROFILES: Mapping[SchemaProfile, Callable[[JSON], JSON | None]] = MappingProxyType(
    {"": _as_is, "gemini": openapi, "mfjs": _mfjs, "nim": _nim, "ollama": plain_schema, "xai": _xai}
)
