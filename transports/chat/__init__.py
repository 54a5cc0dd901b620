"""OpenAI's chat completions, in every accent that hosts give it: requests out, strict Messages streams back. Pure."""

from __future__ import annotations

import re
from collections.abc import Container

from engine import JSON, Ask
from transports._dialect import Turn, head, message_id
from transports.chat._content import written
from transports.chat._decoder import ChatDecoder as ChatDecoder
from transports.chat._encoder import OPTIONAL, body_of, cap_of
from transports.chat._tools import Toolbox as Toolbox

_TOOL_IDS = re.compile(rb'"id":\s?"([^"\\]{1,64})"')


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
        taken=lambda: _ids_in(ask),
    )
    return Turn(
        url=ask.provider.url("messages"),
        headers=head(ask, []),
        body=written(body),
        decoder=decoder,
        optional=_optional(body),
        max_tokens=cap_of(ask),
    )


def _ids_in(ask: Ask) -> Container[str]:
    """The tool ids that the conversation holds. Looked for in its bytes: ids have no escapes, and walking it is slow."""
    return {found.decode("utf-8", "replace") for found in _TOOL_IDS.findall(ask.request.raw)}


def _optional(body: JSON) -> frozenset[str]:
    """What this body has that a host may refuse: its fields, those of its messages, and its system role."""
    messages = body["messages"]
    calls = (call for message in messages for call in message.get("tool_calls", ()))
    inside = {name for one in (*messages, *calls) for name in one if name in OPTIONAL}
    role = {"developer"} if messages[0]["role"] == "developer" else set()
    return frozenset((body.keys() & OPTIONAL) | inside | role)
