"""The wish for an answer in a form, which each wire words in its own way."""

from __future__ import annotations

from typing import Any

from engine import JSON
from transports.translate._texts import written

#: A schema nested deeper is not looked into.
_MAX_DEPTH = 64


def schema_wanted(body: JSON) -> JSON | None:
    """The schema that the answer is to fit; None where it may be anything."""
    output = body.get("output_config")
    wanted = output.get("format") if isinstance(output, dict) else None
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    return schema if isinstance(schema, dict) else None


def in_words(schema: JSON) -> str:
    """The same as an instruction, for hosts that have no field for it."""
    return f"Answer with one JSON object and nothing else. It must fit this JSON schema: {written(schema).decode()}"


def is_strict(schema: Any, depth: int = 0) -> bool:
    """Whether a schema is one that OpenAI's strict mode takes: closed objects whose every property is required."""
    if isinstance(schema, list):
        return depth <= _MAX_DEPTH and all(is_strict(one, depth + 1) for one in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        properties, required = schema.get("properties"), schema.get("required")
        if not isinstance(properties, dict) or schema.get("additionalProperties") is not False:
            return False
        if not isinstance(required, list) or any(name not in required for name in properties):
            return False
    return depth <= _MAX_DEPTH and all(is_strict(one, depth + 1) for one in schema.values())
