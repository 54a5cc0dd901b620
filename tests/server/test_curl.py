"""What a person with curl sees of a mistake: one clear answer each, whatever is left unsent."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from tests.routes.asgi_driver import CLOSED_SERVER, TOKEN, rehearsing, turn
from tests.server.serving import serving

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


@attrs.frozen
class Shown:
    """What curl printed: the status, the error's type and message."""

    status: int
    type: str
    message: str


@pytest.fixture
async def base_url() -> AsyncIterator[str]:
    """A server with a token whose routes know Claude's models only."""
    async with serving(rehearsing(server=CLOSED_SERVER, match="claude-*")) as running:
        yield f"http://127.0.0.1:{running.port}"


async def curl(url: str, body: bytes, *options: str, token: str = TOKEN) -> Shown:
    """POST `body` as curl does it, which must end without an error of its own."""
    headers = ["-H", "content-type: application/json", "-H", f"x-api-key: {token}"]
    command = ["curl", "-sS", "--max-time", "20", "--noproxy", "*", "-w", "\n%{http_code}", *headers, *options]
    run = partial(trio.run_process, capture_stdout=True, capture_stderr=True, check=False, stdin=body)
    done = await run([*command, "--data-binary", "@-", f"{url}/v1/messages"])
    assert done.returncode == 0, done.stderr
    text, _, status = done.stdout.decode().rpartition("\n")
    answer: dict[str, Any] = json.loads(text)
    assert answer["type"] == "error"
    assert answer["request_id"].startswith("req_")
    return Shown(int(status), answer["error"]["type"], answer["error"]["message"])


async def test_a_wrong_token(base_url: str) -> None:
    """401, with the variable and the headers."""
    shown = await curl(base_url, turn(), token="wrong")
    assert (shown.status, shown.type) == (401, "authentication_error")
    assert "ANTHROPIC_AUTH_TOKEN" in shown.message


async def test_broken_json(base_url: str) -> None:
    """400, with line and column."""
    shown = await curl(base_url, b'{"model": "claude",}')
    assert (shown.status, shown.type) == (400, "invalid_request_error")
    assert "line 1, column" in shown.message


async def test_a_missing_field(base_url: str) -> None:
    """400, with its name and what belongs there."""
    shown = await curl(base_url, b'{"model": "claude-x", "messages": [{"role": "user", "content": "hi"}]}')
    assert (shown.status, shown.type) == (400, "invalid_request_error")
    assert shown.message == "max_tokens: field required (a whole number above 0)"


async def test_an_unknown_model(base_url: str) -> None:
    """404, with its name."""
    shown = await curl(base_url, turn("gpt-9"))
    assert (shown.status, shown.type) == (404, "not_found_error")
    assert "gpt-9" in shown.message


@pytest.mark.parametrize("options", [[], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"]])
async def test_a_hundred_megabytes(base_url: str, options: list[str]) -> None:
    """413, with the limit and its name; whether curl asks first, sends at once, or does not say how much comes."""
    shown = await curl(base_url, b"x" * 100_000_000, *options)
    assert (shown.status, shown.type) == (413, "request_too_large")
    assert "max_body_mb" in shown.message


async def test_a_hundred_megabytes_and_a_wrong_token(base_url: str) -> None:
    """401: who may not come in is not told how large a body may be."""
    shown = await curl(base_url, b"x" * 100_000_000, token="wrong")
    assert shown.status == 401
