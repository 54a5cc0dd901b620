"""Every policy in a chain of a running server, asked over a socket: it has its say, and the account of the turn shows it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from docs.policies.make import sources
from engine.config import load
from policies import KINDS
from tests.server.serving import Client, Running, posted, serving
from tests.server.test_explained import explained
from transports import load_catalogue

#: Real sockets, and a server for each policy.
pytestmark = pytest.mark.long

SOURCES = sources()


async def told(running: Running) -> dict[str, Any]:
    """The account of the last request, as the command prints it."""
    found: dict[str, Any] = json.loads((await explained(running.port, "--json")).stdout)
    return found


def test_every_policy_is_among_them() -> None:
    """A new one is served here, too."""
    assert set(SOURCES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_policy_decides_where_it_is_configured(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain of its page's good day, in a server on a socket: it rules on each candidate, and the plan refolds."""
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    config = load(SOURCES[kind].good.toml, file="page", catalogue=load_catalogue(), environ={})
    async with serving(config) as running:
        with trio.fail_after(60):
            status, _ = await Client(await running.connect()).answer(posted())
        account = await told(running)
    # What is allowed at some hours alone depends on when this runs.
    assert status == 200 or kind == "during"
    stages = [stage for stage in account["stages"] if stage["by"] == kind]
    candidates = [str(c) for c in config.chains["example"].candidates]
    assert [[ruling["candidate"] for ruling in stage["candidates"]] for stage in stages] == [candidates] * len(stages)
    assert stages
    assert account["refolds"] is True
