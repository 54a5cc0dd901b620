"""Which door a path means, and what it says of the model.

`ANTHROPIC_BASE_URL` is a prefix: whatever it holds comes before `/v1/messages`, a `/v1` of its own included. So a provider
and model may be put into it, and a client that knows nothing of routing asks for exactly that candidate. Pure.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import unquote

import attrs

Door = Literal["messages", "count_tokens", "models", "people"]

_DOORS: dict[str, Door] = {
    "/v1/messages/count_tokens": "count_tokens",
    "/v1/messages": "messages",
    "/v1/models": "models",
}
_ONE_MODEL = "/v1/models/"
#: Methods of each door, as `Allow` states them.
METHODS: dict[Door, str] = {
    "messages": "POST, OPTIONS, HEAD",
    "count_tokens": "POST, OPTIONS, HEAD",
    "models": "GET, OPTIONS, HEAD",
    "people": "GET, OPTIONS, HEAD",
}
#: Where a health check may knock; answered without looking further.
PROBED = frozenset(["/", "/api/hello", "/health"])


@attrs.frozen
class Place:
    """A door, and the `provider/model` before it; and behind the door of models, the one that is asked for."""

    door: Door
    named: str | None = None
    model: str | None = None


def place(raw_path: bytes) -> Place:
    """Where a path leads. `/{provider}:{model}/v1/...` and `/{provider}/{model...}/v1/...` name a candidate.

    The first colon before the first slash separates; the model may hold slashes and colons, encoded or not.
    """
    path = unquote(raw_path.decode("latin-1")).rstrip("/") or "/"
    for suffix, door in _DOORS.items():
        if path.endswith(suffix):
            return _behind(path.removesuffix(suffix), door)
    prefix, found, model = path.partition(_ONE_MODEL)
    return _behind(prefix, "models", model) if found and model.strip("/") else Place("people")


def _behind(prefix: str, door: Door, model: str | None = None) -> Place:
    """The door, unless what stands before it means nobody."""
    prefix = prefix.removesuffix("/v1").strip("/")
    named = _candidate(prefix) if prefix else None
    return Place("people") if prefix and named is None else Place(door, named, model)


def _candidate(prefix: str) -> str | None:
    head, _, _ = prefix.partition("/")
    separator = ":" if ":" in head else "/"
    provider, found, model = prefix.partition(separator)
    return f"{provider}/{model}" if found and provider and model else None
