"""The real Claude Code through a whole outage: less than a minute of it, with the proxy's times shortened to match.

The client's own clock stays as it is, so this is only the shape of the thing; `bench/outage.py` takes the ten minutes.
"""

from __future__ import annotations

import pytest

from bench.outage import outage

pytestmark = [pytest.mark.real, pytest.mark.long]

#: A tenth of the defaults.
SETTINGS = "breaker = { open_s = 3.0 }\n"
POLICIES = (
    'policies = ["silent-skip", "sequence", { kind = "max-wait", s = 12 }, { kind = "retry", base_s = 0.1, cap_s = 3 }]'
)


async def test_it_is_still_there_when_the_providers_are_back() -> None:
    """One turn, answered once they are; nothing that a person would notice but the time. With the least patient model."""
    found, run = await outage(40.0, "opus", settings=SETTINGS, policies=POLICIES, afterwards_s=150.0)
    assert found.answered, str(run)
    assert found.text == "You said: Say hello."
    assert found.answered_after_s >= 40.0
    assert found.client_requests <= 11
    assert max(found.minutes) <= 15 * 10
