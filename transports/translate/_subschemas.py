"""Where a JSON schema has schemas in it.

A rewrite that looks into `properties` and `items` alone misses the parameter in a union, the definition that three tools
share, the tuple. Which keywords hold schemas is a table here, and everybody who goes through a schema goes by it, so that
what is renamed on the way out is found again on the way back. A schema comes from the client, so nothing in it is taken
to be what it should be: a keyword of the wrong sort is no schema, and a reference to nowhere is none either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine import JSON

#: Schemas nested deeper are cut off.
MAX_DEPTH = 32
#: Keywords that hold a list of schemas, schemas by name, and one schema. `items` may be a list too: a tuple, of old.
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
MAPS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
SINGLE = (
    "items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems",
    "unevaluatedProperties", "additionalItems",
)  # fmt: skip


def walked(schema: Any, change: Callable[[JSON], JSON], depth: int = 0) -> Any:
    """A copy of a schema in which every schema has been changed, the inner ones first."""
    if not isinstance(schema, dict):
        return schema
    if depth > MAX_DEPTH:
        return {}
    out = dict(schema)
    for name in MAPS:
        if isinstance(out.get(name), dict):
            out[name] = {k: walked(v, change, depth + 1) for k, v in out[name].items()}
    for name in LISTS:
        if isinstance(out.get(name), list):
            out[name] = [walked(v, change, depth + 1) for v in out[name]]
    for name in SINGLE:
        if isinstance(out.get(name), dict):
            out[name] = walked(out[name], change, depth + 1)
    return change(out)


def within(schema: Any, depth: int = 0) -> Iterator[JSON]:
    """A schema and every schema in it: those that `walked` would change."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return
    yield schema
    inner = [one for name in MAPS if isinstance(schema.get(name), dict) for one in schema[name].values()]
    inner += [one for name in LISTS if isinstance(schema.get(name), list) for one in schema[name]]
    inner += [schema.get(name) for name in SINGLE]
    for one in inner:
        yield from within(one, depth + 1)


def referred(root: JSON, reference: Any) -> JSON | None:
    """The schema in `root` that a `$ref` points to; None for one that points elsewhere or nowhere."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = root
    for part in reference[1:].split("/")[1:]:
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None
