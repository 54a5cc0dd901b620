"""The doors for people: what runs here, what is usable and why not, and why a request went where it went.

Quart, because comfort matters more than microseconds here. It does no authentication of its own: the front has done it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import attrs
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from engine import EVERY, JSON, Books, Learned, Router, error_body, error_type
from engine.config import REHEARSAL, Config, Provider, Secret
from engine.observers.recent import Recent
from policies import Candidate
from routes._care import Care, add_care

#: How the front tells these doors the id it has given a request.
REQUEST_ID = b"x-hedgerow-request-id"


@attrs.frozen(kw_only=True)
class Desk:
    """What the doors for people tell of. `wall_s` is the time of day, `at` the engine's clock."""

    version: str
    config: Callable[[], Config]
    books: Books
    router: Router
    recent: Recent
    wall_s: Callable[[], float]
    at: Callable[[], float]
    #: What may be done to providers here; None: nothing.
    care: Care | None = None


def people(desk: Desk) -> QuartTrio:
    """The Quart app. Its limits are the front's, so its own are lifted: a default of 60 s would cut long answers silently."""
    app = QuartTrio("hedgerow", static_folder=None)
    app.config["RESPONSE_TIMEOUT"] = None
    app.config["BODY_TIMEOUT"] = None
    app.config["MAX_CONTENT_LENGTH"] = None
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False

    @app.errorhandler(HTTPException)
    async def as_error_object(error: HTTPException) -> Response:
        status = error.code or 500
        text = error_body(error_type(status), f"{request.method} {request.path}: {error.name.lower()}", _request_id())
        methods: list[str] | None = getattr(error, "valid_methods", None)
        headers = {"allow": ", ".join(sorted(methods))} if methods else {}
        return Response(text, status, headers, content_type="application/json")

    @app.get("/")
    async def root() -> JSON:
        return {
            "name": "hedgerow",
            "version": desk.version,
            "status": "ok",
            "timestamp": datetime.fromtimestamp(desk.wall_s(), UTC).isoformat(timespec="seconds"),
            "endpoints": ["/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/health", "/ready", "/providers"],
        }

    @app.get("/health")
    async def health() -> JSON:
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> JSON:
        config = desk.config()
        usable = [id for id, p in config.providers.items() if p.usable and p.id != REHEARSAL]
        told = [p for p in config.providers.values() if not p.usable and (p.named or not p.local)]
        return {
            "status": "ok" if usable else "rehearsal",
            "usable": usable,
            "not_usable": {p.id: p.unusable_because for p in told},
            "live_turns": desk.router.live,
        }

    @app.get("/providers")
    async def providers() -> JSON:
        listed = [p for p in desk.config().providers.values() if p.usable or p.named]
        rows = {p.id: _provider(desk, p) for p in listed}
        return {"total": len(rows), "healthy": sum(r["healthy"] for r in rows.values()), "providers": rows}

    @app.get("/api/requests")
    async def requests() -> JSON:
        limit = request.args.get("limit", default=50, type=int)
        return {"requests": desk.recent.summaries(max(1, min(limit, 500)))}

    @app.get("/api/requests/<request_id>")
    async def explained(request_id: str) -> JSON | Response:
        told = desk.recent.explain(request_id)
        if told is None:
            message = f"no request {request_id} among the last {desk.recent.kept}"
            return Response(error_body(error_type(404), message, _request_id()), 404, content_type="application/json")
        return told

    if desk.care is not None:
        add_care(app, desk.care, lambda id: _provider(desk, desk.config().providers[id]), _request_id)
    return app


def _request_id() -> str:
    return str(request.headers.get(REQUEST_ID.decode(), ""))


def _provider(desk: Desk, provider: Provider) -> JSON:
    """Health is kept per model and for the provider as a whole; a provider is healthy while nothing of it is ejected."""
    listed = {candidate.model for candidate in desk.config().chained(provider.id)}
    models = sorted(listed.union(desk.books.lessons.models(provider.id)))
    rows: JSON = {}
    for model in models:
        candidate = Candidate(provider.id, model)
        rows[model] = {
            **_health(desk, candidate),
            "in_flight": desk.books.load.in_flight(candidate.name),
            "time_to_first_content_s": desk.books.load.ttfc_s(candidate.name, desk.at()),
            "learned": _learned(desk.books.lessons.of(candidate)),
        }
    at, scopes = desk.at(), desk.books.scopes
    whole, stance = _health(desk, Candidate(provider.id, EVERY)), desk.books.stances.of(provider.id)
    blocks = [scopes.block_wait_s(provider.id, n, at) for n in range(max(1, len(provider.keys)))]
    blocked_s, reason = min(blocks)
    return {
        "type": provider.wire,
        "base_url": provider.base_url,
        "proxy": _host_of(provider.proxy),
        "enabled": provider.enabled,
        "usable": provider.usable,
        "why_not": provider.unusable_because,
        "stance": stance,
        "healthy": provider.usable
        and stance == "enabled"
        and all(row["breaker"] == "closed" for row in (whole, *rows.values())),
        "failures": max(whole["failures_in_a_row"], sum(row["failures_in_a_row"] for row in rows.values())),
        "as_a_whole": whole,
        "pushback_s": round(desk.books.pushback.left_s(provider.id, len(provider.keys), at), 1),
        "keys": len(provider.keys),
        "key_states": [_key(desk, provider, n, *block) for n, block in enumerate(blocks) if provider.keys],
        "scope": {"kind": provider.scope.kind, **attrs.asdict(provider.scope, filter=lambda _, v: v is not None)},
        "blocked_s": round(blocked_s, 1),
        "blocked_because": reason,
        "models": rows,
    }


def _health(desk: Desk, candidate: Candidate) -> JSON:
    """How a model stands, or a provider as a whole: its breaker, why and until when, and its share while it comes back."""
    breakers, at = desk.books.breakers, desk.at()
    standing = breakers.standing(candidate, at)
    return {
        "breaker": standing.state,
        "back_in_s": round(standing.wait_s, 1),
        "reason": standing.reason,
        "ramp": round(standing.ramp, 2),
        "failures_in_a_row": breakers.failures(candidate),
        "trips": breakers.trips(candidate),
        "last_ejection": breakers.reason(candidate),
    }


def _key(desk: Desk, provider: Provider, number: int, blocked_s: float, block: str) -> JSON:
    """One key, by its variable: fresh, resting, half-open (one request tries it), used up or blocked, and its use."""
    standing = desk.books.keys.standing(provider.id, number, desk.at())
    blocked = standing.state == "fresh" and blocked_s > 0
    return {
        "key": provider.keys[number].source,
        "state": "blocked" if blocked else standing.state,
        "back_in_s": round(max(standing.wait_s, blocked_s if blocked else 0.0), 1),
        "reason": block if blocked else standing.reason,
        "in_flight": standing.in_flight,
        "used": standing.used,
        "limit": provider.key_limit.requests if provider.key_limit else None,
    }


def _learned(learned: Learned) -> JSON:
    """What the candidate was found to refuse, and to hold."""
    return {"max_tokens": learned.cap, "window": learned.window, "without": sorted(learned.without)}


def _host_of(proxy: Secret | None) -> str | None:
    """Where a proxy is, without the credentials that its address may hold."""
    if proxy is None:
        return None
    parts = urlsplit(proxy.reveal())
    return f"{parts.scheme}://{parts.hostname}:{parts.port}"
