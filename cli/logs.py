"""The log: one line a request, one per fact worth waking somebody for. On standard error; structured, and free of bodies.

What a provider writes about a failure may repeat the prompt or the key it was sent, and logs travel further than anything
else. So a failure is logged by its kind and status; its text is told by `/api/requests/ID`.
"""

from __future__ import annotations

import logging
import sys

import structlog

from cli.printable import printable_values
from engine import (
    AttemptEnded,
    BreakerChanged,
    EngineEvent,
    HealthChecked,
    InternalError,
    KeyRotated,
    ProviderReset,
    ProviderStance,
    RequestFinished,
    ScopeBlocked,
)
from routes import Access

_log = structlog.get_logger()


def configure_logs(level: str) -> None:
    """Console lines for a person, JSON lines for a machine."""
    terminal = sys.stderr.isatty()
    renderer = (
        (printable_values, structlog.dev.ConsoleRenderer(colors=True))
        if terminal
        else (structlog.processors.JSONRenderer(),)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def log_access(access: Access) -> None:
    """The access log."""
    _log.info(
        "request",
        id=access.request_id,
        method=access.method,
        path=access.path,
        status=access.status,
        seconds=round(access.elapsed_s, 3),
    )


def _kind(failure: str) -> str:
    """`rate limited (429)` of `rate limited (429): what the provider wrote`."""
    return failure.partition(":")[0]


def log_event(event: EngineEvent) -> None:
    """A reducer that writes the facts an operator wants to see."""
    match event:
        case RequestFinished():
            winner = str(event.candidate) if event.candidate else None
            _log.info(
                "turn",
                id=event.request_id,
                outcome=event.outcome,
                candidate=winner,
                attempts=event.attempts,
                detail=_kind(event.detail),
            )
        case AttemptEnded(ending="failed"):
            _log.info(
                "attempt failed", id=event.request_id, candidate=str(event.candidate), failure=_kind(str(event.failure))
            )
        case BreakerChanged():
            seconds = {"seconds": round(event.for_s, 1)} if event.for_s else {}
            _log.warning("breaker", candidate=str(event.candidate), state=event.after, reason=event.reason, **seconds)
        case HealthChecked():
            _log.info(
                "health check",
                candidate=str(event.candidate),
                by=event.by,
                ok=event.ok,
                failure=_kind(str(event.failure)) if event.failure else None,
                seconds=round(event.elapsed_s, 3),
                tokens=event.bill.tokens,
                usd=event.bill.usd,
            )
        case ProviderReset():
            _log.warning("provider reset", provider=event.provider, by=event.by)
        case ProviderStance():
            _log.warning("provider", provider=event.provider, stance=event.stance, by=event.by)
        case KeyRotated():
            _log.warning(
                "key rotated",
                id=event.request_id,
                candidate=str(event.candidate),
                before=event.before,
                after=event.after,
                reason=event.reason,
            )
        case ScopeBlocked():
            _log.warning("blocked", provider=event.provider, seconds=round(event.for_s, 1), reason=event.reason)
        case InternalError():
            _log.error("internal error", id=event.request_id, where=event.where, trace=event.trace)
