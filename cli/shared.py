"""What commands share: the options that several have, how a mistake ends them, and how a configuration is read.

Each command with an `--config` and a `try` of its own would soon have another default, another exit code and another word
for the same mistake.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click
import trio
from rich.console import Console

import server
from cli.printable import escaped
from engine.config import Catalogue, Config, ConfigError
from transports import load_catalogue

config_option = click.option(
    "--config",
    metavar="FILE",
    help="Configuration. Default: $HEDGEROW_CONFIG, ./config.toml, ~/.config/hedgerow/config.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@contextmanager
def mistakes() -> Iterator[None]:
    """A wrong configuration or name is told in its own words, and ends with 2."""
    try:
        yield
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except server.StartError as error:
        click.echo(f"hedgerow: {error}", err=True)
        sys.exit(2)


def read_all(config: str | None) -> tuple[Config, Catalogue]:
    """The configuration as a server would have it, local runtimes that answer included, and the catalogue behind it."""
    first = server.read_config(config, os.environ)
    found: Mapping[str, str | None] = trio.run(server.find_local, first)
    return (server.read_config(config, os.environ, found=found) if found else first), load_catalogue()


def console_here() -> Console:
    """Standard output: colours on a terminal, none behind a pipe."""
    return Console(highlight=False, soft_wrap=False)


def print_json(value: object) -> None:
    """Indented, for people and programs."""
    click.echo(escaped(json.dumps(value, indent=2, ensure_ascii=False)))
