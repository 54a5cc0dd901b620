"""Tool schemas cut to what a host accepts.

A host that meets a keyword it does not know refuses the whole request, so one exotic tool costs every turn. What each
kind of host rejects is a profile here. What a rewrite loses in strictness it keeps in words: a lost constraint goes into
the description, where the model still reads it. Only schemas are rewritten, never arguments: `title` and `format` are
ordinary names in those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from engine import JSON
from engine.config import SchemaProfile

#: Schemas nested deeper are cut off: a reference to itself would otherwise be written out for ever.
MAX_DEPTH = 32
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_SINGLE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
#: The name that NVIDIA's templates cannot bear for a parameter, and what it is called there.
RESERVED, ALIAS = "type", "type_"


def fitted(schema: JSON, profile: SchemaProfile) -> JSON:
    """A tool's schema as this kind of host takes it, its root an object."""
    whole = schema if schema.get("type") == "object" else {"type": "object", "properties": {}, **schema}
    return _PROFILES[profile](whole)


def _as_is(schema: JSON) -> JSON:
    return {**schema, "properties": schema["properties"] if isinstance(schema.get("properties"), dict) else {}}


def _walked(schema: Any, change: Callable[[JSON], JSON], depth: int = 0) -> Any:
    """Every schema in a schema, the inner ones first."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return schema if not isinstance(schema, dict) else {}
    out = dict(schema)
    for name in _MAPS:
        if isinstance(out.get(name), dict):
            out[name] = {k: _walked(v, change, depth + 1) for k, v in out[name].items()}
    for name in _LISTS:
        if isinstance(out.get(name), list):
            out[name] = [_walked(v, change, depth + 1) for v in out[name]]
    for name in _SINGLE:
        if isinstance(out.get(name), dict):
            out[name] = _walked(out[name], change, depth + 1)
    return change(out)


# xAI: no `additionalProperties: false`, and every object says what it requires.


def _xai(schema: JSON) -> JSON:
    def change(one: JSON) -> JSON:
        if one.get("additionalProperties") is False:
            del one["additionalProperties"]
        return {**one, "required": one.get("required", [])} if one.get("type") == "object" else one

    return _as_is(_walked(schema, change))


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

    out = _walked(schema, change)
    return _as_is({"type": "object", **out})


# NVIDIA NIM: no boolean schemas, and no parameter that is called `type`.


def _nim(schema: JSON) -> JSON:
    def change(one: JSON) -> JSON:
        for name in (*_SINGLE, *_MAPS):
            if isinstance(one.get(name), bool):
                del one[name]
        for name in _MAPS:
            if isinstance(one.get(name), dict):
                one[name] = {k: {} if isinstance(v, bool) else v for k, v in one[name].items()}
        for name in _LISTS:
            if isinstance(one.get(name), list):
                one[name] = [v for v in one[name] if not isinstance(v, bool)]
                if not one[name]:
                    del one[name]
        properties = one.get("properties")
        if isinstance(properties, dict) and RESERVED in properties and ALIAS not in properties:
            one["properties"] = {ALIAS if k == RESERVED else k: v for k, v in properties.items()}
            if isinstance(one.get("required"), list):
                one["required"] = [ALIAS if k == RESERVED else k for k in one["required"]]
        return one

    return _as_is(_walked(schema, change))


def has_alias(schema: Any, depth: int = 0) -> bool:
    """Whether somewhere in a schema a parameter had to be renamed."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return False
    properties = schema.get("properties")
    inner = [*(properties or {}).values()] if isinstance(properties, dict) else []
    inner += [schema.get(name) for name in _SINGLE]
    inner += [one for name in _LISTS if isinstance(schema.get(name), list) for one in schema[name]]
    return _renames(properties) or any(has_alias(one, depth + 1) for one in inner)


def restored(value: Any, schema: Any, *, back: bool = True, depth: int = 0) -> Any:
    """Arguments under the tool's own parameter names (`back`), or under the host's."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return value
    if isinstance(value, list):
        return [restored(item, schema.get("items"), back=back, depth=depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    old, new = (ALIAS, RESERVED) if back else (RESERVED, ALIAS)
    rename = _renames(properties) and new not in value
    return {
        (new if rename and k == old else k): restored(
            v, properties.get(RESERVED if rename and k == old else k), back=back, depth=depth + 1
        )
        for k, v in value.items()
    }


def _renames(properties: Any) -> bool:
    return isinstance(properties, dict) and RESERVED in properties and ALIAS not in properties


# Gemini: a subset of OpenAPI's schemas, in which nothing is said by reference.

_GEMINI_KEPT = frozenset(
    [
        "type", "format", "description", "nullable", "enum", "items", "properties", "required", "anyOf",
        "minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength", "pattern",
    ]
)  # fmt: skip
_GEMINI_FORMATS = {
    "string": frozenset(["enum", "date-time"]),
    "number": frozenset(["float", "double"]),
    "integer": frozenset(["int32", "int64"]),
}
#: Constraints that are told in words where they cannot be told otherwise.
_TOLD = ("const", "default", "examples", "format", "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "uniqueItems")


def _gemini(schema: JSON) -> JSON:
    definitions = {**(schema.get("definitions") or {}), **(schema.get("$defs") or {})}

    def inlined(one: Any, seen: tuple[str, ...], depth: int) -> JSON:
        if not isinstance(one, dict) or depth > MAX_DEPTH:
            return {}
        reference = one.get("$ref")
        if isinstance(reference, str):
            name = reference.rpartition("/")[2]
            if name in seen or not isinstance(definitions.get(name), dict):
                return {"type": "object", "description": f"a {name} again"}
            rest = {k: v for k, v in one.items() if k != "$ref"}
            return inlined({**definitions[name], **rest}, (*seen, name), depth + 1)
        parts = one.get("allOf")
        for part in parts if isinstance(parts, list) else ():
            one = _merged({k: v for k, v in one.items() if k != "allOf"}, inlined(part, seen, depth + 1))
        out = {k: v for k, v in one.items() if k in _GEMINI_KEPT}
        branches = one.get("anyOf") or one.get("oneOf")
        if isinstance(branches, list):
            out["anyOf"] = [inlined(branch, seen, depth + 1) for branch in branches]
        if isinstance(one.get("properties"), dict):
            out["properties"] = {k: inlined(v, seen, depth + 1) for k, v in one["properties"].items()}
        items = one.get("items")
        if isinstance(items, list):  # a tuple: its kinds of items are alternatives
            items = {"anyOf": items} if len(items) > 1 else (items or [{}])[0]
        if items is not None:
            out["items"] = inlined(items, seen, depth + 1)
        return _openapi(out, one)

    out = inlined(schema, (), 0)
    out = {"type": "object", **out}
    if not out.get("properties"):
        return {"type": "object", "properties": {}}
    return out


def _openapi(out: JSON, one: JSON) -> JSON:
    """One schema whose parts are done: types, enums and what must be said in words."""
    kinds = out.get("type")
    if isinstance(kinds, list):
        kept = [kind for kind in kinds if kind != "null"]
        if len(kept) < len(kinds):
            out["nullable"] = True
        if len(kept) > 1 and "anyOf" not in out:
            del out["type"]
            out["anyOf"] = [{"type": kind, **({"items": {}} if kind == "array" else {})} for kind in kept]
        else:
            out["type"] = kept[0] if kept else "string"
    branches = out.get("anyOf")
    if isinstance(branches, list):
        some = [b for b in branches if b.get("type") != "null"]
        if len(some) < len(branches):
            out["nullable"] = True
        if len(some) == 1:
            del out["anyOf"]
            out = {**some[0], **out}
        else:
            out["anyOf"] = some
            out.pop("type", None)
    told = [f"{k}: {one[k]}" for k in _TOLD if k in one]
    if "const" in one and "enum" not in out:
        out["enum"] = [one["const"]]
    if isinstance(out.get("enum"), list):
        out["enum"] = list(dict.fromkeys(str(value) for value in out["enum"] if value is not None))
        out["type"] = "string"
        told = [text for text in told if not text.startswith("const")]
    kind = out.get("type")
    if out.get("format") in _GEMINI_FORMATS.get(str(kind), ()):
        told = [text for text in told if not text.startswith("format")]
    else:
        out.pop("format", None)
    if kind == "array" and "items" not in out:
        out["items"] = {}
    names = out.get("properties")
    if isinstance(out.get("required"), list):
        out["required"] = [name for name in out["required"] if isinstance(names, dict) and name in names]
        if not out["required"]:
            del out["required"]
    if told:
        out["description"] = " ".join(filter(None, (out.get("description"), f"({'; '.join(told)})")))
    return out


def _merged(one: JSON, other: JSON) -> JSON:
    out = {**other, **one}
    for name in ("properties",):
        if isinstance(one.get(name), dict) and isinstance(other.get(name), dict):
            out[name] = {**other[name], **one[name]}
    required = [*(other.get("required") or []), *(one.get("required") or [])]
    if required:
        out["required"] = list(dict.fromkeys(required))
    return out


_PROFILES: Mapping[SchemaProfile, Callable[[JSON], JSON]] = MappingProxyType(
    {"": _as_is, "gemini": _gemini, "mfjs": _mfjs, "nim": _nim, "xai": _xai}
)
