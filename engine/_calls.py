"""Whether a whole tool call is one that its client can run: counted for each answer.

Hosts of one and the same model differ in what an agent depends on most, and nothing in an answer says so: a bad call looks like
any other until the client refuses it. A validator of JSON Schema would tell exactly, and cost more than relaying the whole
answer, with schemas that come from outside. Four things are cheap to see: arguments that are not an object of JSON, a tool
that is not on offer, a required field that is missing, and a field of another type than the schema says. Nothing else is
looked at, and where a schema says it in another way (`anyOf`, a reference) nothing is said against the call. Pure; the tools
are read when the first call has come.
"""

from __future__ import annotations

from typing import Any

import attrs

from engine._stream import JSON

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


@attrs.frozen
class _Tool:
    """Required fields, and the types that a field may have; a field whose type is not plainly said is missing."""

    required: tuple[str, ...] = ()
    types: dict[str, tuple[str, ...]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, schema: Any) -> _Tool:
        if not isinstance(schema, dict):
            return cls()
        required, properties = schema.get("required"), schema.get("properties")
        types = {}
        for name, field in properties.items() if isinstance(properties, dict) else ():
            said = field.get("type") if isinstance(field, dict) else None
            given = [said] if isinstance(said, str) else said
            if isinstance(given, list) and given and all(isinstance(one, str) and one in _TYPES for one in given):
                types[name] = tuple(given)
        return cls(tuple(n for n in required if isinstance(n, str)) if isinstance(required, list) else (), types)

    def fits(self, arguments: JSON) -> bool:
        if any(name not in arguments for name in self.required):
            return False
        return all(
            any(_is(arguments[name], type) for type in types) for name, types in self.types.items() if name in arguments
        )


def _is(value: Any, type: str) -> bool:
    """Whether a value has a type of JSON Schema's: a truth value is no number, and 3.0 is an integer."""
    if isinstance(value, bool):
        return type == "boolean"
    if type == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[type])


@attrs.define(eq=False)
class Calls:
    """The tool calls of one answer. `offered` is the request's `tools` as they came; `whole` and `bad` are counts."""

    offered: Any = attrs.field(default=None, repr=False)
    whole: int = 0
    bad: int = 0
    _tools: dict[str, _Tool] | None = None

    def came(self, name: Any, arguments: JSON) -> None:
        """A call has come whole."""
        if self._tools is None:
            offered = self.offered if isinstance(self.offered, list) else []
            named = ((tool.get("name"), tool) for tool in offered if isinstance(tool, dict))
            self._tools = {name: _Tool.of(tool.get("input_schema")) for name, tool in named if isinstance(name, str)}
        tool = self._tools.get(name) if isinstance(name, str) else None
        self.whole += 1
        self.bad += tool is None or not tool.fits(arguments)

    def broke(self) -> None:
        """A call has come whose arguments are no object of JSON."""
        self.whole += 1
        self.bad += 1
