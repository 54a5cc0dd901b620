"""The client of the catalogue: one turn over its own connection, which tells as it goes what it has seen."""

from __future__ import annotations

import json
from typing import Any

import attrs
import h11
import trio

from tests.e2e.catalogue.stage import Case
from tests.e2e.grammar import Reading, read

#: A turn that takes longer has gone wrong, in seconds.
TURN_S = 900.0
_TOOLS = [
    {
        "name": name,
        "description": name,
        "input_schema": {"type": "object", "properties": {}, "additionalProperties": True},
    }
    for name in ("get_weather", "get_time")
]


@attrs.define(eq=False)
class Seen:
    """What came: status, head, body; `ended` is False where the connection broke before the body's end."""

    status: int = 0
    headers: dict[str, str] = attrs.field(factory=dict)
    body: bytes = b""
    ended: bool = False

    def reading(self) -> Reading:
        """The stream, strictly read."""
        return read(self.body)

    def whole(self) -> dict[str, Any]:
        """The JSON answer."""
        answer: dict[str, Any] = json.loads(self.body)
        return answer


async def take_turn(port: int, case: Case) -> Seen:
    """Ask for the case's model, and take what comes until it ends, however it ends."""
    body = json.dumps(
        {
            "model": case.model,
            "max_tokens": 4096,
            "stream": case.stream,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "tools": _TOOLS,
            "messages": [{"role": "user", "content": "Tell me a story, or the weather."}],
        }
    ).encode()
    seen = Seen()
    with trio.move_on_after(TURN_S) as turn:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            connection = h11.Connection(h11.CLIENT)
            headers = [("host", "127.0.0.1"), ("content-type", "application/json"), ("content-length", str(len(body)))]
            request = h11.Request(method="POST", target="/v1/messages", headers=headers)
            for event in (request, h11.Data(data=body), h11.EndOfMessage()):
                await stream.send_all(connection.send(event) or b"")
            try:
                await _take(stream, connection, seen, case)
            except (h11.RemoteProtocolError, trio.BrokenResourceError):
                seen.ended = False
    if turn.cancelled_caught:
        case.notes.append(f"the turn takes more than {TURN_S:g} s")
    return seen


async def _take(stream: trio.SocketStream, connection: h11.Connection, seen: Seen, case: Case) -> None:
    while True:
        event = connection.next_event()
        match event:
            case h11.NEED_DATA:
                connection.receive_data(await stream.receive_some(65536))
            case h11.Response():
                seen.status = event.status_code
                seen.headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            case h11.Data():
                seen.body += event.data
                case.comes(event.data)
            case h11.EndOfMessage():
                seen.ended = True
                return
