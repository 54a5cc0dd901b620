"""What a file may say that only Ollama's own wire can carry: the window to load a model with, and how long to keep it.

As plain settings they would be sent where that wire is spoken and silently forgotten where it is not, and a window that is
forgotten is a conversation cut at the top. So to say one of them is to choose the wire, for the provider or for the one
model; and where another wire is named, or there is no such wire, it is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import attrs

from engine.config._file import ModelTable, ProviderTable
from engine.config._problems import Path
from engine.config._provider import Model, Wire

_WIRE: Wire = "ollama"
_KEYS = ("num_ctx", "keep_alive")


def chosen(table: ProviderTable, offered: Collection[Wire]) -> bool:
    """Whether a provider's table chooses this wire by what it says."""
    return table.wire is None and bool(_said(table)) and _WIRE in offered


def models_on_it(table: ProviderTable, wire: Wire, offered: Collection[Wire]) -> dict[str, Wire]:
    """Glob -> wire, for the models whose own tables choose this wire where their provider is asked on another."""
    if wire == _WIRE or table.wire is not None or _WIRE not in offered:
        return {}
    return {_literal(name): _WIRE for name, one in table.models.items() if _said(one)}


def misplaced(table: ProviderTable, id: str, offered: Collection[Wire], *, known: bool) -> Iterator[tuple[Path, str]]:
    """Each such key that nothing can be done with, below the provider's table, and why.

    `known` tells a provider of the catalogue from one whose wire the file must name, and is missing there.
    """
    tables: list[tuple[Path, ProviderTable | ModelTable]] = [((), table)]
    tables += [(("models", name), one) for name, one in table.models.items()]
    for path, key in ((path, key) for path, one in tables for key in _said(one)):
        if table.wire not in (None, _WIRE):
            yield (*path, key), f"it is sent on the ollama wire alone, and wire says '{table.wire}': remove one of them"
        elif table.wire is None and known and _WIRE not in offered:
            yield (*path, key), f"it is sent on the ollama wire alone, which '{id}' is not asked on: remove it"


def windowed(model: Model, num_ctx: int | None) -> Model:
    """A model whose window is the one that it is loaded with, where that is said. Ollama loads none beyond its own."""
    window = model.settings.num_ctx or num_ctx
    if window is None:
        return model
    can = model.capabilities
    return attrs.evolve(model, capabilities=attrs.evolve(can, context=min(window, can.context or window)))


def _said(table: ProviderTable | ModelTable) -> tuple[str, ...]:
    return tuple(key for key in _KEYS if getattr(table, key) is not None)


def _literal(name: str) -> str:
    """A glob that matches this name alone."""
    return re.sub(r"([*?[])", r"[\1]", name.lower())
