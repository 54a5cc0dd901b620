"""`POST /v1/messages` and `/v1/messages/count_tokens`: from bytes to a turn, and back.

Bare ASGI, because this is the hot path: no per-request framework cost, and exact control of what a disconnect means.
"""

from __future__ import annotations

from typing import Protocol

import attrs
import orjson
import trio

from engine import (
    JSON,
    MAX_MODEL_CHARS,
    BadRequest,
    Named,
    NoSuchModel,
    Refusal,
    Reply,
    Request,
    Router,
    error_type,
    measure,
    need_of,
    parse,
)
from routes import _hatches
from routes._asgi import Headers, Receive, Send, answer
from routes._reply import JSONReply, SSEReply, refused

#: The most that is kept of a session's or an agent's name, in characters; Claude Code's have 36.
NAME_CHARS = 128


class Turns(Protocol):
    """Who takes a request to its answer: the router, or whoever stands before it."""

    async def serve(self, request: Request, reply: Reply) -> None: ...


@attrs.frozen(kw_only=True)
class Envelope:
    """What the front knows of a request before its body is looked at."""

    request_id: str
    named: Named | None
    accepted_at: float
    headers: Headers
    query: bytes


@attrs.frozen(kw_only=True)
class _Read:
    """A body without what in it is ours, and what the request says to us."""

    body: JSON
    raw: bytes
    above: Named | None
    hatches: _hatches.Hatches


def _read(raw: bytes, envelope: Envelope, *, counting: bool = False) -> _Read:
    """Raises BadRequest naming the field or the header."""
    body = parse(raw, counting=counting)
    hatches = _hatches.of_body(body).over(_hatches.of_headers(envelope.headers))
    above = hatches.model or envelope.named
    if above is not None and len(above.name) > MAX_MODEL_CHARS:
        raise BadRequest(f"{above.place}: expected at most {MAX_MODEL_CHARS} characters, got {len(above.name)}")
    body, raw = _hatches.without(body, raw)
    return _Read(body=body, raw=raw, above=above, hatches=hatches)


def request_of(raw: bytes, envelope: Envelope, *, counting: bool = False) -> Request:
    """A body as a request. Raises BadRequest naming the field."""
    read = _read(raw, envelope, counting=counting)
    body, raw = read.body, read.raw
    named = {name: value.decode("latin-1") for name, value in envelope.headers}
    prompt = measure(body, raw)
    return Request(
        id=envelope.request_id,
        model=body["model"],
        body=body,
        raw=raw,
        need=need_of(body, raw, prompt),
        prompt=prompt,
        headers=tuple(header for header in envelope.headers if not header[0].startswith(_hatches.PREFIX)),
        query=envelope.query,
        session=named.get(b"x-claude-code-session-id", "")[:NAME_CHARS],
        agent=named.get(b"x-claude-code-agent-id", "")[:NAME_CHARS],
        above=read.above,
        policies=read.hatches.policies,
        accepted_at=envelope.accepted_at,
    )


async def messages(turns: Turns, raw: bytes, envelope: Envelope, receive: Receive, send: Send) -> int:
    """One turn. Returns the status that was sent, 499 where the client left first. Raises BadRequest."""
    request = request_of(raw, envelope)
    reply = (SSEReply if request.stream else JSONReply)(send, request.id)
    turn = turns.serve(request, reply)
    del request, raw  # the turn has them, and lets go of them when nobody will be asked any more
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            if not reply.ending:
                nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        nursery.start_soon(reply.keep_alive)
        await turn
        nursery.cancel_scope.cancel()
    return reply.status if reply.ending else 499


async def count_tokens(router: Router, raw: bytes, envelope: Envelope, send: Send) -> int:
    """The prompt's tokens, by the provider's own count or an estimate. Raises BadRequest."""
    try:
        tokens = await router.count(request_of(raw, envelope, counting=True))
    except NoSuchModel as error:
        refusal = Refusal(status=error.status, type=error_type(error.status), message=str(error))
        await refused(send, refusal, envelope.request_id)
        return error.status
    await answer(send, 200, orjson.dumps({"input_tokens": tokens}), [(b"request-id", envelope.request_id.encode())])
    return 200
