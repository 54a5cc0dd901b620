"""The catalogue's data, read from two TOML files in this package.

Facts about forty hosts age faster than code, so they are not code: anybody can put a row right without knowing Python. A
structured file for the models would take longer to parse than the proxy takes to start; they are one line each in plain
columns, which cost nothing to read and can be read by people too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, TypeVar

import attrs

from engine.config import Accent, Catalogue, Endpoint, Listing, Model, ResponsesAccent, Switch, Thinking, Wire
from policies import SCOPES, Capabilities, Price, Scope

K = TypeVar("K", bound=str)
A = TypeVar("A", Accent, ResponsesAccent)


def load_catalogue() -> Catalogue:
    """The whole catalogue, read afresh; a few milliseconds. The data are ours: a mistake in them raises as it comes."""
    data = files("transports") / "catalogue"
    providers = tomllib.loads((data / "providers.toml").read_text("utf-8"))
    models = tomllib.loads((data / "models.toml").read_text("utf-8"))["models"]
    rows: dict[str, Listing] = {}
    for id, row in providers["provider"].items():
        rows[id] = _listing(id, row, models.get(id, ""), rows)
    return Catalogue.of(rows.values(), providers["vendors"])


def _listing(id: str, row: dict[str, Any], models: str, before: Mapping[str, Listing]) -> Listing:
    given = dict(row)
    like = before.get(given.pop("like", ""))
    chat = _accent(like.chat if like else Accent(), given.pop("chat", {}))
    responses = _accent(like.responses if like else ResponsesAccent(), given.pop("responses", {}))
    return Listing(
        id=id,
        chat=chat,
        chat_by_model={glob: _accent(chat, table) for glob, table in given.pop("chat_by_model", {}).items()},
        responses=responses,
        responses_by_model={
            glob: _accent(responses, table) for glob, table in given.pop("responses_by_model", {}).items()
        },
        wires=_endpoints(given.pop("wires")),
        regions={name: _endpoints(wires) for name, wires in given.pop("regions", {}).items()},
        scope=_scope(given.pop("scope", None)),
        models={model.id: model for model in _models(models)},
        **{key: _LISTS.get(key, lambda value: value)(value) for key, value in given.items()},
    )


_LISTS: Mapping[str, type[Any]] = {
    "aliases": tuple,
    "env": tuple,
    "base_url_env": tuple,
    "drop": frozenset,
    "quirks": frozenset,
    "public_models": tuple,
}
#: Fields of an accent whose values are sets, where TOML has lists.
_SETS = ("choices", "drop")


def _accent(base: A, given: Mapping[str, Any]) -> A:
    """An accent with a table's values on top. `stops = 0` is any number; `switch = {}` is none."""
    values: dict[str, Any] = {name: frozenset(value) if name in _SETS else value for name, value in given.items()}
    if "switch" in values:
        switch = dict(values["switch"])
        if "efforts" in switch:
            switch["efforts"] = tuple(switch["efforts"])
        values["switch"] = Switch(**switch) if switch else None
    if values.get("stops") == 0:
        values["stops"] = None
    return attrs.evolve(base, **values)


def _endpoints(wires: Mapping[Wire, Any]) -> dict[Wire, Endpoint]:
    return {
        wire: _endpoint({"base": given} if isinstance(given, str) else dict(given)) for wire, given in wires.items()
    }


def _endpoint(given: dict[str, str]) -> Endpoint:
    auth: Any = given.pop("auth", "bearer")
    return Endpoint(base=given.pop("base"), auth=auth, paths=given)


def _scope(given: Any) -> Scope | None:
    if given is None:
        return None
    arguments = {"kind": given} if isinstance(given, str) else dict(given)
    return SCOPES[arguments.pop("kind")](**arguments)


def _models(table: str) -> Iterator[Model]:
    """One model a line: id, window, cap, abilities, price, thinking."""
    for line in table.strip().splitlines():
        id, context, max_output, can, price, thinks = line.split()
        abilities = can.split(",")
        yield Model(
            id=id,
            capabilities=Capabilities(
                context=_count(context),
                max_output=_count(max_output),
                **{
                    name: None if f"{name}?" in abilities else name in abilities
                    for name in ("tools", "images", "documents")
                },
            ),
            price=_price(price),
            free=price == "free",
            thinking=_thinking(thinks),
            temperature="fixed" not in thinks.split(","),
        )


def _count(text: str) -> int | None:
    return None if text == "-" else int(text)


#: Words of the last column that are no effort.
_THINKS = ("never", "always", "switch", "budget", "replay", "fixed")


def _thinking(text: str) -> Thinking | None:
    """How a model thinks; one whose thinking is not told of counts as unknown, not as one that does not think."""
    if text == "-":
        return None
    words = text.split(",")
    return Thinking(
        always="always" in words,
        toggle="switch" in words,
        budget="budget" in words,
        efforts=tuple(word for word in words if word not in _THINKS),
        replay="replay" in words,
    )


def _price(text: str) -> Price | None:
    if text in ("-", "free"):
        return None
    input, output, *cached = map(float, text.split("/"))
    return Price(input=input, output=output, **dict(zip(("cache_read", "cache_write"), cached, strict=False)))
