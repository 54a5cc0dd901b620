"""The request on its way out, over Anthropic's wire.

To Anthropic itself a body goes out as an open list: what the client sent, byte for byte where only the model agrees, since
a proxy that knows the fields of today breaks the client of tomorrow. To every other host on this wire it goes out
reduced: such a host answers 400 to fields, block types and roles it has not heard of, and Claude Code sends many. The
reduction is data where hosts differ, and happens on copies of what changes; a 98 KB body is never copied deep.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from engine import JSON, Ask
from engine.config import ThinkingWish
from transports._anthropic import AnthropicDecoder
from transports._claimed import Claimed, returned
from transports._deferred import offered
from transports._dialect import Decoder, Turn, answer_cap, head, message_id, unattributed
from transports._dialect import TooDeep as TooDeep
from transports._envelope import MARK_IN_BODY, opened
from transports.translate._ids import ids_in
from transports.translate._served import SERVED_IN_BODY, without_ours, words_of
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
#: Those among them that a request can do without, should a host refuse them, and what stands in others.
_OPTIONAL = frozenset(
    ["cache_control", "metadata", "stop_sequences", "temperature", "thinking", "tool_choice", "top_k", "top_p"]
)
#: The least budget of thinking that Anthropic takes, in tokens.
LEAST_BUDGET = 1024
#: Quirks of hosts that do not look at what stands before a call.
_SIGNED_ANYHOW = frozenset(["empty-signature", "ignores-thinking", "no-signature", "random-signature"])
_TOOL_FIELDS = ("name", "description", "input_schema", "cache_control")
#: Blocks that only their own server understands. Others are told of them in words.
_FOREIGN_BLOCKS = frozenset(["server_tool_use", "container_upload", "mcp_tool_use", "search_result"])

#: Of the client's headers, those that Anthropic reads. Hosts that are not Anthropic get none.
_FORWARDED = frozenset([b"x-app"])
_FORWARDED_PREFIXES = (b"anthropic-", b"x-claude-code-")
_VERSION = (b"anthropic-version", b"2023-06-01")


def anthropic(ask: Ask) -> Turn:
    """The dialect of wire `anthropic`."""
    provider = ask.provider
    plain = AnthropicDecoder(
        model=ask.request.model, message_id=message_id(ask), estimate=ask.request.need.input_tokens
    )
    decoder: Decoder = plain
    if not provider.open_lists:
        decoder = Claimed(plain, ask.candidate.name, message_id(ask), lambda: ids_in(ask))
    return Turn(
        url=joined(provider.url("messages", ask.candidate.model), ask.request.query, open_lists=provider.open_lists),
        headers=headers(ask),
        body=body(ask),
        decoder=decoder,
        # Anthropic itself is asked as the client asks, and the client mends what Anthropic refuses.
        optional=frozenset() if provider.open_lists else _OPTIONAL,
        max_tokens=answer_cap(ask),
    )


#: The fields of a count: what a prompt is made of.
_COUNTED = frozenset(["model", "messages", "system", "tools", "tool_choice", "thinking"])


def count_request(ask: Ask) -> tuple[str, list[tuple[bytes, bytes]], bytes]:
    """Address, headers and body of `count_tokens`, fitted to the host as a turn is. Raises TooDeep, KeyError."""
    request, provider = ask.request, ask.provider
    url = joined(provider.url("count_tokens"), request.query, open_lists=provider.open_lists)
    if provider.open_lists:
        out = {**request.body, "model": ask.candidate.model}
        _mend(out, request.raw)
        written = request.raw if out == request.body else None
    else:
        # A count has no answer and so no limit on one; the reduction asks for it all the same.
        body = {**request.body, "model": ask.candidate.model, "max_tokens": request.need.max_tokens or LEAST_BUDGET}
        fitted = reduced(body, provider.drop | ask.learned.without, provider.quirks, ask.candidate.name)
        out, written = {name: value for name, value in fitted.items() if name in _COUNTED}, None
    try:
        return url, headers(ask), written or orjson.dumps(out)
    except orjson.JSONEncodeError as error:
        raise TooDeep("the body is nested too deeply") from error


def count_in(answer: JSON) -> int | None:
    """The count in the answer to it; None where there is none."""
    tokens = answer.get("input_tokens")
    return tokens if type(tokens) is int and tokens > 0 else None


def headers(ask: Ask) -> list[tuple[bytes, bytes]]:
    """The head's fields, the credential included. The client's own goes to nobody but where it is configured."""
    named: list[tuple[bytes, bytes]] = []
    if ask.provider.open_lists:
        some = ((n, v) for n, v in ask.request.headers if n in _FORWARDED or n.startswith(_FORWARDED_PREFIXES))
        named = [(n, v) for n, v in some if n != b"anthropic-auth-token"]
    if not any(name == b"anthropic-version" for name, _ in named):
        named.append(_VERSION)
    return head(ask, named)


def body(ask: Ask) -> bytes:
    """The body's bytes. Always asks for a stream.

    Raises TooDeep for a body that could be read and cannot be written again.
    """
    request, candidate, provider = ask.request, ask.candidate, ask.provider
    wish = ThinkingWish(enabled=False) if candidate.thinking is False else provider.thinking_for(candidate.model)
    cap = answer_cap(ask)
    out = {**request.body, "model": candidate.model, "stream": True}
    if cap < out["max_tokens"]:
        _shorten(out, cap)
    if wish is not None:
        _think(out, wish)
    if not provider.open_lists:
        out = reduced(out, provider.drop | ask.learned.without, provider.quirks, candidate.name)
    else:
        _mend(out, request.raw)
        if request.stream and {**out, "model": request.body["model"]} == request.body:
            if candidate.model == request.body["model"]:
                return request.raw
            if (renamed := _renamed(request.raw, request.body["model"], candidate.model)) is not None:
                return renamed
    try:
        return orjson.dumps(out)
    except orjson.JSONEncodeError as error:  # what was read from JSON can be at fault in no other way
        raise TooDeep("the body is nested too deeply") from error


def _renamed(raw: bytes, asked: str, model: str) -> bytes | None:
    """The body as it came, with another model's name; None where the name does not stand first in it, and only there.

    Claude Code writes it first. A body that is written anew differs in bytes that somebody may have hashed.
    """
    head = b'{"model":' + orjson.dumps(asked)
    if not raw.startswith(head) or raw.count(b'"model"') != 1:
        return None
    return b'{"model":' + orjson.dumps(model) + raw[len(head) :]


def _shorten(out: JSON, cap: int) -> None:
    """An answer of at most `cap` tokens. A budget of thinking that it cannot hold becomes half of that: more is a 400."""
    out["max_tokens"] = cap
    thinking = out.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) and thinking.get("type") == "enabled" else None
    if type(budget) is int and budget >= cap:
        _budget(out, cap // 2)


def _budget(out: JSON, tokens: int) -> None:
    """Thinking within a budget; none, and nothing said of what is to become of it, where that is too small for any."""
    if tokens >= LEAST_BUDGET:
        out["thinking"] = {"type": "enabled", "budget_tokens": tokens}
    else:
        out["thinking"] = {"type": "disabled"}
        out.pop("context_management", None)


def _think(out: JSON, wish: ThinkingWish) -> None:
    """The configuration's word on thinking, in place of the client's."""
    if not wish.enabled:
        out.pop("thinking", None)
        out.pop("context_management", None)
    elif wish.budget is not None:
        _budget(out, min(wish.budget, out["max_tokens"] - 1))
    elif not isinstance(out.get("thinking"), dict) or out["thinking"].get("type") == "disabled":
        out["thinking"] = {"type": "adaptive"}


def _mend(out: JSON, raw: bytes) -> None:
    """Take out of a conversation that was elsewhere what Anthropic would refuse all of it for."""
    if MARK_IN_BODY in raw or SERVED_IN_BODY in raw:
        out["messages"] = [_signed_only(message) for message in out["messages"]]
    if _must_not_think(out):
        out["thinking"] = {"type": "disabled"}
        out.pop("context_management", None)  # what is to become of old thinking may not be said without new


def _must_not_think(out: JSON) -> bool:
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


def _signed_only(message: JSON) -> JSON:
    """A message without thinking in our envelope, and with our searches in words. One of nothing else keeps a word."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    kept = without_ours([b for b in content if opened(b.get("signature") or b.get("data")) is None])
    if kept == content:
        return message
    return {**message, "content": kept or [{"type": "text", "text": "(thought)"}]}


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
    if not quirks & _SIGNED_ANYHOW and _must_not_think(out):
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


def joined(url: str, query: bytes, *, open_lists: bool) -> str:
    """The address, with the client's query where the host is Anthropic's own (`beta=true`)."""
    return f"{url}?{query.decode('ascii', 'ignore')}" if query and open_lists else url
