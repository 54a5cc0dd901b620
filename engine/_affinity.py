"""Where each conversation is at home, and who still holds how much of it: a fold over events.

The naive book keeps one line per session, the last one that answered. Then a single failure moves the conversation, the next
failure moves it on, and every hedge that wins by a tenth of a second costs the whole history again. Here a conversation has a
home, and beside it what everybody who answered it probably still has in the cache. The home moves by two rules alone:

- somebody else has won two of the last three turns that were a contest (the home was asked and was slower, or was passed over
  for its price);
- the home could not answer, for `AWAY_TURNS` turns in a row over `AWAY_S` seconds: an outage, not a hiccup.

A turn that was answered elsewhere because the home was blocked, ejected or failed is no contest: the next one comes back.

A conversation is a session, an agent in it, and the model name that is asked for: the client's titles and summaries, on
another model, have beginnings of their own. An agent that has not yet been answered begins at its parent's home. Bounded,
keyed by names, no clock of its own; without a session there is nothing to keep.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from engine._events import (
    AffinityChanged,
    AttemptEnded,
    CandidateSkipped,
    EngineEvent,
    PlanMade,
    RequestAccepted,
    RequestFinished,
)
from engine._kept import keep
from engine.config import CACHE_S
from policies import Sticky

#: Session, agent, requested model.
Key = tuple[str, str, str]

#: Candidates whose cache is remembered for one conversation, and turns that are looked back on.
WARM, CONTESTS = 8, 3
#: How many turns in a row, and over how long, a home must be unable to answer before the conversation moves for good. A 429
#: usually ends within a minute; caches live for five, so by then coming back is still worth it.
AWAY_TURNS, AWAY_S = 3, 60.0
#: A prefix fades in the last part of its life: clocks start at different moments, and most hosts promise nothing.
FADES_FROM = 0.8
#: A host that has read nothing from its cache so many times running, of so many tokens at least, is not believed to have one.
MISSES, TELLING = 3, 2048


def kept_share(age_s: float, life_s: float) -> float:
    """How much of a prefix is counted on after `age_s`, of a cache that keeps what was read for `life_s` seconds."""
    if life_s <= 0:
        return 0.0
    return min(1.0, max(0.0, (1 - age_s / life_s) / (1 - FADES_FROM)))


@attrs.frozen
class _Prefix:
    tokens: int
    at: float  # when it was last read: when the request was made


@attrs.define
class _Row:
    home: str
    warm: dict[str, _Prefix] = attrs.field(factory=dict)
    won: tuple[str, ...] = ()  # the last contests
    away: int = 0  # turns in a row that the home could not answer
    away_since: float = 0.0


@attrs.define
class _Live:
    """A request under way. `excused`: its conversation's home could not be asked, or failed.

    `kept` says whether the chain keeps to homes at all: else nobody needs to hear of them.
    """

    key: Key
    home: str
    excused: bool = False
    kept: bool = False


@attrs.define(eq=False)
class AffinityBook:
    """Homes and warm prefixes per conversation."""

    _rows: dict[Key, _Row] = attrs.field(factory=dict)
    _live: dict[str, _Live] = attrs.field(factory=dict)
    _misses: dict[str, int] = attrs.field(factory=dict)

    def home(self, session: str, agent: str, model: str) -> str:
        """The name of the candidate that this conversation is at home with; of a new agent, its parent's. Empty: none."""
        row = self._rows.get((session, agent, model)) or self._rows.get((session, "", model))
        return row.home if row and session else ""

    def warm_tokens(self, key: Key, candidate: str, at: float, life_s: float, *, reports: bool = True) -> int:
        """How many tokens of the conversation's beginning a candidate probably still has at hand.

        `life_s` is how long its cache keeps what it has read, `reports` whether it would say what it read from there.
        """
        row = self._rows.get(key)
        prefix = row.warm.get(candidate) if row else None
        if prefix is None or (reports and self._misses.get(candidate, 0) >= MISSES):
            return 0
        return int(prefix.tokens * kept_share(at - prefix.at, life_s))

    def fold(self, event: EngineEvent) -> list[EngineEvent]:
        if isinstance(event, RequestAccepted):
            if event.session:
                key = (event.session, event.agent, event.model)
                self._live[event.request_id] = _Live(key, self.home(*key))
            return []
        live = self._live.get(event.request_id)
        if live is None:
            return []
        match event:
            case PlanMade():
                live.excused |= any(skip.candidate.name == live.home for skip in event.plan.skipped)
                live.kept = any(isinstance(policy, Sticky) for policy in event.policies)
            case CandidateSkipped():
                live.excused |= event.skip.candidate.name == live.home
            case AttemptEnded():
                live.excused |= event.ending == "failed" and event.candidate.name == live.home
                return list(self._ended(live, event))
            case RequestFinished():
                del self._live[event.request_id]
        return []

    def __len__(self) -> int:
        return len(self._rows) + len(self._live) + len(self._misses)

    def _ended(self, live: _Live, event: AttemptEnded) -> Iterator[EngineEvent]:
        name = event.candidate.name
        row = self._rows.get(live.key)
        if row is None:
            if event.ending != "won":
                return
            row = _Row(home=name)
        keep(self._rows, live.key, row)
        if event.ending == "won":
            self._note_misses(row, event)
        if event.first_content_s is not None:
            # Who has begun to answer has read the prompt; the answer itself is the next turn's history.
            tokens = event.bill.prompt + (event.bill.output if event.ending == "won" else 0)
            self._warm(row, name, _Prefix(tokens, event.at - event.elapsed_s))
        if event.ending != "won":
            return
        reason = _moved(row, name, event.at, excused=live.excused)
        if reason:
            before, row.home = row.home, name
            if not live.kept:
                return
            session, agent, _ = live.key
            yield AffinityChanged(
                at=event.at,
                request_id=event.request_id,
                session=session,
                agent=agent,
                before=before,
                after=name,
                reason=reason,
            )

    @staticmethod
    def _warm(row: _Row, name: str, prefix: _Prefix) -> None:
        known = row.warm.get(name)
        if known is not None and prefix.tokens * 2 < known.tokens and prefix.at - known.at < CACHE_S:
            return  # a question on the side, or a conversation cut short: the longer beginning is still there for a while
        keep(row.warm, name, prefix, WARM)

    def _note_misses(self, row: _Row, event: AttemptEnded) -> None:
        """A host that reports no cached token of a prefix that it read a minute ago has no cache, or not for us."""
        name, known = event.candidate.name, row.warm.get(event.candidate.name)
        if known is None or known.tokens < TELLING or not event.usage.reported or event.bill.prompt < known.tokens:
            return
        if event.usage.cache_read:
            self._misses.pop(name, None)
        elif event.at - event.elapsed_s - known.at <= AWAY_S:
            keep(self._misses, name, self._misses.get(name, 0) + 1)


def _moved(row: _Row, winner: str, at: float, *, excused: bool) -> str:
    """Why the conversation moves to the winner of this turn; empty where it stays at home."""
    if winner != row.home and excused:
        row.away_since = row.away_since if row.away else at
        row.away += 1
        if row.away < AWAY_TURNS or at - row.away_since < AWAY_S:
            return ""
        why = f"its home could not answer {row.away} turns in a row, over {at - row.away_since:.0f} s"
    else:
        row.won = (*row.won, winner)[-CONTESTS:]
        if winner == row.home:
            row.away = 0
            return ""
        if row.won.count(winner) < 2:
            return ""
        why = f"it answered {row.won.count(winner)} of the last {len(row.won)} turns"
    row.away = 0
    return why
