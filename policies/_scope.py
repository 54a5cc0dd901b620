"""Scopes and breakers as values: what a provider allows, and when it is left alone.

These belong to providers, not to chains, since the provider counts all of our requests whichever chain they came from.
The books that count against them live in the engine; here is only what a person writes in TOML.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from policies._checks import at_least, below_one, not_negative, positive, share
from policies._policy import PolicyError

Per = Literal["key", "provider"]


#: Requests that may wait for one provider, where nothing else is said. Each holds its body, and no slot.
QUEUE = 100


@attrs.frozen(kw_only=True)
class Window:
    """At most `requests` and at most `tokens` within any `per_s` seconds, and `concurrency` at once (None: no bound).

    Tokens are those of prompt and answer, what comes from a cache included: estimated when a request begins, and put right
    by what its provider reports when it ends. `queue` requests may wait until there is room.
    """

    kind: ClassVar[str] = "window"

    requests: int | None = attrs.field(default=None, validator=positive)
    tokens: int | None = attrs.field(default=None, validator=positive)
    per_s: float = attrs.field(validator=positive)
    concurrency: int | None = attrs.field(default=None, validator=positive)
    queue: int = attrs.field(default=QUEUE, validator=at_least(0))
    per: Per = "provider"

    def __attrs_post_init__(self) -> None:
        if self.requests is None and self.tokens is None:
            raise PolicyError("a window needs requests, tokens or both: the most of them within per_s seconds")


@attrs.frozen(kw_only=True)
class Concurrency:
    """At most `limit` requests at once. `queue` more may wait for a slot, in an order that is fair between sessions."""

    kind: ClassVar[str] = "concurrency"

    limit: int = attrs.field(default=16, validator=positive)
    queue: int = attrs.field(default=QUEUE, validator=at_least(0))
    per: Per = "provider"


@attrs.frozen(kw_only=True)
class Adaptive:
    """As many requests at once as the provider bears, found out: one more after each round that went well, fewer after a 429.

    Additive increase, multiplicative decrease (Chiu and Jain, 1989; TCP since): from `start`, by 1 for each `limit` answers
    as long as the limit is used, times `cut` after a refusal, never beyond `least` and `most`.
    """

    kind: ClassVar[str] = "adaptive"

    start: int = attrs.field(default=4, validator=positive)
    least: int = attrs.field(default=1, validator=positive)
    most: int = attrs.field(default=64, validator=positive)
    cut: float = attrs.field(default=0.5, validator=[positive, below_one])
    queue: int = attrs.field(default=QUEUE, validator=at_least(0))
    per: Per = "provider"

    def __attrs_post_init__(self) -> None:
        if not self.least <= self.start <= self.most:
            raise PolicyError(
                f"expected least <= start <= most, got least {self.least}, start {self.start}, most {self.most}"
            )


@attrs.frozen(kw_only=True)
class Unlimited:
    """Never held back by a window nor by an earlier 429; health still counts, and a 429 counts for it."""

    kind: ClassVar[str] = "unlimited"

    queue: int = attrs.field(default=QUEUE, validator=at_least(0))
    per: Per = "provider"


Scope = Window | Concurrency | Adaptive | Unlimited
SCOPES: dict[str, type[Scope]] = {scope.kind: scope for scope in (Window, Concurrency, Adaptive, Unlimited)}


@attrs.frozen(kw_only=True)
class Breaker:
    """When a candidate is ejected and for how long.

    `failures` in a row open it; one that had `volume` outcomes or more within `window_s` seconds is opened by a share of
    `rate` among them. It is open for `open_s` seconds, and for twice as long at each further trip, up to `max_open_s` (or
    `open_s`, where that is more); then one request leads. After that its share of the traffic grows for `ramp_s` seconds.
    `probe_s`: an ejected one whose time is over is asked by a tiny request of our own, one at a provider in so many
    seconds; None leaves it to the clients' requests.

    Three failures in thirty seconds, a common default, eject a healthy provider at one percent errors under load; four in
    a row practically never do. `max_open_s` is less than `max-wait` is by default, so that a chain of
    which everybody is ejected waits for the first to be back.
    """

    failures: int = attrs.field(default=4, validator=positive)
    rate: float = attrs.field(default=0.5, validator=[positive, share])
    volume: int = attrs.field(default=20, validator=positive)
    window_s: float = attrs.field(default=30.0, validator=positive)
    open_s: float = attrs.field(default=30.0, validator=positive)
    max_open_s: float = attrs.field(default=60.0, validator=positive)
    ramp_s: float = attrs.field(default=15.0, validator=not_negative)
    probe_s: float | None = attrs.field(default=None, validator=positive)
