"""What every test of a race ends with: nothing is left of any scenario it made, and every client read sound events.

A test looks at what it is about, and a leak is what nobody looked at. So scenarios come from a fixture, and the fixture asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest

from engine.config import Provider
from engine.testing import Scenario, Script
from policies import Policy
from tests.engine.stage import MakeScenario, unsound

OURS = "internal error"


@pytest.fixture
def scenario() -> Iterator[MakeScenario]:
    """Makes scenarios, and looks at each of them when the test is over."""
    made: list[tuple[Scenario, int]] = []

    def make(
        scripts: Mapping[str, Script | Sequence[Script]],
        *policies: Policy,
        providers: Mapping[str, Provider] | None = None,
        bugs: int = 0,
    ) -> Scenario:
        made.append((Scenario.of(scripts, *policies, providers=providers or {}), bugs))
        return made[-1][0]

    yield make
    for each, bugs in made:
        left = each.left()
        assert [text for text in left if not text.startswith(OURS)] == []
        assert len([text for text in left if text.startswith(OURS)]) == bugs, left
        assert [fault for reply in each.replies for fault in unsound(reply)] == []
