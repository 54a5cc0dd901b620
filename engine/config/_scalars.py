"""The values that a file may hold which are no tables: numbers, names, addresses, each with its bounds and its words.

A type checker's idea of a value, "a number", lets -5 seconds, a port of 0 and `true` through. Here each type of the file's
schema has one hook: it takes what is meant and refuses everything else, with what is allowed. What might be a key is never
quoted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args
from urllib.parse import urlsplit

from engine.config import _file as shape
from engine.config._bad import Bad, each
from engine.config._base_url import is_filling, is_proxy
from engine.config._problems import either, looks_secret, nearest

DAY_S = 86_400


def number(lowest: float, highest: float, what: str, *, above: bool = False) -> Callable[[Any, Any], float]:
    """A hook for a number between bounds, the lower one excluded where `above`."""

    def hook(value: Any, _: Any) -> float:
        if (
            type(value) not in (int, float)
            or not (lowest < value if above else lowest <= value)
            or not value <= highest
        ):
            raise Bad.expected(what, value)
        return float(value)

    return hook


def _whole(value: Any, _: Any) -> int:
    if type(value) is not int or abs(value) >= 2**53:
        raise Bad.expected("a whole number", value)
    return value


def _tokens(value: Any, _: Any) -> int:
    if type(value) is not int or not 1 <= value < 2**53:
        raise Bad.expected("a whole number of tokens, at least 1", value)
    return value


def _count(value: Any, _: Any) -> int:
    if type(value) is not int or not 1 <= value < 2**53:
        raise Bad.expected("a whole number, at least 1", value)
    return value


def _within(lowest: int, highest: int, what: str) -> Callable[[Any, Any], int]:
    """A hook for a whole number between bounds."""

    def hook(value: Any, _: Any) -> int:
        if type(value) is not int or not lowest <= value <= highest:
            raise Bad.expected(what, value)
        return value

    return hook


def _real(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise Bad.expected("a number", value)
    if not abs(value) < 1e300 or not math.isfinite(value):
        raise Bad.expected("a number that can be meant", value)
    return float(value)


def _truth(value: Any, _: Any) -> bool:
    if type(value) is not bool:
        raise Bad.expected("true or false", value)
    return value


def _string(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise Bad.expected("a string", value)
    return value


def _text(value: Any, _: Any) -> str:
    if type(value) is not str or not value.strip():
        raise Bad.expected("a string", value)
    return value


def choice(value: Any, kind: Any) -> Any:
    allowed = get_args(kind)
    if type(value) is not str or value not in allowed:
        near = nearest(value, allowed) if type(value) is str else ""
        raise Bad.expected(either(f"'{a}'" for a in allowed), value, near)
    return value


def _env_name(value: Any, _: Any) -> str:
    """A variable's name in capitals, as all that hold keys are; small letters are how a pasted key gives itself away."""
    if type(value) is not str:
        raise Bad.expected("the name of an environment variable", value)
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value) or looks_secret(value):
        raise Bad(
            ((), "expected the name of an environment variable (capitals, digits, underscores), never a key itself")
        )
    return value


def _env_names(value: Any, _: Any) -> tuple[str, ...]:
    if type(value) is str:
        return (_env_name(value, str),)
    if type(value) is not list or not value:
        raise Bad.expected("the name of an environment variable, or a list of names", value)
    return each(value, lambda item: _env_name(item, str))


def _bind(value: Any, _: Any) -> tuple[str, int]:
    what = "an address and a port, such as '127.0.0.1:8082'"
    if type(value) is not str:
        raise Bad.expected(what, value)
    host, colon, port = value.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535 or not re.fullmatch(r"[\w.:%-]+", bare):
        raise Bad.expected(what, value)
    if ":" in bare and bare == host:
        raise Bad.expected("an IPv6 address in brackets, such as '[::1]:8082'", value)
    return bare, int(port)


def base_url(value: Any, kind: Any = None) -> str:
    """An address that requests may be sent below. What might be a credential in it is refused, and never quoted."""
    if type(value) is not str:
        raise Bad.expected("a URL", value)
    try:
        url = urlsplit(value)
        valid = url.port is None or url.port > 0
    except ValueError:
        valid = False
    if not valid or url.scheme not in ("http", "https") or not url.hostname or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise Bad(((), "expected a URL that begins with http:// or https:// and names a host"))
    if url.username is not None or url.password is not None:
        raise Bad(
            ((), "a URL here holds no credentials: put the key in an environment variable and name it in keys_env")
        )
    if url.query or url.fragment or value.endswith(("?", "#")):
        raise Bad(((), "expected a base URL without '?' and '#': paths are appended to it"))
    return value.rstrip("/")


def _filling(value: Any, _: Any) -> str:
    if type(value) is not str or not is_filling(value) or looks_secret(value):
        raise Bad.expected("letters, digits and hyphens, such as 'my-resource'", value)
    return value


_DURATION = re.compile(r"-?(\d+(\.\d+)?(ns|us|ms|s|m|h))+")


def _keep_alive(value: Any, _: Any) -> str | int:
    if type(value) is int and -1 <= value < 2**31:
        return value
    if type(value) is str and len(value) <= 32 and _DURATION.fullmatch(value):
        return value
    raise Bad.expected("a duration such as '30m' or '24h', or a number of seconds (-1: for ever)", value)


def _proxy_url(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise Bad.expected("the address of a proxy", value)
    if not is_proxy(value) or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise Bad(((), "expected http://, https://, socks5:// or socks5h:// with a host and a port"))
    if "@" in value:
        raise Bad(
            ((), "an address here holds no password: put it in an environment variable and name that in proxy_env")
        )
    return value


_NO_KEY = "a key never stands in this file: put it in an environment variable and name that in keys_env"
#: Headers by which credentials are sent. A value for one of these would be a key in the file.
_CREDENTIAL_HEADERS = frozenset(
    ["authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "anthropic-auth-token", "cookie"]
)
#: Headers that belong to the connection or the body, and are written by the transport.
_OWN_HEADERS = frozenset(
    ["host", "connection", "content-length", "content-type", "transfer-encoding", "accept-encoding"]
)


def _header_name(value: Any, _: Any) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", value):
        raise Bad(((), "expected the name of an HTTP header"))
    if value.lower() in _CREDENTIAL_HEADERS:
        raise Bad(((), _NO_KEY))
    if value.lower() in _OWN_HEADERS:
        raise Bad(((), "this header is written for each request and cannot be set"))
    return str(value)


def _header_value(value: Any, _: Any) -> str:
    if type(value) is not str or not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", value):
        raise Bad(((), "expected printable ASCII text"))
    if any(looks_secret(word) for word in (value, *value.split())):
        raise Bad(((), _NO_KEY))
    return value


#: Type of a field -> its hook.
HOOKS: Mapping[Any, Callable[[Any, Any], Any]] = {
    str: _string,
    int: _whole,
    float: _real,
    bool: _truth,
    shape.Seconds: number(0, DAY_S, "seconds, above 0 and at most a day", above=True),
    shape.Pause: number(0, DAY_S, "seconds, from 0 to a day"),
    shape.Megabytes: number(0, 1024, "megabytes, above 0 and at most 1024", above=True),
    shape.Dollars: number(0, 1e6, "US dollars per million tokens, 0 or more"),
    shape.Tokens: _tokens,
    shape.Count: _count,
    shape.Window: number(0, 31 * DAY_S, "seconds, above 0 and at most 31 days", above=True),
    shape.Uses: _within(1, 100, "a whole number from 1 to 100"),
    shape.Port: _within(1, 65_535, "a port from 1 to 65535"),
    shape.Text: _text,
    shape.EnvName: _env_name,
    shape.EnvNames: _env_names,
    shape.Bind: _bind,
    shape.BaseUrl: base_url,
    shape.ProxyUrl: _proxy_url,
    shape.KeepAlive: _keep_alive,
    shape.Filling: _filling,
    shape.HeaderName: _header_name,
    shape.HeaderValue: _header_value,
}
