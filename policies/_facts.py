"""What a policy may look at, and nothing else.

The naive policy asks the world: it reads a clock, looks into a pool, draws a random number. Such a decision cannot be
repeated, so nobody can say later why a request went where it went. Here the world is photographed first: a `View` is a
small frozen value holding what is known about the candidates of one chain at one moment, with ages and waits relative to
that moment. A stored view folds to the same plan on another day and another machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

BreakerState = Literal["closed", "open", "half-open"]

#: The quantiles a view carries of a candidate's time to first content, in the order of `Latency.at`.
QUANTILES = (50, 75, 90, 92, 95, 99)


@attrs.frozen
class Candidate:
    """A provider and one of its models: the thing a chain lists and an attempt asks.

    `thinking` is None to leave the client's wish as it is, False for the no-thinking twin of a model.
    """

    provider: str
    model: str
    thinking: bool | None = None

    @classmethod
    def parse(cls, text: str) -> Candidate:
        """`provider/model`, split at the first slash; the model may hold anything. Raises ValueError without a slash."""
        provider, slash, model = text.partition("/")
        if not (provider and slash and model):
            raise ValueError("expected 'provider/model'")
        return cls(provider, model)

    @property
    def name(self) -> str:
        """`provider/model`, as written in a configuration."""
        return f"{self.provider}/{self.model}"

    def __str__(self) -> str:
        return self.name if self.thinking is None else f"{self.name} (thinking {'on' if self.thinking else 'off'})"


@attrs.frozen(kw_only=True)
class Need:
    """What routing must know of a request. Token counts are estimates (about four bytes of JSON a token)."""

    input_tokens: int = 0
    max_tokens: int = 0
    stream: bool = True
    tools: bool = False
    images: bool = False
    documents: bool = False
    thinking: bool = False
    forced_tool: bool = False
    structured: bool = False


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a model can do. None means unknown, and unknown is never a reason to pass a candidate over."""

    tools: bool | None = None
    images: bool | None = None
    documents: bool | None = None
    context: int | None = None
    max_output: int | None = None


@attrs.frozen(kw_only=True)
class Price:
    """US dollars per million tokens. `cache_read` and `cache_write` are None where they are unknown."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None

    @property
    def reading(self) -> float:
        """For what is read from a cache: hosts that name no price for it mostly ask the usual one."""
        return self.input if self.cache_read is None else self.cache_read

    @property
    def writing(self) -> float:
        """For what is written to a cache, likewise."""
        return self.input if self.cache_write is None else self.cache_write


@attrs.frozen(kw_only=True)
class Latency:
    """Time to first content of one candidate, for prompts of this request's size class, in seconds.

    `samples` are those that are still fresh, and of whole answers. Where they are few, `smaller` and `larger` are the
    quantiles of the nearest size classes that have enough, below and above.
    """

    samples: int
    at: tuple[float, ...] = attrs.field()
    smaller: tuple[float, ...] | None = attrs.field(default=None)
    larger: tuple[float, ...] | None = attrs.field(default=None)

    @at.validator
    @smaller.validator
    @larger.validator
    def _one_per_quantile(self, _: object, value: tuple[float, ...] | None) -> None:
        if value is not None and len(value) != len(QUANTILES):
            raise ValueError(f"expected {len(QUANTILES)} quantiles, got {len(value)}")

    def quantile(self, percent: int) -> float:
        """Seconds at one of `QUANTILES`. Raises ValueError for any other."""
        return self.at[QUANTILES.index(percent)]


@attrs.frozen(kw_only=True)
class Facts:
    """All that is known about one candidate at the moment of the view. Waits are seconds from now, 0 = no wait."""

    usable: bool = True
    unusable_because: str = ""
    capabilities: Capabilities = Capabilities()
    price: Price | None = None
    #: Nothing is to be paid: a free model, or a provider that takes no key and so sends no bill.
    free: bool = False
    in_flight: int = 0
    ttfc_s: float | None = None
    latency: Latency | None = None
    #: Output tokens a second after first content.
    throughput: float | None = None
    #: The share of its tool calls that were no good: not JSON, an unknown tool, arguments that do not fit.
    tool_errors: float | None = None
    #: US dollars spent at its provider in this hour, day and month (UTC), as far as this process knows.
    spent_usd: tuple[float, float, float] = (0.0, 0.0, 0.0)
    #: Tokens at the beginning of this prompt that the candidate's cache probably still holds of this conversation.
    warm_tokens: int = 0
    breaker: BreakerState = "closed"
    breaker_wait_s: float = 0.0
    #: Why it is not closed.
    breaker_reason: str = ""
    #: After a recovery: the share of its usual traffic that it is to have by now, 1 = all.
    ramp: float = 1.0
    #: The provider asked to be left alone (429, Retry-After) for this long, whether or not its scope heeds that.
    pushback_s: float = 0.0
    block_wait_s: float = 0.0
    block_reason: str = ""
    key_wait_s: float = 0.0
    #: Why the keys rest: 401 refused, 402 out of quota, 429 at the usage limit that the configuration sets; 503 where
    #: they do so for different reasons.
    key_status: int = 401
    #: The same in words, where the keys do not all rest for one reason.
    key_reason: str = ""
    gone_wait_s: float = 0.0
    #: Until there is room for this request: in the scope's window, and in what the provider says is left of its own.
    window_wait_s: float = 0.0
    window_reason: str = ""
    headroom: float = 1.0
    free_slots: int | None = None
    #: The candidate's own time limits, where it has any: to first content, and of silence after it.
    first_content_s: float | None = None
    idle_s: float | None = None
    #: An open connection waits for this conversation. To lose a race closes it, and what its host knows is lost.
    sticky: bool = False


def prompt_usd(facts: Facts, tokens: int) -> float:
    """What it costs to have a prompt of so many tokens read, in US dollars: what is in the cache there, at its price.

    Nothing where no price is known. Writing a cache is not reckoned: whether a prompt is written to it is the client's choice.
    """
    if facts.price is None:
        return 0.0
    warm = min(facts.warm_tokens, tokens)
    return (warm * facts.price.reading + (tokens - warm) * facts.price.input) / 1e6


@attrs.frozen(kw_only=True)
class View:
    """One moment, as one chain's policies see it. `wall_s` is seconds since the epoch; `seed` feeds every draw."""

    need: Need = Need()
    facts: Mapping[str, Facts] = attrs.field(factory=dict)
    wall_s: float = 0.0
    seed: int = 0
    #: How many requests this chain has had: whose turn it is, where candidates take turns.
    turn: int = 0
    config_digest: str = ""
    #: The candidate, by name, that this conversation is at home with; empty where it has none.
    affinity: str = ""

    def of(self, candidate: Candidate) -> Facts:
        """The facts of a candidate; a candidate nothing is known about is taken for healthy and idle."""
        return self.facts.get(candidate.name, _UNKNOWN)


_UNKNOWN = Facts()
