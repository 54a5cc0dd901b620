"""How near the estimate of a prompt comes to the provider's own count, turn by turn, over replayed sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson
import pytest

from engine._estimates import EstimateBook
from engine._events import AttemptEnded
from engine._prompt import measure
from engine._stream import Usage
from policies import Candidate
from tests.engine.said import NEED
from tests.engine.sessions import Session, Tokenizer, counted

TOLD = (1, 2, 5, 10, 20)


def errors(tokenizer: Tokenizer, sessions: int, turns: int, *, first_seed: int = 0) -> Iterator[tuple[int, float]]:
    """(turn, relative error) of each estimate that is made before the provider's count is known."""
    candidate = Candidate("host", "m")
    for seed in range(first_seed, first_seed + sessions):
        book, session = EstimateBook(), f"session-{seed}"
        for turn, body in enumerate(Session(seed).bodies(turns), start=1):
            raw = orjson.dumps(body)
            estimate = book.estimate(session, "", body, measure(body, raw))
            own = counted(body, tokenizer)
            yield turn, book.tokens(estimate, candidate) / own - 1
            # Half of it from the provider's cache: the three counts are one.
            usage = Usage(input=own - own // 2, cache_read=own // 2, output=9, reported=True)
            book.fold(
                AttemptEnded(
                    at=float(turn), attempt=1, candidate=candidate, ending="won", elapsed_s=1.0, need=NEED, usage=usage,
                    estimate=estimate,
                )
            )  # fmt: skip


def quantile(values: list[float], share: float) -> float:
    return sorted(map(abs, values))[min(len(values) - 1, int(share * len(values)))]


def pieces(text: str) -> int:
    """A tokenizer of a few lines, unlike any that the weights were fitted to: words of up to six letters, pairs of digits."""
    return len(re.findall(r" ?[A-Za-z]{1,6}|\d{1,2}|\s+|[^\sA-Za-z\d]{1,2}", text))


def test_after_ten_turns_an_estimate_is_within_five_percent() -> None:
    """At the 95th percentile, of a tokenizer that nothing was fitted to."""
    found = list(errors(pieces, sessions=3, turns=14))
    assert quantile([error for turn, error in found if turn > 10], 0.95) < 0.05


@pytest.mark.real
@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
def test_after_ten_turns_an_estimate_is_within_five_percent_of_a_real_tokenizer(encoding: str) -> None:
    """At the 95th percentile of all turns after the tenth; what each turn comes to is printed."""
    bpe_openai = pytest.importorskip("bpe_openai")
    tokenizer = bpe_openai.get_encoding(encoding)
    found = list(errors(lambda text: len(tokenizer.encode(text)), sessions=24, turns=20))
    for turn in TOLD:
        at = [error for number, error in found if number == turn]
        print(f"{encoding} turn {turn:>2}: median {quantile(at, 0.5):.2%}, 95th percentile {quantile(at, 0.95):.2%}")
    late = [error for turn, error in found if turn > 10]
    print(f"{encoding} turns 11 to 20: 95th percentile {quantile(late, 0.95):.2%}, worst {quantile(late, 1.0):.2%}")
    assert quantile(late, 0.95) < 0.05
