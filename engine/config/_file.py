"""The shape of the file: one class for each kind of table, one field for each key.

Types say what a value must be, ranges included, so that everything wrong with one table is found in one reading. Every
field has a default, even where the file must give a value: a table with a mistake in it is still read as far as it goes,
and its other values are still held against the rest of the file.
"""

from __future__ import annotations

from typing import Literal, NewType

import attrs

from engine.config._problems import Path
from engine.config._provider import Auth, Wire
from engine.config._schema import Duplicates, SearchEngine, Server, WebTools
from engine.config._thread import ThreadSettings
from policies import Breaker, Candidate, Policy, Scope

#: Seconds above 0, at most a day.
Seconds = NewType("Seconds", float)
#: Seconds, 0 allowed, at most a day.
Pause = NewType("Pause", float)
#: Megabytes above 0, at most 1024.
Megabytes = NewType("Megabytes", float)
#: A whole number of tokens, at least 1.
Tokens = NewType("Tokens", int)
#: A whole number, at least 1.
Count = NewType("Count", int)
#: Seconds, above 0 and at most 31 days.
Window = NewType("Window", float)
#: US dollars per million tokens, at least 0.
Dollars = NewType("Dollars", float)
#: The name of an environment variable.
EnvName = NewType("EnvName", str)
#: One such name or a list of them.
EnvNames = NewType("EnvNames", tuple[EnvName, ...])
#: A whole number from 1 to 100.
Uses = NewType("Uses", int)
#: A port, 1 to 65535.
Port = NewType("Port", int)
#: HOST:PORT.
Bind = NewType("Bind", tuple[str, int])
#: http(s)://host[:port][/path], with nothing in it that could be a credential.
BaseUrl = NewType("BaseUrl", str)
#: Text of at least one character.
Text = NewType("Text", str)
#: The name of an HTTP header that says nothing of credentials, and what such a header may hold.
HeaderName = NewType("HeaderName", str)
HeaderValue = NewType("HeaderValue", str)
#: http://, https:// or socks5(h)://host:port, without a name and a password in it.
ProxyUrl = NewType("ProxyUrl", str)
#: How long Ollama keeps a model: a duration as Go writes it ("30m", "1h30m"), or seconds, -1 for ever.
KeepAlive = NewType("KeepAlive", str)
#: What stands in an address where its row has a placeholder: letters, digits and hyphens.
Filling = NewType("Filling", str)
#: A breaker's table, or "off".
BreakerSetting = Breaker | Literal["off"]

_SERVER = Server()
_WEB = WebTools()


@attrs.frozen(kw_only=True)
class ServerTable:
    """`[server]`"""

    bind: Bind = Bind((_SERVER.host, _SERVER.port))
    auth_token_env: EnvName = EnvName(_SERVER.auth_token_env)
    insecure: bool = _SERVER.insecure
    max_body_mb: Megabytes = Megabytes(_SERVER.max_body_bytes / 1024**2)
    body_s: Seconds = Seconds(_SERVER.body_s)
    drain_s: Pause = Pause(_SERVER.drain_s)
    write_s: Seconds = Seconds(_SERVER.write_s)
    duplicates: Duplicates = _SERVER.duplicates


@attrs.frozen(kw_only=True)
class PriceTable:
    """`price = { input = 0.3, output = 1.2 }`; it takes both, and `cache_read` and `cache_write` besides."""

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None


@attrs.frozen(kw_only=True)
class ThinkingTable:
    """`thinking = { enabled = true, budget = 8192 }`: it stands above what the client asks for."""

    enabled: bool = True
    budget: Tokens | None = None


@attrs.frozen(kw_only=True)
class TimeoutsTable:
    """`timeouts = { connect_s = 8, write_s = 10, first_content_s = 60, idle_s = 60 }`, any of them."""

    connect_s: Seconds | None = None
    write_s: Seconds | None = None
    first_content_s: Seconds | None = None
    idle_s: Seconds | None = None


@attrs.frozen(kw_only=True)
class KeyLimitTable:
    """`key_usage_limit = { requests = 1000, per_s = 86400 }`; a number alone is a number of requests a day."""

    requests: Count
    per_s: Window = Window(86_400.0)


@attrs.frozen(kw_only=True)
class ModelTable:
    """`[providers.ID.models."NAME"]`: what is given here replaces what the catalogue, or the provider's table, says."""

    context: Tokens | None = None
    max_output: Tokens | None = None
    tools: bool | None = None
    images: bool | None = None
    documents: bool | None = None
    price: PriceTable | None = None
    max_output_tokens: Tokens | None = None
    thinking: ThinkingTable | None = None
    headers: dict[HeaderName, HeaderValue] = attrs.field(factory=dict)
    timeouts: TimeoutsTable = TimeoutsTable()
    num_ctx: Tokens | None = None
    keep_alive: KeepAlive | None = None


@attrs.frozen(kw_only=True)
class ProviderTable:
    """`[providers.ID]`: None is "not given", where the catalogue decides."""

    name: Text | None = None
    wire: Wire | None = None
    base_url: BaseUrl | None = None
    region: Text | None = None
    keys_env: EnvNames | None = None
    key_env: EnvNames | None = None
    key_usage_limit: KeyLimitTable | None = None
    auth: Auth | None = None
    enabled: bool = True
    scope: Scope | None = None
    breaker: BreakerSetting | None = None
    headers: dict[HeaderName, HeaderValue] = attrs.field(factory=dict)
    open_lists: bool | None = None
    text_calls: bool | None = None
    cache_s: Seconds | None = None
    like: Text | None = None
    public_key: bool = True
    proxy: ProxyUrl | None = None
    proxy_env: EnvName | None = None
    websocket: bool = False
    max_output_tokens: Tokens | None = None
    thinking: ThinkingTable | None = None
    timeouts: TimeoutsTable = TimeoutsTable()
    num_ctx: Tokens | None = None
    keep_alive: KeepAlive | None = None
    thread: ThreadSettings | None = None
    fill: dict[Text, Filling] = attrs.field(factory=dict)
    models: dict[Text, ModelTable] = attrs.field(factory=dict)

    @property
    def keys(self) -> EnvNames | None:
        """The variables given under either spelling."""
        return self.keys_env if self.keys_env is not None else self.key_env


@attrs.frozen(kw_only=True)
class ChainTable:
    """`[chains.NAME]`: the items that could be read, each with its index in the file."""

    candidates: tuple[tuple[int, Candidate], ...] = ()
    policies: tuple[tuple[int, Policy], ...] = ()


@attrs.frozen(kw_only=True)
class RouteTable:
    """`[[routes]]`: an empty text stands for a value that could not be read."""

    match: Text = Text("")
    chain: Text = Text("")
    enabled: bool = True
    thinking: bool | None = None


@attrs.frozen(kw_only=True)
class LocalAnswersTable:
    """`[local_answers]`: None is "not given", where the environment decides, and then the default."""

    quota: bool | None = None
    prefix: bool | None = None
    title: bool | None = None
    suggestions: bool | None = None
    filepaths: bool | None = None


@attrs.frozen(kw_only=True)
class WebToolsTable:
    """`[web_tools]`"""

    enabled: bool | None = None
    search: SearchEngine = _WEB.search
    search_key_env: EnvName | None = None
    search_base_url: BaseUrl | None = None
    max_uses: Uses = Uses(_WEB.max_uses)
    results: Uses = Uses(_WEB.results)
    total_s: Seconds = Seconds(_WEB.total_s)
    fetch_s: Seconds = Seconds(_WEB.fetch_s)
    max_page_mb: Megabytes = Megabytes(_WEB.max_page_bytes / 1024**2)
    max_page_chars: Tokens = Tokens(_WEB.max_page_chars)
    allowed_schemes: tuple[Literal["http", "https"], ...] | None = None
    allowed_ports: tuple[Port, ...] = tuple(map(Port, _WEB.allowed_ports))
    allow_private_networks: bool | None = None


@attrs.frozen(kw_only=True)
class File:
    """A whole file, as far as it could be read. `broken` holds the paths that could not.

    `routes` has an entry for each `[[routes]]`, readable or not.
    """

    server: ServerTable = ServerTable()
    providers: dict[str, ProviderTable] = attrs.field(factory=dict)
    chains: dict[str, ChainTable] = attrs.field(factory=dict)
    routes: tuple[RouteTable, ...] = ()
    vendors: dict[str, Text] = attrs.field(factory=dict)
    local_answers: LocalAnswersTable = LocalAnswersTable()
    web_tools: WebToolsTable = WebToolsTable()
    broken: frozenset[Path] = frozenset()
