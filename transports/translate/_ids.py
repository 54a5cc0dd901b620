"""Ids of tool calls on their way to the client.

Claude Code names a result by its call's id, so an id must be valid, unlike all others of the conversation and there at
all; hosts send none, a bare number, the same one for each turn, or four hundred characters.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from hashlib import blake2b

from engine import Ask

_IDS = re.compile(rb'"id":\s?"([^"\\]{1,64})"')
_OUTBOUND = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]", re.ASCII)


def ids_in(ask: Ask) -> Container[str]:
    """The tool ids that the conversation holds. Looked for in its bytes: ids have no escapes, and walking it is slow."""
    return {found.decode("utf-8", "replace") for found in _IDS.findall(ask.request.raw)}


def unique_ids(given: Iterable[str], taken: Container[str], message_id: str, *, first: int = 0) -> list[str]:
    """An id for each call: its host's where it is one that Anthropic's wire takes and nobody has yet, else one made up.

    "" stands for a call without one. `message_id` is that of the answer, which makes what is made up its own;
    `first` is the number of the first call in that answer.
    """
    prefix = _NOT_IN_IDS.sub("", message_id.removeprefix("msg_"))[:24]
    ids: list[str] = []
    for number, id in enumerate(given, first):
        if not sendable(id):
            id = ""
        tries = 0
        while not id or id in taken or id in ids:
            id = f"toolu_{prefix}_{number}" + (f"_{tries}" if tries else "")
            tries += 1
        ids.append(id)
    return ids


def outbound(id: str) -> str:
    """A call's id in a form that may stand on any wire. The same id always gives the same, so that caches hold."""
    return id if _OUTBOUND.fullmatch(id) else f"call_{blake2b(id.encode(), digest_size=12).hexdigest()}"


def sendable(id: str) -> bool:
    """Whether an id may stand on Anthropic's wire, and on OpenAI's (at most 40 characters).

    A bare number or a word such as `call` is no id: the next turn would bear it again.
    """
    return 8 <= len(id) <= 40 and id.isascii() and all(c.isalnum() or c in "_-" for c in id)
