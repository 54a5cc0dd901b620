"""What is measured of answers for the order policies: tokens a second, bad tool calls, turns."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._average import FADE_S
from engine._events import AttemptEnded
from engine._failure import Failure
from engine._kept import KEPT
from engine._stream import Usage
from engine._throughput import FORGOTTEN_S, ThroughputBook
from engine._tool_errors import HALF_LIFE_S, LEAST_CALLS, ToolErrorBook
from engine._turns import TurnBook
from policies import Candidate, FailureKind
from tests.engine.said import A, B, accepted, failed, lost, told, won


def wrote(at: float, tokens: int, seconds: float, who: Candidate = A, *, reported: bool = True) -> AttemptEnded:
    """An answer whose first content came after a second."""
    usage = Usage(output=tokens, reported=reported)
    return won(at, who, first_content_s=1.0, elapsed_s=1.0 + seconds, usage=usage)


class TestThroughput:
    """Tokens a second after first content."""

    def test_the_wait_for_first_content_is_no_part_of_it(self) -> None:
        """A hundred tokens in two seconds, whenever they began."""
        book = ThroughputBook()
        told(book.fold, wrote(0, 100, 2.0))
        assert book.tokens_per_s(A.name, 0) == 50.0
        assert book.tokens_per_s(B.name, 0) is None

    @pytest.mark.parametrize(
        "end",
        [
            wrote(0, 31, 2.0),
            wrote(0, 1000, 0.49),
            wrote(0, 100, 2.0, reported=False),
            won(0, first_content_s=None, elapsed_s=9.0, usage=Usage(output=100, reported=True)),
            lost(0, 9.0, first_content_s=1.0),
            failed(0, first_content_s=1.0, elapsed_s=9.0, usage=Usage(output=100, reported=True)),
        ],
    )
    def test_what_is_too_short_or_not_counted_is_no_sample(self, end: AttemptEnded) -> None:
        """Nor is what broke off: its usage is not the last word."""
        book = ThroughputBook()
        told(book.fold, end)
        assert book.tokens_per_s(A.name, 0) is None

    def test_the_latest_weighs_a_fifth_at_once_and_more_after_a_pause(self) -> None:
        """The older the estimate, the less of it is left."""
        book = ThroughputBook()
        told(book.fold, wrote(0, 100, 1.0), wrote(0, 50, 1.0))
        assert book.tokens_per_s(A.name, 0) == pytest.approx(90.0)
        told(book.fold, wrote(FADE_S, 100, 2.0))
        assert book.tokens_per_s(A.name, FADE_S) == pytest.approx(50 + 40 * 0.8 * 0.36788, rel=1e-4)

    def test_what_nothing_confirmed_for_half_an_hour_is_forgotten(self) -> None:
        """And the next sample stands alone."""
        book = ThroughputBook()
        told(book.fold, wrote(0, 1000, 1.0))
        assert book.tokens_per_s(A.name, FORGOTTEN_S) == 1000.0
        assert book.tokens_per_s(A.name, FORGOTTEN_S + 1) is None
        told(book.fold, wrote(FORGOTTEN_S + 1, 100, 1.0))
        assert book.tokens_per_s(A.name, FORGOTTEN_S + 1) == 100.0

    @given(
        st.lists(st.tuples(st.floats(0, 5000), st.integers(32, 10_000), st.floats(0.5, 300)), min_size=1, max_size=20)
    )
    def test_the_estimate_lies_within_what_was_seen(self, samples: list[tuple[float, int, float]]) -> None:
        """And the same facts give the same estimate."""
        at, books = 0.0, (ThroughputBook(), ThroughputBook())
        for after_s, tokens, seconds in samples:
            at += after_s
            for book in books:
                told(book.fold, wrote(at, tokens, seconds))
        rates = [tokens / ((1.0 + seconds) - 1.0) for _, tokens, seconds in samples]
        estimate = books[0].tokens_per_s(A.name, at)
        assert estimate is not None
        assert min(rates) * (1 - 1e-9) <= estimate <= max(rates) * (1 + 1e-9)
        assert books[1].tokens_per_s(A.name, at) == estimate


def called(at: float, calls: int, bad: int, who: Candidate = A) -> AttemptEnded:
    """An answer with this many tool calls."""
    return won(at, who, tool_calls=calls, tool_errors=bad)


class TestToolErrors:
    """The share of bad tool calls."""

    def test_a_rate_needs_eight_calls(self) -> None:
        """One slip among three is no rate."""
        book = ToolErrorBook()
        told(book.fold, called(0, int(LEAST_CALLS) - 1, 1))
        assert book.rate(A.name, 0) is None
        told(book.fold, called(0, 1, 1))
        assert book.rate(A.name, 0) == 0.25
        assert book.rate(B.name, 0) is None

    def test_it_fades_and_ends_when_too_little_is_left(self) -> None:
        """A shunned candidate is tried again after a while: sixteen calls are eight in two hours."""
        book = ToolErrorBook()
        told(book.fold, called(0, 16, 8))
        assert book.rate(A.name, HALF_LIFE_S) == 0.5
        assert book.rate(A.name, HALF_LIFE_S + 1) is None
        told(book.fold, called(HALF_LIFE_S, 8, 0))
        assert book.rate(A.name, HALF_LIFE_S) == pytest.approx(0.25)

    def test_answers_without_calls_say_nothing(self) -> None:
        """Nor do failures that have nothing to do with calls."""
        book = ToolErrorBook()
        told(book.fold, *[called(0, 0, 0)] * 20, *[failed(0, kind=FailureKind.MALFORMED)] * 20)
        assert book.rate(A.name, 0) is None

    def test_a_call_that_spoilt_its_answer_is_one(self) -> None:
        """The dialect that could not put it together has said so in the failure."""
        book = ToolErrorBook()
        spoilt = Failure(kind=FailureKind.MALFORMED, message="", bad_call=True)
        told(book.fold, called(0, 6, 0), *[attrs.evolve(failed(), failure=spoilt)] * 2)
        assert book.rate(A.name, 0) == 0.25

    @given(st.lists(st.tuples(st.floats(0, 9000), st.integers(0, 5), st.integers(0, 5)), max_size=20))
    def test_a_rate_is_a_share(self, answers: list[tuple[float, int, int]]) -> None:
        """From 0 to 1, whatever came when."""
        at, book = 0.0, ToolErrorBook()
        for after_s, good, bad in answers:
            at += after_s
            told(book.fold, called(at, good + bad, bad))
            rate = book.rate(A.name, at)
            assert rate is None or -1e-9 <= rate <= 1 + 1e-9


class TestTurns:
    """Requests of a chain."""

    def test_each_request_of_a_chain_has_the_next_number(self) -> None:
        """From 0, by chain; what is only planned takes no turn."""
        book, seen = TurnBook(), []
        assert book.turn("c") == 0
        for chain in ("c", "c", "d", "c"):
            told(book.fold, accepted(chain=chain))
            seen.append((chain, book.turn(chain), book.turn(chain)))
        assert seen == [("c", 0, 0), ("c", 1, 1), ("d", 0, 0), ("c", 2, 2)]


def test_the_books_hold_no_more_than_a_thousand_rows() -> None:
    """A client may name any model of a provider."""
    speed, errors, turns = ThroughputBook(), ToolErrorBook(), TurnBook()
    for n in range(KEPT + 50):
        who = Candidate("a", f"m{n}")
        told(speed.fold, wrote(0, 100, 1.0, who))
        told(errors.fold, called(0, 1, 0, who))
        told(turns.fold, accepted(chain=f"c{n}"))
    assert (len(speed._rows), len(errors._rows), len(turns._requests)) == (KEPT, KEPT, KEPT)
