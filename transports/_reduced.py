"""A body for a host on Anthropic's wire that is not Anthropic.

Such a host answers 400 to fields, block types and roles it has not heard of, and Claude Code sends many. So what every host
on this wire is known to take goes out, what one of them refuses besides is data, and what has no place there is said in
words. On copies of what changes: a 98 KB body is never copied deep. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine import JSON
from transports._claimed import returned
from transports._deferred import offered
from transports._dialect import TooDeep as TooDeep
from transports._dialect import unattributed
from transports._envelope import opened
from transports.translate._served import words_of
from transports.translate._texts import text_of, word

#: The fields that every host on this wire is known to take.
FIELDS = frozenset(
    [
        "model",
        "max_tokens",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "stop_sequences",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "thinking",
        "metadata",
    ]
)
#: The least budget of thinking that Anthropic takes, in tokens.
LEAST_BUDGET = 1024
#: Quirks of hosts that do not look at what stands before a call.
_SIGNED_ANYHOW = frozenset(["empty-signature", "ignores-thinking", "no-signature", "random-signature"])
_TOOL_FIELDS = ("name", "description", "input_schema", "cache_control")
#: Blocks that only their own server understands. Others are told of them in words.
_FOREIGN_BLOCKS = frozenset(["server_tool_use", "container_upload", "mcp_tool_use", "search_result"])


def reduced(body: JSON, drop: frozenset[str], quirks: frozenset[str] = frozenset(), author: str = "") -> JSON:
    """What a host that is not Anthropic can be expected to understand; `drop` and `quirks` name its own refusals besides.
    `author` is its name in envelopes.

    Consecutive entries of one role are joined, so all tool results of a turn stand in one message.
    """
    out = {name: value for name, value in body.items() if name in FIELDS and name not in drop}
    system = out.get("system")
    if isinstance(system, str):
        out["system"] = unattributed(system)
    elif isinstance(system, list):
        told = [{**b, "text": unattributed(b["text"])} if isinstance(b.get("text"), str) else b for b in system]
        out["system"] = [b for b in told if b.get("text") != ""]
    if not out.get("system"):
        out.pop("system", None)
    if isinstance(out.get("tools"), list):
        out["tools"] = [
            {name: tool[name] for name in _TOOL_FIELDS if name in tool}
            for tool in offered(body)
            if "input_schema" in tool
        ]
        if not out["tools"]:
            out.pop("tools")
            out.pop("tool_choice", None)
    thinking = out.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "adaptive":
        budget = min(8192, body["max_tokens"] // 2)
        on = budget >= LEAST_BUDGET
        out["thinking"] = {"type": "enabled", "budget_tokens": budget} if on else {"type": "disabled"}
    choice = out.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "tool" and not _is_offered(out, word(choice.get("name"))):
        choice = out.pop("tool_choice")  # one of Anthropic's own, or one that was not found yet
    if (
        "no-named-tool-choice" in quirks
        and "thinking" in out
        and isinstance(choice, dict)
        and choice.get("type") == "tool"
    ):
        out["tool_choice"] = {"type": "auto"}
    out["messages"] = list(_messages(body["messages"], drop | _FOREIGN_BLOCKS, quirks, author))
    if not quirks & _SIGNED_ANYHOW and must_not_think(out):
        out["thinking"] = {"type": "disabled"}
    if "cache_control" in drop:
        for field in ("system", "tools", "messages"):
            if field in out:
                out[field] = _unmarked(out[field])
    return out


def _is_offered(out: JSON, name: str) -> bool:
    return any(tool.get("name") == name for tool in out.get("tools") or ())


def _unmarked(content: Any, below: int = 2) -> Any:
    """System, tools or messages without their marks for the cache, down to the blocks of a tool's result and no further.

    `below`: as many levels of content are looked into.
    """
    if not isinstance(content, list):
        return content
    kept = (
        {k: v for k, v in item.items() if k != "cache_control"} if isinstance(item, dict) else item for item in content
    )
    return [
        {**item, "content": _unmarked(item["content"], below - 1)}
        if below and isinstance(item, dict) and "content" in item
        else item
        for item in kept
    ]


def _messages(messages: list[JSON], drop: frozenset[str], quirks: frozenset[str], author: str) -> Iterator[JSON]:
    """User and assistant in turn: entries of role `system` join the user's, runs of one role become one."""
    pending: JSON | None = None
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = list(_blocks(message["content"], drop, quirks, author))
        if not blocks:
            continue
        if pending is not None and pending["role"] == role:
            pending = {"role": role, "content": [*pending["content"], *blocks]}
        else:
            if pending is not None:
                yield pending
            pending = {"role": role, "content": blocks}
    if pending is not None:
        yield pending


def _blocks(content: str | list[JSON], drop: frozenset[str], quirks: frozenset[str], author: str) -> Iterator[JSON]:
    if isinstance(content, str):
        if content:
            yield {"type": "text", "text": content}
        return
    for block in content:
        kind = block.get("type")
        kind = kind if isinstance(kind, str) else ""
        if (served := words_of(block)) is not None:
            yield {"type": "text", "text": served}
            continue
        if kind in drop or (kind.endswith("_tool_result") and kind != "tool_result"):
            if text := text_of(block).strip():
                yield {"type": "text", "text": text}
            continue
        if kind == "text" and not block.get("text"):
            continue
        if kind == "tool_reference":
            yield {"type": "text", "text": text_of(block)}
        elif (sealed := opened(block.get("signature") or block.get("data"))) is not None:
            if (thought := returned(block, sealed, author)) is not None:
                yield thought
        elif kind == "tool_result" and isinstance(block.get("content"), list):
            inner = list(_blocks(block["content"], drop, quirks, author))
            flat = "\n".join(b["text"] for b in inner if isinstance(b.get("text"), str))
            yield {**block, "content": flat if "tool-results-as-text" in quirks else inner}
        elif kind == "image" and "base64-images-only" in quirks and (url := _address_of(block.get("source"))):
            yield {"type": "text", "text": f"[an image stood here, at {url}; this host fetches none]"}
        else:
            yield block


def _address_of(source: Any) -> str:
    """Where a picture is to be fetched; empty for one that is there."""
    url = source.get("url") if isinstance(source, dict) and source.get("type") == "url" else ""
    return url if isinstance(url, str) else ""


def must_not_think(out: JSON) -> bool:
    """Whether a tool loop under way has lost the thinking that it must begin with where a budget is set.

    "Expected `thinking`, but found `tool_use`": so this one request goes without. Adaptive thinking has no such rule.
    """
    thinking = out.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return False
    turns = (m.get("content") for m in reversed(out["messages"]) if m.get("role") == "assistant")
    last = next(turns, None)
    kinds = [block.get("type") for block in last] if isinstance(last, list) else []
    return "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking")
