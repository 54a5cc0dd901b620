"""The transport's failures, as the exceptions httpx documents.

Callers sort failures by class, so the classes must be httpx's own, and exactly those its default transport raises in
the same situation. What is better here: the message is never empty, it never quotes more than a line of what a peer
sent, and a failure that a fresh connection would probably not have had can be told from others (`is_stale`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import h11
import httpx
import trio

Table: TypeAlias = Mapping[type[Exception], type[httpx.TransportError]]

REQUEST: Final[Table] = {h11.LocalProtocolError: httpx.LocalProtocolError}

WRITE: Final[Table] = {
    h11.LocalProtocolError: httpx.LocalProtocolError,
    trio.BrokenResourceError: httpx.WriteError,
    trio.ClosedResourceError: httpx.WriteError,
    trio.TooSlowError: httpx.WriteTimeout,
}

READ: Final[Table] = {
    h11.RemoteProtocolError: httpx.RemoteProtocolError,
    trio.BrokenResourceError: httpx.ReadError,
    trio.ClosedResourceError: httpx.ReadError,
    trio.TooSlowError: httpx.ReadTimeout,
}

READ_FAILURES: Final = tuple(READ)

#: How a connection shows that it was dead before it was used again. A timeout is no such sign.
_STALE: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)

_LONGEST_MESSAGE: Final = 200


def translated(error: Exception, table: Table, request: httpx.Request) -> Exception:
    """`error` as the table has it, with the original as its cause; itself, if the table does not know it."""
    kind = next((table[base] for base in type(error).__mro__ if base in table), None)
    if kind is None:
        return error
    mapped = kind((str(error) or type(error).__name__)[:_LONGEST_MESSAGE], request=request)
    mapped.__cause__ = error
    return mapped


def mark_stale(error: BaseException) -> None:
    """Set `hedgerow_stale = True` on a failure of a reused connection that came before any response byte."""
    if isinstance(error, _STALE):
        error.hedgerow_stale = True  # type: ignore[union-attr]


def is_stale(error: BaseException) -> bool:
    """Did a reused connection die before it brought a single byte of response?

    The peer had probably closed it while it lay idle and our request crossed with that; one more try on a fresh
    connection is safe for anything that may be sent twice. The transport itself never tries again.
    """
    return getattr(error, "hedgerow_stale", False) is True
