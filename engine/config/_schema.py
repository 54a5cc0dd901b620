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
from urllib.parse import quote

import attrs

from engine.config._accent import Accent, ResponsesAccent, Thinking, ThinkingWish
from engine.config._thread import ThreadSettings
from policies import Breaker, Candidate, Capabilities, Concurrency, Policy, Price, Scope

Wire = Literal["anthropic", "openai-chat", "openai-responses", "gemini", "ollama", "zed", "rehearsal"]
WIRES: tuple[Wire, ...] = ("anthropic", "openai-chat", "openai-responses", "gemini", "ollama", "zed", "rehearsal")
#: How a key is sent; `client` passes on the client's own credential, `none` sends none.
Auth = Literal["x-api-key", "bearer", "api-key", "x-goog-api-key", "client", "none"]

#: Where a web search can be made.
SearchEngine = Literal["duckduckgo", "searxng", "brave", "tavily"]
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


@attrs.frozen(repr=False)
class Secret:
    """A credential. It has no repr, no str and no equality to leak through; `reveal()` is for the request head alone."""

    _value: str = attrs.field(eq=False)
    #: Where it came from: the name of a variable.
    source: str

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"<secret from {self.source}>"


@attrs.frozen(kw_only=True)
class KeyLimit:
    """At most `requests` with each key of a provider within any `per_s` seconds, a day where nothing else is said."""

    requests: int
    per_s: float = 86_400.0


@attrs.frozen(kw_only=True)
class Timeouts:
    """Seconds: for a connection, for each step of sending, for first content, for silence after it. None: not given."""

    connect_s: float | None = None
    write_s: float | None = None
    first_content_s: float | None = None
    idle_s: float | None = None

    def over(self, other: Timeouts) -> Timeouts:
        """These where they are given, `other`'s where not."""
        return Timeouts(
            connect_s=other.connect_s if self.connect_s is None else self.connect_s,
            write_s=other.write_s if self.write_s is None else self.write_s,
            first_content_s=other.first_content_s if self.first_content_s is None else self.first_content_s,
            idle_s=other.idle_s if self.idle_s is None else self.idle_s,
        )


#: How long a connection and each step of sending may take where nobody says otherwise.
DEFAULT_TIMEOUTS = Timeouts(connect_s=8.0, write_s=10.0)


@attrs.frozen(kw_only=True)
class Settings:
    """What a configuration may say of a provider as a whole, and of one of its models instead."""

    max_output_tokens: int | None = None
    thinking: ThinkingWish | None = None
    #: Not in the repr: a person may have put into one what no other should read.
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    timeouts: Timeouts = Timeouts()
    #: On Ollama's own wire: the window to load a model with, in tokens, and how long it is kept, in its own words.
    num_ctx: int | None = None
    keep_alive: str | int | None = None


@attrs.frozen(kw_only=True)
class Model:
    """What the catalogue or the file knows of one model.

    `price` is None where the price is unknown, and where there is none to pay, in which case `free` is True. `thinking`
    is None where nothing is known of it, `temperature` False where the model takes no sampling parameters.
    """

    id: str
    capabilities: Capabilities = attrs.field(default=Capabilities())
    price: Price | None = None
    free: bool = False
    thinking: Thinking | None = None
    temperature: bool = True
    settings: Settings = Settings()


@attrs.frozen(kw_only=True)
class Provider:
    """A configured upstream.

    `url(path, model)` joins `base_url` and one of `paths` (keys: `messages`, `count_tokens`, `models`); a path that
    begins with `http` is absolute, and any may hold a query and `{model}`. `unusable_because` is empty where requests may
    be sent. `named` tells a provider with a table in the file from one that merely stands in the catalogue.
    """

    id: str
    name: str = ""
    wire: Wire = "anthropic"
    base_url: str = ""
    paths: Mapping[str, str] = MappingProxyType({})
    auth: Auth = "none"
    keys: tuple[Secret, ...] = ()
    keys_env: tuple[str, ...] = ()
    key_limit: KeyLimit | None = None
    settings: Settings = Settings()
    #: The address of a proxy that requests go through; it may hold credentials.
    proxy: Secret | None = None
    #: Whether turns go over a WebSocket that stays open; on wire `openai-responses` alone.
    websocket: bool = False
    scope: Scope = attrs.field(default=Concurrency(limit=16))
    breaker: Breaker | None = attrs.field(default=Breaker())
    named: bool = False
    local: bool = False
    enabled: bool = True
    unusable_because: str = ""
    models: Mapping[str, Model] = MappingProxyType({})
    default_model: str | None = None
    #: The real Anthropic API, or a host that wants all of Claude Code's fields: headers and body go out as open lists.
    open_lists: bool = True
    #: Whether calls that a model writes into its text are taken for calls.
    text_calls: bool = True
    #: Body fields and block types that this host refuses (dropped on the way out).
    drop: frozenset[str] = frozenset()
    #: What else is peculiar to the host on this wire; the words are those of `QUIRKS`.
    quirks: frozenset[str] = frozenset()
    #: Whether the host counts tokens natively. None: unknown, asked once.
    counts_tokens: bool | None = None
    #: Glob -> wire, first match wins, for a host that speaks a different wire for each model. Empty: `wire` for all.
    wire_by_model: Mapping[str, Wire] = MappingProxyType({})
    #: The same provider on its other wires, for the models that it serves there.
    variants: Mapping[Wire, Provider] = attrs.field(default=MappingProxyType({}), repr=False)
    #: How conversations are kept as threads, on the wire `zed`.
    thread: ThreadSettings = ThreadSettings()
    #: How this host speaks chat completions, and glob -> how it does for some of its models; the first match holds.
    chat: Accent = Accent()
    chat_by_model: Mapping[str, Accent] = MappingProxyType({})
    #: The same for its way with Responses.
    responses: ResponsesAccent = ResponsesAccent()
    responses_by_model: Mapping[str, ResponsesAccent] = MappingProxyType({})
    #: Globs of the models that may be asked without a key; None where a key, or none, serves all of them.
    open_models: tuple[str, ...] | None = None
    #: What a model's name begins with -> the vendor before it, at a host whose ids are all `vendor/name`.
    families: Mapping[str, str] = MappingProxyType({})

    @property
    def usable(self) -> bool:
        return not self.unusable_because

    @property
    def keyless(self) -> bool:
        return not self.keys_env

    def wire_of(self, model: str) -> Wire:
        """The wire this model is asked on."""
        name = model.lower()
        return next((wire for glob, wire in self.wire_by_model.items() if fnmatchcase(name, glob)), self.wire)

    def unusable_for(self, model: str) -> str:
        """Why no request for this model may be sent here; empty where it may.

        A reason of the provider's own, or that this model is asked on a wire that the configuration has switched off.
        """
        if self.unusable_because:
            return self.unusable_because
        if self.open_models is not None and not any(fnmatchcase(model, glob) for glob in self.open_models):
            return f"without a key only its free models answer ({', '.join(self.open_models)})"
        wire = self.wire_of(model)
        if wire == self.wire or wire in self.variants:
            return ""
        return f"it is asked on {wire} only"

    def on(self, model: str) -> Provider:
        """This provider on the wire that this model is asked on."""
        return self.variants.get(self.wire_of(model), self) if self.variants else self

    def url(self, path: str, model: str = "") -> str:
        """The absolute address of one of `paths`, for a model where the path names it.

        A name is quoted as one segment, its slashes too. Raises KeyError for a path this provider does not have.
        """
        found = self.paths[path].replace("{model}", quote(model, safe=""))
        return found if found.startswith("http") else self.base_url.rstrip("/") + found

    def model(self, id: str) -> Model:
        """The catalogue's row, or one that knows nothing: a model without a row is sent as written."""
        known = self.models.get(id)
        return known if known is not None else Model(id=id, capabilities=Capabilities(context=self.settings.num_ctx))

    def whole(self, model: str) -> str:
        """The host's own id of a model that is named without its vendor; any other name as it is."""
        if not self.families or "/" in model:
            return model
        known = [id for id in self.models if id.rpartition("/")[2] == model]
        if len(known) == 1:
            return known[0]
        vendor = next((v for begins, v in self.families.items() if model.lower().startswith(begins)), "")
        return f"{vendor}/{model}" if vendor else model

    def accent(self, model: str) -> Accent:
        """How this host wants chat completions for one of its models."""
        return next((a for glob, a in self.chat_by_model.items() if fnmatchcase(model.lower(), glob)), self.chat)

    def responses_accent(self, model: str) -> ResponsesAccent:
        """How this host wants Responses for one of its models."""
        name = model.lower()
        return next((a for glob, a in self.responses_by_model.items() if fnmatchcase(name, glob)), self.responses)

    def thinking_for(self, model: str) -> ThinkingWish | None:
        """What the configuration says of thinking; the model's own word stands above the provider's."""
        own = self.model(model).settings.thinking
        return own if own is not None else self.settings.thinking

    def headers_for(self, model: str) -> tuple[tuple[str, str], ...]:
        """The headers sent with every request for this model."""
        own = self.model(model).settings.headers
        names = {name.lower() for name, _ in own}
        return (*(h for h in self.settings.headers if h[0].lower() not in names), *own)

    def timeouts_for(self, model: str) -> Timeouts:
        """The time limits for this model: its own, the provider's, the usual ones."""
        return self.model(model).settings.timeouts.over(self.settings.timeouts).over(DEFAULT_TIMEOUTS)

    def num_ctx_for(self, model: str) -> int | None:
        """The window to load this model with, in tokens; the model's own word stands."""
        return self.model(model).settings.num_ctx or self.settings.num_ctx

    def keep_alive_for(self, model: str) -> str | int | None:
        """How long this model is kept loaded; the model's own word stands."""
        own = self.model(model).settings.keep_alive
        return own if own is not None else self.settings.keep_alive

    def configured_output(self, model: str) -> int | None:
        """The longest answer that the configuration lets be asked for, in tokens; the model's own word stands."""
        return self.model(model).settings.max_output_tokens or self.settings.max_output_tokens

    def max_output(self, model: str) -> int | None:
        """The longest answer to ask for, in tokens: the least of what the configuration and the catalogue say."""
        said = (self.configured_output(model), self.model(model).capabilities.max_output)
        return min((tokens for tokens in said if tokens is not None), default=None)


#: How the reason begins of a host that this version cannot be used with, whatever is set.
NOT_SUPPORTED = "not supported: "


#: Peculiarities of hosts on the anthropic wire that a body or an answer must be fitted to.
QUIRKS: Mapping[str, str] = MappingProxyType(
    {
        "base64-images-only": "an image given as a URL is refused",
        "empty-signature": "thinking blocks come with an empty signature",
        "ignores-thinking": "the thinking field has no effect",
        "ignores-tool-choice": "tool_choice has no effect",
        "merge-tool-results": "all tool results of a turn must stand in one user message",
        "no-named-tool-choice": "a tool_choice that names a tool is refused while thinking is on",
        "no-signature": "thinking blocks come without a signature",
        "random-signature": "signatures mean nothing and are not checked",
        "runs-web-tools": "web_search and web_fetch are executed by the host itself",
        "tool-results-as-text": "tool_result.content is safest as a string",
        "trailing-done": "a `data: [DONE]` may follow message_stop",
        "truncates-silently": "a prompt beyond the window is cut, or answered as if nothing were wrong",
    }
)
#: Those among them that are the host's own, whichever wire it is asked on.
WHATEVER_WIRE = frozenset(["truncates-silently"])


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

    def thinks(self, name: str = "", route: Route | None = None) -> bool:
        """Whether the candidates may think: by the route's own word, else the environment's for such a name.

        Without a route the name was chosen explicitly, and only what the environment says of all names counts.
        """
        if route is None:
            return self.thinking.get("*", True)
        if route.thinking is not None:
            return route.thinking
        return next((on for glob, on in self.thinking.items() if fnmatchcase(name.lower(), glob)), True)
