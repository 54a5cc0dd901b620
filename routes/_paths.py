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
    """A door, and the `provider/model` that the path names, if it names one."""

    door: Door
    forced: str | None = None


def place(raw_path: bytes) -> Place:
    """Where a path leads. `/{provider}:{model}/v1/...` and `/{provider}/{model...}/v1/...` name a candidate.

    The first colon before the first slash separates; the model may hold slashes and colons, encoded or not.
    """
    path = unquote(raw_path.decode("latin-1")).rstrip("/") or "/"
    for suffix, door in _DOORS.items():
        if path.endswith(suffix):
            prefix = path.removesuffix(suffix).removesuffix("/v1").strip("/")
            if not prefix:
                return Place(door)
            forced = _candidate(prefix)
            return Place(door, forced) if forced else Place("people")
    return Place("people")


def _candidate(prefix: str) -> str | None:
    head, _, _ = prefix.partition("/")
    separator = ":" if ":" in head else "/"
    provider, found, model = prefix.partition(separator)
    return f"{provider}/{model}" if found and provider and model else None
