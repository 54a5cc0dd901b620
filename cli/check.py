"""`hedgerow check`: is the configuration right, and what would it do.

A file that loads may still send every request to somebody who cannot be asked. So this goes on where a linter stops: each
route is given a request of Claude Code's usual kind, and the plan that would be made of it now is shown. It is made by the
router itself, on books that know nothing yet: as the first request after a start would find it. Nobody is asked anything.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from string import ascii_letters, digits

import attrs
import click
import trio
from rich.console import Console

import server
from cli.shared import config_option, console_here, json_option, mistakes, print_json, read_all
from cli.tables import show_table
from cli.verdicts import Line, decision_lines, show_lines
from engine import JSON, NoSuchModel, Request, Resolution, is_meant, need_of, trace_of
from engine.config import REHEARSAL, Config, Route
from engine.observers.recent import decided
from policies import effective

#: What Claude Code usually sends: streamed, with tools, a system prompt of about this many tokens.
USUAL_TOKENS = 20_000


@attrs.frozen
class Foreseen:
    """What becomes of one name: the decision, or why there is none. `route` is the one it is for; "" for a name asked for."""

    name: str
    route: str
    found: Resolution | None = None
    told: JSON = attrs.field(factory=dict)
    why_not: str = ""

    @property
    def answers(self) -> bool:
        return bool(self.told and self.told["plan"]["steps"])

    def as_json(self) -> JSON:
        found = self.found
        return {
            "route": self.route or None,
            "name": self.name,
            "resolved_by": found.how if found else None,
            "chain": found.chain.name if found else None,
            "answers": self.answers,
            "why_not": self.why_not or None,
            **self.told,
        }


@click.command(
    epilog="""\b
Examples:
  hedgerow check
  hedgerow check --config team.toml
  hedgerow check --model claude-haiku-4-5
  hedgerow check --json | jq '.routes[] | {route, chain, first: .plan.steps[0].candidate}'

Exit codes: 0 all routes have somebody to ask, 1 one has not or a name means nothing, 2 a wrong configuration.
"""
)
@click.option("--model", metavar="NAME", help="What would become of this name, instead of each route.")
@json_option
@config_option
def check(model: str | None, as_json: bool, config: str | None) -> None:
    """Check the configuration, and show the plan that each route would make now."""
    with mistakes():
        chosen, _ = read_all(config)
    names = [(model, "")] if model is not None else [(_sample(chosen, r), r.match) for r in chosen.routes if r.enabled]
    seen = trio.run(_foreseen, chosen, names)
    if as_json:
        print_json(_as_json(chosen, seen))
    else:
        _draw(console_here(), chosen, seen, whole=model is None)
    if not all(one.answers for one in seen):
        sys.exit(1)


async def _foreseen(config: Config, names: list[tuple[str, str]]) -> list[Foreseen]:
    """Inside a run for its clock alone: nothing here waits."""
    router = server.build(config).router
    seen = []
    for name, route in names:
        try:
            found, made = router.foresee(_request(name))
        except NoSuchModel as error:
            seen.append(Foreseen(name, route, why_not=str(error)))
        except Exception as error:  # a policy of somebody's own, and the place in it that he looks for
            kind, _, place = trace_of(error).partition(" < ")
            why = f"a policy of its chain raises {kind} at {place.partition(' < ')[0]}"
            seen.append(Foreseen(name, route, why_not=why))
        else:
            seen.append(Foreseen(name, route, found, decided(made)))
    await trio.lowlevel.checkpoint()
    return seen


def _request(name: str) -> Request:
    body: JSON = {
        "model": name,
        "max_tokens": 32_000,
        "stream": True,
        "messages": [{"role": "user", "content": "Hello."}],
        "tools": [{"name": "Read", "input_schema": {"type": "object"}}],
    }
    need = attrs.evolve(need_of(body, b""), input_tokens=USUAL_TOKENS)
    return Request(id="check", model=name, body=body, raw=b"", need=need, accepted_at=trio.current_time())


def _sample(config: Config, route: Route) -> str:
    """A name that the route matches, and that means nobody by itself."""
    one_of = re.compile(r"\[!?[^]][^]]*\]")
    filled = one_of.sub(lambda m: next((c for c in ascii_letters + digits if fnmatchcase(c, m[0])), "-"), route.match)
    plain = filled.replace("*", "").replace("?", "x")
    return plain if plain and not is_meant(config, plain) else filled.replace("*", "claude").replace("?", "x")


# Telling.


def _as_json(config: Config, seen: list[Foreseen]) -> JSON:
    return {
        "file": config.file,
        "warnings": list(config.warnings),
        "providers": {p.id: p.unusable_because or None for p in config.providers.values() if p.usable or p.named},
        "chains": {
            chain.name: {
                "candidates": [str(c) for c in chain.candidates],
                "policies": [str(p) for p in chain.policies],
                "effective_order": [
                    {"phase": p.phase.name.lower(), "policy": str(p)} for p in effective(chain.policies)
                ],
            }
            for chain in config.chains.values()
        },
        "routes": [one.as_json() for one in seen],
    }


def _draw(console: Console, config: Config, seen: list[Foreseen], *, whole: bool) -> None:
    show_lines(console, [*_head(config)])
    if whole:
        _draw_parts(console, config)
    for one in seen:
        console.print()
        show_lines(console, [*_route(one)])
    console.print()
    usual = f"a streamed request with tools and about {USUAL_TOKENS:,} tokens, the first after a start"
    show_lines(
        console, [Line("", f"Plans are for {usual}; a running server knows more: `hedgerow explain`.", style="dim")]
    )


def _head(config: Config) -> Iterator[Line]:
    warnings = len(config.warnings)
    told = f"{warnings} warning{'' if warnings == 1 else 's'}" if warnings else "no warnings"
    yield Line("", f"{config.file}: valid, {told}", style="bold")
    for warning in config.warnings:
        yield Line("warning  ", warning, 2, "yellow")


def _draw_parts(console: Console, config: Config) -> None:
    named = [p for p in config.providers.values() if (p.usable or p.named) and p.id != REHEARSAL]
    if named:
        console.print()
        rows = [(p.id, p.wire, "usable" if p.usable else p.unusable_because) for p in named]
        show_table(console, ("provider", "wire", "use"), rows)
    for chain in config.chains.values():
        lines = [Line("", f"chain {chain.name}", style="bold")]
        lines += [Line(f"{number}. ", str(c), 2) for number, c in enumerate(chain.candidates, 1)]
        lines += [Line(f"{p.phase.name.lower():<8} ", str(p), 5) for p in effective(chain.policies)]
        console.print()
        show_lines(console, lines)


def _route(one: Foreseen) -> Iterator[Line]:
    asked = f"route '{one.route}'" if one.route else f"model '{one.name}'"
    if one.found is None:
        yield Line("", f"{asked}: {one.why_not}", style="red")
        return
    how = "" if one.found.how == asked else f" ({one.found.how})"
    nobody = "" if one.answers else ": nobody can be asked"
    yield Line("", f"{asked} -> chain {one.found.chain.name}{how}{nobody}", style="bold" if one.answers else "red")
    yield from decision_lines(one.told)
