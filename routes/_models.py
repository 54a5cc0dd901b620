"""`GET /v1/models` and `GET /v1/models/ID`: what can be asked for by name, as Claude Code's picker wants it.

Claude Code keeps only ids that contain `claude` or `anthropic`, and ignores the rest without a word; so everything is listed
under a picker id that begins with one of them. One object serves both families of clients: Anthropic's fields and OpenAI's
side by side were measured to work for all. A list is made once for a configuration, since the client waits three seconds
for it and asks at every start. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import parse_qs

import attrs
import orjson

from engine import JSON, MAX_MODEL_CHARS, NO_THINKING, PICKER, BadRequest, Named, resolve
from engine.config import ANY_MODEL, Config, quotable
from policies import Candidate
from routes._capabilities import abilities, can_think, silenced
from routes._display import names

#: The most on one page, as Anthropic has it. Without a limit all are told: OpenAI's clients know no pages.
MOST = 1000


@attrs.frozen
class Picker:
    """What one configuration lists. `entries` by id, in their order."""

    config: Config
    entries: dict[str, JSON]

    @classmethod
    def of(cls, config: Config) -> Picker:
        """Every chain, every candidate of one and every model of the environment, each with its twin that does not think."""
        return cls(config, {entry["id"]: entry for entry in _entries(config)})

    def answer(self, model: str | None, query: bytes, named: Named | None) -> bytes:
        """The body for one request. `named` is whom the address or the token names: then there is nothing else to ask for.

        Raises BadRequest for a page that makes no sense, NoSuchModel for a model that nobody answers to.
        """
        if model is not None:
            listed = self.entries.get(model) if named is None else None
            return orjson.dumps(listed or self._meant(model, named))
        entries = list(self.entries.values()) if named is None else [self._meant(named.name, named)]
        return orjson.dumps(_page(entries, query))

    def _meant(self, model: str, named: Named | None) -> JSON:
        """An entry for whatever a request of this name would be answered by."""
        if len(model) > MAX_MODEL_CHARS:
            raise BadRequest(f"model: expected at most {MAX_MODEL_CHARS} characters, got {len(model)}")
        found = resolve(self.config, model, named)
        one = found.candidates[0] if len(found.candidates) == 1 else None
        display = names([one])[one] if one else f"{found.chain.name} (chain)"
        id = PICKER + (one.name if one else named.name) if named else model
        return _entry(self.config, id, display, found.candidates)


def _entries(config: Config) -> Iterator[JSON]:
    for name, chain in config.chains.items():
        yield from _pair(config, name, f"{name} (chain)", chain.candidates)
    listed = (*config.listed, *(c for chain in config.chains.values() for c in chain.candidates))
    asked = [
        c
        for c in dict.fromkeys(attrs.evolve(c, thinking=None) for c in listed)
        if c.model != ANY_MODEL and not config.providers[c.provider].unusable_for(c.model)
    ]
    for candidate, display in names(asked).items():
        yield from _pair(config, candidate.name, display, [candidate])


def _pair(config: Config, name: str, display: str, candidates: Sequence[Candidate]) -> Iterator[JSON]:
    entry = _entry(config, PICKER + name, display, candidates)
    yield entry
    if any(can_think(config, candidate) for candidate in candidates):
        can = entry["capabilities"] and silenced(entry["capabilities"])
        yield {**entry, "id": NO_THINKING + name, "display_name": f"{display} (no thinking)", "capabilities": can}


def _entry(config: Config, id: str, display: str, candidates: Sequence[Candidate]) -> JSON:
    return {
        "type": "model",
        "id": id,
        "display_name": display,
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        **abilities(config, candidates),
        "object": "model",
        "created": 1767225600,
        "owned_by": "hedgerow",
    }


def _page(entries: list[JSON], query: bytes) -> JSON:
    """A page of the list, by Anthropic's parameters. A before_id gives the page that ends right before it."""
    given = {name: values[-1] for name, values in parse_qs(query.decode("latin-1"), keep_blank_values=True).items()}
    limit = _limit(given.get("limit"), len(entries))
    after, before = given.get("after_id"), given.get("before_id")
    if after is not None and before is not None:
        raise BadRequest("after_id, before_id: expected one of them")
    place = {entry["id"]: i for i, entry in enumerate(entries)}
    for name in ("after_id", "before_id"):
        if name in given and given[name] not in place:
            raise BadRequest(f"{name}: '{quotable(given[name])}' is not in the list")
    if before is not None:
        left = entries[: place[before]]
        page = left[-limit:]
    else:
        left = entries if after is None else entries[place[after] + 1 :]
        page = left[:limit]
    return {
        "object": "list",
        "data": page,
        "has_more": len(page) < len(left),
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _limit(text: str | None, all: int) -> int:
    if text is None:
        return max(1, all)
    if not (text.isascii() and text.isdigit()) or len(text) > 4 or not 1 <= int(text) <= MOST:
        raise BadRequest(f"limit: expected a whole number from 1 to {MOST}, got '{quotable(text)}'")
    return int(text)
