"""What an upstream remembers of one request: when it came, what it held, what was sent back, and who ended it.

Only the other end of a socket knows when a loser's connection was really closed, so this is kept there, and the tests ask
it instead of the proxy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs
import trio

from . import chat_asks, responses_asks
from .gemini_asks import messages_of_gemini
from .ollama_asks import messages_of_ollama
from .scripts import Ask
from .wire import Wire

#: How the path of a request for inference ends, on which wire.
_WIRES: Mapping[str, Wire] = {
    "/v1/messages": "anthropic",
    "/v1/chat/completions": "openai-chat",
    "/v1/responses": "openai-responses",
    "/api/chat": "ollama",
    ":streamGenerateContent": "gemini",
    ":generateContent": "gemini",
}
_AS_MESSAGES: Mapping[Wire, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "openai-chat": chat_asks.as_messages,
    "openai-responses": responses_asks.as_messages,
    "ollama": messages_of_ollama,
    "gemini": messages_of_gemini,
}
Ending = Literal["open", "finished", "client-left", "reset", "cut"]
_MODEL = re.compile(r"/models/([^:]+(?::[^:]*)*):\w+$")


@attrs.define(eq=False)
class Exchange:
    """One request and what became of it; times are `trio.current_time()` seconds.

    `ending` is `finished` (all sent), `client-left` (the other side closed, noticed at `ended`; whether that shows as a
    FIN or a reset depends on what lay unread in its socket), `reset` or `cut` (the script's own doing), or `open`.
    `refused` is what this wire has no place for.
    """

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    fault: str
    arrived: float
    head_sent: float | None = None
    ended: float | None = None
    ending: Ending = "open"
    sent: int = 0
    refused: list[str] = attrs.field(factory=list)
    over: trio.Event = attrs.field(factory=trio.Event)

    @property
    def is_message(self) -> bool:
        """Whether this asked for inference (count_tokens does not)."""
        return self.method == "POST" and self.path.endswith(tuple(_WIRES))

    @property
    def wire(self) -> Wire:
        """On which wire it came."""
        return next((wire for end, wire in _WIRES.items() if self.path.endswith(end)), "anthropic")

    @property
    def model(self) -> str:
        """The model that was asked for: Gemini has it in the path."""
        found = _MODEL.search(self.path)
        return found[1] if found else str(self.body.get("model", ""))

    @property
    def ask(self) -> Ask:
        """What was asked, as the scripts see it. On all wires but Anthropic's this needs a body that was not refused."""
        read = _AS_MESSAGES.get(self.wire)
        return Ask(self.body if read is None else read(self.body), self.agent)

    @property
    def agent(self) -> str:
        """The sub-agent's id, "" for the main conversation, and on the other wires, where nobody is told."""
        return self.headers.get("x-claude-code-agent-id", "")

    @property
    def is_title(self) -> bool:
        """Whether this is Claude Code's request for a title."""
        return self.ask.is_title

    @property
    def signatures(self) -> list[str]:
        """The signatures of the thinking that came back in the assistant's turns."""
        messages = self.ask.body["messages"]
        blocks = [block for message in messages if message["role"] == "assistant" for block in message["content"]]
        return [block["signature"] for block in blocks if block["type"] == "thinking"]

    def end(self, ending: Ending) -> None:
        """Note the end; only the first one counts."""
        if self.ending == "open":
            self.ending, self.ended = ending, trio.current_time()
            self.over.set()

    def summary(self) -> dict[str, Any]:
        """The exchange as JSON, without headers and messages."""
        shown = (
            "number",
            "method",
            "path",
            "fault",
            "arrived",
            "head_sent",
            "ended",
            "ending",
            "sent",
            "agent",
            "refused",
        )
        return {**{name: getattr(self, name) for name in shown}, "model": self.model}


def endings(exchanges: list[Exchange]) -> list[str]:
    """How each of them ended."""
    return [exchange.ending for exchange in exchanges]
