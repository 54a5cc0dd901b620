"""What the file says of one model, laid over what is known of it; and what it says of how requests are sent.

A table replaces what it names and nothing else: a window that is put right must not cost the model its price.
"""

from __future__ import annotations

import attrs

from engine.config._accent import ThinkingWish
from engine.config._file import ModelTable, ProviderTable, TimeoutsTable
from engine.config._provider import Model, Settings, Timeouts
from policies import Capabilities, Price


def settings_of(table: ProviderTable | ModelTable) -> Settings:
    """What a table says of how requests are sent."""
    given = table.thinking
    wish = ThinkingWish(enabled=given.enabled, budget=given.budget) if given is not None else None
    return Settings(
        max_output_tokens=table.max_output_tokens,
        thinking=wish,
        headers=tuple(table.headers.items()),
        timeouts=Timeouts(**{f.name: getattr(table.timeouts, f.name) for f in attrs.fields(TimeoutsTable)}),
        num_ctx=table.num_ctx,
        keep_alive=table.keep_alive,
    )


def described(model: Model, table: ModelTable) -> Model:
    """A model as the catalogue has it, with what the file says of it on top."""
    model = attrs.evolve(model, settings=settings_of(table))
    given = {field.name: getattr(table, field.name) for field in attrs.fields(Capabilities)}
    can = attrs.evolve(model.capabilities, **{k: v for k, v in given.items() if v is not None})
    if table.price is None:
        return attrs.evolve(model, capabilities=can)
    free = not (table.price.input or table.price.output)
    price = None if free else Price(**attrs.asdict(table.price))
    return attrs.evolve(model, capabilities=can, price=price, free=free)
