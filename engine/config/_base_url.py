"""What people write as a base URL, and what a wire's own SDK means by it.

For one SDK the base URL ends in `/v1`, for another it must not, and documentation quotes the whole address of one door.
The naive proxy appends its path to whatever it was given and answers 404 for ever. The mistake is recognisable in either
direction, so it is put right, and said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

from engine.config._provider import Wire

#: Ends of a path that the wire appends by itself, the longest first.
_TOO_MUCH: Mapping[Wire, tuple[str, ...]] = {
    "anthropic": ("/v1/messages", "/messages", "/v1"),
    "openai-chat": ("/chat/completions", "/completions"),
    "openai-responses": ("/responses",),
    "gemini": ("/models",),
    "ollama": ("/api/chat", "/api", "/v1"),
}
#: What an address that is only a host lacks.
_TOO_LITTLE: Mapping[Wire, str] = {"openai-chat": "/v1", "openai-responses": "/v1", "gemini": "/v1beta"}


def put_right(url: str, wire: Wire) -> tuple[str, str]:
    """The base URL as this wire means it, and a remark where that is not what was written.

    >>> put_right("http://localhost:1234/v1", "anthropic")
    ('http://localhost:1234', "'/v1' at the end is appended on the anthropic wire already: it is left out")
    """
    parts = urlsplit(url.rstrip("/"))
    path, remarks = parts.path, []
    end = next((end for end in _TOO_MUCH.get(wire, ()) if path.endswith(end)), "")
    if end:
        path = path.removesuffix(end)
        remarks.append(f"'{end}' at the end is appended on the {wire} wire already: it is left out")
    if not path and (missing := _TOO_LITTLE.get(wire)):
        path = missing
        remarks.append(f"the base URL of the {wire} wire ends in '{missing}': it is added")
    return urlunsplit(parts._replace(path=path)), "; ".join(remarks)


def from_environment(value: str, default: str) -> str:
    """A local runtime's address as its own variable gives it, completed from its default.

    `OLLAMA_HOST` holds what a server listens on: there may be no scheme and no port, and 0.0.0.0 is nowhere to connect to.
    Raises ValueError for what is no address.
    """
    usual = urlsplit(default)
    parts = urlsplit(value if "://" in value else f"{usual.scheme}://{value}")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(parts.hostname or "", parts.hostname or "")
    if not host or parts.scheme not in ("http", "https") or parts.username is not None:
        raise ValueError("not an address")
    # A full URL without a port means the scheme's own; a bare host means the runtime's.
    port = parts.port or (None if "://" in value else usual.port)
    shown = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, f"{shown}:{port}" if port else shown, parts.path.rstrip("/"), "", ""))


def is_filling(value: str) -> bool:
    """Whether a text may stand where an address has a placeholder, without making another address of it."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}", value) is not None


def filled(base: str, paths: Mapping[str, str], holes: Mapping[str, str]) -> tuple[str, dict[str, str], str]:
    """Base and paths with their placeholders filled, and the first that is in one of them and has nothing to fill it."""
    missing = ""
    for name, value in holes.items():
        hole = f"{{{name}}}"
        if any(hole in text for text in (base, *paths.values())):
            missing = missing or ("" if is_filling(value) else name)
            base, paths = base.replace(hole, value), {door: path.replace(hole, value) for door, path in paths.items()}
    return base, dict(paths), missing


def is_public(url: str) -> bool:
    """Whether an address lies outside this machine and its own network, as far as its text tells."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".lan", ".internal", ".home.arpa", ".localhost"))


def is_proxy(url: str) -> bool:
    """Whether a text is the address of a proxy: HTTP or SOCKS 5, a host and a port."""
    try:
        parts = urlsplit(url)
        return parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and (parts.port or 0) > 0
    except ValueError:
        return False


_PROXY_SCHEMES = frozenset(["http", "https", "socks5", "socks5h"])
