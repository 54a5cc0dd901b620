"""One exchange with a provider that speaks HTTP, in whichever dialect: send, judge the head, hand over batches of events.

A status of 200 is not yet an answer: it may hold an HTML page of a captive portal, a JSON error, nothing at all, or a whole
JSON message where a stream was asked for. And every library below has its own exceptions. Both are settled here, so that
an attempt sees batches of events or one `AttemptError`.

Whatever a provider says of a failure is cleared of keys here, before it is cut to a length that might leave half of one.
"""

from __future__ import annotations

import errno
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import httpx
import orjson
import trio

from engine import JSON, Ask, AttemptError, Failure, Kind, Quota, StreamEvent
from engine.config import Provider
from policies import FailureKind
from transports import _overflow
from transports._anthropic import StreamError
from transports._classify import MAX_ERROR_BYTES, classify, classify_in_stream
from transports._dialect import EVENT_STREAM, Decoder, Dialect, TooDeep, Turn
from transports._keys import Keys
from transports._quotas import quota_of
from transports._readable import Readable
from transports._sse import SSEError
from transports._text_calls import with_text_calls

#: How long the body of an error may take, in seconds; its status alone says enough.
ERROR_BODY_S = 5.0
#: How long to wait for the end of a body after its last event, so that the connection can be used again, in seconds.
LAST_CHUNK_S = 0.25
#: How long to wait for what comes behind the end of an answer, a count of tokens or the end of the stream, in seconds.
AFTER_END_S = 3.0
#: The largest JSON answer that is read where a stream was asked for, in bytes. Parsed it takes many times as much.
MAX_WHOLE_BYTES = 16 * 1024 * 1024
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
    if _is_ours(error):
        kind = FailureKind.BUG
    stale = bool(getattr(error, "hedgerow_stale", False))
    bad_call = getattr(error, "bad_call", False)
    return Failure(kind=kind, message=str(error) or type(error).__name__, stale=stale, bad_call=bad_call)


def _is_ours(error: BaseException | None) -> bool:
    """Whether this machine, not the provider, is at the end of its means: no provider's health may suffer for it."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(_is_ours, error.exceptions))
    if isinstance(error, OSError) and error.errno in _EXHAUSTED:
        return True
    return error is not None and _is_ours(error.__cause__ or error.__context__)


_EXHAUSTED = frozenset([errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])


@attrs.define(eq=False)
class HTTPExchange:
    """An answer that began with 200. `read` gives the events of one socket read."""

    _ask: Ask | None  # until there is content
    _chunks: AsyncIterator[bytes]
    _decoder: Decoder
    _keys: Keys
    _first: list[StreamEvent] = attrs.field(factory=list)
    _over: bool = False
    via: str = "http"
    quota: Quota = ()

    async def read(self) -> list[StreamEvent] | None:
        if self._first:
            first, self._first = self._first, []
            return first
        if self._over:
            return None
        began = self._decoder.began
        try:
            chunk = await self._next()
            if chunk is None:
                self._over = True
                return self._judged(self._decoder.finish(), began) or None
            return self._judged(self._decoder.feed(chunk), began)
        except _CAUGHT as error:
            raise self._keys.struck_from_error(failure_of(error)) from error

    async def _next(self) -> bytes | None:
        """The next read; None at the end. An answer that its host has ended is not undone by how its stream ends.

        Some hosts break the connection off behind the last event, some hold it open and say nothing more.
        """
        if not self._decoder.ended:
            return await anext(self._chunks, None)
        chunk: bytes | None = None
        with trio.move_on_after(AFTER_END_S if self._decoder.settled else math.inf):
            try:
                chunk = await anext(self._chunks, None)
            except httpx.HTTPError:
                return None
        return chunk

    def _judged(self, events: list[StreamEvent], began: bool) -> list[StreamEvent]:
        """The events, unless they say that the prompt was too long; a refusal among them raises AttemptError."""
        if not began and self._ask is not None and (too_long := _overflow.counted(self._ask, events)):
            raise AttemptError(too_long)
        if self._decoder.began:
            self._ask = None
        return self._keys.judged(events, began)

    async def drain(self) -> None:
        """Read what is left after a whole message, briefly: usually the final empty chunk.

        After a failure the next candidate is waiting, and a connection is not worth its time.
        """
        if not self._decoder.complete:
            return
        with trio.move_on_after(LAST_CHUNK_S):
            try:
                while not self._over and await anext(self._chunks, None) is not None:
                    pass
            except _CAUGHT:
                return


@attrs.define(eq=False)
class WireHTTP:
    """The transport of one wire. `http` gives what sends to a provider; `wall_s` the time of day for dates in headers."""

    http: Callable[[Provider], httpx.AsyncBaseTransport]
    wall_s: Callable[[], float]
    dialect: Dialect
    #: Has the texts of documents for those that cannot take them; one for all wires keeps each text once.
    readable: Readable = attrs.field(factory=Readable)

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[HTTPExchange]:
        """Send and await the head. Raises AttemptError for whatever is not the beginning of an answer."""
        keys = Keys.of(ask)
        turn = await self.turn(ask)
        try:
            response = await self.http(ask.provider).handle_async_request(_request(ask, turn))
        except _CAUGHT as error:
            failure = failure_of(error)
            if ask.provider.proxy is not None:
                failure = attrs.evolve(failure, message=f"through its proxy: {failure.message}")
            raise keys.struck_from_error(failure) from error
        stream = response.stream
        try:
            if response.status_code != 200:
                raise keys.struck_from_error(await self._refused(ask, turn, response, keys))
            exchange = await self._exchange(ask, turn, response, keys)
            exchange.quota = quota_of({k.lower(): v for k, v in response.headers.items()}, self.wall_s())
            del ask, turn, response  # what was asked takes more room than what is answered
            yield exchange
            await exchange.drain()
        finally:
            await stream.aclose()  # type: ignore[union-attr]

    async def turn(self, ask: Ask) -> Turn:
        """The request, written, and the reader of its answer. Raises AttemptError for one that is not to be sent."""
        if too_long := _overflow.foreseen(ask):
            raise AttemptError(too_long)
        try:
            turn = self.dialect(await self.readable.made(ask))
            return attrs.evolve(turn, decoder=with_text_calls(ask, turn.decoder))
        except TooDeep as error:
            raise AttemptError(too_deep(error)) from error
        except ValueError as error:
            raise AttemptError(_unbuildable(error)) from error

    async def _refused(self, ask: Ask, turn: Turn, response: httpx.Response, keys: Keys) -> Failure:
        body = b""
        with trio.move_on_after(ERROR_BODY_S):
            body = await up_to(response, MAX_ERROR_BYTES, whole=False)
        headers = {k.lower(): v for k, v in response.headers.items()}
        failure = classify(
            response.status_code,
            headers,
            keys.struck_from_body(body),
            now_wall_s=self.wall_s(),
            sent=turn.optional,
            max_tokens=turn.max_tokens,
        )
        if _overflow.meant(ask, response.status_code, body):
            return attrs.evolve(failure, kind=FailureKind.TOO_LONG, message="refused without a word, near the window")
        return failure

    async def _exchange(self, ask: Ask, turn: Turn, response: httpx.Response, keys: Keys) -> HTTPExchange:
        encoding = response.headers.get("content-encoding", "identity")
        if encoding not in ("", "identity"):
            message = f"compressed ({encoding}) although not asked for"
            raise keys.struck_from_error(Failure(kind=FailureKind.MALFORMED, message=message))
        decoder = turn.decoder
        chunks = aiter(response.stream)  # type: ignore[arg-type]
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type in (turn.stream_type, ""):
            return HTTPExchange(ask, chunks, decoder, keys)
        if content_type == "application/json":
            events = await self._whole(response, decoder, keys)
            if too_long := _overflow.counted(ask, events):
                raise AttemptError(too_long)
            return HTTPExchange(ask, chunks, decoder, keys, events, over=True)
        message = f"{content_type} instead of {_STREAMS.get(turn.stream_type, turn.stream_type)}"
        raise keys.struck_from_error(Failure(kind=FailureKind.MALFORMED, message=message, status=200))

    async def _whole(self, response: httpx.Response, decoder: Decoder, keys: Keys) -> list[StreamEvent]:
        """A JSON body with status 200: a whole message, or an error that should have had another status."""
        try:
            body = await up_to(response, MAX_WHOLE_BYTES, whole=True)
            parsed = orjson.loads(body) if body else None
            if isinstance(parsed, list) and len(parsed) == 1:
                parsed = parsed[0]  # Gemini's errors come in a list
            if isinstance(parsed, list) and parsed and all(isinstance(one, dict) for one in parsed):
                return self._listed(parsed, decoder, keys)
            if isinstance(parsed, dict) and parsed.get("error"):
                raise keys.struck_from_error(classify_in_stream(parsed))
            if not isinstance(parsed, dict):
                kind = FailureKind.MALFORMED if body else FailureKind.EMPTY
                raise AttemptError(Failure(kind=kind, message="a JSON answer that is not a message", status=200))
            events = decoder.whole(parsed)
            if events and events[-1].kind is Kind.ERROR:
                raise keys.struck_from_error(classify_in_stream(events[-1].payload))
            return events
        except orjson.JSONDecodeError as error:
            raise AttemptError(
                Failure(kind=FailureKind.MALFORMED, message="a body that is not JSON", status=200)
            ) from error
        except _CAUGHT as error:
            raise keys.struck_from_error(failure_of(error)) from error

    def _listed(self, chunks: list[JSON], decoder: Decoder, keys: Keys) -> list[StreamEvent]:
        """A stream's chunks as one JSON list: how Gemini answers where `alt=sse` was lost on the way."""
        try:
            frames = [b"data: %s\n\n" % orjson.dumps(chunk) for chunk in chunks]
        except orjson.JSONEncodeError:
            raise StreamError("a list of chunks that is nested too deeply") from None
        events = decoder.feed(b"".join(frames)) + decoder.finish()
        if not events:
            raise StreamError("a JSON answer that is not a message")
        if events and events[-1].kind is Kind.ERROR:
            raise keys.struck_from_error(classify_in_stream(events[-1].payload))
        return events


_STREAMS = {EVENT_STREAM: "an event stream"}


def _request(ask: Ask, turn: Turn) -> httpx.Request:
    limits = ask.provider.timeouts_for(ask.candidate.model)
    timeouts = {"connect": limits.connect_s, "write": limits.write_s, "read": None, "pool": None}
    try:
        return httpx.Request(
            "POST", turn.url, headers=turn.headers, content=turn.body, extensions={"timeout": timeouts}
        )
    except (httpx.InvalidURL, ValueError) as error:
        raise AttemptError(_unbuildable(error)) from error


def too_deep(error: TooDeep) -> Failure:
    """The failure that a body is which can be read and cannot be written."""
    return Failure(kind=FailureKind.CLIENT, message=str(error), status=400)


def _unbuildable(error: Exception) -> Failure:
    return Failure(kind=FailureKind.CONNECT, message=f"the request cannot be built: {type(error).__name__}")


async def up_to(response: httpx.Response, limit: int, *, whole: bool) -> bytes:
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
