"""What a configuration says once it has been read, checked and joined with the catalogue.

The file is for people; these are for the engine. Everything is frozen: a request takes one `Config` when it arrives and
keeps it for life, whatever is reloaded meanwhile. Nothing here is optional for lack of checking: a value that exists is
valid, a reference that exists resolves.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_address
from types import MappingProxyType
from typing import Literal

import attrs

from engine.config._provider import Provider, Secret
from policies import Candidate, Policy

#: Where a web search can be made.
SearchEngine = Literal["duckduckgo", "searxng", "brave", "tavily"]
#: Which identical requests share one turn: none, those that asked for no stream, streams as well.
Duplicates = Literal["off", "whole", "all"]
#: What each needs: the usual variable of its key, and its own address; None where there is none.
SEARCH_ENGINES: Mapping[SearchEngine, tuple[str | None, str | None]] = MappingProxyType(
    {
        "duckduckgo": (None, "https://html.duckduckgo.com"),
        "searxng": (None, None),
        "brave": ("BRAVE_API_KEY", "https://api.search.brave.com"),
        "tavily": ("TAVILY_API_KEY", "https://api.tavily.com"),
    }
)

#: The built-in provider that answers in process when nobody else can.
REHEARSAL = "rehearsal"
#: The built-in chain.
AUTO = "auto"
#: As a candidate's model: the requested name, passed through.
ANY_MODEL = "*"


@attrs.frozen(kw_only=True)
class Chain:
    """An ordered list of candidates and a list of policies."""

    name: str
    candidates: tuple[Candidate, ...]
    policies: tuple[Policy, ...] = ()


@attrs.frozen(kw_only=True)
class Route:
    """A rule: incoming model name -> chain. `match` is a whole-string, case-insensitive glob.

    `thinking` is False to ask all of the chain's candidates without it, True to let them whatever the environment says.
    """

    match: str
    chain: str
    enabled: bool = True
    thinking: bool | None = None

    @property
    def exact(self) -> bool:
        return not any(c in self.match for c in "*?[")

    @property
    def matches_all(self) -> bool:
        """Whether every name matches: such a route is the default."""
        return self.match != "" and not self.match.strip("*")

    def matches(self, name: str) -> bool:
        return fnmatchcase(name.lower(), self.match.lower())


@attrs.frozen(kw_only=True)
class Server:
    """How the doors stand. Sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8082
    token: Secret | None = None
    auth_token_env: str = "ANTHROPIC_AUTH_TOKEN"
    insecure: bool = False
    #: One body; Claude Code accepts 32 MB answers from Anthropic for requests up to this size, images included.
    max_body_bytes: int = 32 * 1024 * 1024
    #: All bodies in flight together.
    max_total_body_bytes: int = 512 * 1024 * 1024
    #: A body must be complete within this time.
    body_s: float = 60.0
    #: What live streams get to finish in at shutdown.
    drain_s: float = 20.0
    #: A client that takes no byte for this long is dropped.
    write_s: float = 30.0
    #: Whether identical requests under way share one turn.
    duplicates: Duplicates = "off"


def check_exposure(server: Server) -> str | None:
    """Why this server must not be started as it stands, and what to do; None where it may.

    Whoever reaches an open proxy spends its owner's keys, so an address that others can reach takes a token, or the
    word of the operator that the network keeps others out.
    """
    if server.token is not None or server.insecure or is_loopback(server.host):
        return None
    return (
        f"{server.host} can be reached from other machines and {server.auth_token_env} is not set: set it, "
        "bind to 127.0.0.1, or say insecure = true"
    )


def is_loopback(host: str) -> bool:
    """Whether an address or name stands for this machine alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@attrs.frozen(kw_only=True)
class LocalAnswers:
    """Which of Claude Code's side requests are answered here. On where nobody can miss the model's answer.

    Off: `prefix`, whose answer decides what the client runs unasked; `title` and `suggestions`, which a person reads.
    """

    quota: bool = True
    prefix: bool = False
    title: bool = False
    suggestions: bool = False
    filepaths: bool = True


@attrs.frozen(kw_only=True)
class WebTools:
    """`web_search` and `web_fetch` for models that have none. Sizes in bytes and characters, times in seconds."""

    enabled: bool = False
    search: SearchEngine = "duckduckgo"
    #: Where the engine is; None: its own address.
    search_base_url: str | None = None
    search_key: Secret | None = None
    #: Uses of one tool in one request, whatever the request allows itself.
    max_uses: int = 8
    results: int = 10
    #: Everything the tools do for one request, and one page.
    total_s: float = 120.0
    fetch_s: float = 20.0
    max_page_bytes: int = 2 * 1024 * 1024
    max_page_chars: int = 24_000
    allowed_schemes: tuple[str, ...] = ("http", "https")
    allowed_ports: tuple[int, ...] = (80, 443)
    allow_private_networks: bool = False


@attrs.frozen(kw_only=True)
class Config:
    """One snapshot. `providers` holds every known id, usable or not; `chains` holds the built-in `auto` as well.

    `aliases` gives other names of providers, for addresses; everything else here is under their ids already. `listed` are
    candidates that the environment names, for the picker. `thinking` is glob -> whether such names may think.
    """

    server: Server = Server()
    local_answers: LocalAnswers = LocalAnswers()
    web_tools: WebTools = WebTools()
    providers: Mapping[str, Provider]
    chains: Mapping[str, Chain]
    routes: tuple[Route, ...]
    vendors: Mapping[str, str] = MappingProxyType({})
    aliases: Mapping[str, str] = MappingProxyType({})
    listed: tuple[Candidate, ...] = ()
    thinking: Mapping[str, bool] = MappingProxyType({})
    digest: str = ""
    warnings: tuple[str, ...] = ()
    file: str = ""

    def chained(self, provider: str) -> list[Candidate]:
        """A provider's candidates that stand in chains, in the file's order; `provider/*` names no model, and is none."""
        listed = dict.fromkeys(c for chain in self.chains.values() for c in chain.candidates)
        return [c for c in listed if c.provider == provider and c.model != ANY_MODEL]

    def thinks(self, name: str = "", route: Route | None = None) -> bool:
        """Whether the candidates may think: by the route's own word, else the environment's for such a name.

        Without a route the name was chosen explicitly, and only what the environment says of all names counts.
        """
        if route is None:
            return self.thinking.get("*", True)
        if route.thinking is not None:
            return route.thinking
        return next((on for glob, on in self.thinking.items() if fnmatchcase(name.lower(), glob)), True)
