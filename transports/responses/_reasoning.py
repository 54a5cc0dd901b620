"""A reasoning item on its way to the client and back.

A host gives its reasoning as an item: a summary in parts, perhaps the text itself, and the whole of it encrypted. Sent back
whole, the model goes on from there; sent back in pieces, or to anybody else, it is refused. A client holds one text and one
signature. So what is not text travels in the envelope in the signature's place, with the lengths at which the text is cut
into parts again; and since the client may have changed the text, a text that does not fit is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import JSON
from engine.config import ResponsesAccent
from transports._envelope import opened
from transports.translate._texts import well_written

#: What is kept of one item beside its text, in bytes of JSON. Encrypted reasoning is some kilobytes.
MAX_BYTES = 512 * 1024
#: Fields of an item that are not kept as they are: what it is, how far it came, and its texts.
_APART = frozenset(["type", "status", "summary", "content"])
#: The field that holds a text's parts -> the type of a part.
PARTS = {"summary": "summary_text", "content": "reasoning_text"}


def state_of(item: JSON, field: str, lengths: Sequence[int]) -> JSON | None:
    """What is sealed of a finished item whose text came from `field` in parts of these lengths; None for nothing."""
    kept = {name: value for name, value in item.items() if name not in _APART and value not in (None, "", [], {})}
    written = well_written(kept)
    if written is None or len(written) > MAX_BYTES:
        return None
    state: JSON = {"item": kept} if kept else {}
    if lengths:
        state[field] = list(lengths)
    return {"reasoning": state} if state else None


def is_hidden(state: JSON | None) -> bool:
    """Whether a state holds reasoning of which the client has seen no text."""
    return state is not None and "encrypted_content" in state["reasoning"].get("item", ())


def restored(block: JSON, author: str, accent: ResponsesAccent, *, encrypted: bool = True) -> JSON | None:
    """The reasoning item that a thinking block came from; None where it is somebody else's, or cannot be sent back.

    `encrypted`: the host takes what it has encrypted.
    """
    sealed = opened(block.get("signature") or block.get("data"))
    if sealed is None or sealed.author != author:
        return None
    state = sealed.state.get("reasoning")
    item = state.get("item", {}) if isinstance(state, dict) else None
    if not isinstance(state, dict) or not isinstance(item, dict):
        return None
    out = {name: value for name, value in item.items() if name not in _APART and (accent.item_ids or name != "id")}
    if not encrypted:
        out.pop("encrypted_content", None)
    text = block.get("thinking")
    text = text if isinstance(text, str) else ""
    summary, content = (_parts(text, state.get(field), kind) for field, kind in PARTS.items())
    if content and accent.open_reasoning:
        out["content"] = content
    if "content" not in out and not isinstance(out.get("encrypted_content"), str):
        return None
    return {"type": "reasoning", "summary": summary, **out}


def _parts(text: str, lengths: Any, kind: str) -> list[JSON]:
    """A text cut into the parts that it was put together from; none where it has been changed."""
    if not isinstance(lengths, list) or not all(type(length) is int and length > 0 for length in lengths):
        return []
    found: list[JSON] = []
    at = 0
    for length in lengths:
        found.append({"type": kind, "text": text[at : at + length]})
        at += length
    return found if at == len(text) else []
