"""Whether a request comes from where it may, for a server that asks for no token. Pure.

A server on loopback looks private, and every web page in the user's browser can reach it: a page may send a POST anywhere,
and one whose name is made to resolve to 127.0.0.1 may read the answers too. Either would spend the owner's keys. Browsers
say where a page is from in `Origin`, and what name it used in `Host`; agents and their SDKs send no `Origin` at all, and
name the loopback address they were given. A server that others reach by its address without a token is worse still, and
an ASGI application does not know how it is bound: it sees the peer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from engine.config import Server

_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::\d*)?")


def foreign_page(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a web page sent this that is not the server's own: an `Origin` other than scheme and `Host`."""
    hosts = _values(headers, b"host")
    own = {f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts}
    return any(origin not in own for origin in _values(headers, b"origin"))


def stranger(headers: Iterable[tuple[bytes, bytes]], peer: str | None, server: Server) -> str | None:
    """Why this request is not served without a token, for the client to read; None where it may come in.

    `peer` is the client's address, None on a Unix socket, whose file says who may connect. `insecure = true` is the
    operator's word that the network keeps others out: then any peer may come, and, since nobody can tell by what name
    others reach this machine, name any host. What comes over loopback to a server that is bound there names loopback even
    then.
    """
    if foreign_page(headers):
        return f"a web page of another origin sent this; without a token ({server.auth_token_env}) none may"
    here = peer is None or _is_loopback(peer)
    if not here and not server.insecure:
        return (
            f"without a token only this machine is served: set {server.auth_token_env} where the server runs, "
            "or say insecure = true"
        )
    elsewhere = server.insecure and not (here and _is_loopback(server.host))
    if not elsewhere and not all(_names_loopback(host) for host in _values(headers, b"host")):
        return (
            "the Host header does not name this machine: ask 127.0.0.1 or localhost, "
            f"or set {server.auth_token_env} to be reached by another name"
        )
    return None


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    return [value.decode("latin-1").strip().lower() for name, value in headers if name == wanted]


def _names_loopback(host: str) -> bool:
    found = _AUTHORITY.fullmatch(host)
    return found is not None and _is_loopback(found[1])


def _is_loopback(host: str) -> bool:
    """As `127.0.0.1`, `::1`, `[::1]`, `localhost`, and `::ffff:127.0.0.1`, which is how a dual-stack socket names the first."""
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
