"""Tests of the plug-in: a view is made by hand, and nothing has to run."""

from __future__ import annotations

import pytest
from hedgerow_short_prompts import ShortPrompts

from policies import Candidate, Need, PolicyError, View, compose

SMALL, LARGE = Candidate("groq", "llama"), Candidate("zen", "big-pickle")


@pytest.mark.parametrize(("tokens", "first"), [(10, SMALL), (3999, SMALL), (4000, LARGE), (90_000, LARGE)])
def test_short_prompts_go_to_the_small_model_first(tokens: int, first: Candidate) -> None:
    """And long ones to the others."""
    plan = compose([ShortPrompts(names=("groq",))], (LARGE, SMALL), View(need=Need(input_tokens=tokens)))
    assert plan.steps[0].candidate == first
    assert len(plan.steps) == 2


def test_it_prints_as_its_toml() -> None:
    """As every policy does: `hedgerow check` shows this."""
    assert str(ShortPrompts(names=("groq",), below=100)) == '{ kind = "short-prompts", names = ["groq"], below = 100 }'


def test_a_limit_of_nothing_is_refused() -> None:
    """The text is what the user of the file reads."""
    with pytest.raises(PolicyError, match="expected at least 1 token, got 0"):
        ShortPrompts(names=("groq",), below=0)
