"""Which local runtimes answer, and with which model.

A port that is open proves nothing: 8000 and 8080 belong to every web project. So each runtime that the catalogue knows is
asked for its models, all at once and briefly, and only an answer in the right form counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpx
import orjson
import trio

from engine.config import Provider
from transports._models import NotAList, models_in

#: How long a runtime on this machine may take to list its models, in seconds.
PATIENCE_S = 0.6
#: The largest list that is read, in bytes.
MAX_BYTES = 1024 * 1024


async def answering(http: httpx.AsyncBaseTransport, providers: Iterable[Provider]) -> dict[str, str | None]:
    """The ids of those local providers that answer, each with the first model it lists, or None where it lists none."""
    found: dict[str, str | None] = {}

    async def ask(provider: Provider) -> None:
        timeouts = {"connect": PATIENCE_S, "read": PATIENCE_S, "write": PATIENCE_S, "pool": None}
        request = httpx.Request("GET", provider.url("models"), extensions={"timeout": timeouts})
        try:
            response = await http.handle_async_request(request)
            try:
                body = b""
                async for chunk in response.stream:  # type: ignore[union-attr]
                    body += chunk
                    if len(body) > MAX_BYTES:
                        return
            finally:
                await response.stream.aclose()  # type: ignore[union-attr]
            models = names_in(orjson.loads(body)) if response.status_code == 200 else None
        except (httpx.HTTPError, orjson.JSONDecodeError):
            return
        if models is not None:
            found[provider.id] = next(iter(models), None)

    with trio.move_on_after(2 * PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for provider in providers:
                if provider.local and "models" in provider.paths:
                    nursery.start_soon(ask, provider)
    return found


def names_in(listed: Any) -> list[str] | None:
    """The names in a list of models; None where it is no such list. No local runtime answers with a bare array."""
    try:
        return [model.id for model in models_in(listed)] if isinstance(listed, dict) else None
    except NotAList:
        return None
