"""The request on its way out, over Anthropic's wire.

To Anthropic itself a body goes out as an open list: what the client sent, byte for byte where only the model agrees, since
a proxy that knows the fields of today breaks the client of tomorrow. To every other host on this wire it goes out
reduced (`_reduced`). Either way a conversation may hold what other hosts have made, which must not be shown to this one.
"""

from __future__ import annotations

import orjson

from engine import JSON, Ask
from engine.config import ThinkingWish, nearest_effort
from transports._anthropic import AnthropicDecoder
from transports._claimed import Claimed
from transports._dialect import Decoder, Turn, answer_cap, head, message_id
from transports._dialect import TooDeep as TooDeep
from transports._envelope import MARK_IN_BODY, opened
from transports._reduced import LEAST_BUDGET, must_not_think, reduced
from transports.translate._ids import ids_in
from transports.translate._served import SERVED_IN_BODY, without_ours

#: Those of `FIELDS` that a request can do without, should a host refuse them, and what stands in others.
_OPTIONAL = frozenset(
    [
        "cache_control",
        "metadata",
        "output_config",
        "stop_sequences",
        "temperature",
        "thinking",
        "tool_choice",
        "top_k",
        "top_p",
    ]
)
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
        out |= _effort(ask, out)
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


def _effort(ask: Ask, reduced: JSON) -> JSON:
    """How hard to think, for a host that reads it here: the nearest of the model's efforts to the client's."""
    given, thinking = ask.request.body.get("output_config"), reduced.get("thinking")
    effort = given.get("effort") if isinstance(given, dict) else None
    on = isinstance(thinking, dict) and thinking.get("type") != "disabled"
    if not isinstance(effort, str) or not on or "takes-effort" not in ask.provider.quirks:
        return {}
    known = ask.provider.model(ask.candidate.model).thinking
    efforts = known.efforts if known is not None else ()
    without = "output_config" in ask.learned.without
    return {} if without else {"output_config": {"effort": nearest_effort(effort, efforts) if efforts else effort}}


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
    if must_not_think(out):
        out["thinking"] = {"type": "disabled"}
        out.pop("context_management", None)  # what is to become of old thinking may not be said without new


def _signed_only(message: JSON) -> JSON:
    """A message without thinking in our envelope, and with our searches in words. One of nothing else keeps a word."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    kept = without_ours([b for b in content if opened(b.get("signature") or b.get("data")) is None])
    if kept == content:
        return message
    return {**message, "content": kept or [{"type": "text", "text": "(thought)"}]}


def joined(url: str, query: bytes, *, open_lists: bool) -> str:
    """The address, with the client's query where the host is Anthropic's own (`beta=true`)."""
    return f"{url}?{query.decode('ascii', 'ignore')}" if query and open_lists else url
