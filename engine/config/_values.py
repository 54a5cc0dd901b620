"""From a TOML value to a typed one, tables and lists and policies, with every reason why it cannot be.

cattrs out of the box is kind: it makes 5 of "5" and a list of letters of a word, and says "required field missing" for a
misspelt one. In a file that decides where money goes each of these is a mistake that starts up anyway. So every hook here
is strict, says what is allowed, and fails with `Bad`, which carries all that is wrong below its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import attrs
from cattrs import Converter

from engine.config import _file as shape
from engine.config._bad import Bad, each, reasons, unknown_key
from engine.config._problems import Path, either, found, looks_secret, nearest
from engine.config._scalars import HOOKS, choice
from policies import SCOPES, Breaker, Policy, Scope, Unlimited, Weights, arguments, policy_class


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
    for kind, hook in HOOKS.items():
        made.register_structure_hook(kind, hook)

    def plain(value: Any, cls: Any) -> Any:
        if type(value) is not dict:
            raise Bad.expected("a table", value)
        return build(made, cls, _fields(cls), value)

    def listed(value: Any, kind: Any) -> Any:
        if type(value) is not list:
            raise Bad.expected("a list", value)
        return each(value, lambda item: made.structure(item, get_args(kind)[0]))

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
    made.register_structure_hook_func(lambda t: origin(t) is Literal, choice)
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
