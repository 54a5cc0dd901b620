"""A window that slides: how much was sent within the last so many seconds, in requests and in tokens.

A counter that is reset every minute lets twice the limit through around the reset. And tokens are known only when an answer
is over, so counting them then lets a burst through that was begun before. So each request enters with what it is expected
to take, at the moment of its sending, and its entry is put right when the provider has told. Pure.
"""

from __future__ import annotations

from collections import deque

import attrs

from policies import Window


@attrs.define(eq=False)
class Entry:
    """One request: when it was sent, in seconds, and its tokens, expected or told."""

    at: float
    tokens: int = 0
    counted: bool = True  #: it has neither left the window nor been taken back


@attrs.define(eq=False)
class Sliding:
    """The entries of one window, oldest first."""

    _entries: deque[Entry] = attrs.field(factory=deque)
    _tokens: int = 0

    def room(self, spec: Window, tokens: int, at: float) -> tuple[float, float, str]:
        """Seconds until a request of so many tokens fits, the share of the window that is left, and what is used up.

        A request that is larger than all of the window has room where nothing else is in it: its provider decides.
        """
        while self._entries and self._entries[0].at <= at - spec.per_s:
            self._leave(self._entries.popleft())
        wait_s, headroom, reason = 0.0, 1.0, ""
        if spec.requests is not None:
            left = spec.requests - len(self._entries)
            headroom = max(0, left) / spec.requests
            if left <= 0:
                wait_s, reason = self._entries[-left].at + spec.per_s - at, "rate window full"
        if spec.tokens is not None:
            headroom = min(headroom, max(0, spec.tokens - self._tokens) / spec.tokens)
            token_wait_s = self._until(self._tokens + min(tokens, spec.tokens) - spec.tokens, spec.per_s, at)
            if token_wait_s > wait_s:
                wait_s, reason = token_wait_s, "token window full (rate limit of the configuration)"
        return wait_s, headroom, reason

    def _until(self, excess: int, per_s: float, at: float) -> float:
        """Seconds until entries with so many tokens have left."""
        if excess <= 0:
            return 0.0
        for entry in self._entries:
            excess -= entry.tokens
            if excess <= 0:
                return entry.at + per_s - at
        return 0.0

    def enter(self, at: float, tokens: int) -> Entry:
        """One request is sent now."""
        entry = Entry(at, tokens)
        self._entries.append(entry)
        self._tokens += tokens
        return entry

    def settle(self, entry: Entry, tokens: int) -> None:
        """What it took in the end."""
        if entry.counted:
            self._tokens += tokens - entry.tokens
            entry.tokens = tokens

    def withdraw(self, entry: Entry) -> None:
        """It was not sent after all."""
        if entry.counted:
            self._entries.remove(entry)
            self._leave(entry)

    def _leave(self, entry: Entry) -> None:
        entry.counted = False
        self._tokens -= entry.tokens
