"""What Anthropic refuses a Messages request for, and what a host does that merely speaks its wire.

Anthropic's own list of fields is open: Claude Code sends what was invented last week. So here nothing is refused for being
unknown, and all the more for the rules of the conversation: results right behind their calls, ids of their form and once
only, no text without a word, thinking that is Anthropic's own and unchanged, and before a call where a budget of it is set.
A host that merely speaks the wire (the rules are vLLM's) knows nothing of signatures, and refuses every block that it has
not heard of. A breach is named in the words of the host's own 400, as far as these are known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .wire import SIGNATURE

Body = Mapping[str, Any]

_ID = re.compile(r"[a-zA-Z0-9_-]+", re.ASCII)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}", re.ASCII)
_THOUGHTS = ("thinking", "redacted_thinking")
_LEAST_BUDGET = 1024
#: Everything that vLLM takes, top level and blocks.
FIELDS = frozenset(
    ["model", "max_tokens", "messages", "system", "tools", "tool_choice", "stop_sequences", "stream", "temperature",
     "top_p", "top_k", "thinking", "metadata"]
)  # fmt: skip
_BLOCKS = frozenset(["text", "image", "tool_use", "tool_result", "tool_reference", *_THOUGHTS])
_TOOL = frozenset(["name", "description", "input_schema", "cache_control"])


def signed_here(block: Body) -> bool:
    """Whether the scripted host has signed this thinking: all of its signatures are alike."""
    return bool(block.get("signature", block.get("data")) == SIGNATURE)


def anthropic_breaches(body: Body, signed: Callable[[Body], bool] = signed_here) -> list[str]:
    """Everything for which Anthropic would refuse this body. `signed` knows its own thinking, unchanged."""
    return [*_conversation(body), *_thinking(body, signed)]


def reduced_breaches(body: Body) -> list[str]:
    """Everything for which a host that merely speaks the wire would refuse it."""
    return [*_conversation(body), *_known(body)]


def _blocks(message: Body) -> list[Any]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _conversation(body: Body) -> Iterator[str]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "messages: at least one message is required"
        return
    if messages[0].get("role") != "user":
        yield "messages: first message must use the user role"
    for at, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant", "system"):
            yield f"messages.{at}: unexpected role {message.get('role')}"
        if not _blocks(message):
            yield f"messages.{at}: all messages must have non-empty content"
    had: set[Any] = set()
    due: list[Any] = []  # ids of the last answer's calls, until they have their results
    for role, blocks in _turns(messages):
        if role == "user" or due:
            answered = [block.get("tool_use_id") for _, block in blocks if block.get("type") == "tool_result"]
            if lacking := [id for id in due if id not in answered]:
                yield f"`tool_use` ids were found without `tool_result` blocks immediately after: {lacking}"
            if odd := [id for id in answered if id not in due or answered.count(id) > 1]:
                yield f"unexpected `tool_use_id` found in `tool_result` blocks: {odd}"
            due = []
        for where, block in blocks:
            match block.get("type"):
                case "text" if not str(block.get("text") or "").strip():
                    yield f"{where}: text content blocks must contain non-whitespace text"
                case "tool_use":
                    yield from _call(block, where)
                    if block.get("id") in had:
                        yield f"{where}: `tool_use` ids must be unique, {block.get('id')}"
                    had.add(block.get("id"))
                    due.append(block.get("id"))
                case "tool_result":
                    yield from _inner(block, where)
            if block.get("type") in _ONE_SIDED and _ONE_SIDED[block["type"]] != role:
                yield f"{where}: `{block['type']}` blocks can only be in `{_ONE_SIDED[block['type']]}` messages"
    if due:
        yield f"`tool_use` ids were found without `tool_result` blocks immediately after: {due}"


#: Blocks that only one side may send.
_ONE_SIDED = {"tool_use": "assistant", "tool_result": "user", "thinking": "assistant", "redacted_thinking": "assistant"}


def _turns(messages: list[Any]) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Each side's blocks until the other speaks, with their places. An entry of role `system` may stand anywhere."""
    role, told = "", list[tuple[str, Any]]()
    for at, message in enumerate(messages):
        placed = [(f"messages.{at}.content.{place}", block) for place, block in enumerate(_blocks(message))]
        if message.get("role") in (role, "system"):
            told += placed
            continue
        if role:
            yield role, told
        role, told = str(message.get("role")), placed
    yield role, told


def _call(block: Body, where: str) -> Iterator[str]:
    if not isinstance(block.get("id"), str) or not _ID.fullmatch(block["id"]):
        yield f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$', {block.get('id')}"
    if not isinstance(block.get("name"), str) or not _NAME.fullmatch(block["name"]):
        yield f"{where}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
    if not isinstance(block.get("input"), dict):
        yield f"{where}.tool_use.input: Input should be a valid dictionary"


def _inner(result: Body, where: str) -> Iterator[str]:
    for place, block in enumerate(_blocks(result)):
        if block.get("type") == "text" and not isinstance(block.get("text"), str):
            yield f"{where}.content.{place}.text: Input should be a valid string"
        if block.get("type") in ("tool_use", "tool_result", *_THOUGHTS):
            yield f"{where}.content.{place}: unexpected block {block.get('type')}"


def _thinking(body: Body, signed: Callable[[Body], bool]) -> Iterator[str]:
    messages = body.get("messages") or []
    for at, message in enumerate(messages):
        for place, block in enumerate(_blocks(message)):
            kind = block.get("type")
            if kind in _THOUGHTS and not signed(block):
                field = "signature" if kind == "thinking" else "data"
                yield f"messages.{at}.content.{place}: Invalid `{field}` in `{kind}` block"
    yield from thought_first(body)
    thinking = body.get("thinking") or {}
    if thinking.get("type") in ("enabled", "adaptive"):
        if (body.get("tool_choice") or {}).get("type", "auto") not in ("auto", "none"):
            yield "Thinking may not be enabled when tool_choice forces tool use."
    else:
        for edit in (body.get("context_management") or {}).get("edits", ()):
            if str(edit.get("type")).startswith("clear_thinking"):
                yield f"`{edit['type']}` strategy requires `thinking` to be enabled or adaptive"


def thought_first(body: Body) -> Iterator[str]:
    """With a budget of thinking the last answer must begin with some, where it calls tools."""
    messages = body.get("messages") or []
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled":
        if not _LEAST_BUDGET <= thinking.get("budget_tokens", 0) < body.get("max_tokens", 0):
            yield "`max_tokens` must be greater than `thinking.budget_tokens`"
        last = next((_blocks(message) for message in reversed(messages) if message.get("role") == "assistant"), [])
        kinds = [block.get("type") for block in last]
        if "tool_use" in kinds and kinds[0] not in _THOUGHTS:
            yield (
                f"Expected `thinking` or `redacted_thinking`, but found `{kinds[0]}`. When `thinking` is enabled, a final "
                "`assistant` message must start with a thinking block"
            )


def _known(body: Body) -> Iterator[str]:
    yield from (f"{name}: Extra inputs are not permitted" for name in sorted(body.keys() - FIELDS))
    for place, tool in enumerate(body.get("tools") or ()):
        yield from (f"tools.{place}.{name}: Extra inputs are not permitted" for name in sorted(tool.keys() - _TOOL))
        if not isinstance(tool.get("input_schema"), dict):
            yield f"tools.{place}.input_schema: Field required"
    if (body.get("thinking") or {"type": "disabled"}).get("type") not in ("enabled", "disabled"):
        yield "thinking.type: Input should be 'enabled' or 'disabled'"
    roles = [message.get("role") for message in body.get("messages") or ()]
    if "system" in roles or roles != [("user", "assistant")[n % 2] for n in range(len(roles))]:
        yield f"messages: roles must alternate, {roles}"
    for at, message in enumerate(body.get("messages") or ()):
        for place, block in enumerate(_blocks(message)):
            inner = _blocks(block) if block.get("type") == "tool_result" else []
            for one in (block, *inner):
                if one.get("type") not in _BLOCKS:
                    yield f"messages.{at}.content.{place}: Input tag '{one.get('type')}' does not match the expected tags"
                if one.get("type") == "thinking" and not isinstance(one.get("signature", ""), str):
                    yield f"messages.{at}.content.{place}.signature: Input should be a valid string"
