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

from engine.config import Catalogue, Endpoint, Listing, Model, Wire
from policies import SCOPES, Capabilities, Price, Scope

K = TypeVar("K", bound=str)


def load_catalogue() -> Catalogue:
    """The whole catalogue, read afresh; a few milliseconds. The data are ours: a mistake in them raises as it comes."""
    data = files("transports") / "catalogue"
    providers = tomllib.loads((data / "providers.toml").read_text("utf-8"))
    models = tomllib.loads((data / "models.toml").read_text("utf-8"))["models"]
    rows = (_listing(id, row, models.get(id, "")) for id, row in providers["provider"].items())
    return Catalogue.of(rows, providers["vendors"])


def _listing(id: str, row: dict[str, Any], models: str) -> Listing:
    given = dict(row)
    return Listing(
        id=id,
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
}


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
    """One model a line: id, window, cap, abilities, price."""
    for line in table.strip().splitlines():
        id, context, max_output, can, price = line.split()
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
        )


def _count(text: str) -> int | None:
    return None if text == "-" else int(text)


def _price(text: str) -> Price | None:
    if text in ("-", "free"):
        return None
    input, output = text.split("/")
    return Price(input=float(input), output=float(output))
