"""One provider as a configuration has it: where it is asked, on which wire, with which keys, and what its models can.

A dictionary per provider would do, with a default at each place that reads it, and the places would come to disagree. So a
provider is a value, made once (`_providers`), and whatever is asked of it per model is answered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal
from urllib.parse import quote

import attrs

from engine.config._accent import Accent, ResponsesAccent, Thinking, ThinkingWish
from engine.config._thread import ThreadSettings
from policies import Breaker, Capabilities, Concurrency, Price, Scope

Wire = Literal["anthropic", "openai-chat", "openai-responses", "gemini", "ollama", "zed", "rehearsal"]
WIRES: tuple[Wire, ...] = ("anthropic", "openai-chat", "openai-responses", "gemini", "ollama", "zed", "rehearsal")
#: How a key is sent; `client` passes on the client's own credential, `none` sends none.
Auth = Literal["x-api-key", "bearer", "api-key", "x-goog-api-key", "client", "none"]


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


#: Five minutes from the last use is what Anthropic states, and about what others do where they state nothing.
CACHE_S = 300.0


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
    #: How long the host keeps in its cache what it has read of a prompt, in seconds from when it was last asked for.
    cache_s: float = CACHE_S
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

    def free(self, model: str) -> bool:
        """Whether nobody is paid for this model: it says so, or no key is sent and no price is set.

        A client's own credential that is passed on may well cost its owner something.
        """
        known = self.model(model)
        return known.free or (known.price is None and (self.local or (self.keyless and self.auth == "none")))

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
        "takes-effort": "reads `output_config.effort` beside the thinking field",
        "tool-results-as-text": "tool_result.content is safest as a string",
        "trailing-done": "a `data: [DONE]` may follow message_stop",
        "truncates-silently": "a prompt beyond the window is cut, or answered as if nothing were wrong",
    }
)
#: Those among them that are the host's own, whichever wire it is asked on.
WHATEVER_WIRE = frozenset(["truncates-silently"])
