"""`POST /v1/messages` and `/v1/messages/count_tokens`: from bytes to a turn, and back.

Bare ASGI, because this is the hot path: no per-request framework cost, and exact control of what a disconnect means.
"""

from __future__ import annotations

import attrs
import orjson
import trio

from engine import MAX_MODEL_CHARS, BadRequest, Request, Router, measure, need_of, parse
from routes._asgi import Headers, Receive, Send, answer
from routes._reply import JSONReply, SSEReply

#: The most that is kept of a session's or an agent's name, in characters; Claude Code's have 36.
NAME_CHARS = 128


@attrs.frozen(kw_only=True)
class Envelope:
    """What the front knows of a request before its body is looked at."""

    request_id: str
    forced: str | None
    accepted_at: float
    headers: Headers
    query: bytes


def request_of(raw: bytes, envelope: Envelope, *, counting: bool = False) -> Request:
    """A body as a request. Raises BadRequest naming the field."""
    body = parse(raw, counting=counting)
    if envelope.forced and len(envelope.forced) > MAX_MODEL_CHARS:
        raise BadRequest(f"model: expected at most {MAX_MODEL_CHARS} characters, got {len(envelope.forced)}")
    named = {name: value.decode("latin-1") for name, value in envelope.headers}
    prompt = measure(body, raw)
    return Request(
        id=envelope.request_id,
        model=body["model"],
        body=body,
        raw=raw,
        need=need_of(body, raw, prompt),
        prompt=prompt,
        headers=tuple(envelope.headers),
        query=envelope.query,
        session=named.get(b"x-claude-code-session-id", "")[:NAME_CHARS],
        agent=named.get(b"x-claude-code-agent-id", "")[:NAME_CHARS],
        forced=envelope.forced,
        accepted_at=envelope.accepted_at,
    )


async def messages(router: Router, raw: bytes, envelope: Envelope, receive: Receive, send: Send) -> int:
    """One turn. Returns the status that was sent, 499 where the client left first. Raises BadRequest."""
    request = request_of(raw, envelope)
    reply = (SSEReply if request.stream else JSONReply)(send, request.id)
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            if not reply.ending:
                nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        nursery.start_soon(reply.keep_alive)
        await router.serve(request, reply)
        nursery.cancel_scope.cancel()
    return reply.status if reply.ending else 499


async def count_tokens(router: Router, raw: bytes, envelope: Envelope, send: Send) -> int:
    """The prompt's tokens, by the provider's own count or an estimate. Raises BadRequest."""
    tokens = await router.count(request_of(raw, envelope, counting=True))
    await answer(send, 200, orjson.dumps({"input_tokens": tokens}), [(b"request-id", envelope.request_id.encode())])
    return 200
