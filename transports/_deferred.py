"""Which deferred tools a conversation has found.

Claude Code gives most of its tools with `defer_loading: true`: Anthropic's server hides them from the model until a search
has named them in a `tool_reference`. A host that knows nothing of this must not be shown them all, which would fill its
window, nor none of them, which would leave the model with a tool that it was told of and cannot call. So what the
conversation has found is offered, and the rest is not.
"""

from __future__ import annotations

from typing import Any

from engine import JSON


def offered(body: JSON) -> list[JSON]:
    """The tools of a body that are there now: those that are not deferred, and those that were found."""
    given = body.get("tools")
    tools = [tool for tool in given if isinstance(tool, dict)] if isinstance(given, list) else []
    if not any(tool.get("defer_loading") for tool in tools):
        return tools
    found = _found(body.get("messages"))
    return [tool for tool in tools if not tool.get("defer_loading") or tool.get("name") in found]


def _found(messages: Any) -> list[Any]:
    """The names in all references, wherever they stand."""
    names = []
    for message in messages if isinstance(messages, list) else ():
        pending = [message.get("content")] if isinstance(message, dict) else []
        while pending:
            content = pending.pop()
            for block in content if isinstance(content, list) else ():
                if isinstance(block, dict):
                    if block.get("type") == "tool_reference":
                        names.append(block.get("tool_name"))
                    elif block.get("type") == "tool_result":
                        pending.append(block.get("content"))
    return names
