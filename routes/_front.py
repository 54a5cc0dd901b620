"""The one entrance: every request gets an id, is checked, bounded and logged, and whatever goes wrong is answered in kind.

Two halves stand behind it, the hot path in bare ASGI and the doors for people in Quart. Doing authentication, limits and
errors in each would be doing them twice and differently. No traceback, no secret and no prompt leaves from here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import attrs
import trio

from engine import (
    BadRequest,
    EventBus,
    InternalError,
    Named,
    NoSuchModel,
    Refusal,
    Router,
    error_body,
    error_type,
    trace_of,
    with_headers,
)
from engine.config import Config, Server
from routes import _messages
from routes._asgi import (
    App,
    Arriving,
    ClientGone,
    Message,
    Receive,
    Scope,
    Send,
    TooLarge,
    TooSlow,
    answer_unread,
    read_body,
)
from routes._auth import Admission, admit, without_ours
from routes._messages import Envelope, Turns
from routes._models import Picker
from routes._origin import foreign_page, stranger
from routes._paths import METHODS, PROBED, Place, place
from routes._people import REQUEST_ID

#: Paths of the doors for people that need no token: they hold no data.
OPEN = frozenset(["/", "/health", "/ready"])


@attrs.frozen(kw_only=True)
class Access:
    """One line of the access log. `elapsed_s` runs to the last byte; status 499 means that the client left first."""

    request_id: str
    method: str
    path: str
    status: int
    elapsed_s: float


class _Refused(Exception):
    """An answer decided before the body was read."""

    def __init__(self, refusal: Refusal, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.headers = headers or []


def _refuse(status: int, message: str, **more: Any) -> _Refused:
    headers = more.pop("headers", None)
    return _Refused(Refusal(status=status, type=error_type(status), message=message, **more), headers)


@attrs.define(eq=False)
class Front:
    """The ASGI application. `people` is the Quart half, `log` takes one line a request."""

    config: Callable[[], Config]
    router: Router
    turns: Turns
    bus: EventBus
    people: App
    log: Callable[[Access], None]
    _body_bytes: int = 0
    _listed: Picker | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = f"req_{secrets.token_hex(12)}"
        began_at = trio.current_time()
        status = 0
        arriving = Arriving(receive)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not any(name == b"request-id" for name, _ in message["headers"]):
                    message = {**message, "headers": [*message["headers"], (b"request-id", request_id.encode())]}
            await send(message)

        try:
            status = await self._dispatch(scope, arriving, noting, request_id, began_at) or status
        except _Refused as refused:
            refusal = refused.refusal
            headers = [(b"request-id", request_id.encode()), *refused.headers, *with_headers(refusal)]
            body = error_body(refusal.type, refusal.message, request_id) if refusal.type else b""
            await answer_unread(arriving, noting, refusal.status, body, headers)
        except ClientGone:
            status = 499
        except Exception as error:  # the last resort: a fault of ours, told without its text
            self._report(error, request_id)
            if status == 0:
                body = error_body("api_error", "internal error; its cause is in the server's log", request_id)
                await answer_unread(arriving, noting, 500, body, [(b"request-id", request_id.encode())])
        finally:
            elapsed_s = trio.current_time() - began_at
            path = scope["path"]
            self.log(
                Access(
                    request_id=request_id, method=scope["method"], path=path, status=status or 499, elapsed_s=elapsed_s
                )
            )

    async def _dispatch(self, scope: Scope, receive: Arriving, send: Send, request_id: str, at: float) -> int | None:
        if scope["http_version"].startswith("2"):
            # hypercorn has no back-pressure on cleartext HTTP/2: a client that grants no window makes it buffer without end.
            raise _refuse(505, "HTTP/2 is not served here; use HTTP/1.1")
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
            # Two lengths: a proxy before us may have gone by the other one, and what follows is then another's request.
            closing = [(b"connection", b"close")]
            raise _refuse(400, "content-length and transfer-encoding in one request", headers=closing)
        scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        config = self.config()
        where = place(scope.get("raw_path") or scope["path"].encode())
        self._probe(scope, where)
        admission = admit(scope["headers"], config)
        is_open = where.door == "people" and scope["path"] in OPEN
        if not admission.allowed and not is_open:
            raise _refuse(
                401,
                f"this server wants the token in its variable {config.server.auth_token_env}: send it as "
                "'Authorization: Bearer' (ANTHROPIC_AUTH_TOKEN) or 'x-api-key' (ANTHROPIC_API_KEY)",
                should_retry=False,
            )
        if not is_open:
            self._check_origin(scope, where, config.server)
        if where.door == "people":
            told = [*scope["headers"], (REQUEST_ID, request_id.encode())]
            await self.people({**scope, "headers": told}, receive, send)
            return None
        if scope["method"] not in METHODS[where.door]:
            allowed = [(b"allow", METHODS[where.door].encode())]
            raise _refuse(405, f"{scope['method']} is not a method of {scope['path']}", headers=allowed)
        named = _named(admission, where)
        if where.door == "models":
            picker = self._picker(config)
            try:
                listed = picker.answer(where.model, scope["query_string"], named)
            except BadRequest as error:
                raise _refuse(400, str(error)) from None
            except NoSuchModel as error:
                raise _refuse(404, str(error)) from None
            await answer_unread(receive, send, 200, listed, [(b"request-id", request_id.encode())])
            return 200
        envelope = Envelope(
            request_id=request_id,
            named=named,
            accepted_at=at,
            headers=without_ours(scope["headers"], config),
            query=scope["query_string"],
        )
        return await self._with_body(scope, receive, send, envelope, where)

    def _picker(self, config: Config) -> Picker:
        """The list of models, made once for each configuration."""
        if self._listed is None or self._listed.config is not config:
            self._listed = Picker.of(config)
        return self._listed

    def _check_origin(self, scope: Scope, where: Place, server: Server) -> None:
        """Without a token only this machine comes in, and no web page; with one, no page to the doors for people."""
        if server.token is None:
            peer = scope.get("client")
            why = stranger(scope["headers"], peer[0] if peer else None, server)
        elif where.door == "people" and foreign_page(scope["headers"]):
            why = "a web page of another origin sent this; this door is for people and their tools"
        else:
            why = None
        if why is not None:
            raise _refuse(403, why, should_retry=False)

    def _probe(self, scope: Scope, where: Place) -> None:
        """HEAD and OPTIONS are how clients and people look whether anybody is there."""
        if scope["method"] not in ("HEAD", "OPTIONS"):
            return
        if where.door != "people" or scope["path"] in PROBED:
            refusal = Refusal(status=204, type="", message="")
            raise _Refused(refusal, [(b"allow", METHODS[where.door].encode())])

    async def _with_body(self, scope: Scope, receive: Receive, send: Send, envelope: Envelope, where: Place) -> int:
        server = self.config().server
        limit = server.max_body_bytes
        too_large = f"the body is larger than {limit} bytes ([server] max_body_mb)"
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > limit:
            raise _refuse(413, too_large)
        crowded = _refuse(503, "too many request bodies at once", retry_after_s=1)
        if self._body_bytes + (int(length) if length.isdigit() else 0) > server.max_total_body_bytes:
            raise crowded
        held = 0

        def took(size: int) -> None:
            nonlocal held
            held += size
            self._body_bytes += size
            if self._body_bytes > server.max_total_body_bytes:
                raise crowded

        try:
            raw = await read_body(receive, limit=limit, within_s=server.body_s, took=took)
            if where.door == "count_tokens":
                return await _messages.count_tokens(self.router, raw, envelope, send)
            turn = _messages.messages(self.turns, raw, envelope, receive, send)
            del raw  # the turn has it, and lets it go before its end
            return await turn
        except TooLarge:
            raise _refuse(413, too_large) from None
        except TooSlow:
            raise _refuse(408, f"the body was not complete within {server.body_s:g} s") from None
        except BadRequest as error:
            raise _refuse(400, str(error)) from None
        finally:
            self._body_bytes -= held

    def _report(self, error: Exception, request_id: str) -> None:
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]  # the group's own frames are those of nurseries
        at = trio.current_time()
        self.bus.emit(InternalError(at=at, request_id=request_id, where="front", trace=trace_of(error)))


def _named(admission: Admission, where: Place) -> Named | None:
    """Whom the token names, else whom the address names."""
    if admission.named:
        return Named(admission.named, "token")
    return Named(where.named, "address") if where.named else None


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing is started here: what runs in the background runs beside the server, where a crash is seen."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
