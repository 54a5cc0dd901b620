"""Who may come in, and whom a credential names.

Claude Code sends its credential in one of two headers, other clients in a third, and a prior generation of proxies let the
token carry the model behind a colon. All of these are read here; comparing takes the same time whether the first byte
differs or the last. Pure.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator

import attrs

from engine import is_meant
from engine.config import Config

_PLAIN = (b"x-api-key", b"anthropic-auth-token")


@attrs.frozen
class Admission:
    """Whether to let somebody in, and the name behind the credential's first colon, if there is one."""

    allowed: bool
    named: str | None = None


def admit(headers: Iterable[tuple[bytes, bytes]], config: Config) -> Admission:
    """Judge a request by its headers. Without a token configured everybody is let in."""
    token = config.server.token
    allowed = token is None
    for credential in _credentials(headers):
        secret, _, rest = credential.partition(":")
        if token is None:
            if rest and is_meant(config, rest):
                return Admission(True, rest)
        elif _same(credential, token.reveal()):
            allowed = True
        elif rest and _same(secret, token.reveal()):
            return Admission(True, rest)
    return Admission(allowed)


def without_ours(headers: Iterable[tuple[bytes, bytes]], config: Config) -> list[tuple[bytes, bytes]]:
    """The headers as somebody else may see them.

    Our own token is taken out: it opens this door alone. Without one the credential is the client's, for its provider, and
    only the name behind it is ours.
    """
    token = config.server.token
    kept = []
    for name, value in headers:
        credential = _credential(name, value)
        if credential is None:
            kept.append((name, value))
        elif token is None:
            rest = credential.partition(":")[2]
            kept.append((name, value.partition(b":")[0] if rest and is_meant(config, rest) else value))
        elif not _same(credential.partition(":")[0], token.reveal().partition(":")[0]):
            kept.append((name, value))
    return kept


def _credentials(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    return (credential for header in headers if (credential := _credential(*header)) is not None)


def _credential(name: bytes, value: bytes) -> str | None:
    """What a header says as a credential; None where it is none."""
    if name in _PLAIN:
        return _text(value)
    if name == b"authorization" and value[:7].lower() == b"bearer ":
        return _text(value[7:])
    return None


def _text(value: bytes) -> str:
    """A header's value. Clients send letters beyond ASCII as UTF-8 (curl) or as Latin-1 (Node)."""
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
