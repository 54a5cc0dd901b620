"""Counting a prompt by its host: one request, one number.

A count is a small thing beside a turn: no stream, no grammar, no repair. It shares with a turn what must not differ: how the
host is reached, which key it is sent, and the fields that it takes. What each wire adds is a row in a table, a builder of
the request and a reader of the answer; a wire without a row is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs
import httpx
import orjson

from engine import JSON, Ask, AttemptError, Failure
from engine.config import Provider, Wire
from policies import FailureKind
from transports import gemini
from transports._classify import MAX_ERROR_BYTES, classify
from transports._dialect import head
from transports._outgoing import count_in, count_request
from transports._wire import failure_of, up_to


@attrs.frozen
class CountDoor:
    """How one wire counts: `(address, headers, body)` of the request, and the number in a JSON answer, None for none."""

    request: Callable[[Ask], tuple[str, list[tuple[bytes, bytes]], bytes]]
    read: Callable[[JSON], int | None]


def _for_gemini(ask: Ask) -> tuple[str, list[tuple[bytes, bytes]], bytes]:
    url, body = gemini.count_request(ask)
    return url, head(ask, []), body


#: The wires that have a door for counting.
DOORS: Mapping[Wire, CountDoor] = MappingProxyType(
    {"anthropic": CountDoor(count_request, count_in), "gemini": CountDoor(_for_gemini, gemini.count_in)}
)


@attrs.define(eq=False)
class HTTPCounter:
    """The port to hosts that count. `http` gives what sends to a provider. How long to wait is the asker's affair."""

    http: Callable[[Provider], httpx.AsyncBaseTransport]

    def speaks(self, provider: Provider) -> bool:
        return provider.wire in DOORS and "count_tokens" in provider.paths

    async def count(self, ask: Ask) -> int:
        door = DOORS[ask.provider.wire]
        request = _built(ask, door)
        try:
            return await self._count(ask, door, request)
        except AttemptError as error:
            if not error.failure.stale:
                raise
        return await self._count(ask, door, request)

    async def _count(self, ask: Ask, door: CountDoor, request: httpx.Request) -> int:
        try:
            response = await self.http(ask.provider).handle_async_request(request)
        except httpx.HTTPError as error:
            raise AttemptError(failure_of(error)) from error
        try:
            body = await up_to(response, MAX_ERROR_BYTES, whole=True)
        except httpx.HTTPError as error:
            raise AttemptError(failure_of(error)) from error
        finally:
            await response.stream.aclose()  # type: ignore[union-attr]
        if response.status_code != 200:
            # What the host says of it is told to nobody: it might quote the key.
            kind = classify(response.status_code, dict(response.headers), body).kind
            status = response.status_code
            if status in _NO_DOOR:
                kind = FailureKind.GONE
            raise AttemptError(Failure(kind=kind, message="it did not count", status=status))
        tokens = _read(door, body)
        if tokens is None:
            raise AttemptError(Failure(kind=FailureKind.MALFORMED, message="an answer without a count", status=200))
        return tokens


#: Statuses of a host that does not know the door, whatever it says.
_NO_DOOR = frozenset([404, 405, 410, 501])


def _built(ask: Ask, door: CountDoor) -> httpx.Request:
    limits = ask.provider.timeouts_for(ask.candidate.model)
    timeouts = {"connect": limits.connect_s, "write": limits.write_s, "read": None, "pool": None}
    try:
        url, headers, body = door.request(ask)
        return httpx.Request("POST", url, headers=headers, content=body, extensions={"timeout": timeouts})
    except (httpx.InvalidURL, ValueError, KeyError) as error:
        # Ours to answer for, and no word on whether the host counts.
        raise AttemptError(Failure(kind=FailureKind.BUG, message=f"not buildable: {type(error).__name__}")) from error


def _read(door: CountDoor, body: bytes) -> int | None:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return door.read(answer) if isinstance(answer, dict) else None
