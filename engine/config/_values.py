"""From one TOML value to one typed value, with every reason why it cannot be.

cattrs out of the box is kind: it makes 5 of "5" and a list of letters of a word, and says "required field missing" for a
misspelt one. In a file that decides where money goes each of these is a mistake that starts up anyway. So every hook here
is strict, says what is allowed, and fails with `Bad`, which carries all that is wrong below its value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import attrs
from cattrs import Converter

from engine.config import _file as shape
from engine.config._bad import Bad as Bad
from engine.config._bad import reasons as reasons
from engine.config._bad import unknown_key as unknown_key
from engine.config._base_url import is_filling, is_proxy
from engine.config._problems import Path, either, found, looks_secret, nearest
from policies import SCOPES, Breaker, Policy, Scope, Unlimited, Weights, arguments, policy_class

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


def _choice(value: Any, kind: Any) -> Any:
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
    return _each(value, lambda item: _env_name(item, str))


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


def _each(items: Iterable[Any], read: Callable[[Any], Any]) -> tuple[Any, ...]:
    """All items read; else Bad with the reasons of all that could not be."""
    values, wrong = [], []
    for index, item in enumerate(items):
        try:
            values.append(read(item))
        except Exception as error:
            wrong += reasons(error, (index,))
    if wrong:
        raise Bad(*wrong)
    return tuple(values)


def build(
    converter: Converter, cls: type[Any], fields: Mapping[str, attrs.Attribute[Any]], table: Mapping[str, Any]
) -> Any:
    """An attrs value whose fields are a table's keys. Raises Bad with all that is wrong, ranges included.

    attrs runs validators only once every field is there, and stops at the first that objects; here each is asked alone.
    """
    values: dict[str, Any] = {}
    wrong: list[tuple[Path, str]] = [((key,), unknown_key(key, fields)) for key in table if key not in fields]
    blank = object.__new__(cls)
    for name, field in fields.items():
        if name not in table:
            if field.default is attrs.NOTHING:
                wrong.append(((), f"{name} is missing"))
            continue
        try:
            value = values[field.alias or field.name] = converter.structure(table[name], field.type or Any)
            if field.validator is not None and field.converter is None:
                field.validator(blank, field, value)
        except AttributeError:  # a validator that looks at other fields: it runs again below, with all of them there
            continue
        except Exception as error:
            wrong += [((name,), "expected at least one")] if table[name] == [] else reasons(error, (name,))
    if wrong:
        raise Bad(*wrong)
    try:
        return cls(**values)
    except Exception as error:
        raise Bad(*reasons(error)) from error


def _fields(cls: type[Any]) -> dict[str, attrs.Attribute[Any]]:
    return {field.name: field for field in attrs.fields(attrs.resolve_types(cls))}


def converter() -> Converter:
    """Strict hooks for everything a file may hold. One for each reading: it is cheap, and nothing is shared."""
    made = Converter(forbid_extra_keys=True)
    simple: dict[Any, Callable[[Any, Any], Any]] = {
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
    for kind, hook in simple.items():
        made.register_structure_hook(kind, hook)

    def plain(value: Any, cls: Any) -> Any:
        if type(value) is not dict:
            raise Bad.expected("a table", value)
        return build(made, cls, _fields(cls), value)

    def listed(value: Any, kind: Any) -> Any:
        if type(value) is not list:
            raise Bad.expected("a list", value)
        return _each(value, lambda item: made.structure(item, get_args(kind)[0]))

    def mapped(value: Any, kind: Any) -> Any:
        if type(value) is not dict:
            raise Bad.expected("a table", value)
        key_kind, value_kind = get_args(kind)
        read, wrong = {}, []
        for key, item in value.items():
            try:
                read[made.structure(key, key_kind)] = made.structure(item, value_kind)
            except Exception as error:
                wrong += reasons(error, (key,))
        if wrong:
            raise Bad(*wrong)
        return read

    def scope(value: Any, _: Any) -> Any:
        if value == Unlimited.kind:
            return Unlimited()
        if type(value) is not dict:
            raise Bad.expected("'unlimited' or a table with a kind", value)
        kind = value.get("kind")
        if type(kind) is not str or kind not in SCOPES:
            if "kind" not in value:
                raise Bad(((), f"kind is missing: {either(SCOPES)}"))
            near = nearest(kind, SCOPES) if type(kind) is str else ""
            raise Bad((("kind",), f"expected {either(SCOPES)}, got {found(kind)}{near}"))
        return build(made, SCOPES[kind], _fields(SCOPES[kind]), {k: v for k, v in value.items() if k != "kind"})

    def breaker(value: Any, _: Any) -> Any:
        if value == "off":
            return "off"
        if type(value) is not dict:
            raise Bad.expected("'off' or a table", value)
        return build(made, Breaker, _fields(Breaker), value)

    def key_limit(value: Any, _: Any) -> Any:
        given = {"requests": value} if type(value) is int else value
        if type(given) is not dict:
            raise Bad.expected("a number of requests a day or a table with requests and per_s", value)
        return build(made, shape.KeyLimitTable, _fields(shape.KeyLimitTable), given)

    def weights(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise Bad.expected("a table of names and numbers, such as { zen = 3 }", value)
        return Weights.of(mapped(value, dict[str, float]))

    def policy(value: Any, _: Any) -> Any:
        return read_policy(made, value)

    def origin(kind: Any) -> Any:
        return get_origin(kind)

    # Registered last is asked first.
    made.register_structure_hook_func(attrs.has, plain)
    made.register_structure_hook_func(lambda t: origin(t) is tuple, listed)
    made.register_structure_hook_func(lambda t: origin(t) is dict, mapped)
    made.register_structure_hook_func(lambda t: origin(t) is Literal, _choice)
    made.register_structure_hook_func(lambda t: t in (Scope, Scope | None), scope)
    made.register_structure_hook_func(lambda t: t in (shape.BreakerSetting, shape.BreakerSetting | None), breaker)
    made.register_structure_hook_func(lambda t: t in (shape.KeyLimitTable, shape.KeyLimitTable | None), key_limit)
    made.register_structure_hook_func(lambda t: t is Policy, policy)
    made.register_structure_hook_func(lambda t: t is Weights, weights)
    return made


def read_policy(converter: Converter, value: Any) -> Policy:
    """A policy from its bare name or its table. Raises Bad."""
    table = {"kind": value} if type(value) is str else value
    if type(table) is not dict:
        raise Bad.expected("the name of a policy or a table with a kind", value)
    kind = table.get("kind")
    if "kind" not in table:
        raise Bad(((), "kind is missing: the name of the policy"))
    if type(kind) is not str or looks_secret(kind) or len(kind) > 200:
        raise Bad.expected("the name of a policy", kind)
    try:
        cls = policy_class(kind)
        fields = arguments(attrs.resolve_types(cls))
    except Exception as error:  # a policy of the user's own may fail to load in any way
        raise Bad(*reasons(error)) from error
    made: Policy = build(converter, cls, fields, {k: v for k, v in table.items() if k != "kind"})
    return made


def policy_of(value: Any) -> Policy:
    """A policy from its TOML value, outside a file. Raises Bad."""
    return read_policy(converter(), value)
