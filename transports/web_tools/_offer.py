"""Which of Anthropic's web tools a request lists, and how a host that cannot run them is offered them.

A server tool has a type and no schema, and a host that does not know the type refuses the request, or the model answers
without ever having searched. So each goes out as an ordinary function with one parameter, under its own name, and what it
allows itself (uses, domains) is kept here, where it is executed. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs

from engine import JSON
from engine.config import Provider, WebTools
from transports.translate._served import paired

Kind = Literal["web_search", "web_fetch"]

_TYPE = re.compile(r"(web_search|web_fetch)_[0-9]{8}", re.ASCII)
#: Characters that one token of a page is taken for, where a tool limits itself in tokens.
_CHARS_PER_TOKEN = 4
#: Domains of one list that are heeded.
_MAX_DOMAINS = 200
#: The least that a later round may answer with, in tokens, however much the rounds before have used.
LEAST_ANSWER = 1024
#: Host on the anthropic wire that runs these tools itself, as a word of its row.
RUNS_WEB_TOOLS = "runs-web-tools"


@attrs.frozen(kw_only=True)
class ServerTool:
    """One tool: its name, how often it may be used in one request, where, and how much of a page it takes."""

    kind: Kind
    name: str
    max_uses: int
    allowed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    max_chars: int

    def admits(self, host: str, path: str) -> bool:
        """Whether its lists of domains let a page be used."""
        place = (host.lower().rstrip("."), path)
        if any(_covers(domain, *place) for domain in self.blocked):
            return False
        return not self.allowed or any(_covers(domain, *place) for domain in self.allowed)

    def as_function(self) -> JSON:
        """The tool as every host knows one."""
        what, parameter, about = _WORDS[self.kind]
        if self.allowed:
            what += f" Only these sites are searched: {', '.join(self.allowed[:20])}."
        schema = {
            "type": "object",
            "properties": {parameter: {"type": "string", "description": about}},
            "required": [parameter],
        }
        return {"name": self.name, "description": what, "input_schema": schema}


_WORDS: dict[Kind, tuple[str, str, str]] = {
    "web_search": (
        "Search the web. Returns titles, addresses and excerpts of pages. Name the addresses that an answer relies on.",
        "query",
        "What to search for",
    ),
    "web_fetch": (
        "Fetch one page from the web and read it as text. Takes the full address, beginning with http.",
        "url",
        "The address of the page",
    ),
}


@attrs.frozen(kw_only=True)
class Offer:
    """The web tools of one request, by name."""

    tools: dict[str, ServerTool]

    @classmethod
    def of(cls, body: JSON, settings: WebTools) -> Offer | None:
        """None where the request lists none. One whose name another tool has as well is left alone."""
        given = body.get("tools")
        listed = [tool for tool in given if isinstance(tool, dict)] if isinstance(given, list) else []
        names = [tool.get("name") for tool in listed]
        found = [tool for item in listed if (tool := _server_tool(item, settings)) is not None]
        tools = {tool.name: tool for tool in found if names.count(tool.name) == 1}
        return cls(tools=tools) if tools else None

    def body(self, body: JSON, more: list[JSON], *, spent: int, last: bool) -> JSON:
        """The request's body for one round. `more` are the rounds before it, `spent` their tokens of output.

        The choice that the client has forced is made in the first round; in the `last` there is none left.
        """
        tools = [
            self.tools[tool["name"]].as_function() if tool.get("name") in self.tools else tool for tool in body["tools"]
        ]
        out = {**body, "tools": tools, "messages": [*paired(body["messages"], self.tools), *more]}
        if not more:
            return out
        choice = body.get("tool_choice")
        choice = choice if isinstance(choice, dict) else {}
        if last:
            out["tool_choice"] = {"type": "none"}
        elif choice.get("type") in ("tool", "any"):
            kept = {name: value for name, value in choice.items() if name == "disable_parallel_tool_use"}
            out["tool_choice"] = {"type": "auto", **kept}
        out["max_tokens"] = max(body["max_tokens"] - spent, min(body["max_tokens"], LEAST_ANSWER))
        return out


def runs_them_itself(provider: Provider) -> bool:
    """Whether a host executes server tools: Anthropic's own API, what passes everything on to it, and rows that say so."""
    return provider.wire == "anthropic" and (provider.open_lists or RUNS_WEB_TOOLS in provider.quirks)


def _server_tool(tool: JSON, settings: WebTools) -> ServerTool | None:
    type, name = tool.get("type"), tool.get("name")
    match = _TYPE.fullmatch(type) if isinstance(type, str) else None
    if match is None or not isinstance(name, str) or not name or "input_schema" in tool:
        return None
    uses, tokens = _count(tool.get("max_uses")), _count(tool.get("max_content_tokens"))
    chars = settings.max_page_chars
    return ServerTool(
        kind=match[1],  # type: ignore[arg-type]  # one of the two by the pattern
        name=name,
        max_uses=min(uses or settings.max_uses, settings.max_uses),
        allowed=_domains(tool.get("allowed_domains")),
        blocked=_domains(tool.get("blocked_domains")),
        max_chars=min(tokens * _CHARS_PER_TOKEN, chars) if tokens else chars,
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _domains(value: Any) -> tuple[str, ...]:
    """`example.com` or `example.com/path`, in small letters. Whatever is no text is no domain."""
    items = value[:_MAX_DOMAINS] if isinstance(value, list) else []
    texts = (re.sub(r"^https?://", "", item.strip().lower()) for item in items if isinstance(item, str))
    return tuple(text for text in texts if text)


def _covers(domain: str, host: str, path: str) -> bool:
    """Whether a page is of a domain: the domain itself or one below it, and below its path where it has one."""
    name, slash, below = domain.partition("/")
    name = name.removeprefix("*.").rstrip(".")
    if host != name and not host.endswith(f".{name}"):
        return False
    below = below.rstrip("*/")
    return not slash or not below or path.lower() == f"/{below}" or path.lower().startswith(f"/{below}/")
