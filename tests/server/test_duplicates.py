"""Identical requests on real sockets: one exchange, the same bytes of the answer for each, and nothing left when they go."""

from __future__ import annotations

import attrs
import pytest
import trio

from tests.routes.asgi_driver import OPEN_SERVER, TOKEN, rehearsing, turn
from tests.server.serving import Client, Running, posted, serving, until

#: Real sockets and a server of their own.
pytestmark = pytest.mark.long

SHARING = attrs.evolve(OPEN_SERVER, duplicates="all")
#: About two seconds of words.
TALK = "echo?words=80&gap_ms=25"
SESSION = "x-claude-code-session-id: 0b6f3f0e-0000-4000-8000-000000000001"


async def _asks(running: Running, body: bytes, *headers: str, after: int = 0) -> bytes:
    """The answer to a turn that is sent once the server has so many exchanges."""
    await until(lambda: _exchanges(running) >= after)
    client = Client(await running.connect())
    status, answer = await client.answer(posted(body, *headers))
    assert status == 200
    return answer


def _exchanges(running: Running) -> int:
    return sum(row["attempts_started"] for row in running.built.recent.summaries())


@pytest.mark.parametrize("stream", [True, False])
async def test_two_identical_turns_are_one_exchange(stream: bool) -> None:
    """A second client that comes in the middle gets the whole answer, byte for byte the first one's."""
    answers: list[bytes] = []
    async with serving(rehearsing(TALK, server=SHARING)) as running:

        async def ask(after: int) -> None:
            answers.append(await _asks(running, turn(stream=stream), SESSION, after=after))

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, 0)
                nursery.start_soon(ask, 1)
        assert answers[0] == answers[1]
        assert b"message_stop" in answers[0] or not stream
        assert _exchanges(running) == 1
        joined = next(row for row in running.built.recent.summaries() if row["attempts_started"] == 0)
        assert "shares_answer_of" in (running.built.recent.explain(joined["id"]) or {})


async def test_who_leaves_takes_nothing_along() -> None:
    """The first connection goes away in mid-answer; the second still hears the end, and then nobody is asked any more."""
    async with serving(rehearsing(TALK, server=SHARING)) as running:
        with trio.fail_after(20):
            first = await running.connect()
            await first.send_all(posted(turn(), SESSION))
            await until(lambda: _exchanges(running) == 1)

            async def leave() -> None:
                await until(lambda: len(running.built.recent.summaries()) == 2)
                await trio.aclose_forcefully(first)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(leave)
                answer = await _asks(running, turn(), SESSION, after=1)
            assert b"message_stop" in answer
            assert _exchanges(running) == 1
            await until(lambda: not running.built.router.live)


async def test_another_credential_is_another_request() -> None:
    """Two clients that send different keys never hear each other's answers."""
    async with serving(rehearsing(TALK, server=SHARING)) as running:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for number in range(2):
                    nursery.start_soon(_asks, running, turn(), SESSION, f"x-api-key: {TOKEN}{number}")
        assert _exchanges(running) == 2
