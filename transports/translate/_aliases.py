"""A parameter that may not be called by its name.

NVIDIA's templates break on a parameter called `type`, so it goes out as `type_`. Put back by name alone, every `type_` in
the arguments would be renamed, those among a tool's own included; put back along `properties` alone, what a union or a
definition renamed comes back wrong and the tool refuses it. So the arguments are gone through side by side with all the
schemas that speak of them, and a name is changed where one of these changed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine import JSON
from transports.translate._subschemas import referred, within

RESERVED, ALIAS = "type", "type_"
#: Arguments nested deeper are left as they are: deeper is no tool call.
_MAX_DEPTH = 100
#: Schemas that may speak of one value.
_MAX_VIEWS = 64
_UNIONS = ("anyOf", "oneOf", "allOf")
_CONDITIONS = ("if", "then", "else")


def has_alias(schema: Any) -> bool:
    """Whether somewhere in a schema a parameter has to be renamed."""
    return any(renames(one.get("properties")) for one in within(schema))


def renames(properties: Any) -> bool:
    """Whether these properties have the name that may not be, and room for the other."""
    return isinstance(properties, dict) and RESERVED in properties and ALIAS not in properties


def renamed(schema: JSON) -> JSON:
    """One schema with its parameter under the host's name."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not renames(properties):
        return schema
    out = {**schema, "properties": {ALIAS if k == RESERVED else k: v for k, v in properties.items()}}
    if isinstance(required, list):
        out["required"] = [ALIAS if k == RESERVED else k for k in required]
    return out


def restored(value: Any, schema: JSON, *, back: bool = True) -> Any:
    """Arguments under the tool's own parameter names (`back`), or under the host's."""
    return _Names(schema, *((ALIAS, RESERVED) if back else (RESERVED, ALIAS))).of(value, [schema], 0)


class _Names:
    """The change of one name into the other, along one tool's schema."""

    def __init__(self, root: JSON, old: str, new: str) -> None:
        self._root, self._old, self._new = root, old, new

    def of(self, value: Any, schemas: list[Any], depth: int) -> Any:
        if depth > _MAX_DEPTH or not isinstance(value, dict | list):
            return value
        views = list(self._views(schemas))
        if isinstance(value, list):
            inner = [one for view in views for one in _items(view)]
            return [self.of(item, inner, depth + 1) for item in value]
        properties = [view["properties"] for view in views if isinstance(view.get("properties"), dict)]
        rename = any(map(renames, properties)) and self._new not in value
        out: JSON = {}
        for key, item in value.items():
            changes = rename and key == self._old
            own = RESERVED if changes else key
            out[self._new if changes else key] = self.of(item, list(_of_key(views, own)), depth + 1)
        return out

    def _views(self, schemas: Iterable[Any]) -> Iterator[JSON]:
        """The schemas that speak of one value: these, what they refer to, and the parts of their unions."""
        pending, seen = list(schemas), set[int]()
        while pending and len(seen) < _MAX_VIEWS:
            one = pending.pop()
            if not isinstance(one, dict) or id(one) in seen:
                continue
            seen.add(id(one))
            yield one
            pending.append(referred(self._root, one.get("$ref")))
            pending += [part for name in _UNIONS if isinstance(one.get(name), list) for part in one[name]]
            pending += [one.get(name) for name in _CONDITIONS]


def _items(view: JSON) -> Iterator[Any]:
    for name in ("items", "prefixItems"):
        found = view.get(name)
        yield from found if isinstance(found, list) else [found]


def _of_key(views: list[JSON], key: str) -> Iterator[Any]:
    """The schemas of one of an object's values."""
    for view in views:
        properties, patterns = view.get("properties"), view.get("patternProperties")
        if isinstance(properties, dict) and key in properties:
            yield properties[key]
            continue
        yield from patterns.values() if isinstance(patterns, dict) else ()
        yield view.get("additionalProperties")
