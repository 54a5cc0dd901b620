"""From the text of a file to a configuration that can be trusted.

The naive order is parse, structure, start, and find the rest at the first request. Here a text either becomes a `Config`
in which every reference resolves, or a list of everything that is wrong with it; there is nothing in between, and nothing
that is wrong is left for later.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from hashlib import blake2b
from types import MappingProxyType

import attrs

from engine.config import _auto, _environment
from engine.config._catalogue import Catalogue
from engine.config._file import ChainTable, File
from engine.config._problems import ConfigError, Findings, Path, nearest, quotable
from engine.config._provider import Provider, Secret
from engine.config._providers import Joiner
from engine.config._routes import shadowed
from engine.config._schema import AUTO, Chain, Config, Route, Server, check_exposure
from engine.config._structure import Reader
from engine.config._toml import Lines, parse
from engine.config._web import local_answers, web_tools
from policies import (
    NAMES,
    Candidate,
    Hedge,
    LeastLoaded,
    Policy,
    PolicyError,
    Retry,
    Sequence,
    SilentSkip,
    Sticky,
    UnlimitedScope,
    arguments,
    effective,
    matches,
    renamed,
)

#: What a chain does that does not say what to do, and what the built-in one does.
DEFAULT_POLICIES: tuple[Policy, ...] = (SilentSkip(), LeastLoaded(), Sequence(), Retry())
AUTO_POLICIES: tuple[Policy, ...] = (SilentSkip(), Sticky(), LeastLoaded(), Hedge(), Retry())

_NOBODY: Mapping[str, str | None] = MappingProxyType({})


def load(
    text: str,
    *,
    file: str,
    catalogue: Catalogue,
    environ: Mapping[str, str],
    answering: Mapping[str, str | None] = _NOBODY,
) -> Config:
    """A file's text as a checked configuration.

    `file` is how messages call it. `environ` is where keys and tokens are; nothing of it is kept but what is referred to.
    `answering` holds the local runtimes that were found at their addresses, each with a model it has loaded, if known.
    Raises ConfigError with every problem there is.
    """
    raw = parse(text, file)
    findings = Findings()
    shape = Reader(findings).file(raw)
    config = _Resolver(shape, catalogue, environ, answering, findings).config()
    line_of = Lines(text).of if findings.located else lambda _: 0
    if errors := findings.errors(file, line_of):
        raise ConfigError(errors)
    return attrs.evolve(
        config,
        digest=blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest(),
        warnings=tuple(map(str, findings.warnings(file, line_of))),
        file=file,
    )


@attrs.define(slots=False)
class _Resolver:
    """One file held against the catalogue, the environment and itself."""

    file: File
    catalogue: Catalogue
    environ: Mapping[str, str]
    answering: Mapping[str, str | None]
    findings: Findings

    def config(self) -> Config:
        server = self._server()
        chains = {name: self._chain(name, table) for name, table in self.file.chains.items() if name != AUTO}
        if AUTO in self.file.chains:
            self.findings.error(("chains", AUTO), "this chain is built in: choose another name, and route to that")
        environment, routes = self._environment, self._routes()
        tiers = {chain.name: chain for chain in environment.tiers.values()}
        for name in tiers.keys() & chains.keys():
            self.findings.error(
                ("chains", name), "the environment's variable makes a chain of this name: choose another"
            )
        return Config(
            server=server,
            providers=MappingProxyType(self._providers),
            chains=MappingProxyType({**chains, **tiers, AUTO: self._auto()}),
            routes=environment.routes(routes, self.findings),
            vendors=MappingProxyType(self._vendors()),
            aliases=self.catalogue.aliases,
            listed=environment.listed,
            thinking=environment.thinking,
            local_answers=local_answers(self.file.local_answers, self.environ, self.findings),
            web_tools=web_tools(self.file.web_tools, self.environ, self.findings),
        )

    @cached_property
    def _own(self) -> dict[str, Path]:
        """The ids that have a table in the file, readable or not."""
        return {self.catalogue.id_of(name): ("providers", name) for name in self.file.providers}

    @cached_property
    def _environment(self) -> _environment.Environment:
        return _environment.read(self.catalogue, self._own, self.environ, self.findings)

    @cached_property
    def _providers(self) -> dict[str, Provider]:
        in_chains = (candidate for table in self.file.chains.values() for _, candidate in table.candidates)
        return Joiner(
            file=self.file,
            catalogue=self.catalogue,
            environ=self.environ,
            answering=self.answering.keys(),
            mentioned={
                self.catalogue.id_of(candidate.provider) for candidate in (*in_chains, *self._environment.listed)
            },
            findings=self.findings,
        ).providers()

    def _server(self) -> Server:
        table = self.file.server
        variable = table.auth_token_env
        token = self.environ.get(variable, "").strip()
        limit = round(table.max_body_mb * 1024**2)
        server = Server(
            host=table.bind[0],
            port=table.bind[1],
            token=Secret(token, variable) if token else None,
            auth_token_env=variable,
            insecure=table.insecure,
            max_body_bytes=limit,
            max_total_body_bytes=max(limit, Server().max_total_body_bytes),
            body_s=table.body_s,
            drain_s=table.drain_s,
            write_s=table.write_s,
            duplicates=table.duplicates,
        )
        exposed = check_exposure(server)
        if exposed and ("server", "insecure") not in self.file.broken:
            self.findings.error(("server", "bind"), exposed)
        return server

    def _chain(self, name: str, table: ChainTable) -> Chain:
        path: Path = ("chains", name)
        candidates = []
        for index, candidate in table.candidates:
            known = self._known(candidate.provider, (*path, "candidates", index))
            if known and (one := attrs.evolve(candidate, provider=known)) in candidates:
                self.findings.warn(
                    (*path, "candidates", index), f"'{quotable(one.name)}' is listed twice: it is asked once"
                )
            elif known:
                candidates.append(one)
        policies = tuple(self._policy(policy, (*path, "policies", i), candidates) for i, policy in table.policies)
        try:
            effective(policies)
        except PolicyError as error:
            self.findings.error((*path, "policies"), str(error))
        return Chain(name=name, candidates=tuple(candidates), policies=policies or DEFAULT_POLICIES)

    def _known(self, provider: str, path: Path) -> str:
        """The id of a provider that exists; else empty, after saying so."""
        id = self.catalogue.id_of(provider)
        if id in self._own or id in self.catalogue.providers:
            return id
        near = nearest(provider, (*self._own, *self.catalogue.providers, *self.catalogue.aliases))
        self.findings.error(
            path, f"unknown provider '{quotable(provider)}'{near}; your own need a [providers.NAME] table"
        )
        return ""

    def _policy(self, policy: Policy, path: Path, candidates: list[Candidate]) -> Policy:
        """The policy with providers under their ids, its names checked and its warnings passed on."""
        for warning in policy.warnings():
            self.findings.warn(path, warning)
        if isinstance(policy, UnlimitedScope):
            ids = (self._known(name, (*path, "for", i)) for i, name in enumerate(policy.for_))
            return attrs.evolve(policy, for_=tuple(ids))
        for argument, field in arguments(type(policy)).items():
            if NAMES not in field.metadata:
                continue
            providers = field.metadata[NAMES] == "providers"

            def checked(name: str, place: Path, argument: str = argument, providers: bool = providers) -> str:
                return self._in_chain(name, (*path, argument, *place), candidates, providers=providers)

            value = renamed(getattr(policy, field.name), checked)
            policy = attrs.evolve(policy, **{field.alias or field.name: value})
        return policy

    def _in_chain(self, name: str, path: Path, candidates: list[Candidate], *, providers: bool) -> str:
        """A name in a policy with the provider under its id, after saying so where it means nobody of the chain."""
        name = self._canonical(name)
        asks_any = (c for c in candidates if c.model == "*")
        if providers:
            known = {c.provider for c in candidates}
            meant = name in known
        else:
            known = {known for c in candidates for known in (c.name, c.provider)}
            meant = any(matches(name, c) for c in candidates) or any(
                name.startswith(f"{c.provider}/") for c in asks_any
            )
        if not meant:
            whom = "no provider of" if providers else "nobody in"
            self.findings.error(path, f"'{quotable(name)}' is {whom} this chain{nearest(name, sorted(known))}")
        return name

    def _canonical(self, name: str) -> str:
        """A candidate's or a provider's name, with the provider under its id."""
        provider, slash, model = name.partition("/")
        return f"{self.catalogue.id_of(provider)}{slash}{model}"

    def _auto(self) -> Chain:
        environment = self._environment
        candidates = environment.order or environment.models or _auto.chosen(self._providers, self.answering)
        by_model = bool(environment.models and not environment.order)
        policies = _environment.LISTED_POLICIES if by_model else AUTO_POLICIES
        return Chain(name=AUTO, candidates=tuple(candidates), policies=policies)

    def _routes(self) -> tuple[Route, ...]:
        if not self.file.routes:
            return (Route(match="*", chain=AUTO),)
        chains = (*self.file.chains, AUTO)
        for index, table in enumerate(self.file.routes):
            if table.chain and table.chain not in chains:
                text = f"unknown chain '{quotable(table.chain)}'{nearest(table.chain, chains)}"
                self.findings.error(("routes", index, "chain"), f"{text}; available: {', '.join(chains)}")
        routes = [Route(match=t.match, chain=t.chain, enabled=t.enabled, thinking=t.thinking) for t in self.file.routes]
        for later, first in shadowed(routes).items():
            if routes[later].match and routes[first].match:
                self.findings.warn(
                    ("routes", later, "match"),
                    f"'{quotable(routes[later].match)}' never decides: '{quotable(routes[first].match)}' stands above it and "
                    f"takes the same names (this route serves only while chain '{routes[first].chain}' has nobody usable)",
                )
        return tuple(routes)

    def _vendors(self) -> dict[str, str]:
        own = {vendor: self._known(provider, ("vendors", vendor)) for vendor, provider in self.file.vendors.items()}
        return {**self.catalogue.vendors, **own}
