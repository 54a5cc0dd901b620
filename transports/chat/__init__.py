"""OpenAI's chat completions, in every accent that hosts give it: requests out, strict Messages streams back. Pure."""

from __future__ import annotations

from engine import JSON, Ask
from transports._dialect import Turn, head, message_id
from transports.chat._decoder import ChatDecoder as ChatDecoder
from transports.chat._encoder import OPTIONAL, body_of
from transports.translate._cap import cap_of
from transports.translate._ids import ids_in
from transports.translate._texts import written
from transports.translate._tools import Toolbox as Toolbox


def openai_chat(ask: Ask) -> Turn:
    """The dialect of wire `openai-chat`."""
    accent = ask.provider.accent(ask.candidate.model)
    toolbox = Toolbox.of(ask.request.body, accent)
    body = body_of(ask, toolbox)
    decoder = ChatDecoder(
        toolbox=toolbox,
        accent=accent,
        author=ask.candidate.name,
        model=ask.request.model,
        message_id=message_id(ask),
        estimate=ask.request.need.input_tokens,
        taken=lambda: ids_in(ask),
    )
    return Turn(
        url=ask.provider.url("messages", ask.candidate.model),
        headers=head(ask, []),
        body=written(body),
        decoder=decoder,
        optional=_optional(body),
        max_tokens=cap_of(ask),
    )


def _optional(body: JSON) -> frozenset[str]:
    """What this body has that a host may refuse: its fields, those of its messages, and its system role."""
    messages = body["messages"]
    calls = (call for message in messages for call in message.get("tool_calls", ()))
    inside = {name for one in (*messages, *calls) for name in one if name in OPTIONAL}
    role = {"developer"} if messages[0]["role"] == "developer" else set()
    return frozenset((body.keys() & OPTIONAL) | inside | role)
