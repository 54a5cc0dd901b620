"""`hedgerow serve`: start the proxy, say what is usable and how to point Claude Code at it.

A server's own command line would do for starting it, and says nothing of what it found. So the socket is had first, the local
runtimes are looked for, and the banner tells the outcome; whatever is wrong ends it here, in one line and without a traceback.
"""

from __future__ import annotations

import os
from functools import partial

import click
import trio
from rich.console import Console

import server
from cli.banner import show_banner
from cli.logs import configure_logs, log_access, log_event
from cli.shared import config_option, mistakes


@click.command(
    epilog="""\b
Examples:
  hedgerow serve
  hedgerow serve --config team.toml --bind 127.0.0.1:9000
  HEDGEROW_CONFIG=team.toml hedgerow serve --log-level warning
"""
)
@config_option
@click.option(
    "--bind",
    metavar="HOST:PORT",
    help="Where to listen; port 0 takes a free one. Default: [server] bind, else 127.0.0.1:8082.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What the log on standard error holds.",
)
def serve(config: str | None, bind: str | None, log_level: str) -> None:
    """Start the proxy."""
    with mistakes():
        trio.run(partial(_serve, config, bind, log_level))


async def _serve(config: str | None, bind: str | None, log_level: str) -> None:
    configure_logs(log_level)
    first = server.bound(server.read_config(config, os.environ), bind)
    sock = server.listen(first.server.host, first.server.port)
    found = await server.find_local(first)
    chosen = server.bound(server.read_config(config, os.environ, found=found), bind) if found else first
    built = server.build(chosen, log=log_access)
    built.bus.add(log_event)
    url = server.address(sock)
    started = partial(show_banner, Console(highlight=False, soft_wrap=True), chosen, url, server.product_version())
    await server.serve(built, sock, started=started)
