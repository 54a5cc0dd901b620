"""What a wire format has to give to an exchange: the request as bytes, and a reader for the answer.

A transport that knows its formats by name grows a branch for each. Here a format is one function from an `Ask` to a
`Turn`; everything about sockets, timeouts, status codes and keys is common to all, and stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import attrs

from engine import JSON, Ask, StreamEvent
from engine.config import Auth, Secret

#: Server-Sent Events.
EVENT_STREAM = "text/event-stream"


class Decoder(Protocol):
    """Bytes of an answer to events in the strict grammar. Its methods raise StreamError and SSEError."""

    @property
    def complete(self) -> bool:
        """Whether the answer came to its proper end, with something in it."""

    @property
    def ended(self) -> bool:
        """Whether the host has said that the answer is over, though its stream may not be."""

    @property
    def settled(self) -> bool:
        """Whether it has said so and nothing else: some give a reason for the end with each piece."""

    @property
    def began(self) -> bool:
        """Whether anything has been given out that may have been shown."""

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes."""

    def finish(self) -> list[StreamEvent]:
        """The stream is over: what was still waiting."""

    def whole(self, message: JSON) -> list[StreamEvent]:
        """A whole JSON answer, given where a stream was asked for."""


class FrameDecoder(Decoder, Protocol):
    """One of a wire whose events are objects, and come without framing where the transport has its own."""

    def take(self, payload: JSON) -> list[StreamEvent]:
        """The events that one of the wire's completes. Raises StreamError."""


@attrs.frozen(kw_only=True)
class Turn:
    """One request, ready to be sent, and the reader of its answer.

    `optional` names the fields that the request can do without, should the host refuse them; `max_tokens` is the length
    of answer it asks for; `stream_type` is the content type of a stream on this wire.
    """

    url: str
    headers: list[tuple[bytes, bytes]] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    decoder: Decoder
    optional: frozenset[str] = frozenset()
    max_tokens: int | None = None
    stream_type: str = EVENT_STREAM


class Dialect(Protocol):
    """One wire format."""

    def __call__(self, ask: Ask) -> Turn:
        """Raises TooDeep for a body that cannot be written, ValueError for a request that cannot be built."""


class TooDeep(ValueError):
    """A body nested deeper than is written: 254 levels, where 1024 are read."""


_AUTH: dict[Auth, tuple[bytes, bytes]] = {
    "x-api-key": (b"x-api-key", b""),
    "bearer": (b"authorization", b"Bearer "),
    "api-key": (b"api-key", b""),
    "x-goog-api-key": (b"x-goog-api-key", b""),
}
_CREDENTIALS = frozenset([b"authorization", b"x-api-key"])


def head(ask: Ask, more: list[tuple[bytes, bytes]], *, stream_type: str = EVENT_STREAM) -> list[tuple[bytes, bytes]]:
    """The head's fields, `more` and the credential among them, the configured ones in place of ours.

    `Accept-Encoding: identity`, because a compressing peer holds an event back until it flushes.
    """
    out = [
        (b"content-type", b"application/json"),
        (b"accept", f"{stream_type}, application/json".encode()),
        (b"accept-encoding", b"identity"),
        (b"user-agent", b"hedgerow"),
        *more,
        *_credential(ask),
    ]
    given = ask.provider.headers_for(ask.candidate.model)
    own = {name.lower().encode(): value.encode() for name, value in given}
    return [(name, value) for name, value in out if name not in own] + list(own.items())


def client_credentials(ask: Ask) -> list[tuple[bytes, bytes]]:
    """The client's own credential, for the one provider that is to have it."""
    if ask.provider.auth != "client":
        return []
    return [(name, value) for name, value in ask.request.headers if name in _CREDENTIALS]


def key_fields(auth: Auth, key: Secret | None) -> list[tuple[bytes, bytes]]:
    """The head's field that shows a key; none where there is no key, or none is shown."""
    if key is None or auth not in _AUTH:
        return []
    name, prefix = _AUTH[auth]
    return [(name, prefix + key.reveal().encode("ascii"))]


def _credential(ask: Ask) -> Iterator[tuple[bytes, bytes]]:
    yield from key_fields(ask.provider.auth, ask.key)
    if ask.provider.wire == "anthropic":
        yield from client_credentials(ask)
        return
    # Claude Code may send two; this wire has one place, and a key is meant more than a token for some gateway.
    given = dict(client_credentials(ask))
    if b"x-api-key" in given:
        yield b"authorization", b"Bearer " + given[b"x-api-key"]
    elif b"authorization" in given:
        yield b"authorization", given[b"authorization"]


#: The line with which Claude Code's system prompt begins. It differs between conversations and so defeats prefix caches.
_ATTRIBUTION = "x-anthropic-billing-header"


def unattributed(text: str) -> str:
    """A text of the system prompt without the attribution line, which is for Anthropic alone."""
    return text.partition("\n")[2] if text.startswith(_ATTRIBUTION) else text


def message_id(ask: Ask) -> str:
    """The id of the message that answers this request."""
    return f"msg_{ask.request.id.removeprefix('req_')}"


def answer_cap(ask: Ask) -> int:
    """The longest answer to ask for, in tokens: what the client wants, within what is configured and was learned."""
    configured = ask.provider.configured_output(ask.candidate.model)
    wanted: int = ask.request.body["max_tokens"]
    return min([wanted, *(limit for limit in (configured, ask.learned.cap) if limit is not None)])
