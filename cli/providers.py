"""`hedgerow providers`: who can be asked, what is missing, and what each has to offer.

A new user has a key or two and wants to know what they are good for; an operator wants to know why a provider is passed
over. Both answers stand in one table: for each provider either that it can be used, or the one thing to do about it. What
the catalogue knows of its models may have aged, so the provider itself can be asked, with the same key, address and proxy
that a request would take.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial

import click
import trio
from rich.console import Console

import server
from cli.accounts import facts_of, model_row, price_text, provider_row
from cli.care import add_care
from cli.printable import printable
from cli.shared import config_option, console_here, json_option, mistakes, print_json, read_all
from cli.tables import show_table, tokens
from engine.config import REHEARSAL, Config, Provider
from transports import ListedModel, ListingFailed, Proxied, StreamingTransport, list_models


class _WithDefault(click.Group):
    """A group whose first argument may be left out: anything that is no command of it belongs to `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_WithDefault,
    epilog="""\b
Examples:
  hedgerow providers                      all of them: usable, or what is missing
  hedgerow providers --usable             those that can be asked now
  hedgerow providers kimi                 those whose id, name, alias or variable holds this
  hedgerow providers show zai             everything known of one, its models included
  hedgerow providers models open_router   what it lists today
  hedgerow providers reset zai            at a running server: ask it again at once
  hedgerow providers --json | jq -r '.[] | select(.usable) | .id'

Exit codes: 0 all went well, 1 a provider could not give its list, 2 a wrong command line or configuration.
""",
)
def providers() -> None:
    """Who can be asked, what is missing, and what each has to offer; and how to take care of them at a running server."""


add_care(providers)


@providers.command("list")
@click.argument("term", required=False, default="")
@click.option("--usable", is_flag=True, help="Only those that can be asked now.")
@json_option
@config_option
def list_(term: str, usable: bool, as_json: bool, config: str | None) -> None:
    """All providers, usable ones first; TERM narrows them to those whose id, name, alias or variable holds it."""
    with mistakes():
        chosen, catalogue = read_all(config)
    told = [facts_of(provider, catalogue.providers.get(provider.id)) for provider in chosen.providers.values()]
    told = [row for row in told if term.lower() in row.sought and (row.usable or not usable)]
    told.sort(key=lambda row: not row.usable)
    if as_json:
        print_json([row.summary() for row in told])
        return
    if not told:
        click.echo(_nobody(term, usable), err=True)
        return
    columns = ("id", "name", "wires", "keys", "#models", "price", "use")
    show_table(console_here(), columns, [provider_row(row) for row in told])


@providers.command(
    epilog="""\b
Examples:
  hedgerow providers show zai
  hedgerow providers show gateway --config team.toml
  hedgerow providers show openai --json | jq '.models[] | {id, context, price}'
"""
)
@click.argument("id")
@json_option
@config_option
def show(id: str, as_json: bool, config: str | None) -> None:
    """Everything known of the provider ID: addresses, keys, settings, models with windows and prices."""
    with mistakes():
        chosen, catalogue = read_all(config)
        provider = _named(chosen, id)
    row = facts_of(provider, catalogue.providers.get(provider.id))
    if as_json:
        print_json(row.all())
        return
    console = console_here()
    told = [(name, text) for name, text in row.lines() if text]
    width = max(len(name) for name, _ in told)
    for name, text in told:
        console.print(f"{name:<{width}}  {text}", markup=False)
    if row.models:
        console.print()
        columns = ("model", "#window", "#answer", "takes", "thinks", "price in/out", "cache read/write")
        show_table(console, columns, [model_row(model) for model in row.models])


@providers.command(
    epilog="""\b
Examples:
  hedgerow providers models groq
  hedgerow providers models open_router :free
  hedgerow providers models ollama --json
"""
)
@click.argument("id")
@click.argument("term", required=False, default="")
@json_option
@config_option
def models(id: str, term: str, as_json: bool, config: str | None) -> None:
    """Ask the provider ID for its models; TERM narrows them. A star marks those that the catalogue knows."""
    with mistakes():
        provider = _named(server.read_config(config, os.environ), id)
    try:
        listed = trio.run(partial(_listed, provider, quiet=as_json))
    except ListingFailed as error:
        click.echo(printable(f"hedgerow: {provider.id}: {error}"), err=True)
        sys.exit(1)
    wanted = [model for model in listed if term.lower() in f"{model.id} {model.name}".lower()]
    gone = sorted(provider.models.keys() - {model.id for model in listed}) if listed else []
    if as_json:
        rows = [_listed_json(model, provider) for model in wanted]
        print_json({"provider": provider.id, "models": rows, "known_but_not_listed": gone})
        return
    if not wanted:
        click.echo(
            f"{provider.id} lists {len(listed)} models, none with '{term}'" if term else f"{provider.id} lists none"
        )
        return
    columns = ("", "model", "#window", "#answer", "takes", "price in/out")
    show_table(console_here(), columns, [_listed_row(model, provider) for model in wanted])
    if gone and not term:
        click.echo(f"Known, and not listed: {', '.join(gone)}", err=True)


async def _listed(provider: Provider, *, quiet: bool) -> list[ListedModel]:
    ways = Proxied(StreamingTransport())
    console = Console(stderr=True, highlight=False)
    try:
        with _progress(console, provider, quiet=quiet) as page:
            return await list_models(ways.to, provider, page=page)
    finally:
        with trio.move_on_after(1, shield=True):
            await ways.aclose()


@contextmanager
def _progress(console: Console, provider: Provider, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """What is going on, on a terminal only."""
    if quiet or not console.is_terminal:
        yield lambda count: None
        return
    with console.status(f"asking {provider.id} for its models") as status:
        yield lambda count: status.update(f"asking {provider.id} for its models: {count} so far")


def _listed_row(model: ListedModel, provider: Provider) -> tuple[str, ...]:
    can = model.capabilities
    told = {"tools": can.tools, "images": can.images, "documents": can.documents, "thinking": model.thinking}
    return (
        "*" if model.id in provider.models else "",
        model.id,
        tokens(can.context),
        tokens(can.max_output),
        ", ".join(name for name, yes in told.items() if yes) or "-",
        price_text(model.price, model.free),
    )


def _listed_json(model: ListedModel, provider: Provider) -> dict[str, object]:
    can, price = model.capabilities, model.price
    return {
        "id": model.id,
        "name": model.name or None,
        "context": can.context,
        "max_output": can.max_output,
        "tools": can.tools,
        "images": can.images,
        "documents": can.documents,
        "thinking": model.thinking,
        "price": {"input": 0, "output": 0} if model.free else price and {"input": price.input, "output": price.output},
        "known": model.id in provider.models,
    }


# What all of them share.


def _named(config: Config, name: str) -> Provider:
    """The provider of an id or alias. Raises StartError with the nearest name."""
    id = config.aliases.get(name, name)
    if id == REHEARSAL or id not in config.providers:
        known = [known for known in (*config.providers, *config.aliases) if known != REHEARSAL]
        near = get_close_matches(name, known, n=1)
        text = "answers in process, and has no models of its own" if id == REHEARSAL else "is no provider"
        hint = f" (did you mean '{near[0]}'?)" if near and id != REHEARSAL else ""
        raise server.StartError(f"'{name[:80]}' {text}{hint}; `hedgerow providers` lists all")
    return config.providers[id]


def _nobody(term: str, usable: bool) -> str:
    what = "no provider is usable" if usable else "no provider"
    return f"{what}{f' with {term!r}' if term else ''}; `hedgerow providers` lists all, with what each needs"
