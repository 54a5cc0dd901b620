"""A tool's schema without references and without `allOf`, for hosts that know neither.

Written out one reference at a time, a schema of ten definitions that speak of each other becomes millions of schemas. So
references are written out only as long as the whole stays within bounds; what is beyond them, or refers to itself, becomes an
object with the name of what should stand there.
"""

from __future__ import annotations

from typing import Any

import attrs
import orjson

from engine import JSON
from transports.translate._subschemas import MAX_DEPTH, referred

#: References are written out until a schema has so many parts.
MAX_PARTS = 400
#: What a lost constraint may take of a description, in characters.
MAX_WORDS = 300


@attrs.define
class Flattening:
    """The writing of one tool's schema, `root`. `parts` counts the schemas that have been written."""

    root: JSON
    parts: int = 0

    def flat(self, one: JSON, seen: tuple[str, ...], depth: int) -> tuple[JSON, tuple[str, ...]]:
        """One schema with what it refers to, and with the parts of its `allOf`, as one. `seen` are the references in it."""
        reference = one.get("$ref")
        if reference is not None:
            rest = {k: v for k, v in one.items() if k != "$ref"}
            found = referred(self.root, reference)
            if found is None:
                return rest, seen
            if reference in seen or self.parts > MAX_PARTS or depth > MAX_DEPTH:
                return {"type": "object", "description": f"a {reference.rpartition('/')[2]}", **rest}, seen
            return self.flat({**found, **rest}, (*seen, reference), depth + 1)
        parts = one.get("allOf")
        if isinstance(parts, list) and depth <= MAX_DEPTH:
            one = {k: v for k, v in one.items() if k != "allOf"}
            for part in parts:
                if isinstance(part, dict):
                    flat, seen = self.flat(part, seen, depth + 1)
                    one = merged(one, flat)
        return one, seen


def merged(one: JSON, other: JSON) -> JSON:
    """Two schemas that both hold, as one; where they differ, the first."""
    out = {**other, **one}
    if isinstance(one.get("properties"), dict) and isinstance(other.get("properties"), dict):
        out["properties"] = {**other["properties"], **one["properties"]}
    required = [name for schema in (other, one) for name in list_of(schema.get("required")) if isinstance(name, str)]
    if required:
        out["required"] = list(dict.fromkeys(required))
    return out


def items_in(one: JSON) -> Any:
    """The schema of a list's items, None where there is none. Of a tuple the kinds of items are alternatives."""
    items = one.get("prefixItems", one.get("items"))
    if isinstance(items, list):
        return {"anyOf": items} if len(items) > 1 else (items or [{}])[0]
    return items


def list_of(value: Any) -> list[Any]:
    """The value where it is a list, and nothing where a client has put something else there."""
    return value if isinstance(value, list) else []


def words_of(value: Any) -> str:
    """A constraint that is lost, for a description."""
    try:
        return orjson.dumps(value).decode()[:MAX_WORDS]
    except orjson.JSONEncodeError:  # nested deeper than is written
        return "…"
