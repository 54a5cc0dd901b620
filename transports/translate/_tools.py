"""The tools of one request, on their way out and on their way back.

Names longer than this wire takes, parameters that a host cannot bear and tools that only Anthropic can run are all
settled here once, in both directions: what went out under another name must come back under its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b

import attrs

from engine import JSON
from engine.config import Accent
from transports._deferred import offered
from transports.translate._aliases import has_alias, restored
from transports.translate._schemas import fitted

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
_NO_NAME = re.compile(r"[^a-zA-Z0-9_-]", re.ASCII)


@attrs.frozen
class Tool:
    """One tool that may be called: as the client has it, and its name and schema for the host."""

    name: str
    sent_as: str
    description: str
    schema: JSON = attrs.field(repr=False)
    aliased: bool = False


@attrs.frozen
class Toolbox:
    """The tools that may be called, by the names they go out under."""

    accent: Accent
    tools: dict[str, Tool]

    @classmethod
    def of(cls, body: JSON, accent: Accent) -> Toolbox:
        """Custom tools only, since what Anthropic's servers run has no schema; of the deferred ones those that were found."""
        tools: dict[str, Tool] = {}
        for given in offered(body):
            schema, name = given.get("input_schema"), given.get("name")
            if not isinstance(schema, dict) or not isinstance(name, str) or not name:
                continue
            sent_as = sendable_name(name)
            description = given.get("description")
            aliased = accent.schema == "nim" and has_alias(schema)
            tools.setdefault(
                sent_as, Tool(name, sent_as, description if isinstance(description, str) else "", schema, aliased)
            )
        return cls(accent, tools)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.tools)

    def encoded(self) -> Iterator[JSON]:
        """The `tools` of the body."""
        for tool in self.tools.values():
            function: JSON = {"name": tool.sent_as}
            if tool.description:
                function["description"] = tool.description
            if (parameters := fitted(tool.schema, self.accent.schema)) is not None:
                function["parameters"] = parameters
            yield {"type": "function", "function": function}

    def called(self, name: str) -> Tool | None:
        """The tool that a host has called, by the name it was sent under or by its own."""
        return self.tools.get(name) or self.tools.get(sendable_name(name))

    def name_of(self, called: str) -> str:
        """The client's name of a tool that the host has called."""
        tool = self.called(called)
        return tool.name if tool else sendable_name(called)

    def schema_of(self, called: str) -> JSON | None:
        tool = self.called(called)
        return tool.schema if tool else None

    def arguments_back(self, called: str, arguments: JSON) -> JSON:
        """A call's arguments under the client's parameter names."""
        tool = self.called(called)
        return restored(arguments, tool.schema) if tool and tool.aliased else arguments

    def arguments_out(self, name: str, arguments: JSON) -> JSON:
        """The arguments of an earlier call, under the host's parameter names."""
        tool = self.tools.get(sendable_name(name))
        return restored(arguments, tool.schema, back=False) if tool and tool.aliased else arguments


def sendable_name(name: str) -> str:
    """A tool's name as this wire takes it: at most 64 letters, digits, `_` and `-`. The same name always gives the same."""
    if _NAME.fullmatch(name):
        return name
    plain = _NO_NAME.sub("_", name)
    return f"{plain[:55]}_{blake2b(name.encode(), digest_size=4).hexdigest()}"
