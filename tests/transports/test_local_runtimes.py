"""Which local runtimes answer: only those that list models in a form they use, all asked at once, and briefly."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import attrs
import httpx
import orjson
import pytest
import trio
from trio.testing import MockClock

from engine.config import Provider
from transports._local import MAX_BYTES, PATIENCE_S, answering, names_in


@attrs.define(eq=False)
class Machine(httpx.AsyncBaseTransport):
    """A machine where something listens on some ports: a body, a silence in seconds, or an exception."""

    ports: dict[int, Any]
    status: int = 200
    asked: list[str] = attrs.field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url}")
        assert set(request.extensions["timeout"].values()) == {PATIENCE_S, None}
        await trio.lowlevel.checkpoint()
        found = self.ports.get(request.url.port or 80, httpx.ConnectError("refused"))
        if isinstance(found, Exception):
            raise found
        if isinstance(found, float):
            await trio.sleep(found)
        body = found if isinstance(found, bytes) else orjson.dumps(found)
        return httpx.Response(self.status, stream=httpx.ByteStream(body))


def runtime(id: str, port: int, *, local: bool = True, path: str | None = "/v1/models") -> Provider:
    paths = MappingProxyType({"models": path} if path else {})
    return Provider(id=id, base_url=f"http://127.0.0.1:{port}", local=local, paths=paths)


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ({"object": "list", "data": [{"id": "qwen"}, {"id": "glm"}]}, ["qwen", "glm"]),
        ({"models": [{"name": "qwen:latest", "model": "qwen:latest"}]}, ["qwen:latest"]),
        ({"models": [{"key": "qwen"}]}, ["qwen"]),
        ({"models": [{"name": "qwen"}]}, ["qwen"]),
        ({"data": []}, []),
        ({"data": [{"id": 7}, "x", {}]}, []),
        ({"data": {}}, None),
        ({"status": "ok"}, None),
        ([], None),
        ("hello", None),
        (None, None),
    ],
)
def test_a_list_of_models_is_told_from_anything_else(listed: Any, names: list[str] | None) -> None:
    """Ports 8000 and 8080 belong to every web project."""
    assert names_in(listed) == names


async def test_those_that_answer_are_found() -> None:
    """Each with the first model it lists; where nobody listens or something else does, nobody is found."""
    machine = Machine({1: {"data": [{"id": "qwen"}]}, 2: {"data": []}, 3: {"hello": 1}, 4: b"<html>", 5: b""})
    providers = [runtime(f"r{port}", port) for port in range(1, 7)]
    assert await answering(machine, providers) == {"r1": "qwen", "r2": None}


async def test_only_local_runtimes_with_a_list_are_asked() -> None:
    """Nothing is asked of the network at large before anybody wanted it."""
    machine = Machine({})
    providers = [runtime("far", 1, local=False), runtime("mute", 2, path=None), runtime("near", 3)]
    assert await answering(machine, providers) == {}
    assert machine.asked == ["GET http://127.0.0.1:3/v1/models"]


async def test_another_status_is_no_answer() -> None:
    """Even with the right body."""
    assert await answering(Machine({1: {"data": []}}, status=404), [runtime("r", 1)]) == {}


async def test_an_endless_list_is_given_up() -> None:
    """It is no list of models."""
    assert await answering(Machine({1: b"[" * (MAX_BYTES + 1)}), [runtime("r", 1)]) == {}


async def test_all_are_asked_at_once_and_briefly(autojump_clock: MockClock) -> None:
    """One that is slow costs nobody else anything, and the start little."""
    machine = Machine({1: 1000.0, 2: {"data": [{"id": "m"}]}, 3: 1000.0, 4: httpx.ReadTimeout("t")})
    found = await answering(machine, [runtime(f"r{port}", port) for port in (1, 2, 3, 4)])
    assert found == {"r2": "m"}
    assert trio.current_time() == 2 * PATIENCE_S
