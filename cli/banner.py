"""The first thing a person sees: where it listens, who can answer, who cannot and why, and what to type next.

"Listening on port 8082" leaves a new user with a server that may be of no use. Most of what goes wrong on the first day is a
key that is not there, and it is known before the first request; so it is said then, with the line that mends it.
"""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from engine.config import AUTO, REHEARSAL, Config, Provider

#: More providers than this that are merely not set up are counted instead of listed.
LISTED = 4


def show_banner(console: Console, config: Config, url: str, version: str) -> None:
    """Print it. Colour only where the console is a terminal; no secret is ever in it."""
    usable = [p for p in config.providers.values() if p.usable and p.id != REHEARSAL]
    missing = [p for p in config.providers.values() if not p.usable]
    console.print(f"[bold]hedgerow[/] {version} is listening on [bold]{escape(url)}[/]")
    console.print(f"  configuration  {escape(config.file)}")
    console.print(f"  usable         {escape(', '.join(map(_usable, usable)) or _nobody())}")
    for line in _not_usable(missing):
        console.print(f"  [dim]not usable[/]     {escape(line)}")
    auto = ", ".join(str(c) for c in config.chains[AUTO].candidates)
    console.print(f"  chain auto     {escape(auto)}")
    for warning in (*config.warnings, *_closed(config)):
        console.print(f"  [yellow]warning[/]        {escape(warning)}")
    token = f"${config.server.auth_token_env}" if config.server.token else "hedgerow"
    console.print("\nPoint Claude Code at it:")
    console.print(f"  export ANTHROPIC_BASE_URL={escape(url)} ANTHROPIC_AUTH_TOKEN={token}")
    console.print("  claude\n")


def _usable(provider: Provider) -> str:
    keys = len(provider.keys)
    return f"{provider.id} ({keys} keys)" if keys > 1 else provider.id


def _nobody() -> str:
    return "nobody but the built-in rehearsal provider: set a key, for example OPENROUTER_API_KEY, and start again"


def _closed(config: Config) -> list[str]:
    """Chains of the file that answer nothing as things are, each with what its first candidate wants."""
    told = []
    for chain in config.chains.values():
        reasons = {c: config.providers[c.provider].unusable_for(c.model) for c in chain.candidates}
        if reasons and all(reasons.values()):
            first = chain.candidates[0]
            told.append(f"chain {chain.name}: nobody in it can be asked ({first}: {reasons[first]})")
    return told


def _not_usable(missing: list[Provider]) -> list[str]:
    """Those a person named, each with its reason; the rest of the catalogue as a count."""
    named = [f"{p.id}: {p.unusable_because}" for p in missing if p.named]
    rest = [p for p in missing if not p.named]
    if rest:
        some = ", ".join(p.id for p in rest[:LISTED])
        named.append(f"{len(rest)} more that the catalogue knows ({some}, ...): no key is set; see /ready")
    return named
