"""`hedgerow`: one command, a few verbs, and one line for whatever goes wrong.

Exit codes: 0 all went well, 1 something failed while running, 2 the command line or the configuration is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from cli.demo import demo
from cli.providers import providers
from cli.serve import serve
from server import product_version


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(product_version(), prog_name="hedgerow")
def hedgerow() -> None:
    """A router for LLM requests, with a proxy for Claude Code around it.

    \b
    hedgerow demo       watch chains race, hedge and fall back; needs no key
    hedgerow providers  who can be asked, with what, and what each has
    hedgerow serve      start the proxy
    """


hedgerow.add_command(serve)
hedgerow.add_command(demo)
hedgerow.add_command(providers)


def main(args: Sequence[str] | None = None) -> None:
    """The console script."""
    hedgerow(args=None if args is None else list(args), prog_name="hedgerow")
