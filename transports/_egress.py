"""Where a page that a model has named may be fetched from: the guard between the conversation and this machine's network.

Whoever writes a page that a model reads can have the model name an address, so every address here comes from a stranger.
Looking whether the name is `localhost` stops nobody: 127.0.0.1 can be written as 2130706433, 0x7f.1 or ::ffff:7f00:1, a
name can point to it, an answer can redirect to it, and a name can point elsewhere at the second lookup. So a URL is read
once, by the same parser that the request is made with; a host in numbers must be written the usual way; and what a name
resolves to is judged address by address, by the registries of special addresses and not by a library's idea of
"global", which differs between versions of Python. One bad address among the answers is enough. Looking up and
connecting are in `_guarded`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import attrs
import httpx

#: A URL that is longer is nobody's page.
MAX_URL_CHARS = 2048


class Refused(Exception):
    """An address that may not be fetched from. The text names the reason and quotes nothing but a host or a scheme."""


@attrs.frozen(kw_only=True)
class EgressRules:
    """What may be reached. `private` opens the networks of this house, and nothing else of what is closed."""

    schemes: frozenset[str] = frozenset(("http", "https"))
    ports: frozenset[int] = frozenset((80, 443))
    private: bool = False


@attrs.frozen(kw_only=True)
class Target:
    """A URL that has passed: `host` is what the request names, in ASCII; `address` is set where it is a number already."""

    url: httpx.URL
    host: str
    port: int
    address: str | None = None


_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
#: A last label by which resolvers and browsers take a host for a number.
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_DOTTED = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}", re.ASCII)
#: Names for this machine and for what is behind the router (RFC 6761, 6762, 8375, 9476 and common use).
_PRIVATE_NAMES = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa")
#: Where clouds hand out credentials to whoever asks from inside. They stay closed even to those who open private networks.
_METADATA_NAMES = ("metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal")


def checked(url: str | httpx.URL, rules: EgressRules) -> Target:
    """A URL as a target. Raises Refused. What its name resolves to is still to be checked with `allowed`."""
    parsed = _parsed(url)
    if parsed.scheme not in rules.schemes:
        raise Refused(f"the scheme '{parsed.scheme[:20]}' is not allowed")
    if parsed.userinfo:
        raise Refused("a URL with a user name in it is not fetched")
    port = _DEFAULT_PORTS.get(parsed.scheme) if parsed.port is None else parsed.port
    if port is None or port not in rules.ports:
        raise Refused(f"port {port} is not allowed")
    host = parsed.raw_host.decode("ascii", "replace").lower()
    if ":" in host:
        return Target(url=parsed, host=host, port=port, address=_literal(host, rules))
    host = host.removesuffix(".")
    labels = host.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        if not _DOTTED.fullmatch(host):
            raise Refused("a host in numbers must be written as four decimals with dots")
        return Target(url=parsed, host=host, port=port, address=_literal(host, rules))
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused("this is not the name of a host")
    _check_name(host, rules)
    # What is asked for is what was judged: the name without the dot behind it.
    return Target(url=parsed.copy_with(host=host), host=host, port=port)


def redirected(target: Target, location: str, rules: EgressRules) -> Target:
    """Where a redirect leads, judged like any other URL. Raises Refused."""
    if len(location) > MAX_URL_CHARS:
        raise Refused("the address of a redirect is too long")
    try:
        joined = target.url.join(location)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise Refused("the address of a redirect is malformed") from None
    return checked(joined, rules)


def allowed(addresses: Iterable[str], rules: EgressRules) -> list[str]:
    """The addresses of a name, as they may be connected to. Raises Refused where there is none, or one that is closed."""
    found = list(dict.fromkeys(addresses))
    if not found:
        raise Refused("the name has no address")
    return [_literal(address, rules) for address in found]


def _parsed(url: str | httpx.URL) -> httpx.URL:
    if isinstance(url, str):
        if len(url) > MAX_URL_CHARS:
            raise Refused("the URL is too long")
        if not url or url != url.strip() or re.search(r"[\x00-\x20\x7f\\]", url):
            raise Refused("white space, control characters and backslashes do not stand in a URL")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise Refused("the URL is malformed") from None
    if not parsed.is_absolute_url or not parsed.raw_host:
        raise Refused("the URL names no host")
    return parsed


def _check_name(host: str, rules: EgressRules) -> None:
    if _is_or_below(host, _METADATA_NAMES):
        raise Refused(f"'{host}' is where a cloud hands out credentials")
    if rules.private:
        return
    if _is_or_below(host, _PRIVATE_NAMES) or "." not in host:
        raise Refused(f"'{host}' is a name of this machine or its network")


def _is_or_below(host: str, names: Iterable[str]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in names)


# Addresses.

#: This house's own: RFC 1918, loopback, carrier NAT, unique local.
_PRIVATE_4 = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10")))
_PRIVATE_6 = tuple(map(IPv6Network, ("::1/128", "fc00::/7")))
#: What nobody fetches a page from (IANA's registry of special-purpose IPv4 addresses), and where clouds keep credentials.
_CLOSED_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
            "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
            "224.0.0.0/4", "240.0.0.0/4", "100.100.100.200/32", "168.63.129.16/32",
        ),
    )
)  # fmt: skip
#: Of IPv6 only what is given out to networks is open (2000::/3), less what is special in it.
_OPEN_6 = IPv6Network("2000::/3")
_CLOSED_6 = tuple(
    map(
        IPv6Network,
        ("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20", "fd00:ec2::254/128", "fd20:ce::254/128"),
    )
)
#: Networks whose addresses have an IPv4 address in them, and how far from the right, in bits. It is judged in their place.
_EMBEDDING = (
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("::ffff:0:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)


def _literal(text: str, rules: EgressRules) -> str:
    """An address as it may be connected to: without a zone, an IPv4 address in its own form."""
    try:
        address = ip_address(text)
    except ValueError:
        raise Refused("this is not an address") from None
    if not _is_open(address, rules.private):
        raise Refused(f"{address} is not an address of the public internet")
    return str(address)


def _is_open(address: IPv4Address | IPv6Address, private: bool) -> bool:
    if isinstance(address, IPv4Address):
        if any(address in network for network in _CLOSED_4):
            return False
        return private or not any(address in network for network in _PRIVATE_4)
    if address.scope_id is not None or any(address in network for network in _CLOSED_6):
        return False
    for network, shift in _EMBEDDING:
        if address in network:
            return _is_open(IPv4Address(int(address) >> shift & 0xFFFFFFFF), private)
    if any(address in network for network in _PRIVATE_6):
        return private
    # ISATAP (RFC 5214): the last 32 bits are an IPv4 address where the 32 before them say so.
    if int(address) >> 32 & 0xFDFFFFFF == 0x00005EFE and not _is_open(IPv4Address(int(address) & 0xFFFFFFFF), private):
        return False
    return address in _OPEN_6
