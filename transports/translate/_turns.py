"""A conversation as turns: each side speaks, then the other.

Other wires have rules about what may follow what: two turns of one role are refused by some hosts and read as two people
by some models, a result belongs right behind its call, nobody else's may stand there. Claude Code sends user after user,
system entries in the middle, results behind text, two calls under one id, and calls without a result. Bringing that in
order is the same work for every wire, and is done here once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from engine import JSON
from transports.translate._texts import blocks_of, is_silent, word

_THOUGHTS = ("thinking", "redacted_thinking")


@attrs.define(eq=False)
class Turn:
    """Everything that one side says before the other does."""

    role: str
    blocks: list[JSON] = attrs.field(factory=list)


def turns(messages: list[JSON]) -> Iterator[Turn]:
    """User and assistant in turn, silent blocks left out; an entry of role `system` is the user's, where it stands.

    A turn of the assistant that says nothing and calls nothing is no turn.
    """
    pending: Turn | None = None
    for message in messages:
        role = "assistant" if message.get("role") == "assistant" else "user"
        blocks = [b for b in blocks_of(message.get("content")) if b.get("type") in _THOUGHTS or not is_silent(b)]
        if all(block.get("type") in _THOUGHTS for block in blocks):
            continue
        if pending is not None and pending.role == role:
            pending.blocks += blocks
        else:
            if pending is not None:
                yield pending
            pending = Turn(role, blocks)
    if pending is not None:
        yield pending


def distinct(ids: list[str]) -> list[str]:
    """The ids of one turn, no two alike: a client may send two calls under one id, and no host takes them."""
    out: dict[str, None] = {}
    for number, id in enumerate(ids):
        while id in out:
            id = f"{id}#{number}"
        out[id] = None
    return list(out)


def answered(blocks: list[JSON], calls: Sequence[str]) -> tuple[list[JSON | None], list[JSON]]:
    """A user's blocks as the results of the calls before them, in the order of `calls` (ids), and the rest.

    A result that answers none of them stays among the rest. Of two calls with one id the first result is the first's.
    """
    results: list[JSON | None] = [None] * len(calls)
    rest: list[JSON] = []
    places: dict[str, list[int]] = {}  # of the calls by id, the first of them last
    for place in reversed(range(len(calls))):
        places.setdefault(calls[place], []).append(place)
    for block in blocks:
        waiting = places.get(word(block.get("tool_use_id"))) if block.get("type") == "tool_result" else None
        if waiting:
            results[waiting.pop()] = block
        else:
            rest.append(block)
    return results, rest
