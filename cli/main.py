"""`hedgerow`: one command, a few verbs, and one line for whatever goes wrong.

Exit codes: 0 all went well, 1 something failed while running, 2 the command line or the configuration is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from cli.check import check
from cli.demo import demo
from cli.explain import explain
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
    hedgerow check      is the configuration right, and what would it do
    hedgerow serve      start the proxy
    hedgerow explain    why a request went where it went
    """


hedgerow.add_command(serve)
hedgerow.add_command(demo)
hedgerow.add_command(providers)
hedgerow.add_command(check)
hedgerow.add_command(explain)


def main(args: Sequence[str] | None = None) -> None:
    """The console script."""
    hedgerow(args=None if args is None else list(args), prog_name="hedgerow")
