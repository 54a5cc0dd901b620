"""A decoder behind another: the answer is the inner one's, and its events pass through a change of one's own.

What is asked of a decoder beside its events, whether the answer is whole, over, or begun, is the inner one's to say. Each
such decoder would say so in twenty lines; here it is said once, and what is left to each is the change. Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from engine import JSON, StreamEvent
from transports._dialect import Decoder


@attrs.define(eq=False)
class Passing:
    """A decoder around `inner`. Methods raise what the inner one's raise."""

    inner: Decoder

    @property
    def complete(self) -> bool:
        return self.inner.complete

    @property
    def ended(self) -> bool:
        return self.inner.ended

    @property
    def settled(self) -> bool:
        return self.inner.settled

    @property
    def began(self) -> bool:
        return self.inner.began

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes, changed."""
        return self._through(self.inner.feed(chunk))

    def finish(self) -> list[StreamEvent]:
        """The stream is over: what was still waiting, changed."""
        return self._through(self.inner.finish())

    def whole(self, message: JSON) -> list[StreamEvent]:
        """A JSON answer, given where a stream was asked for, changed."""
        return self._through(self.inner.whole(message))

    def _through(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """The change."""
        raise NotImplementedError
