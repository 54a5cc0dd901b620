"""The doors by which an operator takes care of a provider: reset, test, drain, disable, enable.

What they say becomes an event like any other fact, so that books, log and explanation know of it and nothing is changed
behind their backs. The front has seen to token and origin: no web page of elsewhere gets here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import attrs
import trio
from quart import Response, request
from quart_trio import QuartTrio

from engine import JSON, Busy, Checkups, EventBus, HealthChecked, ProviderReset, ProviderStance, error_body, error_type
from engine.config import Config, Provider
from policies import Candidate

#: Who is named as the author of what is done here.
OPERATOR = "operator"

Told = Callable[[str], JSON]


@attrs.frozen(kw_only=True)
class Care:
    """What these doors need: the configuration, where facts are stated, and who makes checks."""

    config: Callable[[], Config]
    bus: EventBus
    checkups: Checkups


def add_care(app: QuartTrio, care: Care, told: Told, request_id: Callable[[], str]) -> None:
    """The doors under `/providers/ID/`. `told` gives a provider's row as `GET /providers` shows it."""

    def refused(status: int, message: str) -> Response:
        return Response(error_body(error_type(status), message, request_id()), status, content_type="application/json")

    def unknown(id: str) -> Response:
        return refused(404, f"no provider '{id}' is configured; GET /providers lists them")

    def meant(name: str) -> str:
        return care.config().aliases.get(name, name)

    @app.post("/providers/<id>/reset")
    async def reset(id: str) -> JSON | Response:
        id = meant(id)
        if id not in care.config().providers:
            return unknown(id)
        care.bus.emit(ProviderReset(at=trio.current_time(), request_id=request_id(), provider=id, by=OPERATOR))
        return told(id)

    def stance(verb: str, word: Literal["enabled", "draining", "disabled"]) -> None:
        async def door(id: str) -> JSON | Response:
            id = meant(id)
            if id not in care.config().providers:
                return unknown(id)
            at = trio.current_time()
            care.bus.emit(ProviderStance(at=at, request_id=request_id(), provider=id, stance=word, by=OPERATOR))
            return told(id)

        app.post(f"/providers/<id>/{verb}", endpoint=verb)(door)

    stance("drain", "draining")
    stance("disable", "disabled")
    stance("enable", "enabled")

    @app.post("/providers/<id>/test")
    async def test(id: str) -> JSON | Response:
        provider = care.config().providers.get(meant(id))
        if provider is None:
            return unknown(id)
        id = provider.id
        model = request.args.get("model") or _model(care.config(), provider)
        if not model:
            return refused(400, f"no model of '{id}' is in a chain, and it has no default: name one with ?model=NAME")
        if because := provider.unusable_for(model):
            return refused(503, f"{id}/{model} cannot be asked: {because}")
        checked = await care.checkups.check(Candidate(id, model), by=OPERATOR, at_once=True)
        if isinstance(checked, Busy):
            return refused(503, f"{id}/{model} cannot be asked now: {checked.reason}; in {checked.wait_s:.0f} s it may")
        return _checked(checked)


def _model(config: Config, provider: Provider) -> str:
    """The model to ask where none is named: the first of the provider's that stands in a chain, else its default."""
    listed = config.chained(provider.id)
    return listed[0].model if listed else provider.default_model or ""


def _checked(checked: HealthChecked) -> JSON:
    return {
        "candidate": str(checked.candidate),
        "ok": checked.ok,
        "elapsed_s": round(checked.elapsed_s, 3),
        "failure": str(checked.failure) if checked.failure else None,
        "cost": checked.bill.told(),
    }
