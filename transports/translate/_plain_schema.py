"""Tool schemas for hosts that keep a few keywords and drop the rest without a word.

Ollama reads a schema into a structure of its own and writes that to the model: `type`, `items`, `enum`, `properties`,
`required`, `anyOf` and `description`. Sent as it is, a schema arrives without its references, its unions by another name
and its bounds, and nobody is told; a keyword of the wrong sort is refused. So references are written out, what has another
name there gets it, and what there is no keyword for is said in the description, where the model still reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine import JSON
from transports.translate._flat import Flattening, items_in, list_of, words_of
from transports.translate._subschemas import MAX_DEPTH

_TYPES = frozenset(["string", "number", "integer", "boolean", "object", "array", "null"])
#: Constraints that are told in words.
_TOLD = (
    "default", "examples", "format", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "additionalProperties",
    "patternProperties", "propertyNames", "dependentRequired", "contains", "not",
)  # fmt: skip


def plain_schema(schema: JSON) -> JSON:
    """The schema in these keywords alone, its root an object with properties."""
    out = _Writer(schema).written(schema, (), 0)
    return {**out, "type": "object", "properties": out.get("properties", {})}


class _Writer(Flattening):
    def written(self, schema: Any, seen: tuple[str, ...], depth: int) -> JSON:
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return {}
        self.parts += 1
        one, seen = self.flat(schema, seen, depth)
        out: JSON = {}
        if kinds := _kinds(one):
            out["type"] = kinds[0] if len(kinds) == 1 else kinds
        if values := list_of(one.get("enum")) or ([one["const"]] if "const" in one else []):
            out["enum"] = values
        if branches := list_of(one.get("anyOf")) or list_of(one.get("oneOf")):
            out["anyOf"] = [self.written(branch, seen, depth + 1) for branch in branches]
        properties = one.get("properties")
        if isinstance(properties, dict):
            out["properties"] = {name: self.written(inner, seen, depth + 1) for name, inner in properties.items()}
            required = [name for name in list_of(one.get("required")) if isinstance(name, str) and name in properties]
            if required:
                out["required"] = list(dict.fromkeys(required))
        items = items_in(one)
        if isinstance(items, dict):
            out["items"] = self.written(items, seen, depth + 1)
        if description := _described(one):
            out["description"] = description
        return out


def _kinds(one: JSON) -> list[str]:
    given = one.get("type")
    kinds = [kind for kind in (given if isinstance(given, list) else [given]) if isinstance(kind, str)]
    known = [kind for kind in dict.fromkeys(kinds) if kind in _TYPES]
    return known or (["object"] if isinstance(one.get("properties"), dict) else [])


def _described(one: Mapping[str, Any]) -> str:
    """The description, and behind it what is told in words."""
    said = one.get("description")
    # That something is so, or is not, is the usual; which, and how much, is what a model can go by.
    told = {
        name: one[name]
        for name in _TOLD
        if name in one and not isinstance(one[name], bool) and one[name] not in ({}, [])
    }
    words = "; ".join(f"{name}: {words_of(value)}" for name, value in told.items())
    return " ".join(filter(None, (said if isinstance(said, str) else "", f"({words})" if words else "")))
