"""Sockets at rest, each waiting for the conversation that it knows.

An idle HTTP connection is as good as any other; a socket is not. Its host holds one conversation's state, and whoever else
uses it makes the host forget that. So the question is not "is one free" but "does one know this", and a turn that no
socket knows gets a new one, rather than one that somebody will want back. What is kept is bounded twice: for one
conversation, so that an agent with many side errands does not push the others out, and for all.

All decisions are synchronous; sockets that are given up are told to close, which they do in their own tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import attrs

from transports._continuation import History
from transports._socket import Socket

#: Sockets at rest, of all conversations and of one. Each is a file descriptor and a few kilobytes here, and state there.
MOST: Final = 64
MOST_OF_ONE: Final = 4
#: How long a socket rests before it is closed, in seconds: as long as hosts keep a prompt cached (OpenAI: 5 to 10 minutes).
REST_S: Final = 300.0
#: A socket older than this begins no turn, in seconds. OpenAI ends one after 60 minutes, in the middle of whatever it does.
ROTATE_S: Final = 55 * 60.0


class Owner(NamedTuple):
    """Whose conversation: the client's session, the agent in it, and the provider that is asked."""

    session: str
    agent: str
    provider: str


@attrs.frozen
class _Resting:
    owner: Owner
    digest: bytes
    socket: Socket


@attrs.define(eq=False)
class Shelf:
    """Sockets at rest, the one used last at the end."""

    _resting: list[_Resting] = attrs.field(factory=list)

    def __len__(self) -> int:
        return len(self._usable())

    def take(self, owner: Owner, digest: bytes, history: History) -> tuple[Socket, list[Any]] | None:
        """The socket that knows the most of this conversation, and what is new to it; it is lent. None: nobody knows it.

        `digest` is that of address and head: a socket is not used with another key than it was opened with.
        """
        known: list[tuple[int, _Resting, list[Any]]] = []
        for resting in self._usable():
            if (resting.owner, resting.digest) == (owner, digest):
                news = history.news(resting.socket.seen)
                if news is not None:
                    known.append((-len(news), resting, news))
        if not known:
            return None
        _, chosen, news = max(known, key=lambda one: one[0])
        self._resting.remove(chosen)
        chosen.socket.lend()
        return chosen.socket, news

    def put(self, owner: Owner, digest: bytes, socket: Socket, now: float) -> None:
        """Keep a socket whose turn has ended and left something to go on from; those that must go for it are closed."""
        until = min(now + REST_S, socket.born_at + ROTATE_S)
        if socket.seen is None or until <= now:
            socket.close()
            return
        socket.rest(until)
        self._resting = [*self._usable(), _Resting(owner, digest, socket)]
        of_one = [resting for resting in self._resting if resting.owner == owner]
        for resting in (*of_one[:-MOST_OF_ONE], *self._resting[:-MOST]):
            resting.socket.close()
        self._resting = self._usable()

    def knows(self, owner: Owner, model: str) -> bool:
        """Whether some socket knows a conversation of this owner with this model."""
        return any(r.owner == owner and r.socket.seen is not None and r.socket.seen.model == model for r in self)

    def __iter__(self) -> Iterator[_Resting]:
        return iter(self._usable())

    def _usable(self) -> list[_Resting]:
        return [resting for resting in self._resting if resting.socket.usable]
