"""One provider, told: in a line, in full, and as JSON.

What is known of a provider stands in two places, its row in the catalogue and what the configuration made of it, and a
person cares for neither of the two but for the answer. Here both become one account of it, from which every view takes its
columns. Values of keys are in none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from engine.config import Listing, Model, Provider
from policies import Price


@attrs.frozen(kw_only=True)
class Account:
    """Everything there is to tell of one provider. `wires` are wire and address, in order of preference."""

    provider: Provider
    wires: dict[str, str]
    aliases: tuple[str, ...]
    keys: tuple[str, ...]
    regions: tuple[str, ...]
    models: tuple[Model, ...]

    @property
    def usable(self) -> bool:
        return self.provider.usable

    @property
    def sought(self) -> str:
        """What a search looks through, in small letters."""
        return " ".join((self.provider.id, self.provider.name, *self.aliases, *self.keys)).lower()

    @property
    def cost(self) -> str:
        """What its models cost, in a word or two; of a runtime of one's own, that it is local."""
        if self.provider.local:
            return "local"
        kinds = {"free": any(m.free for m in self.models), "paid": any(m.price for m in self.models)}
        return " and ".join(kind for kind, any_ in kinds.items() if any_) or "-"

    def summary(self) -> dict[str, Any]:
        """What the list tells, as JSON."""
        return {
            "id": self.provider.id,
            "name": self.provider.name,
            "aliases": list(self.aliases),
            "wires": list(self.wires),
            "asked_on": self.provider.wire,
            "usable": self.usable,
            "because": self.provider.unusable_because or None,
            "keys_env": list(self.keys),
            "keys_set": len(self.provider.keys),
            "models": len(self.models),
            "cost": None if self.cost == "-" else self.cost,
            "local": self.provider.local,
            "named": self.provider.named,
        }

    def all(self) -> dict[str, Any]:
        """Everything, as JSON."""
        return {
            **self.summary(),
            "base_url": self.provider.base_url,
            "addresses": self.wires,
            "regions": list(self.regions),
            "auth": self.provider.auth,
            "default_model": self.provider.default_model,
            "drop": sorted(self.provider.drop),
            "quirks": sorted(self.provider.quirks),
            "models": [model_json(model) for model in self.models],
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """Everything but the models, as names and texts."""
        p = self.provider
        yield "id", p.id + (f" ({', '.join(self.aliases)})" if self.aliases else "")
        yield "name", p.name
        yield "usable", "yes" if p.usable else f"no: {p.unusable_because}"
        yield "asked on", f"{p.wire} at {p.base_url}"
        for wire, base in self.wires.items():
            if wire != p.wire:
                yield "also on", f"{wire} at {base}"
        for glob, wire in p.wire_by_model.items():
            yield "wire of", f"{glob}: {wire}"
        yield "regions", ", ".join(self.regions)
        yield "keys", self._keys()
        yield "sent as", {"none": "nothing", "client": "the client's own credential"}.get(p.auth, p.auth)
        yield "headers", ", ".join(name for name, _ in p.settings.headers)
        yield "through", f"a proxy ({p.proxy.source})" if p.proxy is not None else ""
        given = [f"{name} {value}" for name, value in attrs.asdict(p.scope).items() if value is not None]
        yield "scope", f"{p.scope.kind}: {', '.join(given)}" if given else p.scope.kind
        yield "refuses", ", ".join(sorted(p.drop))
        yield "quirks", ", ".join(sorted(p.quirks))
        yield "default", p.default_model or ""

    def _keys(self) -> str:
        found = len(self.provider.keys)
        return f"{', '.join(self.keys) or 'none needed'}" + (f" ({found} set)" if found else "")


def facts_of(provider: Provider, row: Listing | None) -> Account:
    """A provider as the configuration has it, with its row, where the catalogue has one."""
    regional = provider.keys_env or (row.env if row else ())
    wires: dict[str, str] = {wire: endpoint.base for wire, endpoint in row.wires.items()} if row else {}
    return Account(
        provider=provider,
        wires={**({} if provider.wire in wires else {provider.wire: provider.base_url}), **wires},
        aliases=row.aliases if row else (),
        keys=regional,
        regions=tuple(row.regions) if row else (),
        models=tuple(provider.models.values()),
    )


def provider_row(row: Account) -> tuple[str, ...]:
    """A line of the list: id, name, wires, keys, models, price, and whether it is usable or what to do."""
    p = row.provider
    return (
        p.id,
        p.name,
        ", ".join(row.wires),
        ", ".join(row.keys) or "-",
        str(len(row.models)) if row.models else "-",
        row.cost,
        "usable" if p.usable else p.unusable_because,
    )


def model_row(model: Model) -> tuple[str, ...]:
    """A model's line: id, window, longest answer, what it takes, how it thinks, prices."""
    can, price = model.capabilities, model.price
    told = {"tools": can.tools, "images": can.images, "documents": can.documents}
    cached = [_dollars(price.cache_read), _dollars(price.cache_write)] if price else ["-", "-"]
    return (
        model.id,
        "-" if can.context is None else f"{can.context:,}",
        "-" if can.max_output is None else f"{can.max_output:,}",
        ", ".join(name for name, yes in told.items() if yes) or "-",
        _thinking(model),
        price_text(price, model.free),
        "-" if cached == ["-", "-"] else "/".join(cached),
    )


def model_json(model: Model) -> dict[str, Any]:
    """A model as JSON; prices in US dollars per million tokens."""
    can, price, thinking = model.capabilities, model.price, model.thinking
    return {
        "id": model.id,
        **attrs.asdict(can),
        "thinking": None if thinking is None else thinking.thinks,
        "efforts": list(thinking.efforts) if thinking else [],
        "price": {"input": 0, "output": 0} if model.free else attrs.asdict(price) if price else None,
    }


def price_text(price: Price | None, free: bool) -> str:
    """US dollars per million tokens, in and out."""
    if free:
        return "free"
    return "-" if price is None else f"{_dollars(price.input)}/{_dollars(price.output)}"


def _dollars(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _thinking(model: Model) -> str:
    thinking = model.thinking
    if thinking is None:
        return "-"
    words = [
        word
        for word, yes in (("always", thinking.always), ("switch", thinking.toggle), ("budget", thinking.budget))
        if yes
    ]
    return ", ".join((*words, *thinking.efforts)) or "never"
