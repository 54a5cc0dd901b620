"""Everything the engine remembers, in one place, and the photograph of it that policies see.

Memory that is written to from wherever something happens cannot be made again, and each new question adds a lock. Here each
book is a fold over events, so a recorded log replays to the same memory; together they make a `View`, for one chain's
candidates at one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from hashlib import blake2b

import attrs

from engine._affinity import AffinityBook
from engine._breaker import BreakerBook
from engine._budget import HedgeBudget
from engine._bus import EventBus
from engine._counts import CountBook
from engine._estimates import EstimateBook
from engine._keys import KeyBook
from engine._latency import LatencyBook
from engine._lessons import LessonBook
from engine._load import LoadBook
from engine._pushback import PushbackBook
from engine._rests import RestBook
from engine._retries import RetryBudget
from engine._scopes import ScopeBook, expected_tokens
from engine._spend import SpendBook
from engine._stance import StanceBook
from engine._tally import TallyBook
from engine._throughput import ThroughputBook
from engine._tool_errors import ToolErrorBook
from engine._turns import TurnBook
from engine.config import Config, Provider
from policies import Candidate, Facts, Need, Unlimited, View


@attrs.frozen(kw_only=True)
class Conversation:
    """Whose request this is: a client's session and, within it, an agent. Empty where the client did not say.

    `model` is the name that was asked for: a session's titles, on another model, have a beginning of their own.
    """

    session: str = ""
    agent: str = ""
    model: str = ""


NO_CONVERSATION = Conversation()


@attrs.define(eq=False)
class Books:
    """Load, latency, health, scopes, keys, rests, budgets and the rest. Keyed by name, so they survive a reload."""

    breakers: BreakerBook
    scopes: ScopeBook
    keys: KeyBook = attrs.field(factory=KeyBook)
    load: LoadBook = attrs.field(factory=LoadBook)
    latency: LatencyBook = attrs.field(factory=LatencyBook)
    rests: RestBook = attrs.field(factory=RestBook)
    pushback: PushbackBook = attrs.field(factory=PushbackBook)
    stances: StanceBook = attrs.field(factory=StanceBook)
    budget: HedgeBudget = attrs.field(factory=HedgeBudget)
    retries: RetryBudget = attrs.field(factory=RetryBudget)
    lessons: LessonBook = attrs.field(factory=LessonBook)
    estimates: EstimateBook = attrs.field(factory=EstimateBook)
    counts: CountBook = attrs.field(factory=CountBook)
    tally: TallyBook = attrs.field(factory=TallyBook)
    affinity: AffinityBook = attrs.field(factory=AffinityBook)
    throughput: ThroughputBook = attrs.field(factory=ThroughputBook)
    tool_errors: ToolErrorBook = attrs.field(factory=ToolErrorBook)
    spend: SpendBook = attrs.field(factory=SpendBook)
    turns: TurnBook = attrs.field(factory=TurnBook)

    @classmethod
    def of(cls, config: Callable[[], Config]) -> Books:
        """Books whose settings follow the configuration in force; a provider that is gone counts as unlimited."""
        return cls(
            breakers=BreakerBook(lambda id: p.breaker if (p := config().providers.get(id)) else None),
            scopes=ScopeBook(lambda id: p.scope if (p := config().providers.get(id)) else Unlimited()),
            keys=KeyBook(lambda id: p.key_limit if (p := config().providers.get(id)) else None),
        )

    def register(self, bus: EventBus) -> None:
        books = (
            self.load,
            self.latency,
            self.breakers,
            self.scopes,
            self.keys,
            self.rests,
            self.pushback,
            self.stances,
            self.budget,
            self.retries,
            self.lessons,
            self.estimates,
            self.counts,
            self.tally,
            self.affinity,
            self.throughput,
            self.tool_errors,
            self.spend,
            self.turns,
        )
        for book in books:
            bus.add(book.fold)

    def view(
        self,
        config: Config,
        candidates: tuple[Candidate, ...],
        need: Need,
        *,
        at: float,
        wall_s: float,
        seed: str,
        chain: str = "",
        conversation: Conversation = NO_CONVERSATION,
        sticky: Collection[Candidate] = (),
    ) -> View:
        """The photograph. `seed` is any text that is this request's own; draws are derived from it.

        `chain` and `conversation` are the request's. `sticky` are the candidates for which an open connection waits: no
        book knows of those.
        """
        return View(
            need=need,
            facts={
                c.name: self._facts(config, c, need, at, wall_s, conversation=conversation, sticky=c in sticky)
                for c in candidates
            },
            wall_s=wall_s,
            seed=int.from_bytes(blake2b(seed.encode(), digest_size=6).digest(), "big"),
            turn=self.turns.turn(chain),
            config_digest=config.digest,
            affinity=self.affinity.home(conversation.session, conversation.agent, conversation.model),
        )

    def _facts(
        self,
        config: Config,
        candidate: Candidate,
        need: Need,
        at: float,
        wall_s: float,
        *,
        conversation: Conversation,
        sticky: bool,
    ) -> Facts:
        provider = config.providers[candidate.provider]
        model = provider.model(candidate.model)
        key = self._key(provider, at, expected_tokens(need))
        best = self.keys.best(provider.id, len(provider.keys), at)
        why = self.keys.why(provider.id, len(provider.keys), at) if best.status else (401, "")
        health = self.breakers.standing(candidate, at)
        block_wait_s, block_reason = self.scopes.block_wait_s(provider.id, key, at)
        room = self.scopes.room(provider.id, key, at, expected_tokens(need))
        timeouts = provider.timeouts_for(candidate.model)
        key_of = (conversation.session, conversation.agent, conversation.model)
        warm = self.affinity.warm_tokens(key_of, candidate.name, at, provider.cache_s, reports=not provider.local)
        stance = self.stances.against(provider.id, known=sticky or warm > 0)
        because = provider.unusable_for(candidate.model) or stance
        return Facts(
            usable=not because,
            unusable_because=because,
            capabilities=self.lessons.of(candidate).capabilities(model.capabilities),
            price=model.price,
            free=provider.free(candidate.model),
            in_flight=self.load.in_flight(candidate.name),
            ttfc_s=self.load.ttfc_s(candidate.name, at),
            warm_tokens=min(warm, need.input_tokens),
            latency=self.latency.latency(candidate.name, need.input_tokens, at),
            throughput=self.throughput.tokens_per_s(candidate.name, at),
            tool_errors=self.tool_errors.rate(candidate.name, at),
            spent_usd=self.spend.usd(provider.id, wall_s),
            breaker=health.state,
            breaker_wait_s=health.wait_s,
            breaker_reason=health.reason,
            ramp=health.ramp,
            pushback_s=self.pushback.left_s(provider.id, len(provider.keys), at),
            block_wait_s=block_wait_s,
            block_reason=block_reason,
            key_wait_s=best.wait_s if best.status else 0.0,
            key_status=why[0],
            key_reason=why[1],
            gone_wait_s=self.rests.gone_wait_s(candidate, at),
            window_wait_s=room.wait_s,
            window_reason=room.reason,
            headroom=room.headroom,
            free_slots=self.scopes.free_slots(provider.id, key),
            first_content_s=timeouts.first_content_s,
            idle_s=timeouts.idle_s,
            sticky=sticky,
        )

    def back_in_s(self, config: Config, candidate: Candidate, tokens: int, at: float) -> float:
        """Seconds until a candidate may be asked, as far as its breaker and scope know."""
        provider = config.providers[candidate.provider]
        key = self._key(provider, at, tokens)
        state, wait_s = self.breakers.state(candidate, at)
        return max(
            wait_s if state == "open" else 0.0,
            self.scopes.block_wait_s(provider.id, key, at)[0],
            self.scopes.room(provider.id, key, at, tokens).wait_s,
        )

    def _key(self, provider: Provider, at: float, tokens: int) -> int:
        """The key that a request would be sent with now: the first with room, else the one that has room first."""
        keys = range(max(1, len(provider.keys)))
        free = [n for n in keys if self.keys.standing(provider.id, n, at).free] or [0]

        def wait_s(key: int) -> tuple[float, bool]:
            blocked_s, _ = self.scopes.block_wait_s(provider.id, key, at)
            window_s = self.scopes.room(provider.id, key, at, tokens).wait_s
            return max(blocked_s, window_s), self.scopes.free_slots(provider.id, key) == 0

        return min(free, key=wait_s)
