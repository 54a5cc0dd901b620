"""Where a conversation is at home, what moves it, and who is still warm: the book by itself."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._affinity import AWAY_S, AWAY_TURNS, CONTESTS, FADES_FROM, MISSES, WARM, AffinityBook, kept_share
from engine._bill import Bill
from engine._events import AffinityChanged, CandidateSkipped, EngineEvent, PlanMade, RequestFinished
from engine._kept import KEPT
from engine._stream import Usage
from policies import Candidate, Facts, FailureKind, Policy, SilentSkip, Skip, Sticky, View, compose
from tests.engine.said import A, B, accepted, failed, lost, won

C = Candidate("c", "m")
ME = ("s", "", "m")
LIFE_S = 300.0


@attrs.define
class Told:
    """A book, told turn by turn."""

    book: AffinityBook = attrs.field(factory=AffinityBook)
    at: float = 0.0
    policies: tuple[Policy, ...] = (Sticky(),)
    said: list[EngineEvent] = attrs.field(factory=list)
    _number: int = 0

    def turn(
        self,
        winner: Candidate | None,
        *before: EngineEvent,
        skipped: Candidate | None = None,
        prompt: int = 1000,
        output: int = 100,
        read: int = 0,
        session: str = "s",
        agent: str = "",
    ) -> None:
        """A request ten seconds after the last, with what came before its answer. It takes a second."""
        self.at += 10.0
        self._number += 1
        id = f"req_{self._number}"
        facts = {skipped.name: Facts(block_wait_s=5.0)} if skipped else {}
        view = View(facts=facts)
        plan = compose((SilentSkip(),), (A, B, C), view)
        events: list[Any] = [
            accepted(self.at, session=session, agent=agent),
            PlanMade(at=self.at, chain="c", plan=plan, view=view, policies=self.policies),
            *before,
        ]
        if winner is not None:
            bill = Bill(input=prompt - read, cache_read=read, output=output)
            usage = Usage(input=prompt - read, cache_read=read, output=output, reported=True)
            events.append(won(self.at + 1, winner, elapsed_s=1.0, bill=bill, usage=usage))
        events.append(RequestFinished(at=self.at + 1, outcome="answered"))
        for event in events:
            self.said += self.book.fold(attrs.evolve(event, request_id=id)) or ()

    @property
    def home(self) -> str:
        return self.book.home(*ME)[:1]

    def warm(self, who: Candidate, after_s: float = 0.0) -> int:
        return self.book.warm_tokens(ME, who.name, self.at + after_s, LIFE_S)


def test_the_first_answer_makes_a_home() -> None:
    """And whoever has read the prompt is warm: of it, and of the answer it has given."""
    it = Told()
    assert (it.home, it.warm(A)) == ("", 0)
    it.turn(A)
    assert (it.home, it.warm(A), it.warm(B), it.said) == ("a", 1100, 0, [])


@pytest.mark.parametrize(
    "trouble",
    [
        {"skipped": A},
        {"before": CandidateSkipped(at=0.0, skip=Skip(candidate=A, by="scope", reason="busy", wait_s=1.0))},
        {"before": failed(0.0, A, FailureKind.SERVER)},
        {"before": failed(0.0, A, FailureKind.RATE_LIMITED)},
    ],
)
def test_a_home_in_trouble_stays_the_home(trouble: dict[str, Any]) -> None:
    """Passed over, busy at the launch, or failed: two turns elsewhere are no contest, and the next comes back."""
    it = Told()
    it.turn(A)
    before = [trouble["before"]] if "before" in trouble else []
    for _ in range(2):
        it.turn(B, *before, skipped=trouble.get("skipped"))
    assert (it.home, it.said) == ("a", [])


def test_an_outage_moves_the_conversation() -> None:
    """Three turns in a row over a minute; the turns may be many and the minute is waited for, and the other way round."""
    it = Told()
    it.turn(A)
    for _ in range(6):
        it.turn(B, skipped=A)
    assert it.home == "a"
    it.turn(B, skipped=A)
    assert it.home == "b"
    (moved,) = it.said
    assert isinstance(moved, AffinityChanged)
    assert (moved.before, moved.after, moved.session) == ("a/m", "b/m", "s")
    assert moved.reason == "its home could not answer 7 turns in a row, over 60 s"
    it = Told()
    it.turn(A)
    for _ in range(2):
        it.turn(B, skipped=A)
        it.at += 300.0
    assert it.home == "a"
    it.turn(B, skipped=A)
    assert it.home == "b"


def test_an_answer_of_the_home_ends_its_outage() -> None:
    """The minute and the turns begin anew."""
    it = Told()
    it.turn(A)
    for _ in range(3):
        for _ in range(6):
            it.turn(B, skipped=A)
        it.turn(A)
    assert (it.home, it.said) == ("a", [])


def test_one_hedge_that_wins_does_not_move_it_and_two_of_three_do() -> None:
    """The home was asked and was slower; in between it may win itself."""
    slow = lost(0.0, 4.0, A)
    it = Told()
    it.turn(A)
    it.turn(B, slow)
    assert it.home == "a"
    it.turn(A)
    it.turn(B, slow)
    assert it.home == "b"
    (moved,) = it.said
    assert isinstance(moved, AffinityChanged)
    assert moved.reason == "it answered 2 of the last 3 turns"


def test_wins_far_apart_or_of_several_do_not_move_it() -> None:
    """Two of the last three, and of one candidate."""
    it = Told()
    for winner in (A, B, A, A, B, A, A, C):
        it.turn(winner, lost(0.0, 4.0, A))
    assert (it.home, it.said) == ("a", [])
    it.turn(B, lost(0.0, 4.0, A))
    assert it.home == "a"


def test_agents_and_models_are_conversations_of_their_own() -> None:
    """An agent begins at its parent's home, and its first answer makes its own; another session has nothing of it."""
    it = Told()
    it.turn(A)
    assert it.book.home("s", "agent", "m") == "a/m"
    assert it.book.warm_tokens(("s", "agent", "m"), "a/m", it.at, LIFE_S) == 0
    it.turn(B, agent="agent")
    assert (it.book.home("s", "agent", "m"), it.home) == ("b/m", "a")
    assert it.book.home("s", "", "haiku") == it.book.home("other", "", "m") == ""


def test_without_a_session_nothing_is_kept() -> None:
    """It would be everybody's conversation."""
    it = Told()
    it.turn(A, session="")
    assert (it.book.home("", "", "m"), len(it.book)) == ("", 0)


def test_a_prefix_fades_at_the_end_of_its_life_and_is_gone_after_it() -> None:
    """Counted from when its request was made; the whole of it until four fifths, and then in a line."""
    it = Told()
    it.turn(A)
    assert [it.warm(A, s) for s in (0, 240, 270, 300, 3000)] == [1100, 1100, 550, 0, 0]
    assert [kept_share(s, 300) for s in (0, 300 * FADES_FROM, 270, 300)] == pytest.approx([1, 1, 0.5, 0])
    assert kept_share(0, 0) == 0


def test_a_loser_that_had_begun_is_warm_and_one_that_had_not_is_not() -> None:
    """Who shows content has read the prompt."""
    it = Told()
    it.turn(A)
    had = attrs.evolve(lost(it.at + 12, 2.0, B, first_content_s=1.0), bill=Bill(input=900, output=50))
    it.turn(A, had, lost(it.at + 12, 2.0, C))
    assert (it.warm(B), it.warm(C)) == (900, 0)


def test_a_host_that_never_reads_from_its_cache_is_not_believed_to_have_one() -> None:
    """Three times in a row, of a prefix that it has just read; one hit and it is believed again. Silence of a host that
    reports nothing proves nothing."""
    it = Told()
    it.turn(A, prompt=10_000)
    for n in range(MISSES):
        assert it.warm(A) > 0
        it.turn(A, prompt=11_000 + n * 1000)
    assert it.warm(A) == 0
    assert it.book.warm_tokens(ME, A.name, it.at, LIFE_S, reports=False) > 0
    it.turn(A, prompt=20_000, read=11_000)
    assert it.warm(A) == 20_100


def test_a_conversation_that_was_cut_short_proves_nothing_against_a_cache() -> None:
    """After a compaction the beginning is another one, and what is read of it says nothing of the one before."""
    it = Told()
    for prompt in (30_000, 20_000, 18_000, 17_000, 16_000, 15_000):
        it.turn(A, prompt=prompt)
    assert it.warm(A) == 15_100


def test_a_question_on_the_side_does_not_make_a_conversation_short() -> None:
    """Of less than half the length; when the longer beginning would be forgotten, the shorter one counts."""
    it = Told()
    it.turn(A, prompt=30_000)
    it.turn(A, prompt=2_000)
    assert it.warm(A) == 30_100
    it.at += LIFE_S
    it.turn(A, prompt=2_000)
    assert it.warm(A) == 2_100


def test_nobody_hears_of_homes_where_no_policy_keeps_to_them() -> None:
    """They are kept all the same: a chain may be told to from one request to the next."""
    it = Told(policies=())
    it.turn(A)
    it.turn(B)
    it.turn(B)
    assert (it.home, it.said) == ("b", [])


turns = st.tuples(
    st.sampled_from([A, B, C, None]),
    st.sampled_from(["", "lost", "failed", "skipped"]),
    st.sampled_from(["s", "t", ""]),
    st.sampled_from(["", "x", "y"]),
    st.sampled_from([0.0, 30.0, 400.0]),
)


@given(st.lists(turns, max_size=25))
def test_homes_move_by_the_two_rules_alone(
    log: list[tuple[Candidate | None, str, str, str, float]],
) -> None:
    """Any turns of any conversations: each move holds by its rule, nothing else moves, and a log folds alike."""
    it, again = Told(), Told()
    contests: dict[tuple[str, str], list[str]] = {}
    away: dict[tuple[str, str], list[float]] = {}
    homes: dict[tuple[str, str], str] = {}
    for winner, trouble, session, agent, pause_s in log:
        key = (session, agent)
        home = it.book.home(session, agent, "m")
        who = next((c for c in (A, B, C) if c.name == home), A)
        before = [lost(0.0, 1.0, who)] if trouble == "lost" else [failed(0.0, who)] if trouble == "failed" else []
        excused = trouble in ("failed", "skipped") and bool(home)
        moves = len(it.said)
        for each in (it, again):
            each.at += pause_s
            each.turn(winner, *before, skipped=who if trouble == "skipped" else None, session=session, agent=agent)
        if not session or winner is None:
            assert it.book.home(session, agent, "m") == home
            continue
        first = key not in homes
        homes.setdefault(key, winner.name)
        if first or winner.name == homes[key] or not excused:
            contests[key] = [*contests.get(key, []), winner.name][-CONTESTS:]
        if winner.name == homes[key]:
            away[key] = []
        elif excused:
            away[key] = [*away.get(key, []), it.at + 1]
        if len(it.said) > moves:
            outage = len(away[key]) >= AWAY_TURNS and away[key][-1] - away[key][0] >= AWAY_S if away.get(key) else False
            assert outage or contests[key].count(winner.name) >= 2
            homes[key] = winner.name
            away[key] = []
        assert it.book.home(session, agent, "m") == homes[key]
    assert it.said == again.said
    assert repr(it.book) == repr(again.book)


def test_the_book_is_bounded() -> None:
    """Conversations, candidates in one of them, hosts that are not believed; and no request is left in it."""
    it = Told()
    for n in range(KEPT + 50):
        it.turn(Candidate("a", f"m{n}"), session=f"s{n}")
    for n in range(WARM + 20):
        it.turn(Candidate("b", f"m{n}"))
    assert len(it.book) == KEPT
    assert sum(it.warm(Candidate("b", f"m{n}")) > 0 for n in range(WARM + 20)) == WARM


def test_a_plan_without_the_home_is_no_trouble_of_its() -> None:
    """Only a skip is; a request that names others does not ask it."""
    it = Told()
    it.turn(A)
    it.turn(B)
    it.turn(B)
    assert it.home == "b"
