"""A tool's schema in the words of OpenAPI, as Gemini takes it: nothing by reference, one type, enums of strings.

Cutting a schema down to the eighteen keywords that are taken drops what the model had to know. So references are written out
(`_flat`), and what OpenAPI has no keyword for goes into the description, where the model still reads it.

An enum of numbers is such a thing: OpenAPI has enums of strings alone, and a number that is asked for as a string comes
back as a string, which the tool then refuses. It stays a number, and its values are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine import JSON
from transports.translate._flat import Flattening, items_in, list_of, words_of
from transports.translate._subschemas import MAX_DEPTH

_TYPES = frozenset(["string", "number", "integer", "boolean", "object", "array"])
#: The keywords that stay as they are, by what they must hold.
_KEPT: Mapping[str, type | tuple[type, ...]] = {
    "description": str, "nullable": bool, "pattern": str, "format": str, "minItems": int, "maxItems": int,
    "minLength": int, "maxLength": int, "minimum": (int, float), "maximum": (int, float),
}  # fmt: skip
_FORMATS = {
    "string": frozenset(["enum", "date-time"]),
    "number": frozenset(["float", "double"]),
    "integer": frozenset(["int32", "int64"]),
}
#: Constraints that are told in words where they cannot be told otherwise.
_TOLD = (
    "const", "enum", "default", "examples", "format", "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "uniqueItems",
    "minProperties", "maxProperties", "additionalProperties", "patternProperties", "propertyNames", "not", "contains",
)  # fmt: skip
#: Of a value that may be of several types, the keywords that go with each.
_OF_TYPE = {
    "string": ("enum", "pattern", "minLength", "maxLength", "format"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
    "array": ("items", "minItems", "maxItems"),
    "object": ("properties", "required"),
}


def openapi(schema: JSON) -> JSON | None:
    """The schema, its root an object; None for an object of nothing, which Gemini refuses."""
    out = _Writer(schema).written(schema, (), 0)
    return {**out, "type": "object"} if out.get("properties") else None


class _Writer(Flattening):
    def written(self, schema: Any, seen: tuple[str, ...], depth: int) -> JSON:
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return {}
        self.parts += 1
        one, seen = self.flat(schema, seen, depth)
        out = {k: v for k, v in one.items() if k in _KEPT and _holds(v, _KEPT[k])}
        branches = one.get("anyOf") or one.get("oneOf")
        if isinstance(branches, list):
            out["anyOf"] = [self.written(branch, seen, depth + 1) for branch in branches]
        if isinstance(one.get("properties"), dict):
            out["properties"] = {k: self.written(v, seen, depth + 1) for k, v in one["properties"].items()}
        items = items_in(one)
        if items is not None:
            out["items"] = self.written(items, seen, depth + 1)
        return _finished(out, one)


def _finished(out: JSON, one: JSON) -> JSON:
    """One schema whose parts are done: its type, its enum, and what must be said in words."""
    told = {k: one[k] for k in _TOLD if k in one and one[k] is not False and one[k] is not True}
    _values(out, one, told)
    _kinds(out, one)
    _branches(out)
    kind = out.get("type")
    if out.get("format") in _FORMATS.get(str(kind), ()):
        told.pop("format", None)
    else:
        out.pop("format", None)
    if kind == "array":
        out.setdefault("items", {})
    names = out.get("properties")
    required = [
        n for n in list_of(one.get("required")) if isinstance(n, str) and isinstance(names, dict) and n in names
    ]
    if required:
        out["required"] = list(dict.fromkeys(required))
    if isinstance(names, dict) and not names:
        del out["properties"]
    if told:
        words = "; ".join(f"{k}: {words_of(v)}" for k, v in told.items())
        out["description"] = " ".join(filter(None, (out.get("description"), f"({words})")))
    return out


def _values(out: JSON, one: JSON, told: JSON) -> None:
    """`enum` and `const`: kept where they are strings, which is all that an enum of OpenAPI's can be."""
    values = list_of(one.get("enum")) or ([one["const"]] if "const" in one else [])
    if not values:
        return
    some = [value for value in values if value is not None]
    if len(some) < len(values):
        out["nullable"] = True
    if some and all(isinstance(value, str) and value for value in some):
        out |= {"enum": list(dict.fromkeys(some)), "type": "string"}
    if "enum" in out or not some:
        told.pop("enum", None)
        told.pop("const", None)


def _kinds(out: JSON, one: JSON) -> None:
    """`type`: one, where JSON Schema has several or none."""
    if "type" in out:
        return
    given = one.get("type")
    kinds = [kind for kind in (given if isinstance(given, list) else [given]) if isinstance(kind, str)]
    if "null" in kinds:
        out["nullable"] = True
    kinds = [kind for kind in dict.fromkeys(kinds) if kind in _TYPES]
    if len(kinds) > 1 and "anyOf" not in out:
        own = {kind: {k: out[k] for k in _OF_TYPE.get(kind, ()) if k in out} for kind in kinds}
        for name in {name for names in _OF_TYPE.values() for name in names}:
            out.pop(name, None)
        out["anyOf"] = [{"type": kind, **own[kind], **_items_of(kind, own[kind])} for kind in kinds]
    elif kinds:
        out["type"] = kinds[0]
    elif "properties" in out:
        out["type"] = "object"
    elif "items" in out:
        out["type"] = "array"


def _items_of(kind: str, own: JSON) -> JSON:
    return {"items": {}} if kind == "array" and "items" not in own else {}


def _branches(out: JSON) -> None:
    """`anyOf`: beside it stands nothing but what describes the whole. An object's own properties take in its branches'."""
    branches = out.get("anyOf")
    if not isinstance(branches, list):
        return
    # A branch that is null alone says that the whole may be.
    some = [branch for branch in branches if branch != {"nullable": True}]
    if len(some) < len(branches):
        out["nullable"] = True
    del out["anyOf"]
    if "properties" in out:
        for branch in some:
            out["properties"] = {**branch.get("properties", {}), **out["properties"]}
    elif len(some) == 1:
        for name, value in some[0].items():
            out.setdefault(name, value)
        _branches(out)
    elif some:
        kind = out.get("type", "")
        own = {k: out[k] for k in ("type", *_OF_TYPE.get(kind, ())) if k in out}
        own |= _items_of(kind, own)
        whole = {k: v for k, v in out.items() if k in ("description", "nullable")}
        out.clear()
        alike = [branch.get("type", kind) == kind and "anyOf" not in branch for branch in some]
        out |= {**whole, "anyOf": [{**own, **branch} if a else branch for a, branch in zip(alike, some, strict=True)]}


def _holds(value: Any, kind: type | tuple[type, ...]) -> bool:
    """Whether a keyword holds what it must. True is a number to Python, and to nobody else."""
    return isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
