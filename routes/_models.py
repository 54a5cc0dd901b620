"""`GET /v1/models`: what can be asked for by name, as Claude Code's picker wants it.

Claude Code keeps only ids that contain `claude` or `anthropic`, and ignores the rest without a word; so every candidate is
listed under a picker id that begins with one of them. One object serves both families of clients: Anthropic's fields and
OpenAI's side by side were measured to work for all. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from engine import JSON, NO_THINKING, PICKER
from engine.config import ANY_MODEL, Config
from policies import Candidate


def listing(config: Config) -> bytes:
    """The list's body: every candidate of every chain, each chain, and each candidate's no-thinking twin."""
    entries = [_entry(id, name) for id, name in _ids(config)]
    ids = [e["id"] for e in entries]
    return orjson.dumps(
        {
            "object": "list",
            "data": entries,
            "has_more": False,
            "first_id": ids[0] if ids else None,
            "last_id": ids[-1] if ids else None,
        }
    )


def _ids(config: Config) -> Iterator[tuple[str, str]]:
    for name in config.chains:
        yield PICKER + name, f"{name} (chain)"
    seen: set[Candidate] = set()
    for chain in config.chains.values():
        for candidate in chain.candidates:
            if (
                candidate in seen
                or candidate.model == ANY_MODEL
                or config.providers[candidate.provider].unusable_for(candidate.model)
            ):
                continue
            seen.add(candidate)
            yield PICKER + candidate.name, candidate.name
            yield NO_THINKING + candidate.name, f"{candidate.name} (no thinking)"


def _entry(id: str, name: str) -> JSON:
    return {
        "type": "model",
        "object": "model",
        "id": id,
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z",
        "created": 1767225600,
        "owned_by": "hedgerow",
    }
