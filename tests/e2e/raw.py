"""A client that shows every byte and when it came: one streamed turn over its own connection.

The SDKs hide pings, comments and the time of arrival, and Claude Code hides everything; this hides nothing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import attrs
import h11
import trio

from .grammar import Reading, read


@attrs.define(eq=False)
class RawTurn:
    """A running turn; `arrivals` are seconds after the request at which body bytes came."""

    status: int | None = None
    headers: dict[str, str] = attrs.field(factory=dict)
    body: bytes = b""
    arrivals: list[float] = attrs.field(factory=list)
    _stream: trio.SocketStream = attrs.field(kw_only=True)
    _h11: h11.Connection = attrs.field(kw_only=True)
    _began: float = attrs.field(factory=trio.current_time, kw_only=True)

    async def more(self) -> bool:
        """Read until some body has come; False at the proper end. Raises h11.RemoteProtocolError on a broken body."""
        while True:
            event = self._h11.next_event()
            match event:
                case h11.NEED_DATA:
                    self._h11.receive_data(await self._stream.receive_some(65536))
                case h11.Response():
                    self.status = event.status_code
                    self.headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
                case h11.Data():
                    self.body += event.data
                    self.arrivals.append(trio.current_time() - self._began)
                    return True
                case h11.EndOfMessage():
                    return False

    def reading(self) -> Reading:
        """What has come so far, strictly read."""
        return read(self.body)


@asynccontextmanager
async def raw_turn(base_url: str, text: str) -> AsyncIterator[RawTurn]:
    """Send one streamed request of one user text; the connection is closed when the block is left."""
    url = urlsplit(base_url)
    messages = [{"role": "user", "content": text}]
    body = json.dumps({"model": "claude-sonnet-5-5", "max_tokens": 100, "stream": True, "messages": messages}).encode()
    async with await trio.open_tcp_stream(str(url.hostname), int(url.port or 80)) as stream:
        connection = h11.Connection(h11.CLIENT)
        turn = RawTurn(stream=stream, h11=connection)
        headers = [("host", url.netloc), ("content-type", "application/json"), ("content-length", str(len(body)))]
        request = h11.Request(method="POST", target=f"{url.path}/v1/messages", headers=headers)
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            await stream.send_all(connection.send(event) or b"")
        yield turn
