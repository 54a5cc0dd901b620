"""From nested dicts to the file's shape, as far as it goes.

The naive loader structures the whole tree in one call, and one wrong value leaves nothing to check the rest against: the
unknown provider on line 40 is found a round after the misspelt policy on line 12. Here a table is read key by key. What
cannot be read is said and left out, and everything else goes on to be held against the catalogue and the rest of the file.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import attrs

from engine.config._bad import Bad, reasons, unknown_key
from engine.config._file import (
    ChainTable,
    File,
    LocalAnswersTable,
    ProviderTable,
    RouteTable,
    ServerTable,
    Text,
    WebToolsTable,
)
from engine.config._problems import Findings, Path, found
from engine.config._values import converter, read_policy
from policies import Candidate, Policy

T = TypeVar("T", bound=attrs.AttrsInstance)

_SECTIONS = ("server", "providers", "chains", "routes", "vendors", "local_answers", "web_tools")
#: Keys a person would write a credential under. Their values are refused unread.
_CREDENTIAL_KEYS = frozenset(
    ["key", "keys", "api_key", "api_keys", "apikey", "token", "auth_token", "secret", "password", "bearer"]
)
_INSTEAD = {
    "server": "a token never stands in this file: put it in an environment variable and name that in auth_token_env",
    "providers": "a key never stands in this file: put it in an environment variable and name that in keys_env",
    "web_tools": "a key never stands in this file: put it in an environment variable and name that in search_key_env",
}
#: Names of providers and chains stand in addresses and before slashes, so they hold none of their separators.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Reader:
    """One reading of one file. What is wrong goes to the findings; `broken` holds the paths that could not be read."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._converter = converter()
        self._broken: set[Path] = set()

    def file(self, raw: dict[str, Any]) -> File:
        """The whole file, as far as it could be read."""
        for key in (key for key in raw if key not in _SECTIONS):
            self._error((key,), unknown_key(key, _SECTIONS))
        return File(
            server=self._table(ServerTable, raw.get("server", {}), ("server",)),
            providers={id: self._provider(table, ("providers", id)) for id, table in self._named(raw, "providers")},
            chains={name: self._chain(table, ("chains", name)) for name, table in self._named(raw, "chains")},
            routes=self._routes(raw.get("routes", [])),
            vendors=self._vendors(raw.get("vendors", {})),
            local_answers=self._table(LocalAnswersTable, raw.get("local_answers", {}), ("local_answers",)),
            web_tools=self._table(WebToolsTable, raw.get("web_tools", {}), ("web_tools",)),
            broken=frozenset(self._broken),
        )

    def _error(self, path: Path, message: str) -> None:
        self._broken.add(path)
        self._findings.error(path, message)

    def _named(self, raw: dict[str, Any], section: str) -> list[tuple[str, Any]]:
        """The tables of a section that have a name they can be called by."""
        tables = raw.get(section, {})
        if type(tables) is not dict:
            self._error((section,), f"expected tables such as [{section}.NAME], got {found(tables)}")
            return []
        for name in tables:
            if not _NAME.fullmatch(name):
                self._error((section, name), "expected a name of letters, digits, '_', '-' and '.'")
        return [(name, table) for name, table in tables.items() if _NAME.fullmatch(name)]

    def _table(self, cls: type[T], raw: Any, path: Path, **given: Any) -> T:
        """A table field by field. `given` are fields that somebody else reads; a wrong one keeps its default."""
        if type(raw) is not dict:
            self._error(path, f"expected a table, got {found(raw)}")
            return cls()
        fields = {field.name: field for field in attrs.fields(attrs.resolve_types(cls))}
        for key in (key for key in raw if key not in fields):
            credential = _INSTEAD.get(str(path[0])) if key.lower() in _CREDENTIAL_KEYS else None
            self._error((*path, key), credential or unknown_key(key, fields))
        values = dict(given)
        for name in (name for name in fields if name in raw and name not in given):
            try:
                values[name] = self._converter.structure(raw[name], fields[name].type or Any)
            except Exception as error:
                self._failed(error, (*path, name))
        return cls(**values)

    def _failed(self, error: Exception, path: Path) -> None:
        self._broken.add(path)
        for where, message in reasons(error, path):
            self._error(where, message)

    def _provider(self, raw: Any, path: Path) -> ProviderTable:
        table = self._table(ProviderTable, raw, path)
        if table.keys_env is not None and table.key_env is not None:
            self._error((*path, "key_env"), "keys_env says the same: keep one of them")
        return table

    def _chain(self, raw: Any, path: Path) -> ChainTable:
        if type(raw) is not dict:
            return self._table(ChainTable, raw, path)
        candidates = self._items(raw.get("candidates", []), (*path, "candidates"), self._candidate)
        policies = self._items(raw.get("policies", []), (*path, "policies"), self._policy)
        if "candidates" not in raw:
            self._error(path, "candidates is missing: a list of 'provider/model', the first to be asked first")
        elif raw["candidates"] == []:
            self._error((*path, "candidates"), "expected at least one 'provider/model'")
        return self._table(ChainTable, raw, path, candidates=candidates, policies=policies)

    def _items(self, raw: Any, path: Path, read: Any) -> tuple[tuple[int, Any], ...]:
        """The items of a list that can be read, each with its index."""
        if type(raw) is not list:
            self._error(path, f"expected a list, got {found(raw)}")
            return ()
        good = []
        for index, item in enumerate(raw):
            try:
                good.append((index, read(item)))
            except Exception as error:
                self._failed(error, (*path, index))
        return tuple(good)

    def _candidate(self, raw: Any) -> Candidate:
        if type(raw) is not str or raw != raw.strip():
            raise Bad.expected("'provider/model'", raw)
        try:
            return Candidate.parse(raw)
        except ValueError:
            more = "; '/*' after a provider passes the requested name on" if _NAME.fullmatch(raw) else ""
            raise Bad.expected("'provider/model'", raw, more) from None

    def _policy(self, raw: Any) -> Policy:
        return read_policy(self._converter, raw)

    def _routes(self, raw: Any) -> tuple[RouteTable, ...]:
        if type(raw) is not list:
            self._error(("routes",), f"expected tables such as [[routes]], got {found(raw)}")
            return ()
        routes = []
        for index, item in enumerate(raw):
            route = self._table(RouteTable, item, ("routes", index))
            for name, what in (("match", "a model name or a glob"), ("chain", "the name of a chain")):
                if type(item) is dict and name not in item:
                    self._error(("routes", index), f"{name} is missing: {what}")
            routes.append(route)
        return tuple(routes)

    def _vendors(self, raw: Any) -> dict[str, Text]:
        if type(raw) is not dict:
            self._error(("vendors",), f"expected a table of vendor = 'provider', got {found(raw)}")
            return {}
        good = {}
        for vendor, provider in raw.items():
            try:
                good[vendor] = self._converter.structure(provider, Text)
            except Exception as error:
                self._failed(error, ("vendors", vendor))
        return good
