"""Who may come in, and which candidate a credential names.

Claude Code sends its credential in one of two headers, other clients in a third, and a prior generation of proxies let the
token carry the model behind a colon. All of these are read here; comparing takes the same time whether the first byte
differs or the last. Pure.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator

import attrs

from engine.config import Config

_PLAIN = (b"x-api-key", b"anthropic-auth-token")


@attrs.frozen
class Admission:
    """Whether to let somebody in, and the `provider/model` the credential names, if it names one."""

    allowed: bool
    forced: str | None = None


def admit(headers: Iterable[tuple[bytes, bytes]], config: Config) -> Admission:
    """Judge a request by its headers. Without a token configured everybody is let in."""
    token = config.server.token
    for credential in _credentials(headers):
        secret, _, rest = credential.partition(":")
        named = rest if rest.partition("/")[0] in config.providers and "/" in rest else None
        if token is None:
            if named:
                return Admission(True, named)
        elif _same(credential, token.reveal()):
            return Admission(True)
        elif rest and _same(secret, token.reveal()):
            return Admission(True, rest)
    return Admission(token is None)


def without_ours(headers: Iterable[tuple[bytes, bytes]], config: Config) -> list[tuple[bytes, bytes]]:
    """The headers without those that hold our own token: it opens this door and is nobody else's to see."""
    token = config.server.token
    return [
        header
        for header in headers
        if token is None
        or not (credential := _credential(*header))
        or not _same(credential.partition(":")[0], token.reveal().partition(":")[0])
    ]


def _credentials(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    return (credential for header in headers if (credential := _credential(*header)) is not None)


def _credential(name: bytes, value: bytes) -> str | None:
    """What a header says as a credential; None where it is none."""
    if name in _PLAIN:
        return value.decode("latin-1").strip()
    if name == b"authorization" and value[:7].lower() == b"bearer ":
        return value[7:].decode("latin-1").strip()
    return None


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
