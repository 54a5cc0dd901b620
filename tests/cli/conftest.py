"""Fixtures that tests of several commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

import server
from engine.config import Config


@pytest.fixture
def _nothing_local(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What happens to run on the machine of whoever runs the tests, and to lie in their home, is no part of them."""

    async def nobody(_: Config) -> dict[str, str | None]:
        return {}

    monkeypatch.setattr(server, "find_local", nobody)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
