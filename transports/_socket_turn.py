"""One turn on a borrowed socket: a frame out, and the frames of one answer in.

Frames hold what the lines of an event stream hold, so the wire's own decoder reads them. What a socket adds stands here:
which part of the conversation is sent, and errors that are nobody's failure. A host that has forgotten the conversation is
told all of it, on the same socket, and one that lets no socket live any longer sends the turn to a new one; neither is seen
by the client, since until the first frame that is more than an announcement nothing is handed on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import attrs
import orjson

from engine import JSON, Ask, AttemptError, Failure, Quota, StreamEvent
from policies import FailureKind
from transports import _overflow
from transports._anthropic import StreamError
from transports._classify import classify
from transports._continuation import History, Seen
from transports._dialect import FrameDecoder, Turn
from transports._keys import Keys
from transports._socket import Broken, Socket
from transports._sse import SSEError

#: The longest frame sent, in characters. wsproto masks it in one go, 6 ms for each MB, in which nothing else moves.
MAX_SENT: Final = 4 * 1024 * 1024
#: Frames that only announce an answer.
ANNOUNCING: Final = ("response.created", "response.queued", "response.in_progress")
#: As many of them as are held back; some hosts repeat one while a request waits in their queue.
_MOST_ANNOUNCING: Final = 64
#: Of longer answers it is not kept what the host has said, so that they cannot be gone on from; in characters of frames.
MAX_HEARD: Final = 32 * 1024 * 1024
#: Frames behind which nothing comes. Only the first kind leaves a conversation that can be gone on with.
COMPLETED: Final = "response.completed"
TERMINAL: Final = frozenset([COMPLETED, "response.incomplete", "response.failed", "error"])
#: Error codes that are between the host and us.
_FORGOTTEN: Final = "previous_response_not_found"
_LIMIT: Final = "websocket_connection_limit_reached"


class LimitReached(Exception):
    """This socket has lived as long as its host lets one."""


class TooLarge(Exception):
    """The frame to be sent is longer than one should be; nothing of it was sent."""


class NothingCame(Exception):
    """A new socket ended without a single frame: whatever answered the upgrade does not answer turns."""


@attrs.define(eq=False)
class SocketTurn:
    """An answer on its way. `news` are the items that are new to the host, None where it is to be told everything."""

    ask: Ask
    turn: Turn
    socket: Socket
    body: JSON = attrs.field(repr=False)
    history: History = attrs.field(repr=False)
    news: list[Any] | None = attrs.field(repr=False)
    keys: Keys = attrs.field(repr=False)
    wall_s: Callable[[], float]
    via: str = "websocket"
    quota: Quota = ()
    _waiting: list[JSON] = attrs.field(factory=list, repr=False)
    _output: list[Any] = attrs.field(factory=list, repr=False)
    _last: JSON | None = attrs.field(default=None, repr=False)
    _heard: int = 0
    _came: bool = False
    _surplus: bool = False

    @property
    def decoder(self) -> FrameDecoder:
        """Every decoder of a wire with sockets is one."""
        return cast(FrameDecoder, self.turn.decoder)

    async def _send(self) -> None:
        told = {"type": "response.create", **self.body}
        if self.news is not None and self.socket.seen is not None:
            told |= {"previous_response_id": self.socket.seen.response_id, "input": self.news}
        text = orjson.dumps(told).decode()
        if len(text) > MAX_SENT:
            raise TooLarge
        await self.socket.send(text)

    # The beginning.

    async def begin(self) -> None:
        """Send, and await the first frame that is more than an announcement.

        Raises AttemptError; LimitReached, TooLarge and NothingCame where the turn is to be had otherwise.
        """
        try:
            await self._send()
            while not self._begun():
                payloads = await self._payloads()
                code = next((code for payload in payloads if (code := _code(payload))), "")
                if code == _LIMIT:
                    raise LimitReached
                if code == _FORGOTTEN and self.news is not None:
                    self.news = self.socket.seen = None
                    self._waiting.clear()
                    await self._send()
                else:
                    self._waiting += payloads
        except Broken as broken:
            if self._came or broken.malformed:
                raise self._failed(broken) from broken
            if not self.socket.reused:
                raise NothingCame(str(broken)) from broken
            # It had died while it rested, and our frame crossed with that: one more try, as for a reused connection.
            raise self._failed(broken, stale=True) from broken
        self._refused()

    def _begun(self) -> bool:
        if len(self._waiting) > _MOST_ANNOUNCING:
            return True
        return any(payload.get("type") not in ANNOUNCING for payload in self._waiting)

    def _refused(self) -> None:
        """An error that states a status is the refusal that it would have been over HTTP, repairs and all."""
        error = next((payload for payload in self._waiting if payload.get("type") == "error"), None)
        status = error.get("status") if error else None
        if error is None or type(status) is not int or not 400 <= status < 600:
            return
        given = error.get("headers")
        headers = {str(k).lower(): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
        try:
            said = orjson.dumps({"error": error.get("error")})
        except orjson.JSONEncodeError:
            said = b""  # nested deeper than is written: its status says enough
        failure = classify(
            status,
            {**headers, "content-type": "application/json"},
            self.keys.struck_from_body(said),
            now_wall_s=self.wall_s(),
            sent=self.turn.optional,
            max_tokens=self.turn.max_tokens,
        )
        raise self.keys.struck_from_error(failure)

    # The answer.

    async def read(self) -> list[StreamEvent] | None:
        """The events of the frames that have arrived; None at the end. Raises AttemptError."""
        if self._last is not None:
            return None
        waiting, self._waiting = self._waiting, []
        try:
            payloads = waiting or await self._payloads()
            began = self.decoder.began
            events: list[StreamEvent] = []
            for number, payload in enumerate(payloads, 1):
                events += self.decoder.take(payload)
                if self._is_last(payload):
                    self._surplus = number < len(payloads)
                    break
        except Broken as broken:
            raise self._failed(broken) from broken
        except (StreamError, SSEError) as error:
            raise self._malformed(str(error), bad_call=getattr(error, "bad_call", False)) from error
        if not began and (too_long := _overflow.counted(self.ask, events)):
            raise AttemptError(too_long)
        return self.keys.judged(events, began)

    def _is_last(self, payload: JSON) -> bool:
        kind = payload.get("type")
        if kind == "response.output_item.done":
            self._output.append(payload.get("item"))
        if self._heard > MAX_HEARD:
            self._output.clear()
        if not isinstance(kind, str) or kind not in TERMINAL:
            return False
        self._last = payload
        return True

    async def _payloads(self) -> list[JSON]:
        frames = await self.socket.receive()
        self._came = True
        self._heard += sum(map(len, frames))
        try:
            payloads = [orjson.loads(frame) for frame in frames]
        except orjson.JSONDecodeError:
            raise self._malformed("a frame that is not JSON") from None
        if not all(isinstance(payload, dict) for payload in payloads):
            raise self._malformed("a frame that is not an object")
        return payloads

    def _malformed(self, message: str, *, bad_call: bool = False) -> AttemptError:
        return self.keys.struck_from_error(Failure(kind=FailureKind.MALFORMED, message=message, bad_call=bad_call))

    def _failed(self, broken: Broken, *, stale: bool = False) -> AttemptError:
        kind = FailureKind.MALFORMED if broken.malformed else FailureKind.RESET
        return self.keys.struck_from_error(Failure(kind=kind, message=str(broken), stale=stale))

    # The end.

    @property
    def ended(self) -> bool:
        """Whether the host has said its last word, and nothing behind it."""
        return self._last is not None and not self._surplus

    def seen(self) -> Seen | None:
        """What the host now knows; None where it cannot be gone on from."""
        if self._last is None or self._last.get("type") != COMPLETED or not self.decoder.complete:
            return None
        if self._heard > MAX_HEARD:
            return None
        response = self._last.get("response")
        response = response if isinstance(response, dict) else {}
        output = response.get("output")
        return self.history.answered(response.get("id"), self._output or (output if isinstance(output, list) else []))


def _code(payload: JSON) -> str:
    """The code of an error frame, flat or nested, or of a failed answer; empty where there is none."""
    if payload.get("type") not in ("error", "response.failed"):
        return ""
    response = payload.get("response")
    places = (payload, payload.get("error"), response.get("error") if isinstance(response, dict) else None)
    codes = (place.get("code") for place in places if isinstance(place, dict))
    return next((code for code in codes if isinstance(code, str)), "")
