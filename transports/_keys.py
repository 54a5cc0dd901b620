"""The keys of one provider, struck out of whatever it says.

A provider's error may quote the key it was sent, and errors are shown, logged and passed on. Cutting them short would leave
half a key, and leaving them out would leave nobody the wiser; so they are told, with a word in each key's place.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

import attrs
import orjson

from engine import AttemptError, Failure, StreamEvent, event
from engine.config import Provider, Secret
from transports._classify import MAX_TEXT

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
    def of(
        cls,
        provider: Provider,
        *,
        model: str = "",
        key: Secret | None = None,
        passed_on: Iterable[tuple[bytes, bytes]] = (),
    ) -> Keys:
        """All that is secret in a request to this provider: its keys, `key` among them, its headers for this model, and the
        client's credentials that are passed on.
        """
        whole = {one.reveal() for one in (key, *provider.keys) if one is not None}
        whole |= {value.decode("latin-1") for _, value in passed_on}
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
