"""By which keys a provider knows us: the table's word, the row's variables, and what the environment holds of them.

Looking up one variable is the easy half. A key may be missing and not be missed, a region has a key of its own, a plural holds
several, two variables of one host are sent in different heads, a host with free models takes a bearer that everybody may send;
and no key is ever taken from the file. All of that is settled here, and nothing else of a provider is.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from engine.config._base_url import is_proxy
from engine.config._catalogue import Endpoint, Listing
from engine.config._file import ProviderTable
from engine.config._keys import keys_of, unset, with_plurals
from engine.config._problems import Findings, Path
from engine.config._provider import Auth, Secret


@attrs.frozen(kw_only=True)
class Credentials:
    """Those of one provider. `own_token` is the variable of the token that clients show to us; `asked_for`: somebody names
    the provider. `local` as in `Provider`."""

    row: Listing
    table: ProviderTable
    path: Path
    environ: Mapping[str, str]
    findings: Findings
    own_token: str | None
    asked_for: bool
    local: bool

    def sent(self, endpoint: Endpoint) -> tuple[tuple[str, ...], tuple[Secret, ...], Auth]:
        """Variables, keys and how they are sent. A key that may be missing leaves no variable behind to be missed."""
        row, table, environ = self.row, self.table, self.environ
        if table.auth in ("none", "client"):
            return (), (), table.auth
        if table.keys is not None:
            variables: tuple[str, ...] = table.keys
        else:
            # The token that clients show to us is not ours to show to a provider.
            own = self.own_token
            regional = row.region_env.get(table.region or "")
            variables = tuple(v for v in ((regional,) if regional else ()) + row.env if v != own)
        # A list in the file is meant as it stands; a row's plurals are read beside it, and not asked for.
        read = variables if table.keys is not None else with_plurals(variables)
        first = next((v for v in read if environ.get(v, "").strip()), None)
        auth = table.auth or row.auth_by_env.get(first or "", endpoint.auth)
        if table.auth is None and row.auth_by_env:
            sent_alike = tuple(v for v in read if row.auth_by_env.get(v, endpoint.auth) == auth)
        else:
            sent_alike = read
        keys = keys_of(sent_alike, environ)
        if not keys and table.keys is None and (self.local or not row.env):
            return (), (), "none"
        return sent_alike if keys else variables, keys, auth

    def unset(self, variables: tuple[str, ...]) -> str:
        """What to do about a key that is missing: for a host with free models, naming it is enough."""
        free = self.row.public_key and self.table.public_key and self.table.keys is None
        return unset(variables) + (f"; its free models need none: add [providers.{self.row.id}]" if free else "")

    def public(self, variables: tuple[str, ...], keys: tuple[Secret, ...]) -> str:
        """The bearer that everybody may send, where there is no key: as good as none, so it counts only where named."""
        row = self.row
        unset_here = bool(variables) and not keys and self.table.keys is None
        wanted = self.table.public_key and self.asked_for
        return row.public_key if unset_here and wanted else ""

    def headers(self, public: str) -> tuple[tuple[str, str], ...]:
        """The row's headers and the table's; the table's stand."""
        given = {name.lower(): (name, value) for name, value in self.row.headers.items()}
        if public:
            given["authorization"] = ("authorization", f"Bearer {public}")
        given |= {name.lower(): (name, value) for name, value in self.table.headers.items()}
        return tuple(given.values())

    def proxy(self) -> Secret | None:
        """Where requests go through. An address with a password in it comes from the environment."""
        table, error = self.table, self.findings.error
        if table.proxy is not None and table.proxy_env is not None:
            error((*self.path, "proxy_env"), "proxy says the same: keep one of them")
        if table.proxy is not None:
            return Secret(table.proxy, "proxy")
        if table.proxy_env is None:
            return None
        value = self.environ.get(table.proxy_env, "").strip()
        if not value:
            error((*self.path, "proxy_env"), f"{table.proxy_env} is not set: it holds the address of the proxy")
            return None
        if not is_proxy(value):
            error((*self.path, "proxy_env"), f"{table.proxy_env} is not an address such as socks5://127.0.0.1:1080")
            return None
        return Secret(value, table.proxy_env)
