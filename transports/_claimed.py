"""Answers over Anthropic's wire whose author is not Anthropic, made fit to be sent to anybody.

It is the wire of the client, so an answer could go through as it is. But a client sends back what it was given, to whichever
host has the next turn, and Anthropic checks both things that such a host made up: a signature that it did not make itself is a
400 (vLLM's are random, llama.cpp's are empty, Ollama has none), and so are a tool's id with a colon in it and one that was
there before. So signatures travel in envelopes of ours, as on every other wire, and go back to their author alone; and an
id that would not do is replaced. Text goes through unread. Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

import attrs

from engine import JSON, Kind, MalformedEvent, StreamEvent, encoded, event
from transports._anthropic import StreamError
from transports._envelope import Sealed, seal
from transports._passing import Passing
from transports.translate._ids import unique_ids

#: What stands in a delta that is a signature, and seldom in any other.
_SIGNS = b"signature_delta"
#: The longest signature that is kept, in characters.
MAX_CHARS = 512 * 1024


@attrs.define(eq=False)
class Claimed(Passing):
    """A decoder whose thinking is `author`'s (a candidate's name). `taken` gives the tool ids of the conversation."""

    author: str
    message_id: str
    taken: Callable[[], Container[str]]
    _thinks: int = -1  # the thinking block that is open, by index
    _signature: str = ""
    _ids: set[str] = attrs.field(factory=set)
    _there: Container[str] | None = None

    def _through(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        out: list[StreamEvent] = []
        for each in events:
            match each.kind:
                case Kind.BLOCK_START:
                    out.append(self._start(each))
                case Kind.DELTAS if self._thinks >= 0 and _SIGNS in each.raw:
                    out += self._unsigned(each)
                case Kind.BLOCK_STOP if self._thinks >= 0:
                    state = {"signature": self._signature} if self._signature else None
                    delta = {"type": "signature_delta", "signature": seal(self.author, state)}
                    out += [event({"type": "content_block_delta", "index": self._thinks, "delta": delta}), each]
                    self._thinks = -1
                case _:
                    out.append(each)
        return out

    def _start(self, each: StreamEvent) -> StreamEvent:
        block = each.payload["content_block"]
        match block.get("type"):
            case "thinking":
                self._thinks, self._signature = each.payload["index"], ""
                self._keep(block.get("signature"))
                changed = {"signature": ""}
            case "redacted_thinking":
                changed = {"data": seal(self.author, {"data": block.get("data")})}
            case "tool_use":
                changed = {"id": self._id(block.get("id"))}
            case _:
                return each
        if all(block.get(name) == value for name, value in changed.items()):
            return each
        return event({**each.payload, "content_block": {**block, **changed}}, content=each.content)

    def _unsigned(self, each: StreamEvent) -> list[StreamEvent]:
        """Deltas without the signature among them."""
        kept: list[JSON] = []
        try:
            for payload in each.payloads():
                if payload["delta"].get("type") == "signature_delta":
                    self._keep(payload["delta"].get("signature"))
                else:
                    kept.append(payload)
        except MalformedEvent as error:
            raise StreamError(str(error)) from error
        return [StreamEvent(Kind.DELTAS, b"".join(map(encoded, kept)), content=each.content)] if kept else []

    def _keep(self, signature: object) -> None:
        if isinstance(signature, str) and len(self._signature) + len(signature) <= MAX_CHARS:
            self._signature += signature

    def _id(self, given: object) -> str:
        if self._there is None:
            self._there = self.taken()
        id = given if isinstance(given, str) else ""
        wanted = "" if id in self._ids or id in self._there else id
        (made,) = unique_ids([wanted], self._there, self.message_id, first=len(self._ids))
        self._ids.add(made)
        return made


def returned(block: JSON, sealed: Sealed, author: str) -> JSON | None:
    """A block of sealed thinking for the host `author` of this wire, not Anthropic itself; None where it has no use for it.

    Its own goes back as it was. Of another's it wants the words, which none of these hosts checks a signature of, unless
    its model is Anthropic's: a reseller passes on what it is sent.
    """
    own = sealed.state if sealed.author == author else {}
    if block.get("type") == "redacted_thinking":
        return {**block, "data": own["data"]} if isinstance(own.get("data"), str) else None
    signature = own.get("signature")
    signature = signature if isinstance(signature, str) else ""
    told = str(block.get("thinking", "")).strip() and "claude" not in author.partition("/")[2].lower()
    return {**block, "signature": signature} if signature or told else None
