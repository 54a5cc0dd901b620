"""One provider from its row, its table and the environment.

The naive join is a dictionary update: the table's keys over the row's. But the fields depend on each other: another wire
has another base URL, another base URL has the wire's usual paths and no longer the host's own, a region has a key of its
own. So the endpoint is settled first and everything else is asked of it. The result says of itself whether it may be used,
and if not, the one thing to do about it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

import attrs

from engine.config import _ollama
from engine.config._base_url import filled, from_environment, is_public, put_right
from engine.config._catalogue import WIRE_AUTH, WIRE_PATHS, Catalogue, Endpoint, Listing
from engine.config._credentials import Credentials
from engine.config._file import File, ProviderTable, Text
from engine.config._keys import limit_of, unsendable
from engine.config._model_tables import described, settings_of
from engine.config._problems import Findings, Path, either, nearest, quotable
from engine.config._provider import NOT_SUPPORTED, WHATEVER_WIRE, WIRES, KeyLimit, Model, Provider, Wire
from engine.config._provider_rules import misstated
from engine.config._thread import ThreadSettings
from policies import Breaker, Concurrency, Scope, Unlimited

#: The wire that is also spoken over WebSockets.
WEBSOCKET_WIRE: Wire = "openai-responses"
#: A model that fits on a desk serves few at once; more would only queue inside it, where no policy sees them.
LOCAL_SCOPE = Concurrency(limit=2)
DEFAULT_SCOPE = Concurrency(limit=16)


@attrs.frozen(kw_only=True)
class Joiner:
    """Everything a provider is made from. `mentioned` are the ids that a chain of the file, or the environment, names."""

    file: File
    catalogue: Catalogue
    environ: Mapping[str, str]
    answering: Collection[str]
    mentioned: Collection[str]
    findings: Findings

    def providers(self) -> dict[str, Provider]:
        """All providers: those with a table in the order of the file, then the rest of the catalogue."""
        tables: dict[str, tuple[Path, ProviderTable]] = {}
        for name, table in self.file.providers.items():
            id = self.catalogue.id_of(name)
            if id in tables:
                self.findings.error(("providers", name), f"'{quotable(id)}' has a table already, under its other name")
            tables[id] = (("providers", name), table)
        shared = self.catalogue.shared()
        made = {}
        for id in dict.fromkeys((*tables, *self.catalogue.providers)):
            path, table = tables.get(id, (("providers", id), ProviderTable()))
            row = self.catalogue.providers.get(id) or self._own(id, table, path)
            made[id] = _One(self, row, table, path, named=id in tables, shared=shared.get(id)).provider()
        return made

    def _own(self, id: str, table: ProviderTable, path: Path) -> Listing:
        """The row of a provider that the catalogue does not have: what its table must say."""
        missing = [
            f"{name} ({what})"
            for name, what in (("wire", f"one of {', '.join(WIRES)}"), ("base_url", "where requests go"))
            if getattr(table, name) is None and (*path, name) not in self.file.broken
        ]
        if missing and table.wire != "rehearsal" and path not in self.file.broken:
            known = (*self.catalogue.providers, *self.catalogue.aliases)
            meant = table.wire is None and table.base_url is None
            opening = (
                f"unknown provider '{quotable(id)}'{nearest(id, known)}; a provider of your own"
                if meant
                else "this provider"
            )
            self.findings.error(path, f"{opening} needs {' and '.join(missing)}")
        wire = table.wire or "anthropic"
        auth = WIRE_AUTH[wire] if table.keys else "none"
        return Listing(
            id=id,
            name=id,
            wires={wire: Endpoint(base="", auth=auth)},
            scope=self.catalogue.providers["rehearsal"].scope if wire == "rehearsal" else None,
            default=next(iter(table.models), None),
            open_lists=True,  # who says that it speaks Anthropic's wire is sent all of it; a gateway needs every field
        )


@attrs.frozen
class _One:
    """The making of one provider."""

    join: Joiner
    row: Listing
    table: ProviderTable
    path: Path
    named: bool
    shared: tuple[str, str] | None

    def provider(self) -> Provider:
        row, table = self.row, self.table
        self._check()
        wire, endpoint = self._endpoint()
        base, paths, no_base = self._address(wire, endpoint)
        ours = self._credentials()
        variables, keys, auth = ours.sent(endpoint)
        public = ours.public(variables, keys)
        if public:
            variables, auth = (), "none"
        scope = self._scope(len(keys))
        native = wire in ("anthropic", "rehearsal")
        like = self._like()
        breaker = table.breaker if table.breaker is not None else "off" if wire == "rehearsal" else Breaker()
        because = (
            ("" if table.enabled else "it is switched off in the file")
            or (row.unsupported and f"{NOT_SUPPORTED}{row.unsupported}")
            or no_base
            or (ours.unset(variables) if variables and not keys else "")
            or self._not_counted()
            or unsendable(keys)
            or self._not_answering(base)
        )
        made = Provider(
            id=row.id,
            name=table.name or row.name,
            wire=wire,
            base_url=base,
            paths=MappingProxyType(dict(paths)),
            auth=auth,
            keys=keys,
            keys_env=variables,
            key_limit=self._key_limit(),
            settings=attrs.evolve(settings_of(table), headers=ours.headers(public)),
            proxy=ours.proxy(),
            websocket=table.websocket and wire == WEBSOCKET_WIRE,
            scope=scope,
            breaker=None if breaker == "off" else breaker,
            named=self.named,
            local=self.local,
            enabled=table.enabled,
            unusable_because=because,
            models=MappingProxyType(self._models()),
            default_model=row.default,
            open_lists=row.open_lists if table.open_lists is None else table.open_lists,
            text_calls=row.text_calls if table.text_calls is None else table.text_calls,
            cache_s=row.cache_s if table.cache_s is None else table.cache_s,
            drop=row.drop if native else frozenset(),
            quirks=self._quirks(wire),
            counts_tokens=row.counts_tokens if native else None,
            wire_by_model=self._wire_by_model(wire),
            chat=like.chat,
            chat_by_model=like.chat_by_model,
            thread=table.thread or ThreadSettings(),
            responses=like.responses,
            responses_by_model=like.responses_by_model,
            open_models=row.public_models if public else None,
            families=row.families,
        )
        self._check_websocket(made)
        return attrs.evolve(made, variants=MappingProxyType(self._variants(made)))

    def _variants(self, made: Provider) -> dict[Wire, Provider]:
        """The same provider on its other wires, for a host that serves some of its models there."""
        row = self.row
        offered = self._offered()
        wires = {wire for wire in made.wire_by_model.values() if wire in offered and wire != made.wire}
        found: dict[Wire, Provider] = {}
        for wire in wires:
            base, paths, no_base = self._address(wire, offered[wire])
            native = wire == "anthropic"
            found[wire] = attrs.evolve(
                made,
                wire=wire,
                base_url=base,
                paths=MappingProxyType(dict(paths)),
                auth=self._credentials().sent(offered[wire])[2] if made.keys else made.auth,
                unusable_because=made.unusable_because or no_base,
                websocket=self.table.websocket and wire == WEBSOCKET_WIRE,
                drop=row.drop if native else frozenset(),
                quirks=self._quirks(wire),
                counts_tokens=row.counts_tokens if native else None,
            )
        return found

    def _quirks(self, wire: Wire) -> frozenset[str]:
        """The row's are those of its anthropic wire. That nothing is said of a prompt that is cut is the host's, unless it
        can be asked to say so."""
        if wire in ("anthropic", "rehearsal"):
            return self.row.quirks
        return frozenset() if wire == "ollama" else self.row.quirks & WHATEVER_WIRE

    def _wire_by_model(self, wire: Wire) -> dict[str, Wire]:
        """Glob -> wire: first what the tables of models choose, then as the row has it."""
        own = _ollama.models_on_it(self.table, wire, self._offered())
        return own if self.table.wire or self.table.base_url else {**own, **self.row.wire_by_model}

    def _offered(self) -> Mapping[Wire, Endpoint]:
        """The wires of this host, in the region that the table names."""
        row, region = self.row, self.table.region
        return row.regions.get(region, row.wires) if region else row.wires

    def _scope(self, keys: int) -> Scope:
        """What the host allows. Several keys of a hosted service are several accounts, unless the table says otherwise."""
        if self.table.scope is not None:
            return self.table.scope
        scope = self.row.scope or (LOCAL_SCOPE if self.local else DEFAULT_SCOPE)
        if keys > 1 and not self.local and not isinstance(scope, Unlimited):
            return attrs.evolve(scope, per="key")
        return scope

    def _key_limit(self) -> KeyLimit | None:
        """How much each key may be used: the table's word, else the environment's."""
        given = self.table.key_usage_limit
        if given is not None:
            return KeyLimit(requests=given.requests, per_s=given.per_s)
        try:
            return limit_of((self.row.id, *self.row.env), self.join.environ)
        except ValueError as error:
            variable, text = error.args
            self.join.findings.error_in_environment(variable, text)
            return None

    @property
    def local(self) -> bool:
        """A runtime of this machine, or of the next room; the same software hosted by somebody else is like any host."""
        return self.row.local and not (self.table.base_url and is_public(self.table.base_url))

    def _check(self) -> None:
        """What a table may not say about this row."""
        for path, text in misstated(self.table, self.row):
            self.join.findings.error((*self.path, *path), text)
        known = self.row.id in self.join.catalogue.providers
        for path, text in _ollama.misplaced(self.table, self.row.id, self._offered(), known=known):
            self.join.findings.error((*self.path, *path), text)

    def _check_websocket(self, made: Provider) -> None:
        """Sockets are spoken on one wire, and not through a proxy."""
        if not self.table.websocket:
            return
        findings, path = self.join.findings, (*self.path, "websocket")
        wires = dict.fromkeys((made.wire, *made.wire_by_model.values()))
        if WEBSOCKET_WIRE not in wires:
            findings.error(
                path,
                f"only the wire {WEBSOCKET_WIRE} has sockets, and '{quotable(made.id)}' is asked on {either(wires)}",
            )
        elif made.proxy is not None:
            findings.warn(path, "it has no effect together with a proxy: requests go over HTTP")

    def _endpoint(self) -> tuple[Wire, Endpoint]:
        """The wire and where it is spoken: as the table says, else the row's first."""
        row, table = self.row, self.table
        offered = self._offered()
        if _ollama.chosen(table, offered):
            return "ollama", offered["ollama"]
        if table.wire is None:
            return next(iter(offered.items()))
        if table.wire in offered:
            return table.wire, offered[table.wire]
        if table.base_url is None:
            where = f" in region '{table.region}'" if table.region in row.regions else ""
            text = f"'{row.id}' is asked on {either(offered)}{where}; for another wire give a base_url as well"
            self.join.findings.error((*self.path, "wire"), text)
        return table.wire, Endpoint(base="", auth=WIRE_AUTH[table.wire])

    def _address(self, wire: Wire, endpoint: Endpoint) -> tuple[str, Mapping[str, str], str]:
        """Base URL, paths, and why there is no base URL. One from outside comes with the wire's own paths."""
        usual = WIRE_PATHS[wire]
        if self.table.base_url is not None:
            base, remark = put_right(self.table.base_url, wire)
            if remark:
                self.join.findings.warn((*self.path, "base_url"), f"{remark}: {quotable(base)}")
            return base, usual, ""
        for variable in self.row.base_url_env:
            if value := self.join.environ.get(variable, "").strip():
                try:
                    return put_right(from_environment(value, endpoint.base), wire)[0], {**usual, **endpoint.paths}, ""
                except ValueError:
                    return endpoint.base, usual, f"{variable} is not an address such as {endpoint.base}"
        holes = {
            name: self.table.fill.get(Text(name)) or self.join.environ.get(variable, "").strip()
            for name, variable in self.row.fill.items()
        }
        base, paths, missing = filled(endpoint.base, {**usual, **endpoint.paths}, holes)
        if missing:
            variable = self.row.fill[missing]
            why = f"{variable} is not set: it names the {missing} (or say fill.{missing}, or give a base_url)"
            return endpoint.base, usual, why
        return base, paths, ""

    def _credentials(self) -> Credentials:
        return Credentials(
            row=self.row,
            table=self.table,
            path=self.path,
            environ=self.join.environ,
            findings=self.join.findings,
            own_token=self.join.file.server.auth_token_env,
            asked_for=self.named or self.row.id in self.join.mentioned,
            local=self.local,
        )

    def _like(self) -> Listing:
        """The row whose ways with chat completions this provider has: its own, or the one that the table names."""
        name = self.table.like
        if name is None:
            return self.row
        rows = self.join.catalogue.providers
        found = rows.get(self.join.catalogue.id_of(name))
        if found is None:
            known = (*rows, *self.join.catalogue.aliases)
            text = f"unknown provider '{quotable(name)}'{nearest(name, known)}; a provider of the catalogue is expected"
            self.join.findings.error((*self.path, "like"), text)
        return found or self.row

    def _not_counted(self) -> str:
        """A variable that is set for another purpose is not an order to spend its owner's money here."""
        if self.named or self.row.id in self.join.mentioned:
            return ""
        if self.row.only_named:
            return f"it counts only where the file names it: add [providers.{self.row.id}]"
        if self.shared:
            variable, other = self.shared
            return f"{variable} is taken for '{other}': add [providers.{self.row.id}] to use it here as well"
        return ""

    def _not_answering(self, base: str) -> str:
        if not self.local or self.named or self.row.id in self.join.answering:
            return ""
        return f"nothing answers at {base}: start it, or add [providers.{self.row.id}] to count on it"

    def _models(self) -> dict[str, Model]:
        models = dict(self.row.models)
        for id, table in self.table.models.items():
            models[id] = described(models.get(id) or Model(id=id), table)
        return {id: _ollama.windowed(model, self.table.num_ctx) for id, model in models.items()}
