"""Short ways to say who asks whom for what."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import orjson

from engine import Ask, Learned, Request, need_of
from engine.config import Provider, Secret
from policies import Candidate

HOST = "http://host.test"


def body(**fields: Any) -> dict[str, Any]:
    """A small streaming request."""
    return {
        "model": "asked",
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        **fields,
    }


def ask(
    fields: dict[str, Any] | None = None,
    *,
    model: str = "asked",
    thinking: bool | None = None,
    raw: bytes | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    query: bytes = b"",
    key: str | None = None,
    learned: Learned | None = None,
    session: str = "",
    **provider: Any,
) -> Ask:
    """A request for candidate `host/<model>`. `provider` are fields of the provider."""
    sent = orjson.dumps(fields or body()) if raw is None else raw
    parsed = orjson.loads(sent)
    settings = {
        "id": "host",
        "base_url": HOST,
        "paths": MappingProxyType({"messages": "/v1/messages", "models": "/v1/models"}),
        "auth": "x-api-key",
        **provider,
    }
    return Ask(
        request=Request(
            id="req_7", model=parsed["model"], body=parsed, raw=sent, need=need_of(parsed, sent), headers=headers,
            query=query, session=session,
        ),
        candidate=Candidate("host", model, thinking),
        provider=Provider(**settings),
        key=None if key is None else Secret(key, "HOST_API_KEY"),
        learned=learned or Learned(),
    )  # fmt: skip
