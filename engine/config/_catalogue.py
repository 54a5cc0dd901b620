"""What the catalogue knows of the world's providers, as values.

The naive catalogue is a module of dictionaries that everybody imports, so a test cannot have another one and a user's
table cannot override a field without a special case. Here it is a value handed in from outside: the engine owns its
shape and how it joins with a configuration, the transports own the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import attrs

from engine.config._accent import Accent, ResponsesAccent
from engine.config._provider import CACHE_S, Auth, Model, Wire
from engine.config._schema import REHEARSAL
from policies import Scope, Unlimited

_NOTHING: Mapping[str, str] = MappingProxyType({})

#: Where each wire keeps its doors, below what that wire's own SDK calls its base URL. `{model}` is filled in.
WIRE_PATHS: Mapping[Wire, Mapping[str, str]] = {
    "anthropic": {"messages": "/v1/messages", "count_tokens": "/v1/messages/count_tokens", "models": "/v1/models"},
    "openai-chat": {"messages": "/chat/completions", "models": "/models"},
    "openai-responses": {"messages": "/responses", "models": "/models"},
    "gemini": {
        "messages": "/models/{model}:streamGenerateContent?alt=sse",
        "count_tokens": "/models/{model}:countTokens",
        "models": "/models",
    },
    "ollama": {"messages": "/api/chat", "models": "/api/tags"},
    "zed": {"messages": "/completions"},
    "rehearsal": {},
}

#: How each wire's own SDK sends a key.
WIRE_AUTH: Mapping[Wire, Auth] = {
    "anthropic": "x-api-key",
    "openai-chat": "bearer",
    "openai-responses": "bearer",
    "gemini": "x-goog-api-key",
    "ollama": "bearer",
    "zed": "bearer",
    "rehearsal": "none",
}


@attrs.frozen(kw_only=True)
class Endpoint:
    """One wire of one host. `paths` overrides entries of `WIRE_PATHS`; one that begins with `http` is absolute."""

    base: str
    auth: Auth = "bearer"
    paths: Mapping[str, str] = _NOTHING


@attrs.frozen(kw_only=True)
class Listing:
    """One provider's row. The order of `wires` is the order of preference; the fields are explained in the data."""

    id: str
    name: str
    wires: Mapping[Wire, Endpoint]
    regions: Mapping[str, Mapping[Wire, Endpoint]] = MappingProxyType({})
    aliases: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    region_env: Mapping[str, str] = _NOTHING
    auth_by_env: Mapping[str, Auth] = MappingProxyType({})
    base_url_env: tuple[str, ...] = ()
    fill: Mapping[str, str] = _NOTHING
    local: bool = False
    only_named: bool = False
    unsupported: str = ""
    wire_by_model: Mapping[str, Wire] = MappingProxyType({})
    default: str | None = None
    scope: Scope | None = None
    models: Mapping[str, Model] = MappingProxyType({})
    open_lists: bool = False
    text_calls: bool = True
    cache_s: float = CACHE_S
    drop: frozenset[str] = frozenset()
    quirks: frozenset[str] = frozenset()
    counts_tokens: bool | None = None
    chat: Accent = Accent()
    chat_by_model: Mapping[str, Accent] = MappingProxyType({})
    responses: ResponsesAccent = ResponsesAccent()
    responses_by_model: Mapping[str, ResponsesAccent] = MappingProxyType({})
    headers: Mapping[str, str] = _NOTHING
    #: A bearer that everybody may send, and globs of the models it is good for.
    public_key: str = ""
    public_models: tuple[str, ...] = ()
    families: Mapping[str, str] = _NOTHING


#: In process, keyless, always there: what answers on a machine where nothing is set up yet.
REHEARSAL_LISTING = Listing(
    id=REHEARSAL,
    name="Rehearsal",
    wires=MappingProxyType({"rehearsal": Endpoint(base="", auth="none")}),
    scope=Unlimited(),
    default="echo",
    open_lists=True,
    text_calls=False,
    counts_tokens=False,
)


@attrs.frozen
class Catalogue:
    """All rows by id, the built-in provider among them, and the table of model-name vendors (vendor -> provider id)."""

    providers: Mapping[str, Listing]
    vendors: Mapping[str, str] = _NOTHING
    #: Other names of providers, for configurations and addresses: alias -> id.
    aliases: Mapping[str, str] = attrs.field(init=False, repr=False)

    @aliases.default
    def _by_alias(self) -> Mapping[str, str]:
        return {alias: row.id for row in self.providers.values() for alias in row.aliases}

    @classmethod
    def of(cls, rows: Iterable[Listing], vendors: Mapping[str, str] = _NOTHING) -> Catalogue:
        """A catalogue of these rows, in this order, with the built-in provider at the end."""
        return cls({row.id: row for row in (*rows, REHEARSAL_LISTING)}, vendors)

    def id_of(self, name: str) -> str:
        """The id behind a name that may be an alias; any other name is its own id."""
        return self.aliases.get(name, name)

    def shared(self) -> Mapping[str, tuple[str, str]]:
        """Rows whose every variable belongs to an earlier row: id -> (a variable, that row's id).

        One key would otherwise stand for two services, of which the owner may have paid for one.
        """
        owner: dict[str, str] = {}
        found: dict[str, tuple[str, str]] = {}
        for row in self.providers.values():
            if row.env and all(variable in owner for variable in row.env):
                found[row.id] = (row.env[0], owner[row.env[0]])
            for variable in row.env:
                owner.setdefault(variable, row.id)
        return found
