"""What a provider says of a failure, cleared of the keys it was sent.

An error may quote the key that came with the request. Nobody to the left of here knows keys, so a text that is let through
is in the log, in the account of the request and on the client's screen. The exchanges of every wire ask here before they
hand a word on.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

import attrs
import orjson

from engine import Ask, AttemptError, Failure, Kind, StreamEvent, event
from engine.config import Provider
from transports._classify import MAX_TEXT, classify_in_stream
from transports._dialect import client_credentials

#: What stands in a provider's text where it quoted a key.
KEY = "[key]"
#: Fewer characters are no secret but a placeholder such as `none`, and would be struck out of every other word.
_SHORTEST_KEY = 6
#: A configured header's value of this length may be a secret; a shorter one is a word.
_A_SECRETS_LENGTH = 12


def _credentials_in(address: str) -> set[str]:
    """What a proxy's address holds of a credential: the password, and both as they stand in a header."""
    parts = urlsplit(address)
    if not parts.password:
        return set()
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
    return {parts.password, unquote(parts.password), base64.b64encode(pair.encode()).decode()}


@attrs.frozen
class Keys:
    """The keys of one provider, to be struck out of what it says."""

    _values: tuple[str, ...] = attrs.field(repr=False)

    @classmethod
    def of(cls, ask: Ask) -> Keys:
        """Those of one exchange: the client's credentials, where they are passed on, among them."""
        passed_on = (value.decode("latin-1") for _, value in client_credentials(ask))
        own = (ask.key.reveal(),) if ask.key is not None else ()
        return cls.of_provider(ask.provider, ask.candidate.model, (*own, *passed_on))

    @classmethod
    def of_provider(cls, provider: Provider, model: str = "", others: Iterable[str] = ()) -> Keys:
        """All that a provider is sent and nobody may see: its keys, secrets in its headers and its proxy's, and `others`."""
        whole = {*others, *(key.reveal() for key in provider.keys)}
        whole |= {value for _, value in provider.headers_for(model) if len(value) >= _A_SECRETS_LENGTH}
        if provider.proxy is not None:
            whole |= _credentials_in(provider.proxy.reveal())
        values = whole | {value.removeprefix("Bearer ") for value in whole}
        return cls(tuple(sorted((v for v in values if len(v) >= _SHORTEST_KEY), key=len, reverse=True)))

    def struck_from(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, KEY)
        return text

    def struck_from_body(self, body: bytes) -> bytes:
        """`body` as it came, unless it holds a key. In JSON a key may be written with escapes."""
        text = plain = body.decode("utf-8", "replace")
        try:
            plain = orjson.dumps(orjson.loads(body)).decode()
        except orjson.JSONDecodeError:
            pass  # no JSON: what is written is what it says
        except orjson.JSONEncodeError:
            return b""  # nested too deeply to be looked through
        if any(value in text or value in plain for value in self._values):
            return self.struck_from(plain).encode()
        return body

    def struck_from_error(self, failure: Failure) -> AttemptError:
        upstream_id = self.struck_from(failure.upstream_id) if failure.upstream_id else None
        message = self.struck_from(failure.message)[:MAX_TEXT]
        return AttemptError(attrs.evolve(failure, message=message, upstream_id=upstream_id))

    def struck_from_event(self, told: StreamEvent) -> StreamEvent:
        return event(orjson.loads(self.struck_from(orjson.dumps(told.payload).decode())))

    def judged(self, events: list[StreamEvent], began: bool) -> list[StreamEvent]:
        """The events of one read, of which an `error` is the last there is. `began`: something was given out before.

        One that comes before anything else is a refusal with the wrong status, and means what its text says: then this
        raises AttemptError.
        """
        if not events or events[-1].kind is not Kind.ERROR:
            return events
        told = self.struck_from_event(events[-1])
        if not began and not any(e.content for e in events):
            raise AttemptError(classify_in_stream(told.payload))
        told.payload.pop("upstream", None)
        return [*events[:-1], event(told.payload)]
