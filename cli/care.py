"""`hedgerow providers reset ID` and its kin: taking care of a provider at a running server.

An operator in a bad minute has a shell and no time for the address of a door, a header with a token and a body of JSON. Each
of these is one POST to the server that the configuration names, and one line that says how the provider stands now.
"""

from __future__ import annotations

import sys
from urllib.parse import quote

import click

from cli.asked import ANSWERS_WITHIN_S, answered, running, url_option
from cli.printable import printable
from cli.shared import config_option, json_option, mistakes, print_json
from engine import JSON

#: A test asks a real model, which may think about it.
TESTED_WITHIN_S = 75.0

#: Verb -> what it does, for its help.
VERBS = {
    "reset": "Forget what is held against the provider ID and its models: it is asked again at once.",
    "drain": "Send no new conversations to the provider ID; those that it still holds something of go on.",
    "disable": "Send nobody to the provider ID, until it is enabled or the server starts anew.",
    "enable": "Let the provider ID be asked again, as the file says.",
}


def add_care(group: click.Group) -> None:
    """Add the verbs, and `test`, to `hedgerow providers`."""
    for verb, what in VERBS.items():
        group.add_command(_command(verb, what))
    group.add_command(test)


def _command(verb: str, what: str) -> click.Command:
    epilog = f"\b\nExamples:\n  hedgerow providers {verb} groq\n  hedgerow providers {verb} groq --json | jq .stance"

    @click.command(verb, help=what, epilog=epilog)
    @click.argument("id")
    @url_option
    @json_option
    @config_option
    def command(id: str, url: str | None, as_json: bool, config: str | None) -> None:
        row = _posted(url, config, f"/providers/{quote(id, safe='')}/{verb}")
        if as_json:
            print_json(row)
        else:
            click.echo(printable(f"{id}: {_standing(row)}"))

    return command


@click.command(
    epilog="""\b
Examples:
  hedgerow providers test groq
  hedgerow providers test groq --model llama-3.3-70b-versatile
"""
)
@click.argument("id")
@click.option("--model", metavar="NAME", help="Which of its models. Default: the first that stands in a chain.")
@url_option
@json_option
@config_option
def test(id: str, model: str | None, url: str | None, as_json: bool, config: str | None) -> None:
    """Let the server ask the provider ID one short question now. Exits with 1 where that fails."""
    query = f"?model={quote(model, safe='')}" if model else ""
    told = _posted(url, config, f"/providers/{quote(id, safe='')}/test{query}", TESTED_WITHIN_S)
    if as_json:
        print_json(told)
    else:
        outcome = f"answered in {told['elapsed_s']:.1f} s" if told["ok"] else f"failed: {told['failure'] or 'given up'}"
        click.echo(printable(f"{told['candidate']}: {outcome}"))
    if not told["ok"]:
        sys.exit(1)


def _posted(url: str | None, config: str | None, path: str, within_s: float = ANSWERS_WITHIN_S) -> JSON:
    with mistakes():
        asked = running(url, config)
    with answered():
        return asked.post(path, within_s)


def _standing(row: JSON) -> str:
    """`enabled, healthy`; or what speaks against it, each with the time until it is over."""
    whole = [("the provider as a whole", row["as_a_whole"])]
    out = [
        f"{name} {health['breaker']} for {health['back_in_s']:.0f} s ({health['reason']})"
        for name, health in (*whole, *row["models"].items())
        if health["breaker"] != "closed"
    ]
    well = "healthy" if row["healthy"] else "" if row["usable"] else f"not usable: {row['why_not']}"
    return ", ".join(filter(None, (row["stance"], well, *dict.fromkeys(out))))
