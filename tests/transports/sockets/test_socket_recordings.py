"""Recorded answers of Responses hosts, sent as frames, say what they say over HTTP."""

from __future__ import annotations

from typing import Any

import attrs
import orjson
import pytest
import trio
import trio.testing
from trio_websocket import WebSocketConnection

from engine import Ask, AttemptError, StreamEvent
from tests.recordings import Recording, recordings
from tests.transports.chat.streams import read_events
from tests.transports.responses.test_responses_recordings import decoded, made_for, meaning
from tests.transports.sockets.host import Host, say
from tests.transports.sockets.stage import asking, staged
from transports._dialect import Turn
from transports.responses import openai_responses


def frames_of(recording: Recording) -> list[dict[str, Any]]:
    lines = recording.body.splitlines()
    return [orjson.loads(line[5:]) for line in lines if line.startswith(b"data:") and not line.endswith(b"[DONE]")]


@pytest.mark.parametrize("recording", recordings("openai-responses", stream=True))
async def test_recorded_streams_mean_the_same_over_a_socket(
    recording: Recording, autojump_clock: trio.testing.MockClock
) -> None:
    """The same events whether the frames come one by one or together; an error before content fails the attempt."""
    expected, complete = decoded(recording, None)

    def dialect(ask: Ask) -> Turn:
        return attrs.evolve(openai_responses(ask), decoder=made_for(recording))

    for pause in (0.0, 1.0):

        async def play(ws: WebSocketConnection, asked: dict[str, Any], pause: float = pause) -> None:
            for payload in frames_of(recording):
                await say(ws, payload)
                await trio.sleep(pause)

        async with staged(Host(play)) as stage:
            stage.spare.dialect = dialect
            events: list[StreamEvent] = []
            failure = None
            try:
                async with stage.sockets.open(asking()) as upstream:
                    while (some := await upstream.read()) is not None:
                        events += some
            except AttemptError as error:
                failure = error.failure
            assert stage.spare.asked == []
            if failure is None:
                assert meaning(read_events(events)) == meaning(read_events(expected))
            else:
                assert not complete
                assert recording.expect["error"]
                assert not events
            await trio.sleep(1)
            assert len(stage.sockets.shelf) == stage.host.live
