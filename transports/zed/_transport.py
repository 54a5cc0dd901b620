"""Threads kept over the turns of a conversation: rotated before they are full, and when the host has lost one.

The dialect could do this alone if a rotation were a change of ids. But the summary that a new thread begins with is an
exchange of its own, before the one that was asked for, and a thread that the host does not know any more is known only when
it has said so. Both are settled here, within the one attempt, before anything of the answer has been seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import attrs
import trio

from engine import JSON, Ask, AttemptError, Kind, MalformedEvent, Quota, StreamEvent, Upstream, need_of
from engine.config import Wire
from transports._dialect import Dialect, TooDeep, Turn
from transports._wire import WireHTTP, too_deep
from transports.translate._texts import written
from transports.zed import nested
from transports.zed._summary import digest, headed, request_for
from transports.zed._threads import Standing, Thread, Threads, cut_at, kept, standing, tokens_of

#: What the host says of a thread that is to be left, and of a prompt that is (from a description, seen nowhere else).
_LOST = ("context_length_exceeded", "thread_expired", "thread_not_found", "thread_limit_reached", "invalid_thread_state",
         "thread_corrupted")  # fmt: skip
_USED_UP = ("tool_calls_limit_exceeded", "user_interaction_required")
#: What is kept of a conversation when a new thread begins, as a share of what one may hold.
_KEPT_SHARE = 0.4


#: Whether an answer of this length came to its end is not waited for: a summary is a help, and the turn is waiting (seconds).
SUMMARY_S = 30.0


@attrs.define(eq=False)
class _Peeked:
    """An exchange whose first events were read already."""

    _inner: Upstream
    _first: list[StreamEvent] | None
    _given: bool = False
    via: str = "http"
    quota: Quota = ()

    async def read(self) -> list[StreamEvent] | None:
        if not self._given:
            self._given = True
            return self._first
        return None if self._first is None else await self._inner.read()


@attrs.define(eq=False)
class ZedThreads:
    """The transport of wire `zed`: `http` sends, `dialects` are those of the vendors, `at` tells the time in seconds."""

    http: WireHTTP
    dialects: Mapping[Wire, Dialect]
    at: Callable[[], float]
    _threads: Threads = attrs.field(factory=Threads)

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[Upstream]:
        """Send in the conversation's thread. Raises AttemptError."""
        settings = ask.provider.thread
        try:
            thread = self._threads.of(ask.request, ask.provider.id, settings, self.at())
            if self._weight(ask, thread) > settings.rotation_threshold * settings.max_context_tokens:
                await self._rotate(ask, thread)
        except TooDeep as error:
            raise AttemptError(too_deep(error)) from error
        for last in (False, True):
            begun = False
            try:
                async with self._sent(ask, thread) as upstream:
                    first = await upstream.read()
                    begun = True
                    yield _Peeked(upstream, first, quota=upstream.quota)
                return
            except TooDeep as error:
                raise AttemptError(too_deep(error)) from error
            except AttemptError as error:
                if begun or last or not await self._mended(ask, thread, str(error)):
                    raise

    def _sent(self, ask: Ask, thread: Thread) -> AbstractAsyncContextManager[Upstream]:
        """The exchange of what is left of the conversation."""
        request = ask.request
        messages = kept(request.body["messages"], thread.cut)
        if thread.cut is not None:
            body = {**request.body, "messages": messages}
            raw = written(body)
            request = attrs.evolve(request, body=body, raw=raw, need=need_of(body, raw))
        price = ask.provider.model(ask.candidate.model).price
        tokens = request.need.input_tokens
        where = standing(ask.request, thread, ask.provider.thread, tokens=tokens, price=price)
        return self._exchange(attrs.evolve(ask, request=request), where)

    def _exchange(self, ask: Ask, where: Standing) -> AbstractAsyncContextManager[Upstream]:
        def dialect(ask: Ask) -> Turn:
            return nested(ask, where, self.dialects)

        return attrs.evolve(self.http, dialect=dialect).open(ask)

    def _weight(self, ask: Ask, thread: Thread) -> int:
        """What a request would weigh in its thread, in tokens."""
        gone = ask.request.body["messages"][: thread.cut.messages] if thread.cut else []
        return ask.request.need.input_tokens - (tokens_of(gone) if gone else 0)

    async def _mended(self, ask: Ask, thread: Thread, told: str) -> bool:
        """Whether the host's refusal was one of the thread or of the prompt, which another takes the place of."""
        if any(code in told for code in _USED_UP):
            thread.nudges += 1
            return True
        if any(code in told for code in _LOST):
            if "context_length_exceeded" in told:
                return await self._rotate(ask, thread)
            self._threads.rotate(thread, self.at())
            return True
        return False

    async def _rotate(self, ask: Ask, thread: Thread) -> bool:
        """Begin a new thread with a summary of what was said before. False where nothing can be left out."""
        settings = ask.provider.thread
        messages = ask.request.body["messages"]
        cut = cut_at(messages, int(settings.max_context_tokens * _KEPT_SHARE))
        if settings.summary == "off" or cut is None:
            self._threads.rotate(thread, self.at())
            return False
        summary = ""
        if settings.summary == "model":
            summary = await self._summed_up(ask, thread, messages[: cut.messages])
        thread.cut = attrs.evolve(cut, summary=headed(summary) if summary else digest(messages[: cut.messages]))
        self._threads.rotate(thread, self.at())
        return True

    async def _summed_up(self, ask: Ask, thread: Thread, messages: list[JSON]) -> str:
        """The model's summary; "" where it gives none in time."""
        body = request_for(kept(messages, thread.cut) if thread.cut else messages, ask.request.body)
        raw = written(body)
        request = attrs.evolve(ask.request, body=body, raw=raw, need=need_of(body, raw))
        where = attrs.evolve(
            standing(ask.request, thread, ask.provider.thread, tokens=request.need.input_tokens, price=None),
            intent="thread_summarization",
        )
        text: list[str] = []
        with trio.move_on_after(SUMMARY_S):
            try:
                asked = attrs.evolve(ask, request=request, candidate=attrs.evolve(ask.candidate, thinking=False))
                async with self._exchange(asked, where) as upstream:
                    while (events := await upstream.read()) is not None:
                        text += _texts(events)
                        if any(event.kind is Kind.MESSAGE_STOP for event in events):
                            return "".join(text).strip()
            except AttemptError:
                return ""
        return ""


def _texts(events: list[StreamEvent]) -> Iterator[str]:
    for event in events:
        if event.kind is Kind.DELTAS:
            with suppress(MalformedEvent):
                for payload in event.payloads():
                    if isinstance(text := payload["delta"].get("text"), str):
                        yield text
