"""The command that explains, against a server on a real socket."""

from __future__ import annotations

import json
from functools import partial

import pytest
import trio
from click.testing import CliRunner, Result

from cli.main import hedgerow
from engine._stored import restored
from tests.routes.asgi_driver import rehearsing, turn
from tests.server.serving import Client, posted, serving

pytestmark = pytest.mark.long


async def explained(port: int, *args: str) -> Result:
    command = ["explain", *args, "--url", f"http://127.0.0.1:{port}"]
    return await trio.to_thread.run_sync(partial(CliRunner().invoke, hedgerow, command))


async def test_the_last_request_is_drawn_and_its_stored_view_refolds_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before there is one, it says so; then the picture, and as JSON what gives the same plan in this process, too."""
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    async with serving(rehearsing("echo?fault=529", "echo")) as running:
        none = await explained(running.port)
        assert (none.exit_code, none.stdout) == (1, "")
        assert "has had no request yet" in none.stderr
        status, _ = await Client(await running.connect()).answer(posted(turn()))
        assert status == 200
        drawn = await explained(running.port)
        assert drawn.exit_code == 0
        assert "Folded again from the stored view: the same plan." in drawn.stdout
        told = json.loads((await explained(running.port, "--json")).stdout)
        plan = restored(told["stored"]).plan()
        assert [str(step.candidate) for step in plan.steps] == [step["candidate"] for step in told["plan"]["steps"]]
        assert [attempt["outcome"] for attempt in told["attempts"]] == ["failed", "won"]
