"""What a request may say to us beside what it asks of a model: whom to ask, no fallback, no hedge.

A query parameter would be the naive place, and Claude Code cannot send one. It can send headers
(`ANTHROPIC_CUSTOM_HEADERS`), and a program with an SDK can send a field more; so both are read. Neither goes any further:
no provider has asked for them, and some refuse what they do not know. A name or a value that is not understood is a
mistake worth a 400, since whoever switches the fallback off relies on it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import orjson

from engine import JSON, MAX_MODEL_CHARS, BadRequest, Named
from policies import NoFallback, NoHedge, Policy

FIELD = "hedgerow"
PREFIX = b"x-hedgerow-"


@attrs.frozen(kw_only=True)
class Hatches:
    """Whom to ask, and what is forbidden. None: not said."""

    model: Named | None = None
    fallback: bool | None = None
    hedge: bool | None = None

    @property
    def policies(self) -> tuple[Policy, ...]:
        """What the engine is to fold behind the chain's policies."""
        forbidden: tuple[tuple[bool | None, Policy], ...] = ((self.fallback, NoFallback()), (self.hedge, NoHedge()))
        return tuple(policy for allowed, policy in forbidden if allowed is False)

    def over(self, other: Hatches) -> Hatches:
        """These where they say something, `other`'s where not."""
        said = {name: value for name, value in attrs.asdict(self, recurse=False).items() if value is not None}
        return attrs.evolve(other, **said)


def of_headers(headers: Iterable[tuple[bytes, bytes]]) -> Hatches:
    """What our headers say. Raises BadRequest for a name, a value or a repetition that makes no sense."""
    said: dict[str, Any] = {}
    for name, value in headers:
        if not name.startswith(PREFIX):
            continue
        key, where = name.removeprefix(PREFIX).decode("latin-1"), f"header {name.decode('latin-1')}"
        if key not in _KEYS:
            known = ", ".join(f"{PREFIX.decode()}{key}" for key in _KEYS)
            raise BadRequest(f"{_short(where)}: there is no such header; there are {known}")
        read = _model if key == "model" else _switch
        meant = read(value.decode("utf-8", "replace").strip(), where)
        if key in said and said[key] != meant:
            raise BadRequest(f"{where}: given twice, with different values")
        said[key] = meant
    return Hatches(**said)


def of_body(body: JSON) -> Hatches:
    """What our field says. Raises BadRequest for whatever in it makes no sense."""
    if FIELD not in body:
        return _NONE
    field = body[FIELD]
    if not isinstance(field, dict):
        raise BadRequest(f"{FIELD}: expected an object such as {_EXAMPLE}")
    for key in field:
        if key not in _KEYS:
            raise BadRequest(f"{_short(f'{FIELD}.{key}')}: there is no such field; there are {', '.join(_KEYS)}")
    said: dict[str, Any] = {
        key: (_model if key == "model" else _truth)(value, f"{FIELD}.{key}") for key, value in field.items()
    }
    return Hatches(**said)


def without(body: JSON, raw: bytes) -> tuple[JSON, bytes]:
    """A body and its bytes without our field; untouched where it is not there. Raises BadRequest, too deep to be written."""
    if FIELD not in body:
        return body, raw
    rest = {name: value for name, value in body.items() if name != FIELD}
    try:
        return rest, orjson.dumps(rest)
    except orjson.JSONEncodeError:
        raise BadRequest(f"the body is nested too deeply to be written again without {FIELD}") from None


_KEYS = ("model", "fallback", "hedge")
_NONE = Hatches()
_EXAMPLE = '{"model": "zai/glm-4.7-flash", "fallback": false, "hedge": false}'
_SWITCH = {"on": True, "off": False}


def _model(value: Any, where: str) -> Named:
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"{where}: expected a name: provider/model, a chain, or an id of /v1/models")
    if len(value) > MAX_MODEL_CHARS:
        raise BadRequest(f"{where}: expected at most {MAX_MODEL_CHARS} characters, got {len(value)}")
    return Named(value, "hatch", where)


def _switch(value: str, where: str) -> bool:
    found = _SWITCH.get(value.lower())
    if found is None:
        raise BadRequest(f"{where}: expected on or off")
    return found


def _truth(value: Any, where: str) -> bool:
    if type(value) is not bool:
        raise BadRequest(f"{where}: expected true or false")
    return value


def _short(text: str) -> str:
    """A place named by the client, of any length and any characters."""
    return text.encode("unicode_escape").decode("ascii")[:80]
