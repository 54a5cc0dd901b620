"""Thinking that knows whose it is.

A signature is checked by the host that made it and by nobody else; sent to another it is a 400 in the middle of a tool
loop. The shapes of signatures do not tell the hosts apart. What a client is given it sends back, so a host that signs
nothing, or keeps its own state beside the text, is given an envelope of ours in the signature's place: who thought this,
and what must come back with it. On its way out it is opened for its author, and for everybody else it does not exist.

    hedgerow.<provider/model>.<base64url of JSON, or nothing>
"""

from __future__ import annotations

import base64
import binascii

import attrs
import orjson

from engine import JSON

_MARK = "hedgerow."
#: What a body must hold for there to be an envelope in it: a quick look before a thorough one.
MARK_IN_BODY = b'"hedgerow.'
#: A sealed state larger than this is no state of a turn, in characters.
_MAX_CHARS = 1024 * 1024


@attrs.frozen
class Sealed:
    """An opened envelope."""

    author: str
    state: JSON


def seal(author: str, state: JSON | None = None) -> str:
    """An envelope by `author` (a candidate's name) with what must come back to it. What is too large stays out."""
    inner = base64.urlsafe_b64encode(orjson.dumps(state)).decode() if state else ""
    return f"{_MARK}{author}.{inner if len(inner) <= _MAX_CHARS else ''}"


def opened(signature: object) -> Sealed | None:
    """What a signature of ours holds; None for anybody else's. An envelope that was tampered with holds nothing."""
    if not isinstance(signature, str) or not signature.startswith(_MARK):
        return None
    author, _, inner = signature[len(_MARK) :].rpartition(".")
    state = None
    if inner and len(inner) <= _MAX_CHARS:
        try:
            state = orjson.loads(base64.urlsafe_b64decode(inner))
        except (ValueError, binascii.Error):
            state = None
    return Sealed(author, state if isinstance(state, dict) else {})
