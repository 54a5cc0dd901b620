"""A running server, asked: where it is, what it is told to let us in, and what is said when it does not answer.

A command that needs the books of a running server cannot read them from a file. It asks as any client does, over HTTP, with
the token that Claude Code sends, and everything that goes wrong on the way becomes one line that says what to do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import attrs
import click
import httpx

import server
from cli.printable import printable
from engine import JSON
from engine.config import ConfigError, Server

#: A server that is alive tells what it knows in milliseconds; one that is drained or wedged is not waited for.
ANSWERS_WITHIN_S = 5.0

url_option = click.option(
    "--url", metavar="URL", help="The running server. Default: where the configuration binds it, 127.0.0.1:8082."
)


class NotAnswered(Exception):
    """There is no answer. The text is for the user: what, and what to do."""


@attrs.frozen
class Running:
    """A server's address, and the token that it wants."""

    url: str
    token: str = attrs.field(repr=False)
    variable: str = "ANTHROPIC_AUTH_TOKEN"

    def get(self, path: str) -> JSON | None:
        """What stands at a path, None where nothing does. Raises NotAnswered."""
        answer = self._ask("GET", path, ANSWERS_WITHIN_S)
        if answer.status_code == 404:
            return None
        value = _object(answer)
        if answer.status_code != 200 or value is None:
            raise NotAnswered(f"what answers at {self.url} is no hedgerow: status {answer.status_code} for {path}")
        return value

    def post(self, path: str, within_s: float = ANSWERS_WITHIN_S) -> JSON:
        """What a deed at a path has come to. Raises NotAnswered, in the server's own words where it refuses."""
        answer = self._ask("POST", path, within_s)
        value = _object(answer)
        if value is None:
            raise NotAnswered(f"what answers at {self.url} is no hedgerow: status {answer.status_code} for {path}")
        if answer.status_code != 200:
            error = value.get("error")
            said = error.get("message") if isinstance(error, dict) else None
            raise NotAnswered(f"{self.url}: {said or f'status {answer.status_code}'}")
        return value

    def _ask(self, method: str, path: str, within_s: float) -> httpx.Response:
        headers = {"x-api-key": self.token} if self.token else {}
        try:
            with httpx.Client(trust_env=False, timeout=within_s) as client:
                answer = client.request(method, f"{self.url}{path}", headers=headers)
        except httpx.TransportError as error:
            why = "nothing answers in time" if isinstance(error, httpx.TimeoutException) else "nobody answers"
            raise NotAnswered(
                f"{why} at {self.url}: start `hedgerow serve`, or name another address with --url"
            ) from None
        if answer.status_code == 401:
            hint = "the one there is another" if self.token else "it is not set here"
            raise NotAnswered(f"{self.url} wants its token from {self.variable}: {hint}")
        return answer


def _object(answer: httpx.Response) -> JSON | None:
    try:
        value = answer.json()
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def running(url: str | None, config: str | None, environ: Mapping[str, str] = os.environ) -> Running:
    """The server at `url`, else where the configuration binds it; the token from the variable that the file names.

    Raises ConfigError and StartError where there is neither.
    """
    try:
        settings = server.read_config(config, environ).server
    except (ConfigError, server.StartError):
        if url is None or config is not None:
            raise
        settings = Server()  # a file that is being edited is no reason to be told nothing
    token = environ.get(settings.auth_token_env, "").strip()
    where = _checked(url) if url else server.url_of(settings.host, settings.port)
    return Running(where, token, settings.auth_token_env)


@contextmanager
def answered() -> Iterator[None]:
    """A server that does not answer, or not so, is told in one line, and ends with 1."""
    try:
        yield
    except NotAnswered as error:
        click.echo(printable(f"hedgerow: {error}"), err=True)
        sys.exit(1)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or parts.username is not None or parts.query or parts.fragment:
        raise server.StartError("--url: expected an address such as http://127.0.0.1:8082")
    return url.rstrip("/")
