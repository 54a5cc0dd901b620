"""One exchange with a provider that speaks HTTP: send, judge the head, hand over batches of events.

A status of 200 is not yet an answer: it may hold an HTML page of a captive portal, a JSON error, nothing at all, or a whole
JSON message where a stream was asked for. And every library below has its own exceptions. Both are settled here, so that
an attempt sees batches of events or one `AttemptError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import httpx
import orjson
import trio

from engine import Ask, AttemptError, Failure, StreamEvent
from policies import FailureKind
from transports import _outgoing
from transports._anthropic import AnthropicDecoder, StreamError
from transports._classify import MAX_ERROR_BYTES, classify
from transports._sse import SSEError

#: How long the body of an error may take, in seconds; its status alone says enough.
ERROR_BODY_S = 5.0
#: How long to wait for the end of a body after its last event, so that the connection can be used again, in seconds.
LAST_CHUNK_S = 0.25
#: The largest JSON answer that is read where a stream was asked for, in bytes.
MAX_WHOLE_BYTES = 64 * 1024 * 1024

#: Library exception -> failure. The first row that matches holds.
_EXCEPTIONS: tuple[tuple[type[Exception], FailureKind], ...] = (
    (httpx.ConnectTimeout, FailureKind.CONNECT_TIMEOUT),
    (httpx.ConnectError, FailureKind.CONNECT),
    (httpx.ProxyError, FailureKind.CONNECT),
    (httpx.UnsupportedProtocol, FailureKind.CONNECT),
    (httpx.WriteTimeout, FailureKind.RESET),
    (httpx.ReadTimeout, FailureKind.IDLE_TIMEOUT),
    (httpx.DecodingError, FailureKind.MALFORMED),
    (httpx.RemoteProtocolError, FailureKind.RESET),
    (httpx.HTTPError, FailureKind.RESET),
    (SSEError, FailureKind.MALFORMED),
    (StreamError, FailureKind.MALFORMED),
)
_CAUGHT = (httpx.HTTPError, SSEError, StreamError)


def failure_of(error: Exception) -> Failure:
    """The failure that a library's exception stands for."""
    kind = next(kind for cls, kind in _EXCEPTIONS if isinstance(error, cls))
    stale = bool(getattr(error, "hedgerow_stale", False))
    return Failure(kind=kind, message=str(error) or type(error).__name__, stale=stale)


@attrs.define(eq=False)
class HTTPExchange:
    """An answer that began with 200. `read` gives the events of one socket read."""

    _chunks: AsyncIterator[bytes]
    _decoder: AnthropicDecoder
    _first: list[StreamEvent] = attrs.field(factory=list)
    _over: bool = False

    async def read(self) -> list[StreamEvent] | None:
        if self._first:
            first, self._first = self._first, []
            return first
        if self._over:
            return None
        try:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                self._over = True
                return self._decoder.finish() or None
            return self._decoder.feed(chunk)
        except _CAUGHT as error:
            raise AttemptError(failure_of(error)) from error

    async def drain(self) -> None:
        """Read what is left after the last event, briefly: usually the final empty chunk."""
        with trio.move_on_after(LAST_CHUNK_S):
            try:
                while not self._over and await anext(self._chunks, None) is not None:
                    pass
            except _CAUGHT:
                return


@attrs.define(eq=False)
class AnthropicHTTP:
    """The transport of wire `anthropic`. `http` is what sends; `wall_s` gives the time of day for dates in headers."""

    http: httpx.AsyncBaseTransport
    wall_s: Callable[[], float]

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[HTTPExchange]:
        """Send and await the head. Raises AttemptError for whatever is not the beginning of an answer."""
        try:
            response = await self.http.handle_async_request(self._request(ask))
        except _CAUGHT as error:
            raise AttemptError(failure_of(error)) from error
        try:
            if response.status_code != 200:
                raise AttemptError(await self._refused(response))
            exchange = await self._exchange(ask, response)
            yield exchange
            await exchange.drain()
        finally:
            await response.stream.aclose()  # type: ignore[union-attr]

    def _request(self, ask: Ask) -> httpx.Request:
        provider = ask.provider
        url = _outgoing.joined(provider.url("messages"), ask.request.query, open_lists=provider.open_lists)
        timeouts = {"connect": provider.connect_s, "write": provider.write_s, "read": None, "pool": None}
        try:
            return httpx.Request(
                "POST",
                url,
                headers=_outgoing.headers(ask),
                content=_outgoing.body(ask),
                extensions={"timeout": timeouts},
            )
        except (httpx.InvalidURL, ValueError) as error:
            message = f"the request cannot be built: {type(error).__name__}"
            raise AttemptError(Failure(kind=FailureKind.CONNECT, message=message)) from error

    async def _refused(self, response: httpx.Response) -> Failure:
        body = b""
        with trio.move_on_after(ERROR_BODY_S):
            body = await _up_to(response, MAX_ERROR_BYTES, whole=False)
        headers = {k.lower(): v for k, v in response.headers.items()}
        return classify(response.status_code, headers, body, now_wall_s=self.wall_s())

    async def _exchange(self, ask: Ask, response: httpx.Response) -> HTTPExchange:
        encoding = response.headers.get("content-encoding", "identity")
        if encoding not in ("", "identity"):
            raise AttemptError(
                Failure(kind=FailureKind.MALFORMED, message=f"compressed ({encoding}) although not asked for")
            )
        decoder = AnthropicDecoder(
            model=ask.request.model,
            message_id=f"msg_{ask.request.id.removeprefix('req_')}",
            estimate=ask.request.need.input_tokens,
        )
        chunks = aiter(response.stream)  # type: ignore[arg-type]
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type in ("text/event-stream", ""):
            return HTTPExchange(chunks, decoder)
        if content_type == "application/json":
            return HTTPExchange(chunks, decoder, await self._whole(response, decoder), over=True)
        message = f"{content_type} instead of an event stream"
        raise AttemptError(Failure(kind=FailureKind.MALFORMED, message=message, status=200))

    async def _whole(self, response: httpx.Response, decoder: AnthropicDecoder) -> list[StreamEvent]:
        """A JSON body with status 200: a whole message, or an error that should have had another status."""
        try:
            body = await _up_to(response, MAX_WHOLE_BYTES, whole=True)
            parsed = orjson.loads(body) if body else None
            if isinstance(parsed, dict) and "error" in parsed:
                headers = {"content-type": "application/json"}
                failure = attrs.evolve(classify(500, headers, body), status=200)
                raise AttemptError(attrs.evolve(failure, kind=FailureKind.ERROR_EVENT))
            if not isinstance(parsed, dict):
                kind = FailureKind.MALFORMED if body else FailureKind.EMPTY
                raise AttemptError(Failure(kind=kind, message="a JSON answer that is not a message", status=200))
            return decoder.whole(parsed)
        except orjson.JSONDecodeError as error:
            raise AttemptError(
                Failure(kind=FailureKind.MALFORMED, message="a body that is not JSON", status=200)
            ) from error
        except _CAUGHT as error:
            raise AttemptError(failure_of(error)) from error


async def _up_to(response: httpx.Response, limit: int, *, whole: bool) -> bytes:
    """A body's first `limit` bytes. Unless it must be `whole`, a body that breaks off counts as far as it came."""
    parts: list[bytes] = []
    size = 0
    try:
        async for chunk in response.stream:  # type: ignore[union-attr]
            parts.append(chunk)
            size += len(chunk)
            if size >= limit:
                break
    except httpx.HTTPError:
        if whole:
            raise
    return b"".join(parts)[:limit]
